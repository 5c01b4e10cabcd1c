//! Dart's versions: Semantic Versioning, in which build metadata counts.
//!
//! Rules: <https://github.com/dart-lang/tools/tree/main/pkgs/pub_semver#semantics>: "Version ordering does take build
//! suffixes into account." Up to 2.2.0, `pub_semver` takes `-1` and `0x10` for numbers too; here they are words, as to its
//! successor.

use std::cmp::Ordering;

use super::{Definition, Plain, semver::Version};

pub(super) const DEFINITION: Definition =
    Definition { name: "pub", ecosystems: &["Pub"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.compare_with_build(&Version::parse(b)?))
}

/// Three numbers, leading zeros or not.
fn accepts(text: &str) -> bool {
    Version::parse(text).is_some_and(|version| {
        version.numbers.split('.').count() == 3
            && version.numbers.split('.').all(|number| number.parse::<i64>().is_ok())
            && text.starts_with(version.numbers)
            && text.trim_ascii() == text
    })
}
