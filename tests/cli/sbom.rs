//! Bills of materials as targets.

use std::{io::Write as _, process::Stdio};

use expect_test::expect;

use crate::{outcome, portcullis};

const DOCUMENT: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "shop", "version": "2"}},
    "components": [{"type": "library", "name": "lodash", "version": "4.17.15", "purl": "pkg:npm/lodash@4.17.15"}]}"#;

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
