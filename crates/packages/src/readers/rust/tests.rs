//! Programs made in code, and real ones where cargo-auditable is installed.

use std::io::Write as _;

use expect_test::expect;
use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read, read_in_pieces, render};

const PATH: &str = "usr/bin/app";

const LIST: &str = r#"{"packages":[{"name":"adler","version":"0.2.3","source":"crates.io"},
    {"name":"app","version":"0.1.0","source":"local","dependencies":[0,3],"root":true},
    {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
    {"name":"fork","version":"2.0.0","source":"git","dependencies":[0,99]},
    {"name":"mine","version":"3.0.0","source":"registry"}],"format":1}"#;

fn pack(text: &str) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::new(7));
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// A program with other packed data before `section`.
fn program(section: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(1001, b'x');
    bytes.extend(pack("{\"package\": \"another\"}"));
    bytes.extend(b"x\x01x\x9cx\xda\x78\x5e");
    bytes.resize(2000, 0);
    bytes.extend(section);
    bytes.resize(bytes.len() + 1500, b'x');
    bytes
}

const TRACES: &str = "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde_json-1.0.145/src/de.rs\
    /home/a/.cargo/registry/src/github.com-1ecc6299db9ec823/x-1-2.0.0-rc.1+b/src/lib.rs\
    C:\\a\\registry/src/my.example-0123456789abcdef\\own-0.1.0\\src\\lib.rs registry/src/index/nothing-1.0.0/ registry/src/";

#[test]
fn a_list_is_read() {
    check(
        &Rust,
        PATH,
        program(&pack(LIST)),
        expect![[r#"
            cargo adler 0.2.3, purl pkg:cargo/adler@0.2.3
            cargo app 0.1.0, purl pkg:cargo/app@0.1.0?repository_url=file:., needs adler@0.2.3 fork@2.0.0
            cargo fork 2.0.0, purl pkg:cargo/fork@2.0.0?vcs_url=git, needs adler@0.2.3
            cargo mine 3.0.0, purl pkg:cargo/mine@3.0.0?repository_url=registry
            note in usr/bin/app: 1 package left out: needed for the build alone
        "#]],
    );
}

#[test]
fn traces_are_read_where_there_is_no_list() {
    check(
        &Rust,
        PATH,
        program(TRACES.as_bytes()),
        expect![[r#"
            cargo own 0.1.0, purl pkg:cargo/own@0.1.0?repository_url=registry
            cargo serde_json 1.0.145, purl pkg:cargo/serde_json@1.0.145
            cargo x-1 2.0.0-rc.1+b, purl pkg:cargo/x-1@2.0.0-rc.1%2Bb
            partial: a program of Rust without a list of its crates: those are named whose sources its messages name, and others may be missing. hint: build it with `cargo auditable build`
        "#]],
    );
    let both = [TRACES.as_bytes(), &pack(LIST)].concat();
    assert_eq!(
        render(&read(&Rust, PATH, &program(&both)).unwrap()),
        render(&read(&Rust, PATH, &program(&pack(LIST))).unwrap())
    );
}

#[test]
fn what_breaks_off_or_never_ends_is_a_gap() {
    let packed = pack(LIST);
    let broken = [b"\x7fELF", [0; 1020].as_slice(), &packed[..packed.len() - 10]].concat();
    check(
        &Rust,
        PATH,
        &broken,
        expect![[r#"
        gap in usr/bin/app: the list of crates in it breaks off, or is larger than one can be
    "#]],
    );
    // What its messages name is kept.
    let both = [broken.as_slice(), TRACES.as_bytes()].concat();
    let both = render(&read(&Rust, PATH, &both).unwrap());
    assert!(both.contains("cargo serde_json 1.0.145") && both.contains("gap in usr/bin/app: the list"), "{both}");
    let long = format!("{{\"packages\":[{}]}}", "{\"a\":1},".repeat(2 << 20));
    check(
        &Rust,
        PATH,
        program(&pack(&long)),
        expect![[r#"
        gap in usr/bin/app: the list of crates in it breaks off, or is larger than one can be
    "#]],
    );
    check(
        &Rust,
        PATH,
        program(&pack("{\"packages\":[}")),
        expect![[r#"
            gap in usr/bin/app: the list of crates in it is not JSON: expected value at line 1 column 14
        "#]],
    );
    assert_eq!(render(&read(&Rust, PATH, &program(b"")).unwrap()), "");
}

/// This test's own program names the crates whose code can panic.
#[test]
fn a_real_program_leaves_traces() {
    let contents = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let reading = read_in_pieces(&Rust, PATH, &contents, 64 << 10).unwrap();
    let names: Vec<&str> = reading.packages.iter().map(|package| package.name.as_str()).collect();
    assert!(names.contains(&"proptest") && names.contains(&"memchr"), "{names:?}");
}

proptest! {
    #[test]
    fn any_split_gives_the_same(size in 1_usize..600, is_list: bool) {
        let program = program(if is_list { pack(LIST) } else { TRACES.into() }.as_slice());
        let whole = render(&read(&Rust, PATH, &program).unwrap());
        prop_assert!(whole.lines().count() >= 4);
        prop_assert_eq!(render(&read_in_pieces(&Rust, PATH, &program, size).unwrap()), whole);
    }

    #[test]
    fn any_split_of_anything_gives_the_same(
        parts in prop::collection::vec(prop_oneof![
            Just(pack(LIST)), Just(pack(LIST)[..60].to_vec()), Just(TRACES.as_bytes()[..70].to_vec()),
            Just(b"x\xda".to_vec()), any::<Vec<u8>>(),
        ], 0..8),
        size in 1_usize..80,
    ) {
        let bytes = [b"\x7fELF", [1; 1020].as_slice(), &parts.concat()].concat();
        let whole = render(&read(&Rust, PATH, &bytes).unwrap());
        prop_assert_eq!(render(&read_in_pieces(&Rust, PATH, &bytes, size).unwrap()), whole);
    }
}
