//! Builds the file from normalised records, deterministically: what goes in is sorted, and nothing of the machine,
//! the clock or the order of arrival gets into the bytes.
//!
//! Memory holds a few numbers for each record. Its texts, and what it says of packages, are encoded when it arrives and
//! put aside, in a temporary file once they are many.

mod duplicates;
mod groups;
mod names;
mod output;
mod plan;
mod record;
mod records;
mod spool;
mod texts;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, BufWriter, Cursor, Seek, Write},
    path::{Path, PathBuf},
};

use duplicates::Duplicates;
use groups::{Groups, Linked};
use names::Names;
use output::Output;
use plan::Plan;
use portcullis_model::{Digest, Timestamp, Warning, WarningKind};
pub(crate) use record::Encoded;
use record::{Head, Piece};
use spool::Spool;
use write::Gathered;

use crate::{
    database::{Meta, MetaSource},
    format::{Section, parse_cve},
    normalise::normalise,
    osv::Record,
};

/// Most warnings kept word by word; a source of nothing but nonsense has no say in how much memory a build takes.
const MAX_WARNINGS: usize = 100_000;

/// zstd's level: the highest whose cost a build of all advisories can bear.
const LEVEL: i32 = 15;
/// The same for the starter, which is built when the program starts.
const STARTER_LEVEL: i32 = 1;

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
    /// What was read cannot be put aside.
    #[error("cannot use a temporary file (TMPDIR says where they lie)")]
    Spool(#[source] io::Error),
    /// The database's bytes cannot be written.
    #[error("cannot write the database")]
    Output(#[source] io::Error),
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
    /// Records that name no package: they lend others their aliases and severities, and are not in the database.
    pub without_packages: u64,
    /// Records whose id another record has, too.
    pub duplicates: u64,
    /// What could not be used, with the record's id.
    pub warnings: Vec<Warning>,
}

/// Gathers records, then writes the file.
#[derive(Default)]
pub struct Builder {
    heads: Vec<Head>,
    /// The record of each id, plus one; 0 for none.
    by_id: Vec<u32>,
    ids: Names,
    packages: Names,
    /// Aliases and upstream ids of every record.
    links: Vec<u32>,
    entries: Spool,
    texts: Spool,
    duplicates: Duplicates,
    /// Why records cannot be put aside: said when the file is to be written.
    failure: Option<io::Error>,
    sources: BTreeMap<String, MetaSource>,
    kev: BTreeSet<(u16, u32)>,
    epss: HashMap<(u16, u32), (u32, u32)>,
    starter: bool,
    as_of: Option<Timestamp>,
    withdrawn: u64,
    warnings: Vec<Warning>,
    unlisted_warnings: u64,
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

    /// Puts what does not stay in memory into files of this folder, rather than where the system wants temporary
    /// files: that may be memory, too. Set it before anything is added.
    #[must_use]
    pub fn temporary_files_in(mut self, directory: &Path) -> Self {
        self.entries.set_directory(directory.to_owned());
        self.texts.set_directory(directory.to_owned());
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
        let Batch { records, withdrawn, warnings, size: _ } = batch;
        self.withdrawn += withdrawn;
        warnings.into_iter().for_each(|warning| self.warn(warning));
        let as_of = self.as_of;
        let entry = self.sources.entry(source.to_owned()).or_default();
        entry.records += records.len() as u64;
        let is_past = |time: &Timestamp| as_of.is_none_or(|as_of| *time <= as_of);
        entry.newest = entry.newest.max(records.iter().filter_map(|record| record.modified).filter(is_past).max());
        let source = self.duplicates.source(source);
        for record in records {
            if self.failure.is_none()
                && let Err(error) = self.add(record, source)
            {
                self.failure = Some(error);
            }
        }
    }

    fn add(&mut self, record: Encoded, source: u32) -> io::Result<()> {
        let id = self.ids.number(&record.id);
        self.by_id.resize(self.ids.len(), 0);
        let known = self.by_id[id as usize].checked_sub(1).and_then(|number| self.heads.get(number as usize));
        if known.is_some_and(|known| known.is_same(&record)) {
            self.duplicates.count += 1;
            return Ok(());
        }
        let head = self.put_aside(id, record, source)?;
        match self.by_id[id as usize].checked_sub(1) {
            Some(number) => self.duplicates.add(head, number),
            None => {
                self.heads.push(head);
                self.by_id[id as usize] = self.heads.len() as u32;
            }
        }
        Ok(())
    }

    fn put_aside(&mut self, id: u32, record: Encoded, source: u32) -> io::Result<Head> {
        let links = self.links.len();
        for other in record.aliases.iter().chain(&record.upstream) {
            self.links.push(self.ids.number(other));
        }
        self.by_id.resize(self.ids.len(), 0);
        let mut entries = Vec::with_capacity(record.entries.len() + record.packages.len() * 8);
        let mut start = 0;
        let mut first_package = None;
        for (key, end) in &record.packages {
            let package = self.packages.number(key);
            first_package.get_or_insert(package);
            entries.extend_from_slice(&package.to_le_bytes());
            entries.extend_from_slice(&((end - start) as u32).to_le_bytes());
            entries.extend_from_slice(&record.entries[start..*end]);
            start = *end;
        }
        let place = self.texts.add(&[&record.text, record.details.as_bytes()])?;
        Ok(Head {
            id,
            source,
            level: record.level,
            score: record.score,
            published: record.published,
            modified: record.modified,
            first_package: first_package.unwrap_or_default(),
            packages: record.packages.len() as u32,
            entries: Piece { start: self.entries.add(&[&entries])?, length: entries.len() as u32 },
            text: Piece { start: place, length: record.text.len() as u32 },
            details: record.details.len() as u32,
            links,
            aliases: record.aliases.len() as u32,
            upstream: record.upstream.len() as u32,
            fingerprint: record.fingerprint,
        })
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
        if self.warnings.len() < MAX_WARNINGS || warning.kind == WarningKind::Gap {
            self.warnings.push(warning);
        } else {
            self.unlisted_warnings += 1;
        }
    }

    /// The database's bytes.
    ///
    /// # Errors
    /// When there is nothing to write, or too much.
    pub fn build(self) -> Result<(Vec<u8>, BuildSummary), BuildError> {
        let (sink, summary) = self.write_to(Cursor::new(Vec::new()))?;
        Ok((sink.into_inner(), summary))
    }

    /// Writes the database to `path`: into a file beside it, which then takes its place at one stroke.
    ///
    /// # Errors
    /// As [`Self::build`], and when the file cannot be written.
    pub fn write(self, path: &Path) -> Result<BuildSummary, BuildError> {
        use std::os::unix::fs::PermissionsExt as _;
        let unwritten = |cause| BuildError::Write { path: path.to_owned(), cause };
        replaceable(path).map_err(unwritten)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(unwritten)?;
        let sink = BufWriter::with_capacity(256 * 1024, file.as_file_mut());
        let (_, summary) = self.write_to(sink).map_err(|error| match error {
            BuildError::Output(cause) => unwritten(cause),
            error => error,
        })?;
        let finish = |file: tempfile::NamedTempFile| {
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)
        };
        finish(file).map_err(unwritten)?;
        Ok(summary)
    }

    fn write_to<W: Write + Seek>(mut self, sink: W) -> Result<(W, BuildSummary), BuildError> {
        if let Some(error) = self.failure.take() {
            return Err(BuildError::Spool(error));
        }
        let notes = self
            .duplicates
            .settle(&mut self.heads, &mut self.entries, &self.packages, &self.ids)
            .map_err(BuildError::Spool)?;
        notes.into_iter().for_each(|warning| self.warn(warning));
        let without_packages = self.heads.iter().filter(|head| head.packages == 0).count() as u64;
        if without_packages == self.heads.len() as u64 {
            return Err(BuildError::Empty);
        }
        let (sorted_ids, sorted_packages) = (self.ids.sorted(), self.packages.sorted());
        self.ids.freeze();
        self.packages.freeze();
        let linked = Linked { heads: &self.heads, links: &self.links, by_id: &self.by_id, ids: &self.ids };
        let groups = Groups::of(linked, &sorted_ids);
        let mut warnings = std::mem::take(&mut self.warnings);
        let cut = "it has more aliases or CVEs than are kept; by those beyond it is not found";
        warnings.extend(groups.cut.iter().map(|&id| Warning::gap(self.ids.get(id), cut)));
        if self.unlisted_warnings > 0 {
            warnings.push(Warning::note("", format!("{} more warnings are not listed", self.unlisted_warnings)));
        }
        warnings.sort();
        warnings.dedup();
        let plan = Plan::of(linked, sorted_ids, sorted_packages, groups);
        let (sink, digest, bytes, packages) = self.write_sections(&plan, sink)?;
        let (advisories, withdrawn, duplicates) = (plan.order.len() as u64, self.withdrawn, self.duplicates.count);
        let summary =
            BuildSummary { digest, bytes, advisories, packages, withdrawn, without_packages, duplicates, warnings };
        Ok((sink, summary))
    }

    fn write_sections<W: Write + Seek>(&self, plan: &Plan<'_>, sink: W) -> Result<(W, Digest, u64, u64), BuildError> {
        let gathered = Gathered {
            heads: &self.heads,
            ids: &self.ids,
            packages: &self.packages,
            entries: &self.entries,
            texts: &self.texts,
            kev: &self.kev,
            epss: &self.epss,
        };
        let mut out = Output::new(sink, gathered.key(plan)).map_err(BuildError::Output)?;
        let level = if self.starter { STARTER_LEVEL } else { LEVEL };
        let (packages, ecosystems) = gathered.write_packages(plan, &mut out)?;
        gathered.write_ids(plan, &mut out)?;
        gathered.write_cves(plan, &mut out)?;
        gathered.write_advisories(plan, level, &mut out)?;
        // What exploits and scores speak of is not what advisories do: fresh scores would hide that these are stale.
        let of_advisories = |name: &str| !matches!(name, "kev" | "epss");
        let newest = |which: &dyn Fn(&str) -> bool| {
            self.sources.iter().filter(|(name, _)| which(name)).filter_map(|(_, source)| source.newest).max()
        };
        let built = newest(&of_advisories).or_else(|| newest(&|_| true)).unwrap_or_else(|| Timestamp::from_unix(0));
        let meta = Meta { starter: self.starter, built, sources: self.sources.clone(), ecosystems };
        // Next to the page digests: opening reads both.
        let meta = serde_json::to_vec(&meta).unwrap_or_default();
        out.section(Section::Meta, &meta).map_err(BuildError::Output)?;
        let (sink, digest, bytes) = out.finish().map_err(BuildError::Output)?;
        Ok((sink, digest, bytes, packages))
    }
}

/// Whether a file may take the place at `path`. A device there, such as `/dev/null`, would be gone.
///
/// # Errors
/// When something is there that is neither a file nor a link to one.
pub fn replaceable(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        _ => Ok(()),
    }
}

/// Records that one thread has read and normalised.
#[derive(Default)]
pub(crate) struct Batch {
    records: Vec<Encoded>,
    withdrawn: u64,
    warnings: Vec<Warning>,
    /// Roughly what it takes of memory, in bytes.
    pub(crate) size: usize,
}

impl Batch {
    pub(crate) fn add_record(&mut self, place: &str, json: &[u8]) {
        match serde_json::from_slice::<Record>(json) {
            Ok(record) => {
                self.withdrawn += u64::from(record.withdrawn.is_some());
                let record = normalise(record, &mut self.warnings).map(Encoded::of);
                self.size += record.as_ref().map_or(0, Encoded::size);
                self.records.extend(record);
            }
            Err(error) => self.warn(place, format!("not an OSV record: {error}")),
        }
    }

    pub(crate) fn warn(&mut self, place: &str, message: String) {
        self.tell(Warning::note(place, message));
    }

    /// Something that could not be read: nobody knows what the database lacks.
    pub(crate) fn gap(&mut self, place: &str, message: String) {
        self.tell(Warning::gap(place, message));
    }

    fn tell(&mut self, warning: Warning) {
        self.size += warning.path.len() + warning.message.len();
        self.warnings.push(warning);
    }
}
