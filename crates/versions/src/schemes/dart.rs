//! Dart's versions: Semantic Versioning, in which build metadata counts.
//!
//! Rules: <https://dart.dev/tools/pub/versioning#semantic-versions>, and
//! <https://pub.dev/documentation/pub_semver/latest/#semantics>: "we consider build suffixes in ordering".

use std::cmp::Ordering;

use super::{
    Definition,
    semver::{self, Version},
};

pub(super) const DEFINITION: Definition =
    Definition { name: "pub", ecosystems: &["Pub"], compare, compare_to_bound: compare, accepts: semver::accepts };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.compare_with_build(&Version::parse(b)?))
}
