//! JavaScript packages: every package's own `package.json` below a `node_modules` folder.
//!
//! Format: <https://docs.npmjs.com/cli/v11/configuring-npm/package-json>. Deeper files of that name (a build for
//! another module system, a test's fixture) are no packages.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Purl, Reading, Warning};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{PackageReader, Selection, complete::language_package, tree::Node};

/// Reads `package.json`.
pub(crate) struct Npm;

/// A real one has a few kilobytes.
const LIMIT: usize = 4 << 20;

/// Most needs taken of one package.
const MAX_NEEDS: usize = 10_000;

/// Most licences taken of one package.
const MAX_LICENSES: usize = 100;

/// What is read of it. A field of another type than npm gives it is as good as absent, and of two of one name the
/// last counts, as for npm.
#[derive(Default)]
struct PackageJson {
    name: Option<String>,
    version: Option<String>,
    licenses: Vec<String>,
    /// In the field that old packages have.
    old_licenses: Vec<String>,
    /// What it needs at run time, sorted; another package may be installed under such a name (`npm:real@1`).
    needs: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for PackageJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = PackageJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PackageJson, A::Error> {
                let mut package = PackageJson::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match &*key {
                        "name" => package.name = map.next_value::<Text>()?.plain(),
                        "version" => package.version = map.next_value::<Text>()?.plain(),
                        "license" => package.licenses = licenses_of(&map.next_value::<Node>()?),
                        "licenses" => package.old_licenses = licenses_of(&map.next_value::<Node>()?),
                        "dependencies" | "optionalDependencies" | "peerDependencies" => {
                            package.needs.extend(map.next_value::<Names>()?.0);
                        }
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(package)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The names in an object; none in anything else.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Node::deserialize(deserializer)?.keys().take(MAX_NEEDS).map(str::to_owned).collect()))
    }
}

/// The licences that a field names: a text; or, in old packages, an object with a `type`, or a list of these.
/// <https://docs.npmjs.com/cli/v11/configuring-npm/package-json#license>
pub(super) fn licenses_of(field: &Node) -> Vec<String> {
    let one = |node: &Node| {
        let text = node.text().or_else(|| node.text_of("type")).or_else(|| node.text_of("name"))?;
        // A number is no licence.
        text.contains(|character: char| character.is_ascii_alphabetic()).then(|| text.to_owned())
    };
    match field {
        Node::List(items) => items.iter().filter_map(one).take(MAX_LICENSES).collect(),
        field => one(field).into_iter().collect(),
    }
}

/// A string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Other(IgnoredAny),
}

impl Text {
    fn plain(self) -> Option<String> {
        match self {
            Self::Plain(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
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
            _ if name.starts_with('@') => return None,
            _ => rest,
        };
        let is_root = !name.starts_with('.') && (parent == "node_modules" || parent.ends_with("/node_modules"));
        is_root.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        // npm itself takes a byte order mark.
        let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
        let PackageJson { name, version, licenses, old_licenses, needs } = match serde_json::from_slice(contents) {
            Ok(package) => package,
            Err(error) => {
                let warning = Warning::gap(file.path, format!("not the JSON of a package: {error}"));
                return Reading { warnings: vec![warning], ..Reading::default() };
            }
        };
        let (Some(name), Some(version)) = (name, version) else { return Reading::default() };
        let (scope, plain) = match name.split_once('/') {
            Some((scope, plain)) if scope.starts_with('@') => (scope, plain),
            _ => ("", &*name),
        };
        let purl = Purl::new(PackageType::Npm, scope, plain, &version);
        let mut package = language_package(PackageType::Npm, purl, (name, version), None, file.path);
        package.licenses = if licenses.is_empty() { old_licenses } else { licenses };
        package.depends_on = needs.into_iter().collect();
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
            "a/node_modules/@b/package.json",
            "a/my_node_modules/b/package.json",
        ] {
            assert!(!selects(path), "{path}");
        }
    }

    #[test]
    fn reads_name_version_and_license() {
        check(
            &Npm,
            "srv/node_modules/@a/b/package.json",
            br#"{"name":"@a/b","version":"1.2.3","license":{"type":"MIT"},"dependencies":{"c":"1","@d/e":"npm:f@1"},
                "devDependencies":{"g":"1"},"peerDependencies":["h"],"optionalDependencies":{"c":"1"}}"#,
            expect![[r#"
                npm @a/b 1.2.3, under MIT, purl pkg:npm/%40a/b@1.2.3, needs @d/e c
            "#]],
        );
    }

    #[test]
    fn old_packages_have_lists_of_licences() {
        check(
            &Npm,
            "node_modules/a/package.json",
            br#"{"name":"a","version":"1.0.0","licenses":[{"type":"MIT"},{"name":"ISC"},"Zlib",{"url":"x"},1]}"#,
            expect![[r#"
                npm a 1.0.0, under MIT | ISC | Zlib, purl pkg:npm/a@1.0.0
            "#]],
        );
    }

    #[test]
    fn names_and_versions_of_other_types_are_no_package() {
        for contents in [
            r#"{}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","version":1}"#,
            r#"{"name":{"a":[1]},"version":"1.0.0"}"#,
            r#"{"name":"","version":"1.0.0"}"#,
            r#"{"name":"a","version":null}"#,
        ] {
            check(&Npm, "node_modules/a/package.json", contents, expect![""]);
        }
    }

    #[test]
    fn escapes_a_byte_order_mark_and_doubled_fields_are_read_as_npm_does() {
        check(
            &Npm,
            "node_modules/a/package.json",
            "\u{feff}{\"name\":\"b\",\"na\\u006de\":\"a\",\"version\":\"1\\u002e0.0\",\"license\":[\"MIT\",1],\"licenses\":[{\"type\":\"ISC\"}]}",
            expect![[r#"
                npm a 1.0.0, under MIT, purl pkg:npm/a@1.0.0
            "#]],
        );
    }

    #[test]
    fn what_is_no_object_is_a_gap() {
        check(
            &Npm,
            "node_modules/a/package.json",
            r#"{"name":"a","version":"1.0.0""#,
            expect![[r#"
                gap in node_modules/a/package.json: not the JSON of a package: EOF while parsing an object at line 1 column 29
            "#]],
        );
        check(
            &Npm,
            "node_modules/a/package.json",
            "[]",
            expect![[r#"
                gap in node_modules/a/package.json: not the JSON of a package: invalid type: sequence, expected an object at line 1 column 0
            "#]],
        );
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in r#"\{("(name|version|license|x)":("[a@/\\]?"|\{"type":1?\}|\[1\]),?){0,4}\}"#) {
            let header = FileHeader { path: "node_modules/a/package.json", size: 0, mode: 0, head: b"" };
            let _reading = Npm.read(&header, &contents);
            let _reading = Npm.read(&header, text.as_bytes());
        }
    }
}
