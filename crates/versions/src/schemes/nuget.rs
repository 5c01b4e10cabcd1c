//! .NET's versions: Semantic Versioning with a fourth number, in which case does not matter.
//!
//! Rules: <https://learn.microsoft.com/en-us/nuget/concepts/package-versioning>.

use std::cmp::Ordering;

use super::{
    Definition,
    Plain,
    semver::{Version, compare_identifiers_by},
};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "nuget", ecosystems: &["NuGet"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.compare_numbers(&b).then_with(|| {
        compare_identifiers_by(a.pre.split('.'), b.pre.split('.'), numbers::compare_ignoring_case)
    }))
}

fn accepts(text: &str) -> bool {
    let is_bare = text.trim_ascii().starts_with(|first: char| first.is_ascii_digit());
    is_bare && Version::parse(text).is_some_and(|version| version.numbers.split('.').count() <= 4)
}
