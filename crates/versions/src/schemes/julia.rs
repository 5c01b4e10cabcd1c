//! Julia's versions: Semantic Versioning, in which build metadata counts: packages of binaries are rebuilt as `1.2.3+1`.
//!
//! Rules: <https://docs.julialang.org/en/v1/manual/strings/#man-version-number-literals>, and
//! <https://github.com/JuliaLang/julia/blob/v1.11.0/base/version.jl> for the order.

use std::cmp::Ordering;

use super::{
    Definition,
    Plain,
    semver::{self, Version},
};

pub(super) const DEFINITION: Definition =
    Definition { name: "julia", ecosystems: &["Julia"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse_loose(a)?.compare_with_build(&Version::parse_loose(b)?))
}

fn accepts(text: &str) -> bool {
    semver::accepts(text.strip_prefix('v').unwrap_or(text))
}
