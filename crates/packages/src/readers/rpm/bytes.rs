//! Numbers in bytes that nobody vouches for.

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = array(bytes, at)?;
        Some(if self == Self::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = array(bytes, at)?;
        Some(if self == Self::Little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The pages of a file that were already read: none is read twice, so that no loop goes on for ever.
pub(super) struct Pages<'a> {
    contents: &'a [u8],
    size: usize,
    seen: Vec<u64>,
}

impl<'a> Pages<'a> {
    /// Pages of `size` bytes, which is not 0.
    pub(super) fn of(contents: &'a [u8], size: usize) -> Self {
        let count = contents.len().div_ceil(size);
        Self { contents, size, seen: vec![0; count / 64 + 1] }
    }

    /// Page `index`, counted from 0, or what is there of it; none outside of the file.
    pub(super) fn peek(&self, index: u32) -> Option<&'a [u8]> {
        let start = (index as usize).checked_mul(self.size)?;
        let end = start.saturating_add(self.size).min(self.contents.len());
        self.contents.get(start..end).filter(|page| !page.is_empty())
    }

    /// Marks page `index` as used; false when it was already.
    pub(super) fn mark(&mut self, index: u32) -> bool {
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        self.seen.get_mut(word).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_read_and_no_page_twice() {
        assert_eq!(Order::Little.u32(&[1, 0, 0, 0], 0), Some(1));
        assert_eq!(Order::Big.u16(&[9, 1, 2], 1), Some(0x102));
        assert_eq!(Order::Big.u32(&[1, 2, 3], 0), None);
        assert_eq!(Order::Big.u16(&[1, 2, 3], usize::MAX), None);
        let mut pages = Pages::of(&[1, 2, 3, 4, 5], 4);
        assert_eq!((pages.peek(1), pages.peek(2)), (Some(&[5][..]), None));
        assert!(pages.mark(1) && !pages.mark(1));
        assert!(!pages.mark(u32::MAX));
    }
}
