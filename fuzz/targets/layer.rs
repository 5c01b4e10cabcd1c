//! A layer's bytes, packed or plain, all the way to an inventory: tar, decompression, readers, merging.
#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use portcullis_image::{Image, OpenOptions, Source};
use portcullis_testkit::{ImageBuilder, Layer};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|bytes: &[u8]| {
    let image = ImageBuilder::debian(12).layer(Layer::stored(bytes)).build();
    let path: PathBuf = FOLDER.path().join("layout");
    std::fs::remove_dir_all(&path).ok();
    image.write_oci_dir(&path).expect("a layout");
    let source = Source::OciDirectory { path, name: None };
    let image = Image::open(&source, &OpenOptions::default()).expect("the layout is sound");
    _ = portcullis_scan::take_inventory(
        &image,
        &portcullis_scan::InventoryOptions { executables: true, ..portcullis_scan::InventoryOptions::default() },
    );
});
