//! Python packages that a project has locked: poetry, PDM, uv, Pipenv, `pylock.toml`, pinned requirements, and what its own
//! description pins.
//!
//! The formats are described in a file each. What is for development alone is left out and counted, where a file says
//! so.

mod project;
pub(super) mod requirements;
mod toml_locks;

use std::collections::HashSet;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading, lookup_name};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, Origin, is_of_others, reasons},
    tree,
};

/// Reads the lockfiles of Python.
pub(crate) struct PythonLock;

/// How one kind of file is read; what it cannot be is told in words.
type Parse = fn(&mut Listing<'_>, &[u8]) -> Result<(), String>;

/// What is read, by name.
fn parser(file: &FileHeader<'_>) -> Option<Parse> {
    let is_folder = |folder: &str| folder == "requirements" || folder.ends_with("/requirements");
    Some(match file.file_name() {
        "poetry.lock" => toml_locks::poetry,
        "pdm.lock" => toml_locks::pdm,
        "uv.lock" => toml_locks::uv,
        // `tool.py.lock`, of a script that says what it needs.
        name if name.ends_with(".py.lock") => script,
        "Pipfile.lock" => pipfile,
        "pylock.toml" => toml_locks::pylock,
        "pyproject.toml" => project::pyproject,
        "setup.cfg" => project::setup_cfg,
        "setup.py" => project::setup_py,
        // `pylock.deploy.toml`, one for each of several uses.
        name if name.starts_with("pylock.") && name.ends_with(".toml") => toml_locks::pylock,
        // `requirements-dev.txt`, `test-requirements.txt`.
        name if name.ends_with(".txt") && (name.contains("requirements") || is_folder(file.parent())) => {
            requirements::read
        }
        _ => return None,
    })
}

impl PackageReader for PythonLock {
    fn name(&self) -> &'static str {
        "python-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/poetry.lock`, `**/pdm.lock`, `**/uv.lock`, `**/*.py.lock`, `**/Pipfile.lock`, `**/pylock.toml`, `**/pylock.*.toml`, \
         `**/*requirements*.txt`, `**/requirements/*.txt`, `**/pyproject.toml`, `**/setup.cfg`, `**/setup.py`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        parser(file).filter(|_| !is_of_others(file.path))?;
        Some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(parse) = parser(file) else { return Reading::default() };
        let mut listing = Listing::new(PackageType::Pypi, file);
        match parse(&mut listing, contents) {
            Ok(()) => listing.finish(),
            Err(why) => Listing::unreadable(file, why),
        }
    }
}

/// Adds a package under its normal name.
fn add(
    listing: &mut Listing<'_>,
    origin: Origin<'_>,
    name: &str,
    version: &str,
    needs: impl IntoIterator<Item = String>,
) {
    listing.add_from(origin, &normal(name), version, needs);
}

/// <https://peps.python.org/pep-0503/#normalized-names>
pub(super) fn normal(name: &str) -> String {
    lookup_name("PyPI", name).into_owned()
}

/// That of a script; an empty one is a lock of another kind, which only has to be there.
fn script(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    if contents.is_empty() { Ok(()) } else { toml_locks::uv(listing, contents) }
}

/// `Pipfile.lock`. Format: <https://github.com/pypa/pipfile#pipfilelock>.
fn pipfile(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = tree::json(contents)?;
    if !document.get("_meta").is_map() {
        return Err("`_meta` is missing".to_owned());
    }
    let needed: HashSet<&str> = document.get("default").keys().collect();
    for (group, packages) in document.entries().iter().filter(|(group, _)| group != "_meta") {
        for (name, package) in packages.entries() {
            if group == "develop" {
                // What both need is listed by the other.
                if !needed.contains(name.as_str()) {
                    listing.leave_out(reasons::DEVELOPMENT);
                }
                continue;
            }
            let version = package.text_of("version").and_then(|version| version.strip_prefix("=="));
            let place = ["git", "path", "file"].iter().find_map(|kind| Some((*kind, package.text_of(kind)?)));
            let origin = match place {
                Some(("git", url)) => Origin::Repository(url),
                Some((_, path)) => match path.strip_prefix("file://") {
                    Some(path) => Origin::Local(path),
                    None if path.contains("://") => Origin::Archive(path),
                    None => Origin::Local(path),
                },
                None => Origin::Registry,
            };
            if version.is_none() && origin == Origin::Registry {
                listing.gap(format!("{name} has no version"));
                continue;
            }
            add(listing, origin, name, version.unwrap_or_default(), Vec::new());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
