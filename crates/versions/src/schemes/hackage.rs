//! Haskell's versions: numbers between dots. `1.0.0` comes after `1.0`.
//!
//! Rules: <https://pvp.haskell.org/#version-numbers>, and
//! <https://hackage.haskell.org/package/base/docs/Data-Version.html> for the order. Tags behind a hyphen, which Cabal
//! gave up long ago, do not count.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "hackage", ecosystems: &["GHC", "Hackage"], compare, compare_to_bound: compare, accepts, plain: Plain::Listed };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (numbers_of(a)?, numbers_of(b)?);
    Some(numbers::compare_lists(a, b, &['.']))
}

fn numbers_of(text: &str) -> Option<&str> {
    let numbers = text.trim_ascii().split('-').next()?;
    numbers::is_list(numbers, &['.']).then_some(numbers)
}

/// Cabal takes no leading zeros, and nine digits at most.
fn accepts(text: &str) -> bool {
    let fits = |number: &str| number == "0" || (!number.starts_with('0') && number.len() <= 9);
    text.split('.').all(|number| numbers::is_number(number) && fits(number))
}
