//! SPDX licence ids: which declared texts the formats of inventories may write as an id or an expression.
//!
//! Schemas refuse an id that is not on SPDX's list (<https://spdx.org/licenses/>), so only the ones that installed
//! software commonly declares are known here; anything else is written as a name, and nothing is lost.

/// A declared licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum License<'a> {
    /// An id of the list, as the list writes it.
    Id(&'static str),
    /// An expression over ids of the list.
    Expression(String),
    /// Any other text.
    Name(&'a str),
}

/// Sorted without regard to case.
const IDS: &[&str] = &[
    "0BSD",
    "AFL-2.1",
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "Beerware",
    "BlueOak-1.0.0",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "CPL-1.0",
    "curl",
    "ECL-2.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "GFDL-1.1-or-later",
    "GFDL-1.2-only",
    "GFDL-1.2-or-later",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "IJG",
    "ImageMagick",
    "Info-ZIP",
    "IPL-1.0",
    "ISC",
    "JSON",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "Libpng",
    "libpng-2.0",
    "libtiff",
    "LPPL-1.3c",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MIT-Modern-Variant",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "MS-RL",
    "NAIST-2003",
    "NCSA",
    "Net-SNMP",
    "NTP",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Python-2.0.1",
    "Ruby",
    "SISSL",
    "Sleepycat",
    "SSPL-1.0",
    "TCL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "UPL-1.0",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "Zend-2.0",
    "Zlib",
    "zlib-acknowledgement",
    "ZPL-2.1",
];

/// The longest expression that is looked at.
const MAX_EXPRESSION: usize = 2_000;

/// What a declared text is.
pub(crate) fn license(text: &str) -> License<'_> {
    let trimmed = text.trim();
    if let Some(id) = known(trimmed) {
        return License::Id(id);
    }
    match expression(trimmed) {
        Some(expression) => License::Expression(expression),
        // An empty name is no name.
        None if trimmed.is_empty() => License::Name("unknown"),
        None => License::Name(text),
    }
}

fn known(text: &str) -> Option<&'static str> {
    IDS.iter().copied().find(|id| id.eq_ignore_ascii_case(text))
}

/// Exceptions of the list, as the list writes them. Sorted without regard to case.
const EXCEPTIONS: &[&str] = &[
    "Bison-exception-2.2",
    "Bootloader-exception",
    "Classpath-exception-2.0",
    "Font-exception-2.0",
    "GCC-exception-2.0",
    "GCC-exception-3.1",
    "Libtool-exception",
    "Linux-syscall-note",
    "LLVM-exception",
    "OpenJDK-assembly-exception-1.0",
];

/// What an id begins with that the list does not have.
pub(crate) const OWN: &str = "LicenseRef-";

/// The names in an expression that are on no list.
pub(crate) fn own_names(expression: &str) -> impl Iterator<Item = &str> {
    expression.split([' ', '(', ')']).filter(|word| word.starts_with(OWN))
}

/// The text as an expression, if it is one. A name among known ones that is not on the list becomes one of its own.
fn expression(text: &str) -> Option<String> {
    if text.len() > MAX_EXPRESSION {
        return None;
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut out = String::new();
    let (mut depth, mut on_list, mut own) = (0_usize, 0_usize, 0_usize);
    let mut last = Token::Operator;
    for token in spaced.split_whitespace() {
        let wants_id = last == Token::Operator;
        match token {
            _ if last == Token::With => {
                let exception = EXCEPTIONS.iter().find(|exception| exception.eq_ignore_ascii_case(token))?;
                push(&mut out, exception);
                last = Token::End;
            }
            "(" if wants_id => {
                depth += 1;
                push(&mut out, token);
            }
            ")" if !wants_id && depth > 0 => {
                depth -= 1;
                push(&mut out, token);
                last = Token::End;
            }
            "AND" | "OR" if !wants_id => {
                push(&mut out, token);
                last = Token::Operator;
            }
            "WITH" if last == Token::Id => {
                push(&mut out, token);
                last = Token::With;
            }
            id if wants_id => {
                match known(id) {
                    Some(id) => {
                        on_list += 1;
                        push(&mut out, id);
                    }
                    None => {
                        own += 1;
                        push(&mut out, &own_name(id)?);
                    }
                }
                last = Token::Id;
            }
            _ => return None,
        }
    }
    // Words between operators are an expression only if one of them is a licence.
    let is_of_licenses = own == 0 || on_list > 0;
    (depth == 0 && matches!(last, Token::Id | Token::End) && is_of_licenses).then_some(out)
}

/// What came last in an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `AND`, `OR`, an opening parenthesis, or nothing yet: an id must follow.
    Operator,
    Id,
    /// An exception must follow.
    With,
    /// A closing parenthesis, or an exception.
    End,
}

/// A name that is on no list as an id of one's own: letters, digits, hyphens and dots alone may be in it.
fn own_name(name: &str) -> Option<String> {
    let plain = name.strip_prefix(OWN).unwrap_or(name);
    let is_id = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    (is_id(plain) && !matches!(plain, "AND" | "OR" | "WITH")).then(|| format!("{OWN}{plain}"))
}

fn push(out: &mut String, token: &str) {
    if !out.is_empty() && !out.ends_with('(') && token != ")" {
        out.push(' ');
    }
    out.push_str(token);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_expressions_and_names() {
        assert_eq!(license("apache-2.0"), License::Id("Apache-2.0"));
        for (text, written) in
            [("MIT OR apache-2.0", "MIT OR Apache-2.0"), ("(MIT AND ( ISC OR Zlib))", "(MIT AND (ISC OR Zlib))")]
        {
            assert_eq!(license(text), License::Expression(written.to_owned()));
        }
        for (text, written) in [
            ("MIT AND Jam", "MIT AND LicenseRef-Jam"),
            ("GPL-2.0-only with Linux-syscall-note", ""),
            ("GPL-2.0-only WITH linux-syscall-note OR MIT", "GPL-2.0-only WITH Linux-syscall-note OR MIT"),
            ("(MIT AND LicenseRef-a.b)", "(MIT AND LicenseRef-a.b)"),
            ("Jam AND Other", ""),
            ("MIT AND GPL+", ""),
        ] {
            let expected =
                if written.is_empty() { License::Name(text) } else { License::Expression(written.to_owned()) };
            assert_eq!(license(text), expected);
        }
        assert_eq!(
            own_names("(MIT AND LicenseRef-a.b) OR LicenseRef-c").collect::<Vec<_>>(),
            ["LicenseRef-a.b", "LicenseRef-c"]
        );
        for name in ["GPL", "MIT OR", "OR MIT", "MIT ISC", "(MIT", "MIT)", "()", "Public Domain", "MIT WITH x"] {
            assert_eq!(license(name), License::Name(name));
        }
        assert_eq!(license(" "), License::Name("unknown"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(MIT|ISC| AND | OR | WITH |LLVM-exception|X|LicenseRef-|[()]|.){0,30}") {
            if let License::Expression(written) = license(&text) {
                prop_assert_eq!(license(&written), License::Expression(written.clone()));
            }
        }
    }
}
