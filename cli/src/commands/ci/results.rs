//! The folder where jobs wait for their results: one record and one report for each image, written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis_model::{Digest, Report, Timestamp};
use portcullis_policy::ExitStatus;
use serde::{Deserialize, Serialize};

use crate::diagnostics::{Context as _, Failure};

/// Largest record and report read, in bytes.
const MAX_RECORD: u64 = 1 << 20;
const MAX_REPORT: u64 = 256 << 20;
/// The version of the record.
const VERSION: u32 = 1;

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) schema_version: u32,
    /// Its id, `sha256:…`.
    pub(crate) image: String,
    /// What it is called, beside the tag that asked.
    pub(crate) name: String,
    /// What `ci wait` exits with.
    pub(crate) exit_code: u8,
    /// Why there is no report.
    pub(crate) message: Option<String>,
    pub(crate) finished: Timestamp,
    /// From the moment when the tag was seen to the start of the scan.
    pub(crate) queue_milliseconds: u64,
    pub(crate) scan_milliseconds: u64,
    /// Tags that asked, were answered, and are still there. Any other tag of the pattern asks anew.
    pub(crate) tags_left: Vec<String>,
    /// Whether one of them is the last name of the image, which is never taken off.
    pub(crate) is_last: bool,
    /// The digest of the report's file; none where there is none.
    pub(crate) report: Option<Digest>,
}

impl Record {
    pub(crate) fn new(image: &str, name: &str, finished: Timestamp) -> Self {
        Self {
            schema_version: VERSION,
            image: image.to_owned(),
            name: name.to_owned(),
            exit_code: ExitStatus::Incomplete.code(),
            message: None,
            finished,
            queue_milliseconds: 0,
            scan_milliseconds: 0,
            tags_left: Vec::new(),
            is_last: false,
            report: None,
        }
    }

    /// Whether both are of the same scan, whatever became of its tags since.
    pub(crate) fn is_same_scan(&self, other: &Self) -> bool {
        let of_scan = |record: &Self| Self { tags_left: Vec::new(), is_last: false, ..record.clone() };
        of_scan(self) == of_scan(other)
    }

    /// What to exit with; a code that nobody knows is no pass.
    pub(crate) fn status(&self) -> ExitStatus {
        let known = ExitStatus::ALL.into_iter().find(|status| status.code() == self.exit_code);
        known.unwrap_or(ExitStatus::Incomplete)
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    folder: PathBuf,
}

impl Results {
    pub(crate) const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder, and takes it: two sensors would scan each image twice. Held as long as the file is open.
    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let what = || format!("cannot use {}", self.folder.display());
        fs::create_dir_all(&self.folder).context(what)?;
        let file = File::create(self.folder.join(".lock")).context(what)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => {
                Err(Failure::new(format!("another sensor writes its results to {}", self.folder.display()))
                    .with_hint("give this one a folder of its own with --results"))
            }
            Err(fs::TryLockError::Error(error)) => Err(error).context(what),
        }
    }

    fn file(&self, id: &str, ending: &str) -> Option<PathBuf> {
        // Only what is an id becomes a path.
        let hex = id.strip_prefix("sha256:").filter(|hex| hex.len() == 64)?;
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_hex.then(|| self.folder.join(format!("{hex}{ending}")))
    }

    /// The record of an image; none where there is none that can be read.
    pub(crate) fn record(&self, id: &str) -> Option<Record> {
        let bytes = read(&self.file(id, ".json")?, MAX_RECORD)?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        (record.schema_version == VERSION && record.image == id).then_some(record)
    }

    /// The report that a record speaks of; none where it is not there, or is another one by now.
    pub(crate) fn report(&self, record: &Record) -> Option<Report> {
        let bytes = read(&self.file(&record.image, ".report.json")?, MAX_REPORT)?;
        (Some(Digest::of(&bytes)) == record.report).then(|| serde_json::from_slice(&bytes).ok())?
    }

    /// Writes report and record; who reads sees the earlier ones or these.
    pub(crate) fn write(&self, record: &Record, report: Option<&[u8]>) -> io::Result<()> {
        let place =
            |ending| self.file(&record.image, ending).ok_or_else(|| io::Error::other("it is no id of an image"));
        if let Some(report) = report {
            whole(&place(".report.json")?, report)?;
        }
        whole(&place(".json")?, &serde_json::to_vec_pretty(record)?)?;
        // The names are as durable as the contents.
        File::open(&self.folder)?.sync_all()
    }

    /// Marks that a job waits: its image comes first. A job that may not write here waits like any other.
    pub(crate) fn wait_for(&self, id: &str) {
        if let Some(path) = self.file(id, ".waiting") {
            drop(File::create(path));
        }
    }

    pub(crate) fn stop_waiting(&self, id: &str) {
        if let Some(path) = self.file(id, ".waiting") {
            drop(fs::remove_file(path));
        }
    }

    pub(crate) fn is_awaited(&self, id: &str) -> bool {
        self.file(id, ".waiting").is_some_and(|path| path.exists())
    }

    /// Removes what is older than `age`: nobody waits for it any more.
    pub(crate) fn prune(&self, age: Duration) {
        let is_old = |file: &fs::DirEntry| {
            let name = file.file_name();
            let is_ours = [".json", ".waiting", ".tmp"].iter().any(|ending| name.to_string_lossy().ends_with(ending));
            let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
            is_ours && modified.and_then(|moment| moment.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
        };
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        // What cannot be removed is tried again another time.
        files.filter(is_old).for_each(|file| drop(fs::remove_file(file.path())));
    }

    /// A further file of the folder, for those who watch the sensor.
    pub(crate) fn write_beside(&self, name: &str, text: &str) -> io::Result<()> {
        whole(&self.folder.join(name), text.as_bytes())
    }
}

fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let size = fs::metadata(path).ok()?.len();
    if size > limit { None } else { fs::read(path).ok() }
}

/// Writes a file under another name, and gives it its own once it is whole.
fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // What is half written takes room that may be scarce.
        drop(fs::remove_file(&temporary));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is() {
        let folder = std::env::temp_dir().join(format!("portcullis-results-{}", std::process::id()));
        let results = Results::at(folder.clone());
        let lock = results.lock().unwrap();
        assert!(results.lock().is_err());
        let id = format!("sha256:{}", "ab".repeat(32));
        let mut record = Record::new(&id, "app:1", Timestamp::from_unix(1_790_000_000));
        assert_eq!(results.record(&id), None);
        results.write(&record, None).unwrap();
        assert_eq!(results.record(&id).unwrap(), record);
        assert_eq!(record.status(), ExitStatus::Incomplete);
        // A report that is not the one of the record is none.
        record.report = Some(Digest::of(b"{}"));
        results.write(&record, Some(b"[]")).unwrap();
        assert!(results.report(&record).is_none());
        record.exit_code = 7;
        assert_eq!(record.status(), ExitStatus::Incomplete);
        for wrong in ["", "sha256:", "sha256:../../etc/passwd", "app", "md5:00"] {
            assert!(results.file(wrong, ".json").is_none(), "{wrong}");
        }
        results.prune(Duration::from_secs(3600));
        assert!(results.record(&id).is_some());
        fs::write(folder.join("other.txt"), "").unwrap();
        results.prune(Duration::ZERO);
        assert!(results.record(&id).is_none() && folder.join("other.txt").exists());
        fs::write(folder.join(format!("{}.json", "ab".repeat(32))), "{}").unwrap();
        assert_eq!(results.record(&id), None);
        drop(lock);
        fs::remove_dir_all(folder).unwrap();
    }
}
