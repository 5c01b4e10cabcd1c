//! Packages of Alpine, Wolfi and their relatives: apk's database.
//!
//! Format: <https://wiki.alpinelinux.org/wiki/Apk_spec#Install_DB>: fields of one letter, records between blank
//! lines; `F:` names a directory and each `R:` after it a file in it.

use portcullis_filetree::FileHeader;
use portcullis_model::{Location, OwnedPaths, Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use crate::{PackageReader, Selection, fields, limits};

/// Reads apk's database.
pub(crate) struct Apk;

impl PackageReader for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn reads(&self) -> &'static str {
        "`lib/apk/db/installed`, `usr/lib/apk/db/installed`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        matches!(file.path, "lib/apk/db/installed" | "usr/lib/apk/db/installed")
            .then_some(Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut reading = Reading::default();
        for (index, record) in fields::records(contents).enumerate() {
            let record = Record::parse(record);
            if record.name.is_empty() || record.version.is_empty() {
                let named = if record.name.is_empty() { String::new() } else { format!(" (`{}`)", record.name) };
                let message = format!("record {}{named} has no package name or no version", index + 1);
                reading.warnings.push(Warning::gap(file.path, message));
                continue;
            }
            if !record.paths.is_empty() {
                reading.owned.push(OwnedPaths { package: record.name.clone(), paths: record.paths.clone() });
            }
            reading.packages.push(record.into_package(file.path));
        }
        reading
    }
}

#[derive(Default)]
struct Record {
    name: String,
    version: String,
    architecture: String,
    origin: String,
    license: String,
    maintainer: String,
    paths: Vec<PathHash>,
}

impl Record {
    fn parse(record: &[u8]) -> Self {
        let mut parsed = Self::default();
        let mut path = String::new();
        let mut directory = 0;
        for (name, value) in fields::fields(record) {
            let text = fields::text(value);
            match name {
                b"P" => parsed.name = text.into_owned(),
                b"V" => parsed.version = text.into_owned(),
                b"A" => parsed.architecture = text.into_owned(),
                b"o" => parsed.origin = text.into_owned(),
                b"L" => parsed.license = text.into_owned(),
                b"m" => parsed.maintainer = text.into_owned(),
                b"F" => {
                    path.clear();
                    path.push_str(&text);
                    if !path.is_empty() {
                        path.push('/');
                    }
                    directory = path.len();
                }
                b"R" => {
                    path.truncate(directory);
                    path.push_str(&text);
                    parsed.paths.push(PathHash::of(&path));
                }
                _ => {}
            }
        }
        parsed
    }

    fn into_package(self, path: &str) -> Package {
        let optional = |value: String| (!value.is_empty()).then_some(value);
        let origin = optional(self.origin).unwrap_or_else(|| self.name.clone());
        Package {
            kind: PackageType::Apk,
            source: Some(SourcePackage { name: origin, version: self.version.clone() }),
            name: self.name,
            version: self.version,
            purl: String::new(),
            architecture: optional(self.architecture),
            vendor: optional(self.maintainer),
            licenses: optional(self.license).into_iter().collect(),
            owned_by: None,
            locations: vec![Location { path: path.to_owned(), layer: None }],
        }
    }
}
