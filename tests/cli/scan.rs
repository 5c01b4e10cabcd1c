//! Scans of images that are built in code, judged by the starter database.

use std::path::Path;

use expect_test::expect;
use portcullis_testkit::{AdvisoryRecord, ImageBuilder, Layer};

use crate::{outcome, portcullis};

/// An image with packages that the starter knows, and some that it finds nothing wrong with.
fn image() -> ImageBuilder {
    let package = |name: &str, version: &str| format!(r#"{{"name": "{name}", "version": "{version}"}}"#);
    ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").layer(
        Layer::new()
            .file("app/node_modules/lodash/package.json", package("lodash", "4.17.15"))
            .file("app/node_modules/left-pad/package.json", package("left-pad", "1.3.0")),
    )
}

/// A folder with the image in it, in the three forms that a file can have.
fn stored() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = image().build();
    image.write_oci_dir(&folder.path().join("layout")).unwrap();
    image.write_oci_archive(&folder.path().join("oci.tar")).unwrap();
    image.write_docker_archive(&folder.path().join("docker.tar")).unwrap();
    folder
}

fn scan(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    outcome(portcullis().current_dir(folder).arg("scan").args(arguments), code)
}

#[test]
fn a_vulnerable_image_is_denied() {
    let folder = stored();
    std::fs::create_dir(folder.path().join("advisories")).unwrap();
    let advisory = AdvisoryRecord::new("CVE-2026-0001").affects("npm", "lodash", "0", Some("4.17.21")).field(
        "severity",
        serde_json::json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]),
    );
    std::fs::write(folder.path().join("advisories/one.json"), advisory.json()).unwrap();
    let mut build = portcullis();
    build.current_dir(folder.path()).args(["db", "build", "--from", "advisories", "-o", "one.db"]);
    outcome(&mut build, 0);
    let built = std::fs::read(folder.path().join("one.db")).unwrap();
    outcome(&mut build, 0);
    assert_eq!(std::fs::read(folder.path().join("one.db")).unwrap(), built);

    let (stdout, stderr) = scan(folder.path(), &["layout", "-q", "--db", "one.db"], 42);
    assert_eq!(stderr, "");
    let stdout = stdout.replace(&image().build().digest().to_string(), "[digest]");
    expect![[r#"
        layout:latest (linux/amd64)
          digest        [digest]
          distribution  Debian GNU/Linux 12
          packages      3
          database      of 2026-01-02T00:00:00Z, 262 days old

        lodash 4.17.15 (npm)
          in app/node_modules/lodash/package.json (layer 2 of 2)
          CRITICAL  CVE-2026-0001  fixed in 4.17.21  What is wrong, says CVE-2026-0001

        1 finding: 1 critical
        not covered: the database holds no advisories for Debian GNU/Linux 12

        FAIL policy command-line
          fail vulnerabilities.failOn: 1 vulnerability of severity high or worse: CVE-2026-0001 in
              lodash 4.17.15
          unknown distribution: the database holds no advisories for Debian GNU/Linux 12
          pass vulnerabilities.maxDatabaseAge: the advisory database is 262 days old; the policy sets no
              limit

        what to do
          upgrade lodash from 4.17.15 to 4.17.21: fixes 1, the worst critical
            npm install lodash@4.17.21
    "#]]
    .assert_eq(&stdout.replace("linux/arm64", "linux/amd64"));
}

#[test]
fn what_is_not_denied_passes() {
    let folder = stored();
    let (stdout, _) = scan(folder.path(), &["oci.tar", "--fail-on", "none", "-o", "json"], 0);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["verdict"]["result"], "pass");
    assert!(report["findings"].as_array().unwrap().len() >= 3);
    scan(folder.path(), &["oci.tar", "--fail-on", "critical"], 0);
}

#[test]
fn a_policy_in_audit_mode_denies_nothing_and_says_so() {
    let folder = stored();
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: p}\n\
                spec: {mode: audit, vulnerabilities: {failOn: high}}\n";
    std::fs::write(folder.path().join("policy.yaml"), text).unwrap();
    scan(folder.path(), &["layout", "--policy", "policy.yaml"], 43);
}

#[test]
fn a_system_that_is_not_known_is_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer::new().file("etc/os-release", "ID=nosuch\nVERSION_ID=1\n").file(
        "var/lib/dpkg/status",
        portcullis_testkit::dpkg_status(&[portcullis_testkit::DebianPackage::new("a", "1")]),
    );
    ImageBuilder::new().layer(layer).build().write_oci_dir(&folder.path().join("layout")).unwrap();
    let (stdout, _) = scan(folder.path(), &["layout"], 44);
    assert!(stdout.contains("UNKNOWN"), "{stdout}");
}

#[test]
fn one_scan_writes_many_reports_and_each_form_says_the_same() {
    let folder = stored();
    let mut inventories = Vec::new();
    for (number, target) in
        ["oci-dir:layout:latest", "oci-archive:oci.tar", "docker-archive:docker.tar"].iter().enumerate()
    {
        let [json, sarif] = ["json", "sarif"].map(|format| format!("{format}={number}.{format}"));
        let (stdout, _) = scan(folder.path(), &[target, "-q", "-o", &json, "-o", &sarif, "-o", "spdx-json"], 42);
        // Only the report without a file is on stdout.
        assert!(stdout.starts_with("{") && stdout.contains("SPDXRef-DOCUMENT"), "{stdout}");
        let report = std::fs::read(folder.path().join(format!("{number}.json"))).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        inventories.push(report["inventory"]["packages"].clone());
        assert!(folder.path().join(format!("{number}.sarif")).is_file());
    }
    assert_eq!(inventories[0], inventories[1]);
    assert_eq!(inventories[0], inventories[2]);
}

/// The names of what failed, but for the verdict.
fn failed(junit: &str) -> Vec<&str> {
    let cases = junit.lines().filter(|line| line.contains("<failure") && !line.contains("portcullis.verdict"));
    cases.map(|line| line.split_once(" name=\"").unwrap().1.split_once('"').unwrap().0).collect()
}

#[test]
fn a_directory_of_sources_is_told_in_files_of_the_repository_and_junit_fails_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let [sources, advisories] = ["services/a", "advisories"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(&sources).unwrap();
    std::fs::create_dir(&advisories).unwrap();
    let packages = serde_json::json!({
        "": {"name": "a", "version": "1.0.0"},
        "node_modules/lodash": {"version": "4.17.15"}, "node_modules/minimist": {"version": "1.2.0"},
    });
    let lock = serde_json::json!({"name": "a", "version": "1.0.0", "lockfileVersion": 3, "packages": packages});
    std::fs::write(sources.join("package-lock.json"), lock.to_string()).unwrap();
    for (id, package, fixed, vector) in [
        ("CVE-2026-0001", "lodash", Some("4.17.21"), "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        ("CVE-2026-0002", "lodash", None, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        ("CVE-2026-0003", "minimist", Some("1.2.6"), "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"),
    ] {
        let severity = serde_json::json!([{"type": "CVSS_V3", "score": vector}]);
        let advisory = AdvisoryRecord::new(id).affects("npm", package, "0", fixed).field("severity", severity);
        std::fs::write(advisories.join(format!("{id}.json")), advisory.json()).unwrap();
    }
    let mut build = portcullis();
    outcome(build.current_dir(folder.path()).args(["db", "build", "--from", "advisories", "-o", "one.db"]), 0);
    let report = |folder: &Path, target: &str, more: &[&str]| {
        let database = if folder.join("one.db").exists() { "one.db" } else { "../../one.db" };
        let arguments = [&[target, "-q", "--db", database], more].concat();
        scan(folder, &arguments, 42).0
    };
    for (from, target, file, category) in [
        (folder.path(), "services/a", "services/a/package-lock.json", "portcullis/services/a/any/"),
        (sources.as_path(), ".", "package-lock.json", "portcullis/directory/any/"),
    ] {
        let log: serde_json::Value = serde_json::from_str(&report(from, target, &["-o", "sarif"])).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["automationDetails"]["id"], category);
        let results = run["results"].as_array().unwrap();
        let uri = |result: &serde_json::Value| {
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap().to_owned()
        };
        assert_eq!(results.iter().map(uri).collect::<Vec<_>>(), [file; 3]);
        let issues: serde_json::Value =
            serde_json::from_str(&report(from, target, &["-o", "gitlab-codequality"])).unwrap();
        assert!(issues.as_array().unwrap().iter().all(|issue| issue["location"]["path"] == file), "{issues}");
    }
    let (fixed, unfixed) = ("CVE-2026-0001 in lodash 4.17.15", "CVE-2026-0002 in lodash 4.17.15");
    for (more, expected) in [
        (&["--fail-on", "critical"][..], &[fixed, unfixed][..]),
        (&["--fail-on", "critical", "--ignore-unfixed"], &[fixed]),
        (&["--fail-on", "low"], &[fixed, unfixed, "CVE-2026-0003 in minimist 1.2.0"]),
    ] {
        let junit = report(folder.path(), "services/a", &[more, &["-o", "junit"]].concat());
        assert_eq!(failed(&junit), expected, "{junit}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = stored();
    for format in [
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
    ] {
        let scan = |jobs: &str| scan(folder.path(), &["layout", "-q", "--jobs", jobs, "-o", format], 42).0;
        let first = scan("1");
        assert!(!first.is_empty(), "{format}");
        assert_eq!(first, scan("4"), "{format}");
    }
}

#[test]
fn a_report_replays_to_the_same_verdict() {
    let folder = stored();
    scan(folder.path(), &["layout", "-q", "-o", "json=report.json"], 42);
    let mut replay = portcullis();
    replay.current_dir(folder.path()).args(["replay", "report.json"]);
    let (verdict, said) = outcome(&mut replay, 42);
    assert_eq!(said, "the verdict is the same, byte for byte\n");
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let report = std::fs::read(folder.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(verdict, report["verdict"]);
    // With another policy it says which input changed.
    let (_, said) = outcome(replay.args(["--fail-on", "none"]), 0);
    assert!(said.contains("changed: policy was"), "{said}");
}

#[test]
fn a_layer_that_was_changed_is_an_error_and_no_report() {
    let folder = stored();
    let blobs = folder.path().join("layout/blobs/sha256");
    let layer = image().build().layers[1].digest.to_string();
    let path = blobs.join(layer.trim_start_matches("sha256:"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (stdout, stderr) = scan(folder.path(), &["layout", "-o", "json"], 1);
    assert!(stdout.is_empty() && stderr.starts_with("error: "), "{stdout}{stderr}");
}

#[test]
fn an_archive_that_was_cut_off_is_an_error() {
    let folder = stored();
    let path = folder.path().join("docker.tar");
    let bytes = std::fs::read(&path).unwrap();
    for cut in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (stdout, stderr) = scan(folder.path(), &["docker.tar", "-o", "json"], 1);
        assert!(stdout.is_empty() && stderr.starts_with("error: "), "{cut}: {stdout}{stderr}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
    let folder = stored();
    let index = folder.path().join("layout/index.json");
    std::fs::remove_file(&index).unwrap();
    // A folder cannot be read as a file, whoever asks; root reads everything else.
    std::fs::create_dir(&index).unwrap();
    let (stdout, stderr) = scan(folder.path(), &["oci-dir:layout"], 1);
    assert!(stdout.is_empty() && stderr.contains("index.json"), "{stdout}{stderr}");
    let (_, stderr) = scan(folder.path(), &["docker.tar", "--policy", "no-such-policy.yaml"], 1);
    assert!(stderr.contains("no-such-policy.yaml"), "{stderr}");
}
