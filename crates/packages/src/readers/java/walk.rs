//! Walks an archive from header to header while it streams by.
//!
//! An entry that is wanted is inflated; any other is passed by. An archive in the archive is walked in the same way,
//! as its bytes arrive, so that what is held is a header and an inflater for each depth.

use portcullis_model::Warning;
use sha1::{Digest as _, Sha1};

use super::{
    entry::{End, Entry, Sink},
    facts::{Facts, Kind},
    identify,
    limits::{MAX_DEPTH, Shared},
    record::{self, DEFLATED, Local, Parsed, STORED, u32_at},
    skim::{self, Skim},
};

/// Longest name of an entry that is read, in bytes.
const MAX_NAME: usize = 4096;

/// An archive on its way past.
pub(super) struct Archive {
    /// Where it lies: `opt/app.jar!/BOOT-INF/lib/x.jar`.
    place: String,
    depth: usize,
    state: State,
    /// The beginning of what cannot be told yet.
    held: Vec<u8>,
    /// The entries that were met, and those that the directory lists.
    met: Tally,
    listed: Tally,
    has_begun: bool,
    is_complete: bool,
    is_empty: bool,
    facts: Facts,
    /// Over all of its bytes, where it is wanted.
    sha1: Option<Sha1>,
}

enum State {
    /// Looks for the next record: before the archive, and where something stands between two entries.
    Seek,
    /// At a record.
    Record,
    /// In an entry's data.
    Data(Box<Entry>),
    /// Behind an entry's data, of that length, where its descriptor is.
    Descriptor(Box<Entry>),
    /// In a record of which so many bytes are left.
    Skip(u64),
}

/// A set of entries, told by their number and a sum over their names and lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    entries: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, name_hash: u64, length: u64) {
        self.entries += 1;
        let mut mixed = (name_hash ^ length.rotate_left(32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^= mixed >> 32;
        self.sum = self.sum.wrapping_add(mixed.wrapping_mul(0xd6e8_feb8_6659_fd93));
    }
}

/// FNV-1a.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A digest as evidence: `sha1:` and forty hexadecimal digits.
fn evidence(sha1: Sha1) -> String {
    sha1.finalize().iter().fold("sha1:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl Archive {
    /// An archive at `place`; with `has_digests` it and those nested in it are known by their digests, too.
    pub(super) fn new(place: String, depth: usize, has_digests: bool) -> Self {
        Self {
            place,
            depth,
            state: State::Record,
            held: Vec::new(),
            met: Tally::default(),
            listed: Tally::default(),
            has_begun: false,
            is_complete: false,
            is_empty: true,
            facts: Facts::default(),
            sha1: has_digests.then(Sha1::new),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, piece: &[u8], shared: &mut Shared) {
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(piece);
        }
        self.walk(piece, shared);
    }

    fn walk(&mut self, mut piece: &[u8], shared: &mut Shared) {
        self.is_empty &= piece.is_empty();
        while !piece.is_empty() && !shared.is_exhausted() {
            let used = match std::mem::replace(&mut self.state, State::Record) {
                State::Seek => self.seek(piece),
                State::Record => self.record(piece, shared),
                State::Data(entry) => self.data(entry, piece, shared),
                State::Descriptor(entry) => self.descriptor(entry, piece, shared),
                State::Skip(left) => {
                    let used = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    if left > used as u64 {
                        self.state = State::Skip(left - used as u64);
                    }
                    used
                }
            };
            piece = piece.get(used..).unwrap_or_default();
        }
    }

    /// Looks for what a record starts with.
    fn seek(&mut self, piece: &[u8]) -> usize {
        let has_begun = self.has_begun;
        let starts = |bytes: &[u8]| match bytes.first_chunk::<4>() {
            Some(b"PK\x03\x04" | b"PK\x05\x06") => true,
            Some(b"PK\x01\x02" | b"PK\x06\x06") => has_begun,
            _ => false,
        };
        let mut seam = std::mem::take(&mut self.held);
        let before = seam.len();
        seam.extend(piece.iter().take(3));
        if let Some(at) = (0..before).find(|&at| seam.get(at..).is_some_and(starts)) {
            self.held.extend_from_slice(seam.get(at..before).unwrap_or_default());
            return 0;
        }
        let mut at = 0;
        while let Some(found) = piece.get(at..).and_then(|rest| skim::PK.find(rest)) {
            at += found;
            if piece.get(at..).is_some_and(starts) {
                return at;
            }
            at += 1;
        }
        let tail = if piece.len() < 3 { &seam } else { piece };
        self.held.extend_from_slice(tail.get(tail.len().saturating_sub(3)..).unwrap_or_default());
        self.state = State::Seek;
        piece.len()
    }

    /// Reads a record, from what is held and the piece.
    fn record(&mut self, piece: &[u8], shared: &mut Shared) -> usize {
        if self.held.is_empty() {
            return match record::parse(piece) {
                Parsed::Short(_) => {
                    self.held.extend_from_slice(piece);
                    piece.len()
                }
                parsed => self.accept(parsed, shared),
            };
        }
        let mut held = std::mem::take(&mut self.held);
        let mut used = 0;
        while let Parsed::Short(needed) = record::parse(&held) {
            let missing = needed.saturating_sub(held.len()).max(1);
            let more = piece.get(used..).unwrap_or_default();
            let taken = missing.min(more.len());
            held.extend_from_slice(more.get(..taken).unwrap_or_default());
            used += taken;
            if more.len() < missing {
                self.held = held;
                return used;
            }
        }
        let length = self.accept(record::parse(&held), shared);
        // At most what one record needs and another does not: few bytes.
        self.walk(held.get(length..).unwrap_or_default(), shared);
        used
    }

    /// Goes on as a record says; returns its length.
    fn accept(&mut self, parsed: Parsed<'_>, shared: &mut Shared) -> usize {
        match parsed {
            Parsed::Local(local, length) => {
                self.enter(&local, shared);
                length
            }
            Parsed::Central(central, length) => {
                self.listed.add(hash(central.name), central.compressed);
                length
            }
            Parsed::End(length, comment) => {
                self.close(shared);
                self.state = State::Skip(comment as u64);
                length
            }
            Parsed::Other(length) => {
                self.state = State::Skip(length);
                0
            }
            Parsed::Nothing | Parsed::Short(_) => {
                self.state = State::Seek;
                1
            }
        }
    }

    /// At the end of the directory: it must list what was met.
    fn close(&mut self, shared: &mut Shared) {
        self.has_begun = true;
        self.is_complete = true;
        let (met, listed) = (std::mem::take(&mut self.met), std::mem::take(&mut self.listed));
        if met != listed {
            let what = format!(
                "the archive's directory does not agree with its entries: it lists {}, and {} are there",
                listed.entries, met.entries
            );
            shared.warn(Warning::gap(&*self.place, what));
        }
    }

    /// At a local header: decides what becomes of the entry.
    fn enter(&mut self, local: &Local<'_>, shared: &mut Shared) {
        shared.count_entry();
        self.has_begun = true;
        self.is_complete = false;
        let sink = self.sink(local, shared);
        let is_wanted = !matches!(sink, Sink::Nothing);
        let is_inflated = is_wanted && local.method == DEFLATED;
        let end = match local.has_descriptor {
            false => End::Known(local.compressed),
            true if is_inflated => End::Inflated,
            true => End::Skimmed(Skim::new(0, local.compressed)),
        };
        let inflater = is_inflated.then(|| shared.take_inflater());
        let entry =
            Box::new(Entry { name_hash: hash(local.name), passed: 0, end, is_compressed: is_inflated, inflater, sink });
        match entry.end {
            End::Known(0) => self.leave(*entry, shared),
            _ => self.state = State::Data(entry),
        }
    }

    /// What becomes of an entry.
    fn sink(&mut self, local: &Local<'_>, shared: &mut Shared) -> Sink {
        let nested = std::str::from_utf8(local.name).is_ok_and(super::is_archive_name)
            || std::str::from_utf8(local.name).is_err() && super::is_archive_name(&String::from_utf8_lossy(local.name));
        let kind = Kind::of(local.name);
        self.facts.has_classes |= local.name.ends_with(b".class");
        if !nested && kind.is_none() {
            return Sink::Nothing;
        }
        let name = String::from_utf8_lossy(local.name.get(..MAX_NAME).unwrap_or(local.name)).into_owned();
        let place = format!("{}!/{name}", self.place);
        let problem = match local.method {
            _ if local.is_encrypted => Some("it is encrypted".to_owned()),
            _ if local.name.len() > MAX_NAME => Some(format!("its name has more than {MAX_NAME} bytes")),
            STORED | DEFLATED if nested && self.depth >= MAX_DEPTH => {
                Some(format!("it is nested more than {MAX_DEPTH} deep"))
            }
            STORED | DEFLATED => None,
            other => Some(format!("it is compressed by method {other}, which Java does not know")),
        };
        if let Some(problem) = problem {
            shared.warn(Warning::gap(place, format!("not read: {problem}")));
            return Sink::Nothing;
        }
        match kind {
            Some(kind) => Sink::Metadata { kind, name, contents: Vec::new() },
            None => Sink::Nested(Box::new(Self::new(place, self.depth + 1, self.sha1.is_some()))),
        }
    }

    /// Takes bytes of an entry's data.
    fn data(&mut self, mut entry: Box<Entry>, piece: &[u8], shared: &mut Shared) -> usize {
        let Entry { passed, end, sink, .. } = &mut *entry;
        match end {
            End::Known(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= used as u64;
                *passed += used as u64;
                let is_end = *left == 0;
                entry.take(piece.get(..used).unwrap_or_default(), &self.place, shared);
                if is_end {
                    self.leave(*entry, shared);
                } else {
                    self.state = State::Data(entry);
                }
                used
            }
            End::Inflated => {
                let used = entry.take(piece, &self.place, shared);
                entry.passed += used as u64;
                if entry.inflater.is_some() {
                    self.state = State::Data(entry);
                } else if matches!(entry.sink, Sink::Nothing) {
                    // Where damaged data end, nobody can tell; the gap is listed.
                    self.is_complete = true;
                    self.state = State::Skip(u64::MAX);
                } else {
                    self.state = State::Descriptor(entry);
                }
                used
            }
            End::Skimmed(skim) => {
                let found = skim.feed(piece, &mut |bytes| sink.take(bytes, shared));
                let Some(skim::Found { length, used, rest }) = found else {
                    self.state = State::Data(entry);
                    return piece.len();
                };
                *passed = length;
                self.leave(*entry, shared);
                self.walk(&rest, shared);
                used
            }
        }
    }

    /// Behind the data of an entry that was inflated: its descriptor, if it has one.
    fn descriptor(&mut self, entry: Box<Entry>, piece: &[u8], shared: &mut Shared) -> usize {
        /// A descriptor in 64 bits, and the next signature.
        const LONGEST: usize = 28;
        let used = LONGEST.saturating_sub(self.held.len()).min(piece.len());
        self.held.extend(piece.iter().take(used));
        if self.held.len() < LONGEST {
            self.state = State::Descriptor(entry);
            return used;
        }
        let held = std::mem::take(&mut self.held);
        let low = u32::try_from(entry.passed & u64::from(u32::MAX)).ok();
        let length = if held.starts_with(b"PK\x07\x08") && u32_at(&held, 8) == low {
            if !skim::is_record(&held, 16) && skim::is_record(&held, 24) { 24 } else { 16 }
        } else if u32_at(&held, 4) == low {
            if !skim::is_record(&held, 12) && skim::is_record(&held, 20) { 20 } else { 12 }
        } else {
            0
        };
        self.leave(*entry, shared);
        self.walk(held.get(length..).unwrap_or_default(), shared);
        used
    }

    /// At an entry's end.
    fn leave(&mut self, entry: Entry, shared: &mut Shared) {
        let Entry { name_hash, passed, inflater, sink, .. } = entry;
        self.met.add(name_hash, passed);
        // An inflater that is still there has not come to its end.
        if let Some(inflater) = inflater {
            shared.give_back(inflater);
            if !shared.is_exhausted() {
                shared.warn(Warning::gap(&*self.place, "an entry's compressed data end early"));
            }
        }
        match sink {
            Sink::Nothing => {}
            Sink::Metadata { kind, name, contents } => self.facts.add(kind, &name, &contents, &self.place, shared),
            Sink::Nested(archive) => {
                self.facts.has_nested = true;
                archive.finish(shared);
            }
        }
    }

    /// At the end of the archive: says what it is.
    pub(super) fn finish(mut self, shared: &mut Shared) {
        let state = std::mem::replace(&mut self.state, State::Seek);
        if let State::Data(entry) | State::Descriptor(entry) = state {
            let Entry { mut sink, end, .. } = *entry;
            if let End::Skimmed(skim) = &end {
                sink.take(skim.kept(), shared);
            }
            if let Sink::Nested(archive) = sink {
                archive.finish(shared);
            }
        }
        if !self.has_begun && !self.held.starts_with(b"PK") {
            if !self.is_empty && !shared.is_exhausted() {
                shared.warn(Warning::note(&*self.place, "no archive, though it is called one"));
            }
            return;
        }
        if !self.is_complete && !shared.is_exhausted() {
            self.facts.has_classes = false;
            shared.warn(Warning::gap(&*self.place, "the archive ends early, or is damaged"));
        }
        let digest = self.sha1.filter(|_| !shared.is_exhausted()).map(evidence);
        identify::packages(&self.facts, &self.place, digest, shared);
    }
}
