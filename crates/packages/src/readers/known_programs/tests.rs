//! Texts as they stand in real programs, and the programs of this machine.

mod samples;

use std::{collections::BTreeSet, process::Command};

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read, read_in_pieces, render};
use samples::KNOWN;

/// A program that holds `texts`, each between bytes that are no text.
fn program(texts: &[&str]) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(3000, 0x90);
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(bytes.len() + 700, 0);
    }
    bytes
}

fn names(reading: &Reading) -> Vec<String> {
    reading.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}

#[test]
fn every_row_knows_its_program() {
    for (path, text, expected) in KNOWN {
        let is_binary = rows_of(&FileHeader { path, size: 9999, mode: 0o755, head: b"#!" }).next().is_none();
        let bytes = if is_binary { program(&[text]) } else { text.as_bytes().to_vec() };
        let reading = read(&KnownPrograms, path, &bytes).unwrap_or_else(|| panic!("{path} is of no row"));
        assert_eq!(names(&reading), [*expected], "{path}");
    }
    let known: BTreeSet<&str> = KNOWN.iter().filter_map(|(_, _, found)| found.split(' ').next()).collect();
    let rows: BTreeSet<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    assert_eq!(known, rows, "a row that no test has");
    let kinds: BTreeSet<_> = PROGRAMS.iter().map(|row| (row.name, matches!(row.files, Files::Paths(_)))).collect();
    assert_eq!(kinds.len(), PROGRAMS.len(), "two rows of one name for one kind of file");
    assert!(PROGRAMS.is_sorted_by_key(|program| program.name));
}

#[test]
fn no_pattern_matches_more_than_is_seen_at_a_time_or_asks_where_a_text_begins() {
    for program in PROGRAMS {
        for pattern in [Some(program.version), program.publisher].into_iter().flatten() {
            let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
            let parsed = parser.parse(pattern).unwrap();
            let properties = parsed.properties();
            assert!(properties.maximum_len().is_some_and(|most| most <= LOOK_AHEAD), "{pattern}");
            assert!(properties.look_set().is_empty(), "{pattern}");
            assert!(properties.explicit_captures_len() > 0, "{pattern}");
        }
        let (vendor, product) = program.product;
        let has_name = application_cpe(vendor, product, "1").is_some();
        assert_eq!(has_name, !(vendor.is_empty() && product.is_empty()), "{}", program.name);
    }
}

#[test]
fn the_page_of_what_is_found_names_each() {
    let page = include_str!("../../../../../docs/coverage.md");
    let (_, section) = page.split_once("\n## Known programs\n").unwrap();
    let (list, _) = section.split_once(" Such a program ").unwrap();
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let mut names: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    names.dedup();
    assert_eq!(named, names);
}

#[test]
fn what_was_seen_is_told() {
    let reading = read(&KnownPrograms, "usr/local/bin/openssl", &program(&["\0OpenSSL 3.0.19 27 Jan 2026\0"])).unwrap();
    let [package] = reading.packages.as_slice() else { panic!("{reading:?}") };
    assert_eq!(package.evidence.as_deref(), Some("known program `openssl`: OpenSSL 3.0.19 27 Jan 2026"));
    assert_eq!(package.cpe.as_deref(), Some("cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*"));
    check(
        &KnownPrograms,
        "opt/java/release",
        "JAVA_VERSION=\"21.0.1\"\nSOURCE=\"x\"\nIMPLEMENTOR=\"Eclipse Adoptium\"\n",
        expect![[r#"
            generic openjdk 21.0.1, by Eclipse Adoptium, purl pkg:generic/openjdk@21.0.1
        "#]],
    );
}

#[test]
fn other_files_are_of_no_row() {
    let selects = |path: &str, head: &[u8]| {
        KnownPrograms.select(&FileHeader { path, size: 1 << 20, mode: 0o755, head }).is_some()
    };
    for path in
        ["usr/bin/openssl", "lib/libcrypto.so.3", "bin/php8.2", "bin/php-fpm8.2", "x/nginx.exe", "a/libcrypto-3.dll"]
    {
        assert!(selects(path, b"\x7fELF"), "{path}");
        assert!(!selects(path, b"#!/bin/sh"), "{path}");
    }
    for path in [
        "usr/bin/opensslx",
        "ruby/openssl.so",
        "lib/libcryptopp.so.8",
        "bin/bashbug",
        "bin/nodemon",
        "lib/libpython3.so.x",
        "xgo/VERSION",
    ] {
        assert!(!selects(path, b"\x7fELF"), "{path}");
    }
    assert!(selects("wp-includes/version.php", b"<?php"));
    assert!(!selects("awp-includes/version.php", b"<?php"));
}

#[test]
fn a_program_that_says_nothing_is_none() {
    for (path, _, _) in KNOWN {
        let texts =
            ["OpenSSL 3", "nginx version: nginx/x", "a7.0.15", "\x0010.2\0", "Bash version", "go2", "ruby 3.1.2p20"];
        let reading = read(&KnownPrograms, path, &program(&texts)).map(|reading| render(&reading)).unwrap_or_default();
        assert_eq!(reading, "", "{path}");
    }
}

/// SQLite's version is of the same form as Python's.
#[test]
fn of_two_versions_without_a_name_that_decides_none_is_told() {
    for (path, text, expected) in [
        ("usr/bin/python3", "\x003.45.1\0\x003.11.4\0", ""),
        ("usr/bin/python3", "\x003.11.4\0\x003.45.1\0", ""),
        ("usr/bin/python3", "\x003.11.4\0\x003.11.4\0", "python 3.11.4"),
        ("usr/bin/python3.11", "\x003.45.1\0\x003.11.4\0", "python 3.11.4"),
        ("usr/bin/mongod", "\x006.0.27\0\x003.1.4\0", ""),
        ("usr/bin/mongod", "\x003.0.4\0\x003.0.4\0", "mongodb 3.0.4"),
    ] {
        for bytes in [program(&[text]), program(&text.split_inclusive("4\0").collect::<Vec<_>>())] {
            for size in [1, 300, 64 << 10] {
                let reading = read_in_pieces(&KnownPrograms, path, &bytes, size).unwrap();
                assert_eq!(names(&reading).join(" "), expected, "{path} {text:?} {size}");
            }
        }
    }
}

/// Programs of this machine, against what they say when they are asked. `tests/run` installs the first half; the others are
/// looked at where they happen to be.
#[test]
fn real_programs_are_of_the_version_that_they_tell() {
    let installed = [
        ("/usr/bin/bash", "--version"),
        ("/usr/bin/busybox", ""),
        ("/usr/bin/curl", "--version"),
        ("/usr/bin/gcc", "--version"),
        ("/usr/bin/getopt", "--version"),
        ("/usr/bin/git", "--version"),
        ("/usr/bin/gzip", "--version"),
        ("/usr/bin/openssl", "version"),
        ("/usr/bin/perl", "--version"),
        ("/usr/bin/python3", "--version"),
        ("/usr/bin/xz", "--version"),
    ];
    for (path, arguments) in installed {
        if !is_told(path, arguments) {
            println!("skipped: {path} is not there");
        }
    }
    for (path, arguments) in [
        ("/usr/bin/ffmpeg", "-version"),
        ("/usr/bin/jq", "--version"),
        ("/usr/bin/node", "--version"),
        ("/usr/bin/redis-server", "--version"),
        ("/usr/local/bin/postgres", "--version"),
        ("/usr/bin/zstd", "--version"),
        ("/usr/sbin/nginx", "-v"),
    ] {
        is_told(path, arguments);
    }
}

/// Holds a program against its own words; false where it is not there, or not what it is called.
fn is_told(path: &str, arguments: &str) -> bool {
    let Ok(real) = std::fs::canonicalize(path) else { return false };
    let contents = std::fs::read(&real).unwrap();
    let inside = real.to_str().unwrap().trim_start_matches('/');
    let Some(reading) = read_in_pieces(&KnownPrograms, inside, &contents, 64 << 10) else { return false };
    let output = Command::new(path).args(arguments.split_whitespace()).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let [package] = reading.packages.as_slice() else { panic!("{path}: {reading:?}") };
    assert!(told.contains(&package.version), "{path}: {} in {told}", package.version);
    true
}

thread_local! {
    static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts bytes that a search went over.
pub(super) fn count_looked_at(bytes: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + bytes);
}

/// Each place looks like the beginning of something.
#[test]
fn what_nearly_matches_everywhere_is_read_in_linear_time() {
    for (path, text) in [
        ("bin/redis-server", "7.2.1a"),
        ("bin/python3.11", "\x003.12.1"),
        // These match everywhere, and are not wanted.
        ("bin/python3.11", "\x003.12.1\0"),
        ("bin/python3", "\x003.12.1\0"),
    ] {
        let looked_at = |times: usize| {
            let bytes = [b"\x7fELF".to_vec(), text.repeat(times).into_bytes()].concat();
            LOOKED_AT.set(0);
            let found = render(&read_in_pieces(&KnownPrograms, path, &bytes, 64 << 10).unwrap());
            assert_eq!(found.is_empty(), path != "bin/python3", "{found}");
            (LOOKED_AT.get(), bytes.len())
        };
        let (once, _) = looked_at(1 << 18);
        let (twice, bytes) = looked_at(1 << 19);
        assert!(once > 0 && twice <= 2 * once + (64 << 10), "{path}: {once}, then {twice}");
        assert!(twice <= 4 * bytes, "{path}: {twice} of {bytes}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(index in 0..KNOWN.len(), size in 1_usize..700) {
        let (path, text, _) = KNOWN[index];
        let bytes = program(&["\x003.9.1\0", text, text]);
        let whole = read(&KnownPrograms, path, &bytes).map(|reading| render(&reading));
        prop_assert_eq!(read_in_pieces(&KnownPrograms, path, &bytes, size).map(|reading| render(&reading)), whole);
    }

    #[test]
    fn any_split_of_anything_gives_the_same(
        index in 0..KNOWN.len(),
        parts in prop::collection::vec(prop_oneof![
            (0..KNOWN.len()).prop_map(|index| KNOWN[index].1.as_bytes().to_vec()),
            any::<Vec<u8>>(),
            "[0-9.a-f\\x00/-]{0,40}".prop_map(String::into_bytes),
        ], 0..8),
        size in 1_usize..80,
    ) {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(1024, 1);
        bytes.extend(parts.concat());
        let (path, ..) = KNOWN[index];
        let whole = read(&KnownPrograms, path, &bytes).map(|reading| render(&reading));
        prop_assert_eq!(read_in_pieces(&KnownPrograms, path, &bytes, size).map(|reading| render(&reading)), whole);
    }
}
