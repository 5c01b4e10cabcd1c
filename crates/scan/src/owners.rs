//! Whose file is it: which package's list names each path.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use portcullis_model::{PackageType, PathHash, Reading};

use crate::symlinks::{Alias, Symlinks};

/// Which package claims a path, and the highest layer that says so.
pub(crate) type Owners = HashMap<PathHash, Owner>;

/// Who claims a path.
pub(crate) struct Owner {
    pub(crate) kind: PackageType,
    pub(crate) name: String,
    /// The layer up to which its claim counts.
    pub(crate) recorded: usize,
}

impl Owner {
    /// Of two claims, a distribution's counts before a language's, and the later record before the earlier.
    fn also(&mut self, other: Self) {
        if other.kind.is_operating_system() && !self.kind.is_operating_system() {
            *self = other;
        } else if other.kind.is_operating_system() == self.kind.is_operating_system() {
            self.recorded = self.recorded.max(other.recorded);
        }
    }
}

/// Which package of the distribution owns each path that matters, by whichever name its list has for it.
///
/// `files` are those that were read: each with its layer and what it said. `brought` are the layers of the distribution's
/// packages: the database that lists files may be written anew for another package's sake, long after this one came.
pub(crate) fn find<'a>(
    files: impl Iterator<Item = (&'a str, usize, &'a [Reading])> + Clone,
    executables: impl Iterator<Item = &'a str> + Clone,
    symlinks: &Symlinks,
    brought: &HashMap<(PackageType, &str), usize>,
) -> Owners {
    let paths = || files.clone().map(|(path, ..)| path).chain(executables.clone());
    let wanted: HashSet<PathHash> = paths().map(PathHash::of).collect();
    let aliases = aliases(paths(), &wanted, symlinks);
    let mut owners = Owners::new();
    for (_, written, readings) in files.clone() {
        for owned in readings.iter().flat_map(|reading| &reading.owned) {
            let recorded =
                brought.get(&(owned.kind, owned.package.as_str())).map_or(written, |came| written.min(*came));
            for named in &owned.paths {
                let path = match aliases.get(named) {
                    // A link that came later says nothing of where the files went that it names.
                    Some((path, since)) if *since <= recorded => path,
                    None if wanted.contains(named) => named,
                    _ => continue,
                };
                let claim = Owner { kind: owned.kind, name: owned.package.clone(), recorded };
                match owners.entry(*path) {
                    Entry::Vacant(place) => _ = place.insert(claim),
                    Entry::Occupied(mut place) => place.get_mut().also(claim),
                }
            }
        }
    }
    owners
}

/// By the names that lead to `paths` through links to their directories: the path, and the layer from which on it does.
fn aliases<'a>(
    paths: impl Iterator<Item = &'a str>,
    wanted: &HashSet<PathHash>,
    symlinks: &Symlinks,
) -> HashMap<PathHash, (PathHash, usize)> {
    let mut aliases = HashMap::new();
    // Most files lie in one directory with the one before.
    let mut known = ("", Vec::new());
    for path in paths {
        let Some((directory, file)) = path.rsplit_once('/') else { continue };
        if directory != known.0 {
            known = (directory, symlinks.aliases(directory));
        }
        for Alias { path: directory, since } in &known.1 {
            let name = PathHash::of(&format!("{directory}/{file}"));
            // The links of a merged `/usr` make no difference to hashes.
            if !wanted.contains(&name) {
                aliases.insert(name, (PathHash::of(path), *since));
            }
        }
    }
    aliases
}
