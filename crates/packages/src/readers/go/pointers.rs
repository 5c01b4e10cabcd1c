//! The toolchain's version as the header of Go 1.17 and older points to it, in ELF files.
//!
//! Its text lies among constants, before the header, and without a mark around it; what tells its place and its length
//! lies behind the header. So every text that may be a version is kept with its place until it is known which one is
//! meant. Formats: <https://github.com/golang/go/blob/go1.17/src/debug/buildinfo/buildinfo.go>,
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html>.

use super::header::HEADER;

/// Bytes of the file that its program headers are looked for in. Go's have some 500.
const MAX_HEAD: usize = 4 << 10;

/// Most texts kept; real programs have a few tens.
const MAX_TEXTS: usize = 512;

/// Bytes kept of a text, which is longer than any version.
const TEXT: usize = 24;

/// How numbers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Bytes of a pointer, 4 or 8.
    pub(super) width: usize,
    pub(super) is_big_endian: bool,
}

impl Form {
    fn number(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// Pointer number `index` of `bytes`.
    fn pointer(self, bytes: &[u8], index: usize) -> Option<u64> {
        self.number(bytes, index * self.width, self.width)
    }
}

/// Follows the pointer while the file streams by.
#[derive(Default)]
pub(super) struct Pointers {
    head: Vec<u8>,
    /// Bytes seen.
    seen: u64,
    texts: Vec<(u64, Vec<u8>)>,
    /// Where the text's place and length stand, and what has arrived of them.
    wanted: Option<(u64, Form)>,
    place: Vec<u8>,
}

impl Pointers {
    /// Takes a text that may be a version.
    pub(super) fn text(&mut self, at: u64, bytes: &[u8]) {
        if self.texts.len() < MAX_TEXTS {
            self.texts.push((at, bytes.get(..TEXT).unwrap_or(bytes).to_vec()));
        }
    }

    /// Takes the first header with pointers, at `at`.
    pub(super) fn header(&mut self, at: u64, form: Form, header: &[u8]) {
        // What it points to is told by program headers: they have to be there.
        if self.wanted.is_some() || at < MAX_HEAD as u64 {
            return;
        }
        let address = header.get(HEADER / 2..).and_then(|pointers| form.pointer(pointers, 0));
        let offset = address.and_then(|address| self.offset(address));
        // What lies before has streamed by. The linker puts data behind.
        self.wanted = offset.filter(|offset| *offset >= at + HEADER as u64).map(|offset| (offset, form));
    }

    /// Takes the next bytes of the file, each once, before the headers in them.
    pub(super) fn head(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD - self.head.len();
        self.head.extend(bytes.iter().take(room));
    }

    /// Takes the same bytes, behind the headers in them.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if let Some((offset, form)) = self.wanted {
            let end = offset.saturating_add(2 * form.width as u64);
            let from = (offset + self.place.len() as u64).saturating_sub(self.seen);
            let to = end.saturating_sub(self.seen).min(bytes.len() as u64);
            let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            self.place.extend(range.and_then(|(from, to)| bytes.get(from..to)).unwrap_or_default());
        }
        self.seen += bytes.len() as u64;
    }

    /// The text that the header points to, if it was seen.
    pub(super) fn version(&self) -> Option<&[u8]> {
        let (_, form) = self.wanted?;
        let offset = self.offset(form.pointer(&self.place, 0)?)?;
        let length = usize::try_from(form.pointer(&self.place, 1)?).ok()?;
        let (_, text) = self.texts.iter().find(|(at, _)| *at == offset)?;
        text.get(..length)
    }

    /// Where in the file the loader takes an address from.
    fn offset(&self, address: u64) -> Option<u64> {
        let [0x7f, b'E', b'L', b'F', class, data, ..] = self.head.as_slice() else { return None };
        let is_64 = *class == 2;
        let form = Form { width: if is_64 { 8 } else { 4 }, is_big_endian: *data == 2 };
        let (table, size, count) = if is_64 { (32, 54, 56) } else { (28, 42, 44) };
        let number = |at: usize, width: usize| form.number(&self.head, at, width);
        let table = usize::try_from(number(table, form.width)?).ok()?;
        let (size, count) = (usize::try_from(number(size, 2)?).ok()?, number(count, 2)?);
        let (file, memory, length) = if is_64 { (8, 16, 32) } else { (4, 8, 16) };
        (0..usize::try_from(count).ok()?).find_map(|index| {
            let entry = table.checked_add(index.checked_mul(size)?)?;
            let field = |at: usize| number(entry.checked_add(at)?, form.width);
            let is_loaded = number(entry, 4)? == 1;
            let inside =
                address.checked_sub(field(memory)?).filter(|inside| is_loaded && Some(*inside) < field(length))?;
            field(file)?.checked_add(inside)
        })
    }
}
