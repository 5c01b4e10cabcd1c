//! Checked access to the file: no byte is handed out before its page was compared with its digest.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_model::{Digest, Hasher, LookupError};

use crate::{
    database::OpenError,
    format::{
        DIGEST, FORMAT_VERSION, HEADER_DIGEST, HEADER_KEY, MAGIC, PAGE, PAGE_DIGEST, SECTION_TABLE, SECTIONS, Section,
        SlotKey,
    },
    map::Bytes,
};

/// A file whose header and page table were checked.
pub(crate) struct Pages {
    bytes: Bytes,
    sections: [(usize, usize); SECTIONS],
    table: usize,
    digest: Digest,
    key: SlotKey,
    /// One bit a page: checked and found right.
    checked: Box<[AtomicU64]>,
}

impl Pages {
    pub(crate) fn open(bytes: Bytes) -> Result<Self, OpenError> {
        let damaged = |what: &str| OpenError::Damaged(what.to_owned());
        let header = bytes.get(..PAGE).ok_or_else(|| damaged("it is shorter than a header"))?;
        if &header[..8] != MAGIC {
            return Err(OpenError::NotADatabase);
        }
        let version = u32_at(header, 8).unwrap_or_default();
        if version != FORMAT_VERSION {
            return Err(OpenError::Version { found: version, readable: FORMAT_VERSION });
        }
        let number = |at| u64_at(header, at).and_then(|value| usize::try_from(value).ok()).unwrap_or(usize::MAX);
        if number(16) != bytes.len() {
            return Err(damaged("it is not as long as its header says; it was cut off, or is still being written"));
        }
        let table = number(24);
        let pages = table.checked_sub(PAGE).map(|length| length.div_ceil(PAGE)).ok_or_else(|| damaged("bad header"))?;
        let table_end = pages.checked_mul(PAGE_DIGEST).and_then(|length| table.checked_add(length));
        if table_end != Some(bytes.len()) {
            return Err(damaged("its page table has the wrong length"));
        }
        let mut sections = [(0, 0); SECTIONS];
        for (index, section) in sections.iter_mut().enumerate() {
            let at = SECTION_TABLE + index * 16;
            let (offset, length) = (number(at), number(at + 8));
            if offset < PAGE || offset.checked_add(length).is_none_or(|end| end > table) {
                return Err(damaged("a section lies outside of it"));
            }
            *section = (offset, length);
        }
        let mut hasher = Hasher::new();
        hasher.update(&header[..HEADER_DIGEST]);
        hasher.update(&[0; DIGEST]);
        hasher.update(&header[HEADER_DIGEST + DIGEST..]);
        hasher.update(&bytes[table..]);
        let digest = hasher.finish();
        if header[HEADER_DIGEST..HEADER_DIGEST + DIGEST] != *digest.as_bytes() {
            return Err(damaged("its header or its page table is not what was written"));
        }
        let key = header[HEADER_KEY..].first_chunk().copied().unwrap_or_default();
        let checked = (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { bytes, sections, table, digest, key, checked })
    }

    /// Binds every byte of the file.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// What the hashes of its slot tables begin with.
    pub(crate) const fn key(&self) -> &SlotKey {
        &self.key
    }

    pub(crate) const fn length(&self, section: Section) -> usize {
        self.sections[section as usize].1
    }

    /// `length` bytes of a section from `offset`, checked.
    pub(crate) fn get(&self, section: Section, offset: usize, length: usize) -> Result<&[u8], LookupError> {
        let (start, size) = self.sections[section as usize];
        let end = offset.checked_add(length).filter(|&end| end <= size);
        let end = end.ok_or_else(|| LookupError(format!("{section:?}: {offset}+{length} lies outside of it")))?;
        self.check(start + offset, start + end)?;
        Ok(&self.bytes[start + offset..start + end])
    }

    /// The `index`th `u32` of a section.
    pub(crate) fn u32(&self, section: Section, index: usize) -> Result<u32, LookupError> {
        let bytes = self.get(section, index.saturating_mul(4), 4)?;
        Ok(u32_at(bytes, 0).unwrap_or_default())
    }

    /// The bytes of entry `index`, whose place `offsets` tells.
    pub(crate) fn entry(&self, offsets: Section, data: Section, index: usize) -> Result<&[u8], LookupError> {
        let start = self.u32(offsets, index)? as usize;
        let end = self.u32(offsets, index.saturating_add(1))? as usize;
        let length = end.checked_sub(start).ok_or_else(|| LookupError(format!("{offsets:?}: not in order")))?;
        self.get(data, start, length)
    }

    /// Gives back the memory of what was read. What was checked stays so.
    pub(crate) fn rest(&self) {
        self.bytes.rest();
    }

    /// Checks every page.
    pub(crate) fn check_all(&self) -> Result<(), LookupError> {
        self.check(PAGE, self.table)
    }

    fn check(&self, start: usize, end: usize) -> Result<(), LookupError> {
        if start == end {
            return Ok(());
        }
        for page in start / PAGE - 1..=(end - 1) / PAGE - 1 {
            let (word, bit) = (&self.checked[page / 64], 1 << (page % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                self.check_page(page)?;
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn check_page(&self, page: usize) -> Result<(), LookupError> {
        let start = (page + 1) * PAGE;
        let stored = self.table + page * PAGE_DIGEST;
        let digest = Digest::of(&self.bytes[start..(start + PAGE).min(self.table)]);
        if digest.as_bytes()[..PAGE_DIGEST] == self.bytes[stored..stored + PAGE_DIGEST] {
            return Ok(());
        }
        Err(LookupError(format!("page {} does not match its digest", page + 1)))
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
