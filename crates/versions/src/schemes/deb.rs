//! Debian's versions: `[epoch:]upstream[-revision]`.
//!
//! Rules: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>. What is compared but not accepted
//! is what `dpkg --compare-versions` compares with a warning.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition = Definition {
    name: "deb",
    ecosystems: &["Debian", "Ubuntu", "Echo", "opam"],
    compare,
    compare_to_bound: compare,
    accepts, plain: Plain::Listed,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    let epochs = numbers::compare(a.epoch, b.epoch);
    Some(
        epochs
            .then_with(|| compare_part(a.upstream, b.upstream))
            .then_with(|| compare_part(a.revision, b.revision)),
    )
}

struct Version<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let printable = rest.bytes().all(|byte| !byte.is_ascii_whitespace() && !byte.is_ascii_control());
        (numbers::is_number(epoch) && !rest.is_empty() && printable).then_some(Self { epoch, upstream, revision })
    }
}

/// Compares upstream versions or revisions: text and numbers take turns, beginning with text.
fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (text_a, rest_a) = numbers::take_text(a);
        let (text_b, rest_b) = numbers::take_text(b);
        let order = compare_text(text_a, text_b);
        if order.is_ne() || (rest_a.is_empty() && rest_b.is_empty()) {
            return order;
        }
        let (number_a, next_a) = numbers::take(rest_a);
        let (number_b, next_b) = numbers::take(rest_b);
        let order = numbers::compare(number_a, number_b);
        if order.is_ne() {
            return order;
        }
        (a, b) = (next_a, next_b);
    }
}

/// Compares runs of non-digits: `~` comes before the end, the end before letters, letters before all else.
fn compare_text(a: &str, b: &str) -> Ordering {
    let weigh = |byte: u8| match byte {
        b'~' => -1,
        byte if byte.is_ascii_alphabetic() => i32::from(byte),
        byte => i32::from(byte) + 256,
    };
    let (mut a, mut b) = (a.bytes().map(weigh), b.bytes().map(weigh));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => match left.unwrap_or(0).cmp(&right.unwrap_or(0)) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

fn accepts(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+~".contains(&byte);
    Version::parse(text).is_some_and(|version| {
        version.upstream.starts_with(|first: char| first.is_ascii_digit())
            && version.upstream.bytes().all(|byte| allowed(byte) || byte == b'-' || byte == b':')
            && version.revision.bytes().all(allowed)
            && !text.trim_ascii().ends_with('-')
    })
}
