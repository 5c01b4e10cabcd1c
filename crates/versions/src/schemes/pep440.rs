//! Python's versions: `[epoch!]release[pre][.postN][.devN][+local]`.
//!
//! Rules: <https://peps.python.org/pep-0440/>. What it does not accept comes before all that it does, in the order
//! of setuptools before it, which `packaging` kept as `LegacyVersion` until release 22: old advisories hold such.

use std::{cmp::Ordering, iter};

use super::{Definition, Plain};
use crate::numbers;

pub(super) const DEFINITION: Definition =
    Definition { name: "pep440", ecosystems: &["PyPI", "Python"], compare, compare_to_bound, accepts, plain: Plain::Padded };

fn compare(a: &str, b: &str) -> Option<Ordering> {
    compare_with(a, b, compare_local)
}

/// "If the specified version identifier is a public version identifier (no local version label), then the local
/// version label of any candidate versions MUST be ignored": <https://peps.python.org/pep-0440/#version-matching>.
///
/// An installed version that is none (`1.1.0-dirty`) cannot be told to be before or after one that is.
fn compare_to_bound(installed: &str, bound: &str) -> Option<Ordering> {
    if !accepts(installed.trim()) && accepts(bound.trim()) {
        return None;
    }
    compare_with(installed, bound, |installed, bound| {
        if bound.is_empty() { Ordering::Equal } else { compare_local(installed, bound) }
    })
}

fn accepts(text: &str) -> bool {
    Version::parse(text).is_some()
}

fn compare_with(a: &str, b: &str, locals: fn(&str, &str) -> Ordering) -> Option<Ordering> {
    let (a, b) = (a.trim(), b.trim());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(match (Version::parse(a), Version::parse(b)) {
        (Some(a), Some(b)) => a.compare_public(&b).then_with(|| locals(a.local, b.local)),
        (None, None) => compare_legacy(a, b),
        (a, _) => a.is_some().cmp(&false).then(Ordering::Less),
    })
}

/// The kinds of a pre-release, in their order. `Dev` stands for a development release of the release itself, which
/// comes before its alphas; `Final` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Dev,
    Alpha,
    Beta,
    Candidate,
    Final,
}

struct Version<'a> {
    epoch: &'a str,
    release: &'a str,
    phase: Phase,
    pre: &'a str,
    post: Option<&'a str>,
    dev: Option<&'a str>,
    local: &'a str,
}

const PRE_WORDS: [(&str, Phase); 8] = [
    ("alpha", Phase::Alpha),
    ("a", Phase::Alpha),
    ("beta", Phase::Beta),
    ("b", Phase::Beta),
    ("preview", Phase::Candidate),
    ("pre", Phase::Candidate),
    ("rc", Phase::Candidate),
    ("c", Phase::Candidate),
];

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = numbers::strip_one(text.trim(), &['v', 'V']);
        let (public, local) = text.split_once('+').map_or((text, None), |(public, local)| (public, Some(local)));
        let is_label = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if local.is_some_and(|local| !local.split(SEPARATORS).all(is_label)) {
            return None;
        }
        let (epoch, rest) = public.split_once('!').unwrap_or(("0", public));
        let (release, mut rest) = take_release(rest);
        let mut pre = None;
        for (word, phase) in PRE_WORDS {
            if let Some((number, after)) = take_part(rest, word) {
                (pre, rest) = (Some((phase, number)), after);
                break;
            }
        }
        let (post, rest) = take_post(rest);
        let (dev, rest) = take_part(rest, "dev").map_or((None, rest), |(number, rest)| (Some(number), rest));
        let alone = if dev.is_some() && post.is_none() { Phase::Dev } else { Phase::Final };
        let (phase, pre) = pre.unwrap_or((alone, ""));
        let good = numbers::is_number(epoch) && !release.is_empty() && rest.is_empty();
        good.then_some(Self { epoch, release, phase, pre, post, dev, local: local.unwrap_or("") })
    }

    fn compare_public(&self, other: &Self) -> Ordering {
        numbers::compare(self.epoch, other.epoch)
            .then_with(|| numbers::compare_padded(self.release, other.release, &['.']))
            .then_with(|| self.phase.cmp(&other.phase))
            .then_with(|| numbers::compare(self.pre, other.pre))
            .then_with(|| compare_optional(self.post, other.post, Ordering::Less))
            .then_with(|| compare_optional(self.dev, other.dev, Ordering::Greater))
    }
}

const SEPARATORS: &[char] = &['.', '-', '_'];

/// Takes numbers that dots separate off `text`; a dot that no number follows stays.
fn take_release(text: &str) -> (&str, &str) {
    let (run, _) = numbers::take_while(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let end = run.find("..").unwrap_or_else(|| run.trim_end_matches('.').len());
    let (release, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if release.starts_with('.') { ("", text) } else { (release, rest) }
}

/// Takes `word`, in any case, with its number and the separators around it.
fn take_part<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let text = numbers::strip_one(text, SEPARATORS);
    let (start, rest) = text.split_at_checked(word.len())?;
    if !start.eq_ignore_ascii_case(word) {
        return None;
    }
    // The separator may stand there without a number: `1.0a-`, `1.0rc_.dev1`.
    Some(numbers::take(numbers::strip_one(rest, SEPARATORS)))
}

/// Takes a post-release: `.post1`, `-r1`, or the number alone after a hyphen.
fn take_post(text: &str) -> (Option<&str>, &str) {
    if let Some((number, rest)) = text.strip_prefix('-').map(numbers::take).filter(|(number, _)| !number.is_empty()) {
        return (Some(number), rest);
    }
    let part = ["post", "rev", "r"].into_iter().find_map(|word| take_part(text, word));
    part.map_or((None, text), |(number, rest)| (Some(number), rest))
}

/// Compares numbers that may be missing; `missing` is what a missing one is to any other.
fn compare_optional(a: Option<&str>, b: Option<&str>, missing: Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => numbers::compare(a, b),
        (None, Some(_)) => missing,
        (Some(_), None) => missing.reverse(),
        (None, None) => Ordering::Equal,
    }
}

/// Compares local labels: none first, words before numbers, a label before every longer one that it begins.
fn compare_local(a: &str, b: &str) -> Ordering {
    let order = (!a.is_empty()).cmp(&!b.is_empty());
    if order.is_ne() {
        return order;
    }
    let (mut a, mut b) = (a.split(SEPARATORS), b.split(SEPARATORS));
    loop {
        let order = match (a.next(), b.next()) {
            (Some(left), Some(right)) => match (numbers::is_number(left), numbers::is_number(right)) {
                (true, true) => numbers::compare(left, right),
                (false, false) => numbers::compare_ignoring_case(left, right),
                (left, right) => left.cmp(&right),
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares what PEP 440 refuses, as setuptools did: part by part, as text.
fn compare_legacy(a: &str, b: &str) -> Ordering {
    legacy_key(&a.to_ascii_lowercase()).cmp(&legacy_key(&b.to_ascii_lowercase()))
}

/// setuptools' sort key: numbers are filled up to eight digits, words begin with a star, `final` ends it, and what
/// would not matter (zeros and hyphens at the end of a part) is left out.
fn legacy_key(text: &str) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for part in legacy_parts(text).chain(iter::once("final")) {
        let word = match part {
            "." => continue,
            "pre" | "preview" | "rc" => "c",
            "-" => "final-",
            "dev" => "@",
            other => other,
        };
        if numbers::is_number(word) {
            key.push(format!("{word:0>8}"));
            continue;
        }
        if word < "final" {
            while key.last().is_some_and(|last| last == "*final-") {
                key.pop();
            }
        }
        while key.last().is_some_and(|last| last == "00000000") {
            key.pop();
        }
        key.push(format!("*{word}"));
    }
    key
}

/// Runs of digits, runs of letters, dots and hyphens; other characters, and runs of them, are parts of their own.
fn legacy_parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        let kind = |c: char| match c {
            '0'..='9' => 0,
            'a'..='z' => 1,
            '.' => 2,
            '-' => 3,
            _ => 4,
        };
        let first = kind(rest.chars().next()?);
        let end = match first {
            2 | 3 => 1,
            _ => rest.find(|c| kind(c) != first).unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(part)
    })
}
