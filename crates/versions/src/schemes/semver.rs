//! Semantic Versioning: `major.minor.patch[-pre.release][+build]`, and what the npm, Go and Julia schemes share.
//!
//! Rules: <https://semver.org/spec/v2.0.0.html#spec-item-11>. A leading `v` and missing numbers are let pass, since
//! advisories write `0` and `v1.2`; more than three numbers are compared like the first three.
//! SwiftPM reads on: to it, `1.0.0--1` has the number -1, and `1.0.0-` is a version.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition = Definition {
    name: "semver",
    ecosystems: &["crates.io", "Hex", "SwiftURL", "GitHub Actions", "Kubernetes", "VSCode"],
    compare,
    compare_to_bound: compare,
    accepts, plain: Plain::Padded,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(Version::parse(a)?.compare(&Version::parse(b)?))
}

pub(super) fn accepts(text: &str) -> bool {
    Version::parse(text).is_some_and(|version| {
        let canonical = |number: &str| number == "0" || !number.starts_with('0');
        version.numbers.split('.').count() == 3
            && text.starts_with(version.numbers)
            && text.trim_ascii() == text
            && version.numbers.split('.').all(canonical)
            && version.pre.split('.').all(|part| !numbers::is_number(part) || canonical(part))
    })
}

/// A version, taken apart.
pub(super) struct Version<'a> {
    /// Its numbers: `1.2.3`.
    pub(super) numbers: &'a str,
    /// Its pre-release; empty where it has none.
    pub(super) pre: &'a str,
    /// Whether a hyphen stands before the pre-release.
    pub(super) hyphen: bool,
    /// Its build metadata.
    build: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// Reads a version; a pre-release must follow a hyphen.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        Self::parse_loose(text).filter(|version| version.pre.is_empty() || version.hyphen)
    }

    /// Reads a version; a pre-release that begins with a letter may follow the numbers at once, or
    /// after a dot: `1.0.0beta2`, `1.0.0.beta2`.
    pub(super) fn parse_loose(text: &'a str) -> Option<Self> {
        let text = numbers::strip_one(text.trim_ascii(), &['v', 'V']);
        let (numbers, rest) = numbers::take_while(text, |byte| byte.is_ascii_digit() || byte == b'.');
        let before_word = rest.starts_with(|first: char| first.is_ascii_alphabetic());
        let numbers = if before_word { numbers.strip_suffix('.').unwrap_or(numbers) } else { numbers };
        let (pre, build) = rest.split_once('+').map_or((rest, None), |(pre, build)| (pre, Some(build)));
        let stripped = pre.strip_prefix('-');
        let pre = stripped.unwrap_or(pre);
        let pre_is_good = match stripped {
            Some(pre) => are_identifiers(pre),
            None => pre.is_empty() || (before_word && are_identifiers(pre)),
        };
        let good = numbers::is_list(numbers, &['.']) && pre_is_good && build.is_none_or(are_identifiers);
        good.then_some(Self { numbers, pre, hyphen: stripped.is_some(), build })
    }

    /// The identifiers of its pre-release and of its build metadata.
    pub(super) fn identifiers(&self) -> impl Iterator<Item = &'a str> {
        self.pre.split('.').chain(self.build.unwrap_or_default().split('.'))
    }

    /// The order of the specification: build metadata does not count.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.compare_numbers(other).then_with(|| compare_identifiers(self.pre.split('.'), other.pre.split('.')))
    }

    /// The order by numbers, with a pre-release before its release.
    pub(super) fn compare_numbers(&self, other: &Self) -> Ordering {
        numbers::compare_padded(self.numbers, other.numbers, &['.'])
            .then_with(|| self.pre.is_empty().cmp(&other.pre.is_empty()))
    }

    /// The order of ecosystems in which build metadata counts: after all else, and none comes first.
    pub(super) fn compare_with_build(&self, other: &Self) -> Ordering {
        self.compare(other).then_with(|| match (self.build, other.build) {
            (Some(a), Some(b)) => compare_identifiers(a.split('.'), b.split('.')),
            (a, b) => a.is_some().cmp(&b.is_some()),
        })
    }
}

/// Compares lists of identifiers: a list before every longer one that it begins.
pub(super) fn compare_identifiers<'a>(a: impl Iterator<Item = &'a str>, b: impl Iterator<Item = &'a str>) -> Ordering {
    compare_identifiers_by(a, b, compare_identifier)
}

/// The same, with an order of identifiers.
pub(super) fn compare_identifiers_by<'a>(
    mut a: impl Iterator<Item = &'a str>,
    mut b: impl Iterator<Item = &'a str>,
    compare_one: fn(&str, &str) -> Ordering,
) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (Some(left), Some(right)) => compare_one(left, right),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers by value and before words, words as text.
fn compare_identifier(a: &str, b: &str) -> Ordering {
    match (numbers::is_number(a), numbers::is_number(b)) {
        (true, true) => numbers::compare(a, b),
        (false, false) => a.cmp(b),
        (a_is_number, b_is_number) => b_is_number.cmp(&a_is_number),
    }
}

fn are_identifiers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}
