//! Versions of R packages: numbers between dots and hyphens.
//!
//! Rules: <https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file>, and
//! <https://rdrr.io/r/base/numeric_version.html> for the order: a dot and a hyphen are the same.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "cran", ecosystems: &["Bioconductor", "CRAN"], compare, compare_to_bound: compare, accepts, plain: Plain::Listed };

const SEPARATORS: &[char] = &['.', '-'];

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    let good = numbers::is_list(a, SEPARATORS) && numbers::is_list(b, SEPARATORS);
    good.then(|| numbers::compare_lists(a, b, SEPARATORS))
}

/// "A sequence of at least two (and usually three) non-negative integers separated by single ‘.’ or ‘-’ characters";
/// a range may begin at `0`.
fn accepts(text: &str) -> bool {
    numbers::is_list(text, SEPARATORS) && text.contains(SEPARATORS)
}
