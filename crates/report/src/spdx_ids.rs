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

/// The text as an expression, if it is one and all its ids are known.
fn expression(text: &str) -> Option<String> {
    if text.len() > MAX_EXPRESSION {
        return None;
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut out = String::new();
    let mut depth = 0_usize;
    // Whether an id or an opening parenthesis must come next.
    let mut wants_id = true;
    for token in spaced.split_whitespace() {
        match token {
            "(" if wants_id => depth += 1,
            ")" if !wants_id && depth > 0 => depth -= 1,
            "AND" | "OR" if !wants_id => wants_id = true,
            id if wants_id => {
                wants_id = false;
                push(&mut out, known(id)?);
                continue;
            }
            _ => return None,
        }
        push(&mut out, token);
    }
    (depth == 0 && !wants_id).then_some(out)
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
        for name in ["GPL", "MIT OR", "OR MIT", "MIT ISC", "(MIT", "MIT)", "()", "Public Domain", "MIT WITH x"] {
            assert_eq!(license(name), License::Name(name));
        }
        assert_eq!(license(" "), License::Name("unknown"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(MIT|ISC| AND | OR |[()]|.){0,30}") {
            if let License::Expression(written) = license(&text) {
                prop_assert_eq!(license(&written), License::Expression(written.clone()));
            }
        }
    }
}
