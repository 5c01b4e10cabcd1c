//! Swift packages that a project has locked: `Package.resolved`, versions 1 to 3.
//!
//! Format: <https://github.com/swiftlang/swift-package-manager/blob/main/Documentation/Usage.md>. Advisories name a
//! package by the address of its repository, without the scheme.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, is_of_others},
    tree::{self, Node},
};

/// Reads `**/Package.resolved`.
pub(crate) struct SwiftLock;

impl PackageReader for SwiftLock {
    fn name(&self) -> &'static str {
        "swift-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/Package.resolved`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "Package.resolved" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::json(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Swift, file);
        let pins = [document.get("pins"), document.get("object").get("pins")];
        if !pins.iter().any(|pins| matches!(pins, Node::List(_))) {
            listing.lacks("pins");
        }
        for pin in pins.into_iter().flat_map(Node::items) {
            let url = pin.text_of("location").or_else(|| pin.text_of("repositoryURL"));
            let state = pin.get("state");
            // A branch has a commit alone.
            let version = state.text_of("version").or_else(|| state.text_of("revision"));
            match (url, version) {
                (Some(url), Some(version)) => listing.add(&repository(url), version, Vec::new()),
                _ => listing.gap("a pin has no address or no version"),
            }
        }
        listing.finish()
    }
}

/// `github.com/apple/swift-nio`, however the address is written.
fn repository(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let rest = if url.contains("://") { rest.to_owned() } else { rest.replacen(':', "/", 1) };
    rest.trim_end_matches('/').trim_end_matches(".git").to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &SwiftLock,
            "Package.resolved",
            r##"{"pins": [
  {"identity": "swift-nio", "kind": "remoteSourceControl", "location": "https://github.com/apple/swift-nio.git", "state": {"revision": "abc", "version": "2.40.0"}},
  {"identity": "own", "location": "git@git.example:team/own.git", "state": {"branch": "main", "revision": "0123"}},
  {"identity": "none"}], "version": 2}"##,
            expect![[r#"
                swift github.com/apple/swift-nio 2.40.0, purl pkg:swift/github.com/apple/swift-nio@2.40.0
                swift git.example/team/own 0123, purl pkg:swift/git.example/team/own@0123
                gap in Package.resolved: a pin has no address or no version
            "#]],
        );
        check(
            &SwiftLock,
            "a/Package.resolved",
            r##"{"object": {"pins": [{"package": "Alamofire", "repositoryURL": "https://github.com/Alamofire/Alamofire", "state": {"branch": null, "version": "5.4.3"}}]}, "version": 1}"##,
            expect![[r#"
                swift github.com/Alamofire/Alamofire 5.4.3, purl pkg:swift/github.com/Alamofire/Alamofire@5.4.3
            "#]],
        );
    }

    #[test]
    fn another_shape_is_a_gap() {
        check(
            &SwiftLock,
            "Package.resolved",
            r#"{"version": "99", "elsewhere": []}"#,
            expect![[r#"
                gap in Package.resolved: its packages were not read: `pins` is missing
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&SwiftLock, "Package.resolved", &contents);
            read(&SwiftLock, "Package.resolved", text.as_bytes());
        }
    }
}
