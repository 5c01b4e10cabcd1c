//! What is new since an earlier report; and that nothing is, over a series of builds of the same thing.

use std::{collections::BTreeSet, fs, io::Write as _, path::Path, process::Stdio};

use portcullis_model::Digest;
use portcullis_testkit::{AdvisoryRecord, ImageBuilder, Layer};
use serde_json::{Value, json};

use crate::{outcome, portcullis};

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

fn advisory(id: &str, package: &str, fixed: &str) -> AdvisoryRecord {
    let severity = json!([{"type": "CVSS_V3", "score": CRITICAL}]);
    AdvisoryRecord::new(id).affects("npm", package, "0", Some(fixed)).field("severity", severity)
}

fn database(folder: &Path, name: &str, advisories: &[AdvisoryRecord]) {
    let from = folder.join(format!("{name}-advisories"));
    fs::create_dir_all(&from).unwrap();
    for (index, advisory) in advisories.iter().enumerate() {
        fs::write(from.join(format!("{index}.json")), advisory.json()).unwrap();
    }
    let mut build = portcullis();
    build.current_dir(folder).args(["db", "build", "-o", name, "--from"]).arg(from);
    outcome(&mut build, 0);
}

fn package(name: &str, version: &str) -> String {
    format!(r#"{{"name": "{name}", "version": "{version}"}}"#)
}

/// One of a series of builds: what is in it stays, everything around it changes.
fn build(folder: &Path, number: usize, lodash: &str) -> (String, Digest) {
    let application = Layer::new()
        .file("app/node_modules/lodash/package.json", package("lodash", lodash))
        .file("app/vendor/node_modules/lodash/package.json", package("lodash", "4.17.15"))
        .file("build-id", format!("build {number}"));
    let tools = Layer::new().file("opt/node_modules/minimist/package.json", package("minimist", "1.2.0"));
    let mut image = ImageBuilder::debian(12).package("base-files", &format!("12.4+deb12u{number}"));
    // Layers come, go, and change places.
    for extra in 0..number % 4 {
        image = image.layer(Layer::new().file(&format!("srv/{extra}"), format!("{number}")));
    }
    image = if number.is_multiple_of(2) {
        image.layer(application).layer(tools)
    } else {
        image.layer(tools).layer(application)
    };
    let archive = format!("{number}.tar");
    let image = image.name(&format!("registry.example/team/app:{number}")).build();
    image.write_docker_archive(&folder.join(&archive)).unwrap();
    (format!("docker-archive:{archive}:registry.example/team/app:{number}"), image.digest())
}

fn sarif(folder: &Path, target: &str, more: &[&str]) -> Value {
    let mut scan = portcullis();
    scan.current_dir(folder).args(["scan", target, "-q", "-o", "sarif"]).args(more);
    serde_json::from_str(&outcome(&mut scan, 42).0).unwrap()
}

fn results(log: &Value) -> &[Value] {
    log["runs"][0]["results"].as_array().unwrap()
}

/// What GitHub knows an alert by: category, rule, path, fingerprint.
fn alerts(log: &Value) -> BTreeSet<[String; 4]> {
    let category = log["runs"][0]["automationDetails"]["id"].to_string();
    let alert = |result: &Value| {
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let print = &result["partialFingerprints"]["primaryLocationLineHash"];
        [category.clone(), result["ruleId"].to_string(), place.to_string(), print.to_string()]
    };
    results(log).iter().map(alert).collect()
}

#[test]
fn alerts_do_not_churn_over_twenty_builds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let wrong = || vec![advisory("CVE-2026-0001", "lodash", "4.17.21"), advisory("CVE-2026-0002", "minimist", "1.2.6")];
    let mut first = None;
    let mut digests = BTreeSet::new();
    for number in 0..20_usize {
        // Every database knows more than the one before, says it in other words, and has the same findings.
        let mut advisories = wrong();
        advisories.extend(
            (0..number).map(|other| advisory(&format!("CVE-2026-1{other:03}"), &format!("other-{other}"), "9")),
        );
        let aliases = format!("GHSA-0000-0000-{number:04}");
        advisories[0] = wrong().remove(0).aliases(&[&aliases]).field("summary", json!(format!("told again: {number}")));
        if number.is_multiple_of(3) {
            advisories.reverse();
        }
        database(folder, &format!("{number}.db"), &advisories);
        let (target, digest) = build(folder, number, "4.17.15");
        digests.insert(digest);
        let database = format!("{number}.db");
        let more = ["--db", &database, "--baseline", "first.sarif"];
        let log = sarif(folder, &target, if number == 0 { &more[..2] } else { &more });
        match &first {
            None => {
                assert_eq!(alerts(&log).len(), 3);
                fs::write(folder.join("first.sarif"), log.to_string()).unwrap();
                first = Some(alerts(&log));
            }
            Some(first) => {
                assert_eq!(&alerts(&log), first, "build {number}");
                assert!(results(&log).iter().all(|result| result["baselineState"] == "unchanged"), "build {number}");
            }
        }
    }
    assert_eq!(digests.len(), 20);
}

#[test]
fn every_report_says_what_is_new_and_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    database(folder, "old.db", &[advisory("CVE-2026-0001", "lodash", "4.17.21")]);
    let both = [advisory("CVE-2026-0001", "lodash", "4.17.21"), advisory("CVE-2026-0002", "minimist", "1.2.6")];
    database(folder, "new.db", &both);
    let (old, new) = (build(folder, 1, "4.17.15").0, build(folder, 2, "4.17.21").0);
    let mut scan = portcullis();
    scan.current_dir(folder).args(["scan", &old, "-q", "--db", "old.db", "-o", "json=old.json,sarif=old.sarif"]);
    outcome(&mut scan, 42);
    // By a report and by a SARIF file alike.
    for baseline in ["old.json", "old.sarif"] {
        let log = sarif(folder, &new, &["--db", "new.db", "--baseline", baseline]);
        let of = |state: &str| -> Vec<String> {
            let found = results(&log).iter().filter(|result| result["baselineState"] == state);
            found.map(|result| result["ruleId"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(of("new"), ["CVE-2026-0002"], "{baseline}");
        assert_eq!(of("unchanged"), ["CVE-2026-0001"], "{baseline}");
        assert_eq!(of("absent"), ["CVE-2026-0001"], "{baseline}");
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        for result in results(&log) {
            assert_eq!(rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()]["id"], result["ruleId"]);
        }
        for format in ["table", "markdown", "html", "github-summary"] {
            let mut scan = portcullis();
            scan.current_dir(folder).args(["scan", &new, "-q", "--db", "new.db", "--baseline", baseline, "-o", format]);
            let (text, _) = outcome(&mut scan, 42);
            assert!(text.contains("1 new, 1 gone since the baseline"), "{format}: {text}");
        }
    }
    let mut scan = portcullis();
    scan.current_dir(folder).args(["scan", &new, "-q", "--db", "new.db", "-o", "json=new.json"]);
    outcome(&mut scan, 42);
    let mut diff = portcullis();
    let (text, _) = outcome(diff.current_dir(folder).args(["diff", "old.json", "new.json", "-o", "table"]), 0);
    assert!(text.contains("1 new, 1 gone since the baseline"), "{text}");
    let mut gate = portcullis();
    let (text, _) = outcome(gate.current_dir(folder).args(["ci", "gate", "new.json", "--baseline", "old.json"]), 42);
    assert!(text.starts_with("FAIL: 2 findings: 2 critical; 1 new, 1 gone since the baseline\n  fail "), "{text}");
    // What is no baseline costs no scan.
    for (file, text) in [("none.json", ""), ("wrong.json", "[]"), ("broken.json", "{")] {
        if !text.is_empty() {
            fs::write(folder.join(file), text).unwrap();
        }
        let mut scan = portcullis();
        let (_, stderr) = outcome(scan.current_dir(folder).args(["scan", "no-such-image", "--baseline", file]), 1);
        assert!(stderr.contains(file), "{stderr}");
    }
}

#[test]
fn a_baseline_is_read_once_and_may_come_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let (image, _) = build(folder.path(), 0, "4.17.21");
    let earlier = outcome(portcullis().current_dir(folder.path()).args(["scan", &image, "-q", "-o", "json"]), 42).0;
    let mut scan = portcullis();
    scan.current_dir(folder.path()).args(["scan", &image, "-q", "-o", "sarif", "--baseline", "/dev/stdin"]);
    let mut child = scan.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(earlier.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(!results.is_empty() && results.iter().all(|result| result["baselineState"] == "unchanged"));
}
