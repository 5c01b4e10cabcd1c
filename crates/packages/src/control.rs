//! Records of installed packages as dpkg and opkg keep them: one file of `Name: value` lines.
//!
//! Format: <https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html>, and
//! <https://manpages.debian.org/bookworm/dpkg/dpkg.1.en.html#PACKAGE_STATES> for the states.

use portcullis_model::{Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use crate::{complete::system_package, fields, limits, needs::Needs};

/// How much of a system a file of records tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All packages.
    Whole,
    /// One package, or several, and perhaps something else beside them.
    Part,
}

/// The fields of one record that matter here.
#[derive(Default)]
struct Record<'a> {
    package: &'a [u8],
    status: Option<&'a [u8]>,
    version: &'a [u8],
    source: &'a [u8],
    architecture: &'a [u8],
    maintainer: &'a [u8],
    origin: &'a [u8],
    license: &'a [u8],
    provides: &'a [u8],
    depends: [&'a [u8]; 2],
}

impl<'a> Record<'a> {
    fn parse(record: &'a [u8]) -> Self {
        let mut parsed = Self::default();
        for (name, value) in fields::fields(record) {
            match name {
                b"Package" => parsed.package = value,
                b"Status" => parsed.status = Some(value),
                b"Version" => parsed.version = value,
                b"Source" => parsed.source = value,
                b"Architecture" => parsed.architecture = value,
                b"Maintainer" => parsed.maintainer = value,
                b"Origin" => parsed.origin = value,
                b"License" => parsed.license = value,
                b"Provides" => parsed.provides = value,
                b"Pre-Depends" => parsed.depends[0] = value,
                b"Depends" => parsed.depends[1] = value,
                _ => {}
            }
        }
        parsed
    }

    /// Whether files of the package are there: the third word is the state. Distroless images write none. In every
    /// state but these two some are: opkg has names of its own for those in which something went wrong.
    fn is_installed(&self) -> bool {
        let state = self.status.map(|status| status.rsplit(u8::is_ascii_whitespace).next().unwrap_or(status));
        !matches!(state, Some(b"not-installed" | b"config-files"))
    }

    fn package(&self, kind: PackageType, path: &str) -> Package {
        let name = fields::text(self.package).into_owned();
        let version = fields::text(self.version).into_owned();
        let optional = |value: &[u8]| (!value.is_empty()).then(|| fields::text(value).into_owned());
        Package {
            // A record of opkg's names a folder of recipes there.
            source: (kind == PackageType::Deb).then(|| source(&fields::text(self.source), &name, &version)),
            architecture: optional(self.architecture),
            vendor: optional(self.maintainer).or_else(|| optional(self.origin)),
            licenses: optional(self.license).into_iter().collect(),
            ..system_package(kind, name, version, path)
        }
    }
}

/// Reads the installed packages of a file of records.
pub(crate) fn read(kind: PackageType, path: &str, contents: &[u8], extent: Extent) -> Reading {
    let mut reading = Reading::default();
    let mut needs = Needs::default();
    for (index, record) in fields::records(contents).enumerate() {
        if index == limits::RECORDS {
            reading.warnings.push(limits::too_many_records(path));
            break;
        }
        let record = Record::parse(record);
        if !record.is_installed() {
            continue;
        }
        let name = fields::text(record.package);
        match (record.package.is_empty(), record.version.is_empty()) {
            (false, false) => {
                let mut package = record.package(kind, path);
                note_needs(&record, extent, &mut package, (reading.packages.len(), &mut needs));
                reading.packages.push(package);
            }
            // A distroless image may keep other things beside its packages.
            (true, _) if extent == Extent::Part && record.version.is_empty() => {
                reading.warnings.push(Warning::note(path, format!("record {} is not a package", index + 1)));
            }
            (true, _) => {
                reading.warnings.push(Warning::gap(path, format!("record {} has no package name", index + 1)));
            }
            (false, true) => {
                reading.warnings.push(Warning::gap(path, format!("package `{name}` has no version")));
            }
        }
    }
    if extent == Extent::Whole {
        needs.resolve(&mut reading.packages, &[], contents.len());
    }
    reading
}

/// Notes what a package needs. In a part of a database all alternatives are named: which one is there is not known.
fn note_needs(record: &Record<'_>, extent: Extent, package: &mut Package, (index, needs): (usize, &mut Needs)) {
    needs.name(index, &package.name);
    let provides = fields::text(record.provides);
    provides.split(',').map(bare).filter(|name| !name.is_empty()).for_each(|name| needs.provide(index, name));
    for depends in record.depends {
        let depends = fields::text(depends);
        for need in depends.split(',') {
            let alternatives = need.split('|').map(bare).filter(|name| !name.is_empty());
            match extent {
                Extent::Whole => needs.require(index, alternatives),
                Extent::Part => package.depends_on.extend(alternatives.map(str::to_owned)),
            }
        }
    }
    package.depends_on.sort();
    package.depends_on.dedup();
}

/// `libc6:any (>= 2.36)` is `libc6`.
fn bare(need: &str) -> &str {
    let need = need.trim_start();
    need.split(|end: char| end.is_whitespace() || matches!(end, '(' | ':' | '[')).next().unwrap_or_default()
}

/// Reads `Source: name (version)`; what is left out is as the binary package's.
fn source(text: &str, name: &str, version: &str) -> SourcePackage {
    let (source, rest) = text.split_once('(').unwrap_or((text, ""));
    let (source, source_version) = (source.trim(), rest.trim_end_matches(')').trim());
    SourcePackage {
        name: if source.is_empty() { name } else { source }.to_owned(),
        version: if source_version.is_empty() { version } else { source_version }.to_owned(),
    }
}

/// The files of a list, one a line, without the directories above them.
pub(crate) fn listed(contents: &[u8]) -> Vec<PathHash> {
    let mut paths = Vec::new();
    let mut lines = fields::lines(contents).peekable();
    while let Some(line) = lines.next() {
        // A directory stands before its first entry, and is shared with other packages.
        let next = lines.peek().copied().unwrap_or_default();
        let is_directory = next.strip_prefix(line).is_some_and(|rest| rest.starts_with(b"/"));
        if !is_directory && line.starts_with(b"/") && line != b"/." {
            paths.push(PathHash::of(&fields::text(line)));
        }
    }
    paths
}
