//! JavaScript packages: every package's own `package.json` below a `node_modules` folder.
//!
//! Format: <https://docs.npmjs.com/cli/v11/configuring-npm/package-json>. Deeper files of that name (a build for
//! another module system, a test's fixture) are no packages.

use portcullis_filetree::FileHeader;
use portcullis_model::{Location, Package, PackageType, Purl, Reading, Warning};
use serde::Deserialize;

use crate::{PackageReader, Selection};

/// Reads `package.json`.
pub(crate) struct Npm;

/// A real one has a few kilobytes.
const LIMIT: usize = 4 << 20;

/// What is read of it. A field of another type than npm gives it is as good as absent.
#[derive(Deserialize)]
struct PackageJson<'a> {
    #[serde(default, borrow, deserialize_with = "text")]
    name: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "text")]
    version: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    license: Option<License>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum License {
    Expression(String),
    /// An old form: `{"type": "MIT", "url": …}`.
    Object {
        #[serde(rename = "type")]
        kind: String,
    },
    Other(serde::de::IgnoredAny),
}

/// A string borrowed where it has no escapes; none for anything else.
fn text<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<std::borrow::Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text<'a> {
        Borrowed(&'a str),
        Owned(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Text::deserialize(deserializer)? {
        Text::Borrowed(text) => Some(text.into()),
        Text::Owned(text) => Some(text.into()),
        Text::Other(_) => None,
    })
}

impl PackageReader for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn reads(&self) -> &'static str {
        "`**/node_modules/<name>/package.json`, `**/node_modules/@<scope>/<name>/package.json`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let folder = file.path.strip_suffix("/package.json")?;
        let (rest, name) = folder.rsplit_once('/')?;
        let parent = match rest.rsplit_once('/') {
            Some((above, scope)) if scope.starts_with('@') => above,
            _ => rest,
        };
        let is_root = !name.starts_with('.') && (parent == "node_modules" || parent.ends_with("/node_modules"));
        is_root.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        // npm itself takes a byte order mark.
        let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
        let PackageJson { name, version, license } = match serde_json::from_slice(contents) {
            Ok(package) => package,
            Err(error) => {
                let warning = Warning::gap(file.path, format!("not the JSON of a package: {error}"));
                return Reading { warnings: vec![warning], ..Reading::default() };
            }
        };
        let (Some(name), Some(version)) = (name, version) else { return Reading::default() };
        if name.is_empty() || version.is_empty() {
            return Reading::default();
        }
        let (scope, plain) = match name.split_once('/') {
            Some((scope, plain)) if scope.starts_with('@') => (scope, plain),
            _ => ("", &*name),
        };
        let license = match license {
            Some(License::Expression(text) | License::Object { kind: text }) if !text.is_empty() => vec![text],
            _ => Vec::new(),
        };
        let package = Package {
            kind: PackageType::Npm,
            purl: Purl::new(PackageType::Npm, scope, plain, &version).build(),
            name: name.into_owned(),
            version: version.into_owned(),
            source: None,
            architecture: None,
            vendor: None,
            licenses: license,
            owned_by: None,
            locations: vec![Location { path: file.path.to_owned(), layer: None }],
        };
        Reading { packages: vec![package], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::check;

    fn selects(path: &str) -> bool {
        Npm.select(&FileHeader { path, size: 1, mode: 0o644, head: b"{" }).is_some()
    }

    #[test]
    fn only_a_package_s_own_file_is_read() {
        for path in [
            "app/node_modules/lodash/package.json",
            "node_modules/@angular/core/package.json",
            "a/node_modules/b/node_modules/c/package.json",
            "a/node_modules/.pnpm/c@1.0.0/node_modules/c/package.json",
        ] {
            assert!(selects(path), "{path}");
        }
        for path in [
            "package.json",
            "app/package.json",
            "a/node_modules/resolve/test/x/package.json",
            "a/node_modules/b/esm/package.json",
            "a/node_modules/package.json",
            "a/node_modules/.bin/package.json",
        ] {
            assert!(!selects(path), "{path}");
        }
    }

    #[test]
    fn reads_name_version_and_license() {
        check(
            &Npm,
            "srv/node_modules/@a/b/package.json",
            br#"{"name":"@a/b","version":"1.2.3","license":{"type":"MIT"}}"#,
            expect![[r#"
                npm @a/b 1.2.3, under MIT, purl pkg:npm/%40a/b@1.2.3
            "#]],
        );
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>) {
            let header = FileHeader { path: "node_modules/a/package.json", size: 0, mode: 0, head: b"" };
            let _reading = Npm.read(&header, &contents);
        }
    }
}
