//! Haskell packages that a project has locked: `stack.yaml.lock`, what `stack.yaml` adds, and `cabal.project.freeze`.
//!
//! Formats: <https://docs.haskellstack.org/en/stable/topics/lock_files/>: `name-version@sha256:…` in each entry,
//! <https://docs.haskellstack.org/en/stable/configure/yaml/project/#extra-deps>: the same in a list, and
//! <https://cabal.readthedocs.io/en/stable/cabal-commands.html#cabal-freeze>: `any.name ==version`.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_of_others},
    tree::{self, Node},
};

/// Reads `stack.yaml.lock`, `stack.yaml` and `cabal.project.freeze`.
pub(crate) struct HaskellLock;

impl PackageReader for HaskellLock {
    fn name(&self) -> &'static str {
        "haskell-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/stack.yaml.lock`, `**/stack.yaml`, `**/cabal.project.freeze`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = matches!(file.file_name(), "stack.yaml.lock" | "stack.yaml" | "cabal.project.freeze");
        (is_wanted && !is_of_others(file.path)).then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Hackage, file);
        let stack = match file.file_name() {
            "stack.yaml.lock" => stack,
            "stack.yaml" => extra,
            _ => {
                cabal(contents, &mut listing);
                return listing.finish();
            }
        };
        match tree::yaml(contents) {
            Ok(document) => stack(&document, &mut listing),
            Err(why) => return Listing::unreadable(file, why),
        }
        listing.finish()
    }
}

/// Name and version of `aeson-2.0.3.0@sha256:…,5763`.
fn of_hackage(reference: &str) -> Option<(&str, &str)> {
    let package = reference.split('@').next().unwrap_or(reference);
    // What has a place in it is a folder or an archive, and its end is no version of Hackage's.
    let is_name = |name: &str| !name.is_empty() && !name.contains(['/', '\\', ':']);
    package.rsplit_once('-').filter(|(name, version)| is_name(name) && is_version(version))
}

/// `extra-deps`: packages of Hackage; those of repositories and folders have no version here.
fn extra(document: &Node, listing: &mut Listing<'_>) {
    for package in document.get("extra-deps").items() {
        match package.text().and_then(of_hackage) {
            Some((name, version)) => listing.add(name, version, []),
            None => listing.leave_out("of a repository, a folder or an archive, without a version here"),
        }
    }
}

/// `packages` → `completed`: `hackage: aeson-2.0.3.0@sha256:…,5763`, or the name, the version and the place.
fn stack(document: &Node, listing: &mut Listing<'_>) {
    if !matches!(document.get("packages"), Node::List(_)) {
        listing.lacks("packages");
    }
    for package in document.get("packages").items().iter().map(|package| package.get("completed")) {
        let of_hackage = package.text_of("hackage").and_then(of_hackage);
        let place = package.text_of("git").or(package.text_of("hg")).or(package.text_of("url"));
        match (of_hackage, package.text_of("name"), package.text_of("version")) {
            (Some((name, version)), ..) => listing.add(name, version, []),
            (None, Some(name), Some(version)) => {
                listing.add_from(Origin::Repository(place.unwrap_or_default()), name, version, []);
            }
            _ => listing.gap("a package has no name or no version"),
        }
    }
    if !document.get("snapshots").items().is_empty() {
        listing.note("it names what the project adds to its snapshot; the packages of that are in another file");
    }
}

/// `constraints: any.aeson ==2.0.3.0,`; flags of packages stand between.
fn cabal(contents: &[u8], listing: &mut Listing<'_>) {
    let text = fields::text(contents);
    let constraints = text.lines().map(|line| line.strip_prefix("constraints:").unwrap_or(line).trim());
    for line in constraints {
        let Some(constraint) = line.trim_end_matches(',').strip_prefix("any.") else { continue };
        match constraint.split_once("==") {
            Some((name, version)) if is_version(version.trim()) => listing.add(name.trim(), version.trim(), []),
            _ if constraint.ends_with(" installed") => {
                listing.leave_out("the compiler's own, in the version that is installed with it");
            }
            _ => listing.gap(format!("a constraint on more than one version: {constraint}")),
        }
    }
    if !text.contains("constraints:") {
        listing.lacks("constraints");
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn both_files_list_packages() {
        check(
            &HaskellLock,
            "stack.yaml.lock",
            "packages:\n- completed:\n    hackage: happy-lib-1.20.0@sha256:fc,5763\n    pantry-tree:\n      size: 7464\n  original:\n    hackage: happy-lib-1.20.0@sha256:fc,5763\n",
            expect![[r#"
                hackage happy-lib 1.20.0, purl pkg:hackage/happy-lib@1.20.0
            "#]],
        );
        check(
            &HaskellLock,
            "cabal.project.freeze",
            "active-repositories: hackage.haskell.org:merge\nconstraints: any.Cabal ==3.2.1.0,\n             any.aeson ==2.0.3.0,\n             any.base installed,\n             aeson -cffi +ordered-keymap\nindex-state: x\n",
            expect![[r#"
                hackage Cabal 3.2.1.0, purl pkg:hackage/Cabal@3.2.1.0
                hackage aeson 2.0.3.0, purl pkg:hackage/aeson@2.0.3.0
                note in cabal.project.freeze: 1 package left out: the compiler's own, in the version that is installed with it
            "#]],
        );
    }

    #[test]
    fn places_snapshots_and_what_is_not_understood() {
        check(
            &HaskellLock,
            "stack.yaml.lock",
            "packages:\n- completed:\n    commit: '0123'\n    git: https://git.example/own.git\n    name: own\n    version: '0.1'\n- completed: {}\nsnapshots:\n- completed:\n    url: https://x.example/lts.yaml\n",
            expect![[r#"
                hackage own 0.1, purl pkg:hackage/own@0.1?vcs_url=https:%2F%2Fgit.example%2Fown.git
                gap in stack.yaml.lock: a package has no name or no version
                note in stack.yaml.lock: it names what the project adds to its snapshot; the packages of that are in another file
            "#]],
        );
        check(
            &HaskellLock,
            "cabal.project.freeze",
            "constraints: any.a ==1.0 || ==1.1\n",
            expect![[r#"
                gap in cabal.project.freeze: a constraint on more than one version: a ==1.0 || ==1.1
            "#]],
        );
        check(
            &HaskellLock,
            "stack.yaml",
            "resolver: lts-21.0\nextra-deps:\n- aeson-2.0.3.0\n- acme-missiles-0.3@sha256:2b,613\n- ./own\n- ./vendor/foo-1.0\n- git: https://x.example/y\n  commit: '0'\n",
            expect![[r#"
                hackage aeson 2.0.3.0, purl pkg:hackage/aeson@2.0.3.0
                hackage acme-missiles 0.3, purl pkg:hackage/acme-missiles@0.3
                note in stack.yaml: 3 packages left out: of a repository, a folder or an archive, without a version here
            "#]],
        );
        for path in ["stack.yaml.lock", "cabal.project.freeze"] {
            assert_eq!(read(&HaskellLock, path, b"a: 1").unwrap().warnings.len(), 1, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "(hackage: |any\\.|constraints:|[a-z@=., -]){0,20}") {
            read(&HaskellLock, "stack.yaml.lock", &contents);
            read(&HaskellLock, "stack.yaml.lock", text.as_bytes());
            read(&HaskellLock, "cabal.project.freeze", text.as_bytes());
        }
    }
}
