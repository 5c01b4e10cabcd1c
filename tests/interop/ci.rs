//! The CI/CD sensor at a real Docker engine: fifty images at once, kills, restarts, a full disk. Nothing is lost, nothing
//! is answered twice, and nothing but its own tags is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis_testkit::{AdvisoryRecord, ImageBuilder, Layer};
use serde_json::{Value, json};

use crate::{
    engines::{Daemon, can_run, containerd, dockerd},
    support::{is_on, portcullis, run},
};

/// How long anything may take before the test gives up; it is no measure.
const PATIENCE: Duration = Duration::from_secs(240);

/// An engine, and a folder for results.
struct Worker {
    folder: tempfile::TempDir,
    host: String,
}

impl Worker {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let output = run(Command::new("docker").args(["-H", &self.host]).args(arguments), &[0]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Loads an image that nobody else has.
    fn load(&self, name: &str, version: &str) {
        let manifest = format!(r#"{{"name": "lodash", "version": "{version}"}}"#);
        let layer = Layer::new().file("app/node_modules/lodash/package.json", manifest).file("name", name);
        let archive = self.path("image.tar");
        ImageBuilder::debian(12)
            .package("base-files", "12.4+deb12u5")
            .layer(layer)
            .name(name)
            .build()
            .write_docker_archive(&archive)
            .unwrap();
        self.docker(&["load", "-q", "-i", archive.to_str().unwrap()]);
    }

    /// Every name of every image, and the image's id.
    fn names(&self) -> BTreeMap<String, String> {
        let listed = self.docker(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
        let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_owned(), id.to_owned()));
        listed.lines().filter_map(pair).collect()
    }

    fn portcullis(&self, arguments: &[&str]) -> Command {
        let mut command = portcullis();
        command.env_remove("SOURCE_DATE_EPOCH").env("DOCKER_HOST", &self.host);
        command.env("PORTCULLIS_CACHE_DIR", self.path("cache")).env("PORTCULLIS_CI_RESULTS", self.path("results"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn watch(&self, more: &[&str]) -> Sensor {
        let log = fs::File::options().create(true).append(true).open(self.path("watch.log")).unwrap();
        let mut command = self.portcullis(&["ci", "watch", "--db", "one.db"]);
        Sensor(command.args(more).stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("watch.log")).unwrap_or_default()
    }

    fn records(&self, folder: &Path) -> Vec<Value> {
        let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
        let is_record = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.ends_with(".json") && !name.ends_with(".report.json")
        };
        files.filter(is_record).map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: &dyn Fn() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A sensor that ends with the test, as `kill -9` ends it.
struct Sensor(Child);

impl Drop for Sensor {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn worker() -> Option<(Daemon, Worker)> {
    if !is_on() || !can_run(&["dockerd", "docker"]) {
        return None;
    }
    let folder = tempfile::Builder::new().prefix("portcullis-ci").tempdir_in("/tmp").unwrap();
    let (daemon, host) = dockerd(folder.path());
    let worker = Worker { folder, host };
    fs::create_dir(worker.path("advisories")).unwrap();
    let severity = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    let advisory = AdvisoryRecord::new("CVE-2026-0001").affects("npm", "lodash", "0", Some("4.17.21"));
    fs::write(worker.path("advisories/one.json"), advisory.field("severity", severity).json()).unwrap();
    // A distribution of which the database knows nothing is unknown, which is no pass.
    let debian = AdvisoryRecord::new("CVE-2026-0002").affects("Debian:12", "zlib", "0", Some("1"));
    fs::write(worker.path("advisories/two.json"), debian.json()).unwrap();
    run(&mut worker.portcullis(&["db", "build", "--from", "advisories", "-o", "one.db"]), &[0]);
    Some((daemon, worker))
}

#[test]
fn fifty_images_at_once_are_each_answered_once_through_kills_and_restarts() {
    let Some((mut daemon, worker)) = worker() else { return };
    for number in 0..50 {
        // Every fifth one has nothing wrong with it.
        worker.load(&format!("app{number}:1"), if number % 5 == 0 { "4.17.21" } else { "4.17.15" });
    }
    worker.load("bystander:1", "4.17.15");
    worker.load("portcullis-target:alone", "4.17.21");
    let before = worker.names();
    let mut sensor = worker.watch(&[]);
    worker.until("it watches", &|| worker.log().contains("watching docker"));
    for number in 0..50 {
        // Both conventions.
        let tag = if number % 2 == 0 { "portcullis-target" } else { "qualys_scan_target" };
        worker.docker(&["tag", &format!("app{number}:1"), &format!("{tag}:{number}")]);
    }
    let results = worker.path("results");
    let answered = || worker.records(&results).len();
    worker.until("ten answers", &|| answered() >= 10);
    drop(sensor);
    sensor = worker.watch(&[]);
    worker.until("twenty-five answers", &|| answered() >= 25);
    drop(daemon);
    daemon = dockerd(worker.folder.path()).0;
    worker.until("all answers", &|| answered() == 51);
    let own = |name: &str| name.starts_with("portcullis-target:") || name.starts_with("qualys_scan_target:");
    worker.until("all tags taken off", &|| worker.names().keys().filter(|name| own(name)).count() == 1);
    // Only its own tags are gone, and not the one that is an image's only name.
    assert_eq!(worker.names(), before);
    let records = worker.records(&results);
    for record in &records {
        let name = record["name"].as_str().unwrap();
        let number: Option<u32> = name.strip_prefix("app").and_then(|rest| rest.strip_suffix(":1")?.parse().ok());
        let expected = if number.is_some_and(|number| number % 5 != 0) { 42 } else { 0 };
        assert_eq!(record["exitCode"], expected, "{record}");
    }
    let asked: BTreeSet<_> = records.iter().map(|record| record["image"].to_string()).collect();
    assert_eq!(asked.len(), 51);
    // Nothing is answered twice, whatever was killed when.
    let log = worker.log();
    for record in &records {
        let id = &record["image"].as_str().unwrap()[7..19];
        assert!(
            log.lines().filter(|line| line.contains(id) && line.contains("queued for")).count() <= 1,
            "{id}\n{log}"
        );
    }
    // The job's side.
    let output = run(&mut worker.portcullis(&["ci", "wait", "app1:1"]), &[42]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("CVE-2026-0001"));
    run(&mut worker.portcullis(&["ci", "wait", "app5:1", "-o", "json"]), &[0]);
    run(&mut worker.portcullis(&["ci", "wait", "bystander:1"]), &[1]);
    run(&mut worker.portcullis(&["ci", "wait", "portcullis-target:alone"]), &[0]);
    // Whoever asks again gets a new answer.
    let of = |name: &str| worker.records(&results).into_iter().find(|record| record["name"] == name).unwrap();
    let earlier = of("app1:1");
    std::thread::sleep(Duration::from_millis(1100));
    worker.docker(&["tag", "app1:1", "portcullis-target:again"]);
    run(&mut worker.portcullis(&["ci", "wait", "app1:1"]), &[42]);
    assert_ne!(of("app1:1")["finished"], earlier["finished"]);
    let metrics = fs::read_to_string(results.join("metrics.prom")).unwrap();
    println!("{}", metrics.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"));
    drop((sensor, daemon));
}

#[test]
fn what_takes_too_long_or_cannot_be_kept_is_no_pass() {
    let Some((_daemon, worker)) = worker() else { return };
    worker.load("app:1", "4.17.21");
    worker.docker(&["tag", "app:1", "portcullis-target:1"]);
    // Nobody watches.
    let output = run(&mut worker.portcullis(&["ci", "wait", "app:1", "--timeout", "1s"]), &[44]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("incomplete: there is no result of app:1"));
    // A scan that hangs: it reads a document that nobody writes.
    run(Command::new("mkfifo").arg(worker.path("vex.json")), &[0]);
    run(
        &mut worker.portcullis(&["ci", "watch", "--once", "--deadline", "1s", "--vex", "vex.json", "--db", "one.db"]),
        &[0],
    );
    let output = run(&mut worker.portcullis(&["ci", "wait", "app:1"]), &[44]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not done within 1 s"));
    // A disk that is full: the tag stays until the answer is written.
    let small = worker.path("small");
    fs::create_dir(&small).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&small), &[0]);
    worker.docker(&["tag", "app:1", "portcullis-target:2"]);
    worker.docker(&["tag", "app:1", "portcullis-target:3"]);
    let place = small.join("results");
    fs::create_dir(&place).unwrap();
    fs::write(small.join("filler"), vec![0; 252 << 10]).unwrap();
    let vex = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:vex:1", "author": "us", "version": 1,
        "timestamp": "2026-01-01T00:00:00Z",
        "statements": [{"vulnerability": {"name": "CVE-2026-9"}, "products": [{"@id": "pkg:npm/x"}], "status": "fixed"}],
    });
    fs::write(worker.path("none.json"), vex.to_string()).unwrap();
    let sensor = worker.watch(&["--results", place.to_str().unwrap(), "--workers", "1", "--vex", "none.json"]);
    worker.until("a full disk", &|| worker.log().contains("cannot be written yet"));
    assert!(worker.names().contains_key("portcullis-target:2"));
    assert_eq!(worker.records(&place).len(), 0);
    // One of the two tags is given to another image meanwhile, whose scan then hangs.
    worker.load("other:1", "4.17.15");
    worker.docker(&["tag", "other:1", "portcullis-target:3"]);
    fs::remove_file(worker.path("none.json")).unwrap();
    run(Command::new("mkfifo").arg(worker.path("none.json")), &[0]);
    fs::remove_file(small.join("filler")).unwrap();
    worker.until("room again", &|| !worker.names().contains_key("portcullis-target:2"));
    let is_settled = || worker.records(&place).iter().any(|record| record["tagsLeft"] == json!([]));
    worker.until("the answer is noted", &is_settled);
    let records = worker.records(&place);
    assert_eq!((records.len(), &records[0]["name"], &records[0]["exitCode"]), (1, &json!("app:1"), &json!(0)));
    // The request of the other image is still there, and is answered.
    assert_eq!(worker.names()["portcullis-target:3"], worker.names()["other:1"]);
    drop(sensor);
    // Whoever opens it for both waits for nobody, and ends the scan that was left waiting.
    drop(fs::File::options().read(true).write(true).open(worker.path("none.json")).unwrap());
    run(
        &mut worker.portcullis(&["ci", "watch", "--once", "--db", "one.db", "--results", place.to_str().unwrap()]),
        &[0],
    );
    run(&mut worker.portcullis(&["ci", "wait", "other:1", "--results", place.to_str().unwrap()]), &[42]);
    assert!(!worker.names().contains_key("portcullis-target:3"));
    run(Command::new("umount").arg(&small), &[0]);
}

#[test]
fn podman_s_images_are_answered_too() {
    if !is_on() || !can_run(&["podman"]) {
        return;
    }
    let folder = tempfile::Builder::new().prefix("portcullis-ci").tempdir_in("/tmp").unwrap();
    let folder = folder.path();
    let place = |name: &str| folder.join(name).display().to_string();
    let text =
        format!("[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n", place("root"), place("run"));
    fs::write(folder.join("storage.conf"), text).unwrap();
    let podman = || {
        let mut podman = Command::new("podman");
        podman.env("CONTAINERS_STORAGE_CONF", place("storage.conf"));
        podman.args(["--events-backend=file", "--cgroup-manager=cgroupfs"]);
        podman
    };
    let layer =
        Layer::new().file("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.15"}"#);
    ImageBuilder::debian(12)
        .layer(layer)
        .name("app:1")
        .build()
        .write_docker_archive(&folder.join("image.tar"))
        .unwrap();
    run(podman().args(["load", "-q", "-i", &place("image.tar")]), &[0]);
    let socket = folder.join("podman.sock");
    let host = format!("unix://{}", socket.display());
    let _daemon = Daemon::start(podman().args(["system", "service", "--time=0", &host]), &folder.join("log"), &socket);
    let ours = |arguments: &[&str]| {
        let mut command = portcullis();
        command.env_remove("SOURCE_DATE_EPOCH").env("CONTAINER_HOST", &host).env("PORTCULLIS_CI_ENGINE", "podman");
        command.env("CONTAINERS_STORAGE_CONF", place("storage.conf")).env("PORTCULLIS_CI_RESULTS", place("results"));
        command.env("PORTCULLIS_CACHE_DIR", place("cache")).args(arguments);
        command
    };
    let _sensor = Sensor(ours(&["ci", "watch"]).stderr(Stdio::null()).spawn().unwrap());
    // The name under which Podman keeps what has no registry.
    run(podman().args(["tag", "app:1", "portcullis-target:1"]), &[0]);
    let output = run(&mut ours(&["ci", "wait", "app:1", "--timeout", "4m"]), &[42, 44]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("CVE-2021-23337"));
    let names = || String::from_utf8(run(podman().args(["images", "-n"]), &[0]).stdout).unwrap();
    let started = Instant::now();
    while names().contains("portcullis-target") {
        assert!(started.elapsed() < PATIENCE, "{}", names());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(names().contains("/app"));
    // An overlay mount of the storage itself.
    _ = Command::new("umount").arg(folder.join("root/overlay")).stderr(Stdio::null()).status();
}

#[test]
fn containerd_s_images_are_answered_too() {
    if !is_on() || !can_run(&["containerd", "ctr"]) {
        return;
    }
    let folder = tempfile::Builder::new().prefix("portcullis-ci").tempdir_in("/tmp").unwrap();
    let folder = folder.path();
    let (socket, _daemon) = containerd(folder);
    let place = |name: &str| folder.join(name).display().to_string();
    let ctr = |arguments: &[&str]| {
        let mut ctr = Command::new("ctr");
        let output = run(ctr.args(["-a", &socket, "-n", "builds", "images"]).args(arguments), &[0]);
        String::from_utf8(output.stdout).unwrap()
    };
    let load = |name: &str, version: &str| {
        let manifest = format!(r#"{{"name": "lodash", "version": "{version}"}}"#);
        let layer = Layer::new().file("app/node_modules/lodash/package.json", manifest).file("name", name);
        let image = ImageBuilder::debian(12).layer(layer).name(name).build();
        image.write_docker_archive(&folder.join("image.tar")).unwrap();
        ctr(&["import", "--no-unpack", &place("image.tar")]);
    };
    load("docker.io/library/app:1", "4.17.15");
    load("docker.io/library/portcullis-target:alone", "4.17.15");
    load("docker.io/library/bystander:1", "4.17.21");
    let before = ctr(&["list", "-q"]);
    assert_eq!(before.lines().count(), 3, "{before}");
    let ours = |arguments: &[&str]| {
        let mut command = portcullis();
        command
            .env_remove("SOURCE_DATE_EPOCH")
            .env("CONTAINERD_ADDRESS", &socket)
            .env("CONTAINERD_NAMESPACE", "builds");
        command.env("PORTCULLIS_CI_ENGINE", "containerd").env("PORTCULLIS_CI_RESULTS", place("results"));
        command.env("PORTCULLIS_CACHE_DIR", place("cache")).args(arguments);
        command
    };
    let log = fs::File::create(folder.join("watch.log")).unwrap();
    let _sensor = Sensor(ours(&["ci", "watch"]).stderr(log).spawn().unwrap());
    let log = || fs::read_to_string(folder.join("watch.log")).unwrap();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{what}\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    until("the image without another name", &|| log().contains("queued for"));
    // As nerdctl writes it, and as `ctr` does.
    for tag in ["docker.io/library/portcullis-target:1", "portcullis-target:2"] {
        ctr(&["tag", "docker.io/library/app:1", tag]);
        let output = run(&mut ours(&["ci", "wait", "app:1", "--timeout", "4m"]), &[42, 44]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("CVE-2021-23337"));
        until("the tag taken off", &|| !ctr(&["list", "-q"]).contains(tag));
    }
    // Nothing else is touched, and the last name of an image stays.
    assert_eq!(ctr(&["list", "-q"]), before);
    assert_eq!(log().lines().filter(|line| line.contains("docker.io/library/app:1 (")).count(), 2, "{}", log());
}
