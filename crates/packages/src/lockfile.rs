//! What readers of lockfiles share: gathering what a file lists, each package once, and saying what was left out.

use std::collections::{BTreeMap, HashMap};

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning};

use crate::complete::{language_package, language_purl};

/// Most packages taken from one file. The largest real ones list some ten thousand.
const MAX_PACKAGES: usize = 100_000;

/// Folders of what others wrote: a lockfile in one is that of its author, and says nothing of this project.
const OF_OTHERS: [&str; 6] = ["node_modules", "bower_components", "site-packages", "dist-packages", "vendor", ".yarn"];

/// Folders of the same kind, two names deep: Go's, cargo's and gem's stores.
const STORES: [&str; 4] = ["pkg/mod/", "registry/src/", "git/checkouts/", "ruby/gems/"];

/// Whether a lockfile lies among the files of somebody else's package.
pub(crate) fn is_of_others(path: &str) -> bool {
    let (folder, _) = path.rsplit_once('/').unwrap_or_default();
    folder.split('/').any(|name| OF_OTHERS.contains(&name))
        || STORES
            .iter()
            .any(|store| path.starts_with(store) || path.match_indices(store).any(|(at, _)| path[..at].ends_with('/')))
}

/// Where a package comes from, if not from its ecosystem's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Origin<'a> {
    /// The registry that advisories speak of.
    #[default]
    Registry,
    /// Another one.
    OtherRegistry(&'a str),
    /// A repository, with its commit.
    Repository(&'a str),
    /// A folder or a file of the project's own; the path may be empty.
    Local(&'a str),
}

impl Origin<'_> {
    /// Says so in the purl: a name alone would mean the registry.
    pub(crate) fn qualify(self, purl: Purl) -> Purl {
        match self {
            Self::Registry => purl,
            Self::OtherRegistry(url) => purl.qualifier("repository_url", url),
            Self::Repository(url) => purl.qualifier("vcs_url", url),
            Self::Local("") => purl.qualifier("repository_url", "file:."),
            Self::Local(path) => purl.qualifier("repository_url", &format!("file:{path}")),
        }
    }
}

/// The packages that one file lists.
pub(crate) struct Listing<'a> {
    kind: PackageType,
    path: &'a str,
    reading: Reading,
    /// Index by purl.
    known: HashMap<String, usize>,
    /// How many were left out, by the reason.
    left_out: BTreeMap<&'static str, usize>,
    is_full: bool,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(kind: PackageType, file: &FileHeader<'a>) -> Self {
        Self {
            kind,
            path: file.path,
            reading: Reading::default(),
            known: HashMap::new(),
            left_out: BTreeMap::new(),
            is_full: false,
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &'a str {
        self.path
    }

    /// A file that cannot be read at all.
    pub(crate) fn unreadable(file: &FileHeader<'_>, why: impl std::fmt::Display) -> Reading {
        let warning = Warning::gap(file.path, format!("its packages were not read: {why}"));
        Reading { warnings: vec![warning], ..Reading::default() }
    }

    /// Adds a package of the registry.
    pub(crate) fn add(&mut self, name: &str, version: &str, depends_on: Vec<String>) {
        self.add_from(Origin::Registry, name, version, depends_on);
    }

    /// Adds a package. One that is there already gains what it needs.
    pub(crate) fn add_from(&mut self, origin: Origin<'_>, name: &str, version: &str, depends_on: Vec<String>) {
        let purl = origin.qualify(language_purl(self.kind, name, version));
        let package = language_package(self.kind, purl, (name.to_owned(), version.to_owned()), None, self.path);
        self.add_package(Package { depends_on, ..package });
    }

    /// Adds a package that its reader has made.
    pub(crate) fn add_package(&mut self, mut package: Package) {
        package.depends_on.sort();
        package.depends_on.dedup();
        if let Some(known) = self.known.get(&package.purl).and_then(|&index| self.reading.packages.get_mut(index)) {
            if known.depends_on != package.depends_on {
                known.depends_on.append(&mut package.depends_on);
                known.depends_on.sort();
                known.depends_on.dedup();
            }
            return;
        }
        if self.reading.packages.len() >= MAX_PACKAGES {
            if !std::mem::replace(&mut self.is_full, true) {
                self.gap(format!("it lists more than {MAX_PACKAGES} packages: the others were not read"));
            }
            return;
        }
        self.known.insert(package.purl.clone(), self.reading.packages.len());
        self.reading.packages.push(package);
    }

    /// Counts a package that is not listed, for `reason`: "for development alone".
    pub(crate) fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Says that the packages are some of those that the file was made of, and no more.
    pub(crate) fn partial(&mut self, why: &str) {
        self.reading.partial = Some(why.to_owned());
    }

    /// Something that was not read.
    pub(crate) fn gap(&mut self, what: impl Into<String>) {
        self.reading.warnings.push(Warning::gap(self.path, what));
    }

    /// Something to know.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.reading.warnings.push(Warning::note(self.path, what));
    }

    /// The reading.
    pub(crate) fn finish(mut self) -> Reading {
        for (reason, count) in std::mem::take(&mut self.left_out) {
            let packages = if count == 1 { "1 package" } else { &format!("{count} packages") };
            self.note(format!("{packages} left out: {reason}"));
        }
        self.reading
    }
}

/// Why a package of a lockfile is not listed.
pub(crate) mod reasons {
    /// The file marks it as for development.
    pub(crate) const DEVELOPMENT: &str = "needed for development alone";
}
