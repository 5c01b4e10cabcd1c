//! What is affected, what does not count, and what nobody speaks of: from the command line.

use std::path::Path;

use expect_test::expect;
use portcullis_model::Digest;
use portcullis_testkit::{AdvisoryRecord, DebianPackage, ImageBuilder, Layer, dpkg_status};
use serde_json::{Value, json};

use crate::{outcome, portcullis};

/// An image with a package of Debian, the kernel's headers, one of npm and one of conda; a database that speaks of all but
/// the last.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status =
        dpkg_status(&[DebianPackage::new("openssl", "3.0.11-1"), DebianPackage::new("linux-libc-dev", "6.1.1-1")]);
    let status = status.replace("Package: linux-libc-dev\n", "Package: linux-libc-dev\nSource: linux\n");
    let os_release = "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let layer = Layer::new()
        .file("etc/os-release", os_release)
        .file("var/lib/dpkg/status", status)
        .file("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.15"}"#);
    ImageBuilder::new().layer(layer).build().write_oci_dir(&folder.path().join("layout")).unwrap();
    let high = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    let records = [
        AdvisoryRecord::new("DEBIAN-CVE-2026-0001").affects("Debian:12", "openssl", "0", Some("3.0.13-1")),
        AdvisoryRecord::new("DEBIAN-CVE-2026-0002").affects("Debian:12", "openssl", "0", Some("3.0.9-1")),
        AdvisoryRecord::new("DEBIAN-CVE-2026-0003").affects("Debian:12", "linux", "0", None),
        AdvisoryRecord::new("GHSA-35jh-r3h4-6jhm").aliases(&["CVE-2026-0004"]).affects(
            "npm",
            "lodash",
            "0",
            Some("4.17.21"),
        ),
        AdvisoryRecord::new("GHSA-35jh-r3h4-6jhp").aliases(&["CVE-2026-0004"]).affects("npm", "lodash-es", "0", None),
    ];
    std::fs::create_dir(folder.path().join("advisories")).unwrap();
    for (number, record) in records.into_iter().enumerate() {
        let record = record.field("severity", high.clone());
        std::fs::write(folder.path().join(format!("advisories/{number}.json")), record.json()).unwrap();
    }
    run(folder.path(), &["db", "build", "--from", "advisories", "-o", "one.db", "-q"], 0);
    folder
}

fn run(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    outcome(portcullis().current_dir(folder).env("COSIGN_PASSWORD", "").args(arguments), code)
}

fn report(folder: &Path, arguments: &[&str], code: i32) -> Value {
    let mut all = vec!["scan", "layout", "-q", "--db", "one.db", "-o", "json"];
    all.extend(arguments);
    serde_json::from_str(&run(folder, &all, code).0).unwrap()
}

/// Each finding as `cve by`.
fn suppressed(report: &Value) -> Vec<String> {
    let line = |finding: &Value| {
        let by = finding["suppressed"]["by"].as_str().unwrap_or("counts");
        format!("{} {by}", finding["cve"].as_str().unwrap())
    };
    let mut lines: Vec<String> = report["findings"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_vex_document_suppresses_in_sight_and_is_an_input_of_the_verdict() {
    let folder = folder();
    let path = folder.path();
    let before = report(path, &[], 42);
    assert_eq!(suppressed(&before), ["CVE-2026-0001 counts", "CVE-2026-0003 not-a-kernel", "CVE-2026-0004 counts"]);
    assert!(before["verdict"]["inputs"].get("vex").is_none());
    let statement = |name: &str, product: &str| {
        json!({"vulnerability": {"name": name}, "products": [{"@id": product}], "status": "not_affected",
               "justification": "vulnerable_code_not_in_execute_path"})
    };
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:vex:1", "author": "us", "version": 1,
        "timestamp": "2026-01-01T00:00:00Z",
        "statements": [statement("CVE-2026-0001", "pkg:deb/debian/openssl"), statement("CVE-2026-0004", "pkg:npm/lodash@4.17.15"),
                       statement("CVE-2026-0009", "pkg:npm/lodash")],
    });
    std::fs::write(path.join("vex.json"), document.to_string()).unwrap();
    let after = report(path, &["--vex", "vex.json"], 0);
    assert_eq!(
        suppressed(&after),
        ["CVE-2026-0001 vex:urn:vex:1", "CVE-2026-0003 not-a-kernel", "CVE-2026-0004 vex:urn:vex:1"]
    );
    assert_eq!(after["verdict"]["inputs"]["vex"].as_array().unwrap().len(), 1);
    let warnings = after["inventory"]["warnings"].to_string();
    assert!(warnings.contains("1 of its 3 statements speak of nothing that was found"), "{warnings}");
    // The same inputs give the same verdict, and a missing one is named.
    std::fs::write(path.join("report.json"), after.to_string()).unwrap();
    let (_, stderr) = run(path, &["replay", "report.json", "--db", "one.db", "--vex", "vex.json"], 0);
    assert!(stderr.contains("the same, byte for byte"), "{stderr}");
    let (_, stderr) = run(path, &["replay", "report.json", "--db", "one.db"], 42);
    assert!(stderr.contains("changed: vex was"), "{stderr}");
    // A file of the image may be called as documents are: that it could not be read is not forgotten.
    let mut of_odd_names = after.clone();
    let gaps = ["vex:a", "advisories"].map(|path| json!({"kind": "gap", "path": path, "message": "cut off"}));
    of_odd_names["inventory"]["warnings"].as_array_mut().unwrap().extend(gaps);
    std::fs::write(path.join("odd.json"), of_odd_names.to_string()).unwrap();
    let (verdict, _) = run(path, &["replay", "odd.json", "--db", "one.db", "--vex", "vex.json"], 44);
    assert!(verdict.contains("`vex:a`: cut off") && verdict.contains("`advisories`: cut off"), "{verdict}");
    let (_, stderr) = run(path, &["scan", "layout", "--vex", "report.json"], 1);
    assert!(stderr.contains("no VEX document") && stderr.contains("hint:"), "{stderr}");
}

/// To the moment of an old report, what a later database adds would be of the future.
#[test]
fn a_later_database_replays_to_its_own_day() {
    let folder = folder();
    let path = folder.path();
    let policy = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: test}\n\
                  spec: {vulnerabilities: {failOn: none, maxDatabaseAge: 400d, uncovered: audit}}\n";
    std::fs::write(path.join("policy.yaml"), policy).unwrap();
    let recorded = report(path, &["--policy", "policy.yaml"], 0);
    std::fs::write(path.join("report.json"), recorded.to_string()).unwrap();
    let later = AdvisoryRecord::new("CVE-2026-0100").affects("npm", "left-pad", "0", None);
    std::fs::write(path.join("advisories/later.json"), later.field("modified", json!("2026-09-30T00:00:00Z")).json())
        .unwrap();
    let day = ("SOURCE_DATE_EPOCH", "1791000000");
    let mut build = portcullis();
    build.current_dir(path).env(day.0, day.1).args(["db", "build", "--from", "advisories", "-o", "later.db", "-q"]);
    outcome(&mut build, 0);
    let replay = ["replay", "report.json", "--policy", "policy.yaml", "--db", "later.db"];
    let (verdict, stderr) = run(path, &replay, 0);
    assert!(verdict.contains("\"time\": \"2026-09-30T00:00:00Z\""), "{verdict}");
    assert!(stderr.contains("judged for the moment that the database is of, 2026-09-30T00:00:00Z"), "{stderr}");
    // A scan of an earlier moment is not judged by it.
    let (text, _) = run(path, &["scan", "layout", "-q", "--policy", "policy.yaml", "--db", "later.db"], 44);
    assert!(text.contains("unknown vulnerabilities.maxDatabaseAge: the advisory database is of 2026-09-30"), "{text}");
}

#[test]
fn what_a_trusted_signer_attests_beside_the_image_is_a_document() {
    let folder = folder();
    let path = folder.path();
    let statement = json!({"vulnerability": {"name": "CVE-2026-0004"}, "products": [{"@id": "pkg:npm/lodash@4.17.15"}],
        "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"});
    let document = json!({"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:vex:1", "author": "us", "version": 1,
        "timestamp": "2026-01-01T00:00:00Z", "statements": [statement]});
    std::fs::write(path.join("vex.json"), document.to_string()).unwrap();
    let known = report(path, &["--vex", "vex.json"], 42);
    std::fs::write(path.join("report.json"), known.to_string()).unwrap();
    for key in ["vendor", "stranger"] {
        run(path, &["key", "generate", "--output-prefix", key], 0);
        let private = format!("{key}.key");
        run(path, &["attest", "layout", "--report", "report.json", "--attest-type", "openvex", "--key", &private], 42);
    }
    run(path, &["key", "generate", "--output-prefix", "other"], 0);
    let plain = report(path, &[], 42);
    assert_eq!(suppressed(&plain), ["CVE-2026-0001 counts", "CVE-2026-0003 not-a-kernel", "CVE-2026-0004 counts"]);
    // Somebody's statement is not everybody's.
    assert_eq!(report(path, &["--vex-key", "other.pub"], 42), plain);
    let told = report(path, &["--vex-key", "vendor.pub"], 42);
    let [first, second, third] = suppressed(&told).try_into().unwrap();
    assert_eq!([first, second], ["CVE-2026-0001 counts", "CVE-2026-0003 not-a-kernel"]);
    assert!(third.starts_with("CVE-2026-0004 vex:"), "{third}");
    let inputs = told["verdict"]["inputs"]["vex"].as_array().unwrap();
    assert_eq!(inputs.len(), 1, "{inputs:?}");

    // The bundle is a document, and the same verdict follows from it.
    run(path, &["evidence", "download", "layout", "--output-dir", "evidence"], 0);
    let wanted: Digest = inputs[0].as_str().unwrap().parse().unwrap();
    let mut files = std::fs::read_dir(path.join("evidence")).unwrap().map(|entry| entry.unwrap().path());
    let bundle = files.find(|file| Digest::of(&std::fs::read(file).unwrap()) == wanted).unwrap();
    std::fs::write(path.join("told.json"), told.to_string()).unwrap();
    let (_, stderr) = run(path, &["replay", "told.json", "--db", "one.db", "--vex", bundle.to_str().unwrap()], 42);
    assert!(stderr.contains("the same, byte for byte"), "{stderr}");

    // An image with nothing to speak of has a document that says nothing.
    ImageBuilder::debian(12).package("base-files", "12.4").build().write_oci_dir(&path.join("clean")).unwrap();
    let attest = ["attest", "clean", "--db", "one.db", "--attest-type", "openvex", "--key", "vendor.key"];
    run(path, &attest, 0);
    run(path, &["scan", "clean", "-q", "--db", "one.db", "--vex-key", "vendor.pub"], 0);

    let (_, stderr) = run(path, &["scan", "dir:.", "--db", "one.db", "--vex-key", "vendor.pub"], 2);
    assert!(stderr.contains("lie beside an image") && stderr.contains("--vex"), "{stderr}");
}

#[test]
fn explain_says_what_was_compared() {
    let folder = folder();
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain"];
        all.extend(arguments);
        all.extend(["--db", "one.db"]);
        run(folder.path(), &all, 0).0
    };
    let openssl = "pkg:deb/debian/openssl@3.0.11-1?distro=debian-12";
    expect![[r#"
        openssl 3.0.11-1 (deb)

          DEBIAN-CVE-2026-0001  What is wrong, says DEBIAN-CVE-2026-0001
            asked     Debian:12 for openssl, version 3.0.11-1
            record    affected: >= 0, < 3.0.13-1
            compared  3.0.11-1 < 3.0.13-1 (deb)
            decision  affected: 3.0.11-1 lies in >= 0, < 3.0.13-1
            finding   CVE-2026-0001 critical, fixed: 3.0.13-1; it counts
    "#]]
    .assert_eq(&explain(&["CVE-2026-0001", openssl]));
    expect![[r#"
        openssl 3.0.11-1 (deb)

          DEBIAN-CVE-2026-0002  What is wrong, says DEBIAN-CVE-2026-0002
            asked     Debian:12 for openssl, version 3.0.11-1
            record    affected: >= 0, < 3.0.9-1
            compared  3.0.11-1 > 3.0.9-1 (deb)
            decision  not affected: 3.0.11-1 lies in no affected range
    "#]]
    .assert_eq(&explain(&["CVE-2026-0002", openssl]));
    let headers = "pkg:deb/debian/linux-libc-dev@6.1.1-1?distro=bookworm&upstream=linux";
    expect![[r#"
        linux-libc-dev 6.1.1-1 (deb)

          DEBIAN-CVE-2026-0003  What is wrong, says DEBIAN-CVE-2026-0003
            asked     Debian:12 for linux, version 6.1.1-1
            record    affected: >= 0
            decision  affected: 6.1.1-1 lies in >= 0
            finding   CVE-2026-0003 critical, affected; it does not count
            suppressed by not-a-kernel: linux-libc-dev is built with the kernel and is none: a container runs its host's
    "#]]
    .assert_eq(&explain(&["CVE-2026-0003", headers]));
    assert!(explain(&["CVE-2026-0004", "lodash@4.17.15", "--ecosystem", "npm"]).contains("4.17.15 < 4.17.21 (npm)"));
    // However an id and an ecosystem are typed.
    let lodash = explain(&["CVE-2026-0004", "lodash@4.17.15", "--ecosystem", "npm"]);
    assert_eq!(explain(&["cve-2026-0004", "lodash@4.17.15", "--ecosystem", "NPM"]), lodash);
    run(folder.path(), &["db", "search", "cve-2026-0004", "--db", "one.db"], 0);
    assert!(lodash.contains("1 more record of that id does not name this package: GHSA-35jh-r3h4-6jhp\n"), "{lodash}");
    assert!(!lodash.contains("decision  unknown"), "{lodash}");
    let maven = explain(&["CVE-2026-0004", "a:b@1", "--ecosystem", "maven"]);
    assert!(maven.contains("no advisories for maven\n  it holds advisories for Debian, npm\n"), "{maven}");
    // That no record names a package is not that it is not affected.
    expect![[r#"
        left-pad 1.0.0 (npm)
            asked     npm for left-pad
            record    1 record of that id: DEBIAN-CVE-2026-0001
            decision  unknown: no record of npm speaks of this package
    "#]]
    .assert_eq(&explain(&["CVE-2026-0001", "pkg:npm/left-pad@1.0.0"]));
    assert!(explain(&["CVE-2026-0001", "pkg:conda/openssl@3.0.0"]).contains("no advisories for conda packages"));
    assert!(
        explain(&["CVE-2026-0001", "pkg:deb/ubuntu/openssl@3.0.2?distro=ubuntu-22.04"])
            .contains("no advisories for ubuntu 22.04")
    );
    assert!(explain(&["CVE-1999-1", openssl]).contains("the database knows no such advisory"));
    run(folder.path(), &["explain", "CVE-2026-0001", "openssl", "--db", "one.db"], 2);
    run(folder.path(), &["explain", "CVE-2026-0001", "pkg:deb/debian/openssl@1", "--db", "one.db"], 2);
    let debian = ["explain", "CVE-2026-0001", "openssl@1", "--ecosystem", "debian", "--db", "one.db"];
    assert!(run(folder.path(), &debian, 2).1.contains("hint: one of Debian:12\n"));
    // A report holds the image around the package.
    std::fs::write(folder.path().join("report.json"), report(folder.path(), &[], 42).to_string()).unwrap();
    let near = ["explain", "CVE-2026-0003", "libc-dev", "--report", "report.json", "--db", "one.db"];
    let (_, stderr) = run(folder.path(), &near, 1);
    assert!(stderr.contains("hint: it has linux-libc-dev@6.1.1-1\n"), "{stderr}");
    let text = explain(&["CVE-2026-0003", "linux-libc-dev", "--report", "report.json"]);
    assert!(text.contains("suppressed by not-a-kernel") && text.contains("at var/lib/dpkg/status"), "{text}");
}

#[test]
fn what_nobody_speaks_of_is_said_in_every_format() {
    let folder = folder();
    let path = folder.path();
    // The distribution has no advisories in this database, npm has.
    std::fs::remove_file(path.join("advisories/0.json")).unwrap();
    std::fs::remove_file(path.join("advisories/1.json")).unwrap();
    std::fs::remove_file(path.join("advisories/2.json")).unwrap();
    run(path, &["db", "build", "--from", "advisories", "-o", "one.db", "-q"], 0);
    let report = report(path, &["--fail-on", "critical", "--ignore-unfixed"], 42);
    assert_eq!(report["advisoryCoverage"]["distribution"], "uncovered");
    let formats = [
        "table",
        "json",
        "sarif",
        "cyclonedx-json",
        "cyclonedx-xml",
        "spdx-json",
        "spdx-tag-value",
        "gitlab",
        "gitlab-codequality",
        "junit",
        "html",
        "markdown",
        "github-summary",
    ];
    for format in formats {
        let (text, _) = run(path, &["scan", "layout", "-q", "--db", "one.db", "-o", format], 42);
        let text = text.replace("&#x2F;", "/").replace("\\/", "/").split_whitespace().collect::<Vec<_>>().join(" ");
        let says =
            text.contains("no advisories for Debian GNU/Linux 12") || text.contains("\"distribution\": \"uncovered\"");
        assert!(says, "{format} does not say that the distribution has no advisories: {text}");
    }
    // Without a finding, what is unknown is the answer.
    std::fs::remove_file(path.join("advisories/3.json")).unwrap();
    std::fs::write(path.join("advisories/4.json"), AdvisoryRecord::new("GHSA-1").affects("npm", "x", "0", None).json())
        .unwrap();
    run(path, &["db", "build", "--from", "advisories", "-o", "one.db", "-q"], 0);
    for format in formats {
        run(path, &["scan", "layout", "-q", "--db", "one.db", "-o", format], 44);
    }
}
