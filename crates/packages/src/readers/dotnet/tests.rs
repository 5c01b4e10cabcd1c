//! Lists of dependencies, alone and in programs.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read, read_in_pieces};

const LIST: &str = r#"{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
  "targets": {".NETCoreApp,Version=v8.0": {}, ".NETCoreApp,Version=v8.0/linux-x64": {
    "App/1.0.0": {"dependencies": {"Newtonsoft.Json": "12.0.1"}, "runtime": {"App.dll": {}}},
    "Newtonsoft.Json/12.0.1": {"runtime": {"lib/netstandard2.0/Newtonsoft.Json.dll": {"fileVersion": "12.0.1.{0}\""}}},
    "System.Text.RegularExpressions/4.3.0": {"dependencies": {"System.Runtime": "4.3.0"}},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"runtime": {"System.dll": {}}}
  }},
  "libraries": {
    "App/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
    "Newtonsoft.Json/12.0.1": {"type": "package", "serviceable": true, "sha512": "sha512-x"},
    "System.Text.RegularExpressions/4.3.0": {"type": "package"},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "runtimepack"}
  }
}"#;

/// A program with a bundle: a host, files, and the header behind them.
fn program(offset: u64, list: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(33_000, 7);
    bytes.extend(offset.to_le_bytes());
    bytes.extend(bundle::SIGNATURE);
    bytes.resize(40_000, 9);
    bytes.extend(b"text with \"runtimeTarget\" in it");
    bytes.extend(list.as_bytes());
    bytes.extend([3; 1000]);
    bytes
}

#[test]
fn packages_with_files_count_and_the_runtime_that_was_brought_along() {
    check(
        &Dotnet,
        "app/App.deps.json",
        format!("\u{feff}{LIST}"),
        expect![[r#"
        nuget Newtonsoft.Json 12.0.1, purl pkg:nuget/Newtonsoft.Json@12.0.1
        nuget Microsoft.NETCore.App.Runtime.linux-x64 8.0.1, purl pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.1
    "#]],
    );
}

#[test]
fn a_shared_framework_is_named_as_advisories_do() {
    let list = |id: &str| {
        format!(
            r#"{{"runtimeTarget": {{"name": ".NETCoreApp,Version=v8.0/linux-x64"}}, "libraries": {{"{id}": {{"type": "package"}}}}}}"#
        )
    };
    let path = "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json";
    check(
        &Dotnet,
        path,
        list("Microsoft.NETCore.App.Runtime.linux-x64/8.0.1"),
        expect![[r#"
        nuget Microsoft.NETCore.App.Runtime.linux-x64 8.0.1, purl pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.1
    "#]],
    );
    check(
        &Dotnet,
        path,
        list("System.X/8.0.0"),
        expect![[r#"
        nuget System.X 8.0.0, purl pkg:nuget/System.X@8.0.0
        nuget Microsoft.NETCore.App.Runtime.linux-x64 8.0.1, purl pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.1
    "#]],
    );
}

#[test]
fn a_single_file_program_is_read_in_pieces_of_any_size() {
    let expected = read(&Dotnet, "app/App.deps.json", LIST.as_bytes()).unwrap().packages.len();
    let program = program(34_000, LIST);
    for size in [1, 17, 64, 4096, 33_020, program.len()] {
        let reading = read_in_pieces(&Dotnet, "app/App", &program, size).unwrap();
        assert_eq!((reading.packages.len(), reading.warnings.len()), (expected, 0), "in pieces of {size}");
    }
}

#[test]
fn a_host_without_a_bundle_is_no_package_and_a_bundle_without_a_list_is_a_gap() {
    check(&Dotnet, "app/App", program(0, LIST), expect![[r#""#]]);
    check(
        &Dotnet,
        "app/App",
        program(34_000, ""),
        expect![[r#"
        gap in app/App: a single-file .NET program whose list of dependencies was not found
    "#]],
    );
    check(
        &Dotnet,
        "app/App",
        program(34_000, LIST.get(..300).unwrap()),
        expect![[r#"
        gap in app/App: a single-file .NET program whose list of dependencies was not found
    "#]],
    );
}

/// Our own program is one: it holds the signature behind whatever text or number the linker put there. So is Syft.
#[test]
fn a_program_that_looks_for_bundles_is_none() {
    let length = u64::try_from(program(0, LIST).len()).unwrap();
    for offset in [u64::from_le_bytes(*b" missing"), 3, 17, length] {
        check(&Dotnet, "usr/bin/portcullis", program(offset, LIST), expect![[r#""#]]);
    }
}

/// What looks like the beginning of a list, again and again, costs no more than anything else: hours, if each were looked
/// back from.
#[test]
fn many_beginnings_are_read_in_linear_time() {
    let mut bytes = program(34_000, "");
    bytes.extend(b"\"runtimeTarget\"".repeat((8 << 20) / 15));
    let reading = read_in_pieces(&Dotnet, "app/App", &bytes, 4 << 20).unwrap();
    assert_eq!(reading.warnings.len(), 1);
}

#[test]
fn what_is_no_list_is_a_gap() {
    check(
        &Dotnet,
        "a.deps.json",
        "[]",
        expect![[r#"
        gap in a.deps.json: not the JSON of a .NET application's dependencies
    "#]],
    );
    check(
        &Dotnet,
        "a.deps.json",
        r#"{"libraries": {"a": {"type": "package"}, "b/1": {}}}"#,
        expect![[r#"
        gap in a.deps.json: a has no version
    "#]],
    );
}

proptest! {
    #[test]
    fn never_panics_and_gives_the_same_for_every_split(noise: Vec<u8>, size in 1_usize..100, text in r#"[{}\[\]"\\a:,]{0,40}"#) {
        let header = FileHeader { path: "a.deps.json", size: 0, mode: 0, head: b"" };
        let _reading = Dotnet.read(&header, &noise);
        let program = program(1, &format!("{{ \"runtimeTarget\"{text}"));
        let program = [program, noise].concat();
        prop_assert_eq!(read_in_pieces(&Dotnet, "a", &program, size), read(&Dotnet, "a", &program));
    }
}
