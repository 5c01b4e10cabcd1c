//! Links from advisories, which are untrusted text until they are looked at.

use portcullis_model::{Finding, Text};

use crate::view::known_id;

/// The longest link.
const MAX_LINK: usize = 500;

/// Whether a reference can be followed as it stands, and cannot leave the brackets or quotes that it is put in.
pub(crate) fn is_link(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_safe = |c: char| {
        c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\'' | '\\' | '`' | '|' | '{' | '}' | '^' | '[' | ']')
    };
    let has_good_escapes = || {
        url.match_indices('%').all(|(at, _)| {
            url.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
    };
    // A second `#` would end the fragment, which no parser of URIs takes.
    rest.is_some_and(|rest| {
        !rest.is_empty() && url.len() <= MAX_LINK && rest.chars().all(is_safe) && url.matches('#').count() <= 1
    }) && has_good_escapes()
}

/// The links of a finding that can be followed.
pub(crate) fn links(finding: &Finding) -> impl Iterator<Item = &str> {
    finding.references.iter().map(Text::as_str).filter(|url| is_link(url))
}

/// The page about a finding: its own first link, or the page of its id.
pub(crate) fn page(finding: &Finding) -> String {
    links(finding).next().map_or_else(|| page_of_id(known_id(finding)), str::to_owned)
}

/// The page about an id.
pub(crate) fn page_of_id(id: &str) -> String {
    let is_plain = id.len() <= 100 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match id {
        _ if !is_plain || id.is_empty() => "https://osv.dev/list".to_owned(),
        id if id.starts_with("CVE-") => format!("https://nvd.nist.gov/vuln/detail/{id}"),
        id if id.starts_with("GHSA-") => format!("https://github.com/advisories/{id}"),
        id => format!("https://osv.dev/vulnerability/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_stay_where_they_are_put() {
        for url in ["https://a.example/x?y=%20#z", "http://a"] {
            assert!(is_link(url), "{url}");
        }
        let long = format!("https://a/{}", "x".repeat(1_000));
        for url in [
            "",
            "https://",
            "javascript:x",
            "https://a>b",
            "https://a b",
            "https://a\n",
            "https://ä",
            "https://a#b#c",
            "https://a/%0",
            "https://a/'x",
            &long,
        ] {
            assert!(!is_link(url), "{url}");
        }
    }
}
