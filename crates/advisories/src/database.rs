//! Reading the file: lookups that touch a page or two, and unpack one frame of text.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use portcullis_errors::Hint;
use portcullis_model::{
    Advisory, AdvisoryKey, AdvisoryLookup, Affected, DatabaseInfo, DatabaseSource, Digest, Exploited, LookupError,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    decode::Cursor,
    format::{CVE_EPSS, CVE_KEV, CVE_RECORD, CveName, Section, parse_cve, slot_hash},
    map::Bytes,
    pages::{Pages, u32_at},
    records::{self, AdvisoryTexts},
    texts::{TextPlace, Texts, first_long_block},
};

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) starter: bool,
    pub(crate) built: Timestamp,
    pub(crate) sources: BTreeMap<String, MetaSource>,
    /// How many entries each ecosystem has.
    pub(crate) ecosystems: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetaSource {
    pub(crate) records: u64,
    pub(crate) newest: Option<Timestamp>,
}

/// Why a file is not a usable database.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("cannot open the advisory database {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is something else.
    #[error("the file is not an advisory database")]
    NotADatabase,
    /// It is of another version of the format.
    #[error("the advisory database is of format {found}; this version reads format {readable}")]
    Version {
        /// Of the file.
        found: u32,
        /// What this version reads.
        readable: u32,
    },
    /// Its bytes are not those that were written.
    #[error("the advisory database is damaged: {0}")]
    Damaged(String),
}

impl Hint for OpenError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } | Self::NotADatabase => "build one with `portcullis db build --from DIR`".into(),
            Self::Version { .. } | Self::Damaged(_) => {
                "build it again with `portcullis db build --from DIR`, or take it from where it came".into()
            }
        })
    }
}

impl From<LookupError> for OpenError {
    fn from(LookupError(what): LookupError) -> Self {
        Self::Damaged(what)
    }
}

/// An open database. Cheap to open, safe to share between threads, unaffected when its file is replaced.
pub struct Database {
    pages: Pages,
    meta: Meta,
    texts: Texts,
}

/// A record found by its id.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// Its key.
    pub key: AdvisoryKey,
    /// Its facts.
    pub advisory: Advisory,
}

impl Database {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// When it is not there, not a database, of another version, or damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let bytes = Bytes::map(path).map_err(|cause| OpenError::Read { path: path.to_owned(), cause })?;
        Self::from(bytes)
    }

    /// Takes a database that lies in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, OpenError> {
        Self::from(Bytes::Owned(bytes))
    }

    fn from(bytes: Bytes) -> Result<Self, OpenError> {
        let pages = Pages::open(bytes)?;
        let meta = pages.get(Section::Meta, 0, pages.length(Section::Meta))?;
        let meta = serde_json::from_slice(meta).map_err(|error| OpenError::Damaged(error.to_string()))?;
        Ok(Self { pages, meta, texts: Texts::default() })
    }

    /// What reports say of the database.
    #[must_use]
    pub fn info(&self) -> DatabaseInfo {
        let source = |(name, source): (&String, &MetaSource)| DatabaseSource {
            name: name.clone(),
            records: source.records,
            newest: source.newest,
        };
        DatabaseInfo {
            digest: self.digest(),
            built: self.meta.built,
            starter: self.meta.starter,
            sources: self.meta.sources.iter().map(source).collect(),
        }
    }

    /// Binds every byte of the database.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.pages.digest()
    }

    /// The ecosystems in it, with how many entries each has.
    #[must_use]
    pub const fn ecosystems(&self) -> &BTreeMap<String, u64> {
        &self.meta.ecosystems
    }

    /// How many advisories it holds.
    #[must_use]
    pub const fn advisory_count(&self) -> usize {
        (self.pages.length(Section::AdvisoryOffsets) / 4).saturating_sub(1)
    }

    /// Checks every page: what `db verify` does.
    ///
    /// # Errors
    /// When a page is damaged.
    pub fn verify(&self) -> Result<(), OpenError> {
        Ok(self.pages.check_all()?)
    }

    /// The records that speak of `id`: their own id, an alias, or a CVE that they fix.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn search(&self, id: &str) -> Result<Vec<SearchHit>, LookupError> {
        let hash = slot_hash(self.pages.key(), &[id.as_bytes()]);
        let matches = |mut cursor: Cursor<'_>| Ok(cursor.text()? == id);
        let Some(entry) = self.probe(hash, Section::IdSlots, Section::IdOffsets, Section::Ids, matches)? else {
            return Ok(Vec::new());
        };
        let mut cursor = Cursor::new(entry);
        cursor.text()?;
        let count = cursor.count()?;
        let keys = (0..count).map(|_| records::key(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        keys.into_iter().map(|key| Ok(SearchHit { key, advisory: self.advisory(key, false)? })).collect()
    }

    /// What is known of exploitation of `cve`.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn exploited(&self, cve: &str) -> Result<Exploited, LookupError> {
        let Some(wanted) = parse_cve(cve) else { return Ok(Exploited::default()) };
        let (mut low, mut high) = (0, self.pages.length(Section::Cves) / CVE_RECORD);
        while low < high {
            let middle = low + (high - low) / 2;
            let (year, number, record) = self.cve(middle)?;
            match (year, number).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(exploited(record)),
            }
        }
        Ok(Exploited::default())
    }

    /// Follows a hash table's probe sequence to the entry that `matches`.
    fn probe(
        &self,
        hash: u64,
        slots: Section,
        offsets: Section,
        data: Section,
        matches: impl Fn(Cursor<'_>) -> Result<bool, LookupError>,
    ) -> Result<Option<&[u8]>, LookupError> {
        let count = self.pages.length(slots) / 4;
        if count == 0 {
            return Ok(None);
        }
        let first = usize::try_from(hash % count as u64).unwrap_or_default();
        for step in 0..count {
            let slot = self.pages.u32(slots, (first + step) % count)?;
            let Some(number) = slot.checked_sub(1) else { return Ok(None) };
            let entry = self.pages.entry(offsets, data, number as usize)?;
            if matches(Cursor::new(entry))? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn cve(&self, index: usize) -> Result<(u16, u32, &[u8]), LookupError> {
        let record = self.pages.get(Section::Cves, index.saturating_mul(CVE_RECORD), CVE_RECORD)?;
        let number = u32_at(record, 4).unwrap_or_default();
        Ok((u16::from_le_bytes([record[0], record[1]]), number, record))
    }
}

impl AdvisoryLookup for Database {
    fn affected(&self, ecosystem: &str, name: &str) -> Result<Vec<Affected<'_>>, LookupError> {
        let hash = slot_hash(self.pages.key(), &[ecosystem.as_bytes(), b"\0", name.as_bytes()]);
        let matches = |mut cursor: Cursor<'_>| Ok(cursor.text()? == ecosystem && cursor.text()? == name);
        let entry = self.probe(hash, Section::PackageSlots, Section::PackageOffsets, Section::Packages, matches)?;
        entry.map_or_else(|| Ok(Vec::new()), records::affected)
    }

    fn covers(&self, ecosystem: &str) -> bool {
        self.meta.ecosystems.contains_key(ecosystem)
    }

    fn family(&self, base: &str) -> Vec<String> {
        let belongs =
            |name: &&String| name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        self.meta.ecosystems.keys().filter(belongs).cloned().collect()
    }

    fn advisory(&self, AdvisoryKey(number): AdvisoryKey, with_details: bool) -> Result<Advisory, LookupError> {
        let record = self.pages.entry(Section::AdvisoryOffsets, Section::Advisories, number as usize)?;
        let mut cursor = Cursor::new(record);
        let id = cursor.text()?;
        let level = cursor.byte()?;
        let score = cursor.number()?;
        let mut time =
            || cursor.number().map(|seconds| (seconds > 0).then(|| Timestamp::from_unix(seconds.cast_signed())));
        let (published, modified) = (time()?, time()?);
        let mut texts = AdvisoryTexts::of(id);
        let count = cursor.count()?;
        // A number alone reserves no memory.
        let mut facts = Vec::with_capacity(count.min(1000));
        for _ in 0..count {
            let (year, number, record) = self.cve(usize::try_from(cursor.number()?).unwrap_or(usize::MAX))?;
            texts.cve(&CveName { year, number });
            facts.push(exploited(record));
        }
        let mut numbers = [0; 6];
        for number in &mut numbers {
            *number = cursor.number()?;
        }
        let [short_block, short_start, long_block, long_start, short_length, long_length] = numbers;
        let place = TextPlace { block: short_block, start: short_start, length: short_length };
        self.texts.read(&self.pages, place, |text| texts.short_text(text))?;
        let mut advisory = Advisory { published, modified, exploited: facts, ..Advisory::default() };
        texts.fill(&mut advisory);
        advisory.severity.level = records::level(level);
        advisory.severity.score = score.checked_sub(1).map(|tenths| tenths as f64 / 10.0);
        if with_details && long_length > 0 {
            let block = first_long_block(&self.pages)?.saturating_add(long_block);
            let place = TextPlace { block, start: long_start, length: long_length };
            let read = |text: &[u8]| Ok(String::from_utf8_lossy(text).into_owned());
            advisory.details = self.texts.read(&self.pages, place, read)?;
        }
        Ok(advisory)
    }

    fn rest(&self) {
        self.pages.rest();
    }
}

/// What the record of a CVE says of its exploitation.
fn exploited(record: &[u8]) -> Exploited {
    let figure = |at| u32_at(record, at).map_or(0.0, |value| f64::from(value) / 1e9);
    let flags = record.get(2).copied().unwrap_or_default();
    let epss = (flags & CVE_EPSS != 0).then(|| (figure(8), figure(12)));
    Exploited { kev: flags & CVE_KEV != 0, epss }
}
