//! From the headers of a database to packages, what they own, and what they need of each other.

use portcullis_model::{OwnedPaths, Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use super::{damage::Damage, header::Header};
use crate::{
    complete::system_package,
    fields,
    needs::Needs,
    rpm_names::{module_stream, source_rpm},
};

/// Most packages of one database. The largest distribution has some sixty thousand.
const MAX_PACKAGES: usize = 100_000;

/// Most files that the packages of a database own.
const MAX_FILES: usize = 4_000_000;

/// Most things that are wrong with one database said one by one.
const MAX_PROBLEMS: usize = 100;

/// The bytes of all paths of a database, as a multiple of its size, that are looked at: names of directories are
/// stored once, and used for many files.
const PATH_RATIO: usize = 16;

/// Rpm's keys to verify packages with: stored as packages are, and none.
const KEYS: &[u8] = b"gpg-pubkey";

/// What the headers of one database add up to.
pub(super) struct Gatherer<'a> {
    path: &'a str,
    reading: Reading,
    headers: u64,
    problems: usize,
    needs: Needs,
    /// Bytes of text that may still be kept, and bytes of paths that may still be looked at: headers can let many
    /// values be the same bytes.
    text_left: usize,
    paths_left: usize,
    owned: usize,
}

impl<'a> Gatherer<'a> {
    /// For the database at `path`, of `size` bytes.
    pub(super) fn new(path: &'a str, size: usize) -> Self {
        Self {
            path,
            reading: Reading::default(),
            headers: 0,
            problems: 0,
            needs: Needs::default(),
            text_left: size,
            paths_left: size.saturating_mul(PATH_RATIO),
            owned: 0,
        }
    }

    /// Takes what a database has to say.
    pub(super) fn take(&mut self, next: Result<&[u8], Damage>) {
        match next {
            Ok(blob) => self.header(blob),
            Err(damage) => self.problem(&damage),
        }
    }

    fn problem(&mut self, damage: &Damage) {
        self.problems += 1;
        if self.problems <= MAX_PROBLEMS {
            self.reading.warnings.push(Warning::gap(self.path, damage.to_string()));
        }
    }

    fn header(&mut self, blob: &[u8]) {
        self.headers += 1;
        let number = self.headers;
        let Some(header) = Header::parse(blob) else { return self.problem(&Damage::Header { number }) };
        if header.is_cut {
            self.problem(&Damage::Header { number });
        }
        let (name, version) = (header.name.text(), header.version.text());
        if name == KEYS {
            return;
        }
        if name.is_empty() || version.is_empty() {
            let named = if name.is_empty() { String::new() } else { format!(" (`{}`)", fields::text(name)) };
            return self.problem(&Damage::Nameless { number, named });
        }
        let index = self.reading.packages.len();
        if index >= MAX_PACKAGES {
            return self.problem(&Damage::TooMany(MAX_PACKAGES, "packages"));
        }
        let package = package(&header, self.path);
        let Some(left) = self.text_left.checked_sub(weight(&package)) else {
            return self.problem(&Damage::Overlap);
        };
        self.text_left = left;
        self.needs.name(index, &package.name);
        header.provides.strings().for_each(|name| self.needs.provide(index, &fields::text(name)));
        // What rpm itself must be able to do is no package.
        let requires = header.requires.strings().filter(|name| !name.starts_with(b"rpmlib("));
        requires.for_each(|name| self.needs.require(index, std::iter::once(&*fields::text(name))));
        self.own(&header, &package.name);
        self.reading.packages.push(package);
    }

    /// Notes the files of a package.
    fn own(&mut self, header: &Header<'_>, name: &str) {
        let mut paths = Vec::new();
        let mut path = String::new();
        let mut directory: &[u8] = &[];
        let mut start = 0;
        for (of, file) in header.files().take(MAX_FILES.saturating_sub(self.owned)) {
            let Some(left) = self.paths_left.checked_sub(of.len() + file.len()) else {
                self.problem(&Damage::Overlap);
                break;
            };
            self.paths_left = left;
            // Files of one directory mostly follow each other.
            if path.is_empty() || !std::ptr::eq(of, directory) {
                path.clear();
                path.push_str(&fields::text(of));
                (directory, start) = (of, path.len());
            }
            path.truncate(start);
            path.push_str(&fields::text(file));
            paths.push(PathHash::of(&path));
        }
        self.owned += paths.len();
        if !paths.is_empty() {
            self.reading.owned.push(OwnedPaths { kind: PackageType::Rpm, package: name.to_owned(), paths });
        }
    }

    /// The reading, with what each package needs named by the packages that provide it.
    pub(super) fn finish(mut self) -> Reading {
        self.needs.resolve(&mut self.reading.packages, &self.reading.owned, self.text_left);
        if self.problems > MAX_PROBLEMS {
            let what = format!("{} more places are damaged", self.problems - MAX_PROBLEMS);
            self.reading.warnings.push(Warning::gap(self.path, what));
        }
        self.reading
    }
}

/// The bytes of text that a package keeps.
fn weight(package: &Package) -> usize {
    let source = package.source.as_ref().map_or(0, |source| source.name.len() + source.version.len());
    let optional = [&package.architecture, &package.vendor, &package.module];
    package.name.len()
        + package.version.len()
        + source
        + optional.into_iter().flatten().chain(&package.licenses).map(String::len).sum::<usize>()
}

fn package(header: &Header<'_>, path: &str) -> Package {
    let text = |values: super::header::Values<'_>| fields::text(values.text()).into_owned();
    let entry = Entry {
        name: text(header.name),
        version: text(header.version),
        release: text(header.release),
        epoch: header.epoch.u32(0).unwrap_or_default(),
        architecture: text(header.architecture),
        source_rpm: text(header.source_rpm),
        vendor: Some(text(header.vendor)).filter(|vendor| !vendor.is_empty()).unwrap_or_else(|| text(header.packager)),
        license: text(header.license),
        module: module_stream(&text(header.module_label)).to_owned(),
    };
    entry.into_package(path)
}

/// What databases and manifests say of a package; what they do not is empty.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) release: String,
    pub(super) epoch: u32,
    pub(super) architecture: String,
    pub(super) source_rpm: String,
    pub(super) vendor: String,
    pub(super) license: String,
    pub(super) module: String,
}

impl Entry {
    pub(super) fn into_package(self, path: &str) -> Package {
        let optional = |text: String| (!text.is_empty()).then_some(text);
        let version = full_version(self.epoch, &self.version, &self.release);
        Package {
            source: Some(source(&self.source_rpm, self.epoch, &self.name, &version)),
            architecture: optional(self.architecture),
            vendor: optional(self.vendor),
            module: optional(self.module),
            licenses: optional(self.license).into_iter().collect(),
            ..system_package(PackageType::Rpm, self.name, version, path)
        }
    }
}

/// `epoch:version-release`; a missing epoch is 0, and 0 is not written.
fn full_version(epoch: u32, version: &str, release: &str) -> String {
    let mut text = if epoch == 0 { String::new() } else { format!("{epoch}:") };
    text.push_str(version);
    if !release.is_empty() {
        text.push('-');
        text.push_str(release);
    }
    text
}

/// `openssl-3.0.7-18.el9.src.rpm` was built from `openssl`. It names no epoch: the binary's is taken.
fn source(file: &str, epoch: u32, name: &str, version: &str) -> SourcePackage {
    match source_rpm(file) {
        Some((name, version)) => SourcePackage { name: name.to_owned(), version: full_version(epoch, version, "") },
        None => SourcePackage { name: name.to_owned(), version: version.to_owned() },
    }
}
