//! Passes by an entry whose length stands behind its data, without inflating it.
//!
//! Behind the data stands a descriptor, which repeats how long the data was; so the end is where a descriptor gives
//! just the number of bytes that have passed. (APPNOTE 4.3.9: with or without a signature, with sizes of 32 or 64
//! bits.) That this was no accident, nor a trick, the archive's directory tells in the end.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::record::{u32_at, u64_at};

/// What every record starts with.
pub(super) static PK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"PK"));

/// Bytes before a signature that are looked at: a descriptor in 64 bits, without a signature of its own.
const BEHIND: usize = 24;

/// Bytes from a signature on that are looked at: a descriptor in 64 bits, and the next signature.
const AHEAD: usize = 28;

/// Bytes kept from one piece to the next.
const KEPT: usize = BEHIND + AHEAD;

/// Looks for the end of an entry's data.
pub(super) struct Skim {
    /// Bytes of data before those kept.
    passed: u64,
    kept: Vec<u8>,
    /// How many of those kept were looked at.
    looked_at: usize,
    /// The length that the header gives, though it need not.
    claimed: u64,
}

/// An entry's end.
pub(super) struct Found {
    /// Bytes of data.
    pub(super) length: u64,
    /// Bytes of the piece that belong to the entry and its descriptor.
    pub(super) used: usize,
    /// Bytes from before the piece that belong to what follows.
    pub(super) rest: Vec<u8>,
}

/// A place in a window: where the data ends, and where the next record begins.
struct End {
    data: usize,
    next: usize,
}

impl Skim {
    /// For an entry of which `passed` bytes have passed by.
    pub(super) const fn new(passed: u64, claimed: u64) -> Self {
        Self { passed, kept: Vec::new(), looked_at: 0, claimed }
    }

    /// Takes a piece, and hands on those bytes that are data beyond doubt.
    pub(super) fn feed(&mut self, piece: &[u8], data: &mut dyn FnMut(&[u8])) -> Option<Found> {
        let before = self.kept.len();
        self.kept.extend(piece.iter().take(KEPT));
        if let Some(end) = self.look(&self.kept, self.looked_at, self.passed) {
            data(self.kept.get(..end.data).unwrap_or_default());
            let rest = self.kept.get(end.next..before).unwrap_or_default().to_vec();
            let length = self.passed + end.data as u64;
            return Some(Found { length, used: end.next.saturating_sub(before), rest });
        }
        self.looked_at = self.looked_at.max((self.kept.len() + 1).saturating_sub(AHEAD));
        if piece.len() <= KEPT {
            let surplus = self.kept.len().saturating_sub(KEPT);
            data(self.kept.get(..surplus).unwrap_or_default());
            self.kept.drain(..surplus);
            self.passed += surplus as u64;
            self.looked_at = self.looked_at.saturating_sub(surplus);
            return None;
        }
        data(self.kept.get(..before).unwrap_or_default());
        self.passed += before as u64;
        self.kept.clear();
        if let Some(end) = self.look(piece, self.looked_at.saturating_sub(before), self.passed) {
            data(piece.get(..end.data).unwrap_or_default());
            return Some(Found { length: self.passed + end.data as u64, used: end.next, rest: Vec::new() });
        }
        let (gone, kept) = piece.split_at(piece.len() - KEPT);
        data(gone);
        self.passed += gone.len() as u64;
        self.kept.extend_from_slice(kept);
        self.looked_at = (KEPT + 1) - AHEAD;
        None
    }

    /// What was kept back: data, should nothing more come.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Looks at each signature of `window` from `from` on that has enough bytes behind it.
    fn look(&self, window: &[u8], from: usize, passed: u64) -> Option<End> {
        let last = window.len().checked_sub(AHEAD)?;
        let searched = window.get(..last + 2)?;
        let mut at = from;
        loop {
            at += PK.find(searched.get(at..)?)?;
            if let Some(end) = self.end_at(window, at, passed + at as u64) {
                return Some(end);
            }
            at += 1;
        }
    }

    /// Whether the signature at `at`, which `distance` bytes lie before, ends the data.
    fn end_at(&self, window: &[u8], at: usize, distance: u64) -> Option<End> {
        let is = |place: usize, length: u64| match u32::try_from(length) {
            Ok(length) => u32_at(window, place) == Some(length),
            Err(_too_long) => u64_at(window, place) == Some(length),
        };
        if window.get(at..)?.starts_with(b"PK\x07\x08") {
            let is_wide = !is_record(window, at + 16) && is_record(window, at + 24);
            return is(at + 8, distance).then_some(End { data: at, next: at + if is_wide { 24 } else { 16 } });
        }
        if !is_record(window, at) {
            return None;
        }
        let without_signature = |size: usize| {
            let (data, length) = (at.checked_sub(size)?, distance.checked_sub(size as u64)?);
            is(data + 4, length).then_some(End { data, next: at })
        };
        let by_claim = || (self.claimed > 0 && distance == self.claimed).then_some(End { data: at, next: at });
        without_signature(12).or_else(|| without_signature(20)).or_else(by_claim)
    }
}

/// Whether a record that may follow an entry begins at `at`.
pub(super) fn is_record(window: &[u8], at: usize) -> bool {
    let signature = window.get(at..).and_then(|rest| rest.first_chunk::<4>());
    matches!(signature, Some(b"PK\x03\x04" | b"PK\x01\x02" | b"PK\x06\x08"))
}
