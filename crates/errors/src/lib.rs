//! How errors are told to people: what happened, the causes, and what to do.
//!
//! An error that a person can act on says so through [`Hint`]. The text of a chain is one line, causes joined by
//! colons; the hint follows on a line of its own.

use std::{error::Error, fmt};

/// An error's advice: a command to run or a thing to change.
pub trait Hint {
    /// What a person can do; none where nothing is to be done.
    fn hint(&self) -> Option<String>;
}

/// An error and its causes on one line: `cannot read x: permission denied`. A cause that the text before it already
/// tells is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// What a person can do about a file that cannot be read or written; none where no cause of `error` tells.
#[must_use]
pub fn file_hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    use std::io::ErrorKind;
    let mut next = Some(error);
    let mut cause = None;
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        cause = cause.or(kind.filter(|kind| *kind != ErrorKind::Other));
        next = error.source();
    }
    Some(match cause? {
        ErrorKind::NotFound => "check the path; one that does not begin with `/` starts at the current folder",
        ErrorKind::PermissionDenied => "see who may read or write there, or run this as somebody who may",
        ErrorKind::IsADirectory => "a file is meant, and this is a folder",
        ErrorKind::NotADirectory => "a folder is meant, and this is a file",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, or choose another place",
        ErrorKind::ReadOnlyFilesystem => "nothing can be written there: choose another place",
        _ => return None,
    })
}

/// An error, its causes and its hint on one line: `cannot read x: permission denied (hint: see its mode)`.
#[must_use]
pub fn advised(error: &(impl Error + Hint)) -> String {
    let hint = error.hint().map_or_else(String::new, |hint| format!(" (hint: {hint})"));
    chain(error) + &hint
}

/// Shows text of untrusted origin on a terminal or in a log line: control characters are escaped, and it is cut
/// after `max` characters.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        if is_invisible(character) { out.extend(character.escape_unicode()) } else { out.push(character) }
    }
    out
}

/// A number and what it counts: `1 day`, `2 days`.
#[must_use]
pub fn count_of<Number: fmt::Display + From<u8> + PartialEq>(number: Number, one: &str, many: &str) -> String {
    format!("{number} {}", if number == Number::from(1) { one } else { many })
}

/// Control characters, and those that reorder or hide the text around them.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A secret: it prints as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the layer")]
    struct Outer(#[source] std::io::Error);

    impl Hint for Outer {
        fn hint(&self) -> Option<String> {
            (self.0.to_string() == "disk gone").then(|| "look for it".to_owned())
        }
    }

    #[test]
    fn a_hint_follows_where_there_is_one() {
        let outer = |text: &str| advised(&Outer(std::io::Error::other(text.to_owned())));
        assert_eq!(outer("disk gone"), "cannot read the layer: disk gone (hint: look for it)");
        assert_eq!(outer("disk back"), "cannot read the layer: disk back");
    }

    #[test]
    fn what_can_be_done_about_a_file_is_told_by_its_cause() {
        use std::io::{Error, ErrorKind};
        let hint = |kind: ErrorKind| file_hint(&Outer(kind.into()));
        assert!(hint(ErrorKind::NotFound).unwrap().contains("check the path"));
        assert!(hint(ErrorKind::StorageFull).unwrap().contains("make room"));
        assert_eq!(hint(ErrorKind::InvalidData), None);
        assert_eq!(file_hint(&Outer(Error::other("disk gone"))), None);
    }

    #[test]
    fn chains_on_one_line_and_hides_what_hides() {
        assert_eq!(chain(&Outer(std::io::Error::other("disk gone"))), "cannot read the layer: disk gone");
        assert_eq!(printable("a\u{1b}[31mb\u{202e}", 40), "a\\u{1b}[31mb\\u{202e}");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(format!("{:?} {}", Secret::new("x".into()), Secret::new("x".into())), "*** ***");
    }
}
