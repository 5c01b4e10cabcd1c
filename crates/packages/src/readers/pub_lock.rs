//! Dart packages that a project has locked: `pubspec.lock`.
//!
//! Format: <https://dart.dev/tools/pub/glossary#lockfile>: YAML, a package by its name.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, Origin, is_of_others, reasons},
    tree::{self, Node},
};

/// Reads `**/pubspec.lock`.
pub(crate) struct PubLock;

impl PackageReader for PubLock {
    fn name(&self) -> &'static str {
        "pub-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/pubspec.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "pubspec.lock" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::yaml(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Pub, file);
        if !document.get("packages").is_map() {
            listing.lacks("packages");
        }
        for (name, package) in document.get("packages").entries() {
            add(name, package, &mut listing);
        }
        listing.finish()
    }
}

fn add(name: &str, package: &Node, listing: &mut Listing<'_>) {
    let Some(version) = package.text_of("version") else {
        listing.gap(format!("`{name}` has no version"));
        return;
    };
    let description = package.get("description");
    if package.text_of("dependency") == Some("direct dev") {
        listing.leave_out(reasons::DEVELOPMENT);
        return;
    }
    let url = description.text_of("url").unwrap_or_default();
    let origin = match package.text_of("source") {
        // Part of Dart or Flutter itself.
        Some("sdk") => return,
        Some("git") => Origin::Repository(url),
        Some("path") => Origin::Local(description.text_of("path").unwrap_or_default()),
        _ if matches!(url, "" | "https://pub.dev" | "https://pub.dartlang.org") => Origin::Registry,
        _ => Origin::OtherRegistry(url),
    };
    listing.add_from(origin, name, version, Vec::new());
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &PubLock,
            "pubspec.lock",
            r##"packages:
  http:
    dependency: "direct main"
    description:
      name: http
      url: "https://pub.dev"
    source: hosted
    version: "0.13.5"
  test:
    dependency: "direct dev"
    source: hosted
    version: "1.0.0"
  flutter:
    dependency: "direct main"
    description: flutter
    source: sdk
    version: "0.0.0"
  own:
    dependency: transitive
    description:
      url: "https://git.example/own.git"
    source: git
    version: "1.2.3"
sdks:
  dart: ">=2.18.0"
"##,
            expect![[r#"
                pub http 0.13.5, purl pkg:pub/http@0.13.5
                pub own 1.2.3, purl pkg:pub/own@1.2.3?vcs_url=https:%2F%2Fgit.example%2Fown.git
                note in pubspec.lock: 1 package left out: needed for development alone
            "#]],
        );
    }

    #[test]
    fn another_shape_is_a_gap() {
        check(
            &PubLock,
            "pubspec.lock",
            r#"{"version": "99", "elsewhere": []}"#,
            expect![[r#"
                gap in pubspec.lock: its packages were not read: `packages` is missing
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&PubLock, "pubspec.lock", &contents);
            read(&PubLock, "pubspec.lock", text.as_bytes());
        }
    }
}
