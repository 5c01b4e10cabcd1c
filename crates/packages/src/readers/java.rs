//! Java packages, from archives (`jar`, `war`, `ear`, …), and from archives inside archives.
//!
//! Format: ZIP (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>), as JAR
//! (<https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html>). An archive is walked header by header while it
//! streams by: no archive, and none inside one, is ever held. What the walk met is checked against the archive's own
//! directory, which comes last: what does not agree is a listed gap.
//!
//! What an archive is: Maven's `pom.properties` and `pom.xml`
//! (<https://maven.apache.org/shared/maven-archiver/>), else its manifest and its file name. Of an archive that was
//! unpacked, Maven's files alone are read.

mod entry;
mod facts;
mod groups;
mod identify;
mod limits;
pub(crate) mod pom;
mod record;
mod skim;
mod walk;

use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::{PackageReader, Selection, StreamReader};
use facts::{Kind, Project};
use identify::unpacked_package;
use limits::Shared;
use walk::Archive;

/// Reads Java archives.
pub(crate) struct Java;

/// Endings of Java archives, whatever their first bytes are: a program may lie before the archive.
const ENDINGS: [&str; 5] = ["jar", "war", "ear", "aar", "nar"];

/// Endings that other formats have too.
const SHARED_ENDINGS: [&str; 7] = ["par", "sar", "kar", "rar", "hpi", "jpi", "lpkg"];

impl PackageReader for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn reads(&self) -> &'static str {
        "`**/*.jar`, `war`, `ear`, `aar`, `nar`, `par`, `sar`, `kar`, `rar`, `hpi`, `jpi`, `lpkg`, nested up to eight deep; \
         `**/META-INF/maven/*/*/pom.properties`, `**/META-INF/maven/*/*/pom.xml`"
    }

    /// `GROUP/ARTIFACT/pom.properties`.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        select(file, false)
    }

    fn select_with_digests(&self, file: &FileHeader<'_>) -> Option<Selection> {
        select(file, true)
    }

    /// Archives are read in pieces: this is one of Maven's files in an archive that was unpacked.
    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(kind) = unpacked(file.path) else { return Reading::default() };
        let project = Project::read(kind, file.path, contents)
            .map_err(|error| Warning::gap(file.path, format!("its package was not read: {error}")));
        match project.and_then(|project| unpacked_package(project, file.path)) {
            Ok(package) => Reading { packages: vec![package], ..Reading::default() },
            Err(warning) => Reading { warnings: vec![warning], ..Reading::default() },
        }
    }
}

fn select(file: &FileHeader<'_>, has_digests: bool) -> Option<Selection> {
    if is_archive(file) {
        return Some(Selection::Stream(Box::new(Stream::new(file, has_digests))));
    }
    unpacked(file.path).map(|kind| Selection::Whole { limit: kind.limit() })
}

/// What a file of Maven's is that came out of an archive: `…/META-INF/maven/<group>/<artifact>/pom.properties`.
fn unpacked(path: &str) -> Option<Kind> {
    let (folder, name) = path.rsplit_once('/')?;
    let kind = match name {
        "pom.properties" => Kind::PomProperties,
        "pom.xml" => Kind::PomXml,
        _ => return None,
    };
    let mut parts = folder.rsplit('/').skip(2);
    (parts.next() == Some("maven") && parts.next() == Some("META-INF")).then_some(kind)
}

/// Whether a file of Maven's came out of an archive: it says what is there, and not what a project asks for.
pub(super) fn is_unpacked(path: &str) -> bool {
    unpacked(path).is_some()
}

fn is_archive(file: &FileHeader<'_>) -> bool {
    file.file_name().rsplit_once('.').is_some_and(|(_, ending)| {
        let is_zip = file.head.is_empty() || file.head.starts_with(b"PK");
        is_one_of(ending, &ENDINGS) || is_zip && is_one_of(ending, &SHARED_ENDINGS)
    })
}

/// Whether an entry of an archive is an archive too.
fn is_archive_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && (is_one_of(ending, &ENDINGS) || is_one_of(ending, &SHARED_ENDINGS))
    })
}

fn is_one_of(ending: &str, endings: &[&str]) -> bool {
    endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Walks one archive.
struct Stream {
    archive: Archive,
    shared: Shared,
}

impl Stream {
    fn new(file: &FileHeader<'_>, has_digests: bool) -> Self {
        Self { archive: Archive::new(file.path.to_owned(), 0, has_digests), shared: Shared::new(file.size) }
    }
}

impl StreamReader for Stream {
    fn feed(&mut self, piece: &[u8]) -> bool {
        self.archive.feed(piece, &mut self.shared);
        !self.shared.is_exhausted()
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { archive, mut shared } = *self;
        let path = archive.place().to_owned();
        archive.finish(&mut shared);
        shared.into_reading(&path)
    }
}

#[cfg(test)]
mod tests;
