//! R packages: the `DESCRIPTION` of each that is installed.
//!
//! Format: <https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file>. What installs a package adds
//! the field `Built`; without it the file is of sources. The packages that are part of R itself have its version, and no
//! advisory of CRAN speaks of them: they are left out.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading, Warning};

use crate::{
    PackageReader, Selection,
    complete::{language_package, language_purl},
    fields,
};

/// Reads `DESCRIPTION`.
pub(crate) struct Cran;

/// A description is a page of text.
const LIMIT: usize = 1 << 20;

impl PackageReader for Cran {
    fn name(&self) -> &'static str {
        "cran"
    }

    fn reads(&self) -> &'static str {
        "`**/<library>/<name>/DESCRIPTION`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        (file.file_name() == "DESCRIPTION" && file.parent().contains('/')).then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let (mut name, mut version) = (None, None);
        let (mut is_built, mut is_base) = (false, false);
        let record = fields::records(contents).next().unwrap_or_default();
        for (field, value) in fields::fields(record) {
            match field {
                b"Package" => name = Some(fields::text(value)),
                b"Version" => version = Some(fields::text(value)),
                b"Built" => is_built = true,
                b"Priority" => is_base = value == b"base",
                _ => {}
            }
        }
        // Others call files so, too: they name no package that was built.
        let Some(name) = name.filter(|name| is_built && !is_base && !name.is_empty()) else {
            return Reading::default();
        };
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            let warning = Warning::gap(file.path, format!("the R package `{name}` has no version"));
            return Reading { warnings: vec![warning], ..Reading::default() };
        };
        let kind = PackageType::Cran;
        let purl = language_purl(kind, &name, &version);
        let named = (name.into_owned(), version.into_owned());
        let license = fields::folded(record, b"License").map(|license| in_spdx_s_words(&fields::text(&license)));
        let license = license.filter(|license| !license.is_empty());
        Reading { packages: vec![language_package(kind, purl, named, license, file.path)], ..Reading::default() }
    }
}

/// `GPL (>= 2) | MIT + file LICENSE` is `GPL-2+ OR MIT`: the file says whose the copyright is.
fn in_spdx_s_words(text: &str) -> String {
    let part = |part: &str| {
        let part = part.trim();
        let part = part.split(" + ").next().unwrap_or(part);
        match part.split_once(" (>= ").and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?))) {
            Some(("Apache License", "2" | "2.0")) => "Apache-2.0".to_owned(),
            Some((name, version)) => format!("{name}-{version}+"),
            None if matches!(part, "Apache License 2.0" | "Apache License (== 2.0)") => "Apache-2.0".to_owned(),
            None => part.to_owned(),
        }
    };
    let parts: Vec<String> = text.split('|').map(part).filter(|part| !part.is_empty()).collect();
    parts.join(" OR ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    const PATH: &str = "usr/lib/R/site-library/digest/DESCRIPTION";

    #[test]
    fn installed_packages_are_read() {
        check(
            &Cran,
            PATH,
            "Package: digest\nVersion: 0.6.31\nLicense: GPL (>= 2)\nDescription: Some\n Version: 9\n\
             Built: R 4.2.2; x86_64-pc-linux-gnu; 2022-12-11 13:41:13 UTC; unix\n",
            expect![[r#"
                cran digest 0.6.31, under GPL-2+, purl pkg:cran/digest@0.6.31
            "#]],
        );
        // Long fields are wrapped.
        check(
            &Cran,
            PATH,
            "Package: digest\nVersion: 0.6.31\nLicense: GPL-2 |\n        file LICENSE |\n\tMIT + file LICENSE\nBuilt: R 4.2.2\n",
            expect![[r#"
                cran digest 0.6.31, under GPL-2 OR file LICENSE OR MIT, purl pkg:cran/digest@0.6.31
            "#]],
        );
        for contents in [
            "Package: digest\nVersion: 0.6.31\n",
            "Package: stats\nVersion: 4.2.2\nPriority: base\nBuilt: R 4.2.2\n",
            "What this folder is for.\n",
        ] {
            check(&Cran, PATH, contents, expect![[""]]);
        }
        check(
            &Cran,
            PATH,
            "Package: digest\nBuilt: R 4.2.2\n",
            expect![[r#"
                gap in usr/lib/R/site-library/digest/DESCRIPTION: the R package `digest` has no version
            "#]],
        );
        assert!(read(&Cran, "DESCRIPTION", b"").is_none());
    }

    #[test]
    fn licences_are_alternatives() {
        for (text, expected) in [
            ("GPL-2 | GPL-3", "GPL-2 OR GPL-3"),
            ("MIT + file LICENSE", "MIT"),
            ("LGPL (>= 2.1) | Apache License (>= 2)", "LGPL-2.1+ OR Apache-2.0"),
            ("GPL", "GPL"),
            ("| GPL-2 || GPL-3 |", "GPL-2 OR GPL-3"),
            (" | ", ""),
        ] {
            assert_eq!(in_spdx_s_words(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "((Package|Version|License|Built): ?[a-z|+() >=é-]{0,8}\n|\n){0,8}") {
            read(&Cran, PATH, &contents);
            read(&Cran, PATH, text.as_bytes());
        }
    }
}
