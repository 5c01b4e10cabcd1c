//! What components say of one another. References are kept as hashes: a document has many more of them than packages.

use std::{
    collections::{HashMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use portcullis_model::{Package, SourcePackage};

/// Most links of one kind kept.
const MAX_LINKS: usize = 2_000_000;

/// Most dependencies of one package kept.
const MAX_DEPENDENCIES: usize = 2000;

/// Links between components, by their references.
#[derive(Default)]
pub(super) struct Links {
    packages: HashMap<u64, usize>,
    references: HashMap<usize, u64>,
    dependencies: Vec<(u64, u64)>,
    owners: Vec<(u64, u64)>,
    sources: Vec<(u64, u64)>,
    source_packages: HashMap<u64, SourcePackage>,
    described: HashSet<u64>,
}

impl Links {
    /// The package at `index` is called `reference`.
    pub(super) fn package(&mut self, reference: &str, index: usize) {
        if !reference.is_empty() {
            self.packages.entry(hash(reference)).or_insert(index);
            self.references.insert(index, hash(reference));
        }
    }

    pub(super) fn dependency(&mut self, from: &str, to: &str) {
        push(&mut self.dependencies, from, to);
    }

    pub(super) fn owner(&mut self, child: &str, owner: &str) {
        push(&mut self.owners, child, owner);
    }

    pub(super) fn source(&mut self, binary: &str, source: &str) {
        push(&mut self.sources, binary, source);
    }

    pub(super) fn source_package(&mut self, reference: &str, name: &str, version: &str) {
        if self.source_packages.len() < MAX_LINKS {
            let package = SourcePackage { name: name.to_owned(), version: version.to_owned() };
            self.source_packages.insert(hash(reference), package);
        }
    }

    pub(super) fn described(&mut self, reference: &str) {
        if self.described.len() < MAX_LINKS {
            self.described.insert(hash(reference));
        }
    }

    /// Whether the package at `index` is what the document describes.
    pub(super) fn is_described(&self, index: usize) -> bool {
        self.references.get(&index).is_some_and(|reference| self.described.contains(reference))
    }

    /// Fills in what packages were built from.
    pub(super) fn sources(&self, packages: &mut [Package]) {
        for (binary, source) in &self.sources {
            let package = self.packages.get(binary).and_then(|&index| packages.get_mut(index));
            if let (Some(package), Some(source)) = (package, self.source_packages.get(source))
                && package.kind.is_operating_system()
            {
                package.source = Some(source.clone());
            }
        }
    }

    /// Fills in what packages need, and who owns them.
    pub(super) fn connect(&self, packages: &mut [Package]) {
        for (from, to) in &self.dependencies {
            let (Some(&from), Some(&to)) = (self.packages.get(from), self.packages.get(to)) else { continue };
            let Some(purl) = packages.get(to).map(|package| package.purl.clone()) else { continue };
            if let Some(package) = packages.get_mut(from)
                && from != to
                && package.depends_on.len() < MAX_DEPENDENCIES
            {
                package.depends_on.push(purl);
            }
        }
        for (child, owner) in &self.owners {
            let (Some(&child), Some(&owner)) = (self.packages.get(child), self.packages.get(owner)) else { continue };
            let owner = packages.get(owner).filter(|owner| owner.kind.is_operating_system());
            let Some(purl) = owner.map(|owner| owner.purl.clone()) else { continue };
            if let Some(package) = packages.get_mut(child).filter(|package| !package.kind.is_operating_system()) {
                package.owned_by = Some(purl);
            }
        }
    }
}

fn push(links: &mut Vec<(u64, u64)>, from: &str, to: &str) {
    if links.len() < MAX_LINKS {
        links.push((hash(from), hash(to)));
    }
}

fn hash(reference: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    reference.hash(&mut hasher);
    hasher.finish()
}
