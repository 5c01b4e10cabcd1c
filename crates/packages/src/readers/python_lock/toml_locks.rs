//! `poetry.lock`, `pdm.lock`, `uv.lock` and `pylock.toml`.
//!
//! Formats: <https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock>,
//! <https://pdm-project.org/en/latest/usage/lockfile/>, <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>,
//! <https://packaging.python.org/en/latest/specifications/pylock-toml/>.

use std::collections::{HashMap, HashSet};

use super::{add, normal, requirements::split_name};
use crate::{
    lockfile::{Listing, Origin, reasons},
    tree::{self, Node},
};

/// Most packages of one name that another is said to need. Real files have one, or a few for several systems.
const MAX_CHOSEN: usize = 100;

/// The packages of a file, and what was chosen by each name.
struct Lock {
    document: Node,
    list: &'static str,
}

impl Lock {
    fn read(contents: &[u8], list: &'static str) -> Result<Self, String> {
        let document = tree::toml(contents)?;
        // A project without dependencies has no list, and a file of another kind none of these.
        let is_lock =
            ["metadata", "version", "lock-version", list].iter().any(|key| document.get(key) != &Node::Nothing);
        if is_lock { Ok(Self { document, list }) } else { Err("it is no lockfile".to_owned()) }
    }

    fn packages(&self) -> &[Node] {
        self.document.get(self.list).items()
    }

    /// Indexes of packages by normal name, and by `name@version`.
    fn by_name(&self) -> HashMap<String, Vec<usize>> {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, package) in self.packages().iter().enumerate() {
            if let Some(name) = package.text_of("name").map(normal) {
                if let Some(version) = package.text_of("version") {
                    by_name.entry(format!("{name}@{version}")).or_default().push(index);
                }
                by_name.entry(name).or_default().push(index);
            }
        }
        by_name
    }

    /// `name@version` of each package that a name stands for.
    fn chosen(&self, by_name: &HashMap<String, Vec<usize>>, name: &str) -> impl Iterator<Item = String> {
        let name = normal(name);
        let indexes = by_name.get(&name).map_or(&[][..], Vec::as_slice).iter().take(MAX_CHOSEN);
        let versions = indexes.filter_map(|&index| self.packages().get(index)?.text_of("version"));
        versions.map(move |version| format!("{name}@{version}"))
    }
}

/// Name and version, or a gap.
fn identity<'a>(listing: &mut Listing<'_>, package: &'a Node) -> Option<(&'a str, &'a str)> {
    let (name, version) = (package.text_of("name"), package.text_of("version"));
    if name.is_none() || version.is_none() {
        listing.gap(format!("{}: a package without a name, or without a version", name.unwrap_or("?")));
    }
    Some((name?, version?))
}

pub(super) fn poetry(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let lock = Lock::read(contents, "package")?;
    let by_name = lock.by_name();
    for package in lock.packages() {
        let groups = package.get("groups");
        let is_main = match package.text_of("category") {
            Some(category) => category == "main",
            None => groups.items().is_empty() || groups.texts().any(|group| group == "main"),
        };
        if !is_main {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let Some((name, version)) = identity(listing, package) else { continue };
        let source = package.get("source");
        let place = source.text_of("url").unwrap_or_default();
        let origin = match source.text_of("type") {
            Some("git") => Origin::Repository(place),
            Some("directory" | "file") => Origin::Local(place),
            _ => Origin::Registry,
        };
        let needs = package.get("dependencies").entries().iter();
        let needs = needs.filter(|(_, needed)| !needed.get("optional").is_true());
        let needs = needs.flat_map(|(name, _)| lock.chosen(&by_name, name));
        add(listing, origin, name, version, needs);
    }
    Ok(())
}

pub(super) fn pdm(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let lock = Lock::read(contents, "package")?;
    let by_name = lock.by_name();
    for package in lock.packages() {
        let groups = package.get("groups");
        if !groups.items().is_empty() && groups.texts().all(is_for_development) {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let Some((name, version)) = identity(listing, package) else { continue };
        let origin = match (package.text_of("git"), package.text_of("path")) {
            (Some(url), _) => Origin::Repository(url),
            (None, Some(path)) => Origin::Local(path),
            (None, None) => Origin::Registry,
        };
        let needs = package.get("dependencies").texts().filter_map(split_name);
        // An entry for a package with extras needs the package itself.
        let needs = needs.filter(|(needed, _)| normal(needed) != normal(name));
        let needs = needs.flat_map(|(name, _)| lock.chosen(&by_name, name));
        add(listing, origin, name, version, needs);
    }
    Ok(())
}

/// Whether the name of a group says that it is for work on the project. PDM's lockfile does not tell groups of development
/// from a project's optional dependencies, so every other one counts.
pub(super) fn is_for_development(group: &str) -> bool {
    const USUAL: [&str; 16] = [
        "benchmark",
        "ci",
        "coverage",
        "debug",
        "dev",
        "develop",
        "development",
        "doc",
        "docs",
        "documentation",
        "format",
        "lint",
        "test",
        "testing",
        "tests",
        "typing",
    ];
    USUAL.contains(&group)
}

pub(super) fn uv(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let lock = Lock::read(contents, "package")?;
    let by_name = lock.by_name();
    let reached = reached(&lock, &by_name);
    for (index, package) in lock.packages().iter().enumerate() {
        if !reached.get(index).copied().unwrap_or(true) {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let source = package.get("source");
        let local = ["editable", "virtual", "directory", "path"].iter().find_map(|kind| source.text_of(kind));
        // A project's own version may be made when it is built.
        if local.is_some() && package.text_of("version").is_none() {
            continue;
        }
        let Some((name, version)) = identity(listing, package) else { continue };
        let origin = match (local, source.text_of("git")) {
            (Some(path), _) => Origin::Local(path),
            (None, Some(url)) => Origin::Repository(url),
            (None, None) => Origin::Registry,
        };
        let chosen = runtime(package).filter_map(key).flat_map(|key| indexes(&by_name, &key).iter().take(MAX_CHOSEN));
        let chosen = chosen.filter_map(|&index| lock.packages().get(index));
        let needs = chosen.filter_map(|node| Some(format!("{}@{}", node.text_of("name")?, node.text_of("version")?)));
        add(listing, origin, name, version, needs);
    }
    Ok(())
}

/// What a package of uv needs to run, its extras included: those that nobody asked for are not in the file.
fn runtime(package: &Node) -> impl Iterator<Item = &Node> {
    let extras = package.get("optional-dependencies").entries().iter().flat_map(|(_, extra)| extra.items());
    package.get("dependencies").items().iter().chain(extras)
}

/// What `needed` is found by; it names a version where there are several.
fn key(needed: &Node) -> Option<String> {
    let name = normal(needed.text_of("name")?);
    Some(needed.text_of("version").map_or_else(|| name.clone(), |version| format!("{name}@{version}")))
}

fn indexes<'a>(by_name: &'a HashMap<String, Vec<usize>>, key: &str) -> &'a [usize] {
    by_name.get(key).map_or(&[][..], Vec::as_slice)
}

/// Which packages the project needs to run; all if the file does not name the project.
fn reached(lock: &Lock, by_name: &HashMap<String, Vec<usize>>) -> Vec<bool> {
    let is_own = |package: &Node| {
        let source = package.get("source");
        source.text_of("editable").is_some() || source.text_of("virtual").is_some()
    };
    let packages = lock.packages();
    let mut pending: Vec<usize> =
        (0..packages.len()).filter(|&index| packages.get(index).is_some_and(is_own)).collect();
    let mut reached = vec![pending.is_empty(); packages.len()];
    let mut asked = HashSet::new();
    while let Some(index) = pending.pop() {
        let Some(is_reached) = reached.get_mut(index) else { continue };
        if !std::mem::replace(is_reached, true)
            && let Some(package) = packages.get(index)
        {
            let keys = runtime(package).filter_map(key).filter(|key| asked.insert(key.clone()));
            pending.extend(keys.flat_map(|key| indexes(by_name, &key)));
        }
    }
    reached
}

pub(super) fn pylock(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let lock = Lock::read(contents, "packages")?;
    let by_name = lock.by_name();
    for package in lock.packages() {
        let name = package.text_of("name").unwrap_or("?");
        let repository = package.get("vcs").text_of("url");
        let local = package.get("directory").text_of("path");
        let origin = match (repository, local) {
            (Some(url), _) => Origin::Repository(url),
            (None, Some(path)) => Origin::Local(path),
            (None, None) => Origin::Registry,
        };
        // What is built from a tree has no version until then.
        let version = match package.text_of("version") {
            Some(version) => version,
            None if origin != Origin::Registry => "",
            None => {
                listing.gap(format!("{name}: a package without a version"));
                continue;
            }
        };
        let needs = package.get("dependencies").items().iter().filter_map(|needed| needed.text_of("name"));
        let needs = needs.flat_map(|name| lock.chosen(&by_name, name));
        add(listing, origin, name, version, needs);
    }
    Ok(())
}
