//! The layer cache, as users meet it.

use std::{fs, path::Path, process::Command};

use portcullis_testkit::{ImageBuilder, Layer};

use crate::{outcome, portcullis};

/// The binary with a cache in `folder`.
fn cached(folder: &Path) -> Command {
    let mut command = portcullis();
    command.current_dir(folder).env("PORTCULLIS_NO_CACHE", "0").env("PORTCULLIS_CACHE_DIR", "cache");
    command
}

#[test]
fn a_layer_that_is_known_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let package = r#"{"name": "left-pad", "version": "1.3.0"}"#;
    let layer = Layer::new().file("node_modules/left-pad/package.json", package);
    let image = ImageBuilder::debian(12).package("base-files", "12.4").layer(layer).build();
    image.write_oci_dir(&folder.join("layout")).unwrap();
    let scan = || cached(folder).args(["sbom", "layout", "-o", "json"]).output().unwrap();
    let first = scan();
    assert_eq!(first.status.code(), Some(0));
    for layer in &image.layers {
        fs::remove_file(folder.join("layout/blobs/sha256").join(layer.digest.hex())).unwrap();
    }
    assert_eq!(scan().stdout, first.stdout);
    outcome(cached(folder).args(["sbom", "layout", "-o", "json", "--no-cache"]), 1);
    let (status, _) = outcome(cached(folder).args(["cache", "status"]), 0);
    assert!(status.starts_with("cache/layers: 3 entries, ") && status.contains("of at most 2147483648"), "{status}");
    let (removed, _) = outcome(cached(folder).args(["cache", "clean"]), 0);
    assert!(removed.starts_with("cache/layers: 3 entries, "), "{removed}");
    outcome(cached(folder).args(["sbom", "layout", "-o", "json"]), 1);
    let (status, _) = outcome(cached(folder).args(["cache", "status", "--cache-size", "1G"]), 0);
    assert_eq!(status, "cache/layers: 0 entries, 0 bytes of at most 1073741824\n");
}

#[test]
fn a_cache_that_cannot_be_written_is_told_to_those_who_ask() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ImageBuilder::debian(12).package("base-files", "12.4").build().write_oci_dir(&folder.join("layout")).unwrap();
    fs::write(folder.join("cache"), "a file").unwrap();
    let (_, stderr) = outcome(cached(folder).args(["sbom", "layout"]), 0);
    assert_eq!(stderr, "");
    let (_, stderr) = outcome(cached(folder).args(["sbom", "layout", "-v"]), 0);
    assert!(stderr.starts_with("note: the layer cache is not used: cache/layers: "), "{stderr}");
    // Without a home there is no cache, and nobody's folder is made.
    let mut homeless = portcullis();
    homeless.current_dir(folder).env("PORTCULLIS_NO_CACHE", "0");
    outcome(homeless.args(["sbom", "layout"]), 0);
    assert!(!Path::new("/nonexistent").exists());
    let (_, stderr) = outcome(portcullis().args(["cache", "status"]), 1);
    assert!(stderr.contains("hint: name one with --cache-dir"), "{stderr}");
}
