//! Systems of rpm packages, with databases that rpm wrote and advisories that the distributions wrote. What each
//! should find was looked up in the advisories by hand.

use std::path::{Path, PathBuf};

use portcullis_testkit::{ImageBuilder, Layer, RpmPackage, rpm_database};
use serde_json::Value;

use crate::{outcome, portcullis};

/// The folder of real data; none, with a word on it, where it is not there.
fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("PORTCULLIS_TEST_DATA").map_or(default, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{}: no such folder", path.display());
    println!("skipped: PORTCULLIS_TEST_DATA names no folder");
    None
}

/// A database of a folder of advisories, in `folder`.
fn database(folder: &Path, advisories: &Path) -> PathBuf {
    let path = folder.join("advisories.db");
    let mut build = portcullis();
    build.args(["db", "build", "--quiet", "--from"]).arg(advisories).arg("-o").arg(&path);
    outcome(&mut build, 0);
    path
}

/// Scans an image of one layer: an `os-release`, and a file.
fn scan(folder: &Path, database: &Path, system: &str, (path, contents): (&str, &[u8]), code: i32) -> Value {
    let layout = tempfile::tempdir_in(folder).unwrap().keep();
    let layer = Layer::new().file("etc/os-release", system).file(path, contents);
    ImageBuilder::new().layer(layer).build().write_oci_dir(&layout).unwrap();
    let mut command = portcullis();
    command.arg("scan").arg(&layout).args(["-q", "-o", "json", "--fail-on", "medium", "--db"]).arg(database);
    serde_json::from_str(&outcome(&mut command, code).0).unwrap()
}

/// `package id` of each finding, sorted.
fn findings(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap();
    let mut found: Vec<String> = findings
        .iter()
        .map(|finding| {
            let id = if finding["cve"].is_null() { &finding["id"] } else { &finding["cve"] };
            format!("{} {} {}", text(&finding["package"]["name"]), text(id), finding["fixedVersions"][0])
        })
        .collect();
    found.sort();
    found
}

#[test]
fn almalinux() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), &data.join("osv/AlmaLinux"));
    let system = "ID=\"almalinux\"\nVERSION_ID=\"8.8\"\n";
    // Packages of AlmaLinux's. Of libuuid's, ALBA-2022:2100 was fixed in 2.32.1-35.el8, before this one, and
    // ALSA-2026:1852 after it. Without its epoch, openssl's version would come before all that are fixed: ten advisories
    // would count, not six.
    let packages = [
        RpmPackage::new("libuuid", "2.32.1-42.el8_8")
            .source_rpm("util-linux-2.32.1-42.el8_8.src.rpm")
            .vendor("AlmaLinux"),
        RpmPackage::new("openssl-libs", "1:1.1.1k-9.el8_7")
            .source_rpm("openssl-1.1.1k-9.el8_7.src.rpm")
            .vendor("AlmaLinux"),
    ];
    let made = rpm_database(&packages);
    let report = scan(folder.path(), &database, system, ("usr/lib/sysimage/rpm/Packages.db", &made), 42);
    let expected = [
        r#"libuuid CVE-2025-14104 "2.32.1-48.el8_10""#,
        r#"openssl-libs CVE-2023-3446 "1:1.1.1k-12.el8_9""#,
        r#"openssl-libs CVE-2023-3817 "1:1.1.1k-12.el8_9""#,
        r#"openssl-libs CVE-2023-5678 "1:1.1.1k-12.el8_9""#,
        r#"openssl-libs CVE-2024-4741 "1:1.1.1k-16.el8_6""#,
        r#"openssl-libs CVE-2024-5535 "1:1.1.1k-14.el8_6""#,
        r#"openssl-libs CVE-2025-69419 "1:1.1.1k-15.el8_6""#,
        r#"openssl-libs CVE-2025-9230 "1:1.1.1k-14.el8_10""#,
        r#"openssl-libs CVE-2026-28390 "1:1.1.1k-17.el8_6""#,
        r#"openssl-libs CVE-2026-45447 "1:1.1.1k-16.el8_6""#,
    ];
    assert_eq!(findings(&report), expected);
    // The real one is of Red Hat: read, named, and unknown.
    let real = std::fs::read(data.join("pkgdb/rpm/libuuid-bdb/Packages")).unwrap();
    let report = scan(folder.path(), &database, system, ("var/lib/rpm/Packages", &real), 44);
    assert_eq!((findings(&report).len(), &report["verdict"]["result"]), (0, &Value::from("unknown")));
    assert_eq!(
        report["inventory"]["packages"][0]["purl"],
        "pkg:rpm/almalinux/libuuid@2.32.1-42.el8_8?arch=x86_64&distro=almalinux-8.8&upstream=util-linux-2.32.1-42.el8_8.src.rpm"
    );
}

#[test]
fn azure_linux() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), &data.join("osv/AzureLinux"));
    // Of six advisories on openssl, those fixed in 3.3.0-1 and earlier do not count: its `1.azl3` comes after `1`.
    let manifest = "openssl-libs\t3.3.0-1.azl3\t1\t1\tMicrosoft Corporation\t(none)\t1\tx86_64\t0\topenssl-3.3.0-1.azl3.src.rpm\n\
                    curl\t8.8.0-1.azl3\t1\t1\tMicrosoft Corporation\t(none)\t1\tx86_64\t0\tcurl-8.8.0-1.azl3.src.rpm\n";
    let place = "var/lib/rpmmanifest/container-manifest-2";
    let system = "ID=azurelinux\nVERSION_ID=\"3.0\"\n";
    let report = scan(folder.path(), &database, system, (place, manifest.as_bytes()), 42);
    assert_eq!(findings(&report), [r#"openssl-libs CVE-2024-5535 "3.3.0-2""#]);
    // A whole database of CBL-Mariner 2: the data is of 1 and 3, so nothing is known of it, and that is no pass.
    let real = std::fs::read(data.join("pkgdb/rpm/cbl-mariner-2.0-sqlite/rpmdb.sqlite")).unwrap();
    let system = "ID=mariner\nVERSION_ID=\"2.0\"\n";
    let report = scan(folder.path(), &database, system, ("var/lib/rpm/rpmdb.sqlite", &real), 44);
    assert_eq!(report["inventory"]["packages"].as_array().unwrap().len(), 129);
    assert_eq!((findings(&report).len(), &report["verdict"]["result"]), (0, &Value::from("unknown")));
    // The same database as one of version 1. Of twenty advisories on openssl five were fixed in 1.1.1k-5, before this
    // 1.1.1k-7; they count for each of the two packages that were built from it.
    let system = "ID=mariner\nVERSION_ID=\"1.0\"\n";
    let report = scan(folder.path(), &database, system, ("var/lib/rpm/rpmdb.sqlite", &real), 42);
    let found = findings(&report);
    let of = |name: &str| found.iter().filter(|finding| finding.starts_with(name)).count();
    assert_eq!((of("openssl CVE-"), of("openssl-libs CVE-")), (15, 15), "{found:?}");
}

#[test]
fn a_system_without_advisories_is_incomplete() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), &data.join("osv/AzureLinux"));
    let real = std::fs::read(data.join("pkgdb/rpm/sle15-bci-ndb/Packages.db")).unwrap();
    for (system, path) in [
        ("ID=\"rhel\"\nVERSION_ID=\"8.8\"\n", "var/lib/rpm/Packages.db"),
        ("ID=\"sles\"\nVERSION_ID=\"15.5\"\n", "usr/lib/sysimage/rpm/Packages.db"),
    ] {
        let report = scan(folder.path(), &database, system, (path, &real), 44);
        assert_eq!(report["inventory"]["packages"].as_array().unwrap().len(), 35);
        assert_eq!(report["verdict"]["result"], "unknown");
    }
}
