//! Haskell packages that a project has locked: `stack.yaml.lock` and `cabal.project.freeze`.
//!
//! Formats: <https://docs.haskellstack.org/en/stable/topics/lock_files/>: `name-version@sha256:…` in each entry, and
//! <https://cabal.readthedocs.io/en/stable/cabal-commands.html#cabal-freeze>: `any.name ==version`.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, is_of_others},
};

/// Reads `stack.yaml.lock` and `cabal.project.freeze`.
pub(crate) struct HaskellLock;

impl PackageReader for HaskellLock {
    fn name(&self) -> &'static str {
        "haskell-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/stack.yaml.lock`, `**/cabal.project.freeze`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = matches!(file.file_name(), "stack.yaml.lock" | "cabal.project.freeze");
        (is_wanted && !is_of_others(file.path)).then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Hackage, file);
        let is_stack = file.file_name() == "stack.yaml.lock";
        for line in fields::lines(contents) {
            let line = fields::text(line);
            let found = if is_stack { of_stack(line.trim()) } else { of_cabal(line.trim()) };
            if let Some((name, version)) = found {
                listing.add(name, version, Vec::new());
            }
        }
        listing.finish()
    }
}

/// `hackage: aeson-2.0.3.0@sha256:…,5763`, once for what was asked and once for what was found.
fn of_stack(line: &str) -> Option<(&str, &str)> {
    let reference = line.trim_start_matches("- ").strip_prefix("hackage:")?.trim();
    let package = reference.split('@').next().unwrap_or(reference);
    let (name, version) = package.rsplit_once('-')?;
    is_version(version).then_some((name, version))
}

/// `constraints: any.aeson ==2.0.3.0,`
fn of_cabal(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("constraints:").unwrap_or(line).trim().trim_end_matches(',');
    let (name, version) = line.strip_prefix("any.")?.split_once("==")?;
    let version = version.trim();
    is_version(version).then_some((name.trim(), version))
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
            "active-repositories: hackage.haskell.org:merge\nconstraints: any.Cabal ==3.2.1.0,\n             any.aeson ==2.0.3.0,\n             aeson -cffi +ordered-keymap\nindex-state: x\n",
            expect![[r#"
                hackage Cabal 3.2.1.0, purl pkg:hackage/Cabal@3.2.1.0
                hackage aeson 2.0.3.0, purl pkg:hackage/aeson@2.0.3.0
            "#]],
        );
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
