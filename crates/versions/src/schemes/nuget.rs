//! .NET's versions: Semantic Versioning with a fourth number, in which case does not matter.
//!
//! Rules: <https://learn.microsoft.com/en-us/nuget/concepts/package-versioning>. Whether an identifier of a pre-release
//! is a number, `int.TryParse` says: `-1` is one; what does not fit in 32 bits, such as `20260101120000`, is a word.

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
    Some(
        a.compare_numbers(&b)
            .then_with(|| compare_identifiers_by(a.pre.split('.'), b.pre.split('.'), compare_identifier)),
    )
}

/// Numbers by value and before words, words as text in any case.
fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (a.parse::<i32>(), b.parse::<i32>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Err(_), Err(_)) => numbers::compare_ignoring_case(a, b),
        (a, b) => b.is_ok().cmp(&a.is_ok()),
    }
}

/// At most four numbers that fit in 32 bits; leading zeros in these alone.
fn accepts(text: &str) -> bool {
    let is_bare = text.trim_ascii().starts_with(|first: char| first.is_ascii_digit());
    is_bare
        && Version::parse(text).is_some_and(|version| {
            version.numbers.split('.').count() <= 4
                && version.numbers.split('.').all(|number| number.parse::<i32>().is_ok())
                && version.pre.split('.').all(|part| part == "0" || !numbers::is_number(part) || !part.starts_with('0'))
        })
}
