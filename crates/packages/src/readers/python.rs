//! Python packages: the metadata that installers leave.
//!
//! Formats: <https://packaging.python.org/en/latest/specifications/recording-installed-packages/> (`*.dist-info`),
//! <https://setuptools.pypa.io/en/latest/deprecated/python_eggs.html> (`*.egg-info`, `EGG-INFO`), and the core metadata
//! in both: <https://packaging.python.org/en/latest/specifications/core-metadata/>.

mod files;
mod needs;

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning, lookup_name};

use crate::{PackageReader, Selection, complete::language_package, fields};

/// Reads `METADATA` and `PKG-INFO`, and lists of files.
pub(crate) struct Python;

/// The long description is in it: some hundred kilobytes at most.
const LIMIT: usize = 4 << 20;

/// A list of some hundred thousand files.
const LIST_LIMIT: usize = 32 << 20;

/// Most needs taken of one package.
const MAX_NEEDS: usize = 10_000;

/// Most licences taken of one package.
const MAX_LICENSES: usize = 100;

impl PackageReader for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn reads(&self) -> &'static str {
        "`**/*.dist-info/METADATA`, `**/*.egg-info/PKG-INFO`, `**/*.egg-info`, `**/EGG-INFO/PKG-INFO`, \
         `**/*.dist-info/RECORD`, `**/*.egg-info/installed-files.txt`"
    }

    /// What a package owns lies beside its record.
    fn path_parts(&self) -> usize {
        usize::MAX
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let (parent, name) = file.path.rsplit_once('/')?;
        let is_list = match name {
            "RECORD" => parent.ends_with(".dist-info"),
            "installed-files.txt" => parent.ends_with(".egg-info"),
            _ => false,
        };
        if is_list {
            return Some(Selection::Whole { limit: LIST_LIMIT });
        }
        let is_metadata = match name {
            "METADATA" => parent.ends_with(".dist-info"),
            "PKG-INFO" => parent.ends_with(".egg-info") || parent == "EGG-INFO" || parent.ends_with("/EGG-INFO"),
            name => name.ends_with(".egg-info"),
        };
        is_metadata.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        if matches!(file.file_name(), "RECORD" | "installed-files.txt") {
            return Reading { owned: files::owned(file.path, contents).into_iter().collect(), ..Reading::default() };
        }
        let (mut name, mut version, mut license, mut expression) = (None, None, None, None);
        let mut depends_on = Vec::new();
        let mut classified: Vec<String> = Vec::new();
        // The headers end at the first blank line; the description follows.
        for (field, value) in fields::records(contents).next().into_iter().flat_map(fields::fields) {
            let slot = match field {
                b"Name" => &mut name,
                b"Version" => &mut version,
                b"License" => &mut license,
                b"License-Expression" => &mut expression,
                b"Requires-Dist" if depends_on.len() < MAX_NEEDS => {
                    let needed = needs::name(&fields::text(value)).map(|name| lookup_name("PyPI", name).into_owned());
                    depends_on.extend(needed);
                    continue;
                }
                b"Classifier" if classified.len() < MAX_LICENSES => {
                    classified.extend(classified_license(&fields::text(value)));
                    continue;
                }
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
        let classified = if license.is_some() { Vec::new() } else { classified };
        let purl = Purl::new(PackageType::Pypi, "", &name, &version);
        let package = language_package(PackageType::Pypi, purl, (name, version), license, file.path);
        depends_on.sort();
        depends_on.dedup();
        let licenses = if classified.is_empty() { package.licenses } else { classified };
        Reading { packages: vec![Package { depends_on, licenses, ..package }], ..Reading::default() }
    }
}

/// The licence that a classifier names: <https://pypi.org/classifiers/>. `OSI Approved` alone names none.
fn classified_license(classifier: &str) -> Option<String> {
    let name = classifier.strip_prefix("License :: ")?.rsplit(" :: ").next()?.trim();
    (!name.is_empty() && name != "OSI Approved").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use portcullis_model::{OwnedPaths, PathHash};

    use crate::testing::{check, data, read};

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

    #[test]
    fn a_licence_may_be_a_classifier() {
        check(
            &Python,
            "a-1.dist-info/METADATA",
            "Name: a\nVersion: 1\nLicense: UNKNOWN\nClassifier: License :: OSI Approved\n\
             Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Public Domain\nClassifier: Topic :: X\n",
            expect![[r#"
                pypi a 1, under MIT License | Public Domain, purl pkg:pypi/a@1
            "#]],
        );
        check(
            &Python,
            "a-1.dist-info/METADATA",
            "Name: a\nVersion: 1\nLicense: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
            expect![[r#"
                pypi a 1, under BSD-3-Clause, purl pkg:pypi/a@1
            "#]],
        );
    }

    #[test]
    fn only_metadata_of_installed_packages_is_selected() {
        let selects = |path| Python.select(&FileHeader { path, size: 1, mode: 0o644, head: b"M" }).is_some();
        for path in [
            "usr/lib/python3/dist-packages/a-1.dist-info/METADATA",
            "a/b-1.egg-info/PKG-INFO",
            "a/b-1.egg-info",
            "a/b-1.egg/EGG-INFO/PKG-INFO",
        ] {
            assert!(selects(path), "{path}");
        }
        for path in ["METADATA", "a/METADATA", "a/PKG-INFO", "a-1.dist-info/RECORDS", "a/MY-EGG-INFO/PKG-INFO"] {
            assert!(!selects(path), "{path}");
        }
    }

    #[test]
    fn what_is_needed_here_is_named() {
        check(
            &Python,
            "a-1.dist-info/METADATA",
            "Name: a\nVersion: 1\nRequires-Dist: Urllib3 (<3,>=1.21.1)\nRequires-Dist: zope.interface[x]>=5 ; python_version >= \"3.8\"\n\
             Requires-Dist: PySocks!=1.5.7 ; extra == 'socks'\nRequires-Dist: colorama; sys_platform == 'win32'\n\
             Requires-Dist: enum34; python_version<'3' and extra == 'x'\nRequires-Dist: cffi; platform_system != \"Windows\"\n",
            expect![[r#"
                pypi a 1, purl pkg:pypi/a@1, needs cffi urllib3 zope-interface
            "#]],
        );
    }

    #[test]
    fn lists_of_files_are_claims() {
        let claims = |path: &str, contents: &str| read(&Python, path, contents.as_bytes()).unwrap().owned;
        let hash = |paths: &[&str]| paths.iter().map(|path| PathHash::of(path)).collect::<Vec<_>>();
        let record = claims(
            "usr/lib/python3/site-packages/Zope_Interface-5.4.0.dist-info/RECORD",
            "../../../bin/zope,sha256=x,10\nzope/_c.so,,\n\"zope/a,b.py\",,\r\n/opt/x,,\n../../../../../../etc/x,,\n",
        );
        let paths = [
            "usr/bin/zope",
            "usr/lib/python3/site-packages/zope/_c.so",
            "usr/lib/python3/site-packages/zope/a,b.py",
            "opt/x",
        ];
        let owned = |package: &str, paths| OwnedPaths { kind: PackageType::Pypi, package: package.to_owned(), paths };
        assert_eq!(record, [owned("zope-interface", hash(&paths))]);
        let list = claims("a/b-1-py3.8.egg-info/installed-files.txt", "../b/c.so\nPKG-INFO\n");
        assert_eq!(list, [owned("b", hash(&["a/b/c.so", "a/b-1-py3.8.egg-info/PKG-INFO"]))]);
    }

    #[test]
    fn metadata_without_a_name_is_a_gap() {
        check(
            &Python,
            "lib/a-1.egg-info",
            "Metadata-Version: 1.0\nVersion: 1\n\nName: a\n",
            expect![[r#"
                gap in lib/a-1.egg-info: the metadata of a Python package has no name or no version
            "#]],
        );
    }

    #[test]
    fn a_licence_expression_comes_before_a_licence_and_its_whole_text_is_left_out() {
        let text = format!("Name: a\nVersion: 1\nLicense: {}\n", "Permission is hereby granted ".repeat(10));
        check(
            &Python,
            "a-1.dist-info/METADATA",
            &text,
            expect![[r#"
                pypi a 1, purl pkg:pypi/a@1
            "#]],
        );
        check(
            &Python,
            "a-1.dist-info/METADATA",
            "Name: a\r\nVersion: 1\r\nLicense: BSD\r\nLicense-Expression: BSD-3-Clause\r\n\r\n",
            expect![[r#"
                pypi a 1, under BSD-3-Clause, purl pkg:pypi/a@1
            "#]],
        );
    }

    #[test]
    fn real_packages_are_read() {
        for (file, expected) in [
            (
                "networkx-3.0.dist-info/METADATA",
                expect![[r#"
                pypi networkx 3.0, purl pkg:pypi/networkx@3.0
            "#]],
            ),
            (
                "partial.dist-info/METADATA",
                expect![[r#"
                pypi pygments 2.6.1, under BSD License, purl pkg:pypi/pygments@2.6.1
            "#]],
            ),
            (
                "typing_extensions-4.4.0.dist-info/METADATA",
                expect![[r#"
                pypi typing-extensions 4.4.0, purl pkg:pypi/typing-extensions@4.4.0
            "#]],
            ),
            (
                "distlib-0.3.1.egg-info/PKG-INFO",
                expect![[r#"
                pypi distlib 0.3.1, under Python license, purl pkg:pypi/distlib@0.3.1
            "#]],
            ),
        ] {
            let Some(contents) = data(&format!("pkgdb/python/{file}")) else { return };
            check(&Python, &format!("lib/{file}"), contents, expected);
        }
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in "(Name|Version|License): ?[a-z._é-]{0,4}\r?\n") {
            let header = FileHeader { path: "a.dist-info/METADATA", size: 0, mode: 0, head: b"" };
            let _reading = Python.read(&header, &contents);
            let _reading = Python.read(&header, text.as_bytes());
            read(&Python, "a-1.dist-info/RECORD", &contents);
            read(&Python, "a-1.dist-info/RECORD", text.as_bytes());
        }
    }
}
