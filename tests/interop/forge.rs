//! GitHub and GitLab are told what a report says: by the binary, at fakes of their APIs that are as strict as what GitHub
//! and GitLab write about them. GitLab's own client library for Python speaks with the same fake.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use portcullis_testkit::{ImageBuilder, Layer};
use serde_json::{Value, json};

use crate::support::{cache, data, is_on, portcullis, run, skip};

const TOKEN: &str = "ghs_0123456789TOKEN0123456789";
const COMMIT: &str = "0123456789012345678901234567890123456789";
const HEAD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

/// A fake in a process of its own.
struct Fake {
    process: Child,
    port: u16,
    _stdout: BufReader<ChildStdout>,
}

impl Fake {
    fn start(script: &str, arguments: &[&str]) -> Option<Self> {
        let python = cache().join("venv/bin/python3");
        if !python.is_file() {
            skip("the tools' Python is missing");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/fakes").join(script);
        let mut command = Command::new(python);
        let mut process = command.arg(script).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Some(Self { process, port: line.trim().parse().unwrap(), _stdout: stdout })
    }

    fn github() -> Option<Self> {
        let description = data()?.join("github-openapi-extract.json");
        // Others may comment, and may know what our comments begin with.
        let marker = "<!-- portcullis:74e19dcd5ceecfb9 -->\nPASS";
        Self::start("github.py", &[description.to_str().unwrap(), TOKEN, "a comment", marker])
    }

    fn ask(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head =
            format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.ask("GET /_fake/state", "")).unwrap()
    }

    /// Answers that are given instead, once each.
    fn rules(&self, rules: &Value) {
        self.ask("POST /_fake/rules", &rules.to_string());
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// A report of an image with something wrong, and the files of a step.
struct Step {
    folder: tempfile::TempDir,
}

impl Step {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let step = Self { folder };
        fs::write(step.path("Dockerfile"), "FROM debian:12\nRUN npm install lodash\n").unwrap();
        fs::create_dir(step.path("advisories")).unwrap();
        let severity = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
        let advisory = portcullis_testkit::AdvisoryRecord::new("CVE-2026-0001")
            .affects("npm", "lodash", "0", Some("4.17.21"))
            .field("severity", severity);
        fs::write(step.path("advisories/one.json"), advisory.json()).unwrap();
        // A distribution of which the database knows nothing is unknown, which is no pass.
        let debian =
            portcullis_testkit::AdvisoryRecord::new("CVE-2026-0002").affects("Debian:12", "zlib", "0", Some("1"));
        fs::write(step.path("advisories/two.json"), debian.json()).unwrap();
        let mut build = portcullis();
        run(build.current_dir(step.folder.path()).args(["db", "build", "--from", "advisories", "-o", "one.db"]), &[0]);
        step.scan("4.17.15", 42);
        step
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn scan(&self, version: &str, code: i32) {
        let manifest = format!(r#"{{"name": "lodash", "version": "{version}"}}"#);
        let layer = Layer::new().file("app/node_modules/lodash/package.json", manifest);
        let layer = layer.created_by("RUN /bin/sh -c npm install lodash # buildkit");
        let image = ImageBuilder::debian(12)
            .package("base-files", "12.4+deb12u5")
            .layer(layer)
            .name("registry.example/team/app:1")
            .build();
        _ = fs::remove_dir_all(self.path("app"));
        image.write_oci_dir(&self.path("app")).unwrap();
        let mut scan = portcullis();
        scan.current_dir(self.folder.path()).args(["scan", "oci-dir:app", "-q", "--db", "one.db"]);
        run(scan.args(["-o", "json=report.json", "-o", "sarif=report.sarif"]), &[code]);
    }

    /// `portcullis github` in a job for a pull request.
    fn github(&self, fake: &Fake, head_repository: &str, arguments: &[&str], code: i32) -> Output {
        let event =
            json!({"pull_request": {"number": 7, "head": {"sha": HEAD, "repo": {"full_name": head_repository}}}});
        fs::write(self.path("event.json"), event.to_string()).unwrap();
        let mut command = portcullis();
        command.current_dir(self.folder.path()).args(["github", "report.json", "--dockerfile", "Dockerfile"]);
        command.args(arguments).envs([
            ("GITHUB_TOKEN", TOKEN),
            ("GITHUB_API_URL", &format!("http://127.0.0.1:{}/api/v3", fake.port)),
            ("GITHUB_SERVER_URL", "https://ghe.example"),
            ("GITHUB_REPOSITORY", "team/app"),
            ("GITHUB_SHA", COMMIT),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_RUN_ID", "99"),
            ("GITHUB_EVENT_PATH", "event.json"),
            ("GITHUB_STEP_SUMMARY", "summary.md"),
            ("GITHUB_OUTPUT", "output.txt"),
        ]);
        let output = run(&mut command, &[code]);
        for text in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(text).contains(TOKEN));
        }
        output
    }
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const EVERYTHING: &str = "summary,annotations,outputs,sarif,comment,check,status";

#[test]
fn github_is_told_everything_and_nothing_twice() {
    if !is_on() {
        return;
    }
    let Some(fake) = Fake::github() else { return };
    let step = Step::new();
    let arguments = ["--publish", EVERYTHING, "--sarif", "report.sarif"];
    let (stdout, _) = texts(&step.github(&fake, "team/app", &arguments, 0));
    assert!(stdout.starts_with("::error title=FAIL%3A "), "{stdout}");
    assert!(
        stdout.contains("::error file=Dockerfile,line=2,endLine=2,title=CRITICAL CVE-2026-0001 in lodash"),
        "{stdout}"
    );
    assert!(fs::read_to_string(step.path("summary.md")).unwrap().starts_with("## FAIL: "));
    let outputs = fs::read_to_string(step.path("output.txt")).unwrap();
    assert!(
        outputs.starts_with("verdict=fail\nexit-code=42\ndigest=sha256:") && outputs.contains("\ncritical=1\n"),
        "{outputs}"
    );
    let state = fake.state();
    assert_eq!(state["violations"], json!([]));
    let sarif = &state["sarifs"][0];
    assert_eq!((&sarif["commit_sha"], &sarif["ref"]), (&json!(COMMIT), &json!("refs/pull/7/merge")));
    assert_eq!(sarif["log"]["runs"][0]["results"][0]["ruleId"], "CVE-2026-0001");
    let comments = state["comments"].as_array().unwrap();
    assert_eq!(comments.len(), 3, "{comments:?}");
    assert!(comments[2]["body"].as_str().unwrap().contains("## FAIL: "));
    assert_eq!((&state["checks"][0]["conclusion"], &state["checks"][0]["head_sha"]), (&json!("failure"), &json!(HEAD)));
    assert_eq!((&state["statuses"][0]["state"], &state["statuses"][0]["sha"]), (&json!("failure"), &json!(HEAD)));
    assert_eq!(state["statuses"][0]["target_url"], "https://ghe.example/team/app/actions/runs/99");

    // A later run, with a better image: everything is edited.
    fs::rename(step.path("report.json"), step.path("earlier.json")).unwrap();
    step.scan("4.17.21", 0);
    let arguments = ["--publish", EVERYTHING, "--baseline", "earlier.json", "--category", "nightly", "--gate"];
    let (stdout, _) = texts(&step.github(&fake, "team/app", &arguments, 0));
    assert!(stdout.starts_with("::notice title=PASS%3A "), "{stdout}");
    let state = fake.state();
    assert_eq!(state["violations"], json!([]));
    let comments = state["comments"].as_array().unwrap();
    assert_eq!(comments.len(), 3);
    assert_eq!(
        comments[1]["body"].as_str().unwrap().lines().last(),
        Some("PASS"),
        "a stranger's comment is left alone"
    );
    let body = comments[2]["body"].as_str().unwrap();
    assert!(body.contains("## PASS: ") && body.contains("0 new, 1 gone since the baseline"), "{body}");
    assert_eq!((state["checks"].as_array().unwrap().len(), &state["checks"][0]["conclusion"]), (1, &json!("success")));
    // What is gone would be an alert at GitHub.
    let run = &state["sarifs"][1]["log"]["runs"][0];
    assert_eq!((&run["automationDetails"]["id"], &run["results"]), (&json!("nightly/"), &json!([])));
    assert!(fs::read_to_string(step.path("output.txt")).unwrap().ends_with("\nnew=0\n"));
}

#[test]
fn github_s_limits_and_failures_are_waited_out() {
    if !is_on() {
        return;
    }
    let Some(fake) = Fake::github() else { return };
    let step = Step::new();
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    fake.rules(&json!([
        {"method": "POST", "path": "sarifs$", "status": 403, "headers": {"retry-after": "1"},
         "body": {"message": "You have exceeded a secondary rate limit"}},
        {"method": "POST", "path": "sarifs$", "status": 502},
        {"method": "GET", "path": "sarifs/", "status": 503},
        {"method": "POST", "path": "comments$", "status": 500},
        {"method": "POST", "path": "statuses", "status": 429,
         "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": soon.to_string()}, "body": {"message": "x"}},
    ]));
    step.github(&fake, "team/app", &["--publish", "sarif,comment,status"], 0);
    let state = fake.state();
    assert_eq!((&state["violations"], &state["rules"]), (&json!([]), &json!([])));
    let count = |what: &str| state[what].as_array().unwrap().len();
    assert_eq!((count("sarifs"), count("comments"), count("statuses")), (1, 3, 1));
    // An hour is not waited for, and the others are told all the same.
    fake.rules(&json!([{"method": "POST", "path": "sarifs$", "status": 429, "headers": {"retry-after": "3600"}}]));
    let (_, stderr) = texts(&step.github(&fake, "team/app", &["--publish", "sarif,status"], 1));
    assert!(
        stderr.contains("its rate limit lasts for another 3600 s") && stderr.contains("status: written"),
        "{stderr}"
    );
}

#[test]
fn a_fork_s_pull_request_gets_a_result_without_permissions() {
    if !is_on() {
        return;
    }
    let Some(fake) = Fake::github() else { return };
    let step = Step::new();
    let no = json!({"message": "Resource not accessible by integration", "status": "403"});
    let rule = |path: &str, method: &str| json!({"method": method, "path": path, "status": 403, "body": no});
    fake.rules(&json!([
        rule("sarifs$", "POST"),
        rule("comments$", "POST"),
        rule("check-runs$", "POST"),
        rule("statuses", "POST")
    ]));
    let (stdout, stderr) = texts(&step.github(&fake, "stranger/app", &["--publish", EVERYTHING, "--gate"], 42));
    assert!(stdout.contains("::error file=Dockerfile,line=2"), "{stdout}");
    assert!(fs::read_to_string(step.path("summary.md")).unwrap().starts_with("## FAIL: "));
    for part in ["code scanning", "comment", "check", "status"] {
        assert!(stderr.contains(&format!("note: {part}: left out: ")), "{part}: {stderr}");
    }
    assert!(stderr.contains("the token of a fork's pull request may not write"), "{stderr}");
    // A token that is none is another matter, and so is a file that GitHub cannot process.
    fake.rules(&json!([
        {"method": "POST", "path": "statuses", "status": 401, "body": {"message": "Bad credentials"}},
        {"method": "GET", "path": "sarifs/", "status": 200, "body": {"processing_status": "failed", "errors": ["too odd"]}},
    ]));
    let (_, stderr) = texts(&step.github(&fake, "team/app", &["--publish", "status,sarif"], 1));
    assert!(
        stderr.contains("(401: Bad credentials)") && stderr.contains("could not process the SARIF file: too odd"),
        "{stderr}"
    );
}

/// `portcullis gitlab` in a pipeline for a merge request.
fn gitlab(step: &Step, address: &str, token: (&str, &str), arguments: &[&str], code: i32) -> Output {
    let mut command = portcullis();
    command.current_dir(step.folder.path()).args(["gitlab", "report.json"]).args(arguments);
    command.env(token.0, token.1).envs([
        ("CI_API_V4_URL", address),
        ("CI_PROJECT_ID", "5"),
        ("CI_COMMIT_SHA", COMMIT),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_PROJECT_ID", "5"),
        ("CI_PIPELINE_ID", "11"),
        ("CI_JOB_URL", "https://gitlab.example/team/app/-/jobs/1"),
    ]);
    let output = run(&mut command, &[code]);
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(token.1));
    }
    output
}

#[test]
fn gitlab_is_told_everything_and_nothing_twice() {
    if !is_on() {
        return;
    }
    let Some(fake) = Fake::start("gitlab.py", &[TOKEN, "job-token-0123456789"]) else { return };
    let step = Step::new();
    let address = format!("http://127.0.0.1:{}/api/v4", fake.port);
    let token = ("PORTCULLIS_GITLAB_TOKEN", TOKEN);
    let everything = ["--publish", "note,status,package", "--package-file", "report.sarif"];
    for _ in 0..2 {
        gitlab(&step, &address, token, &everything, 0);
        let state = fake.state();
        assert_eq!(state["violations"], json!([]));
        // 131 notes were there, one of which begins as ours do.
        assert_eq!(state["notes"].as_array().unwrap().len(), 132);
        assert!(state["notes"][131]["body"].as_str().unwrap().contains("## FAIL: "));
    }
    let state = fake.state();
    let status = &state["statuses"][0];
    assert_eq!(
        (&status["status"], &status["name"], &status["pipeline_id"]),
        (&json!("failed"), &json!("portcullis"), &json!("11"))
    );
    let names: Vec<_> = state["packages"].as_object().unwrap().keys().collect();
    assert_eq!(names, [&format!("portcullis/{COMMIT}/report.json"), &format!("portcullis/{COMMIT}/report.sarif")]);
    // The token of a job may do one of them.
    let job = ("CI_JOB_TOKEN", "job-token-0123456789");
    let (_, stderr) = texts(&gitlab(&step, &address, job, &everything, 0));
    assert!(stderr.contains("note: note: left out: the token of a job may not write it"), "{stderr}");
    assert!(stderr.contains("package: portcullis") && fake.state()["violations"] == json!([]), "{stderr}");
    // Limits, failures, and a token that is none.
    fake.rules(&json!([
        {"method": "GET", "path": "user$", "status": 429, "headers": {"retry-after": "1"}},
        {"method": "PUT", "path": "notes/", "status": 502},
    ]));
    gitlab(&step, &address, token, &["--publish", "note", "--gate"], 42);
    let (_, stderr) = texts(&gitlab(&step, &address, ("PORTCULLIS_GITLAB_TOKEN", "wrong-token"), &[], 1));
    assert!(stderr.contains("(401: 401 Unauthorized)"), "{stderr}");
    let client = r#"
import sys, gitlab
api = gitlab.Gitlab(sys.argv[1], private_token=sys.argv[2])
api.auth()
project = api.projects.get(5, lazy=True)
request = project.mergerequests.get(7, lazy=True)
notes = request.notes.list(get_all=True)
assert len(notes) == 132, len(notes)
note = request.notes.get(notes[-1].id)
assert "FAIL" in note.body
note.body = "edited"
note.save()
assert request.notes.get(note.id).body == "edited"
request.notes.create({"body": "new"})
project.commits.get(sys.argv[3], lazy=True).statuses.create({"state": "success", "name": "other"})
package = project.generic_packages
package.upload("app", "1", "a.txt", path=sys.argv[4])
assert package.download("app", "1", "a.txt") == open(sys.argv[4], "rb").read()
"#;
    let mut python = Command::new(cache().join("venv/bin/python3"));
    python.args(["-c", client, address.trim_end_matches("/api/v4"), TOKEN, COMMIT]).arg(step.path("Dockerfile"));
    run(&mut python, &[0]);
    assert_eq!(fake.state()["violations"], json!([]));
}

#[test]
fn a_gitlab_with_an_authority_of_its_own_is_believed_only_with_it() {
    if !is_on() {
        return;
    }
    let step = Step::new();
    let openssl = |arguments: &str| {
        run(Command::new("openssl").current_dir(step.folder.path()).args(arguments.split(' ')), &[0]);
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca");
    openssl("req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=127.0.0.1");
    fs::write(step.path("own.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile own.ext -out own.pem");
    let place = |name: &str| step.path(name).display().to_string();
    let Some(fake) = Fake::start("gitlab.py", &[TOKEN, "job", &place("own.pem"), &place("own.key")]) else { return };
    let address = format!("https://127.0.0.1:{}/api/v4", fake.port);
    let token = ("PORTCULLIS_GITLAB_TOKEN", TOKEN);
    gitlab(&step, &address, token, &["--ca-file", "ca.pem"], 0);
    let (_, stderr) = texts(&gitlab(&step, &address, token, &["--timeout", "5s"], 1));
    assert!(stderr.contains("certificate"), "{stderr}");
}
