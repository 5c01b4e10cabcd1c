//! What the tests share: a copy of OSV's bucket, and an update in a folder of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use portcullis_advisories::Database;
use portcullis_model::Timestamp;
use portcullis_testkit::HttpServer;
use portcullis_updates::{Event, FetchOptions, Fetcher, Installed, Sources, Update, UpdateError};

/// The folder of real data; says so where it is missing.
pub(crate) fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("PORTCULLIS_TEST_DATA").map_or(default, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "PORTCULLIS_TEST_DATA names no folder");
    println!("skipped: real data: PORTCULLIS_TEST_DATA names no folder");
    None
}

/// OSV's bucket, as a server on loopback.
pub(crate) struct Bucket {
    pub(crate) server: HttpServer,
    records: RefCell<BTreeMap<String, BTreeMap<String, Vec<u8>>>>,
}

/// A record of one package.
pub(crate) fn record(id: &str, modified: &str, package: &str, fixed: &str) -> Vec<u8> {
    let events = format!(r#"[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]"#);
    format!(
        r#"{{"id":"{id}","modified":"{modified}","summary":"{id}","affected":[{{"package":{{"ecosystem":"npm","name":"{package}"}},
        "ranges":[{{"type":"SEMVER","events":{events}}}]}}]}}"#
    )
    .into_bytes()
}

impl Bucket {
    pub(crate) fn start() -> Self {
        Self { server: HttpServer::start(), records: RefCell::default() }
    }

    /// One with a few records of `npm`.
    pub(crate) fn small(count: usize) -> Self {
        let bucket = Self::start();
        for number in 0..count {
            bucket.set(
                "npm",
                &format!("GHSA-{number}"),
                record(&format!("GHSA-{number}"), "2026-01-01T00:00:00Z", "left-pad", "1.0.0"),
            );
        }
        bucket.export("npm");
        bucket
    }

    /// One with the real records of some ecosystems.
    pub(crate) fn real(ecosystems: &[&str]) -> Option<Self> {
        let data = data()?;
        let bucket = Self::start();
        for ecosystem in ecosystems {
            let file = fs::File::open(data.join("osv").join(ecosystem).join("all.zip")).unwrap();
            let mut archive = zip::ZipArchive::new(file).unwrap();
            for number in 0..archive.len() {
                let mut member = archive.by_index(number).unwrap();
                let name = member.name().unwrap().into_owned();
                let mut json = Vec::new();
                member.read_to_end(&mut json).unwrap();
                bucket.set(ecosystem, name.trim_end_matches(".json"), json);
            }
            bucket.export(ecosystem);
        }
        Some(bucket)
    }

    /// Changes a record, and the lists; not the archive.
    pub(crate) fn set(&self, ecosystem: &str, id: &str, json: Vec<u8>) {
        self.server.put(&format!("/{ecosystem}/{id}.json"), json.clone());
        self.records.borrow_mut().entry(ecosystem.to_owned()).or_default().insert(id.to_owned(), json);
    }

    pub(crate) fn remove(&self, ecosystem: &str, id: &str) {
        self.server.remove(&format!("/{ecosystem}/{id}.json"));
        self.records.borrow_mut().get_mut(ecosystem).unwrap().remove(id);
    }

    /// Writes the lists anew.
    pub(crate) fn list(&self, ecosystem: &str) {
        let records = self.records.borrow();
        let line = |(id, json): (&String, &Vec<u8>)| {
            let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
            format!("{},{id}", value["modified"].as_str().unwrap_or("0001-01-01T00:00:00Z"))
        };
        let mut lines: Vec<String> = records[ecosystem].iter().map(line).collect();
        lines.sort();
        lines.reverse();
        self.server.put(&format!("/{ecosystem}/modified_id.csv"), lines.join("\n"));
        let names: Vec<&str> = records.keys().map(String::as_str).collect();
        self.server.put("/ecosystems.txt", format!("{}\nGIT\n", names.join("\n")));
    }

    /// Writes the archive and the lists anew.
    pub(crate) fn export(&self, ecosystem: &str) {
        self.list(ecosystem);
        self.server.put(&format!("/{ecosystem}/all.zip"), self.archive(ecosystem));
    }

    pub(crate) fn archive(&self, ecosystem: &str) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (id, json) in &self.records.borrow()[ecosystem] {
            zip.start_file(format!("{id}.json"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(json).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Paths that were asked for since the last time, with the status and the bytes sent.
    pub(crate) fn asked(&self) -> Vec<(String, u16, usize)> {
        let mut asked: Vec<_> =
            self.server.requests().into_iter().map(|request| (request.path, request.status, request.sent)).collect();
        asked.sort();
        asked
    }
}

/// An update's places, in a folder that goes away.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) update: Update,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let update = Update {
            path: folder.path().join("data/portcullis.db"),
            cache: folder.path().join("cache"),
            now: "2026-11-25T00:00:00Z".parse::<Timestamp>().unwrap(),
            timeout: Duration::from_secs(300),
        };
        Self { folder, update, events: Mutex::default() }
    }

    pub(crate) fn tell(&self) -> impl Fn(Event) + Sync + '_ {
        |event| self.events.lock().unwrap().push(event)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub(crate) fn database(&self) -> Database {
        let database = Database::open(&self.update.path).unwrap();
        database.verify().unwrap();
        database
    }

    pub(crate) async fn run(&self, bucket: &Bucket) -> Result<Installed, UpdateError> {
        self.run_with(&sources(bucket)).await
    }

    pub(crate) async fn run_with(&self, sources: &Sources) -> Result<Installed, UpdateError> {
        let fetcher = Fetcher::new(options()).unwrap();
        self.update.from_export(&fetcher, sources, &self.tell()).await
    }

    /// Nothing but the database and what belongs to it is left.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let names = fs::read_dir(self.folder.path().join("data")).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [".portcullis.db.lock", "portcullis.db", "portcullis.db.origin"]);
    }
}

pub(crate) fn options() -> FetchOptions {
    FetchOptions { plain_http: true, back_off: Duration::from_millis(1), retries: 4, ..FetchOptions::default() }
}

pub(crate) fn sources(bucket: &Bucket) -> Sources {
    let export = bucket.server.url("");
    Sources { export, ecosystems: Vec::new(), kev: None, epss: None, allow_rollback: false }
}
