//! Conan's versions: numbers and words between dots, a pre-release behind a hyphen, build metadata, which counts.
//!
//! Rules: <https://docs.conan.io/2/tutorial/versioning/version_ranges.html>, and
//! <https://github.com/conan-io/conan/blob/develop2/conan/internal/model/version.py> for the order, in which zeros at the
//! end do not count. Conan compares a number with a word as text, which leads in a circle: `2`, `10`, `1a`, `2`. Here a
//! word that begins with a number follows it: `1`, `1a`, `2`, `10`.

use std::cmp::Ordering;

use super::{Definition, Plain, semver::compare_identifiers_by};
use crate::numbers;

pub(super) const DEFINITION: Definition = Definition {
    name: "conan",
    ecosystems: &["ConanCenter"],
    compare,
    compare_to_bound: compare,
    accepts,
    plain: Plain::Padded,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let by_numbers = compare_items(a.numbers, b.numbers);
    Some(by_numbers.then_with(|| match (a.pre, b.pre) {
        (Some(left), Some(right)) => compare_items(left, right).then_with(|| compare_builds(&a, &b)),
        (None, None) => compare_builds(&a, &b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }))
}

/// What Conan takes for the version of a reference: two characters or more, none of them in upper case.
fn accepts(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+.-".contains(&byte);
    (2..=101).contains(&text.len()) && text.bytes().all(good) && !text.starts_with(['+', '.', '-'])
}

struct Version<'a> {
    numbers: &'a str,
    pre: Option<&'a str>,
    build: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() || text.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return None;
        }
        let (text, build) = text.rsplit_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        Some(Self { numbers, pre, build })
    }
}

fn compare_builds(a: &Version<'_>, b: &Version<'_>) -> Ordering {
    match (a.build, b.build) {
        (Some(a), Some(b)) => compare_items(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn compare_items(a: &str, b: &str) -> Ordering {
    compare_identifiers_by(items(a), items(b), compare_item)
}

/// What stands between the dots, without the zeros at the end.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (before, last) = text.rsplit_once('.').map_or((None, text), |(before, last)| (Some(before), last));
        if last.is_empty() || last.bytes().any(|byte| byte != b'0') {
            break;
        }
        rest = before;
    }
    rest.into_iter().flat_map(|text| text.split('.'))
}

/// Numbers by value, each before the words that begin with it; all else as text.
fn compare_item(a: &str, b: &str) -> Ordering {
    let ((number_of_a, word_of_a), (number_of_b, word_of_b)) = (numbers::take(a), numbers::take(b));
    if number_of_a.is_empty() || number_of_b.is_empty() {
        return a.cmp(b);
    }
    let by_value = numbers::compare(number_of_a, number_of_b).then_with(|| word_of_a.cmp(word_of_b));
    // To Conan `01` is `1`, but `01a` is another word than `1a`.
    by_value.then_with(|| if word_of_a.is_empty() { Ordering::Equal } else { a.cmp(b) })
}
