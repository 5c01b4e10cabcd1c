//! Bills of materials as targets.

use std::{io::Write as _, process::Stdio};

use expect_test::expect;

use crate::{outcome, portcullis};

const DOCUMENT: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "shop", "version": "2"}},
    "components": [{"type": "library", "name": "lodash", "version": "4.17.15", "purl": "pkg:npm/lodash@4.17.15"}]}"#;

const POLICY: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: high}\n\
                      spec: {vulnerabilities: {failOn: high}}\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bom.json"), DOCUMENT).unwrap();
    folder
}

#[test]
fn a_document_is_scanned_and_says_that_it_is_one() {
    let folder = folder();
    let scan = |target: &str| {
        let mut command = portcullis();
        command.current_dir(folder.path()).args(["scan", target, "-q", "--fail-on", "none"]);
        outcome(&mut command, 0).0
    };
    let text = scan("sbom:bom.json");
    assert_eq!(text, scan("bom.json"));
    let shown: String = text.lines().filter(|line| line.contains("lodash") || line.contains("note")).collect();
    expect!["lodash 4.17.15 (npm)  HIGH      CVE-2020-8203   fixed in 4.17.19  Prototype pollution in lodash  HIGH      CVE-2021-23337  fixed in 4.17.21  Command injection in lodash  MEDIUM    CVE-2020-28500  fixed in 4.17.21  Regular expression denial of service in lodashnote: bom.json: a CycloneDX 1.6 document of shop 2: what it leaves out was not looked for  upgrade lodash from 4.17.15 to 4.17.21: fixes 3, the worst high    npm install lodash@4.17.21"].assert_eq(&shown);
}

#[test]
fn standard_input_is_converted_to_another_format_and_back() {
    let convert = |document: &[u8], format: &str| {
        let mut command = portcullis();
        command.args(["sbom", "-", "-o", format]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(document).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        output.stdout
    };
    let mut document = DOCUMENT.as_bytes().to_vec();
    for format in ["spdx-json", "cyclonedx-xml", "spdx-tag-value", "cyclonedx-json"] {
        document = convert(&document, format);
    }
    assert!(String::from_utf8(document).unwrap().contains("pkg:npm/lodash@4.17.15"));
}

/// No finding was looked for: whoever asks an inventory for a verdict gets none, whatever is written in it.
#[test]
fn an_inventory_passes_nowhere() {
    let folder = folder();
    let path = folder.path();
    let run = |arguments: &[&str], code| {
        let mut command = portcullis();
        outcome(command.current_dir(path).args(arguments), code)
    };
    run(&["sbom", "bom.json", "-o", "json=inventory.json"], 0);
    run(&["scan", "bom.json", "-q", "--fail-on", "none", "-o", "json=report.json"], 0);
    let text = std::fs::read_to_string(path.join("inventory.json")).unwrap();
    let inventory: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(inventory["verdict"]["result"], "unknown");
    // As older versions wrote it.
    let mut older = inventory.clone();
    older["verdict"]["result"] = "pass".into();
    std::fs::write(path.join("older.json"), older.to_string()).unwrap();
    std::fs::write(path.join("policy.yaml"), POLICY).unwrap();
    for file in ["inventory.json", "older.json"] {
        for asking in [
            &["ci", "gate", file][..],
            &["ci", "gate", "report.json", "--baseline", file],
            &["github", file, "--gate", "--publish", "annotations"],
            &["gitlab", file, "--gate"],
            &["diff", "report.json", file, "-o", "table"],
            &["policy", "backtest", "policy.yaml", file],
        ] {
            let (stdout, stderr) = run(asking, 1);
            assert!(
                stdout.is_empty() && stderr.contains("inventory") && stderr.contains("hint: "),
                "{asking:?}: {stderr}"
            );
        }
        let (stdout, _) = run(&["diff", "report.json", file], 0);
        assert!(
            stdout.contains("verdict: pass → not judged\n") && stdout.contains("findings: not compared"),
            "{stdout}"
        );
        // Matched later, it gets the verdict that it had not.
        let (stdout, stderr) = run(&["replay", file, "--fail-on", "high"], 42);
        assert!(stdout.contains("\"fail\"") && stderr.contains("nothing had judged"), "{stdout}{stderr}");
    }
    let (table, _) = run(&["sbom", "bom.json", "-o", "table"], 0);
    assert!(
        table.contains("npm   lodash   4.17.15") && table.contains("NOT JUDGED") && !table.contains("PASS"),
        "{table}"
    );
    for format in ["sarif", "junit", "html", "markdown", "gitlab", "github-summary"] {
        let (stdout, stderr) = run(&["sbom", "bom.json", "-o", format], 2);
        assert!(stdout.is_empty() && stderr.contains("nothing is judged"), "{stderr}");
    }
    let newer = text.replace("\"schemaVersion\": 1,", "\"schemaVersion\": 2,");
    std::fs::write(path.join("newer.json"), newer).unwrap();
    let (_, stderr) = run(&["ci", "gate", "newer.json"], 1);
    assert!(stderr.starts_with("error: newer.json is a report of version 2; 1 is read here\n"), "{stderr}");
}

#[test]
fn what_is_no_document_is_an_error_with_a_hint() {
    let folder = folder();
    std::fs::write(folder.path().join("other.json"), "{\"a\": 1}").unwrap();
    let mut command = portcullis();
    command.current_dir(folder.path()).args(["scan", "sbom:other.json"]);
    let (_, stderr) = outcome(&mut command, 1);
    expect![[r#"
        error: other.json cannot be read as a bill of materials: it is no bill of materials that is known here: neither CycloneDX, nor SPDX, nor Syft's JSON
        hint: what is read: CycloneDX 1.2 to 1.7 (JSON, XML), SPDX 2.2, 2.3 (JSON, tag-value) and 3 (JSON-LD), Syft's JSON, and attestations of them
    "#]].assert_eq(&stderr);
}
