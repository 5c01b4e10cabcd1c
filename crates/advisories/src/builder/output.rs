//! The file as it is written: sections one after another, hashed by page on the way; the header comes last.

use std::io::{self, Seek, SeekFrom, Write};

use portcullis_model::{Digest, Hasher};

use crate::format::{
    DIGEST, FORMAT_VERSION, HEADER_DIGEST, HEADER_KEY, MAGIC, PAGE, PAGE_DIGEST, SECTION_TABLE, SECTIONS, Section,
    SlotKey,
};

/// Bytes gathered for one write of fixed-size numbers.
const NUMBERS: usize = 64 * 1024;

/// A database in the making.
pub(super) struct Output<W> {
    sink: W,
    position: u64,
    page: Hasher,
    in_page: usize,
    table: Vec<u8>,
    sections: [(u64, u64); SECTIONS],
    /// What the hashes of the slot tables begin with.
    pub(super) key: SlotKey,
}

impl<W: Write + Seek> Output<W> {
    pub(super) fn new(mut sink: W, key: SlotKey) -> io::Result<Self> {
        sink.write_all(&[0; PAGE])?;
        let position = PAGE as u64;
        let sections = [(position, 0); SECTIONS];
        Ok(Self { sink, position, page: Hasher::new(), in_page: 0, table: Vec::new(), sections, key })
    }

    /// What is written next belongs to `section`. Each is begun once; they may come in any order.
    pub(super) fn begin(&mut self, section: Section) -> io::Result<()> {
        // Fixed-size records must not straddle what they need not.
        let padding = self.position.next_multiple_of(16) - self.position;
        self.write(&[0; 16][..padding as usize])?;
        self.sections[section as usize].0 = self.position;
        Ok(())
    }

    pub(super) fn end(&mut self, section: Section) {
        let (start, length) = &mut self.sections[section as usize];
        *length = self.position - *start;
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)?;
        self.position += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - self.in_page));
            self.page.update(now);
            self.in_page += now.len();
            bytes = later;
            if self.in_page == PAGE {
                self.end_page();
            }
        }
        Ok(())
    }

    /// A whole section.
    pub(super) fn section(&mut self, section: Section, bytes: &[u8]) -> io::Result<()> {
        self.begin(section)?;
        self.write(bytes)?;
        self.end(section);
        Ok(())
    }

    /// A whole section of fixed-size numbers.
    pub(super) fn numbers<const N: usize>(
        &mut self,
        section: Section,
        numbers: impl Iterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        self.begin(section)?;
        let mut gathered = Vec::with_capacity(NUMBERS);
        for number in numbers {
            gathered.extend_from_slice(&number);
            if gathered.len() + N > NUMBERS {
                self.write(&gathered)?;
                gathered.clear();
            }
        }
        self.write(&gathered)?;
        self.end(section);
        Ok(())
    }

    fn end_page(&mut self) {
        let digest = std::mem::take(&mut self.page).finish();
        self.table.extend_from_slice(&digest.as_bytes()[..PAGE_DIGEST]);
        self.in_page = 0;
    }

    /// Writes the page digests and the header: the digest and the length of the whole.
    pub(super) fn finish(mut self) -> io::Result<(W, Digest, u64)> {
        let padding = self.position.next_multiple_of(16) - self.position;
        self.write(&[0; 16][..padding as usize])?;
        if self.in_page > 0 {
            self.end_page();
        }
        self.sink.write_all(&self.table)?;
        let length = self.position + self.table.len() as u64;
        let mut header = [0; PAGE];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(PAGE as u32).to_le_bytes());
        header[16..24].copy_from_slice(&length.to_le_bytes());
        header[24..32].copy_from_slice(&self.position.to_le_bytes());
        for (index, (start, length)) in self.sections.iter().enumerate() {
            let at = SECTION_TABLE + index * 16;
            header[at..at + 8].copy_from_slice(&start.to_le_bytes());
            header[at + 8..at + 16].copy_from_slice(&length.to_le_bytes());
        }
        header[HEADER_KEY..HEADER_KEY + self.key.len()].copy_from_slice(&self.key);
        let mut hasher = Hasher::new();
        hasher.update(&header);
        hasher.update(&self.table);
        let digest = hasher.finish();
        header[HEADER_DIGEST..HEADER_DIGEST + DIGEST].copy_from_slice(digest.as_bytes());
        self.sink.seek(SeekFrom::Start(0))?;
        self.sink.write_all(&header)?;
        self.sink.flush()?;
        Ok((self.sink, digest, length))
    }
}
