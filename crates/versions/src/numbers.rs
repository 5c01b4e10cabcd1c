//! Numbers inside versions: digits of any length, compared without being parsed.

use std::cmp::Ordering;

use crate::schemes::Plain;

/// Compares two runs of ASCII digits by value. An empty run counts as 0.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let a = a.trim_start_matches('0');
    let b = b.trim_start_matches('0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compares two versions that are nothing but numbers with a dot between them; none when one is anything else.
pub(crate) fn compare_plain(a: &str, b: &str, plain: Plain) -> Option<Ordering> {
    if plain == Plain::Own {
        return None;
    }
    let (mut a, mut b) = (Some(a.as_bytes()), Some(b.as_bytes()));
    let mut order = Ordering::Equal;
    while a.is_some() || b.is_some() {
        // To the end even if the order is known: what follows may be a word.
        let (left, right) = (take_plain(&mut a)?, take_plain(&mut b)?);
        let by_length = if plain == Plain::Listed { left.is_some().cmp(&right.is_some()) } else { Ordering::Equal };
        order = order.then(by_length).then(left.unwrap_or(0).cmp(&right.unwrap_or(0)));
    }
    Some(order)
}

/// Takes the next of the numbers, and the dot that another follows; `Some(None)` at the end, none where there is
/// something else, or a number of more digits than fit.
fn take_plain(rest: &mut Option<&[u8]>) -> Option<Option<u64>> {
    const DIGITS: usize = 18;
    let Some(bytes) = *rest else { return Some(None) };
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, after) = bytes.split_at_checked(end).filter(|_| (1..=DIGITS).contains(&end))?;
    *rest = match after {
        [] => None,
        [b'.', after @ ..] => Some(after),
        _ => return None,
    };
    Some(Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))))
}

/// Compares two lists of numbers, such as `1.10.2`; a shorter list is filled up with zeros.
pub(crate) fn compare_padded(a: &str, b: &str, separators: &[char]) -> Ordering {
    let (mut a, mut b) = (a.split(separators), b.split(separators));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        match compare(left.unwrap_or(""), right.unwrap_or("")) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}

/// Compares two lists of numbers, such as `1.10.2`; a list comes before every longer one that it begins.
pub(crate) fn compare_lists(a: &str, b: &str, separators: &[char]) -> Ordering {
    let (mut a, mut b) = (a.split(separators), b.split(separators));
    loop {
        let order = match (a.next(), b.next()) {
            (Some(left), Some(right)) => compare(left, right),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Compares two words as text, with the case of ASCII letters left out of account.
pub(crate) fn compare_ignoring_case(a: &str, b: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

/// Whether `text` is a list of numbers.
pub(crate) fn is_list(text: &str, separators: &[char]) -> bool {
    text.split(separators).all(is_number)
}

/// Whether `text` is one or more ASCII digits.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes leading ASCII digits off `text`: the digits, which may be none, and the rest.
pub(crate) fn take(text: &str) -> (&str, &str) {
    take_while(text, |byte| byte.is_ascii_digit())
}

/// Takes leading bytes off `text` while they are ASCII and `wanted`.
pub(crate) fn take_while(text: &str, wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii() || !wanted(byte)).unwrap_or(text.len());
    // The bytes before `end` are ASCII, so that `end` is a boundary.
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Takes one ASCII character of `set` off the front of `text`.
pub(crate) fn strip_one<'a>(text: &'a str, set: &[char]) -> &'a str {
    text.strip_prefix(set).unwrap_or(text)
}

/// Takes leading bytes that are no ASCII digits off `text`.
pub(crate) fn take_text(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(text.len());
    // A digit begins at `end`, or the text ends there.
    text.split_at_checked(end).unwrap_or((text, ""))
}
