//! Programs made in code, and real ones where Go is installed.

use std::path::Path;

use expect_test::expect;
use proptest::prelude::*;

use super::{
    header::{HEADER, INLINE},
    modules::MARK,
    *,
};
use crate::testing::{check, read, read_in_pieces, render};

const PATH: &str = "usr/bin/app";

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn header(flags: u8) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([8, flags]);
    bytes.resize(HEADER, 0);
    bytes
}

fn build_info(version: &str, modules: &str) -> Vec<u8> {
    let mut bytes = header(INLINE);
    bytes.extend(varint(version.len()));
    bytes.extend_from_slice(version.as_bytes());
    bytes.extend(varint(modules.len() + 2 * MARK));
    bytes.extend([b'0'; MARK]);
    bytes.extend_from_slice(modules.as_bytes());
    bytes.extend([b'2'; MARK]);
    bytes
}

/// A program with stray magics before `build_info`: one where none can be, one that nothing follows.
fn program(build_info: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(1001, 0x90);
    bytes.extend_from_slice(MAGIC);
    bytes.resize(2048, b'x');
    bytes.extend_from_slice(MAGIC);
    bytes.resize(4096, b'x');
    bytes.extend_from_slice(build_info);
    bytes.resize(bytes.len() + 3000, 0);
    bytes
}

const MODULES: &str = "path\texample.com/app/cmd\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/a/b\tv1.0.0\th1:x=\n\
    dep\tgithub.com/c/d\tv2.0.0\n=>\tgithub.com/fork/d\tv2.0.1\th1:z=\ndep\tlocal/e\tv0.1.0\n=>\t./e\t\t\n\
    build\t-compiler=gc\nbuild\t-ldflags=\"-s -X 'main.goVersion=1.21.5' -X main.Version=3.1.4\"\nbuild\tGOOS=linux\n";

#[test]
fn modules_replacements_and_the_toolchain_are_read() {
    check(
        &Go,
        PATH,
        program(&build_info("go1.21.5 X:nocoverageredesign", MODULES)),
        expect![[r#"
            golang stdlib 1.21.5, purl pkg:golang/stdlib@1.21.5
            golang github.com/a/b v1.0.0, purl pkg:golang/github.com/a/b@v1.0.0
            golang github.com/fork/d v2.0.1, purl pkg:golang/github.com/fork/d@v2.0.1
            golang local/e v0.1.0, purl pkg:golang/local/e@v0.1.0
            golang example.com/app v3.1.4, purl pkg:golang/example.com/app@v3.1.4
        "#]],
    );
}

#[test]
fn a_development_version_of_go_is_no_release_and_an_unknown_version_of_the_program_is_left_out() {
    check(
        &Go,
        PATH,
        program(&build_info("devel go1.22-bd36fd5", "mod\ta/b\t(devel)\t\ndep\tc\tv1.0.0\t\n")),
        expect![[r#"
            golang c v1.0.0, purl pkg:golang/c@v1.0.0
        "#]],
    );
}

#[test]
fn a_program_s_own_version_comes_before_a_linked_one() {
    let modules = "mod\ta/b\tv1.0.0\t\nbuild\t-ldflags=\"-X main.version=2.0.0\"\n";
    check(
        &Go,
        PATH,
        program(&build_info("go1.26", modules)),
        expect![[r#"
            golang stdlib 1.26, purl pkg:golang/stdlib@1.26
            golang a/b v1.0.0, purl pkg:golang/a/b@v1.0.0
        "#]],
    );
}

#[test]
fn pointers_of_go_1_17_are_a_gap() {
    let mut old = header(0);
    old[20] = 0x50;
    check(
        &Go,
        PATH,
        program(&old),
        expect![[r#"
            gap in usr/bin/app: a program built by Go 1.17 or older: its modules were not read
        "#]],
    );
    // Not where the real one follows.
    old.extend(build_info("go1.20", ""));
    check(
        &Go,
        PATH,
        program(&old),
        expect![[r#"
            golang stdlib 1.20, purl pkg:golang/stdlib@1.20
            partial: a program of Go that does not name the modules it was built from: others may be missing
        "#]],
    );
}

#[test]
fn what_breaks_off_or_claims_too_much_is_no_build_information() {
    let whole = program(&build_info("go1.21.5", MODULES));
    assert_eq!(render(&read(&Go, PATH, &whole[..4200]).unwrap()), "");
    for version in ["1.21.5", "go2.0", "", &"go1".repeat(1000)] {
        assert_eq!(render(&read(&Go, PATH, &program(&build_info(version, MODULES))).unwrap()), "", "{version}");
    }
}

#[test]
fn only_executables_are_selected() {
    let selects = |head: &[u8], size| Go.select(&FileHeader { path: PATH, size, mode: 0o644, head }).is_some();
    for head in [&b"\x7fELF\x02"[..], b"MZ\x90", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe\0\0\0\x02"] {
        assert!(selects(head, 4096), "{head:?}");
        assert!(!selects(head, 1000), "{head:?}");
    }
    for head in [&b"#!/bin/sh"[..], b"", b"\x7fEL", b"\xca\xfe\xba\xbe\0\0\0\x34"] {
        assert!(!selects(head, 4096), "{head:?}");
    }
}

/// Each magic claims a list of modules that never ends: none may make the others cost more.
#[test]
fn many_open_magics_are_read_in_linear_time() {
    let mut magic = header(INLINE);
    magic.extend(varint("go1.21".len()));
    magic.extend_from_slice(b"go1.21");
    magic.extend(varint(15 << 20));
    magic.resize(48, 0);
    let bytes = [b"\x7fELF            ".to_vec(), magic.repeat((12 << 20) / 48)].concat();
    let start = std::time::Instant::now();
    assert_eq!(render(&read_in_pieces(&Go, PATH, &bytes, 64 << 10).unwrap()), "");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn modules_beyond_the_limit_are_a_gap() {
    let reading = read(&Go, PATH, &program(&build_info("go1.21", &"dep\ta\tv1.0.0\n".repeat(60_000)))).unwrap();
    assert!(reading.packages.len() <= 50_001, "{}", reading.packages.len());
    assert_eq!(reading.warnings.len(), 1);
}

/// Go's own programs, against what `go version -m` says of them.
#[test]
fn real_programs_are_read_as_go_reads_them() {
    let folder = Path::new("/usr/local/go/bin");
    for program in ["gofmt", "go"].map(|name| folder.join(name)) {
        let Ok(contents) = std::fs::read(&program) else {
            println!("skipped: {} is not there", program.display());
            continue;
        };
        let output = std::process::Command::new(folder.join("go")).args(["version", "-m"]).arg(&program).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let reading = read_in_pieces(&Go, "usr/bin/program", &contents, 64 << 10).unwrap();
        let found: Vec<String> = reading.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();

        let toolchain = output.lines().next().and_then(|line| line.split(": go").nth(1)).unwrap();
        let mut expected = vec![format!("stdlib {}", toolchain.split(' ').next().unwrap())];
        for line in output.lines() {
            if let ["", "dep", name, version, ..] = line.split('\t').collect::<Vec<_>>().as_slice() {
                expected.push(format!("{name} {version}"));
            }
        }
        assert_eq!(found, expected, "{}", program.display());
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..600) {
        let program = program(&build_info("go1.21.5", MODULES));
        let whole = render(&read(&Go, PATH, &program).unwrap());
        prop_assert_eq!(whole.lines().count(), 5);
        prop_assert_eq!(render(&read_in_pieces(&Go, PATH, &program, size).unwrap()), whole);
    }

    #[test]
    fn any_split_of_anything_gives_the_same(
        parts in prop::collection::vec(prop_oneof![
            Just(MAGIC.to_vec()), Just(header(INLINE)), Just(header(0)), Just(build_info("go1.20", "dep\ta\tv1\n")),
            any::<Vec<u8>>(), (0_usize..40).prop_map(|length| vec![0; length]),
        ], 0..12),
        aligned in any::<bool>(),
        size in 1_usize..80,
    ) {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(1024, 1);
        for part in parts {
            bytes.extend(part);
            if aligned {
                bytes.resize(bytes.len().next_multiple_of(16), 0);
            }
        }
        let whole = render(&read(&Go, PATH, &bytes).unwrap());
        prop_assert_eq!(render(&read_in_pieces(&Go, PATH, &bytes, size).unwrap()), whole);
    }
}
