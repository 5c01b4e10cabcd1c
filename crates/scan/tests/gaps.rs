//! What is not read is said, and only as long as it is there.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use portcullis_model::WarningKind;
use portcullis_testkit::{ImageBuilder, Layer};
use support::taken;

const FEDORA: &str = "ID=fedora\nVERSION_ID=41\nPRETTY_NAME=\"Fedora Linux 41\"\n";

/// The places of an image's gaps.
fn gaps(image: &ImageBuilder) -> Vec<String> {
    let warnings = taken(&image.build()).inventory.warnings;
    assert!(warnings.iter().all(|warning| warning.kind == WarningKind::Gap), "{warnings:?}");
    warnings.into_iter().map(|warning| warning.path).collect()
}

#[test]
fn a_distribution_without_packages_is_a_gap() {
    let image = ImageBuilder::new().layer(Layer::new().file("etc/os-release", FEDORA));
    assert_eq!(gaps(&image), ["etc/os-release"]);
    assert_eq!(gaps(&ImageBuilder::debian(12).package("bash", "5.2.15-2")), [""; 0]);
    assert_eq!(gaps(&ImageBuilder::new().layer(Layer::new().file("app", "x"))), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_a_gap_each() {
    let layer = Layer::new()
        .file("etc/os-release", FEDORA)
        .file("usr/lib/sysimage/rpm/rpmdb.sqlite", "SQLite format 3")
        .file("opt/conda-meta/a.json", "")
        .file("opt/conda-meta/b.json", "");
    assert_eq!(
        gaps(&ImageBuilder::new().layer(layer)),
        ["etc/os-release", "opt/conda-meta/a.json", "opt/conda-meta/b.json", "usr/lib/sysimage/rpm/rpmdb.sqlite"]
    );
}

#[test]
fn packages_of_a_system_without_a_reader_are_one_gap_as_long_as_they_are_there() {
    let slackware = "var/lib/pkgtools/packages";
    let layer = Layer::new()
        .file(&format!("{slackware}/bash-5.1.016-x86_64-1"), "PACKAGE NAME: bash-5.1.016-x86_64-1\n")
        .file(&format!("{slackware}/zlib-1.2.13-x86_64-1"), "PACKAGE NAME: zlib-1.2.13-x86_64-1\n");
    let image = ImageBuilder::new().layer(layer);
    assert_eq!(gaps(&image), [slackware]);
    assert_eq!(gaps(&image.layer(Layer::new().whiteout("var/lib/pkgtools"))), [""; 0]);
}

#[test]
fn the_gap_of_a_removed_file_is_gone_with_it() {
    let broken = "app/node_modules/x/package.json";
    let lower = Layer::new().file(broken, "{").file("opt/app/a.jar", b"PK\x03\x04");
    let image = ImageBuilder::new().layer(lower);
    assert_eq!(gaps(&image), [broken, "opt/app/a.jar"]);
    assert_eq!(gaps(&image.layer(Layer::new().whiteout(broken).whiteout("opt"))), [""; 0]);
}
