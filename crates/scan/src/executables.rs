//! What a machine may run: which files are that, and their digests.

use portcullis_filetree::{Contents, ContentsError, FileHeader};
use portcullis_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Executable content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Executable {
    /// Empty where something else of the same layer took its place.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// SHA-256 of its contents, where it was asked for and the file could be read.
    pub(crate) digest: Option<Digest>,
    /// Another name of a file: its bytes were counted there.
    pub(crate) is_link: bool,
}

/// What a machine, or a virtual one, runs: objects of Linux, Windows and WebAssembly, Java archives, and scripts that
/// may be run.
pub(crate) fn is_executable(file: &FileHeader<'_>) -> bool {
    let ending = || file.file_name().rsplit_once('.').map_or("", |(_, ending)| ending);
    match file.head.first_chunk() {
        Some(b"\x7fELF" | b"\0asm") => true,
        Some([b'#', b'!', ..]) => file.is_executable(),
        Some(b"PK\x03\x04") => matches!(ending(), "jar" | "war" | "ear"),
        Some([b'M', b'Z', ..]) => matches!(ending(), "dll" | "exe" | "sys"),
        _ => false,
    }
}

/// Hashes what passes through.
pub(crate) struct Hashing<'a> {
    contents: &'a mut dyn Contents,
    hasher: Sha256,
}

impl<'a> Hashing<'a> {
    pub(crate) fn new(contents: &'a mut dyn Contents) -> Self {
        Self { contents, hasher: Sha256::new() }
    }

    /// Reads on to the end.
    pub(crate) fn finish(mut self) -> Result<Digest, ContentsError> {
        while !self.next_piece()?.is_empty() {}
        Ok(Digest::from_bytes(self.hasher.finalize().into()))
    }
}

impl Contents for Hashing<'_> {
    fn next_piece(&mut self) -> Result<&[u8], ContentsError> {
        let piece = self.contents.next_piece()?;
        self.hasher.update(piece);
        Ok(piece)
    }
}
