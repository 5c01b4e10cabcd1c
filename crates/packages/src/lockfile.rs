//! What readers of lockfiles share: gathering what a file lists, each package once, and saying what was left out.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use portcullis_filetree::FileHeader;
use portcullis_model::{Awaited, Completion, Package, PackageType, Purl, Reading, Warning};

use crate::complete::{language_package, language_purl};

/// Most packages taken from one file. The largest real ones list some ten thousand.
const MAX_PACKAGES: usize = 100_000;

/// Most bytes of names of what the packages of one file need: many can need one of a long name, or many of one name.
const MAX_NEEDED: usize = 64 << 20;

/// Most gaps that are listed one by one.
const MAX_GAPS: usize = 100;

/// Most entries of a file that await others.
const MAX_AWAITED: usize = 10_000;

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
    /// A folder or an archive of the project's own; the path may be empty.
    Local(&'a str),
    /// An archive at an address.
    Archive(&'a str),
}

impl Origin<'_> {
    /// Says so in the purl: a name alone would mean the registry.
    pub(crate) fn qualify(self, purl: Purl) -> Purl {
        match self {
            Self::Registry => purl,
            Self::OtherRegistry(url) => purl.qualifier("repository_url", &without_credentials(url)),
            Self::Repository(url) => purl.qualifier("vcs_url", &without_credentials(url)),
            Self::Archive(url) => purl.qualifier("download_url", &without_credentials(url)),
            // It is no folder of the project's: what is packed in it may be what the registry has.
            Self::Local(path) if is_archive(path) => purl.qualifier("download_url", &format!("file:{path}")),
            Self::Local("") => purl.qualifier("repository_url", "file:."),
            Self::Local(path) => purl.qualifier("repository_url", &format!("file:{path}")),
        }
    }
}

/// Whether a path is that of a packed package.
pub(crate) fn is_archive(path: &str) -> bool {
    const ENDINGS: [&str; 7] = [".conda", ".egg", ".tar.bz2", ".tar.gz", ".tgz", ".whl", ".zip"];
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// Whether a file that cannot be read is a template, of which none is known to ask for packages.
pub(crate) fn is_template(text: &str) -> bool {
    (text.contains("{{") || text.contains("{%")) && !text.contains("dependencies")
}

/// An address without the user and the password that some write into it: a report is for more eyes than the file.
pub(crate) fn without_credentials(url: &str) -> Cow<'_, str> {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        let credentials = host.rfind('@')? + 1;
        // `git+ssh://git@…`: the user alone is no secret there, as it is for HTTP.
        if scheme.ends_with("ssh") && !host.get(..credentials)?.contains(':') {
            return None;
        }
        Some(format!("{scheme}://{}", rest.get(credentials..)?))
    };
    parts().map_or(Cow::Borrowed(url), Cow::Owned)
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
    /// Bytes that names of what is needed may still take.
    needed_left: usize,
    /// How many gaps were not listed one by one.
    more_gaps: usize,
    /// What it leaves to other files.
    awaited: Vec<Awaited>,
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
            needed_left: MAX_NEEDED,
            more_gaps: 0,
            awaited: Vec::new(),
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
    pub(crate) fn add(&mut self, name: &str, version: &str, depends_on: impl IntoIterator<Item = String>) {
        self.add_from(Origin::Registry, name, version, depends_on);
    }

    /// Adds a package. One that is there already gains what it needs.
    pub(crate) fn add_from(
        &mut self,
        origin: Origin<'_>,
        name: &str,
        version: &str,
        depends_on: impl IntoIterator<Item = String>,
    ) {
        self.add_licensed(origin, name, version, Vec::new(), depends_on);
    }

    /// Adds a package whose licences the file names.
    pub(crate) fn add_licensed(
        &mut self,
        origin: Origin<'_>,
        name: &str,
        version: &str,
        licenses: Vec<String>,
        depends_on: impl IntoIterator<Item = String>,
    ) {
        let purl = origin.qualify(language_purl(self.kind, name, version));
        let package = language_package(self.kind, purl, (name.to_owned(), version.to_owned()), None, self.path);
        let depends_on = depends_on.into_iter().map_while(|needed| self.keep(needed)).collect();
        self.add_package(Package { depends_on, licenses, ..package });
    }

    /// A name of what is needed, if there is room for it.
    fn keep(&mut self, needed: String) -> Option<String> {
        let cost = needed.len() + size_of::<String>();
        if let Some(left) = self.needed_left.checked_sub(cost) {
            self.needed_left = left;
            return Some(needed);
        }
        if std::mem::take(&mut self.needed_left) > 0 {
            self.note("its packages need more than can be kept: some of these links are not listed");
        }
        None
    }

    /// Adds a package that its reader has made.
    pub(crate) fn add_package(&mut self, mut package: Package) {
        if let Some(known) = self.known.get(&package.purl).and_then(|&index| self.reading.packages.get_mut(index)) {
            known.depends_on.append(&mut package.depends_on);
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

    /// A part that every file of the format has is not there: it is of another version, or no such file.
    pub(crate) fn lacks(&mut self, part: &str) {
        self.gap(format!("its packages were not read: `{part}` is missing"));
    }

    /// Something that was not read.
    pub(crate) fn gap(&mut self, what: impl Into<String>) {
        if self.reading.warnings.len() < MAX_GAPS {
            self.reading.warnings.push(Warning::gap(self.path, what));
        } else {
            self.more_gaps += 1;
        }
    }

    /// Something that other files have to settle.
    pub(crate) fn await_others(&mut self, awaited: Awaited) {
        if self.awaited.len() < MAX_AWAITED {
            self.awaited.push(awaited);
        } else {
            self.more_gaps += 1;
        }
    }

    /// Something to know.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.reading.warnings.push(Warning::note(self.path, what));
    }

    /// The reading.
    pub(crate) fn finish(mut self) -> Reading {
        for package in &mut self.reading.packages {
            package.depends_on.sort_unstable();
            package.depends_on.dedup();
        }
        if !self.awaited.is_empty() {
            let awaited = std::mem::take(&mut self.awaited);
            self.reading.completion = Some(Box::new(Completion::Awaited(awaited)));
        }
        if self.more_gaps > 0 {
            let what = format!("{} more entries were not understood", self.more_gaps);
            self.reading.warnings.push(Warning::gap(self.path, what));
        }
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

    /// It names no version, but those that would do.
    pub(crate) const RANGE: &str = "a range of versions, and not one, is asked for";
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileHeader<'static> = FileHeader { path: "a.lock", size: 0, mode: 0o644, head: &[] };

    #[test]
    fn credentials_in_addresses_are_not_shown() {
        let shown = |origin: Origin<'_>| {
            let mut listing = Listing::new(PackageType::Npm, &FILE);
            listing.add_from(origin, "a", "1", []);
            listing.finish().packages[0].purl.clone()
        };
        assert_eq!(
            shown(Origin::Repository("git+https://me:secret@git.example/a.git@0123")),
            "pkg:npm/a@1?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fa.git%400123"
        );
        assert_eq!(
            shown(Origin::OtherRegistry("https://token@npm.example?x")),
            "pkg:npm/a@1?repository_url=https:%2F%2Fnpm.example%3Fx"
        );
        assert_eq!(shown(Origin::Local("../a")), "pkg:npm/a@1?repository_url=file:..%2Fa");
        assert!(shown(Origin::Repository("git+ssh://git@git.example/a")).contains("ssh:%2F%2Fgit%40git.example"));
        assert_eq!(shown(Origin::Repository("git@git.example:a/b")), "pkg:npm/a@1?vcs_url=git%40git.example:a%2Fb");
    }

    /// It may be one that the registry has, whose advisories are asked for then.
    #[test]
    fn an_archive_of_the_project_s_is_no_folder_of_it() {
        let mut listing = Listing::new(PackageType::Npm, &FILE);
        listing.add_from(Origin::Local("vendor/a-1.tgz"), "a", "1", []);
        assert_eq!(listing.finish().packages[0].purl, "pkg:npm/a@1?download_url=file:vendor%2Fa-1.tgz");
    }

    #[test]
    fn a_package_that_stands_twice_needs_what_both_need() {
        let mut listing = Listing::new(PackageType::Npm, &FILE);
        for needs in [["c", "b"], ["b", "d"]] {
            listing.add("a", "1", needs.map(str::to_owned));
        }
        assert_eq!(listing.finish().packages[0].depends_on, ["b", "c", "d"]);
    }

    #[test]
    fn gaps_and_needs_are_bounded() {
        let mut listing = Listing::new(PackageType::Npm, &FILE);
        (0..1000).for_each(|index| listing.gap(format!("entry {index}")));
        let long = "x".repeat(1 << 20);
        for version in 0..100 {
            listing.add("a", &version.to_string(), std::iter::repeat_n(long.clone(), 1000));
        }
        let reading = listing.finish();
        assert_eq!(reading.packages.len(), 100);
        let gaps = reading.warnings.iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap);
        assert_eq!(gaps.count(), MAX_GAPS + 1);
        assert!(reading.warnings.iter().any(|warning| warning.message.starts_with("900 more entries")));
        assert!(reading.warnings.iter().any(|warning| warning.message.starts_with("its packages need more")));
    }
}
