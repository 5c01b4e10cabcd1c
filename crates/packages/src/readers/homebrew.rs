//! Homebrew's formulas: a folder for each version of each, in the `Cellar`.
//!
//! Format: <https://docs.brew.sh/Formula-Cookbook#homebrew-terminology>: `Cellar/<name>/<version>`, a keg, with the receipt
//! of its installation, which is JSON. A revision of the formula follows the version after a `_`.

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning};

use crate::{PackageReader, Selection, complete::language_package, limits, tree};

/// Reads the receipts of kegs.
pub(crate) struct Homebrew;

impl PackageReader for Homebrew {
    fn name(&self) -> &'static str {
        "homebrew"
    }

    fn reads(&self) -> &'static str {
        "`**/Cellar/<name>/<version>/INSTALL_RECEIPT.json`"
    }

    /// The version, and the name above it.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        keg(file.path).map(|_| Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some((name, version)) = keg(file.path) else { return Reading::default() };
        let mut reading = Reading::default();
        let receipt = tree::json(contents).unwrap_or_else(|why| {
            reading.warnings.push(Warning::gap(file.path, format!("what it needs was not read: {why}")));
            tree::Node::Nothing
        });
        let tap = receipt.get("source").text_of("tap").filter(|tap| *tap != "homebrew/core").unwrap_or_default();
        let purl = Purl::new(PackageType::Brew, "", name, version).qualifier("tap", tap);
        let package = language_package(PackageType::Brew, purl, (name.to_owned(), version.to_owned()), None, file.path);
        let needs = receipt.get("runtime_dependencies").items().iter().filter_map(|needed| needed.text_of("full_name"));
        let mut depends_on: Vec<String> = needs.map(str::to_owned).collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        reading.packages.push(Package { depends_on, ..package });
        reading
    }
}

/// Name and version of `…/Cellar/<name>/<version>/INSTALL_RECEIPT.json`.
fn keg(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    if parts.next() != Some("INSTALL_RECEIPT.json") {
        return None;
    }
    let (version, name) = (parts.next()?, parts.next()?);
    (parts.next() == Some("Cellar") && !name.is_empty() && !version.is_empty()).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn kegs_are_packages() {
        let cellar = "home/linuxbrew/.linuxbrew/Cellar";
        check(
            &Homebrew,
            &format!("{cellar}/jq/1.7.1_1/INSTALL_RECEIPT.json"),
            r#"{"homebrew_version": "4.3.0", "source": {"tap": "homebrew/core", "spec": "stable"},
                "runtime_dependencies": [{"full_name": "oniguruma", "version": "6.9.9"}, {}]}"#,
            expect![[r#"
                brew jq 1.7.1_1, purl pkg:brew/jq@1.7.1_1, needs oniguruma
            "#]],
        );
        check(
            &Homebrew,
            &format!("{cellar}/own/0.1/INSTALL_RECEIPT.json"),
            r#"{"source": {"tap": "example/tap"}}"#,
            expect![[r#"
                brew own 0.1, purl pkg:brew/own@0.1?tap=example%2Ftap
            "#]],
        );
        check(
            &Homebrew,
            &format!("{cellar}/a/1/INSTALL_RECEIPT.json"),
            "{",
            expect![[r#"
                brew a 1, purl pkg:brew/a@1
                gap in home/linuxbrew/.linuxbrew/Cellar/a/1/INSTALL_RECEIPT.json: what it needs was not read: EOF while parsing an object at line 1 column 1
            "#]],
        );
        for path in ["srv/INSTALL_RECEIPT.json", "srv/a/b/INSTALL_RECEIPT.json", "Cellar/a/INSTALL_RECEIPT.json"] {
            assert!(read(&Homebrew, path, b"{}").is_none(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>) {
            read(&Homebrew, "Cellar/a/1/INSTALL_RECEIPT.json", &contents);
        }
    }
}
