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
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use portcullis_model::{Timestamp, Warning};
use serde::Deserialize;

use crate::builder::{Batch, Builder};

/// Largest record taken, in bytes. The largest real one has some 5 MB.
const MAX_RECORD: u64 = 32 * 1024 * 1024;

/// Most members of an export taken.
const MAX_MEMBERS: usize = 5_000_000;

/// Largest unpacked EPSS file taken, in bytes; today's has 15 MB.
const MAX_EPSS: u64 = 512 * 1024 * 1024;

/// Members of an export read by one thread at a time.
const CHUNK: usize = 512;

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
    #[error("{} holds no advisories (no all.zip, no *.json)", path.display())]
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
    list(root, 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(SourceError::Nothing { path: root.to_owned() });
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

/// Every file below `directory` that may be a source. Links are not followed.
fn list(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), SourceError> {
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
        if kind.is_dir() && depth < MAX_DEPTH {
            list(&path, depth + 1, files)?;
        } else if kind.is_file()
            && !name.ends_with("_schema.json")
            && [".zip", ".json", ".csv.gz"].iter().any(|ending| name.ends_with(ending))
        {
            files.push(path);
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
    source.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// An export's records, read by every core.
fn add_export(builder: &mut Builder, name: &str, path: &Path) -> io::Result<()> {
    let members = zip::ZipArchive::new(BufReader::new(File::open(path)?))?.len();
    if members > MAX_MEMBERS {
        return Err(io::Error::other(format!("it has {members} members; {MAX_MEMBERS} are the most taken")));
    }
    let next = AtomicUsize::new(0);
    let batches = Mutex::new(Vec::new());
    let work = || -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= members {
                return Ok(());
            }
            let batch = read_members(&mut archive, start..(start + CHUNK).min(members));
            batches.lock().unwrap_or_else(PoisonError::into_inner).push((start, batch));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let outcome = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_panic| Err(io::Error::other("a worker failed"))))
    });
    let mut batches = batches.into_inner().unwrap_or_else(PoisonError::into_inner);
    batches.sort_by_key(|(start, _)| *start);
    batches.into_iter().for_each(|(_, batch)| builder.add_batch(name, batch));
    outcome
}

fn read_members(archive: &mut zip::ZipArchive<BufReader<File>>, members: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::default();
    for index in members {
        let mut member = match archive.by_index(index) {
            Ok(member) if member.is_dir() => continue,
            Ok(member) => member,
            Err(error) => {
                batch.warn(&format!("member {index}"), error.to_string());
                continue;
            }
        };
        let place = member.name().map_or_else(|_error| format!("member {index}"), |name| name.into_owned());
        match read_bounded(&mut member, MAX_RECORD) {
            Ok(json) => batch.add_record(&place, &json),
            Err(error) => batch.warn(&place, format!("cannot be unpacked: {error}")),
        }
    }
    batch
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
    builder.add_source("kev", count as u64, catalogue.date_released.and_then(|date| date.parse().ok()));
    Ok(())
}

/// FIRST's scores: a line of metadata, a header, then `cve,epss,percentile`.
fn add_predictions(builder: &mut Builder, path: &Path) -> io::Result<()> {
    let unpacked = flate2::read::MultiGzDecoder::new(BufReader::new(File::open(path)?)).take(MAX_EPSS);
    let mut newest: Option<Timestamp> = None;
    let mut count = 0;
    for line in BufReader::new(unpacked).lines() {
        let line = line?;
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
    builder.add_source("epss", count, newest);
    Ok(())
}

/// A probability in units of 1e-9, so that it comes out as it went in.
fn billionths(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    (0.0..=1.0).contains(&value).then_some((value * 1e9).round() as u32)
}
