//! Dart's versions: Semantic Versioning, in which build metadata counts.
//!
//! Rules: <https://github.com/dart-lang/tools/tree/main/pkgs/pub_semver#semantics>: "Version ordering does take build
//! suffixes into account."

use std::cmp::Ordering;

use super::{
    Definition,
    Plain,
    semver::{self, Version},
};

pub(super) const DEFINITION: Definition =
    Definition { name: "pub", ecosystems: &["Pub"], compare, compare_to_bound: compare, accepts: semver::accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.compare_with_build(&Version::parse(b)?))
}
