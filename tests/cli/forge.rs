//! GitHub and GitLab as the binary meets them on loopback; `interop` holds its requests against what both document.

use std::{fs, path::Path, process::Command};

use portcullis_testkit::{Fault, HttpServer, ImageBuilder};
use serde_json::{Value, json};

use crate::{outcome, portcullis};

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// The folder of a job that has scanned something.
fn job() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").build();
    image.write_oci_dir(&folder.path().join("layout")).unwrap();
    let (report, _) = outcome(portcullis().current_dir(folder.path()).args(["scan", "layout", "-o", "json"]), 0);
    fs::write(folder.path().join("report.json"), report).unwrap();
    folder
}

fn gitlab(folder: &Path, forge: &HttpServer, publish: &str) -> Command {
    let mut command = portcullis();
    command.current_dir(folder).args(["gitlab", "report.json", "--publish", publish]);
    command.env("CI_API_V4_URL", forge.url("api/v4")).env("CI_PROJECT_ID", "5").env("CI_COMMIT_SHA", COMMIT);
    command.env("CI_MERGE_REQUEST_IID", "7").env("PORTCULLIS_GITLAB_TOKEN", "t0ken");
    command
}

fn github(folder: &Path, forge: &HttpServer, publish: &str) -> Command {
    let mut command = portcullis();
    command.current_dir(folder).args(["github", "report.json", "--publish", publish]);
    command.env("GITHUB_API_URL", forge.url("")).env("GITHUB_REPOSITORY", "team/app").env("GITHUB_SHA", COMMIT);
    command.env("GITHUB_REF", "refs/pull/7/merge").env("GITHUB_TOKEN", "t0ken");
    command
}

#[test]
fn a_forge_on_this_machine_is_asked_without_a_proxy() {
    let folder = job();
    let (forge, proxy) = (HttpServer::start(), HttpServer::start());
    forge.put(&format!("/api/v4/projects/5/statuses/{COMMIT}?"), "{}");
    let mut command = gitlab(folder.path(), &forge, "status");
    command.env("HTTP_PROXY", proxy.url("")).env("ALL_PROXY", proxy.url(""));
    let (_, stderr) = outcome(&mut command, 0);
    assert_eq!(stderr, "status: written\n");
    assert_eq!(proxy.requests(), []);
}

/// The sign of our comment: of the name `portcullis`.
const MARKER: &str = "<!-- portcullis:74e19dcd5ceecfb9 -->";

/// What the forge was asked to do, without queries.
fn asked(forge: &HttpServer) -> Vec<String> {
    let requests = forge.requests().into_iter();
    requests
        .map(|request| format!("{} {}", request.method, request.path.split('?').next().unwrap_or_default()))
        .collect()
}

#[test]
fn comments_of_the_largest_size_hide_ours_at_neither_forge() {
    let folder = job();
    let forge = HttpServer::start();
    // As GitLab writes it: six bytes for one.
    let large = |id: u64| format!(r#"{{"id": {id}, "author": {{"id": 2}}, "body": "{}"}}"#, "\\u003c".repeat(500_000));
    let page = format!("[{}]", (0..10).map(large).collect::<Vec<_>>().join(","));
    let ours = json!([{"id": 77, "author": {"id": 1}, "body": format!("{MARKER}\nold")}]);
    let notes = "/api/v4/projects/5/merge_requests/7/notes";
    forge.put("/api/v4/user", r#"{"id": 1}"#);
    forge.put("/api/v4/user?", r#"{"id": 1}"#);
    forge.put(&format!("{notes}?sort=asc&per_page=10&page=1"), page);
    forge.put(&format!("{notes}?sort=asc&per_page=10&page=2"), ours.to_string());
    forge.put(&format!("{notes}/77?"), "{}");
    let (_, stderr) = outcome(&mut gitlab(folder.path(), &forge, "note"), 0);
    assert_eq!(stderr, "merge request: note written\n", "{:?}", asked(&forge));
    assert_eq!(asked(&forge)[1..], [format!("GET {notes}"), format!("GET {notes}"), format!("PUT {notes}/77")]);

    let user = json!({"login": "someone", "type": "User"});
    let large = |id: u64| json!({"id": id, "user": user, "body": "\u{1}".repeat(65_536)});
    let ours = json!([{"id": 77, "user": {"type": "Bot"}, "body": format!("{MARKER}\nold")}]);
    let comments = "/repos/team/app/issues/7/comments";
    forge.put(&format!("{comments}?per_page=50&page=1"), Value::from_iter((0..50).map(large)).to_string());
    forge.put(&format!("{comments}?per_page=50&page=2"), ours.to_string());
    forge.put("/repos/team/app/issues/comments/77", "{}");
    let (_, stderr) = outcome(&mut github(folder.path(), &forge, "comment"), 0);
    assert_eq!(stderr, "comment: written\n");
    let patch = "PATCH /repos/team/app/issues/comments/77".to_owned();
    assert_eq!(asked(&forge), [format!("GET {comments}"), format!("GET {comments}"), patch]);
}

#[test]
fn ours_is_the_last_note_that_is_asked_for() {
    let folder = job();
    let forge = HttpServer::start();
    let notes = "/api/v4/projects/5/merge_requests/7/notes";
    let page = (0..10).map(|id| json!({"id": id, "author": {"id": 1}, "body": format!("{MARKER}\n{id}")}));
    forge.put("/api/v4/user", r#"{"id": 1}"#);
    forge.put("/api/v4/user?", r#"{"id": 1}"#);
    forge.put(&format!("{notes}?sort=asc&per_page=10&page=1"), Value::from_iter(page).to_string());
    forge.put(&format!("{notes}/0?"), "{}");
    let (_, stderr) = outcome(&mut gitlab(folder.path(), &forge, "note"), 0);
    assert_eq!(stderr, "merge request: note written\n");
    assert_eq!(asked(&forge)[1..], [format!("GET {notes}"), format!("PUT {notes}/0")]);
}

#[test]
fn a_failing_forge_is_asked_by_one_layer_and_no_sarif_is_read_for_a_comment() {
    let folder = job();
    let forge = HttpServer::start();
    let comments = "/repos/team/app/issues/7/comments";
    forge.put(&format!("{comments}?per_page=50&page=1"), json!([]).to_string());
    forge.put(comments, "{}");
    forge.fail(comments, [Fault::Status(502, vec!["retry-after: 0".into()])]);
    let mut command = github(folder.path(), &forge, "comment");
    let (_, stderr) = outcome(command.args(["--sarif", "missing.sarif"]), 0);
    assert_eq!(stderr, "comment: written\n");
    let get = format!("GET {comments}");
    assert_eq!(asked(&forge), [get.clone(), get.clone(), format!("POST {comments}")]);
    // What can be repeated is, so often and no oftener.
    forge.fail(comments, vec![Fault::Status(502, vec!["retry-after: 0".into()]); 100]);
    let (_, stderr) = outcome(&mut github(folder.path(), &forge, "comment"), 1);
    assert!(stderr.contains("it answers 502 Bad Gateway, however often it is asked"), "{stderr}");
    assert_eq!(asked(&forge), vec![get; 6]);
}
