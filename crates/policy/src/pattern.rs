//! Patterns over canonical names: `*` stands for anything inside one segment, `**` for anything at all.
//!
//! Own matcher rather than a glob crate: names are untrusted and patterns come from many hands, so the time must be
//! linear in the name. The pattern is run as a small automaton, without going back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// A pattern such as `registry.example/team/**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    /// One byte that must be there.
    Byte(u8),
    /// `*`: any bytes but a slash.
    Within,
    /// `**`: any bytes.
    Across,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pattern: {reason}")]
pub struct PatternError {
    text: String,
    reason: &'static str,
}

/// The longest pattern: the longest name that a registry takes is shorter.
const MAX_PATTERN_BYTES: usize = 512;

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds no wildcard, and so names one thing.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Byte(_)))
    }

    /// Whether `name` is what the pattern describes, from its first to its last byte.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // Most patterns of a long list differ in what comes before their first wildcard.
        let literal = self.steps.iter().take_while(|step| matches!(step, Step::Byte(_))).count();
        let Some((start, rest)) = name.as_bytes().split_at_checked(literal) else { return false };
        let is_same = self.steps.iter().zip(start).all(|(step, byte)| *step == Step::Byte(*byte));
        let steps = self.steps.get(literal..).unwrap_or_default();
        is_same && if steps.is_empty() { rest.is_empty() } else { run(steps, rest) }
    }
}

/// Runs the steps as an automaton.
fn run(steps: &[Step], name: &[u8]) -> bool {
    // `here[i]`: the first `i` steps can have taken what was read so far.
    let mut here = vec![false; steps.len() + 1];
    let mut next = here.clone();
    mark(&mut here, steps, 0);
    for byte in name {
        next.fill(false);
        let mut alive = false;
        for (index, step) in steps.iter().enumerate() {
            if !here.get(index).copied().unwrap_or(false) {
                continue;
            }
            let goes_on = match step {
                Step::Byte(wanted) if wanted == byte => index + 1,
                Step::Within if *byte != b'/' => index,
                Step::Across => index,
                Step::Byte(_) | Step::Within => continue,
            };
            mark(&mut next, steps, goes_on);
            alive = true;
        }
        if !alive {
            return false;
        }
        std::mem::swap(&mut here, &mut next);
    }
    here.last().copied().unwrap_or(false)
}

/// Marks a state, and those behind it that wildcards reach without taking anything.
fn mark(states: &mut [bool], steps: &[Step], from: usize) {
    for (index, state) in states.iter_mut().enumerate().skip(from) {
        if *state {
            return;
        }
        *state = true;
        if !matches!(steps.get(index), Some(Step::Within | Step::Across)) {
            return;
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refused = |reason| PatternError { text: text.chars().take(80).collect(), reason };
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return Err(refused("it must have 1 to 512 bytes"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(refused("it holds a space or a control character"));
        }
        if text.contains("***") {
            return Err(refused("`***` means nothing: `*` stays inside a segment, `**` crosses slashes"));
        }
        let mut steps = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match (byte, steps.last_mut()) {
                (b'*', Some(last @ Step::Within)) => *last = Step::Across,
                (b'*', _) => steps.push(Step::Within),
                (byte, _) => steps.push(Step::Byte(byte)),
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 512,
            "description": "`*` stands for anything inside one segment, `**` for anything at all."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern: Pattern = pattern.parse().unwrap();
        for name in yes {
            assert!(pattern.matches(name), "{pattern} {name}");
        }
        for name in no {
            assert!(!pattern.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn wildcards_stay_inside_or_cross_segments() {
        check(
            "registry.example/team/**",
            &["registry.example/team/a", "registry.example/team/a/b"],
            &["registry.example/team", "registry.example/teams/a", "evil.example/registry.example/team/a"],
        );
        check("registry.example/*/app", &["registry.example/a/app"], &["registry.example/a/b/app"]);
        check("*.example/a*b", &["x.example/ab", "y.example/a-b"], &["x.example/a/b", "x/y.example/ab"]);
        check("**", &["", "a", "a/b"], &[]);
        check("a/**/b/*", &["a/x/b/c", "a/x/y/b/b/c"], &["a/x/b/c/d"]);
        check("docker.io/library/nginx", &["docker.io/library/nginx"], &["docker.io/library/nginx2"]);
        for bad in ["", " ", "a b", "a\n", "a***", &"a".repeat(513)] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn many_wildcards_do_not_take_exponential_time() {
        let pattern: Pattern = "*a**b".repeat(100).parse().unwrap();
        assert!(!pattern.matches(&"b/".repeat(5_000)));
        assert!(pattern.matches(&"ab".repeat(5_000)));
    }

    /// The plain definition, to compare with: exponential, but obviously right.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=name.len()).any(|n| by_definition(rest, &name[n..])),
            [b'*', rest @ ..] => {
                let end = name.iter().position(|b| *b == b'/').unwrap_or(name.len());
                (0..=end).any(|n| by_definition(rest, &name[n..]))
            }
            [byte, rest @ ..] => name.first() == Some(byte) && by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*]{1,7}", name in "[ab/]{0,8}") {
            if let Ok(parsed) = pattern.parse::<Pattern>() {
                prop_assert_eq!(parsed.matches(&name), by_definition(pattern.as_bytes(), name.as_bytes()));
            }
        }
    }
}
