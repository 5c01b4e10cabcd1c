//! RPM's versions: `[epoch:]version[-release]`.
//!
//! Rules: <https://github.com/rpm-software-management/rpm/blob/master/docs/man/rpm-version.7.scd>. A missing epoch counts as 0. Every text is
//! a version to RPM: what is no letter, digit, `~` or `^` only separates.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition = Definition {
    name: "rpm",
    ecosystems: &[
        "AlmaLinux",
        "Amazon Linux",
        "Azure Linux",
        "Fedora",
        "Mageia",
        "Oracle Linux",
        "Photon OS",
        "Red Hat",
        "Rocky Linux",
        "SUSE",
        "openEuler",
        "openSUSE",
    ],
    compare,
    compare_to_bound,
    accepts, plain: Plain::Listed,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.compare_without_release(&b).then_with(|| match (a.release, b.release) {
        (Some(a), Some(b)) => compare_part(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }))
}

/// A bound without a release speaks of all releases of its version, as in RPM's own dependencies.
fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(installed)?, Version::parse(bound)?);
    if b.release.is_none() { Some(a.compare_without_release(&b)) } else { compare(installed, bound) }
}

fn accepts(text: &str) -> bool {
    let allowed = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~^".contains(&byte));
    Version::parse(text).is_some_and(|version| {
        !version.version.is_empty() && allowed(version.version) && version.release.is_none_or(allowed)
    })
}

struct Version<'a> {
    epoch: &'a str,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return None;
        }
        // Only digits before the first colon are an epoch.
        let (digits, rest) = numbers::take(text);
        let (epoch, rest) = rest.strip_prefix(':').map_or(("", text), |rest| (digits, rest));
        let (version, release) = rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
        Some(Self { epoch, version, release })
    }

    fn compare_without_release(&self, other: &Self) -> Ordering {
        numbers::compare(self.epoch, other.epoch).then_with(|| compare_part(self.version, other.version))
    }
}

/// Compares versions or releases: runs of digits and runs of letters, in turn.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    loop {
        (a, b) = (skip_separators(a), skip_separators(b));
        // `~` comes before the end, `^` after it and before all else.
        let mark = |text: &str| match text.as_bytes().first() {
            Some(b'~') => 0,
            None => 1,
            Some(b'^') => 2,
            Some(_) => 3,
        };
        let order = mark(a).cmp(&mark(b));
        if order.is_ne() || a.is_empty() {
            return order;
        }
        if mark(a) < 3 {
            (a, b) = (numbers::strip_one(a, &['~', '^']), numbers::strip_one(b, &['~', '^']));
            continue;
        }
        let (digits_a, after_a) = numbers::take(a);
        let (digits_b, after_b) = numbers::take(b);
        let (order, next) = if digits_a.is_empty() && digits_b.is_empty() {
            let (word_a, after_a) = numbers::take_while(a, |byte| byte.is_ascii_alphabetic());
            let (word_b, after_b) = numbers::take_while(b, |byte| byte.is_ascii_alphabetic());
            (word_a.cmp(word_b), (after_a, after_b))
        } else if digits_a.is_empty() || digits_b.is_empty() {
            // Numbers come after words.
            return digits_b.is_empty().cmp(&digits_a.is_empty());
        } else {
            (numbers::compare(digits_a, digits_b), (after_a, after_b))
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = next;
    }
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '~' | '^'))
}
