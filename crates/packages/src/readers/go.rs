//! Go modules, from the build information in executables.
//!
//! Format: Go's `debug/buildinfo` (<https://github.com/golang/go/blob/go1.26.0/src/debug/buildinfo/buildinfo.go>): a
//! header aligned to 16 bytes, then, since Go 1.18, two strings with their lengths before them. It is found by its
//! magic while the file streams by, so a binary of any size costs a few kilobytes. Older ones have pointers in the header:
//! what those lead to is known by its form, and the version in ELF files by its place.

mod header;
pub(super) mod modules;
mod old;
mod pointers;

use memchr::memmem::Finder;
use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::{PackageReader, Selection, StreamReader, executable::is_executable};
use header::{ALIGNMENT, MAGIC, Parsed};
use old::{List, OldStrings, Seen};

/// Reads build information.
pub(crate) struct Go;

impl PackageReader for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn reads(&self) -> &'static str {
        "every ELF, Mach-O and PE executable, by its first bytes"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        is_executable(file).then(|| Selection::Stream(Box::new(BuildInfo::new(file.path))))
    }

    /// Not called: every file is read in pieces.
    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// Looks for build information in a stream.
struct BuildInfo {
    path: String,
    finder: Finder<'static>,
    /// The last bytes that a magic may begin in or, if one is open, everything from it on.
    held: Vec<u8>,
    /// Offset in the file of `held`.
    offset: u64,
    /// Whether `held` starts with a magic whose strings have not all arrived.
    is_open: bool,
    /// Whether the form of Go 1.17 and older was seen.
    is_old: bool,
    old: OldStrings,
    found: Option<Reading>,
}

impl BuildInfo {
    fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            finder: Finder::new(MAGIC),
            held: Vec::new(),
            offset: 0,
            is_open: false,
            is_old: false,
            old: OldStrings::new(),
            found: None,
        }
    }

    /// Forgets the first `length` bytes held.
    fn forget(&mut self, length: usize) {
        self.held.drain(..length.min(self.held.len()));
        self.offset += length as u64;
    }

    /// Whether `piece`, or the seam between what is held and it, has a magic.
    fn has_magic(&mut self, piece: &[u8]) -> bool {
        let held = self.held.len();
        self.held.extend(piece.iter().take(MAGIC.len() - 1));
        let across = self.finder.find(&self.held).is_some();
        self.held.truncate(held);
        across || self.finder.find(piece).is_some()
    }

    /// Takes a piece without a magic: its last bytes are kept, since one may begin there.
    fn pass(&mut self, piece: &[u8]) {
        match piece.len().checked_sub(MAGIC.len() - 1) {
            Some(start) => {
                self.offset += (self.held.len() + start) as u64;
                self.held.clear();
                self.held.extend(piece.iter().skip(start));
            }
            None => {
                self.held.extend_from_slice(piece);
                self.forget(self.held.len().saturating_sub(MAGIC.len() - 1));
            }
        }
    }

    /// Looks at every magic that is held. Each costs the same few steps, whatever length it claims, and what lies
    /// before the one that is still open is forgotten once.
    fn look(&mut self, is_end: bool) {
        self.is_open = false;
        let mut start = 0;
        loop {
            let rest = self.held.get(start..).unwrap_or_default();
            let Some(at) = self.finder.find(rest) else { break };
            let candidate = rest.get(at..).unwrap_or_default();
            start += at;
            if (self.offset + start as u64).is_multiple_of(ALIGNMENT) {
                match header::parse(candidate) {
                    Parsed::Strings { version, modules } => {
                        self.found = Some(modules::reading(version, modules, &self.path));
                        self.held = Vec::new();
                        return;
                    }
                    Parsed::Short if !is_end => {
                        self.is_open = true;
                        self.forget(start);
                        return;
                    }
                    Parsed::Pointers(_) => self.is_old = true,
                    Parsed::Short | Parsed::Nothing => {}
                }
            }
            start += MAGIC.len();
        }
        // No magic begins before `start`, nor anywhere but in the last bytes.
        self.forget(start.max(self.held.len().saturating_sub(MAGIC.len() - 1)));
    }
}

impl StreamReader for BuildInfo {
    fn feed(&mut self, piece: &[u8]) -> bool {
        if self.found.is_some() {
            return false;
        }
        self.old.feed(piece);
        // Most pieces have no magic, and need not be held.
        if !self.is_open && !self.has_magic(piece) {
            self.pass(piece);
            return true;
        }
        self.held.extend_from_slice(piece);
        self.look(false);
        self.found.is_none()
    }

    fn finish(mut self: Box<Self>) -> Reading {
        if self.found.is_none() {
            self.look(true);
        }
        let Self { path, is_old, old, found, .. } = *self;
        match found {
            Some(found) => found,
            None if is_old => of_old(old, &path),
            None => Reading::default(),
        }
    }
}

/// What a program of Go 1.17 or older says.
fn of_old(old: OldStrings, path: &str) -> Reading {
    let Seen { version, list } = old.finish();
    let not_read = || Warning::gap(path, "a program built by Go 1.17 or older: its modules were not read");
    let (list, is_cut) = match list {
        List::Whole(list) => (list, false),
        List::Cut => (Vec::new(), true),
        List::Absent if version.is_none() => return Reading { warnings: vec![not_read()], ..Reading::default() },
        List::Absent => (Vec::new(), false),
    };
    let mut reading = modules::reading(version.as_deref().unwrap_or_default(), &list, path);
    if is_cut {
        // The gap says more than that there may be others.
        reading.partial = Some("a program of Go whose list of modules was not read".to_owned());
        reading.warnings.push(not_read());
    }
    if version.is_none() {
        let what = "a program built by Go 1.17 or older: by which one was not found, nor its standard library listed";
        reading.warnings.push(Warning::gap(path, what));
    }
    reading
}

#[cfg(test)]
mod tests;
