//! The seam between what streams a layer and what looks at it.

use portcullis_model::Warning;

use crate::FileHeader;

/// Looks at the entries of one layer, in the order in which they are stored.
pub trait LayerVisitor {
    /// A regular file. What is left unread of `contents` is skipped.
    ///
    /// # Errors
    /// Only what `contents` returned: the layer cannot be read on.
    fn file(&mut self, file: &FileHeader<'_>, contents: &mut dyn Contents) -> Result<(), ContentsError>;

    /// Any other entry, at its cleaned path.
    fn other(&mut self, path: &str, entry: OtherEntry<'_>);

    /// Something about the layer that a reader of the report must know.
    fn warning(&mut self, warning: Warning);
}

/// An entry that is not a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEntry<'a> {
    /// A directory.
    Directory,
    /// A symbolic link; the target is as written, and untrusted.
    Symlink(&'a str),
    /// A second name for a file of the same layer, or of one below; the cleaned path of the first name.
    HardLink(&'a str),
    /// A device, a FIFO, a socket.
    Special,
    /// A whiteout: what lower layers have at this path is gone.
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>)
    Removed,
    /// An opaque directory: what lower layers have below this path is gone.
    Opaque,
}

/// A file's contents, in pieces.
pub trait Contents {
    /// The next piece; empty at the end.
    ///
    /// # Errors
    /// When the layer ends early, is damaged, or took longer than it may.
    fn next_piece(&mut self) -> Result<&[u8], ContentsError>;
}

/// The layer cannot be read on; whoever streams it keeps the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the layer ends early or is damaged")]
pub struct ContentsError;
