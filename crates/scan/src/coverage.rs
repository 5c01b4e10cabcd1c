//! The stated blind spot: which executable files belong to a package that is known, and which to none.

use std::collections::{BTreeMap, HashMap};

use portcullis_model::{Coverage, Digest, ExecutableFile, Package, PackageType, PathHash};

use crate::{
    executables::Executable,
    merge::ancestors,
    owners::{Owner, Owners},
};

/// Most unexplained executables listed.
const MAX_UNKNOWN: usize = 1000;

/// What is known of who brought what.
pub(crate) struct Known<'a> {
    owners: &'a Owners,
    /// purls by type and name.
    purls: HashMap<(PackageType, &'a str), &'a str>,
    /// What lies at or below these paths is the package's: `node_modules/x/`; a binary is its own package.
    places: HashMap<&'a str, &'a str>,
}

impl<'a> Known<'a> {
    /// Of the files in `partial` some packages are known, and not all: those do not explain them.
    pub(crate) fn of(packages: &'a [Package], owners: &'a Owners, partial: &BTreeMap<String, String>) -> Self {
        let mut known = Self { owners, purls: HashMap::new(), places: HashMap::new() };
        for package in packages {
            known.purls.insert((package.kind, &package.name), &package.purl);
            if package.kind.is_operating_system() {
                continue;
            }
            for location in &package.locations {
                let path = location.path.as_str();
                let place = match package.kind {
                    // A lockfile names what is wanted, and owns nothing.
                    PackageType::Npm => path.strip_suffix("/package.json").unwrap_or(""),
                    // What lies in an archive is the archive's.
                    _ => path.split_once("!/").map_or(path, |(archive, _)| archive),
                };
                if !place.is_empty() && !partial.contains_key(place) {
                    known.places.entry(place).or_insert(&package.purl);
                }
            }
        }
        known
    }

    /// The purl of the package of the file at `path`.
    fn owner(&self, path: &str) -> Option<&str> {
        let by_list = self.owners.get(&PathHash::of(path));
        // A list of files names a package, and makes none known.
        let purl = |owner: &Owner| self.purls.get(&(owner.kind, owner.name.as_str())).copied();
        by_list
            .and_then(purl)
            .or_else(|| std::iter::once(path).chain(ancestors(path)).find_map(|place| self.places.get(place).copied()))
    }

    /// Whether the file at `path` belongs to a package that is known.
    pub(crate) fn explains(&self, path: &str) -> bool {
        self.owner(path).is_some()
    }

    /// How much of `executables`, each with its layer, is known; and the list of those that were hashed.
    pub(crate) fn measure(
        &self,
        executables: BTreeMap<String, (usize, Executable)>,
        diff_ids: &[Option<Digest>],
    ) -> (Coverage, Vec<ExecutableFile>) {
        let mut coverage = Coverage::default();
        let mut files = Vec::new();
        for (path, (layer, Executable { size, mode, digest, is_link, .. })) in executables {
            let owner = self.owner(&path);
            let bytes = if is_link { 0 } else { size };
            coverage.executable_files += 1;
            coverage.executable_bytes += bytes;
            if owner.is_some() {
                coverage.known_files += 1;
                coverage.known_bytes += bytes;
            } else if coverage.unknown.len() < MAX_UNKNOWN {
                coverage.unknown.push(path.clone());
            }
            files.extend(digest.map(|digest| ExecutableFile {
                path,
                digest,
                size,
                mode: format!("{mode:04o}"),
                layer: diff_ids.get(layer).copied().flatten(),
                owner: owner.map(str::to_owned),
            }));
        }
        (coverage, files)
    }
}
