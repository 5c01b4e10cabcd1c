//! Debian's packages: dpkg's status file, its file lists, and the status files of distroless images.
//!
//! Format: <https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html>, and
//! <https://manpages.debian.org/bookworm/dpkg/dpkg.1.en.html#PACKAGE_STATES> for the states.

use portcullis_filetree::FileHeader;
use portcullis_model::{Location, OwnedPaths, Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use crate::{PackageReader, Selection, fields, limits};

/// Reads dpkg's database.
pub(crate) struct Dpkg;

/// The files of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All packages: `var/lib/dpkg/status`.
    Status,
    /// One package, or several, of a distroless image: `var/lib/dpkg/status.d/*`.
    StatusPart,
    /// A package's files, one a line: `var/lib/dpkg/info/*.list`.
    List,
    /// A package's files with their hashes: `var/lib/dpkg/status.d/*.md5sums`.
    Hashes,
}

fn kind_of(path: &str) -> Option<Kind> {
    let path = path.strip_prefix("var/lib/dpkg/")?;
    if path == "status" {
        return Some(Kind::Status);
    }
    if let Some(name) = path.strip_prefix("status.d/") {
        return Some(if name.ends_with(".md5sums") { Kind::Hashes } else { Kind::StatusPart });
    }
    path.strip_prefix("info/").is_some_and(|name| name.ends_with(".list")).then_some(Kind::List)
}

impl PackageReader for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn reads(&self) -> &'static str {
        "`var/lib/dpkg/status`, `var/lib/dpkg/status.d/*`, `var/lib/dpkg/info/*.list`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        kind_of(file.path).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        match kind_of(file.path) {
            Some(kind @ (Kind::Status | Kind::StatusPart)) => read_status(file.path, contents, kind),
            Some(Kind::List) => read_list(file, contents),
            Some(Kind::Hashes) => read_hashes(file, contents),
            None => Reading::default(),
        }
    }
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
                _ => {}
            }
        }
        parsed
    }

    /// Whether the package's files are there: the third word is the state. Distroless images write none.
    fn is_installed(&self) -> bool {
        let state = self.status.map(|status| status.rsplit(u8::is_ascii_whitespace).next().unwrap_or(status));
        matches!(
            state,
            None | Some(b"installed" | b"triggers-pending" | b"triggers-awaited" | b"half-configured" | b"unpacked")
        )
    }
}

fn read_status(path: &str, contents: &[u8], kind: Kind) -> Reading {
    let mut reading = Reading::default();
    for (index, record) in fields::records(contents).enumerate() {
        let record = Record::parse(record);
        if !record.is_installed() {
            continue;
        }
        let name = fields::text(record.package);
        match (record.package.is_empty(), record.version.is_empty()) {
            (false, false) => reading.packages.push(package(path, &record)),
            // A distroless image may keep other things beside its packages.
            (true, _) if kind == Kind::StatusPart && record.version.is_empty() => {
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
    reading
}

fn package(path: &str, record: &Record<'_>) -> Package {
    let name = fields::text(record.package).into_owned();
    let version = fields::text(record.version).into_owned();
    let optional = |value: &[u8]| (!value.is_empty()).then(|| fields::text(value).into_owned());
    Package {
        kind: PackageType::Deb,
        source: Some(source(&fields::text(record.source), &name, &version)),
        name,
        version,
        purl: String::new(),
        architecture: optional(record.architecture),
        vendor: optional(record.maintainer),
        licenses: Vec::new(),
        owned_by: None,
        locations: vec![Location { path: path.to_owned(), layer: None }],
    }
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

/// `info/libc6:amd64.list` is of `libc6`.
fn package_of<'a>(file: &FileHeader<'a>, suffix: &str) -> &'a str {
    let name = file.path.rsplit_once('/').map_or(file.path, |(_, name)| name);
    let name = name.strip_suffix(suffix).unwrap_or(name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

fn read_list(file: &FileHeader<'_>, contents: &[u8]) -> Reading {
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
    owned(package_of(file, ".list"), paths)
}

fn read_hashes(file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    let paths = fields::lines(contents).filter_map(|line| {
        let (hash, path) = line.split_at_checked(32)?;
        let path = fields::text(path.trim_ascii_start());
        (hash.is_ascii() && !path.is_empty()).then(|| PathHash::of(path.strip_prefix("./").unwrap_or(&path)))
    });
    owned(package_of(file, ".md5sums"), paths.collect())
}

fn owned(package: &str, paths: Vec<PathHash>) -> Reading {
    if paths.is_empty() {
        return Reading::default();
    }
    Reading { owned: vec![OwnedPaths { package: package.to_owned(), paths }], ..Reading::default() }
}
