//! PHP packages that Composer has installed: `vendor/composer/installed.json`.
//!
//! Format: <https://github.com/composer/composer/blob/2.8.12/src/Composer/Repository/FilesystemRepository.php>: a list
//! (Composer 1), or an object with one (2). `installed.php` beside it says the same, as a program.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Selection,
    complete::{language_package, language_purl},
    limits,
    lockfile::{Listing, Origin},
    tree::{self, Node},
};

/// Reads `installed.json`.
pub(crate) struct Composer;

impl PackageReader for Composer {
    fn name(&self) -> &'static str {
        "composer"
    }

    fn reads(&self) -> &'static str {
        "`**/composer/installed.json`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let folder = file.path.strip_suffix("/installed.json")?;
        let is_wanted = folder == "composer" || folder.ends_with("/composer");
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::json(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let packages = if document.is_map() { document.get("packages") } else { &document };
        if !matches!(packages, Node::List(_)) {
            return Listing::unreadable(file, "it has no list of packages");
        }
        let mut listing = Listing::new(PackageType::Composer, file);
        packages.items().iter().for_each(|package| add(&mut listing, file.path, package));
        listing.finish()
    }
}

/// Adds a package as both of Composer's files describe one.
pub(super) fn add(listing: &mut Listing<'_>, path: &str, package: &Node) {
    let (Some(name), Some(version)) = (package.text_of("name"), package.text_of("version")) else {
        listing.gap(format!("{}: no name, or no version", package.text_of("name").unwrap_or("?")));
        return;
    };
    let dist = package.get("dist");
    let origin = match dist.text_of("type") {
        Some("path") => Origin::Local(dist.text_of("url").unwrap_or_default()),
        _ => Origin::Registry,
    };
    // Advisories and purls write names in lower case.
    let name = name.to_ascii_lowercase();
    let purl = origin.qualify(language_purl(PackageType::Composer, &name, version));
    let mut installed = language_package(PackageType::Composer, purl, (name, version.to_owned()), None, path);
    installed.licenses = package.get("license").texts().map(str::to_owned).collect();
    installed.licenses.extend(package.text_of("license").map(str::to_owned));
    // `php` and `ext-json` are no packages.
    let needs = package.get("require").keys().filter(|name| name.contains('/'));
    installed.depends_on = needs.map(str::to_ascii_lowercase).collect();
    listing.add_package(installed);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn both_forms_are_read() {
        let packages = r#"[{"name": "Symfony/http-kernel", "version": "v5.4.0", "version_normalized": "5.4.0.0",
            "license": ["MIT"], "require": {"php": ">=7.2.5", "ext-json": "*", "psr/log": "^1"}, "type": "library"},
            {"name": "drupal/ctools", "version": "4.0.3", "license": "GPL-2.0-or-later"},
            {"name": "mine/here", "version": "dev-main", "dist": {"type": "path", "url": "packages/here"}}, {}]"#;
        let expected = expect![[r#"
            composer symfony/http-kernel v5.4.0, under MIT, purl pkg:composer/symfony/http-kernel@v5.4.0, needs psr/log
            composer drupal/ctools 4.0.3, under GPL-2.0-or-later, purl pkg:composer/drupal/ctools@4.0.3
            composer mine/here dev-main, purl pkg:composer/mine/here@dev-main?repository_url=file:packages%2Fhere
            gap in srv/vendor/composer/installed.json: ?: no name, or no version
        "#]];
        check(&Composer, "srv/vendor/composer/installed.json", packages, expected);
        let second = format!(r#"{{"packages": {packages}, "dev": true, "dev-package-names": []}}"#);
        let path = "vendor/composer/installed.json";
        let [old, new] = [packages, &second].map(|text| read(&Composer, path, text.as_bytes()).unwrap());
        assert_eq!(old, new);
    }

    #[test]
    fn other_documents_are_gaps() {
        check(
            &Composer,
            "composer/installed.json",
            r#"{"a": 1}"#,
            expect![[r#"
            gap in composer/installed.json: its packages were not read: it has no list of packages
        "#]],
        );
        check(
            &Composer,
            "composer/installed.json",
            "[",
            expect![[r#"
            gap in composer/installed.json: its packages were not read: EOF while parsing a list at line 1 column 1
        "#]],
        );
        assert!(read(&Composer, "vendor/installed.json", b"[]").is_none());
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in r#"\[?\{"(packages|name)": ?(\[\{"name":"a/b","version":"1","dist":1,"require":\[\]\}\]|"x")\}\]?"#) {
            read(&Composer, "composer/installed.json", &contents);
            read(&Composer, "composer/installed.json", text.as_bytes());
        }
    }
}
