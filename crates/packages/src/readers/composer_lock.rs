//! PHP packages that a project has locked: `composer.lock`.
//!
//! Format: <https://getcomposer.org/doc/01-basic-usage.md#commit-your-composer-lock-file-to-version-control>.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use super::composer;
use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, is_of_others, reasons},
    tree,
};

/// Reads `composer.lock`.
pub(crate) struct ComposerLock;

impl PackageReader for ComposerLock {
    fn name(&self) -> &'static str {
        "composer-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/composer.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "composer.lock" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::json(contents) {
            Ok(document) if document.get("packages") != &tree::Node::Nothing => document,
            Ok(_) => return Listing::unreadable(file, "`packages` is missing"),
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Composer, file);
        document.get("packages").items().iter().for_each(|package| composer::add(&mut listing, file.path, package));
        for _ in document.get("packages-dev").items() {
            listing.leave_out(reasons::DEVELOPMENT);
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
    fn what_is_for_development_is_left_out() {
        check(
            &ComposerLock,
            "composer.lock",
            r#"{"content-hash": "x", "packages": [
                {"name": "psr/log", "version": "1.1.4", "dist": {"type": "zip", "url": "https://api.example/x"}, "license": ["MIT"]},
                {"name": "symfony/mailer", "version": "v5.4.0", "require": {"php": ">=7.2.5", "psr/log": "^1"}}],
              "packages-dev": [{"name": "phpunit/phpunit", "version": "9.5.0"}], "aliases": []}"#,
            expect![[r#"
                composer psr/log 1.1.4, under MIT, purl pkg:composer/psr/log@1.1.4
                composer symfony/mailer v5.4.0, purl pkg:composer/symfony/mailer@v5.4.0, needs psr/log
                note in composer.lock: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &ComposerLock,
            "composer.lock",
            "{}",
            expect![[r#"
            gap in composer.lock: its packages were not read: `packages` is missing
        "#]],
        );
        assert!(read(&ComposerLock, "vendor/a/b/composer.lock", b"{}").is_none());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>) {
            read(&ComposerLock, "composer.lock", &contents);
        }
    }
}
