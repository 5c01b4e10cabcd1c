//! Julia packages that a project has resolved: `Manifest.toml`, versions 1 and 2.
//!
//! Format: <https://pkgdocs.julialang.org/v1/toml-files/#Manifest.toml>. Packages of Julia itself have no tree of their own.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection,
    complete::{language_package, language_purl},
    limits,
    lockfile::{Listing, Origin, is_of_others},
    tree::{self, Node},
};

/// Reads `**/Manifest.toml`, `**/JuliaManifest.toml`, `**/Manifest-v*.toml`.
pub(crate) struct JuliaLock;

impl PackageReader for JuliaLock {
    fn name(&self) -> &'static str {
        "julia-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/Manifest.toml`, `**/JuliaManifest.toml`, `**/Manifest-v*.toml`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = is_manifest(file.file_name()) && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::toml(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Julia, file);
        if let Some(version) = document.text_of("manifest_format").filter(|version| !version.starts_with(['1', '2'])) {
            listing.gap(format!("its version {version} is not known: packages may be missing"));
        }
        let deps = document.get("deps");
        let entries = if deps.is_map() { deps.entries() } else { document.entries() };
        for (name, packages) in entries {
            for package in packages.items() {
                add(name, package, &mut listing);
            }
        }
        listing.finish()
    }
}

fn is_manifest(name: &str) -> bool {
    matches!(name, "Manifest.toml" | "JuliaManifest.toml") || name.starts_with("Manifest-v") && name.ends_with(".toml")
}

fn add(name: &str, package: &Node, listing: &mut Listing<'_>) {
    // Another program's file of this name.
    let Some(uuid) = package.text_of("uuid") else { return };
    if let Some(path) = package.text_of("path") {
        listing.add_from(Origin::Local(path), name, package.text_of("version").unwrap_or_default(), Vec::new());
        return;
    }
    if package.text_of("git-tree-sha1").is_none() {
        return;
    }
    let Some(version) = package.text_of("version") else {
        listing.gap(format!("`{name}` has no version"));
        return;
    };
    let mut needed: Vec<String> = package.get("deps").texts().map(str::to_owned).collect();
    needed.extend(package.get("deps").keys().map(str::to_owned));
    let purl = language_purl(PackageType::Julia, name, version).qualifier("uuid", uuid);
    let names = (name.to_owned(), version.to_owned());
    let made = language_package(PackageType::Julia, purl, names, None, listing.path());
    listing.add_package(portcullis_model::Package { depends_on: needed, ..made });
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &JuliaLock,
            "Manifest.toml",
            r##"julia_version = "1.9.0"
manifest_format = "2.0"

[[deps.HTTP]]
deps = ["Base64", "URIs"]
git-tree-sha1 = "2e13c9956c82f5ae8cbdb8335327e63badb8c4ff"
uuid = "cd3eb016-35fb-5094-929b-558a96fad6f3"
version = "1.6.2"

[[deps.Base64]]
uuid = "2a0f44e3-6c83-55bd-87e4-b1978d98bd5f"
"##,
            expect![[r#"
                julia HTTP 1.6.2, purl pkg:julia/HTTP@1.6.2?uuid=cd3eb016-35fb-5094-929b-558a96fad6f3, needs Base64 URIs
            "#]],
        );
        check(
            &JuliaLock,
            "old/Manifest.toml",
            r##"[[URIs]]
git-tree-sha1 = "97bbe755a53fe859669cd907f2d96aee8d2c1355"
uuid = "5c2747f8-b7ea-4ff2-ba2e-563bfd36b1d4"
version = "1.3.0"
"##,
            expect![[r#"
                julia URIs 1.3.0, purl pkg:julia/URIs@1.3.0?uuid=5c2747f8-b7ea-4ff2-ba2e-563bfd36b1d4
            "#]],
        );
    }

    #[test]
    fn another_version_and_a_package_without_one_are_gaps() {
        check(
            &JuliaLock,
            "Manifest.toml",
            "manifest_format = \"3.0\"\n[[deps.A]]\nuuid = \"x\"\ngit-tree-sha1 = \"y\"\n",
            expect![[r#"
                gap in Manifest.toml: its version 3.0 is not known: packages may be missing
                gap in Manifest.toml: `A` has no version
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&JuliaLock, "Manifest.toml", &contents);
            read(&JuliaLock, "Manifest.toml", text.as_bytes());
        }
    }
}
