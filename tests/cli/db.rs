//! `portcullis db …` as users run it: updates from a server on loopback, killed, without room, and signed databases.

use std::{
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use portcullis_advisories::Database;
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_model::Digest;
use portcullis_testkit::HttpServer;

use super::{outcome, portcullis};

/// A home, and a copy of OSV's bucket with one ecosystem.
struct Setting {
    home: tempfile::TempDir,
    server: HttpServer,
}

impl Setting {
    fn new() -> Self {
        let setting = Self { home: tempfile::tempdir().unwrap(), server: HttpServer::start() };
        setting.put("/ecosystems.txt", "npm\n");
        setting.serve(50, "2026-01-01T00:00:00Z");
        setting
    }

    /// Puts a file where it is found, asked for directly or through this server as a proxy.
    fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        let content = content.into();
        self.server.put(&format!("http://mirror.invalid{path}"), content.clone());
        self.server.put(path, content);
    }

    /// Serves so many records of one moment.
    fn serve(&self, count: usize, modified: &str) {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let mut list = String::new();
        for number in 0..count {
            let id = format!("GHSA-{number}");
            let noise: String = (0..20_u8).map(|step| Digest::of(&[step, number as u8]).hex()).collect();
            let json = format!(
                r#"{{"id":"{id}","modified":"{modified}","details":"{noise}","affected":[{{"package":
                {{"ecosystem":"npm","name":"left-pad"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}}]}}]}}]}}"#
            );
            zip.start_file(format!("{id}.json"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(json.as_bytes()).unwrap();
            self.put(&format!("/npm/{id}.json"), json);
            list.push_str(&format!("{modified},{id}\n"));
        }
        self.put("/npm/all.zip", zip.finish().unwrap().into_inner());
        self.put("/npm/modified_id.csv", list);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = portcullis();
        command.env("HOME", self.home.path()).current_dir(self.home.path()).env("COSIGN_PASSWORD", "pw");
        command.args(arguments);
        command
    }

    fn update(&self) -> Command {
        let from = self.server.url("");
        self.command(&["db", "update", "--plain-http", "--kev", "none", "--epss", "none", "--from", &from])
    }

    fn database(&self) -> PathBuf {
        self.home.path().join(".local/share/portcullis/portcullis.db")
    }

    /// The digest of the database in use, after every page was checked.
    fn digest(&self) -> Digest {
        let database = Database::open(&self.database()).unwrap();
        database.verify().unwrap();
        database.digest()
    }
}

#[test]
fn an_update_is_what_every_command_uses() {
    let setting = Setting::new();
    let (before, _) = outcome(&mut setting.command(&["db", "status"]), 0);
    assert!(before.starts_with("path        none: the starter"), "{before}");
    let (stdout, stderr) = outcome(&mut setting.update(), 0);
    let digest = setting.digest();
    assert!(stdout.contains("updated: 50 advisories") && stdout.contains(&digest.to_string()), "{stdout}");
    assert!(stderr.contains("npm: 50 records, fetched"), "{stderr}");
    let (status, _) = outcome(&mut setting.command(&["db", "status"]), 0);
    for line in [
        format!("path        {}", setting.database().display()),
        format!("digest      {digest}"),
        format!("from        {}", setting.server.url("")),
        "signature   none was checked".into(),
        "source      osv/npm".into(),
        "built       2026-01-01T00:00:00Z (".into(),
    ] {
        assert!(status.contains(&line), "{line}\n{status}");
    }
    outcome(&mut setting.command(&["db", "search", "GHSA-7"]), 0);
    outcome(&mut setting.command(&["db", "search", "GHSA-7", "--db", "starter"]), 1);
    outcome(&mut setting.command(&["db", "verify"]), 0);
    let root = setting.home.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    let scan = setting.command(&["scan", "rootfs:root", "-o", "json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&scan.stdout).unwrap();
    assert_eq!(report["database"]["digest"], digest.to_string());
    // The same again: nothing to do. Without a network: from what is at hand.
    let (stdout, _) = outcome(&mut setting.update(), 0);
    assert!(stdout.contains("is up to date"), "{stdout}");
    setting.server.requests();
    outcome(setting.update().arg("--offline"), 0);
    assert!(setting.server.requests().is_empty());
    assert_eq!(setting.digest(), digest);
}

#[test]
fn a_database_that_cannot_be_read_is_not_replaced_by_the_starter() {
    let setting = Setting::new();
    fs::create_dir_all(setting.database().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("nowhere", setting.database()).unwrap();
    let (stdout, stderr) = outcome(&mut setting.command(&["db", "status"]), 1);
    assert!(stdout.is_empty() && stderr.contains("cannot open the advisory database"), "{stderr}");
}

#[test]
fn a_failed_update_says_that_the_old_database_stays() {
    let setting = Setting::new();
    let (_, stderr) = outcome(setting.update().args(["--ecosystem", "npn"]), 1);
    assert!(stderr.contains("note: no database was written\nhint: one of npm"), "{stderr}");
    outcome(&mut setting.update(), 0);
    let digest = setting.digest();
    setting.server.remove("/ecosystems.txt");
    let (stdout, stderr) = outcome(&mut setting.update(), 1);
    assert!(stdout.is_empty() && stderr.contains("note: the database in use stays as it is: "), "{stderr}");
    assert!(stderr.contains("hint: "), "{stderr}");
    assert_eq!(setting.digest(), digest);
}

#[test]
fn a_proxy_is_taken_from_the_environment() {
    let setting = Setting::new();
    let mut update = setting.command(&["db", "update", "--plain-http", "--kev", "none", "--epss", "none"]);
    update.args(["--from", "http://mirror.invalid/"]).env_remove("NO_PROXY").env_remove("no_proxy");
    outcome(update.env("http_proxy", setting.server.url("")), 0);
    let asked = setting.server.requests();
    assert!(asked.iter().all(|request| request.path.starts_with("http://mirror.invalid/")), "{asked:?}");
    assert!(Database::open(&setting.database()).is_ok());
}

#[test]
fn what_has_much_less_is_refused_until_it_is_asked_for() {
    let setting = Setting::new();
    setting.serve(300, "2026-01-01T00:00:00Z");
    outcome(&mut setting.update(), 0);
    let digest = setting.digest();
    setting.serve(50, "2026-02-01T00:00:00Z");
    let (_, stderr) = outcome(&mut setting.update(), 1);
    assert!(stderr.contains("osv/npm has 50 records, and 300 before"), "{stderr}");
    assert!(stderr.contains("stays as it is") && stderr.contains("--allow-rollback"), "{stderr}");
    assert_eq!(setting.digest(), digest);
    let (_, stderr) = outcome(setting.update().arg("--allow-rollback"), 0);
    assert!(stderr.contains("warning: ") && stderr.contains("300 before"), "{stderr}");
    assert_ne!(setting.digest(), digest);
}

#[test]
fn without_a_home_the_places_must_be_named() {
    let setting = Setting::new();
    let (_, stderr) = outcome(setting.update().env_remove("HOME"), 1);
    assert!(stderr.contains("XDG_DATA_HOME"), "{stderr}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.db");
    let mut update = setting.update();
    update.env_remove("HOME").env("PORTCULLIS_DB", &file).env("PORTCULLIS_CACHE_DIR", folder.path().join("cache"));
    outcome(&mut update, 0);
    assert!(file.is_file() && folder.path().join("cache/updates/osv/npm/all.zip").is_file());
}

#[test]
fn killed_at_any_moment_the_database_is_whole() {
    let setting = Setting::new();
    outcome(&mut setting.update(), 0);
    let mut known = vec![setting.digest()];
    // Moments spread over the whole run, other ones each time.
    let mut random = u64::from(std::process::id());
    for round in 0..24 {
        setting.serve(300, &format!("2026-02-{:02}T00:00:00Z", round + 1));
        let mut child = setting.update().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((random >> 33) % 600));
        child.kill().unwrap();
        child.wait().unwrap();
        // It is the one before or the new one, never something in between; every command can read it.
        let digest = setting.digest();
        if !known.contains(&digest) {
            known.push(digest);
        }
        outcome(&mut setting.command(&["db", "search", "GHSA-7"]), 0);
    }
    outcome(&mut setting.update(), 0);
    let folder = setting.database().parent().unwrap().to_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".portcullis.db.lock", "portcullis.db", "portcullis.db.origin"]);
    let (status, _) = outcome(&mut setting.command(&["db", "status"]), 0);
    assert!(status.contains("built       2026-02-24"), "{status}");
}

#[test]
fn a_file_that_grows_too_large_leaves_the_old_database() {
    let setting = Setting::new();
    outcome(&mut setting.update(), 0);
    let digest = setting.digest();
    setting.serve(300, "2026-03-01T00:00:00Z");
    let update = setting.update();
    // In units of 1,024 bytes: too little for the archive at first, then for the database.
    for limit in ["8", "180"] {
        let mut limited = Command::new("bash");
        limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"")]);
        limited.arg(update.get_program()).args(update.get_args()).current_dir(setting.home.path()).env_clear();
        limited.envs(update.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let (_, stderr) = outcome(&mut limited, 1);
        assert!(stderr.contains("stays as it is") && stderr.contains("hint: make room"), "{limit}: {stderr}");
        assert_eq!(setting.digest(), digest);
    }
    outcome(&mut setting.update(), 0);
    assert_ne!(setting.digest(), digest);
}

/// A small file system in memory, for root alone.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_the_old_database() {
    for place in [".local/share/portcullis", ".cache/portcullis"] {
        let setting = Setting::new();
        let Some(_disk) = SmallDisk::mount(&setting.home.path().join(place), "200k") else {
            println!("skipped: a full disk: a file system cannot be mounted here");
            return;
        };
        setting.serve(20, "2026-01-01T00:00:00Z");
        outcome(&mut setting.update(), 0);
        let digest = setting.digest();
        setting.serve(600, "2026-03-01T00:00:00Z");
        let (_, stderr) = outcome(&mut setting.update(), 1);
        assert!(stderr.contains("stays as it is") && stderr.contains("hint: make room"), "{place}: {stderr}");
        assert_eq!(setting.digest(), digest);
        setting.serve(20, "2026-04-01T00:00:00Z");
        outcome(&mut setting.update(), 0);
    }
}

#[test]
fn a_database_is_published_taken_and_carried_over() {
    let publisher = Setting::new();
    outcome(&mut publisher.update(), 0);
    outcome(&mut publisher.command(&["key", "generate"]), 0);
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let address = format!("oci://{}/security/advisories:v1", registry.address());
    let (published, _) =
        outcome(&mut publisher.command(&["db", "publish", &address, "--plain-http", "--key", "cosign.key"]), 0);
    let digest = publisher.digest();
    assert!(published.contains(&format!("database {digest}")), "{published}");

    let user = Setting::new();
    let key = publisher.home.path().join("cosign.pub");
    let key = key.to_str().unwrap();
    let update = ["db", "update", "--plain-http", "--from", &address];
    let (_, stderr) = outcome(&mut user.command(&update), 2);
    assert!(stderr.contains("hint: --key PUBLIC"), "{stderr}");
    outcome(&mut user.command(&["key", "generate", "--output-prefix", "other"]), 0);
    let (_, stderr) = outcome(user.command(&update).args(["--key", "other.pub"]), 1);
    assert!(stderr.contains("not signed by anyone who is trusted"), "{stderr}");
    outcome(user.command(&update).args(["--key", key]), 0);
    assert_eq!(user.digest(), digest);
    let (status, _) = outcome(&mut user.command(&["db", "status"]), 0);
    assert!(status.contains("signature   checked: by key ") && status.contains(&address), "{status}");
    let (stdout, _) = outcome(user.command(&update).args(["--key", key]), 0);
    assert!(stdout.contains("is up to date"), "{stdout}");

    let (exported, _) = outcome(&mut user.command(&["db", "export", "db.tar"]), 0);
    assert!(exported.starts_with("db.tar: signed by key "), "{exported}");
    let far = Setting::new();
    let file = user.home.path().join("db.tar");
    let file = file.to_str().unwrap();
    outcome(&mut far.command(&["db", "import", file]), 2);
    outcome(&mut far.command(&["db", "import", file, "--key", key]), 0);
    assert_eq!(far.digest(), digest);
    let (status, _) = outcome(&mut far.command(&["db", "status"]), 0);
    assert!(status.contains("signature   checked: by key "), "{status}");
    // What is older is a step back.
    far.serve(60, "2026-08-01T00:00:00Z");
    outcome(&mut far.update(), 0);
    let (_, stderr) = outcome(&mut far.command(&["db", "import", file, "--key", key]), 1);
    assert!(stderr.contains("step back") && stderr.contains("--allow-rollback"), "{stderr}");
    outcome(&mut far.command(&["db", "import", file, "--key", key, "--allow-rollback"]), 0);
    // What is no archive is not quoted: it may be anything.
    let secret = far.home.path().join("secret");
    std::fs::write(&secret, "hunter2 ".repeat(200)).unwrap();
    let (_, stderr) = outcome(&mut far.command(&["db", "import", secret.to_str().unwrap(), "--key", key]), 1);
    assert!(stderr.contains("holds no database: it is no tar archive") && !stderr.contains("hunter2"), "{stderr}");
    assert_eq!(far.digest(), digest);
}
