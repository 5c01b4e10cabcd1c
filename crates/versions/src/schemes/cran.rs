//! Versions of R packages: numbers between dots and hyphens.
//!
//! Rules: <https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file>, and
//! <https://rdrr.io/r/utils/compareVersion.html> for the order: a dot and a hyphen are the same, and `1.0` comes before
//! `1.0.0`. To the operators of <https://rdrr.io/r/base/numeric_version.html>, by which R says whether an installed
//! package is one that another needs (`>= 1.0.0`), these two are the same.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "cran", ecosystems: &["Bioconductor", "CRAN"], compare, compare_to_bound, accepts, plain: Plain::Own };

const SEPARATORS: &[char] = &['.', '-'];

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(numbers::compare_lists(list(a)?, list(b)?, SEPARATORS))
}

fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    Some(numbers::compare_padded(list(installed)?, list(bound)?, SEPARATORS))
}

fn list(text: &str) -> Option<&str> {
    Some(text.trim_ascii()).filter(|text| numbers::is_list(text, SEPARATORS))
}

/// "A sequence of at least two (and usually three) non-negative integers separated by single ‘.’ or ‘-’ characters";
/// a range may begin at `0`.
fn accepts(text: &str) -> bool {
    numbers::is_list(text, SEPARATORS) && text.contains(SEPARATORS)
}
