//! C and C++ packages that a project has locked: `conan.lock`, of Conan 1 and 2.
//!
//! Format: <https://docs.conan.io/2/tutorial/versioning/lockfiles.html>: references `name/version@user/channel#revision`.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, is_of_others, reasons},
    tree::{self, Node},
};

/// Reads `**/conan.lock`.
pub(crate) struct ConanLock;

impl PackageReader for ConanLock {
    fn name(&self) -> &'static str {
        "conan-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/conan.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "conan.lock" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
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
        for reference in of_two.chain(of_one) {
            let reference = reference.split(['#', '%']).next().unwrap_or_default();
            let reference = reference.split('@').next().unwrap_or_default();
            match reference.split_once('/') {
                Some((name, version)) if !name.is_empty() && !version.is_empty() => {
                    listing.add(name, version, Vec::new());
                }
                // The project itself has no reference of this form.
                _ => {}
            }
        }
        for _ in document.get("build_requires").texts() {
            listing.leave_out(reasons::DEVELOPMENT);
        }
        listing.finish()
    }
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
        }
    }
}
