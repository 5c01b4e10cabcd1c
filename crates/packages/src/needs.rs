//! Which packages of one database need which: names that they need, resolved through what each of them provides.
//!
//! Names are kept as hashes: a database can hold hundreds of thousands. What is provided by none of its packages is
//! not installed, and left out.

use portcullis_model::{OwnedPaths, Package, PathHash};

/// Most names that the packages of a database provide, and most that they need.
const MAX_NAMES: usize = 4_000_000;

/// What packages provide and need, by their places in a list.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// The name, whether it is another than the package's own, and the package: a package's own name comes first.
    provides: Vec<(PathHash, bool, u32)>,
    /// The package, the need, and one of the names that satisfy it.
    requires: Vec<(u32, u32, PathHash)>,
    groups: u32,
}

impl Needs {
    /// Notes what `package` is called.
    pub(crate) fn name(&mut self, package: usize, name: &str) {
        self.provides.push((PathHash::of(name), false, package as u32));
    }

    /// Notes what else `package` provides.
    pub(crate) fn provide(&mut self, package: usize, name: &str) {
        if self.provides.len() < MAX_NAMES {
            self.provides.push((PathHash::of(name), true, package as u32));
        }
    }

    /// Notes that `package` needs one of `alternatives`, the first that is there.
    pub(crate) fn require<'a>(&mut self, package: usize, alternatives: impl Iterator<Item = &'a str>) {
        let room = MAX_NAMES.saturating_sub(self.requires.len());
        let group = self.groups;
        self.groups = self.groups.wrapping_add(1);
        self.requires.extend(alternatives.take(room).map(|name| (package as u32, group, PathHash::of(name))));
    }

    /// Writes into `packages` what each needs. A file that is needed is provided by its owner in `owned`, which has the
    /// order of `packages`. Names take no more than `limit` bytes: many packages can need one of a long name.
    pub(crate) fn resolve(mut self, packages: &mut [Package], owned: &[OwnedPaths], mut limit: usize) {
        self.provide_files(packages, owned);
        self.provides.sort_unstable();
        let provider = |hash: PathHash| {
            let start = self.provides.partition_point(|(provided, ..)| *provided < hash);
            self.provides.get(start).filter(|(provided, ..)| *provided == hash).map(|(_, _, index)| *index)
        };
        let mut satisfied = None;
        let mut found = Vec::new();
        for &(package, group, hash) in &self.requires {
            if satisfied != Some(group)
                && let Some(provider) = provider(hash)
            {
                satisfied = Some(group);
                found.push((package, provider));
            }
        }
        found.sort_unstable();
        found.dedup();
        for (package, provider) in found {
            let Some(name) = packages.get(provider as usize).map(|provider| provider.name.clone()) else { continue };
            let Some(left) = limit.checked_sub(name.len()) else { break };
            limit = left;
            if let Some(package) = packages.get_mut(package as usize).filter(|package| package.name != name) {
                package.depends_on.push(name);
            }
        }
        for package in packages {
            package.depends_on.sort();
            package.depends_on.dedup();
        }
    }

    fn provide_files(&mut self, packages: &[Package], owned: &[OwnedPaths]) {
        let mut wanted: Vec<PathHash> = self.requires.iter().map(|(.., hash)| *hash).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut packages = packages.iter().enumerate();
        for owned in owned {
            // Not each package owns files.
            let Some((index, _)) = packages.find(|(_, package)| package.name == owned.package) else { break };
            let needed = owned.paths.iter().filter(|path| wanted.binary_search(path).is_ok());
            self.provides.extend(needed.map(|path| (*path, true, index as u32)));
        }
    }
}
