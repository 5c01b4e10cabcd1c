//! An image and the one that it was built on; everything executable in it.

use expect_test::expect;
use portcullis_testkit::{ImageBuilder, Layer};

use crate::{outcome, portcullis};

fn base() -> ImageBuilder {
    let old = r#"{"name": "lodash", "version": "4.17.15"}"#;
    ImageBuilder::debian(12)
        .package("base-files", "12.4+deb12u5")
        .layer(Layer::new().file("usr/lib/node_modules/lodash/package.json", old))
}

fn app() -> ImageBuilder {
    let own = r#"{"name": "minimist", "version": "1.2.0"}"#;
    let own = Layer::new().file("app/node_modules/minimist/package.json", own).executable("app/run", "#!/bin/sh\n");
    base().layer(own)
}

fn stored() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    base().build().write_oci_dir(&folder.path().join("base")).unwrap();
    app().build().write_oci_dir(&folder.path().join("app")).unwrap();
    folder
}

#[test]
fn findings_of_the_base_image_are_told_from_ones_own() {
    let folder = stored();
    let mut scan = portcullis();
    let (stdout, _) =
        outcome(scan.current_dir(folder.path()).args(["scan", "oci-dir:app", "--base", "oci-dir:base"]), 42);
    let line = stdout.lines().find(|line| line.trim_start().starts_with("base ")).unwrap();
    expect!["  base          base:latest (2 of 3 layers, by its layers): brings 3 of 5 findings"].assert_eq(line);
}

#[test]
fn an_image_that_is_not_the_base_is_refused() {
    let folder = stored();
    let mut scan = portcullis();
    let (_, stderr) =
        outcome(scan.current_dir(folder.path()).args(["scan", "oci-dir:base", "--base", "oci-dir:app"]), 1);
    expect![[r#"
        error: app:latest is not the base of base:latest: its layers are not the lowest
        hint: name the very image that it was built on, by digest, or leave out --base
    "#]]
    .assert_eq(&stderr);
}

#[test]
fn everything_executable_is_listed() {
    let folder = stored();
    let mut sbom = portcullis();
    let (stdout, _) = outcome(sbom.current_dir(folder.path()).args(["sbom", "oci-dir:app", "-o", "executables"]), 0);
    let manifest: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(manifest["complete"], true);
    let file = &manifest["files"][0];
    assert_eq!(file["path"], "app/run");
    assert_eq!(file["digest"], portcullis_model::Digest::of(b"#!/bin/sh\n").to_string());
    assert_eq!(manifest["files"].as_array().unwrap().len(), 1);
}
