//! C and C++ packages that a project has locked or asks for: `conan.lock`, of Conan 1 and 2, and `conanfile.txt`.
//!
//! Formats: <https://docs.conan.io/2/tutorial/versioning/lockfiles.html>: references `name/version@user/channel#revision`,
//! and <https://docs.conan.io/2/reference/conanfile_txt.html>. A `conanfile.py` is a program, and is not read.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, is_of_others, reasons},
    tree::{self, Node},
};

/// Reads `**/conan.lock` and `**/conanfile.txt`.
pub(crate) struct ConanLock;

impl PackageReader for ConanLock {
    fn name(&self) -> &'static str {
        "conan-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/conan.lock`, `**/conanfile.txt`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = matches!(file.file_name(), "conan.lock" | "conanfile.txt") && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        if file.file_name() == "conanfile.txt" {
            return match fields::decode(contents) {
                Some(text) => conanfile(Listing::new(PackageType::Conan, file), &text),
                None => Listing::unreadable(file, "it is not text"),
            };
        }
        let document = match tree::json(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Conan, file);
        let of_two = ["requires", "python_requires"].into_iter().flat_map(|key| document.get(key).texts());
        let nodes = document.get("graph_lock").get("nodes").entries();
        let of_one = nodes.iter().filter_map(|(_, node): &(String, Node)| node.text_of("ref"));
        let lists = ["requires", "build_requires", "python_requires"].map(|key| document.get(key));
        if !lists.iter().any(|list| matches!(list, Node::List(_))) && !document.get("graph_lock").get("nodes").is_map()
        {
            listing.lacks("requires");
        }
        for reference in of_two {
            match name_and_version(reference) {
                Some((name, version)) => listing.add(name, version, Vec::new()),
                None => listing.gap("a requirement was not understood"),
            }
        }
        // The project itself has no reference of this form.
        for (name, version) in of_one.filter_map(name_and_version) {
            listing.add(name, version, Vec::new());
        }
        for _ in document.get("build_requires").texts() {
            listing.leave_out(reasons::DEVELOPMENT);
        }
        listing.finish()
    }
}

/// `name/version@user/channel#revision%time`
fn name_and_version(reference: &str) -> Option<(&str, &str)> {
    let reference = reference.split(['#', '%']).next()?.split('@').next()?;
    reference.split_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty())
}

/// Sections of lines; those that `[requires]` has are references, or ranges: `zlib/[>=1.2]`.
fn conanfile(mut listing: Listing<'_>, text: &str) -> Reading {
    let mut section = "";
    for line in text.lines().map(str::trim) {
        let reference = line.split(" #").next().unwrap_or(line).trim();
        if let Some(name) = reference.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            continue;
        }
        if reference.is_empty() || reference.starts_with('#') {
            continue;
        }
        match section {
            "requires" => match name_and_version(reference) {
                Some((_, version)) if version.starts_with('[') => {
                    listing.leave_out(reasons::RANGE);
                }
                Some((name, version)) => listing.add(name, version, Vec::new()),
                None => {
                    let line: String = reference.chars().take(100).collect();
                    listing.gap(format!("a line that was not understood: {line}"));
                }
            },
            "build_requires" | "tool_requires" | "test_requires" => listing.leave_out(reasons::DEVELOPMENT),
            _ => {}
        }
    }
    listing.finish()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &ConanLock,
            "conan.lock",
            r##"{"version": "0.5", "requires": ["zlib/1.2.11#ffa77daf83a57094149707928bdce823%1667396813.987", "own/1.0@team/stable"], "build_requires": ["cmake/3.25.0"], "python_requires": []}"##,
            expect![[r#"
                conan zlib 1.2.11, purl pkg:conan/zlib@1.2.11
                conan own 1.0, purl pkg:conan/own@1.0
                note in conan.lock: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &ConanLock,
            "a/conan.lock",
            r##"{"graph_lock": {"nodes": {"0": {"ref": "app"}, "1": {"ref": "openssl/1.1.1k#abc", "requires": ["2"]}}}, "version": "0.4"}"##,
            expect![[r#"
                conan openssl 1.1.1k, purl pkg:conan/openssl@1.1.1k
            "#]],
        );
    }

    #[test]
    fn what_a_conanfile_asks_for_is_listed_where_it_names_one_version() {
        check(
            &ConanLock,
            "conanfile.txt",
            "# deps\n[requires]\nfmt/8.1.1\n zlib/1.2.13@team/stable # why\nboost/[>=1.70]\n\n[tool_requires]\ncmake/3.25.0\n\
             [options]\nfmt/*:shared=True\n",
            expect![[r#"
                conan fmt 8.1.1, purl pkg:conan/fmt@8.1.1
                conan zlib 1.2.13, purl pkg:conan/zlib@1.2.13
                note in conanfile.txt: 1 package left out: a range of versions, and not one, is asked for
                note in conanfile.txt: 1 package left out: needed for development alone
            "#]],
        );
    }

    #[test]
    fn a_conanfile_may_begin_with_a_mark_and_what_is_no_reference_is_a_gap() {
        let text = "[requires] # of ours\nfmt/8.1.1\nodd\n";
        check(
            &ConanLock,
            "conanfile.txt",
            format!("\u{feff}{text}"),
            expect![[r#"
            conan fmt 8.1.1, purl pkg:conan/fmt@8.1.1
            gap in conanfile.txt: a line that was not understood: odd
        "#]],
        );
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        check(
            &ConanLock,
            "conanfile.txt",
            utf16,
            expect![[r#"
            conan fmt 8.1.1, purl pkg:conan/fmt@8.1.1
            gap in conanfile.txt: a line that was not understood: odd
        "#]],
        );
        assert_eq!(read(&ConanLock, "conanfile.txt", b"[requires]\n\0").unwrap().warnings.len(), 1);
    }

    #[test]
    fn another_shape_is_a_gap() {
        check(
            &ConanLock,
            "conan.lock",
            r#"{"version": "99", "elsewhere": []}"#,
            expect![[r#"
                gap in conan.lock: its packages were not read: `requires` is missing
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&ConanLock, "conan.lock", &contents);
            read(&ConanLock, "conan.lock", text.as_bytes());
            read(&ConanLock, "conanfile.txt", format!("[requires]\n{text}").as_bytes());
        }
    }
}
