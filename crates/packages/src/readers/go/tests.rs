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
            golang stdlib 1.21.5, under BSD-3-Clause, purl pkg:golang/stdlib@1.21.5
            golang github.com/a/b v1.0.0, purl pkg:golang/github.com/a/b@v1.0.0
            golang github.com/fork/d v2.0.1, purl pkg:golang/github.com/fork/d@v2.0.1
            golang local/e v0.1.0, purl pkg:golang/local/e@v0.1.0
            golang example.com/app v3.1.4, purl pkg:golang/example.com/app@v3.1.4
        "#]],
    );
}

#[test]
fn a_development_version_of_go_is_no_release_and_a_program_of_unknown_version_is_there() {
    check(
        &Go,
        PATH,
        program(&build_info(
            "devel go1.22-bd36fd5",
            "mod\ta/b\t(devel)\t\ndep\tc\tv1.0.0\t\ndep\tworkspace/d\t(devel)\n",
        )),
        expect![[r#"
            golang c v1.0.0, purl pkg:golang/c@v1.0.0
            golang workspace/d , purl pkg:golang/workspace/d
            golang a/b , purl pkg:golang/a/b
        "#]],
    );
}

/// Go writes so of a folder.
#[test]
fn a_module_that_a_folder_replaces_keeps_its_version() {
    check(
        &Go,
        PATH,
        program(&build_info("go1.22.0", "mod\ta/b\tv1.0.0\t\ndep\tgolang.org/x/net\tv0.1.0\n=>\t../net\t(devel)\t\n")),
        expect![[r#"
            golang stdlib 1.22.0, under BSD-3-Clause, purl pkg:golang/stdlib@1.22.0
            golang golang.org/x/net v0.1.0, purl pkg:golang/golang.org/x/net@v0.1.0
            golang a/b v1.0.0, purl pkg:golang/a/b@v1.0.0
        "#]],
    );
}

#[test]
fn a_linked_version_may_have_another_name_in_the_program_s_own_packages() {
    for (flags, expected) in [
        (
            "-X github.com/hashicorp/consul/version.GitCommit=96505027 -X github.com/hashicorp/consul/version.GitDescribe=1.12.9",
            "v1.12.9",
        ),
        ("-X main.gitVersion=v1.2.3", "v1.2.3"),
        ("-X main.gitVersion=1.2.3 -X other.org/x.Version=4.5.6", "v4.5.6"),
        ("-X other.org/x.gitVersion=1.2.3", ""),
        ("-X github.com/hashicorp/consultant.gitVersion=1.2.3", ""),
        ("-X main.protocolVersion=1.2.3", ""),
    ] {
        let modules = format!("mod\tgithub.com/hashicorp/consul\t(devel)\t\nbuild\t-ldflags=\"{flags}\"\n");
        let reading = read(&Go, "usr/bin/consul", &program(&build_info("go1.18.9", &modules))).unwrap();
        assert_eq!(reading.packages[1].version, expected, "{flags}");
    }
}

#[test]
fn a_program_s_own_version_comes_before_a_linked_one() {
    let modules = "mod\ta/b\tv1.0.0\t\nbuild\t-ldflags=\"-X main.version=2.0.0\"\n";
    check(
        &Go,
        PATH,
        program(&build_info("go1.26", modules)),
        expect![[r#"
            golang stdlib 1.26, under BSD-3-Clause, purl pkg:golang/stdlib@1.26
            golang a/b v1.0.0, purl pkg:golang/a/b@v1.0.0
        "#]],
    );
}

#[test]
fn a_commit_without_a_tag_is_told_by_a_linked_version() {
    const COMMIT: &str = "v0.0.0-20261129223902-ae8bd292afd4+dirty";
    for (own, flags, expected) in [
        (COMMIT, "-X main.version=1.2.3", "v1.2.3"),
        (COMMIT, "-s", COMMIT),
        ("v1.2.4-0.20261129223902-ae8bd292afd4", "-X main.version=1.2.3", "v1.2.4-0.20261129223902-ae8bd292afd4"),
    ] {
        let modules = format!("mod\ta/b\t{own}\t\nbuild\t-ldflags=\"{flags}\"\n");
        let reading = read(&Go, PATH, &program(&build_info("go1.26", &modules))).unwrap();
        assert_eq!(reading.packages[1].version, expected, "{own} {flags}");
    }
}

#[test]
fn pointers_of_go_1_17_that_lead_to_nothing_are_a_gap() {
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
            golang stdlib 1.20, under BSD-3-Clause, purl pkg:golang/stdlib@1.20
            partial: a program of Go that does not name the modules it was built from: others may be missing
        "#]],
    );
}

/// A program for Linux as Go 1.17 made it: constants, then the header, which points to what points to them.
fn old_program(version: &str, modules: &str) -> Vec<u8> {
    program_of_go_1_17("", version, "", modules)
}

/// The same, where the version stands between other texts.
fn program_of_go_1_17(before: &str, version: &str, behind: &str, modules: &str) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let list = [&old::START[..], modules.as_bytes(), &old::END].concat();
    let mut bytes = vec![0; 0x200];
    bytes.extend_from_slice(&list);
    bytes.push(0);
    bytes.extend_from_slice(before.as_bytes());
    let version_at = bytes.len();
    bytes.extend_from_slice(version.as_bytes());
    bytes.extend_from_slice(behind.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(0x1000), 0);
    let data = bytes.len();
    let number = |bytes: &mut Vec<u8>, value: u64| bytes.extend_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    bytes.extend([8, 0]);
    number(&mut bytes, BASE + data as u64 + 32);
    number(&mut bytes, BASE + data as u64 + 48);
    for (at, length) in [(version_at, version.len()), (0x200, list.len())] {
        number(&mut bytes, BASE + at as u64);
        number(&mut bytes, length as u64);
    }
    bytes.resize(bytes.len().next_multiple_of(0x1000), 0);
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    number(&mut head, BASE + 0x200);
    number(&mut head, 64);
    number(&mut head, 0);
    head.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    for (flags, from, to) in [(5_u32, 0, data), (6, data, bytes.len())] {
        head.extend_from_slice(&1_u32.to_le_bytes());
        head.extend_from_slice(&flags.to_le_bytes());
        let size = (to - from) as u64;
        for value in [from as u64, BASE + from as u64, BASE + from as u64, size, size, 0x1000] {
            number(&mut head, value);
        }
    }
    bytes[..head.len()].copy_from_slice(&head);
    bytes
}

const OLD_MODULES: &str =
    "path\texample.com/old\nmod\texample.com/old\t(devel)\t\ndep\tgolang.org/x/text\tv0.3.0\th1:x=\n";

#[test]
fn programs_of_go_1_17_are_read_by_the_form_of_what_they_point_to() {
    let program = old_program("go1.16.15", OLD_MODULES);
    check(
        &Go,
        PATH,
        &program,
        expect![[r#"
            golang stdlib 1.16.15, under BSD-3-Clause, purl pkg:golang/stdlib@1.16.15
            golang golang.org/x/text v0.3.0, purl pkg:golang/golang.org/x/text@v0.3.0
            golang example.com/old , purl pkg:golang/example.com/old
        "#]],
    );
    check(
        &Go,
        PATH,
        old_program("devel", OLD_MODULES),
        expect![[r#"
            golang golang.org/x/text v0.3.0, purl pkg:golang/golang.org/x/text@v0.3.0
            golang example.com/old , purl pkg:golang/example.com/old
            gap in usr/bin/app: a program built by Go 1.17 or older: by which one was not found, nor its standard library listed
        "#]],
    );
    for (before, version, behind) in [("deadlock", "go1.15.2", "mcentral"), ("\0go1.13\0", "go1.16", "1.2.3")] {
        let program = program_of_go_1_17(before, version, behind, OLD_MODULES);
        let reading = read(&Go, PATH, &program).unwrap();
        assert_eq!((reading.packages[0].version.as_str(), reading.warnings.len()), (&version[2..], 0));
    }
    // Go reads the same of it.
    let go = Path::new("/usr/local/go/bin/go");
    if !go.exists() {
        println!("skipped: {} is not there", go.display());
        return;
    }
    let file = std::env::temp_dir().join(format!("portcullis-old-go-{}", std::process::id()));
    std::fs::write(&file, &program).unwrap();
    let output = std::process::Command::new(go).args(["version", "-m"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains(": go1.16.15") && output.contains("dep\tgolang.org/x/text\tv0.3.0"), "{output}");
}

#[test]
fn a_list_of_go_1_17_that_is_too_long_or_does_not_end_is_a_gap() {
    let long = "dep\ta\tv1.0.0\t\n".repeat(80_000);
    let whole = old_program("go1.16.15", &long);
    let endless = old_program("go1.16.15", OLD_MODULES);
    let at = endless.windows(old::END.len()).position(|bytes| bytes == old::END).unwrap();
    let endless = [&endless[..at], &[0; 16], &endless[at + 16..]].concat();
    for program in [whole, endless] {
        for size in [100_000, 2 << 20] {
            let reading = read_in_pieces(&Go, PATH, &program, size).unwrap();
            let expected = expect![[r#"
                golang stdlib 1.16.15, under BSD-3-Clause, purl pkg:golang/stdlib@1.16.15
                partial: a program of Go whose list of modules was not read
                gap in usr/bin/app: a program built by Go 1.17 or older: its modules were not read
            "#]];
            expected.assert_eq(&render(&reading));
        }
    }
    // A stray mark before the real list.
    let stray = [b"\x7fELF            ", &old::START[..], &vec![b'x'; 2 << 20]].concat();
    let program = [stray, old_program("go1.16.15", OLD_MODULES)].concat();
    let reading = read_in_pieces(&Go, PATH, &program, 64 << 10).unwrap();
    assert_eq!((reading.packages.len(), reading.warnings.len()), (3, 0));
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
    fn any_split_of_an_old_one_gives_the_same(size in 1_usize..600) {
        let program = program_of_go_1_17("a", "go1.16.15", "b", OLD_MODULES);
        let whole = render(&read(&Go, PATH, &program).unwrap());
        prop_assert_eq!(whole.lines().count(), 3);
        prop_assert_eq!(render(&read_in_pieces(&Go, PATH, &program, size).unwrap()), whole);
    }

    #[test]
    fn any_split_of_anything_gives_the_same(
        parts in prop::collection::vec(prop_oneof![
            Just(MAGIC.to_vec()), Just(header(INLINE)), Just(header(0)), Just(old_program("xgo1.16", "")), Just(build_info("go1.20", "dep\ta\tv1\n")),
            any::<Vec<u8>>(), (0_usize..40).prop_map(|length| vec![0; length]), Just(old::START.to_vec()),
            Just([&old::START[..], b"dep\ta\tv1\n", &old::END, b"\0go1.16\0"].concat()),
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
