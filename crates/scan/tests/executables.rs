//! The executable manifest, and how much of it the inventory explains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use portcullis_image::{Image, OpenOptions, Source};
use portcullis_model::{Digest, WarningKind};
use portcullis_scan::{InventoryOptions, Taken, take_inventory};
use portcullis_testkit::{ImageBuilder, Layer};
use support::npm;

fn taken(builder: &ImageBuilder, executables: bool) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    builder.build().write_oci_dir(folder.path()).unwrap();
    let source = Source::OciDirectory { path: folder.path().to_owned(), name: None };
    let image = Image::open(&source, &OpenOptions::default()).unwrap();
    take_inventory(&image, &InventoryOptions { jobs: 2, executables, ..InventoryOptions::default() }).unwrap()
}

/// Debian's `bash`, a module of Node, and what nobody knows; some of it removed or replaced by the second layer.
fn image() -> ImageBuilder {
    let first = Layer::new()
        .file("var/lib/dpkg/info/bash.list", "/.\n/usr/bin\n/usr/bin/bash\n/usr/bin/rbash\n")
        .executable("usr/bin/bash", b"\x7fELF bash")
        .hard_link("usr/bin/rbash", "usr/bin/bash")
        .executable("usr/bin/old", b"\x7fELF old")
        .executable("usr/bin/twice", b"\x7fELF first")
        .executable("usr/bin/twice", "no program")
        .file("lib/module.wasm", b"\0asm\x01\0\0\0")
        .file("readme.sh", "#!/bin/sh\n")
        .file("app/node_modules/a/package.json", npm("a", "1.0.0"))
        .executable("app/node_modules/a/cli.js", "#!/usr/bin/env node\n");
    let second =
        Layer::new().whiteout("usr/bin/old").executable("opt/tool", [b"\x7fELF".as_slice(), &[7; 300_000]].concat());
    ImageBuilder::debian(12).package("bash", "5.2").layer(first).layer(second)
}

#[test]
fn everything_executable_is_listed_with_digest_and_owner() {
    let taken = taken(&image(), true);
    let files = taken.executables.unwrap();
    let lines: Vec<_> = files
        .iter()
        .map(|file| format!("{} {} {} {}", file.path, file.size, file.mode, file.owner.as_deref().unwrap_or("-")))
        .collect();
    let bash = "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-12";
    assert_eq!(
        lines,
        [
            "app/node_modules/a/cli.js 20 0755 pkg:npm/a@1.0.0".to_owned(),
            "lib/module.wasm 8 0644 -".to_owned(),
            "opt/tool 300004 0755 -".to_owned(),
            format!("usr/bin/bash 9 0755 {bash}"),
            format!("usr/bin/rbash 9 0755 {bash}"),
        ]
    );
    assert_eq!(files[3].digest, Digest::of(b"\x7fELF bash"));
    assert_eq!(files[2].digest, Digest::of(&[b"\x7fELF".as_slice(), &[7; 300_000]].concat()));
    assert_eq!(files[4].digest, files[3].digest);
    assert_eq!(files[2].layer, Some(taken.target.layers[2].diff_id));
    let coverage = taken.coverage.unwrap();
    assert_eq!((coverage.executable_files, coverage.known_files), (5, 3));
    // A second name has no bytes of its own.
    assert_eq!((coverage.executable_bytes, coverage.known_bytes), (20 + 8 + 300_004 + 9, 20 + 9));
    assert_eq!(coverage.unknown, ["lib/module.wasm", "opt/tool"]);
}

#[test]
fn nothing_is_hashed_unasked_and_all_else_is_the_same() {
    let (with, without) = (taken(&image(), true), taken(&image(), false));
    assert_eq!(without.executables, None);
    assert_eq!((with.inventory, with.coverage), (without.inventory, without.coverage));
}

/// A program that has `text` in it.
fn program(text: &[u8]) -> Vec<u8> {
    [b"\x7fELF".as_slice(), &[0; 2044], text, &[0; 64]].concat()
}

/// Some crates of a program are not all of them: the program is not explained, and hundreds of them are one note.
#[test]
fn what_is_known_in_part_is_not_explained() {
    let traces = program(b"/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde_json-1.0.145/src/de.rs");
    let go = program(&[b"\xff Go buildinf:\x08\x02".as_slice(), &[0; 16], b"\x06go1.21\0"].concat());
    let layer = Layer::new()
        .file("var/lib/dpkg/info/bash.list", "/usr/bin/owned\n")
        .executable("usr/bin/owned", &traces)
        .executable("opt/a", &traces)
        .executable("opt/b", &traces)
        .executable("opt/go", &go)
        // A list of files whose package is not there.
        .file("usr/lib/python3/site-packages/gone-1.dist-info/RECORD", "../../../bin/claimed,,\n")
        .executable("usr/bin/claimed", &traces);
    let taken = taken(&ImageBuilder::debian(12).package("bash", "5.2").layer(layer), true);
    let coverage = taken.coverage.unwrap();
    assert_eq!(coverage.unknown, ["opt/a", "opt/b", "opt/go", "usr/bin/claimed"]);
    assert_eq!(coverage.known_files, 1);
    assert!(taken.executables.unwrap().iter().all(|file| file.owner.is_some() == (file.path == "usr/bin/owned")));
    let names: Vec<_> = taken.inventory.packages.iter().map(|package| package.name.as_str()).collect();
    assert!(names.contains(&"serde_json") && names.contains(&"stdlib"), "{names:?}");
    let notes: Vec<_> = taken.inventory.warnings.iter().map(|note| (note.kind, note.path.as_str())).collect();
    assert_eq!(notes, [(WarningKind::Note, "opt/a"), (WarningKind::Note, "opt/go")]);
    assert!(taken.inventory.warnings[0].message.ends_with("(the same holds for 2 more files)"));
}

#[test]
fn a_list_of_files_alone_explains_nothing() {
    let layer =
        Layer::new().file("var/lib/dpkg/info/tool.list", "/usr/bin/tool\n").executable("usr/bin/tool", "#!/bin/sh\n");
    let coverage = taken(&ImageBuilder::debian(12).package("bash", "5.2").layer(layer), false).coverage.unwrap();
    assert_eq!((coverage.known_files, coverage.unknown), (0, vec!["usr/bin/tool".to_owned()]));
}
