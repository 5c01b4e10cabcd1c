//! Snaps, as snapd lays them out: `meta/snap.yaml` of each revision.
//!
//! Format: <https://snapcraft.io/docs/snap-format>

use std::borrow::Cow;

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning};
use serde::Deserialize;

use crate::{PackageReader, Selection, complete::language_package};

/// Reads what snaps say of themselves.
pub(crate) struct Snap;

/// Bytes of the largest description that is read.
const LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
struct Description<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// As it is written, whatever else YAML would take it for: `1.10` is not `1.1`.
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    base: Option<String>,
}

fn is_description(path: &str) -> bool {
    let rest = path.strip_prefix("snap/").or_else(|| path.strip_prefix("var/lib/snapd/snap/"));
    let mut parts = rest.unwrap_or_default().split('/');
    parts.next().is_some_and(|name| !name.is_empty()) && parts.next().is_some() && parts.eq(["meta", "snap.yaml"])
}

impl PackageReader for Snap {
    fn name(&self) -> &'static str {
        "snap"
    }

    fn reads(&self) -> &'static str {
        "`snap/*/*/meta/snap.yaml`, `var/lib/snapd/snap/*/*/meta/snap.yaml`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        is_description(file.path).then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        match serde_saphyr::from_slice::<Description<'_>>(contents) {
            Ok(description) => Reading { packages: vec![package(file.path, description)], ..Reading::default() },
            Err(error) => {
                let what =
                    format!("not a snap's description: {}", error.to_string().lines().next().unwrap_or_default());
                Reading { warnings: vec![Warning::gap(file.path, what)], ..Reading::default() }
            }
        }
    }
}

fn package(path: &str, description: Description<'_>) -> Package {
    let Description { name, version, architectures, license, base } = description;
    let (name, version) = (name.into_owned(), version.unwrap_or_default());
    let architecture = architectures.and_then(|list| list.into_iter().next());
    let purl = Purl::new(PackageType::Snap, "", &name, &version)
        .qualifier("arch", architecture.as_deref().unwrap_or_default());
    Package {
        architecture,
        depends_on: base.into_iter().collect(),
        ..language_package(PackageType::Snap, purl, (name, version), license, path)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const PATH: &str = "snap/hello/42/meta/snap.yaml";

    #[test]
    fn descriptions_are_read() {
        let yaml = "name: hello\nversion: '2.10'\nsummary: says hello\nbase: core22\narchitectures:\n- amd64\nlicense: GPL-3.0\n\
                    apps:\n  hello:\n    command: bin/hello\n";
        check(
            &Snap,
            PATH,
            yaml,
            expect![[r#"
            snap hello 2.10, for amd64, under GPL-3.0, purl pkg:snap/hello@2.10?arch=amd64, needs core22
        "#]],
        );
        check(
            &Snap,
            PATH,
            "name: core22\nversion: 20240111\n",
            expect![[r#"
            snap core22 20240111, purl pkg:snap/core22@20240111
        "#]],
        );
        check(
            &Snap,
            PATH,
            "name: x\nversion: 1.10\n",
            expect![[r#"
            snap x 1.10, purl pkg:snap/x@1.10
        "#]],
        );
        check(
            &Snap,
            PATH,
            "version: 1\n",
            expect![[r#"
            gap in snap/hello/42/meta/snap.yaml: not a snap's description: error: line 1 column 1: missing field `name`
        "#]],
        );
        assert!(testing::read(&Snap, "snap/hello/meta/snap.yaml", b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "((name|version|base): [a-z0-9\\[{'&*]{0,4}\n){0,5}") {
            testing::read(&Snap, PATH, &contents);
            testing::read(&Snap, PATH, text.as_bytes());
        }
    }
}
