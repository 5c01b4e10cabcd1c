//! The packages of an image: each once, whatever the number of its places, and whose they are.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
};

use portcullis_model::{Distribution, Package, PackageType};

use crate::merge::is_of_bill;

/// What makes two packages one.
type Key<'a> = (PackageType, &'a str, &'a str, &'a str);

fn key(package: &Package) -> Key<'_> {
    (package.kind, &package.name, &package.version, &package.purl)
}

/// Packages as they are found.
#[derive(Default)]
pub(crate) struct Packages<'a> {
    found: Vec<Found<'a>>,
    /// The last of those found whose keys have this hash: keys themselves would be every text once more.
    last: HashMap<u64, usize>,
    hasher: RandomState,
}

/// A package.
struct Found<'a> {
    package: Package,
    /// The system's packages that own its copies; none where nobody owns one of them.
    owners: Option<BTreeSet<&'a str>>,
    /// One of another key with the same hash.
    next: Option<usize>,
}

impl<'a> Packages<'a> {
    /// Adds a copy of a package, which the system's package `owner` owns. The same package found in several places is one
    /// package with several locations.
    pub(crate) fn add(&mut self, mut package: Package, distribution: Option<&Distribution>, owner: Option<&'a str>) {
        portcullis_packages::complete(&mut package, distribution);
        let hash = self.hasher.hash_one(key(&package));
        let mut next = self.last.get(&hash).copied();
        while let Some(known) = next.and_then(|index| self.found.get_mut(index)) {
            if key(&known.package) == key(&package) {
                known.also(package, owner);
                return;
            }
            next = known.next;
        }
        let next = self.last.insert(hash, self.found.len());
        self.found.push(Found { package, owners: owner.map(|owner| BTreeSet::from([owner])), next });
    }

    /// The packages, by type, name, version and purl, with their owners.
    pub(crate) fn finish(self) -> Vec<Package> {
        let Self { mut found, last, hasher: _ } = self;
        drop(last);
        found.sort_unstable_by(|left, right| key(&left.package).cmp(&key(&right.package)));
        name_owners(&mut found);
        found.into_iter().map(|found| found.package).collect()
    }
}

impl<'a> Found<'a> {
    /// Another copy.
    fn also(&mut self, mut package: Package, owner: Option<&'a str>) {
        // Sorted once, at the end: one package can have a hundred thousand places.
        self.package.locations.append(&mut package.locations);
        if self.package.licenses.is_empty() {
            self.package.licenses = package.licenses;
        }
        // A manifest names a package, and the lockfile beside it what that needs.
        if self.package.depends_on.is_empty() {
            self.package.depends_on = std::mem::take(&mut package.depends_on);
        }
        match (self.owners.as_mut(), owner) {
            (Some(owners), Some(owner)) => _ = owners.insert(owner),
            // One copy that nobody owns is one copy that upstream's advisories speak of.
            (_, None) => self.owners = None,
            (None, Some(_)) => {}
        }
    }
}

/// A package whose files a package of the distribution owns is the distribution's. Several may own them (`openssl` and
/// `libssl3` have each a part of one release), if they were built of one source: the first is named.
fn name_owners(found: &mut [Found<'_>]) {
    let mut named: Vec<(usize, String)> = Vec::new();
    // What a bill of materials says of its packages is nobody's word for what a finding in another means.
    let is_owner = |package: &&Package| package.kind.is_operating_system() && !is_of_bill(package);
    let of_system = found.iter().map(|found| &found.package).filter(is_owner);
    let of_system: HashMap<&str, &Package> = of_system.map(|package| (package.name.as_str(), package)).collect();
    for (index, Found { owners, .. }) in found.iter().enumerate() {
        let mut owners = owners.iter().flatten().map(|owner| of_system.get(owner));
        let Some(first) = owners.next().flatten() else { continue };
        if owners.all(|other| other.is_some_and(|other| built_of(other) == built_of(first))) {
            named.push((index, first.purl.clone()));
        }
    }
    for (index, owner) in named {
        if let Some(found) = found.get_mut(index) {
            found.package.owned_by = Some(owner);
        }
    }
}

/// What a system's package was built of, and by whom.
fn built_of(package: &Package) -> (PackageType, &str, Option<&str>) {
    let source = package.source.as_ref().map_or(package.name.as_str(), |source| &source.name);
    (package.kind, source, package.vendor.as_deref())
}
