//! Python packages: the metadata that installers leave.
//!
//! Formats: <https://packaging.python.org/en/latest/specifications/recording-installed-packages/> (`*.dist-info`),
//! <https://setuptools.pypa.io/en/latest/deprecated/python_eggs.html> (`*.egg-info`, `EGG-INFO`), and the core metadata
//! in both: <https://packaging.python.org/en/latest/specifications/core-metadata/>.

use portcullis_filetree::FileHeader;
use portcullis_model::{Location, Package, PackageType, Purl, Reading, Warning, lookup_name};

use crate::{PackageReader, Selection, fields};

/// Reads `METADATA` and `PKG-INFO`.
pub(crate) struct Python;

/// The long description is in it: some hundred kilobytes at most.
const LIMIT: usize = 4 << 20;

impl PackageReader for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn reads(&self) -> &'static str {
        "`**/*.dist-info/METADATA`, `**/*.egg-info/PKG-INFO`, `**/*.egg-info`, `**/EGG-INFO/PKG-INFO`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let (parent, name) = file.path.rsplit_once('/')?;
        let is_metadata = match name {
            "METADATA" => parent.ends_with(".dist-info"),
            "PKG-INFO" => parent.ends_with(".egg-info") || parent.ends_with("EGG-INFO"),
            name => name.ends_with(".egg-info"),
        };
        is_metadata.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let (mut name, mut version, mut license, mut expression) = (None, None, None, None);
        // The headers end at the first blank line; the description follows.
        for (field, value) in fields::records(contents).next().into_iter().flat_map(fields::fields) {
            let slot = match field {
                b"Name" => &mut name,
                b"Version" => &mut version,
                b"License" => &mut license,
                b"License-Expression" => &mut expression,
                _ => continue,
            };
            if slot.is_none() && !value.is_empty() && value != b"UNKNOWN" {
                *slot = Some(fields::text(value).into_owned());
            }
        }
        let (Some(name), Some(version)) = (name, version) else {
            let warning = Warning::gap(file.path, "the metadata of a Python package has no name or no version");
            return Reading { warnings: vec![warning], ..Reading::default() };
        };
        let name = lookup_name("PyPI", &name).into_owned();
        // Old packages have the whole text of the licence in that field.
        let license = expression.or(license.filter(|text| text.len() <= 100));
        let package = Package {
            kind: PackageType::Pypi,
            purl: Purl::new(PackageType::Pypi, "", &name, &version).build(),
            name,
            version,
            source: None,
            architecture: None,
            vendor: None,
            licenses: license.into_iter().collect(),
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

    #[test]
    fn reads_the_headers_alone_and_normalises_the_name() {
        check(
            &Python,
            "usr/lib/python3/dist-packages/Zope.Interface-5.4.0.dist-info/METADATA",
            b"Metadata-Version: 2.1\nName: Zope.Interface\nVersion: 5.4.0\nLicense: ZPL-2.1\n\nVersion: 9\n",
            expect![[r#"
                pypi zope-interface 5.4.0, under ZPL-2.1, purl pkg:pypi/zope-interface@5.4.0
            "#]],
        );
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>) {
            let header = FileHeader { path: "a.dist-info/METADATA", size: 0, mode: 0, head: b"" };
            let _reading = Python.read(&header, &contents);
        }
    }
}
