//! Go modules that a build may need: `go.sum`.
//!
//! Format: <https://go.dev/ref/mod#go-sum-files>. It has the sums of every module that was downloaded once, of some of them
//! in several versions, or of their `go.mod` alone: those were looked at to choose versions, and are not built. It counts
//! beside a `go.mod` for Go 1.16 or older alone, which names no module that the required ones need; what that says itself
//! comes first. Of several versions whose contents have a sum the highest is taken: Go builds the highest that is asked for
//! (<https://go.dev/ref/mod#minimal-version-selection>).

use std::{cmp::Ordering, collections::BTreeMap};

use portcullis_filetree::FileHeader;
use portcullis_model::{Completion, PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, complete::language_package, complete::language_purl, fields, limits,
    lockfile::Listing, readers::go_mod::is_of_project,
};

/// Reads `go.sum`.
pub(crate) struct GoSum;

/// Most modules of one file; the largest real ones have some thousand.
const MAX_MODULES: usize = 50_000;

/// Why a module is taken to be built in.
const EVIDENCE: &str = "the highest version in go.sum; go.mod, for Go 1.16 or older, names no module that others need";

impl PackageReader for GoSum {
    fn name(&self) -> &'static str {
        "go-sum"
    }

    fn reads(&self) -> &'static str {
        "`**/go.sum`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    /// It names the `go.mod` beside it.
    fn path_parts(&self) -> usize {
        usize::MAX
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "go.sum" && is_of_project(file);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Golang, file);
        let text = fields::text(contents);
        let mut modules: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next(), words.next()) {
                (None, ..) => {}
                (Some(name), Some(version), Some(_), None) if version.starts_with('v') => {
                    if version.ends_with("/go.mod") {
                        continue;
                    }
                    if modules.len() >= MAX_MODULES && !modules.contains_key(name) {
                        listing.gap(format!("it names more than {MAX_MODULES} modules: the others were not read"));
                        break;
                    }
                    let known = modules.entry(name).or_insert(version);
                    if compare(known, version) == Ordering::Less {
                        *known = version;
                    }
                }
                _ => listing.gap("a line was not understood"),
            }
        }
        for (name, version) in modules {
            let purl = language_purl(PackageType::Golang, name, version);
            let named = (name.to_owned(), version.to_owned());
            let mut package = language_package(PackageType::Golang, purl, named, None, listing.path());
            package.evidence = Some(EVIDENCE.to_owned());
            listing.add_package(package);
        }
        let of = format!("{}mod", file.path.strip_suffix("sum").unwrap_or_default());
        Reading { completion: Some(Box::new(Completion::Offered { of })), ..listing.finish() }
    }
}

/// The order of versions of modules: Semantic Versioning's (<https://semver.org/#spec-item-11>), without what follows `+`.
fn compare(left: &str, right: &str) -> Ordering {
    let ((left, left_before), (right, right_before)) = (parts(left), parts(right));
    let identifiers = |left: &str, right: &str| {
        let (mut left, mut right) = (left.split('.'), right.split('.'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(left), Some(right)) => match identifier(left, right) {
                    Ordering::Equal => {}
                    order => return order,
                },
            }
        }
    };
    identifiers(left, right).then_with(|| match (left_before.is_empty(), right_before.is_empty()) {
        (false, false) => identifiers(left_before, right_before),
        // A release comes after what led to it.
        (left, right) => left.cmp(&right),
    })
}

/// A version's numbers, and what stands before a release.
fn parts(version: &str) -> (&str, &str) {
    let version = version.trim_start_matches('v').split('+').next().unwrap_or_default();
    version.split_once('-').unwrap_or((version, ""))
}

/// Numbers come before words, and have their own order, however long they are.
fn identifier(left: &str, right: &str) -> Ordering {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let digits = |part: &str| part.trim_start_matches('0').len();
    match (is_number(left), is_number(right)) {
        (true, true) => digits(left)
            .cmp(&digits(right))
            .then_with(|| left.trim_start_matches('0').cmp(right.trim_start_matches('0'))),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn of_each_module_the_highest_version_with_a_sum_of_its_contents_is_taken() {
        let text = "github.com/a/b v1.9.0 h1:x=\ngithub.com/a/b v1.9.0/go.mod h1:x=\ngithub.com/a/b v1.10.0 h1:x=\n\
            github.com/a/b v1.11.0/go.mod h1:x=\ngithub.com/c/d/v2 v2.0.0+incompatible h1:x=\n\
            golang.org/x/net v0.0.0-20190311183353-d8887717615a h1:x=\ngolang.org/x/net v0.0.0-20180906233101-161cd47e91fd h1:x=\n\
            only/looked-at v1.0.0/go.mod h1:x=\n";
        check(
            &GoSum,
            "app/go.sum",
            text,
            expect![[r#"
                golang github.com/a/b v1.10.0, purl pkg:golang/github.com/a/b@v1.10.0
                golang github.com/c/d/v2 v2.0.0+incompatible, purl pkg:golang/github.com/c/d/v2@v2.0.0%2Bincompatible
                golang golang.org/x/net v0.0.0-20190311183353-d8887717615a, purl pkg:golang/golang.org/x/net@v0.0.0-20190311183353-d8887717615a
            "#]],
        );
        let reading = read(&GoSum, "app/go.sum", text.as_bytes()).unwrap();
        assert_eq!(reading.completion.as_deref(), Some(&Completion::Offered { of: "app/go.mod".to_owned() }));
        assert!(reading.packages.iter().all(|package| package.evidence.as_deref() == Some(EVIDENCE)));
    }

    #[test]
    fn versions_have_their_order() {
        let ordered = [
            "v0.0.0-20180906233101-161cd47e91fd",
            "v0.0.0-20190311183353-d8887717615a",
            "v0.9.0",
            "v1.0.0-1",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-alpha.beta",
            "v1.0.0-rc.2",
            "v1.0.0-rc.10",
            "v1.0.0",
            "v1.0.10",
            "v1.9.0",
            "v1.10.0",
        ];
        for (index, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare(left, right), index.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(compare("v1.0.0+incompatible", "v1.0.0"), Ordering::Equal);
    }

    #[test]
    fn what_is_not_understood_is_a_gap() {
        check(
            &GoSum,
            "go.sum",
            "a/b v1.0.0\na/b 1.0.0 h1:x=\n\n",
            expect![[r#"
                gap in go.sum: a line was not understood
                gap in go.sum: a line was not understood
            "#]],
        );
        assert!(read(&GoSum, "app/vendor/a/go.sum", b"").is_none());
        assert!(read(&GoSum, "app/testdata/go.sum", b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "((a/b|v1[.]0|v2|/go.mod|h1:|-rc.1|é)[ \n]{0,2}){0,20}") {
            read(&GoSum, "go.sum", &contents);
            read(&GoSum, "go.sum", text.as_bytes());
        }

        #[test]
        fn the_order_is_one(left in "v[0-9a.+-]{0,8}", right in "v[0-9a.+-]{0,8}") {
            prop_assert_eq!(compare(&left, &right), compare(&right, &left).reverse());
        }
    }
}
