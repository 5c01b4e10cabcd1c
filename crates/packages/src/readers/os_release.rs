//! Which distribution it is: `os-release`.
//!
//! Format: <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>: shell assignments.

use portcullis_filetree::FileHeader;
use portcullis_model::{Distribution, Reading, Warning};

use crate::{PackageReader, Selection, fields};

/// Reads `os-release`.
pub(crate) struct OsRelease;

/// A real one has a few hundred bytes.
const LIMIT: usize = 64 << 10;

impl PackageReader for OsRelease {
    fn name(&self) -> &'static str {
        "os-release"
    }

    fn reads(&self) -> &'static str {
        "`etc/os-release`, `usr/lib/os-release`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        matches!(file.path, "etc/os-release" | "usr/lib/os-release").then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut distribution = Distribution::default();
        let mut short_name = String::new();
        for line in fields::lines(contents) {
            let line = fields::text(line);
            let Some((name, value)) = line.trim().split_once('=') else { continue };
            let value = unquote(value);
            match name {
                "ID" => distribution.id = value.to_ascii_lowercase(),
                "VERSION_ID" => distribution.version_id = value,
                "PRETTY_NAME" => distribution.name = value,
                "VERSION_CODENAME" if !value.is_empty() => distribution.codename = Some(value),
                "ID_LIKE" => distribution.id_like = value.split_ascii_whitespace().map(str::to_owned).collect(),
                "UBUNTU_CODENAME" | "DEBIAN_CODENAME" if !value.is_empty() => {
                    distribution.parent_codename = Some(value.to_ascii_lowercase());
                }
                "CPE_NAME" if !value.is_empty() => distribution.cpe = Some(value),
                "NAME" => short_name = value,
                _ => {}
            }
        }
        if distribution.name.is_empty() {
            distribution.name = short_name;
        }
        if distribution.id.is_empty() {
            let warning = Warning::gap(file.path, "it does not say which distribution it is: ID is missing");
            return Reading { warnings: vec![warning], ..Reading::default() };
        }
        Reading { distribution: Some(Box::new(distribution)), ..Reading::default() }
    }
}

/// Takes the quotes off a value, and the backslashes of the characters that a shell needs escaped.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    if let Some(literal) = inner('\'') {
        return literal.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut characters = inner('"').unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{self, check};

    #[test]
    fn quotes_and_relatives_are_read() {
        let contents = "# comment\nNAME=Rocky\nID=\"rocky\"\nID_LIKE='rhel centos fedora'\nVERSION_ID=9.3\n\
                        PRETTY_NAME=\"Rocky \\\"Linux\\\" \\$9\"\r\nVERSION_CODENAME=\n";
        check(
            &OsRelease,
            "etc/os-release",
            contents,
            expect![[r#"
                Distribution { id: "rocky", version_id: "9.3", name: "Rocky \"Linux\" $9", codename: None, id_like: ["rhel", "centos", "fedora"], parent_codename: None, cpe: None }
            "#]],
        );
    }

    #[test]
    fn a_file_that_names_no_distribution_is_a_gap() {
        check(
            &OsRelease,
            "usr/lib/os-release",
            "VERSION_ID=9\n",
            expect![[r#"
            gap in usr/lib/os-release: it does not say which distribution it is: ID is missing
        "#]],
        );
    }

    #[test]
    fn debian_12_is_read() {
        let Some(contents) = testing::data("pkgdb/dpkg/debian12.os-release") else { return };
        check(
            &OsRelease,
            "usr/lib/os-release",
            contents,
            expect![[r#"
                Distribution { id: "debian", version_id: "12", name: "Debian GNU/Linux 12 (bookworm)", codename: Some("bookworm"), id_like: [], parent_codename: None, cpe: None }
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "(ID|NAME|ID_LIKE)=[\"'\\\\a-z é]{0,8}\n") {
            testing::read(&OsRelease, "etc/os-release", &contents);
            testing::read(&OsRelease, "etc/os-release", text.as_bytes());
        }
    }
}
