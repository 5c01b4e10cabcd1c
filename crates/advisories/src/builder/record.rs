//! A record as the builder keeps it: a few numbers in memory, its texts and what it says of packages put aside, in the
//! bytes that the file will hold.

use portcullis_model::{Digest, FixState, LookupError, SeverityLevel, Timestamp};

use crate::{
    decode::Cursor,
    encode::Writer,
    normalise::{Normalised, NormalisedPackage},
};

/// What a thread makes of a record.
pub(crate) struct Encoded {
    pub(super) id: String,
    pub(super) aliases: Vec<String>,
    pub(super) upstream: Vec<String>,
    pub(super) level: SeverityLevel,
    pub(super) score: u8,
    pub(super) published: Option<Timestamp>,
    pub(super) modified: Option<Timestamp>,
    /// For each package its key and where what is said of it ends in [`Self::entries`].
    pub(super) packages: Vec<(String, usize)>,
    pub(super) entries: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) details: String,
    /// Tells two records of one id apart.
    pub(super) fingerprint: u64,
}

/// What the builder keeps in memory of each record.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) id: u32,
    pub(super) source: u32,
    pub(super) level: SeverityLevel,
    /// Ten times CVSS, plus one; 0 for none.
    pub(super) score: u8,
    pub(super) published: Option<Timestamp>,
    pub(super) modified: Option<Timestamp>,
    /// The first of its packages, in their order.
    pub(super) first_package: u32,
    pub(super) packages: u32,
    pub(super) entries: Piece,
    /// The short texts, followed by the details.
    pub(super) text: Piece,
    pub(super) details: u32,
    /// Where its aliases start in the builder's list of ids; what is upstream follows them.
    pub(super) links: usize,
    pub(super) aliases: u32,
    pub(super) upstream: u32,
    pub(super) fingerprint: u64,
}

/// What decides which of two records of one id is taken; the greater one.
pub(super) type Rank = (Option<Timestamp>, u32, u32, u64);

impl Head {
    /// Which of two records of one id is taken: the later one; of two alike, the one that says more.
    pub(super) const fn rank(&self) -> Rank {
        (self.modified, self.packages, self.details, self.fingerprint)
    }
}

/// A part of a spool.
#[derive(Clone, Copy, Default)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) length: u32,
}

impl Encoded {
    pub(crate) fn of(record: Normalised) -> Self {
        let mut entries = Writer::default();
        let mut packages = Vec::with_capacity(record.affected.len());
        for package in &record.affected {
            write_package(package, &mut entries);
            packages.push((format!("{}\0{}", package.ecosystem, package.name), entries.bytes.len()));
        }
        let mut text = Writer::default();
        text.optional_text(record.severity.vector.as_deref());
        text.text(&record.summary);
        text.texts(record.cwes.iter().map(String::as_str));
        text.number(record.references.len() as u64);
        for reference in &record.references {
            text.text(&reference.kind);
            text.text(&reference.url);
        }
        let mut encoded = Self {
            level: record.severity.level,
            score: record.severity.score.map_or(0, |score| (score * 10.0).round().clamp(0.0, 100.0) as u8 + 1),
            published: record.published,
            modified: record.modified,
            packages,
            entries: entries.bytes,
            text: text.bytes,
            details: record.details,
            id: record.id,
            aliases: record.aliases,
            upstream: record.upstream,
            fingerprint: 0,
        };
        encoded.fingerprint = encoded.digest();
        encoded
    }

    fn digest(&self) -> u64 {
        let mut all = Writer::default();
        all.bytes.extend_from_slice(&[self.level as u8, self.score]);
        all.texts(self.aliases.iter().map(String::as_str));
        all.texts(self.upstream.iter().map(String::as_str));
        for (key, end) in &self.packages {
            all.text(key);
            all.number(*end as u64);
        }
        all.number(self.published.map_or(0, |time| time.unix().cast_unsigned()));
        for bytes in [&self.entries[..], &self.text, self.details.as_bytes()] {
            all.bytes.extend_from_slice(Digest::of(bytes).as_bytes());
        }
        let digest = Digest::of(&all.bytes);
        digest.as_bytes().iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    /// Roughly what it takes of memory.
    pub(crate) const fn size(&self) -> usize {
        self.entries.len() + self.text.len() + self.details.len() + self.packages.len() * 64 + 512
    }
}

/// The short texts as they were put aside.
pub(super) struct ShortText<'a> {
    pub(super) vector: Option<&'a str>,
    pub(super) title: &'a str,
    /// CWEs and links, as the file holds them.
    pub(super) rest: &'a [u8],
}

/// An entry as it was put aside.
pub(super) struct StoredEntry<'a> {
    pub(super) intervals: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> StoredEntry<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, LookupError> {
        let mut cursor = Cursor::new(bytes);
        let length = cursor.count()?;
        Ok(Self { intervals: cursor.take(length)?, rest: cursor.rest() })
    }
}

impl<'a> ShortText<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, LookupError> {
        let mut cursor = Cursor::new(bytes);
        Ok(Self { vector: cursor.optional_text()?, title: cursor.text()?, rest: cursor.rest() })
    }
}

/// A package entry as it is put aside: the length of its intervals and they themselves, which entries of one package
/// will share; then its flags, and what those announce.
fn write_package(package: &NormalisedPackage, out: &mut Writer) {
    let level = package.severity.map_or(0, |level| level as u8 + 1);
    let unfixed = match package.unfixed {
        None => 0,
        Some(FixState::WillNotFix) => 1,
        Some(FixState::Deferred) => 2,
        Some(FixState::EndOfLife) => 3,
        // No source says anything else.
        Some(_) => 0,
    };
    let lists = u8::from(!package.versions.is_empty()) | u8::from(!package.binaries.is_empty()) << 1;
    let mut intervals = Writer::default();
    intervals.number(package.intervals.len() as u64);
    for interval in &package.intervals {
        intervals.optional_text(interval.introduced.as_deref());
        intervals.optional_text(interval.fixed.as_deref());
        if interval.fixed.is_none() {
            intervals.optional_text(interval.last_affected.as_deref());
        }
    }
    out.number(intervals.bytes.len() as u64);
    out.bytes.extend_from_slice(&intervals.bytes);
    out.bytes.push(level | unfixed << 3 | lists << 5);
    for list in [&package.versions, &package.binaries] {
        if !list.is_empty() {
            out.texts(list.iter().map(String::as_str));
        }
    }
}
