//! An rpm header: an index of tags, and a store of their values.
//!
//! Format: <https://rpm-software-management.github.io/rpm/manual/format_header.html>, tags:
//! <https://rpm-software-management.github.io/rpm/manual/tags.html>. In a database it has no magic and no version
//! before it: it starts with the number of tags and the size of the store. All numbers are big-endian.

use super::bytes::Order::Big;

/// Bytes of an entry of the index: tag, type, offset, count.
const ENTRY: usize = 16;

/// Types of values.
const CHAR: u32 = 1;
const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// `S_IFMT` and `S_IFDIR` of a file's mode.
const MODE_KIND: u16 = 0o170_000;
const MODE_DIRECTORY: u16 = 0o040_000;

/// `RPMFILE_GHOST`: the package names the file, and does not bring it.
const FLAG_GHOST: u32 = 1 << 6;

/// Most directories of one package. The largest real ones have some thousand.
const MAX_DIRECTORIES: usize = 1 << 18;

/// The values of a header that matter here. What it does not have is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header<'a> {
    pub(super) name: Values<'a>,
    pub(super) version: Values<'a>,
    pub(super) release: Values<'a>,
    pub(super) epoch: Values<'a>,
    pub(super) architecture: Values<'a>,
    pub(super) source_rpm: Values<'a>,
    pub(super) vendor: Values<'a>,
    pub(super) packager: Values<'a>,
    pub(super) license: Values<'a>,
    pub(super) module_label: Values<'a>,
    pub(super) provides: Values<'a>,
    pub(super) requires: Values<'a>,
    base_names: Values<'a>,
    directory_names: Values<'a>,
    directory_indexes: Values<'a>,
    file_states: Values<'a>,
    file_modes: Values<'a>,
    file_flags: Values<'a>,
    /// Whether the store is shorter than it claims.
    pub(super) is_cut: bool,
}

impl<'a> Header<'a> {
    /// Reads a header; none if it has no whole index.
    pub(super) fn parse(blob: &'a [u8]) -> Option<Self> {
        let (entries, size) = (Big.u32(blob, 0)? as usize, Big.u32(blob, 4)? as usize);
        let (index, store) = blob.get(8..)?.split_at_checked(entries.checked_mul(ENTRY)?)?;
        let mut header = Self { is_cut: store.len() < size, ..Self::default() };
        let store = store.get(..size).unwrap_or(store);
        for entry in index.chunks_exact(ENTRY) {
            let field = |at| Big.u32(entry, at).unwrap_or_default();
            let Some(data) = store.get(field(8) as usize..) else { continue };
            header.set(field(0), field(4), Values { data, count: field(12) as usize });
        }
        Some(header)
    }

    /// Takes a value; what a later entry says of a tag counts, as it was added later.
    fn set(&mut self, tag: u32, kind: u32, values: Values<'a>) {
        let is_text = matches!(kind, STRING | STRING_ARRAY | I18N_STRING);
        match (tag, kind) {
            (1000, _) if is_text => self.name = values,
            (1001, _) if is_text => self.version = values,
            (1002, _) if is_text => self.release = values,
            (1003, INT32) => self.epoch = values,
            (1011, _) if is_text => self.vendor = values,
            (1014, _) if is_text => self.license = values,
            (1015, _) if is_text => self.packager = values,
            (1022, _) if is_text => self.architecture = values,
            (1029, CHAR | INT8) => self.file_states = values,
            (1030, INT16) => self.file_modes = values,
            (1037, INT32) => self.file_flags = values,
            (1044, _) if is_text => self.source_rpm = values,
            (1047, _) if is_text => self.provides = values,
            (1049, _) if is_text => self.requires = values,
            (1116, INT32) => self.directory_indexes = values,
            (1117, _) if is_text => self.base_names = values,
            (1118, _) if is_text => self.directory_names = values,
            (5096, _) if is_text => self.module_label = values,
            _ => {}
        }
    }

    /// The files that the package brought: directory and name of each. Directories are left out, as are files that
    /// were not installed and those that the package only names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Self { directory_indexes, file_states, file_modes, file_flags, .. } = *self;
        let directories: Vec<&[u8]> = self.directory_names.strings().take(MAX_DIRECTORIES).collect();
        let has_any = !directories.is_empty() && directory_indexes.count > 0;
        let names = if has_any { self.base_names } else { Values::default() };
        names.strings().enumerate().filter_map(move |(index, name)| {
            let directory = directories.get(directory_indexes.u32(index)? as usize)?;
            let is_directory = file_modes.u16(index).is_some_and(|mode| mode & MODE_KIND == MODE_DIRECTORY);
            let is_ghost = file_flags.u32(index).is_some_and(|flags| flags & FLAG_GHOST != 0);
            // 0 is *normal*; the others: replaced, not installed, on another machine, for another processor.
            let is_there = file_states.u8(index).is_none_or(|state| state == 0);
            (is_there && !is_directory && !is_ghost && !name.is_empty()).then_some((*directory, name))
        })
    }
}

/// The values of one tag: so many of them, in these bytes, if they are there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    data: &'a [u8],
    count: usize,
}

impl<'a> Values<'a> {
    /// Texts, each ended by a zero byte; fewer than claimed where the store ends.
    pub(super) fn strings(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.data;
        std::iter::from_fn(move || {
            let end = memchr::memchr(0, rest)?;
            let (text, after) = rest.split_at_checked(end)?;
            rest = after.get(1..)?;
            Some(text)
        })
        .take(self.count)
    }

    /// The first text; empty if there is none.
    pub(super) fn text(self) -> &'a [u8] {
        self.strings().next().unwrap_or_default()
    }

    pub(super) fn u32(self, index: usize) -> Option<u32> {
        if index < self.count { Big.u32(self.data, index.checked_mul(4)?) } else { None }
    }

    fn u16(self, index: usize) -> Option<u16> {
        if index < self.count { Big.u16(self.data, index.checked_mul(2)?) } else { None }
    }

    fn u8(self, index: usize) -> Option<u8> {
        if index < self.count { self.data.get(index).copied() } else { None }
    }
}
