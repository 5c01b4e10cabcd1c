//! Versions of Go modules, with or without their `v`, and of Go itself: `go1.21rc2`.
//!
//! Rules: <https://go.dev/ref/mod#versions>, and <https://go.dev/doc/toolchain#version> for the toolchain. The Go
//! vulnerability database writes the toolchain's `1.21rc2` as `1.21.0-rc.2`; the two are equal here.

use std::cmp::Ordering;

use super::{
    Definition,
    Plain,
    semver::{self, Version},
};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "go", ecosystems: &["Go"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let order = numbers::compare_padded(a.numbers, b.numbers, &['.']);
    Some(
        order
            .then_with(|| a.pre.is_empty().cmp(&b.pre.is_empty()))
            .then_with(|| semver::compare_identifiers(identifiers(&a), identifiers(&b))),
    )
}

/// The parts of a pre-release. The toolchain's, which no hyphen sets off, count a word and its number as two.
fn identifiers<'a>(version: &Version<'a>) -> impl Iterator<Item = &'a str> {
    let toolchain = !version.hyphen;
    let parts = version.pre.split('.').flat_map(move |part| {
        let (word, number) = if toolchain { numbers::take_text(part) } else { (part, "") };
        [word, number]
    });
    parts.filter(|part| !part.is_empty())
}

fn accepts(text: &str) -> bool {
    parse(text).is_some_and(|version| version.numbers.split('.').count() <= 3)
}

fn parse(text: &str) -> Option<Version<'_>> {
    let text = text.trim_ascii();
    Version::parse_loose(text.strip_prefix("go").unwrap_or(text))
}
