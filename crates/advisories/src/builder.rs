//! Builds the file from normalised records, deterministically: what goes in is sorted, and nothing of the machine,
//! the clock or the order of arrival gets into the bytes.

mod groups;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::{Path, PathBuf},
};

use portcullis_model::{Digest, Timestamp, Warning};

use crate::{
    database::{Meta, MetaSource},
    format::parse_cve,
    normalise::{Normalised, normalise},
    osv::Record,
};

/// Why a database could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The sources held nothing that can be used.
    #[error("there are no usable advisories in the sources")]
    Empty,
    /// It would be larger than the format can address.
    #[error("the database would be larger than {0} bytes in one section")]
    TooLarge(u64),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Texts cannot be compressed.
    #[error("cannot compress")]
    Compress(#[source] io::Error),
}

/// What a build made.
#[derive(Debug, Clone)]
pub struct BuildSummary {
    /// The database's digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Advisories in it.
    pub advisories: u64,
    /// Packages in it.
    pub packages: u64,
    /// Records that were withdrawn at their source.
    pub withdrawn: u64,
    /// What could not be used, with the record's id.
    pub warnings: Vec<Warning>,
}

/// Gathers records, then writes the file.
#[derive(Default)]
pub struct Builder {
    records: HashMap<String, Normalised>,
    sources: BTreeMap<String, MetaSource>,
    kev: BTreeSet<(u16, u32)>,
    epss: HashMap<(u16, u32), (u32, u32)>,
    starter: bool,
    as_of: Option<Timestamp>,
    withdrawn: u64,
    warnings: Vec<Warning>,
}

impl Builder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks the result as the small database that is compiled into the program.
    #[must_use]
    pub const fn starter(mut self) -> Self {
        self.starter = true;
        self
    }

    /// The moment of the build: a change that a record dates later does not make the database newer than it is. Set it
    /// before anything is added.
    #[must_use]
    pub const fn as_of(mut self, now: Timestamp) -> Self {
        self.as_of = Some(now);
        self
    }

    /// Adds one OSV record in JSON. `place` names it in warnings.
    pub fn add_record(&mut self, source: &str, place: &str, json: &[u8]) {
        let mut batch = Batch::default();
        batch.add_record(place, json);
        self.add_batch(source, batch);
    }

    /// Adds what a thread of its own has read.
    pub(crate) fn add_batch(&mut self, source: &str, batch: Batch) {
        let Batch { records, withdrawn, warnings } = batch;
        self.withdrawn += withdrawn;
        self.warnings.extend(warnings);
        let entry = self.sources.entry(source.to_owned()).or_default();
        entry.records += records.len() as u64;
        let is_past = |time: &Timestamp| self.as_of.is_none_or(|as_of| *time <= as_of);
        entry.newest = entry.newest.max(records.iter().filter_map(|record| record.modified).filter(is_past).max());
        for record in records {
            match self.records.get(&record.id) {
                // The same record in two sources: the later one; of two alike, either.
                Some(known) if supersedes(known, &record) => {}
                _ => _ = self.records.insert(record.id.clone(), record),
            }
        }
    }

    /// Adds a CVE of CISA's catalogue; false if `id` is none.
    pub(crate) fn add_exploited(&mut self, id: &str) -> bool {
        parse_cve(id).map(|cve| self.kev.insert(cve)).is_some()
    }

    /// Adds an EPSS score, both figures in units of 1e-9; false if `id` is no CVE.
    pub(crate) fn add_prediction(&mut self, id: &str, score: u32, percentile: u32) -> bool {
        parse_cve(id).map(|cve| self.epss.insert(cve, (score, percentile))).is_some()
    }

    pub(crate) fn add_source(&mut self, name: &str, records: u64, newest: Option<Timestamp>) {
        let newest = newest.filter(|time| self.as_of.is_none_or(|as_of| *time <= as_of));
        self.sources.insert(name.to_owned(), MetaSource { records, newest });
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// The database's bytes.
    ///
    /// # Errors
    /// When there is nothing to write, or too much.
    pub fn build(self) -> Result<(Vec<u8>, BuildSummary), BuildError> {
        let Self { records, sources, kev, epss, starter, as_of: _, withdrawn, mut warnings } = self;
        let mut records: Vec<Normalised> = records.into_values().filter(|record| !record.affected.is_empty()).collect();
        if records.is_empty() {
            return Err(BuildError::Empty);
        }
        // Neighbours in the file are neighbours in a scan: texts of one package's advisories share a block.
        records.sort_by(|a, b| write::place(a).cmp(&write::place(b)));
        let built = sources.values().filter_map(|source| source.newest).max();
        let meta = Meta {
            starter,
            built: built.unwrap_or_else(|| Timestamp::from_unix(0)),
            sources,
            ecosystems: BTreeMap::new(),
        };
        let groups = groups::Groups::of(&records);
        let advisories = records.len() as u64;
        let (bytes, digest, packages) = write::database(&records, &groups, meta, &kev, &epss)?;
        warnings.sort();
        let bytes_written = bytes.len() as u64;
        Ok((bytes, BuildSummary { digest, bytes: bytes_written, advisories, packages, withdrawn, warnings }))
    }

    /// Writes the database to `path`: into a file beside it, which then takes its place at one stroke.
    ///
    /// # Errors
    /// As [`Self::build`], and when the file cannot be written.
    pub fn write(self, path: &Path) -> Result<BuildSummary, BuildError> {
        let (bytes, summary) = self.build()?;
        write_atomically(path, &bytes).map_err(|cause| BuildError::Write { path: path.to_owned(), cause })?;
        Ok(summary)
    }
}

/// Whether `known` stays when `other` of the same id arrives, whatever the order of arrival.
fn supersedes(known: &Normalised, other: &Normalised) -> bool {
    let rank = |record: &Normalised| (record.modified, record.affected.len(), record.details.len());
    rank(known).cmp(&rank(other)).then_with(|| format!("{known:?}").cmp(&format!("{other:?}"))).is_ge()
}

fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Records that one thread has read and normalised.
#[derive(Default)]
pub(crate) struct Batch {
    records: Vec<Normalised>,
    withdrawn: u64,
    warnings: Vec<Warning>,
}

impl Batch {
    pub(crate) fn add_record(&mut self, place: &str, json: &[u8]) {
        match serde_json::from_slice::<Record>(json) {
            Ok(record) => {
                self.withdrawn += u64::from(record.withdrawn.is_some());
                self.records.extend(normalise(record, &mut self.warnings));
            }
            Err(error) => self.warn(place, format!("not an OSV record: {error}")),
        }
    }

    pub(crate) fn warn(&mut self, place: &str, message: String) {
        self.warnings.push(Warning::note(place, message));
    }
}
