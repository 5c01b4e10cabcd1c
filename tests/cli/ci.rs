//! The CI/CD sensor at an engine that answers as a test says; `interop` has it at the real ones.

use std::{fs, process::Command, time::Duration};

use portcullis_model::Digest;
use portcullis_testkit::{BuiltImage, Fault, HttpServer, ImageBuilder, Layer};
use serde_json::{Value, json};

use crate::{outcome, portcullis};

/// An engine that speaks of images as Docker does, and a folder for results.
struct Worker {
    folder: tempfile::TempDir,
    engine: HttpServer,
    images: Vec<Value>,
}

impl Worker {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), engine: HttpServer::start(), images: Vec::new() }
    }

    /// Adds an image; its id.
    fn add(&mut self, name: &str, tags: &[&str]) -> String {
        let image: BuiltImage = ImageBuilder::debian(12)
            .package("base-files", "12.4+deb12u5")
            .layer(Layer::new().file("name", name))
            .name(name)
            .build();
        let archive = self.folder.path().join("image.tar");
        image.write_docker_archive(&archive).unwrap();
        let archive = fs::read(archive).unwrap();
        let id = image.config_digest().to_string();
        let inspected = json!({"Id": id, "RepoTags": tags}).to_string();
        for name in tags.iter().copied().chain([id.as_str()]) {
            self.engine.put(&format!("/images/{name}/json"), inspected.clone());
            self.engine.put(&format!("/images/{name}/get"), archive.clone());
            self.engine.put(&format!("/images/{name}?noprune=true&force=false"), "[]");
        }
        self.images.push(json!({"Id": id, "RepoTags": tags}));
        self.engine.put("/images/json", Value::from(self.images.clone()).to_string());
        id
    }

    fn portcullis(&self, arguments: &[&str]) -> Command {
        let mut command = portcullis();
        command.env("DOCKER_HOST", format!("tcp://{}", self.engine.address()));
        command.current_dir(self.folder.path()).args(arguments).args(["--results", "results"]);
        command
    }

    /// Scans what is tagged now.
    fn once(&self, code: i32) -> String {
        outcome(&mut self.portcullis(&["ci", "watch", "--once"]), code).1
    }

    fn result(&self, id: &str, ending: &str) -> Option<Value> {
        let file = self.folder.path().join("results").join(format!("{}{ending}", &id["sha256:".len()..]));
        fs::read(file).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[track_caller]
    fn record(&self, id: &str) -> Value {
        self.result(id, ".json").unwrap_or_else(|| panic!("there is no record of {id}"))
    }
}

#[test]
fn an_image_that_the_engine_cannot_describe_is_incomplete_and_keeps_no_other_waiting() {
    let mut worker = Worker::new();
    let broken = worker.add("broken:1", &["broken:1", "portcullis-target:1"]);
    let odd = worker.add("odd:1", &["odd:1", "portcullis-target:2"]);
    let fine = worker.add("app:1", &["app:1", "portcullis-target:3"]);
    for name in [broken.as_str(), "broken:1", "portcullis-target:1"] {
        worker.engine.fail(&format!("/images/{name}/json"), vec![Fault::Status(500, vec![]); 100]);
    }
    worker.engine.fail(&format!("/images/{odd}/json"), vec![Fault::Body(b"[]".to_vec()); 100]);
    worker.once(0);
    assert_eq!(worker.record(&fine)["name"], "app:1");
    assert_eq!(worker.record(&fine)["message"], Value::Null);
    for (id, why) in [(&broken, "it answers 500"), (&odd, "cannot be read")] {
        let record = worker.record(id);
        assert_eq!(record["exitCode"], 44);
        assert!(record["message"].as_str().unwrap().contains(why), "{record}");
    }
    // It is answered once, and not again at each look.
    let earlier = worker.record(&broken);
    worker.once(0);
    assert_eq!(worker.record(&broken), earlier);
}

#[test]
fn a_tag_that_was_moved_to_another_image_is_left_to_it() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    let other = json!({"Id": Digest::of(b"other").to_string(), "RepoTags": ["other:1", "portcullis-target:1"]});
    worker.engine.put("/images/portcullis-target:1/json", other.to_string());
    worker.once(0);
    assert_eq!(worker.record(&id)["tagsLeft"], json!([]));
    let removed: Vec<_> = worker.engine.requests().into_iter().filter(|request| request.method == "DELETE").collect();
    assert!(removed.is_empty(), "{removed:?}");
}

#[test]
fn every_attempt_is_at_the_image_s_name_and_none_at_the_tag_that_asks() {
    let mut worker = Worker::new();
    // An id would be called by its first name.
    let id = worker.add("app:1", &["portcullis-target:1", "app:1"]);
    worker.engine.fail("/get", [Fault::Status(500, vec![]), Fault::Status(500, vec![])]);
    worker.once(0);
    let fetched: Vec<_> = worker
        .engine
        .requests()
        .into_iter()
        .map(|request| request.path)
        .filter(|path| path.ends_with("/get"))
        .collect();
    assert_eq!(fetched, ["/images/app:1/get"; 3]);
    let report = worker.result(&id, ".report.json").unwrap();
    assert_eq!(report["target"]["reference"], "docker.io/library/app:1");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_of_that_image_and_uses_up_the_attempts() {
    let mut worker = Worker::new();
    let archived = worker.add("archived:1", &["archived:1", "portcullis-target:1"]);
    let inspected = worker.add("inspected:1", &["inspected:1", "portcullis-target:2"]);
    worker.engine.fail("/images/archived:1/get", vec![Fault::Cut(20); 100]);
    worker.engine.fail(&format!("/images/{inspected}/json"), vec![Fault::Cut(20); 100]);
    outcome(&mut worker.portcullis(&["ci", "watch", "--once", "--deadline", "20s"]), 0);
    for id in [&archived, &inspected] {
        let record = worker.record(id);
        assert_eq!(record["exitCode"], 44);
        assert!(record["message"].as_str().unwrap().contains("its answer does not come whole: "), "{record}");
    }
    let requests = worker.engine.requests();
    let fetched: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/get")).collect();
    assert_eq!(fetched.len(), 3, "{fetched:?}");
}

#[test]
fn words_of_an_error_do_not_make_an_engine_silent() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    let vex = "docker: it does not answer: no.json";
    outcome(&mut worker.portcullis(&["ci", "watch", "--once", "--deadline", "30s", "--vex", vex]), 0);
    let message = worker.record(&id)["message"].to_string();
    assert!(message.contains(vex) && !message.contains("not done within"), "{message}");
}

#[test]
fn a_table_of_java_archives_reaches_the_scans() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    let none = "none.txt";
    outcome(&mut worker.portcullis(&["ci", "watch", "--once", "--deadline", "30s", "--java-index", none]), 0);
    let record = worker.record(&id);
    assert_eq!(record["exitCode"], 44);
    assert!(record["message"].as_str().unwrap().contains(none), "{record}");
    // Of a table that is there, the report is of an image that was scanned.
    let table = worker.folder.path().join("table.txt");
    fs::write(&table, format!("{} org.example:app:1.0\n", "0".repeat(40))).unwrap();
    let id = worker.add("other:1", &["other:1", "portcullis-target:2"]);
    outcome(&mut worker.portcullis(&["ci", "watch", "--once", "--java-index", "table.txt"]), 0);
    assert_eq!(worker.record(&id)["message"], Value::Null);
}

#[test]
fn an_image_that_vanishes_is_not_answered_by_an_earlier_result() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    worker.once(0);
    let wait = |code| outcome(&mut worker.portcullis(&["ci", "wait", "app:1", "--timeout", "1s", "-o", "json"]), code);
    // Another request, of an image that is gone at the next look.
    let again = json!({"Id": id, "RepoTags": ["app:1", "portcullis-target:2"]});
    worker.engine.put("/images/app:1/json", again.to_string());
    worker.engine.remove(&format!("/images/{id}/json"));
    let (_, stderr) = wait(44);
    assert!(stderr.contains("there is no result of app:1 after 1 s"), "{stderr}");
    // The sensor's answer to it is one.
    let mut record = worker.record(&id);
    (record["scanMilliseconds"], record["exitCode"]) = (json!(987_654_321), json!(44));
    (record["message"], record["report"]) = (json!("the image is gone"), Value::Null);
    let file = worker.folder.path().join("results").join(format!("{}.json", &id["sha256:".len()..]));
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::write(file, record.to_string()).unwrap();
    });
    let (_, stderr) = outcome(&mut worker.portcullis(&["ci", "wait", "app:1", "--timeout", "1m"]), 44);
    writer.join().unwrap();
    assert!(stderr.contains("the image is gone"), "{stderr}");
}

#[test]
fn a_report_that_is_just_replaced_is_read_again() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    worker.once(0);
    worker.engine.put("/images/app:1/json", json!({"Id": id, "RepoTags": ["app:1"]}).to_string());
    worker.engine.put(&format!("/images/{id}/json"), json!({"Id": id, "RepoTags": ["app:1"]}).to_string());
    let place = |ending| worker.folder.path().join("results").join(format!("{}{ending}", &id["sha256:".len()..]));
    // As the sensor does it: the report first.
    let mut report = fs::read(place(".report.json")).unwrap();
    report.push(b'\n');
    fs::write(place(".report.json"), &report).unwrap();
    let mut record = worker.record(&id);
    record["report"] = json!(Digest::of(&report).to_string());
    let file = place(".json");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::write(file, record.to_string()).unwrap();
    });
    outcome(&mut worker.portcullis(&["ci", "wait", "app:1", "-o", "json"]), 0);
    writer.join().unwrap();
    // One that does not come is no pass.
    fs::write(place(".report.json"), "{}").unwrap();
    let (_, stderr) = outcome(&mut worker.portcullis(&["ci", "wait", "app:1"]), 44);
    assert!(stderr.contains("the report of this result is not there"), "{stderr}");
}

#[test]
fn what_is_meant_for_other_commands_does_not_speak_to_the_sensor_s_scans() {
    let mut worker = Worker::new();
    let id = worker.add("app:1", &["app:1", "portcullis-target:1"]);
    let mut watch = worker.portcullis(&["ci", "watch", "--once"]);
    watch.env("PORTCULLIS_PLATFORM", "linux/s390x").env("PORTCULLIS_BASE", "x").env("PORTCULLIS_ATTEST", "true");
    watch.env("PORTCULLIS_SHOW_SUPPRESSED", "nonsense").env("PORTCULLIS_FAIL_ON", "none");
    outcome(&mut watch, 0);
    assert_eq!(worker.record(&id)["message"], Value::Null);
    // What judges does.
    assert_eq!(worker.result(&id, ".report.json").unwrap()["verdict"]["policy"]["name"], "command-line");
}
