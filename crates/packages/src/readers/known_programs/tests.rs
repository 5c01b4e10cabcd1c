//! Texts as they stand in real programs, and the programs of this machine.

use std::{collections::BTreeSet, process::Command};

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read, read_in_pieces, render};

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

/// What each row finds where it should: path, the text as it stands in the real file, name and version.
const KNOWN: &[(&str, &str, &str)] = &[
    ("usr/local/bin/bash", "@(#)Bash version 5.2.15(1) release GNU", "bash 5.2.15"),
    ("bin/busybox", "BusyBox v1.35.0 (Debian 1:1.35.0-4+b1)", "busybox 1.35.0"),
    (
        "usr/bin/composer",
        "#!/usr/bin/env php\nclass Composer\n{\npublic const VERSION = '2.6.5';\npublic const BRANCH_ALIAS_VERSION = '';",
        "composer 2.6.5",
    ),
    ("usr/local/bin/curl", "\0curl/8.4.0\0", "curl 8.4.0"),
    ("usr/local/lib/libcurl.so.4.8.0", "\0libcurl/8.4.0\0zlib/%s\0", "curl 8.4.0"),
    ("usr/local/lib/erlang/releases/26/OTP_VERSION", "26.2.1\n", "erlang 26.2.1"),
    ("usr/local/bin/git", "\0git/2.39.5\0GIT_USER_AGENT\0", "git 2.39.5"),
    ("usr/local/go/VERSION", "go1.21.5\ntime 2023-11-29T21:21:46Z\n", "go 1.21.5"),
    ("usr/local/go/VERSION", "go1.4", "go 1.4"),
    ("opt/graalvm/release", "GRAALVM_VERSION=\"23.0.2\"\n", "graalvm 23.0.2"),
    ("usr/local/sbin/haproxy", "<h1> version 2.8.5-aaba8d0, released 2023/12/07</h1>", "haproxy 2.8.5"),
    ("usr/local/apache2/bin/httpd", "\0Apache/2.4.58 (Unix)\0", "httpd 2.4.58"),
    ("usr/sbin/lighttpd", "\0lighttpd/1.4.69\0", "lighttpd 1.4.69"),
    ("usr/sbin/mariadbd", "\x0010.11.19-MariaDB\0", "mariadb 10.11.19"),
    ("usr/local/bin/memcached", "\0memcached 1.6.22\0", "memcached 1.6.22"),
    ("usr/sbin/mysqld", "/builds/mysql-8.0.35/sql/mysqld.cc\0", "mysql 8.0.35"),
    ("usr/sbin/nginx", "nginx version: nginx/1.25.3\n\0", "nginx 1.25.3"),
    ("usr/local/bin/node", "\0node.js/v20.10.0\0", "node 20.10.0"),
    ("opt/java/openjdk/release", "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"17.0.9\"\n", "openjdk 17.0.9"),
    ("usr/java/jdk8/release", "JAVA_VERSION=\"1.8.0_392\"\nOS_NAME=\"Linux\"\n", "openjdk 1.8.0_392"),
    ("usr/local/openresty/nginx/sbin/nginx", "nginx version: openresty/1.21.4.1\n\0", "openresty 1.21.4.1"),
    ("usr/local/bin/openssl", "\0OpenSSL 3.0.19 27 Jan 2026\0", "openssl 3.0.19"),
    ("usr/local/lib64/libcrypto.so.1.1", "\0OpenSSL 1.1.1w  11 Sep 2023\0", "openssl 1.1.1w"),
    ("usr/lib/libcrypto.so.1.0.2k", "\0OpenSSL 1.0.2k-fips  26 Jan 2017\0", "openssl 1.0.2k"),
    ("usr/local/lib/libcrypto.so.81.3", "\0OpenSSL 3.1.4+quic 24 Oct 2023\0", "openssl 3.1.4"),
    ("usr/local/bin/perl5.36.0", "\0v5.36.0\0", "perl 5.36.0"),
    ("usr/local/bin/php", "\0X-Powered-By: PHP/8.2.13\0", "php 8.2.13"),
    ("usr/local/bin/postgres", "\0postgres (PostgreSQL) 16.1 (Debian 16.1-1)\n\0", "postgresql 16.1"),
    ("usr/bin/psql", "\0psql (PostgreSQL) 9.6.24\n\0", "postgresql 9.6.24"),
    ("usr/sbin/proftpd", "\0ProFTPD Version 1.3.8\0", "proftpd 1.3.8"),
    ("usr/local/lib/libpython3.11.so.1.0", "\x003.13.0\0\x003.11.4\0", "python 3.11.4"),
    ("usr/local/lib/libpython3.6m.so.1.0", "\0/opt/python/3.6.15\0", "python 3.6.15"),
    ("opt/venv/bin/python3", "\x003.11.4\0/opt/python/3.11.4\0", "python 3.11.4"),
    ("usr/local/bin/python2.7", "\x002.7.18+\0", "python 2.7.18"),
    // The end of a release, and what begins a host's name or a moment, are told apart.
    ("usr/local/bin/redis-server", "7.2.49e1b6a2f4c5d-1704881234000000000000000000\0", "redis 7.2.4"),
    ("usr/local/bin/redis-server", "7.2.14buildkitsandbox-170488123400000000000000000000\0", "redis 7.2.14"),
    ("usr/bin/redis-check-rdb", "A7.0.151790282056000000000\0", "redis 7.0.15"),
    ("usr/bin/redis-check-rdb", "A7.0.111790282056000000000\0", "redis 7.0.11"),
    ("usr/local/lib/libruby.so.3.3.0", "\0ruby 3.3.0 (2023-12-25 revision 5124f9ac75) [x86_64-linux]\0", "ruby 3.3.0"),
    ("usr/lib/libruby-3.1.so.3.1.2", "ruby 3.1.2p20 (2022-04-12 revision 4491bb740a)", "ruby 3.1.2"),
    ("opt/rust/lib/librustc_driver-6108105cd7e839cf.so", "rustc version 1.95.0 (59807616e 2026-04-14)", "rust 1.95.0"),
    ("opt/rust/bin/rustc", "rustc version 1.97.0-nightly (f2f1ac4c5 2026-05-01)", "rust 1.97.0-nightly"),
    ("usr/local/tomcat/RELEASE-NOTES", "  Apache Tomcat Version 10.1.18\n", "tomcat 10.1.18"),
    ("usr/local/bin/valkey-server", "7.2.59e1b6a2f4c5d-1713340000000000000000000000\0", "valkey 7.2.5"),
    ("var/www/html/wp-includes/version.php", "<?php\n$wp_version = '6.4.2';\n", "wordpress 6.4.2"),
    ("usr/local/bin/xz", "\0xz (XZ Utils) 5.6.1\0", "xz 5.6.1"),
];

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
    assert_eq!(rows.len(), PROGRAMS.len(), "two rows of one name");
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
            assert!(properties.explicit_captures_len() == 1, "{pattern}");
        }
        let (vendor, product) = program.product;
        assert!(application_cpe(vendor, product, "1").is_some(), "{}", program.name);
    }
}

#[test]
fn the_page_of_what_is_found_names_each() {
    let page = include_str!("../../../../../docs/coverage.md");
    let (_, section) = page.split_once("\n## Known programs\n").unwrap();
    let (list, _) = section.split_once(" Such a program ").unwrap();
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, PROGRAMS.iter().map(|program| program.name).collect::<Vec<_>>());
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
            ["OpenSSL 3", "nginx version: nginx/x", "7.0.15", "\x0010.2\0", "Bash version", "go2", "ruby 3.1.2p20"];
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
        ("/usr/bin/git", "--version"),
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
        ("/usr/bin/node", "--version"),
        ("/usr/bin/redis-server", "--version"),
        ("/usr/local/bin/postgres", "--version"),
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
