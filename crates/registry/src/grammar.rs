//! The grammar of image names, without their digests.
//!
//! Format: <https://github.com/distribution/reference/blob/v0.6.0/reference.go>, and for how a host is told from a folder
//! <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>. A test compares it with `oci-spec`, whose
//! regular expression takes more time to build than all of a verification.

use reqwest::Url;

const DOCKER_HUB: &str = "docker.io";
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;

/// The parts of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// The host, with its port; Docker Hub where none is written.
    pub(crate) registry: &'a str,
    /// As it is written: of Docker Hub's own images without `library/`.
    pub(crate) repository: &'a str,
    pub(crate) tag: Option<&'a str>,
}

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Empty,
    Form,
}

/// Takes `[host[:port]/]repository[:tag]` apart.
pub(crate) fn parse(text: &str) -> Result<Parts<'_>, Wrong> {
    if text.is_empty() {
        return Err(Wrong::Empty);
    }
    // A colon in the last part begins the tag; in the first of several it is a port's.
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match text.get(last..).and_then(|part| part.find(':')) {
        Some(colon) => (text.get(..last + colon), text.get(last + colon + 1..)),
        None => (Some(text), None),
    };
    let name = name.ok_or(Wrong::Form)?;
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(Wrong::Form);
    }
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let may_be_host = name.contains('/') && is_domain(first);
    if !(may_be_host || is_component(first)) || !parts.all(is_component) {
        return Err(Wrong::Form);
    }
    Ok(Parts { registry, repository, tag })
}

/// Whether the first of several parts is read as a host, and not as a folder of Docker Hub.
pub(crate) fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

/// What is wrong with a host that the grammar takes, and how to write it: whoever resolves names takes `0443`, `127.1` and
/// `0x7f000001` for something else, and then one registry has several names.
pub(crate) fn wrong_host(registry: &str) -> Option<(&'static str, Option<String>)> {
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    if let Some(text) = port {
        let number: Option<u16> = text.parse().ok().filter(|number| *number > 0);
        let Some(number) = number else { return Some(("its port is not one of 1 to 65535", None)) };
        if number.to_string() != text {
            return Some(("its port is not written as usual", Some(format!("write the port as `{number}`"))));
        }
    }
    let read = Url::parse(&format!("https://{host}/"));
    match read.as_ref().ok().and_then(Url::host_str) {
        Some(read) if read == host => None,
        Some(read) => Some(("its host is not written as usual", Some(format!("write the host as `{read}`")))),
        None => Some(("its host is none", None)),
    }
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// Labels with dots between, and perhaps a port.
fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Lower-case letters and digits, with one dot, one or two underscores, or any number of dashes between.
fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_are_plain = [bytes.first(), bytes.last()].into_iter().all(|byte| byte.copied().is_some_and(is_plain));
    let runs = bytes.split(|byte| is_plain(*byte)).filter(|run| !run.is_empty());
    let is_separator = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-');
    ends_are_plain && runs.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use oci_spec::distribution::{ParseError, Reference};
    use proptest::prelude::*;

    use super::*;

    /// What `oci-spec` says, in our words.
    fn theirs(text: &str) -> Result<(String, String, String), Wrong> {
        match text.parse::<Reference>() {
            Ok(found) => {
                let tag = found.tag().unwrap_or_default().to_owned();
                Ok((found.registry().to_owned(), found.repository().to_owned(), tag))
            }
            Err(ParseError::NameEmpty) => Err(Wrong::Empty),
            Err(_) => Err(Wrong::Form),
        }
    }

    fn ours(text: &str) -> Result<(String, String, String), Wrong> {
        let Parts { registry, repository, tag } = parse(text)?;
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let is_official = registry == DOCKER_HUB && !repository.contains('/');
        let repository = if is_official { format!("library/{repository}") } else { repository.to_owned() };
        Ok((registry.to_owned(), repository, tag.unwrap_or("latest").to_owned()))
    }

    #[test]
    fn edges_are_those_of_the_grammar() {
        let long = |count: usize| "a".repeat(count);
        for text in [
            "",
            "/",
            ":",
            "a",
            "a:",
            ":a",
            "a:b",
            "a:b:c",
            "a/b:c/d",
            "a:5/b",
            "a:x/b",
            "a:/b",
            "A/b",
            "A/B",
            "A.b/c",
            "a.B:5/c",
            "a..b",
            "a.b/c",
            "a.b./c",
            ".a/b",
            "a_b",
            "a__b",
            "a___b",
            "a-b",
            "a---b",
            "a-_b",
            "-a",
            "a-",
            "a_",
            "a.",
            "a/-b",
            "localhost/a",
            "Localhost/a",
            "localhost",
            "my_host.x/a",
            "a_.b/c",
            "a/b/c/d",
            "a//b",
            "a b",
            "é",
            "a:_x",
            "a:-x",
            "index.docker.io/a",
            "docker.io/a",
            "docker.io/a/b",
            "docker.io",
            "1.2.3.4:5/a",
            "[::1]/a",
            "a\n",
            "a:b\n",
            "a-.b/c",
        ] {
            assert_eq!(ours(text), theirs(text), "{text:?}");
        }
        for count in [119, 120, 127, 128, 129, 246, 247] {
            for text in [
                long(count),
                format!("a:{}", long(count)),
                format!("a.b/{}", long(count)),
                format!("a/{}", long(count)),
            ] {
                assert_eq!(ours(&text), theirs(&text), "{count} {text}");
            }
        }
    }

    #[test]
    fn tags_are_of_ascii() {
        assert_eq!(parse("a:é"), Err(Wrong::Form));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Of ASCII: tags of other letters are `oci-spec`'s own.
        #[test]
        fn names_are_what_oci_spec_says(text in "[a-cA-B0-1./:_-]{0,24}|([a-z]{1,3}[./:_-]{0,2}){0,8}|[ -?A-~]{0,12}") {
            prop_assert_eq!(ours(&text), theirs(&text));
        }
    }
}
