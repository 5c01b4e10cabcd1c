//! R packages that a project has locked: `renv.lock`.
//!
//! Format: <https://rstudio.github.io/renv/articles/lockfile.html>

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, Origin, is_of_others},
    tree::{self, Node},
};

/// Reads `**/renv.lock`.
pub(crate) struct RenvLock;

impl PackageReader for RenvLock {
    fn name(&self) -> &'static str {
        "renv-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/renv.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "renv.lock" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::json(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Cran, file);
        if document.get("Packages") == &Node::Nothing {
            listing.lacks("Packages");
        }
        for (name, package) in document.get("Packages").entries() {
            let name = package.text_of("Package").unwrap_or(name);
            let Some(version) = package.text_of("Version") else {
                listing.gap(format!("`{name}` has no version"));
                continue;
            };
            let needed: Vec<String> = package.get("Requirements").texts().map(str::to_owned).collect();
            listing.add_from(origin(package), name, version, needed);
        }
        listing.finish()
    }
}

/// Bioconductor's packages are known by their names too; what comes from a host of code is not CRAN's.
fn origin(package: &Node) -> Origin<'_> {
    match (package.text_of("RemoteHost"), package.text_of("Source")) {
        (Some(host), Some("GitHub" | "GitLab" | "Bitbucket" | "git2r" | "git")) => Origin::Repository(host),
        _ => Origin::Registry,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &RenvLock,
            "renv.lock",
            r##"{"R": {"Version": "4.2.3"}, "Packages": {
 "commonmark": {"Package": "commonmark", "Version": "1.7", "Source": "Repository", "Repository": "CRAN", "Requirements": ["R6"]},
 "own": {"Package": "own", "Version": "0.1", "Source": "GitHub", "RemoteHost": "api.github.com"},
 "none": {"Package": "none"}}}"##,
            expect![[r#"
                cran commonmark 1.7, purl pkg:cran/commonmark@1.7, needs R6
                cran own 0.1, purl pkg:cran/own@0.1?vcs_url=api.github.com
                gap in renv.lock: `none` has no version
            "#]],
        );
    }

    #[test]
    fn another_shape_is_a_gap() {
        check(
            &RenvLock,
            "renv.lock",
            r#"{"version": "99", "elsewhere": []}"#,
            expect![[r#"
                gap in renv.lock: its packages were not read: `Packages` is missing
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&RenvLock, "renv.lock", &contents);
            read(&RenvLock, "renv.lock", text.as_bytes());
        }
    }
}
