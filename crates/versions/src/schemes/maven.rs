//! Maven's versions: numbers and qualifiers, between dots, hyphens and changes from digits to letters.
//!
//! Rules: <https://maven.apache.org/pom.html#version-order-specification>. Read to the letter they lead in circles
//! (`1.sp` < `1-alpha` < `1` < `1.sp`). This order has none: as in Maven itself, a dot before a qualifier is as good as a
//! hyphen, and zeros before it do not count; as in Maven 4, a number belongs to the qualifier before it, so that `rc.1`
//! comes before `rc-1`. Every text is a version to Maven.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "maven", ecosystems: &["Maven"], compare, compare_to_bound: compare, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (Tokens::new(a)?, Tokens::new(b)?);
    loop {
        let (left, right) = (a.next(), b.next());
        let order = left.as_ref().map_or(Rank::END, Token::rank).cmp(&right.as_ref().map_or(Rank::END, Token::rank));
        let order = order.then_with(|| match (&left, &right) {
            (Some(left), Some(right)) => left.compare_text(right),
            _ => Ordering::Equal,
        });
        if order.is_ne() || (left.is_none() && right.is_none()) {
            return Some(order);
        }
    }
}

/// Maven takes any text; what it names in paths has no more than these.
fn accepts(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\/:\"<>|?*[](),".contains(&byte))
}

/// A token without what stands before it: the order of the variants is the order of tokens of different kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A known qualifier, or the end, which counts as a release.
    Known(u8),
    Unknown,
    NumberAfterHyphen,
    NumberAfterDot,
    /// A number that belongs to the qualifier before it: `rc1`, `rc-1`.
    NumberOfQualifier,
}

impl Rank {
    const END: Self = Self::Known(RELEASE);
}

/// The place of `ga`, `final` and `release` among the known qualifiers.
const RELEASE: u8 = 5;

const QUALIFIERS: [(&str, u8); 10] = [
    ("alpha", 0),
    ("beta", 1),
    ("milestone", 2),
    ("rc", 3),
    ("cr", 3),
    ("snapshot", 4),
    ("ga", RELEASE),
    ("final", RELEASE),
    ("release", RELEASE),
    ("sp", 6),
];

/// What `a`, `b` and `m` are short for, if a digit follows at once.
const SHORT: [(&str, u8); 3] = [("a", 0), ("b", 1), ("m", 2)];

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    is_number: bool,
    after_hyphen: bool,
    after_qualifier: bool,
    before_digit: bool,
}

impl Token<'_> {
    fn rank(&self) -> Rank {
        if self.is_number {
            return match (self.after_hyphen, self.after_qualifier) {
                (false, _) => Rank::NumberAfterDot,
                (true, false) => Rank::NumberAfterHyphen,
                (true, true) => Rank::NumberOfQualifier,
            };
        }
        let short = SHORT.iter().filter(|_| self.before_digit);
        let mut known = QUALIFIERS.iter().chain(short);
        known.find(|(word, _)| self.text.eq_ignore_ascii_case(word)).map_or(Rank::Unknown, |(_, rank)| Rank::Known(*rank))
    }

    /// Compares two of the same rank.
    fn compare_text(&self, other: &Self) -> Ordering {
        match self.rank() {
            Rank::Known(_) => Ordering::Equal,
            Rank::Unknown => numbers::compare_ignoring_case(self.text, other.text),
            _ => numbers::compare(self.text, other.text),
        }
    }

    /// Whether it says nothing: a zero, or a word for a release.
    fn is_null(&self) -> bool {
        if self.is_number { self.text.bytes().all(|byte| byte == b'0') } else { self.rank() == Rank::END }
    }
}

/// The tokens of a version, without those that say nothing: at the end, before a hyphen, and before a qualifier.
struct Tokens<'a> {
    rest: Raw<'a>,
    is_first: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        (!text.is_empty()).then_some(Self { rest: Raw { rest: Some(text), within: false, after_hyphen: false, after_qualifier: false }, is_first: true })
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.rest.next()?;
        if std::mem::take(&mut self.is_first) || !token.is_null() {
            return Some(token);
        }
        let mut ahead = self.rest;
        loop {
            let before = ahead;
            match ahead.next() {
                Some(next) if !next.after_hyphen && next.is_null() => {}
                // A number after a dot: the zeros before it count.
                Some(next) if !next.after_hyphen && next.is_number => return Some(token),
                _ => {
                    self.rest = before;
                    return self.next();
                }
            }
        }
    }
}

/// All tokens of a version.
#[derive(Clone, Copy)]
struct Raw<'a> {
    /// What has not been read; none at the end.
    rest: Option<&'a str>,
    /// Whether it goes on with the text between two separators.
    within: bool,
    after_hyphen: bool,
    after_qualifier: bool,
}

impl<'a> Raw<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.rest?;
        let is_separator = |byte: u8| matches!(byte, b'.' | b'-');
        let (digits, after_digits) = numbers::take(rest);
        let is_number = !digits.is_empty() || (!self.within && rest.bytes().next().is_none_or(is_separator));
        let (text, after) = if is_number {
            (digits, after_digits)
        } else {
            let end = rest.bytes().position(|byte| byte.is_ascii_digit() || is_separator(byte)).unwrap_or(rest.len());
            rest.split_at_checked(end)?
        };
        let next = after.bytes().next();
        let token = Token {
            text,
            is_number,
            after_hyphen: self.after_hyphen,
            after_qualifier: self.after_qualifier,
            before_digit: next.is_some_and(|byte| byte.is_ascii_digit()),
        };
        // A change from digits to letters, or back, is as good as a hyphen.
        self.after_hyphen = next != Some(b'.');
        self.after_qualifier = !is_number && !token.is_null();
        self.within = next.is_some_and(|byte| !is_separator(byte));
        self.rest = if self.within { Some(after) } else { after.get(1..) };
        Some(token)
    }
}
