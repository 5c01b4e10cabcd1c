//! Packages of Red Hat, SUSE, Azure Linux and their relatives: rpm's database, in each of its three formats.
//!
//! Where it lies: <https://rpm.org/docs/6.0.x/manual/>. Older systems keep it in `var/lib/rpm`, newer ones in
//! `usr/lib/sysimage/rpm`, those whose system is a read-only tree in `usr/share/rpm`. Each format holds the same
//! headers (`header.rs`) in a container of its own.

mod berkeley;
mod bytes;
mod damage;
mod gather;
mod header;
mod manifest;
mod ndb;
mod sqlite;
#[cfg(test)]
mod tests;

use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::{PackageReader, Selection, limits};

/// Reads rpm's database.
pub(crate) struct Rpm;

const FOLDERS: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];
const MANIFEST: &str = "var/lib/rpmmanifest/container-manifest-2";

/// The files of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `Packages`
    Berkeley,
    /// `Packages.db`
    Ndb,
    /// `rpmdb.sqlite`
    Sqlite,
    /// `rpmdb.sqlite-wal`: changes that are not in the database itself.
    Log,
    /// The list of a distroless image.
    Manifest,
}

fn kind_of(file: &FileHeader<'_>) -> Option<Kind> {
    if file.path == MANIFEST {
        return Some(Kind::Manifest);
    }
    let kind = match file.file_name() {
        "Packages" => Kind::Berkeley,
        "Packages.db" => Kind::Ndb,
        "rpmdb.sqlite" => Kind::Sqlite,
        "rpmdb.sqlite-wal" if file.size > 0 => Kind::Log,
        _ => return None,
    };
    FOLDERS.contains(&file.parent()).then_some(kind)
}

impl PackageReader for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn reads(&self) -> &'static str {
        "`rpmdb.sqlite`, `Packages.db` and `Packages` in `var/lib/rpm`, `usr/lib/sysimage/rpm` and `usr/share/rpm`; \
         `var/lib/rpmmanifest/container-manifest-2`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        kind_of(file).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let headers = match kind_of(file) {
            Some(Kind::Berkeley) => berkeley::headers,
            Some(Kind::Ndb) => ndb::headers,
            Some(Kind::Sqlite) => sqlite::headers,
            Some(Kind::Log) => {
                let what = "changes that were not yet written to the rpm database lie in this log, which is not read";
                return Reading { warnings: vec![Warning::gap(file.path, what)], ..Reading::default() };
            }
            Some(Kind::Manifest) => return manifest::read(file.path, contents),
            None => return Reading::default(),
        };
        let mut gatherer = gather::Gatherer::new(file.path, contents.len());
        headers(contents, &mut |next| gatherer.take(next));
        gatherer.finish()
    }
}
