//! What readers of executables share: knowing one by its first bytes, and looking at a stream through a window.
//!
//! A section table may stand at the end of a file, behind what it points to. So nothing here follows one: what is
//! looked for is known by how it begins, wherever it lies, and a file of any size costs a few kilobytes. Formats:
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>,
//! <https://learn.microsoft.com/windows/win32/debug/pe-format>,
//! <https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h>.

use portcullis_filetree::FileHeader;

/// No program has fewer bytes than this.
const MIN_SIZE: u64 = 1 << 10;

/// Whether a file is an ELF, Mach-O or PE executable or library.
pub(crate) fn is_executable(file: &FileHeader<'_>) -> bool {
    let has_magic = match file.head {
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => true,
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..] => true,
        // A Mach-O file for several processors, with their number; a Java class has its version there, 45 or more.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=44, ..] => true,
        _ => false,
    };
    has_magic && file.size >= MIN_SIZE
}

/// A stream seen through a window: every place in it is shown once, with at least `LOOK_AHEAD` bytes from there on, or
/// all that there are.
pub(crate) struct Window<const LOOK_AHEAD: usize> {
    held: Vec<u8>,
}

impl<const LOOK_AHEAD: usize> Window<LOOK_AHEAD> {
    pub(crate) const fn new() -> Self {
        Self { held: Vec::new() }
    }

    /// Takes the next piece. `look` gets bytes, and how many of their places are new and in full view: what begins at
    /// one of those is to be looked at now.
    pub(crate) fn feed(&mut self, piece: &[u8], look: impl FnOnce(&[u8], usize)) {
        self.held.extend_from_slice(piece);
        let places = (self.held.len() + 1).saturating_sub(LOOK_AHEAD);
        if places > 0 {
            look(&self.held, places);
            self.held.drain(..places);
        }
    }

    /// The end: the last places.
    pub(crate) fn finish(&mut self, look: impl FnOnce(&[u8], usize)) {
        let held = std::mem::take(&mut self.held);
        look(&held, held.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_place_is_shown_once_with_enough_behind_it(
            pieces in proptest::collection::vec(proptest::collection::vec(0_u8..255, 0..30), 0..20),
        ) {
            let whole: Vec<u8> = pieces.concat();
            let mut shown = Vec::new();
            let mut window = Window::<8>::new();
            let mut look = |bytes: &[u8], places: usize| {
                for place in 0..places {
                    let end = bytes.len().min(place + 8);
                    shown.push(bytes[place..end].to_vec());
                }
            };
            for piece in &pieces {
                window.feed(piece, &mut look);
            }
            window.finish(&mut look);
            let expected: Vec<Vec<u8>> =
                (0..whole.len()).map(|place| whole[place..whole.len().min(place + 8)].to_vec()).collect();
            proptest::prop_assert_eq!(shown, expected);
        }
    }
}
