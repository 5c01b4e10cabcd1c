//! Perl distributions that a project has locked: `cpanfile.snapshot`.
//!
//! Format: <https://metacpan.org/dist/Carton/view/lib/Carton.pm>: a distribution's name with its version, indented by two
//! spaces.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, is_of_others},
};

/// Reads `cpanfile.snapshot`.
pub(crate) struct PerlLock;

impl PackageReader for PerlLock {
    fn name(&self) -> &'static str {
        "perl-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/cpanfile.snapshot`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "cpanfile.snapshot" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Cpan, file);
        if !fields::lines(contents).any(|line| line == b"DISTRIBUTIONS") {
            listing.lacks("DISTRIBUTIONS");
        }
        for line in fields::lines(contents) {
            let line = fields::text(line);
            let Some(distribution) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
            match distribution.trim().rsplit_once('-') {
                Some((name, version)) => listing.add(name, version.trim_start_matches('v'), []),
                None if distribution.trim().is_empty() => {}
                None => listing.gap("a distribution has no version"),
            }
        }
        listing.finish()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn distributions_are_listed() {
        check(
            &PerlLock,
            "cpanfile.snapshot",
            "# carton snapshot format: version 1.0\nDISTRIBUTIONS\n  HTTP-Tiny-0.076\n    pathname: D/DA/DAGOLDEN/HTTP-Tiny-0.076.tar.gz\n    provides:\n      HTTP::Tiny 0.076\n  Own-Thing-v1.2.3\n",
            expect![[r#"
                cpan HTTP-Tiny 0.076, purl pkg:cpan/HTTP-Tiny@0.076
                cpan Own-Thing 1.2.3, purl pkg:cpan/Own-Thing@1.2.3
            "#]],
        );
        check(
            &PerlLock,
            "cpanfile.snapshot",
            "  Thing\n",
            expect![[r#"
                gap in cpanfile.snapshot: its packages were not read: `DISTRIBUTIONS` is missing
                gap in cpanfile.snapshot: a distribution has no version
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>) {
            read(&PerlLock, "cpanfile.snapshot", &contents);
        }
    }
}
