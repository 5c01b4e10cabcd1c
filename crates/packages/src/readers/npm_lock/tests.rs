//! Texts as the tools write them.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read};

mod of_pnpm;
mod of_yarn;

#[test]
fn places_decide_which_copy_npm_means() {
    check(
        &NpmLock,
        "package-lock.json",
        r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
            "": {"name": "app", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": {"a": "^1.0.0", "alias": "npm:real@^2.0.0"}},
            "node_modules/@s/b": {"version": "2.0.0", "resolved": "https://registry.example/b.tgz", "optional": true},
            "node_modules/a": {"version": "1.2.3", "dependencies": {"@s/b": "^1.0.0", "c": "*", "absent": "1"}},
            "node_modules/a/node_modules/@s/b": {"version": "1.0.0", "peerDependencies": {"c": "*"}},
            "node_modules/alias": {"name": "real", "version": "2.1.0", "license": "MIT"},
            "node_modules/c": {"version": "3.0.0", "devOptional": true},
            "node_modules/dev": {"version": "1.0.0", "dev": true},
            "node_modules/fork": {"version": "0.1.0", "resolved": "git+ssh://git@git.example/fork.git#0123456"},
            "node_modules/mine": {"resolved": "packages/mine", "link": true},
            "node_modules/broken": {},
            "packages/mine": {"name": "mine", "version": "1.0.0", "dependencies": {"@s/b": "*"}},
            "packages/mine/node_modules/c": {"version": "4.0.0"}
        }}"#,
        expect![[r#"
            npm app 1.0.0, purl pkg:npm/app@1.0.0?repository_url=file:., needs a@1.2.3 real@2.1.0
            npm @s/b 2.0.0, purl pkg:npm/%40s/b@2.0.0
            npm a 1.2.3, purl pkg:npm/a@1.2.3, needs @s/b@1.0.0 c@3.0.0
            npm @s/b 1.0.0, purl pkg:npm/%40s/b@1.0.0, needs c@3.0.0
            npm real 2.1.0, under MIT, purl pkg:npm/real@2.1.0
            npm c 3.0.0, purl pkg:npm/c@3.0.0
            npm fork 0.1.0, purl pkg:npm/fork@0.1.0?vcs_url=git%2Bssh:%2F%2Fgit%40git.example%2Ffork.git%230123456
            npm mine 1.0.0, purl pkg:npm/mine@1.0.0?repository_url=file:packages%2Fmine, needs @s/b@2.0.0
            npm c 4.0.0, purl pkg:npm/c@4.0.0
            gap in package-lock.json: broken has no version
            note in package-lock.json: 1 package left out: needed for development alone
        "#]],
    );
}

#[test]
fn version_1_nests() {
    check(
        &NpmLock,
        "npm-shrinkwrap.json",
        r#"{"name": "app", "lockfileVersion": 1, "requires": true, "dependencies": {
            "a": {"version": "1.2.3", "requires": {"b": "^1.0.0", "c": "*"}, "dependencies": {
                "b": {"version": "1.0.0", "bundled": true}}},
            "b": {"version": "2.0.0", "requires": {"a": "*"}},
            "alias": {"version": "npm:@s/real@1.0.0"},
            "c": {"version": "git+https://git.example/c.git#0123456", "from": "c@git.example/c"},
            "d": {"version": "file:../d"},
            "dev": {"version": "1.0.0", "dev": true},
            "e": {}
        }}"#,
        expect![[r#"
            npm b 1.0.0, purl pkg:npm/b@1.0.0
            npm a 1.2.3, purl pkg:npm/a@1.2.3, needs b@1.0.0 c@
            npm b 2.0.0, purl pkg:npm/b@2.0.0, needs a@1.2.3
            npm @s/real 1.0.0, purl pkg:npm/%40s/real@1.0.0
            npm c , purl pkg:npm/c?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fc.git%230123456
            npm d , purl pkg:npm/d?repository_url=file:..%2Fd
            gap in npm-shrinkwrap.json: e has no version
            note in npm-shrinkwrap.json: 1 package left out: needed for development alone
        "#]],
    );
    check(&NpmLock, "package-lock.json", r#"{"name": "app", "lockfileVersion": 3}"#, expect![""]);
    check(
        &NpmLock,
        "package-lock.json",
        "[]",
        expect![[r#"
        gap in package-lock.json: its packages were not read: neither `packages` nor `dependencies` are in it
    "#]],
    );
}

#[test]
fn bun_names_packages_by_their_place() {
    check(
        &NpmLock,
        "bun.lock",
        r#"{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "my-monorepo",
      "dependencies": { "a": "^1.0.0", "alias": "npm:@s/real@1", "fork": "github:example/fork#0123456", },
      "devDependencies": { "typescript": "^5.0.0", },
    },
    "packages/util": {
      "name": "@my/util",
      "version": "1.0.0",
      "dependencies": { "b": "1", },
    },
  },
  "packages": {
    "my-monorepo": ["my-monorepo@root:", { "bin": { "my-cli": "bin/cli.js" } }],

    "@my/util": ["@my/util@workspace:packages/util", { "dependencies": { "b": "1" } }],

    "@my/util/b": ["b@1.0.0", "", {}, "sha512-x"],

    "a": ["a@1.2.0", "", { "dependencies": { "b": "^2.0.0" }, "peerDependencies": { "c": "*" } }, "sha512-x"],

    "alias": ["@s/real@1.0.0", "", {}, "sha512-x"],

    "b": ["b@2.0.0", "", {}, "sha512-x"],

    "c": ["c@3.0.0", "", {}, "sha512-x"],

    "fork": ["fork@github:example/fork#0123456", {}, "example-fork-0123456"],

    "typescript": ["typescript@5.0.0", "", { "bin": { "tsc": "bin/tsc" } }, "sha512-x"],
  }
}
"#,
        expect![[r#"
            npm @my/util 1.0.0, purl pkg:npm/%40my/util@1.0.0?repository_url=file:packages%2Futil, needs b@1.0.0
            npm b 1.0.0, purl pkg:npm/b@1.0.0
            npm a 1.2.0, purl pkg:npm/a@1.2.0, needs b@2.0.0 c@3.0.0
            npm @s/real 1.0.0, purl pkg:npm/%40s/real@1.0.0
            npm b 2.0.0, purl pkg:npm/b@2.0.0
            npm c 3.0.0, purl pkg:npm/c@3.0.0
            npm fork , purl pkg:npm/fork?vcs_url=github:example%2Ffork%230123456
            note in bun.lock: 1 package left out: needed for development alone
        "#]],
    );
}

#[test]
fn deno_lists_npm_s_packages_among_others() {
    check(
        &NpmLock,
        "deno.lock",
        r#"{"version": "4", "specifiers": {"jsr:@std/bytes@^1.0.0": "1.0.2", "npm:chalk@5": "5.3.0"},
            "jsr": {"@std/bytes@1.0.2": {"integrity": "x", "dependencies": ["jsr:@std/internal", "npm:chalk@5"]},
                "@std/internal@1.0.5": {"integrity": "x"}, "broken": {}},
            "npm": {"chalk@5.3.0": {"integrity": "x", "dependencies": ["@s/b", "c@2.0.0_d@1.0.0"]},
                "@s/b@1.0.0_@t+u@5.50.0": {}, "c@2.0.0_d@1.0.0": {}, "c@1.0.0": {}},
            "remote": {"https://deno.land/std@0.140.0/path/mod.ts": "x"}}"#,
        expect![[r#"
            npm chalk 5.3.0, purl pkg:npm/chalk@5.3.0, needs @s/b@1.0.0 c@2.0.0
            npm @s/b 1.0.0, purl pkg:npm/%40s/b@1.0.0
            npm c 2.0.0, purl pkg:npm/c@2.0.0
            npm c 1.0.0, purl pkg:npm/c@1.0.0
            npm @jsr/std__bytes 1.0.2, purl pkg:npm/%40jsr/std__bytes@1.0.2?repository_url=https:%2F%2Fnpm.jsr.io, needs @jsr/std__internal@1.0.5 chalk@5.3.0
            npm @jsr/std__internal 1.0.5, purl pkg:npm/%40jsr/std__internal@1.0.5?repository_url=https:%2F%2Fnpm.jsr.io
            gap in deno.lock: broken: no name, or no version
            note in deno.lock: 1 package left out: modules at plain addresses, which have no version
        "#]],
    );
    check(
        &NpmLock,
        "deno.lock",
        r#"{"version": "3", "packages": {"specifiers": {"jsr:@std/path@^1": "jsr:@std/path@1.0.8"},
            "jsr": {"@std/path@1.0.8": {}, "@std/fs@1.0.0": {"dependencies": ["jsr:@std/path@^1"]}}, "npm": {"a@1.0.0": {"dependencies": {"b": "b@2.0.0"}}, "b@2.0.0": {"dependencies": {}}}}, "remote": {}}"#,
        expect![[r#"
            npm a 1.0.0, purl pkg:npm/a@1.0.0, needs b@2.0.0
            npm b 2.0.0, purl pkg:npm/b@2.0.0
            npm @jsr/std__path 1.0.8, purl pkg:npm/%40jsr/std__path@1.0.8?repository_url=https:%2F%2Fnpm.jsr.io
            npm @jsr/std__fs 1.0.0, purl pkg:npm/%40jsr/std__fs@1.0.0?repository_url=https:%2F%2Fnpm.jsr.io, needs @jsr/std__path@1.0.8
        "#]],
    );
}

#[test]
fn places_longer_than_paths_are_gaps() {
    let place = "node_modules/a/".repeat(100_000) + "node_modules/a";
    let lock = format!(
        r#"{{"lockfileVersion": 3, "packages": {{"{place}": {{"version": "1", "dependencies": {{"b": "1"}}}},
            "node_modules/b": {{"version": "2"}}}}}}"#
    );
    check(
        &NpmLock,
        "package-lock.json",
        &lock,
        expect![[r#"
            npm b 2, purl pkg:npm/b@2
            gap in package-lock.json: 1 of its packages lie at places of more than 4096 bytes
        "#]],
    );
    let key = "a/".repeat(1_000_000) + "a";
    let lock = format!(r#"{{"packages": {{"{key}": ["a@1", "", {{"dependencies": {{"b": "1"}}}}], "b": ["b@2"]}}}}"#);
    check(
        &NpmLock,
        "bun.lock",
        &lock,
        expect![[r#"
            gap in bun.lock: a package at a place of more than 4096 bytes
            note in bun.lock: 1 package left out: needed for development alone
        "#]],
    );
}

#[test]
fn files_of_others_do_not_count() {
    for path in
        ["node_modules/a/yarn.lock", "a/node_modules/.package-lock.json", "vendor/a/package-lock.json", "a.lock"]
    {
        assert!(read(&NpmLock, path, b"").is_none(), "{path}");
    }
}

proptest! {
    #[test]
    fn never_panics(
        contents: Vec<u8>,
        text in r#"(lockfileVersion: [5-9]\n|packages:\n|importers:\n| {1,6}|"?/?@?[ab]/?@(npm:)?[ab]@1(_x|\(y@1\))?"?:\n|version "?1"?\n|\{\}\n|dependencies:\n){0,30}"#,
        json in r#"\{"lockfileVersion":[1-3],"(packages|dependencies|npm)":\{("(node_modules/){0,2}@?[ab]/?(@1_x)?":(\{"version":"1","(dependencies|requires)":\{"a":"b@1"\}\}|\["@a/b@root:",\{\}\]),?){0,4}\}\}"#,
    ) {
        for name in ["package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "deno.lock"] {
            read(&NpmLock, name, &contents);
            read(&NpmLock, name, text.as_bytes());
            read(&NpmLock, name, json.as_bytes());
        }
    }
}
