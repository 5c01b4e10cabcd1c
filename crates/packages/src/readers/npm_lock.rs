//! JavaScript packages that a project has locked: npm, yarn, pnpm, bun and deno.
//!
//! Where a file says what is for development alone, that is left out and counted; yarn's files do not say. The formats
//! are described in a file each. `node_modules/.package-lock.json` is not read: it says what lies beside it.

mod bun;
mod deno;
mod package_lock;
mod pnpm;
mod yarn;

use std::collections::HashSet;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, Origin, is_of_others},
};

/// Reads the lockfiles of JavaScript.
pub(crate) struct NpmLock;

/// How one kind of file is read; what it cannot be is told in words.
type Parse = fn(&mut Listing<'_>, &[u8]) -> Result<(), String>;

/// What is read, by name.
fn parser(name: &str) -> Option<Parse> {
    Some(match name {
        "package-lock.json" | "npm-shrinkwrap.json" => package_lock::read,
        "yarn.lock" => yarn::read,
        "pnpm-lock.yaml" => pnpm::read,
        "bun.lock" => bun::read,
        "bun.lockb" => bun::refuse,
        "deno.lock" => deno::read,
        _ => return None,
    })
}

impl PackageReader for NpmLock {
    fn name(&self) -> &'static str {
        "npm-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/package-lock.json`, `**/npm-shrinkwrap.json`, `**/yarn.lock`, `**/pnpm-lock.yaml`, `**/bun.lock`, \
         `**/bun.lockb`, `**/deno.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        parser(file.file_name()).filter(|_| !is_of_others(file.path))?;
        Some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(parse) = parser(file.file_name()) else { return Reading::default() };
        let mut listing = Listing::new(PackageType::Npm, file);
        match parse(&mut listing, contents) {
            Ok(()) => listing.finish(),
            Err(why) => Listing::unreadable(file, why),
        }
    }
}

/// Splits `name@version` and `@scope/name@version`.
fn split_version(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Where a package comes from, by what stands in the place of a version or beside it.
fn origin(reference: &str) -> Origin<'_> {
    let local = ["file:", "link:", "workspace:", "portal:"].iter().find_map(|kind| reference.strip_prefix(kind));
    if let Some(path) = local {
        // Yarn writes more behind a path: `a.tgz#a.tgz::hash=…`, `a::locator=…`.
        let path = path.split('#').next().unwrap_or(path);
        return Origin::Local(path.split("::").next().unwrap_or(path));
    }
    let is_repository = ["git+", "git:", "git@", "github:", "gitlab:", "bitbucket:"];
    let is_archive = reference.starts_with("https://codeload.github.com/") || reference.contains(".git#");
    if is_archive || is_repository.iter().any(|kind| reference.starts_with(kind)) {
        return Origin::Repository(reference);
    }
    Origin::Registry
}

/// The keys that can be reached from `starts`, each key's needs given by `next`.
fn reach(starts: impl IntoIterator<Item = String>, mut next: impl FnMut(&str, &mut Vec<String>)) -> HashSet<String> {
    let mut pending: Vec<String> = starts.into_iter().collect();
    let mut reached = HashSet::new();
    while let Some(key) = pending.pop() {
        if !reached.contains(&key) {
            next(&key, &mut pending);
            reached.insert(key);
        }
    }
    reached
}

#[cfg(test)]
mod tests;
