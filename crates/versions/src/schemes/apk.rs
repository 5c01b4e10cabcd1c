//! Alpine's versions: `number{.number}[letter]{_suffix[number]}[~hash][-r number]`.
//!
//! Rules: <https://gitlab.alpinelinux.org/alpine/apk-tools/-/blob/v3.0.6/doc/apk-package.5.scd>. For every version
//! that apk 3 accepts, this is its order. Of those that it refuses, old advisories hold `6.6.2p1-r0` (a number after
//! the letter, as apk 2 allowed), `0.8.21.r2` (a dot before the revision) and `1..2`; these are ordered as they are
//! meant. From the first thing that cannot be read on, all versions are the same, and come before the end.

use std::cmp::Ordering;

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition = Definition {
    name: "apk",
    ecosystems: &["Alpine", "Alpaquita", "BellSoft", "BellSoft Hardened Containers", "Chainguard", "CleanStart", "MinimOS", "Wolfi"],
    compare,
    compare_to_bound: compare,
    accepts, plain: Plain::Own,
};

fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (Tokens::new(a)?, Tokens::new(b)?);
    loop {
        let (left, right) = (a.next(), b.next());
        let order = left.cmp(&right);
        if order.is_ne() || left.ends() {
            return Some(order);
        }
    }
}

fn accepts(text: &str) -> bool {
    let Some(mut tokens) = Tokens::new(text) else { return false };
    tokens.lenient = false;
    loop {
        match tokens.next() {
            Token::End => return true,
            Token::Unreadable => return false,
            _ => {}
        }
    }
}

/// One part of a version. The order of the variants is the order of versions that differ in the kind of their next
/// part: `1_rc1` < `1` < `1-r0` < `1_p1` < `1a` < `1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    /// `_alpha`, `_beta`, `_pre`, `_rc`: before the release.
    PreSuffix(u8),
    /// What cannot be read on.
    Unreadable,
    /// The end.
    End,
    /// `-r` and a number.
    Revision(Number<'a>),
    /// `~` and a commit's hash.
    Hash(&'a str),
    /// The number after a suffix or, as apk 2 allowed it, after the letter.
    Counter(Number<'a>),
    /// `_cvs`, `_svn`, `_git`, `_hg`, `_p`: after the release.
    PostSuffix(u8),
    /// The letter after the numbers.
    Letter(u8),
    /// A number after a dot.
    Component(Component<'a>),
    /// The first number.
    First(Number<'a>),
}

impl Token<'_> {
    const fn ends(self) -> bool {
        matches!(self, Self::End | Self::Unreadable)
    }
}

const PRE_SUFFIXES: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const POST_SUFFIXES: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// Digits, compared by value; no digits come first.
#[derive(Debug, Clone, Copy)]
struct Number<'a>(&'a str);

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (!self.0.is_empty()).cmp(&!other.0.is_empty()).then_with(|| numbers::compare(self.0, other.0))
    }
}

/// Digits after a dot: with a leading zero on either side, compared as text, as fractions are.
#[derive(Debug, Clone, Copy)]
struct Component<'a>(&'a str);

impl Ord for Component<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0.starts_with('0') || other.0.starts_with('0') {
            self.0.cmp(other.0)
        } else {
            Number(self.0).cmp(&Number(other.0))
        }
    }
}

macro_rules! equal_as_ordered {
    ($($digits:ident),*) => {$(
        impl PartialOrd for $digits<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $digits<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $digits<'_> {}
    )*};
}
equal_as_ordered!(Number, Component);

/// How far a version has been read: which parts may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start,
    Numbers,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
}

struct Tokens<'a> {
    rest: &'a str,
    place: Place,
    lenient: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let rest = text.trim_ascii();
        (!rest.is_empty()).then_some(Self { rest, place: Place::Start, lenient: true })
    }

    fn next(&mut self) -> Token<'a> {
        if self.place == Place::Start {
            self.place = Place::Numbers;
            let digits = self.digits();
            return if digits.is_empty() && !self.lenient { Token::Unreadable } else { Token::First(Number(digits)) };
        }
        let Some(&first) = self.rest.as_bytes().first() else { return Token::End };
        let token = match first {
            b'a'..=b'z' if self.place == Place::Numbers => self.letter(first),
            b'.' if self.place == Place::Numbers => self.component(),
            b'0'..=b'9' if self.place == Place::Suffix || (self.lenient && self.place == Place::Letter) => {
                self.place = if self.place == Place::Suffix { Place::SuffixNumber } else { Place::Letter };
                Some(Token::Counter(Number(self.digits())))
            }
            b'_' if self.place <= Place::SuffixNumber => self.suffix(),
            b'~' if self.place < Place::Hash => self.hash(),
            b'-' if self.place < Place::Revision => self.revision("-r"),
            _ => None,
        };
        token.unwrap_or_else(|| {
            self.rest = "";
            Token::Unreadable
        })
    }

    fn digits(&mut self) -> &'a str {
        let (digits, rest) = numbers::take(self.rest);
        self.rest = rest;
        digits
    }

    fn letter(&mut self, letter: u8) -> Option<Token<'a>> {
        self.place = Place::Letter;
        self.rest = self.rest.get(1..)?;
        Some(Token::Letter(letter))
    }

    fn component(&mut self) -> Option<Token<'a>> {
        if self.lenient && self.rest.starts_with(".r") {
            return self.revision(".r");
        }
        self.rest = self.rest.strip_prefix('.')?;
        let digits = self.digits();
        (self.lenient || !digits.is_empty()).then_some(Token::Component(Component(digits)))
    }

    fn suffix(&mut self) -> Option<Token<'a>> {
        let (word, rest) = numbers::take_while(self.rest.strip_prefix('_')?, |byte| byte.is_ascii_lowercase());
        let rank = |suffixes: &[&str]| suffixes.iter().position(|suffix| *suffix == word);
        let token = match (rank(&PRE_SUFFIXES), rank(&POST_SUFFIXES)) {
            (Some(rank), _) => Token::PreSuffix(u8::try_from(rank).ok()?),
            (_, Some(rank)) => Token::PostSuffix(u8::try_from(rank).ok()?),
            _ => return None,
        };
        self.rest = rest;
        self.place = Place::Suffix;
        Some(token)
    }

    fn hash(&mut self) -> Option<Token<'a>> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let (hash, rest) = numbers::take_while(self.rest.strip_prefix('~')?, is_hex);
        self.rest = rest;
        self.place = Place::Hash;
        (!hash.is_empty()).then_some(Token::Hash(hash))
    }

    fn revision(&mut self, prefix: &str) -> Option<Token<'a>> {
        let (digits, rest) = numbers::take(self.rest.strip_prefix(prefix)?);
        // `-r` alone counts as `-r0`; a word that begins with r is no revision.
        let missing = digits.is_empty() && (!self.lenient || rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        self.rest = rest;
        self.place = Place::Revision;
        let digits = if digits.is_empty() { "0" } else { digits };
        (!missing).then_some(Token::Revision(Number(digits)))
    }
}
