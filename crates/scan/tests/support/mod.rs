//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test is a program of its own, and uses a part of this"
)]

use std::io::{Cursor, Write as _};

use portcullis_image::{Image, OpenOptions, Source};
use portcullis_scan::{InventoryOptions, Taken, take_inventory};
use portcullis_testkit::{BuiltImage, ImageBuilder};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Opens `source` and takes its inventory.
pub fn take(source: &Source) -> Taken {
    let image = Image::open(source, &OpenOptions::default()).unwrap();
    take_inventory(&image, &InventoryOptions { jobs: 2, ..InventoryOptions::default() }).unwrap()
}

/// The inventory of an image, by way of an OCI layout.
pub fn taken(image: &BuiltImage) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    image.write_oci_dir(folder.path()).unwrap();
    take(&Source::OciDirectory { path: folder.path().to_owned(), name: None })
}

/// Every package with its places, each as `name version path @layer`, sorted.
pub fn packages(builder: &ImageBuilder) -> Vec<String> {
    let image = builder.build();
    let taken = taken(&image);
    assert_eq!(taken.inventory.warnings, []);
    lines(&image, &taken)
}

/// The packages of `taken`, written as [`packages`] does.
pub fn lines(image: &BuiltImage, taken: &Taken) -> Vec<String> {
    let mut lines = Vec::new();
    for package in &taken.inventory.packages {
        for location in &package.locations {
            let layer = image.layers.iter().position(|layer| Some(layer.diff_id) == location.layer).unwrap();
            lines.push(format!("{} {} {} @{layer}", package.name, package.version, location.path));
        }
    }
    lines.sort();
    lines
}

/// A `package.json`.
pub fn npm(name: &str, version: &str) -> String {
    format!(r#"{{"name": "{name}", "version": "{version}"}}"#)
}

/// A zip archive, as jars are.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
