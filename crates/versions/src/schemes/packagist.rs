//! Composer's versions, in the order of PHP's `version_compare`.
//!
//! Rules: <https://www.php.net/manual/en/function.version-compare.php>, with two differences: case does not matter, and
//! separators at the end do not count. Composer fills up numbers to four before it compares, so that `2.0` and `2.0.0` are
//! the same in a range, and takes `2.x-dev` for the end of 2; branches that are no numbers (`dev-master`) lie in no range:
//! <https://github.com/composer/semver/blob/main/src/VersionParser.php>.

use std::{cmp::Ordering, iter};

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "packagist", ecosystems: &["Packagist"], compare, compare_to_bound, accepts, plain: Plain::Own };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    compare_parts(parts(trim(a)?), parts(trim(b)?))
}

fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    let (installed, bound) = (trim(installed)?, trim(bound)?);
    // Nobody knows where in the order of releases, or of other branches, a branch stands.
    if is_branch(installed) || is_branch(bound) {
        return installed.eq_ignore_ascii_case(bound).then_some(Ordering::Equal);
    }
    match (numeric_branch(installed), numeric_branch(bound)) {
        (None, None) => compare_parts(normal_parts(installed), normal_parts(bound)),
        (Some(installed), None) => compare_parts(installed, normal_parts(bound)),
        (None, Some(bound)) => compare_parts(normal_parts(installed), bound),
        (Some(installed), Some(bound)) => compare_parts(installed, bound),
    }
}

/// `dev-master`, or a name that Composer takes for that.
fn is_branch(text: &str) -> bool {
    let starts = |start: &str| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    starts("dev-") || ["master", "trunk", "default"].iter().any(|name| text.eq_ignore_ascii_case(name))
}

/// The parts of a branch of numbers, `2.x-dev`: higher than all that is released from it.
fn numeric_branch(text: &str) -> Option<impl Iterator<Item = &str>> {
    const MOST: usize = 4;
    const LAST: &str = "9999999";
    let end = text.len().checked_sub(3).filter(|end| text.get(*end..).is_some_and(|end| end.eq_ignore_ascii_case("dev")))?;
    let numbers = text.get(..end)?;
    let numbers = numbers.strip_suffix(['.', '-']).unwrap_or(numbers);
    let is_any = |part: &str| matches!(part, "x" | "X" | "*");
    let are_numbers = numbers.split('.').all(|part| numbers::is_number(part) || is_any(part));
    let count = numbers.split('.').count();
    let starts_well = numbers.split('.').next().is_some_and(numbers::is_number);
    let is_branch = are_numbers && starts_well && count <= MOST && numbers.split('.').any(is_any);
    is_branch.then(|| {
        let known = numbers.split('.').map(move |part| if is_any(part) { LAST } else { part });
        known.chain(iter::repeat_n(LAST, MOST - count)).chain(iter::once("dev"))
    })
}

/// What Composer's parser takes, roughly: up to four numbers with a stability, dates, and branches.
fn accepts(text: &str) -> bool {
    let Some(text) = trim(text) else { return false };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+/".contains(&byte);
    let is_branch = text.starts_with("dev-") && text.len() > 4;
    (is_branch || text.starts_with(|first: char| first.is_ascii_digit())) && text.bytes().all(allowed)
}

fn trim(text: &str) -> Option<&str> {
    let text = numbers::strip_one(text.trim_ascii(), &['v', 'V']);
    text.bytes().any(|byte| byte.is_ascii_alphanumeric()).then_some(text)
}

fn compare_parts<'a>(mut a: impl Iterator<Item = &'a str>, mut b: impl Iterator<Item = &'a str>) -> Option<Ordering> {
    loop {
        let (left, right) = (a.next(), b.next());
        let order = rank(left).cmp(&rank(right)).then_with(|| match (left, right) {
            (Some(left), Some(right)) if numbers::is_number(left) => numbers::compare(left, right),
            _ => Ordering::Equal,
        });
        if order.is_ne() || (left.is_none() && right.is_none()) {
            return Some(order);
        }
    }
}

/// The order of parts of different kinds. As for PHP, the first letters of a word count, and what it does not know
/// comes before all else.
fn rank(part: Option<&str>) -> u8 {
    const WORDS: [(&str, u8); 5] = [("dev", 1), ("a", 2), ("b", 3), ("rc", 4), ("p", 7)];
    const END: u8 = 5;
    const NUMBER: u8 = 6;
    let Some(part) = part else { return END };
    if numbers::is_number(part) {
        return NUMBER;
    }
    let starts_with = |word: &str| part.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    WORDS.iter().find(|(word, _)| starts_with(word)).map_or(0, |(_, rank)| *rank)
}

/// Runs of digits and runs of letters.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        rest = rest.trim_start_matches(|character: char| !character.is_ascii_alphanumeric());
        let (digits, after) = numbers::take(rest);
        let (part, after) = if digits.is_empty() {
            numbers::take_while(rest, |byte| byte.is_ascii_alphabetic())
        } else {
            (digits, after)
        };
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// The parts as Composer normalises a version: four numbers at least, no build metadata, no word for what is stable.
fn normal_parts(text: &str) -> impl Iterator<Item = &str> {
    let text = text.split('+').next().unwrap_or(text);
    let (run, rest) = numbers::take_while(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let count = run.split('.').filter(|number| !number.is_empty()).count();
    let padding = if count == 0 { 0 } else { 4_usize.saturating_sub(count) };
    let words = parts(rest).filter(|part| !part.eq_ignore_ascii_case("stable"));
    parts(run).chain(iter::repeat_n("0", padding)).chain(words)
}
