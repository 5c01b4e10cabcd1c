//! Reading what a database is built from: a folder in the layout of OSV's public export, CISA's catalogue and
//! FIRST's scores.
//!
//! ```text
//! DIR/<Ecosystem>/all.zip, DIR/all.zip     OSV records, <https://google.github.io/osv.dev/data/>
//! DIR/**/*.json                            single OSV records, and CISA's catalogue by its name
//! DIR/**/epss_scores-*.csv.gz              <https://www.first.org/epss/data_stats>
//! ```

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use portcullis_model::{Timestamp, Warning};
use serde::Deserialize;
use zip::ZipArchive;

use crate::builder::{Batch, Builder};

/// Largest record taken, in bytes. The largest real one has some 5 MB.
const MAX_RECORD: u64 = 32 * 1024 * 1024;

/// Most members of an export taken.
const MAX_MEMBERS: usize = 5_000_000;

/// Most bytes of records of one export taken. The largest export there is has some 10 GB.
const MAX_EXPORT: u64 = 64 * 1024 * 1024 * 1024;

/// Bytes of records that a thread gathers before it hands them over.
const MAX_BATCH: usize = 1024 * 1024;

/// Bytes of an export read at a time.
const READ_AHEAD: usize = 64 * 1024;

/// Largest unpacked EPSS file taken, in bytes; today's has 15 MB.
const MAX_EPSS: u64 = 512 * 1024 * 1024;

/// Members of an export read by one thread at a time.
const CHUNK: usize = 64;

/// Deepest folder entered.
const MAX_DEPTH: usize = 6;

/// Why a source cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is nothing of use in the folder.
    #[error("{} holds no advisories (no all.zip, no *.json; links are not followed)", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

/// Adds everything below `root`: OSV exports, single records, CISA's catalogue, EPSS scores.
///
/// What cannot be read of a file is a warning; the rest is used.
///
/// # Errors
/// When the folder cannot be read, or holds nothing.
pub fn add_directory(builder: &mut Builder, root: &Path) -> Result<(), SourceError> {
    let mut files = Vec::new();
    let mut passed_over = Vec::new();
    list(root, 0, &mut files, &mut passed_over)?;
    files.sort();
    if files.is_empty() {
        return Err(SourceError::Nothing { path: root.to_owned() });
    }
    for path in passed_over {
        let place = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        builder.warn(Warning::gap(place, "a link, or too deep a folder, is not followed"));
    }
    for path in files {
        let name = source_name(root, &path);
        let added = match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
            file if file.ends_with(".zip") => add_export(builder, &name, &path),
            file if file.starts_with("known_exploited_vulnerabilities") => add_catalogue(builder, &path),
            file if file.ends_with(".csv.gz") => add_predictions(builder, &path),
            _ => add_file(builder, &name, &path),
        };
        if let Err(error) = added {
            builder.warn(Warning::gap(name, format!("cannot be read: {error}")));
        }
    }
    Ok(())
}

/// Every file below `directory` that may be a source, and what may lead to more. Links are not followed.
fn list(
    directory: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    passed_over: &mut Vec<PathBuf>,
) -> Result<(), SourceError> {
    let unreadable = |cause| SourceError::Read { path: directory.to_owned(), cause };
    if directory.is_file() {
        files.push(directory.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(unreadable)?;
        let is_source =
            !name.ends_with("_schema.json") && [".zip", ".json", ".csv.gz"].iter().any(|ending| name.ends_with(ending));
        if kind.is_dir() && depth < MAX_DEPTH {
            list(&path, depth + 1, files, passed_over)?;
        } else if kind.is_file() && is_source {
            files.push(path);
        } else if kind.is_dir() || (kind.is_symlink() && (is_source || path.is_dir())) {
            passed_over.push(path);
        }
    }
    Ok(())
}

/// `osv/<folder of the file>`, or the file's own name.
fn source_name(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let folder = relative.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.or_else(|| root.file_name().map(Path::new)).unwrap_or(relative);
    format!("osv/{}", folder.display()).replace("osv/osv", "osv")
}

fn add_file(builder: &mut Builder, name: &str, path: &Path) -> io::Result<()> {
    let json = read_bounded(File::open(path)?, MAX_RECORD)?;
    let place = path.file_name().unwrap_or_default().to_string_lossy();
    builder.add_record(name, &place, &json);
    Ok(())
}

fn read_bounded(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(source, limit, &mut bytes)?;
    Ok(bytes)
}

fn read_into(source: impl Read, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    source.take(limit + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(())
}

/// An export's records, read by every core. One list of its members serves all.
fn add_export(builder: &mut Builder, name: &str, path: &Path) -> io::Result<()> {
    let archive = ZipArchive::new(Positioned::open(path)?)?;
    let members = archive.len();
    if members > MAX_MEMBERS {
        return Err(io::Error::other(format!("it has {members} members; {MAX_MEMBERS} are the most taken")));
    }
    if archive.has_duplicate_names() {
        builder.warn(Warning::gap(name, "several of its members have the same name; one of each is read"));
    }
    let next = AtomicUsize::new(0);
    let unpacked = AtomicU64::new(0);
    let builder = Mutex::new(builder);
    let add = |batch| builder.lock().unwrap_or_else(PoisonError::into_inner).add_batch(name, batch);
    let work = |mut archive: ZipArchive<Positioned>| -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut batch = Batch::default();
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            for index in start..(start + CHUNK).min(members) {
                add_member(&mut archive, index, &mut buffer, &mut batch);
                let sum = unpacked.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                if sum > MAX_EXPORT {
                    add(batch);
                    return Err(io::Error::other(format!("it holds more than {MAX_EXPORT} bytes of records")));
                }
                if batch.size > MAX_BATCH {
                    add(std::mem::take(&mut batch));
                }
            }
            if start >= members {
                add(batch);
                return Ok(());
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let work = &work;
        let archives: Vec<_> = (0..threads).map(|_| archive.clone()).collect();
        let workers: Vec<_> = archives.into_iter().map(|archive| scope.spawn(move || work(archive))).collect();
        let mut outcomes = workers.into_iter().map(|worker| worker.join());
        outcomes.try_for_each(|outcome| outcome.unwrap_or_else(|_panic| Err(io::Error::other("a worker failed"))))
    })
}

/// Reads one member into `buffer`, and from there into `batch`.
fn add_member(archive: &mut ZipArchive<Positioned>, index: usize, buffer: &mut Vec<u8>, batch: &mut Batch) {
    buffer.clear();
    let mut member = match archive.by_index(index) {
        Ok(member) if member.is_dir() => return,
        Ok(member) => member,
        Err(error) => return batch.gap(&format!("member {index}"), error.to_string()),
    };
    let place = member.name().map_or_else(|_error| format!("member {index}"), |name| name.into_owned());
    match read_into(&mut member, MAX_RECORD, buffer) {
        Ok(()) => batch.add_record(&place, buffer),
        Err(error) => batch.gap(&place, format!("cannot be unpacked: {error}")),
    }
}

/// A buffered reader with a place of its own in a file that others read, too.
#[derive(Clone)]
struct Positioned {
    file: Arc<File>,
    position: u64,
    /// What was read last, and where it starts.
    buffer: Vec<u8>,
    start: u64,
}

impl Positioned {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(File::open(path)?), position: 0, buffer: Vec::new(), start: 0 })
    }

    fn buffered(&self) -> &[u8] {
        let at = self.position.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.buffer.get(at..)).unwrap_or_default()
    }
}

impl Read for Positioned {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.buffered().is_empty() {
            self.buffer.resize(READ_AHEAD, 0);
            let length = self.file.read_at(&mut self.buffer, self.position)?;
            self.buffer.truncate(length);
            self.start = self.position;
        }
        let length = self.buffered().read(target)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.file.metadata()?.len().checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// CISA's catalogue: <https://www.cisa.gov/known-exploited-vulnerabilities-catalog>.
fn add_catalogue(builder: &mut Builder, path: &Path) -> io::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Catalogue {
        date_released: Option<String>,
        vulnerabilities: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "cveID")]
        cve: String,
    }
    let json = read_bounded(File::open(path)?, MAX_RECORD)?;
    let catalogue: Catalogue = serde_json::from_slice(&json)?;
    let count = catalogue.vulnerabilities.iter().filter(|entry| builder.add_exploited(&entry.cve)).count();
    tell_unused(builder, "kev", count as u64, catalogue.vulnerabilities.len() as u64)?;
    builder.add_source("kev", count as u64, catalogue.date_released.and_then(|date| date.parse().ok()));
    Ok(())
}

/// FIRST's scores: a line of metadata, a header, then `cve,epss,percentile`.
fn add_predictions(builder: &mut Builder, path: &Path) -> io::Result<()> {
    let unpacked = flate2::read::MultiGzDecoder::new(BufReader::new(File::open(path)?)).take(MAX_EPSS);
    let mut newest: Option<Timestamp> = None;
    let (mut count, mut lines) = (0, 0);
    for line in BufReader::new(unpacked).lines() {
        let line = line?;
        lines += u64::from(!line.starts_with('#') && !line.starts_with("cve,"));
        if let Some((_, date)) = line.split_once("score_date:") {
            newest = date.get(..10).and_then(|date| date.parse().ok());
        }
        let mut fields = line.split(',');
        let (Some(cve), Some(score), Some(percentile)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if let (Some(score), Some(percentile)) = (billionths(score), billionths(percentile)) {
            count += u64::from(builder.add_prediction(cve, score, percentile));
        }
    }
    tell_unused(builder, "epss", count, lines)?;
    builder.add_source("epss", count, newest);
    Ok(())
}

/// Says how many lines of a catalogue are of no use; one of which nothing is of use is none.
fn tell_unused(builder: &mut Builder, name: &str, used: u64, all: u64) -> io::Result<()> {
    if used == 0 {
        return Err(io::Error::other(format!("none of the {all} entries of {name} can be used")));
    }
    if used < all {
        builder.warn(Warning::note(name, format!("{} of its {all} entries cannot be used", all - used)));
    }
    Ok(())
}

/// A probability in units of 1e-9, so that it comes out as it went in.
fn billionths(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&value).then_some((value * 1e9).round() as u32)
}
