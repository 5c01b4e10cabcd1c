//! A read-only view of an untrusted image: what an entry of a layer is, and which paths are safe.
//!
//! Nothing here opens a file. A path is a key, relative to the image's root, and never reaches the host's file system.

mod path;
mod visit;

pub use path::{UnsafePath, clean_path};
pub use visit::{Contents, ContentsError, LayerVisitor, OtherEntry};

/// A regular file of an image, as a reader sees it before its contents.
#[derive(Debug, Clone, Copy)]
pub struct FileHeader<'a> {
    /// Cleaned path from the root of the image, without a leading slash: `usr/bin/env`.
    pub path: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The first bytes of its contents, up to [`HEAD_BYTES`]; fewer where the file is shorter.
    pub head: &'a [u8],
}

/// How many of a file's first bytes [`FileHeader::head`] shows: enough for magic numbers and a `#!` line.
pub const HEAD_BYTES: usize = 128;

impl FileHeader<'_> {
    /// The last part of the path.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path, |(_, name)| name)
    }

    /// The path of the directory that it is in; empty at the root.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// Whether any execute bit is set.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}
