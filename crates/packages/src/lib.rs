//! Readers of what is installed: one file per package ecosystem, one line each in [`READERS`].
//!
//! A reader says by path and first bytes which files it needs, and turns one file into a
//! [`Reading`]. It never sees another file, another layer or the host: what needs more than one file (which copy
//! survives, who owns a file, which distribution it is) is decided over readings, by the caller.

mod complete;
mod control;
mod executable;
mod fields;
mod lockfile;
mod maven;
mod needs;
mod readers;
mod rpm_names;
mod sbom;
#[cfg(test)]
mod testing;
mod tree;
mod upstreams;
mod xml;

use portcullis_filetree::FileHeader;
use portcullis_model::Reading;

pub use complete::complete;
pub use maven::complete_maven;
pub use readers::{READERS, sbom::OF_SBOM};
pub use sbom::{MAX_SBOM_BYTES, Sbom, SbomError, read_sbom};

/// Reads the packages that one ecosystem's files name.
pub trait PackageReader: Sync {
    /// Its name in messages and in the documentation, such as `dpkg`.
    fn name(&self) -> &'static str;

    /// The files it reads, for the documentation: `var/lib/dpkg/status`, ….
    fn reads(&self) -> &'static str;

    /// Whether its files say what is installed, or only what someone asked for.
    fn scope(&self) -> Scope {
        Scope::Installed
    }

    /// How many parts of a file's path, from its end, its reading depends on: what is read under one name holds under
    /// another that ends alike.
    fn path_parts(&self) -> usize {
        2
    }

    /// Whether, and how, it wants `file`. Called for every regular file of an image: no allocation before a match.
    fn select(&self, file: &FileHeader<'_>) -> Option<Selection>;

    /// As [`Self::select`], where files that do not say what they are shall be known by their digests: a package that is
    /// told by a guess then has the SHA-1 of its file for [`evidence`](portcullis_model::Package), and one that is not
    /// told at all is there with that alone, and without a purl.
    fn select_with_digests(&self, file: &FileHeader<'_>) -> Option<Selection> {
        self.select(file)
    }

    /// Reads a file that [`Self::select`] wanted whole. A bad record is a warning; the rest survives.
    ///
    /// The packages have one location, without a layer: the caller knows which one it is. Those of operating systems
    /// have no purl yet: see [`complete`].
    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading;
}

/// What a file's entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Installed: they count in images and in directories.
    Installed,
    /// Declared, as lockfiles and manifests do: they count in a directory of sources alone. In an image such a file
    /// says what was once built from it, not what is there.
    Declared,
}

/// How a reader wants a file.
pub enum Selection {
    /// All of it, in one piece, up to `limit` bytes; a larger file becomes a listed gap.
    Whole {
        /// Bytes.
        limit: usize,
    },
    /// In pieces, in bounded memory, however large it is.
    Stream(Box<dyn StreamReader>),
}

/// Reads one file in pieces.
pub trait StreamReader: Send {
    /// Takes the next piece; false when it has seen enough.
    fn feed(&mut self, piece: &[u8]) -> bool;

    /// What was found. Called once, after the last piece.
    fn finish(self: Box<Self>) -> Reading;
}

/// Every reader that wants `file`, with how it wants it.
pub fn readers_of<'a>(file: &'a FileHeader<'a>) -> impl Iterator<Item = (&'static dyn PackageReader, Selection)> + 'a {
    READERS.iter().filter_map(|reader| reader.select(file).map(|selection| (*reader, selection)))
}

/// Limits of files that are read whole.
mod limits {
    /// A package manager's database.
    pub(crate) const DATABASE: usize = 64 << 20;

    /// A lockfile.
    pub(crate) const LOCKFILE: usize = 32 << 20;

    /// Most packages, and records that are none, taken of a database that is one text. Distributions have some ten thousand.
    pub(crate) const RECORDS: usize = 100_000;

    /// What is said where there are more.
    pub(crate) fn too_many_records(path: &str) -> portcullis_model::Warning {
        portcullis_model::Warning::gap(path, format!("it has more than {RECORDS} packages: the others were not read"))
    }
}
