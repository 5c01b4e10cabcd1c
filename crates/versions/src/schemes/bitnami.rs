//! Bitnami's versions: those of the application, which is Semantic Versioning, with a revision of the image.
//!
//! The vulnerability database (<https://github.com/bitnami/vulndb>) speaks of the application alone, so that a revision
//! never leaves a range.

use std::cmp::Ordering;

use super::{
    Definition,
    Plain,
    semver::{self, Version},
};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "bitnami", ecosystems: &["Bitnami"], compare, compare_to_bound, accepts: semver::accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse_loose(a)?.compare(&Version::parse_loose(b)?))
}

fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    compare(without_revision(installed), without_revision(bound))
}

/// `1.2.3-4` is the fifth image of `1.2.3`.
fn without_revision(text: &str) -> &str {
    match text.trim_ascii().rsplit_once('-') {
        Some((version, revision)) if numbers::is_number(revision) => version,
        _ => text,
    }
}
