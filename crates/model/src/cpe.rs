//! Names of the Common Platform Enumeration, by which the National Vulnerability Database speaks of products.
//!
//! Format: the formatted string of CPE 2.3, <https://nvlpubs.nist.gov/nistpubs/Legacy/IR/nistir7695.pdf>, section 6.2:
//! eleven attributes after `cpe:2.3:`, with a backslash before what is neither a letter, a digit nor one of `_.-`.

/// The longest attribute that is written or believed, in bytes.
const MAX_ATTRIBUTE: usize = 256;

/// The attributes after `cpe:2.3:`.
const ATTRIBUTES: usize = 11;

/// The name of an application. None where a part cannot be written: it is empty, too long or not plain ASCII.
#[must_use]
pub fn application_cpe(vendor: &str, product: &str, version: &str) -> Option<String> {
    let mut name = String::from("cpe:2.3:a");
    for part in [vendor, product, version] {
        if part.is_empty() || part.len() > MAX_ATTRIBUTE {
            return None;
        }
        name.push(':');
        for character in part.chars() {
            match character {
                'a'..='z' | '0'..='9' | '_' | '.' => name.push(character),
                // The names of the dictionary are in lower case.
                'A'..='Z' => name.push(character.to_ascii_lowercase()),
                // Alone it would mean that there is none.
                '-' if part.len() > 1 => name.push('-'),
                character if is_quotable(character) => name.extend(['\\', character]),
                _ => return None,
            }
        }
    }
    name.push_str(":*:*:*:*:*:*:*");
    Some(name)
}

/// Whether a text is a formatted string as the schemas of inventories ask for it.
#[must_use]
pub fn is_cpe(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("cpe:2.3:") else { return false };
    let Some(attributes) = attributes(rest) else { return false };
    let [part, middle @ .., language, edition, software, hardware, other] = attributes.as_slice() else { return false };
    attributes.len() == ATTRIBUTES
        && matches!(*part, "a" | "o" | "h" | "*" | "-")
        && middle.iter().chain([edition, software, hardware, other]).all(|attribute| is_attribute(attribute))
        && is_language(language)
}

/// The text between colons; one behind a backslash separates nothing.
fn attributes(text: &str) -> Option<Vec<&str>> {
    let (mut attributes, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_quoted => is_quoted = false,
            b'\\' => is_quoted = true,
            b':' => {
                attributes.push(text.get(start..at)?);
                start = at + 1;
                if attributes.len() >= ATTRIBUTES {
                    return None;
                }
            }
            _ => {}
        }
    }
    attributes.push(text.get(start..)?);
    (!is_quoted).then_some(attributes)
}

/// `*`, `-`, or a value, which may begin and end with wildcards.
fn is_attribute(text: &str) -> bool {
    if matches!(text, "*" | "-") {
        return true;
    }
    let inner = text.strip_prefix('*').unwrap_or_else(|| text.trim_start_matches('?'));
    let mut characters = inner.chars().peekable();
    let mut length = 0;
    while let Some(character) = characters.next() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => length += 1,
            '\\' if characters.next().is_some_and(is_quotable) => length += 1,
            // What ends a value: one star, or any number of question marks.
            '*' => return length > 0 && characters.peek().is_none(),
            '?' => return length > 0 && characters.all(|character| character == '?'),
            _ => return false,
        }
    }
    length > 0 && text.len() <= MAX_ATTRIBUTE * 2
}

/// What stands behind a backslash, as the schemas have it.
const fn is_quotable(character: char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '-' | '.' | '_')
}

/// `*`, `-`, `en`, `en-us`.
fn is_language(text: &str) -> bool {
    let (language, region) = text.split_once('-').unwrap_or((text, "xx"));
    let is_letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_region = |text: &str| {
        text.len() == 2 && is_letters(text) || text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(text, "*" | "-") || matches!(language.len(), 2 | 3) && is_letters(language) && is_region(region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_written_as_the_dictionary_has_them() {
        for (vendor, product, version, name) in [
            ("openssl", "openssl", "3.0.19", "cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*"),
            ("erlang", "erlang/otp", "25.2.3", r"cpe:2.3:a:erlang:erlang\/otp:25.2.3:*:*:*:*:*:*:*"),
            ("oracle", "openjdk", "17.0.9+9", r"cpe:2.3:a:oracle:openjdk:17.0.9\+9:*:*:*:*:*:*:*"),
            ("Apache", "http_server", "2.4.62-1", r"cpe:2.3:a:apache:http_server:2.4.62-1:*:*:*:*:*:*:*"),
        ] {
            assert_eq!(application_cpe(vendor, product, version).as_deref(), Some(name));
            assert!(is_cpe(name), "{name}");
        }
        for (vendor, product, version) in
            [("", "a", "1"), ("a", "b", ""), ("a", "b c", "1"), ("a", "b", "é"), ("a", "b", "-")]
        {
            assert_eq!(application_cpe(vendor, product, version), None);
        }
    }

    #[test]
    fn only_whole_names_are_names() {
        for name in [
            "cpe:2.3:o:linux:linux_kernel:6.1:*:*:*:*:*:x64:*",
            "cpe:2.3:a:a:b:1.*:-:*:en-us:*:*:*:*",
            "cpe:2.3:a:*b:c??:?1:*:*:-:*:*:*:*",
            r"cpe:2.3:a:a\:b:c:1:*:*:*:*:*:*:*",
        ] {
            assert!(is_cpe(name), "{name}");
        }
        for name in [
            "",
            "cpe:/a:openssl:openssl:3.0",
            "cpe:2.3:a:openssl:openssl:3.0",
            "cpe:2.3:x:openssl:openssl:3.0:*:*:*:*:*:*:*",
            "cpe:2.3:a:open ssl:openssl:3.0:*:*:*:*:*:*:*",
            "cpe:2.3:a:openssl::3.0:*:*:*:*:*:*:*",
            "cpe:2.3:a:openssl:openssl:3.0:*:*:*:*:*:*:*:*",
            r"cpe:2.3:a:openssl:openssl:3.0:*:*:*:*:*:*:\",
            r"cpe:2.3:a:openssl:openssl:\-:*:*:*:*:*:*:*",
            "cpe:2.3:a:openssl:openssl:3.0:*:*:english:*:*:*:*",
        ] {
            assert!(!is_cpe(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_a_name(vendor in "\\PC{0,8}", product in "[ -~]{1,8}", version in "[!-~]{1,8}") {
            if let Some(name) = application_cpe(&vendor, &product, &version) {
                prop_assert!(is_cpe(&name), "{}", name);
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}", tail in "(:|\\*|-|a|\\\\|\\?){0,30}") {
            prop_assert!(!is_cpe(&text));
            let name = format!("cpe:2.3:a:{tail}");
            prop_assert!(!is_cpe(&name) || name.matches(':').count() >= 12);
        }
    }
}
