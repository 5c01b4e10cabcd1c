//! Julia's versions: Semantic Versioning, in which build metadata counts: packages of binaries are rebuilt as `1.2.3+1`.
//!
//! Rules: <https://docs.julialang.org/en/v1/manual/strings/#man-version-number-literals>, and
//! <https://github.com/JuliaLang/julia/blob/v1.11.0/base/version.jl> for the order. `1.2-` and `1.2+`, which
//! Julia's sources write for the begin and the end of all that is 1.2, are no versions here.

use std::cmp::Ordering;

use super::{Definition, Plain, semver::Version};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "julia", ecosystems: &["Julia"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse_loose(a)?.compare_with_build(&Version::parse_loose(b)?))
}

/// One number to three, leading zeros or not, and a word at once behind them.
fn accepts(text: &str) -> bool {
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    Version::parse_loose(text).is_some_and(|version| {
        let fits = |part: &str| !numbers::is_number(part) || part.parse::<u64>().is_ok();
        version.numbers.split('.').count() <= 3
            && version.numbers.split('.').all(|number| number.parse::<u32>().is_ok())
            && version.identifiers().all(fits)
            && bare.strip_prefix(version.numbers).is_some_and(|rest| !rest.starts_with('.'))
            && bare.trim_ascii() == bare
    })
}
