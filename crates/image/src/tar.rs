//! A reader of tar streams that copies nothing it is not asked for.
//!
//! Formats: POSIX ustar and pax (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>), GNU's long
//! names and sparse files (<https://www.gnu.org/software/tar/manual/html_node/Standard.html>). The stream is
//! untrusted: every length is bounded, and a header whose checksum is wrong ends the reading.

use std::io::{self, Read};

use portcullis_filetree::{HEAD_BYTES, UnsafePath, clean_path};

mod header;
mod pax;

use header::{BLOCK, Header, TypeFlag};
use pax::PaxRecords;

/// Bytes held of the stream at a time: within a core's second-level cache, so that a skipped body costs its
/// inflation alone.
const BUFFER: usize = 256 * 1024;

/// Longest pax or GNU long-name header taken, in bytes.
const MAX_EXTENSION: u64 = 1024 * 1024;

/// Why a tar stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// The stream under it failed.
    #[error("{0}")]
    Read(#[source] io::Error),
    /// It ends inside an entry.
    #[error("it ends early, at byte {offset}")]
    Truncated {
        /// Where, in the uncompressed stream.
        offset: u64,
    },
    /// There is no header where one must be.
    #[error("there is no tar header at byte {offset}: {what}")]
    Header {
        /// Where, in the uncompressed stream.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// A file with holes: its bytes in the stream are not its contents.
    Sparse,
    Directory,
    Symlink,
    HardLink,
    Special,
}

/// Reads entries one after another.
pub(crate) struct TarReader<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset in the stream of `buffer[start]`.
    offset: u64,
    /// What is left of the current entry's body, and of its padding.
    body: u64,
    padding: u64,
    entry: Entry,
}

/// The current entry; its texts are reused from one to the next.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Cleaned; empty for the root itself.
    pub(crate) path: String,
    /// Why the path was refused, if it was; `path` is then as it was written, for the warning.
    pub(crate) unsafe_path: Option<UnsafePath>,
    pub(crate) kind: Kind,
    /// Link target as written; cleaned for hard links.
    pub(crate) link: String,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// Where the body starts in the stream.
    pub(crate) offset: u64,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            body: 0,
            padding: 0,
            entry: Entry {
                path: String::new(),
                unsafe_path: None,
                kind: Kind::File,
                link: String::new(),
                size: 0,
                mode: 0,
                offset: 0,
            },
        }
    }

    /// Forgets what is buffered of the current body, and says how many bytes of it and of its padding are still in
    /// the source, for one that can seek.
    pub(crate) fn drop_buffered_body(&mut self) -> u64 {
        let left = self.body + self.padding;
        let buffered = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.consume(buffered);
        self.body = 0;
        self.padding = 0;
        let unread = left - buffered as u64;
        self.offset += unread;
        unread
    }

    /// What the stream is read from, between entries.
    pub(crate) fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// What the stream is read from.
    pub(crate) fn into_source(self) -> R {
        self.source
    }

    /// The entry that [`Self::advance`] stopped at.
    pub(crate) const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Lends out the current entry's path, to be handed back by [`Self::return_path`].
    pub(crate) fn lend_path(&mut self) -> String {
        std::mem::take(&mut self.entry.path)
    }

    /// Takes back what [`Self::lend_path`] lent.
    pub(crate) fn return_path(&mut self, path: String) {
        self.entry.path = path;
    }

    /// Goes to the next entry; false at the end of the archive.
    pub(crate) fn advance(&mut self) -> Result<bool, TarError> {
        self.skip_body()?;
        let mut pax = PaxRecords::default();
        let mut long_name = None;
        let mut long_link = None;
        loop {
            let Some(header) = self.header()? else { return Ok(false) };
            match header.type_flag() {
                // The last one holds: its records do not add to those of one before it.
                TypeFlag::PaxLocal => pax = PaxRecords::parse(&self.extension(&header)?),
                TypeFlag::PaxGlobal => drop(self.extension(&header)?),
                TypeFlag::GnuLongName => long_name = Some(self.extension(&header)?),
                TypeFlag::GnuLongLink => long_link = Some(self.extension(&header)?),
                TypeFlag::Entry(kind) => {
                    self.begin(&header, kind, pax, long_name, long_link)?;
                    return Ok(true);
                }
            }
        }
    }

    /// Sets up the entry that `header` opens.
    fn begin(
        &mut self,
        header: &Header,
        kind: Kind,
        pax: PaxRecords,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<(), TarError> {
        let stored = pax
            .size
            .map_or_else(|| header.size(), Some)
            .ok_or(TarError::Header { offset: self.offset, what: "its size is not a number" })?;
        if header.has_sparse_extension() {
            self.skip_sparse_extensions()?;
        }
        // Where both are there, engines take GNU's names: what they unpack is what must be read.
        let long_name = long_name.map(trim_nul).filter(|name| !name.is_empty());
        let long_link = long_link.map(trim_nul).filter(|link| !link.is_empty());
        let name = pax.sparse_name.or(long_name).or(pax.path).unwrap_or_else(|| header.path());
        let link = long_link.or(pax.link_path).unwrap_or_else(|| header.link());
        let kind = match kind {
            Kind::File if pax.sparse => Kind::Sparse,
            // Old archives mark a directory by the slash alone.
            Kind::File if header.is_old_file() && name.ends_with(b"/") => Kind::Directory,
            kind => kind,
        };
        // Only files have a body; some writers leave the size of a link's target in the header.
        let has_body = matches!(kind, Kind::File | Kind::Sparse) || header.lists_directory();
        self.body = if has_body { stored } else { 0 };
        self.padding = self.body.wrapping_neg() % BLOCK as u64;
        let entry = &mut self.entry;
        entry.unsafe_path = clean_path(&name, &mut entry.path).err();
        if entry.unsafe_path.is_some() {
            entry.path = String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned();
        }
        entry.link.clear();
        match kind {
            // A hard link's target is named as entries are: from the root of the archive. A refused one is left empty.
            Kind::HardLink => _ = clean_path(&link, &mut entry.link),
            Kind::Symlink => entry.link.push_str(&String::from_utf8_lossy(&link)),
            _ => {}
        }
        entry.kind = kind;
        entry.size = self.body;
        entry.mode = header.mode();
        entry.offset = self.offset;
        Ok(())
    }

    /// The first bytes of the current body, without taking them.
    pub(crate) fn head(&mut self) -> Result<&[u8], TarError> {
        let wanted = usize::try_from(self.body).unwrap_or(usize::MAX).min(HEAD_BYTES);
        self.fill(wanted)?;
        Ok(&self.buffer[self.start..self.start + wanted])
    }

    /// The next piece of the current body; empty at its end.
    pub(crate) fn next_piece(&mut self) -> Result<&[u8], TarError> {
        if self.body == 0 {
            return Ok(&[]);
        }
        if self.start == self.end {
            self.fill(1)?;
        }
        let length = (self.end - self.start).min(usize::try_from(self.body).unwrap_or(usize::MAX));
        let from = self.start;
        self.consume(length);
        self.body -= length as u64;
        Ok(&self.buffer[from..from + length])
    }

    fn skip_body(&mut self) -> Result<(), TarError> {
        let mut left = self.body + self.padding;
        self.body = 0;
        self.padding = 0;
        while left > 0 {
            if self.start == self.end {
                self.fill(1)?;
            }
            let length = (self.end - self.start).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(length);
            left -= length as u64;
        }
        Ok(())
    }

    /// The next header; none at the end-of-archive marker or at a clean end of the stream.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        if !self.fill_or_end(BLOCK)? {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        if block.iter().all(|&byte| byte == 0) {
            return self.end_of_archive();
        }
        let header = Header::new(block).map_err(|what| TarError::Header { offset: self.offset, what })?;
        self.consume(BLOCK);
        Ok(Some(header))
    }

    /// An archive ends with two zero blocks, or where the stream does. What lies behind a single one would be there
    /// for some readers and not for others.
    fn end_of_archive(&mut self) -> Result<Option<Header>, TarError> {
        self.consume(BLOCK);
        if self.fill_or_end(BLOCK)? && self.buffer[self.start..self.start + BLOCK].iter().any(|&byte| byte != 0) {
            return Err(TarError::Header { offset: self.offset, what: "a single zero block comes before it" });
        }
        Ok(None)
    }

    /// The body of a pax or GNU extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let wrong = |offset, what| TarError::Header { offset, what };
        let size = header.size().ok_or(wrong(self.offset, "its size is not a number"))?;
        if size > MAX_EXTENSION {
            return Err(wrong(self.offset, "an extension header is larger than 1 MiB"));
        }
        self.body = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        let mut bytes = Vec::new();
        loop {
            let piece = self.next_piece()?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
        }
        self.skip_body()?;
        Ok(bytes)
    }

    /// GNU's old sparse format continues its map in blocks after the header.
    fn skip_sparse_extensions(&mut self) -> Result<(), TarError> {
        loop {
            self.fill(BLOCK)?;
            // <https://www.gnu.org/software/tar/manual/html_node/Standard.html>: `isextended` follows 21 entries.
            let more = self.buffer[self.start + 504] != 0;
            self.consume(BLOCK);
            if !more {
                return Ok(());
            }
        }
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Makes `wanted` bytes available.
    fn fill(&mut self, wanted: usize) -> Result<(), TarError> {
        let offset = self.offset + (self.end - self.start) as u64;
        if self.fill_or_end(wanted)? { Ok(()) } else { Err(TarError::Truncated { offset }) }
    }

    /// Makes `wanted` bytes available; false if the stream ended cleanly before the first of them.
    fn fill_or_end(&mut self, wanted: usize) -> Result<bool, TarError> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < wanted {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) if self.end == 0 => return Ok(false),
                Ok(0) => return Err(TarError::Truncated { offset: self.offset + self.end as u64 }),
                Ok(length) => self.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Read(error)),
            }
        }
        Ok(true)
    }
}

/// GNU long names end with a NUL.
fn trim_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}
