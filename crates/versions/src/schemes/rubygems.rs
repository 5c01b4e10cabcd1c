//! Versions of Ruby gems: numbers and words; a word makes a pre-release.
//!
//! Rules: <https://docs.ruby-lang.org/en/3.4/Gem/Version.html>. A hyphen means `.pre.`.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "rubygems", ecosystems: &["RubyGems"], compare, compare_to_bound, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (Segments::new(a)?, Segments::new(b)?);
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Some(Ordering::Equal);
        }
        let (left, right) = (left.unwrap_or("0"), right.unwrap_or("0"));
        let order = match (numbers::is_number(left), numbers::is_number(right)) {
            (true, true) => numbers::compare(left, right),
            (false, false) => left.cmp(right),
            (left, right) => left.cmp(&right),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
}

/// A lockfile writes the platform behind the version: `1.19.3-aarch64-linux-gnu`. Advisories know none.
fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    compare(without_platform(installed), bound)
}

/// Processors, and platforms without one, as gems are named for them:
/// <https://guides.rubygems.org/gems-with-extensions/>.
const PLATFORMS: [&str; 19] = [
    "aarch64", "aarch64_be", "arm", "arm64", "armv5", "armv6", "armv7", "armv7l", "armv8", "i386", "i686", "java", "jruby",
    "mswin32", "mswin64", "universal", "x64", "x86", "x86_64",
];

fn without_platform(text: &str) -> &str {
    text.match_indices('-')
        .find(|(at, _)| {
            let word = text.get(at + 1..).and_then(|rest| rest.split('-').next()).unwrap_or_default();
            PLATFORMS.contains(&word)
        })
        .and_then(|(at, _)| text.get(..at))
        .unwrap_or(text)
}

fn accepts(text: &str) -> bool {
    let text = text.trim_ascii();
    let (version, pre) = text.split_once('-').map_or((text, None), |(version, pre)| (version, Some(pre)));
    let are_words = |text: &str, allowed: fn(u8) -> bool| {
        text.split('.').all(|part| !part.is_empty() && part.bytes().all(allowed))
    };
    version.split('.').next().is_some_and(numbers::is_number)
        && are_words(version, |byte| byte.is_ascii_alphanumeric())
        && pre.is_none_or(|pre| are_words(pre, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// Runs of digits and runs of letters, without the zeros that do not count: before the first word, and at the end.
struct Segments<'a> {
    rest: Raw<'a>,
    has_word: bool,
}

impl<'a> Segments<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let rest = Raw { rest: text, pre: false };
        // What has neither a digit nor a letter is no version.
        { rest }.next()?;
        Some(Self { rest, has_word: false })
    }

    fn next(&mut self) -> Option<&'a str> {
        let segment = self.rest.next()?;
        if !is_zero(segment) {
            self.has_word |= !numbers::is_number(segment);
            return Some(segment);
        }
        let mut ahead = self.rest;
        loop {
            let before = ahead;
            match ahead.next() {
                Some(next) if is_zero(next) => {}
                Some(next) if self.has_word || numbers::is_number(next) => return Some(segment),
                _ => {
                    self.rest = before;
                    return self.next();
                }
            }
        }
    }
}

fn is_zero(segment: &str) -> bool {
    segment.bytes().all(|byte| byte == b'0')
}

/// All segments.
#[derive(Clone, Copy)]
struct Raw<'a> {
    rest: &'a str,
    /// Whether a hyphen was read whose `pre` has not been given.
    pre: bool,
}

impl<'a> Raw<'a> {
    fn next(&mut self) -> Option<&'a str> {
        loop {
            if std::mem::take(&mut self.pre) {
                return Some("pre");
            }
            let (digits, after) = numbers::take(self.rest);
            let (run, after) = if digits.is_empty() {
                numbers::take_while(self.rest, |byte| byte.is_ascii_alphabetic())
            } else {
                (digits, after)
            };
            self.rest = after;
            if !run.is_empty() {
                return Some(run);
            }
            let mut characters = self.rest.chars();
            self.pre = characters.next()? == '-';
            self.rest = characters.as_str();
        }
    }
}
