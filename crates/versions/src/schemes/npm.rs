//! npm's versions: Semantic Versioning, read loosely.
//!
//! Rules: <https://github.com/npm/node-semver#versions>. Loose means: a leading `=` or `v`, and `1.0.0beta` for
//! `1.0.0-beta`; the registry's older packages have both.

use std::cmp::Ordering;

use super::{Definition, Plain, semver::Version};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "npm", ecosystems: &["npm", "Node"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(parse(a)?.compare(&parse(b)?))
}

fn accepts(text: &str) -> bool {
    parse(text).is_some_and(|version| version.numbers.split('.').count() == 3)
}

fn parse(text: &str) -> Option<Version<'_>> {
    Version::parse_loose(numbers::strip_one(text.trim_ascii(), &['=']))
}
