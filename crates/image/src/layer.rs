//! The one pass over a layer: every entry is shown to a visitor once, nothing is kept, and the stored bytes are
//! checked against the digest that names them.

use std::{
    io::{self, Read},
    time::Instant,
};

use portcullis_filetree::{Contents, ContentsError, FileHeader, HEAD_BYTES, LayerVisitor, OtherEntry};
use portcullis_model::{Digest, Warning};

use crate::{
    decode::{Decoder, Unpacked},
    tar::{Kind, TarError, TarReader},
};

/// Why reading stops at the deadline.
pub const TIME_IS_OVER: &str = "the time for this scan is over";

/// What one layer may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Uncompressed bytes.
    pub unpacked_bytes: u64,
    /// The moment at which reading stops.
    pub deadline: Option<Instant>,
}

impl Limits {
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// What it means that a layer could not be had: past the deadline, that it came too slowly.
    pub(crate) fn failure<E: From<LayerError>>(&self, layer: Digest, otherwise: impl FnOnce(Digest) -> E) -> E {
        if self.is_late() { LayerError::Late(layer).into() } else { otherwise(layer) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 50_000_000, unpacked_bytes: 1 << 40, deadline: None }
    }
}

/// Why a layer gives no answer at all. (Damage inside a layer whose digest is right is a warning instead.)
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Its bytes are not those that were named.
    #[error("layer {expected} has the digest {actual}: it was damaged, or replaced")]
    Digest {
        /// The digest that the manifest names.
        expected: Digest,
        /// The digest of what was read.
        actual: Digest,
    },
    /// Its bytes did not come in time, so that nobody knows whether they are those that were named.
    #[error("layer {0} was not read: {TIME_IS_OVER}")]
    Late(Digest),
    /// Its bytes could not be had.
    #[error("layer {layer} cannot be read")]
    Read {
        /// The layer.
        layer: Digest,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// What a layer must turn out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    /// Of the stored bytes.
    pub(crate) digest: Digest,
    /// Their number, where it is known.
    pub(crate) size: Option<u64>,
    /// The digest is that of the plain tar, however it is stored.
    pub(crate) unpacked: bool,
}

/// Shows every entry of a layer to `visitor`.
///
/// Digest and size are checked before this returns, so nothing that the visitor gathered may be used unless it
/// returns `Ok`.
///
/// # Errors
/// When the stored bytes cannot be read, or are not those that `digest` names.
pub(crate) fn visit(
    source: impl Read,
    named: Named,
    limits: Limits,
    visitor: &mut dyn LayerVisitor,
) -> Result<(), LayerError> {
    let Named { digest, size, unpacked } = named;
    let unreadable = |cause| limits.failure(digest, |layer| LayerError::Read { layer, cause });
    let decoder = Decoder::new(source).map_err(unreadable)?;
    let plain = decoder.is_plain();
    let decoder = Unpacked::new(decoder, limits, unpacked && !plain);
    let mut walk = Walk { tar: TarReader::new(decoder), limits, entries: 0, unpacked: 0, failure: None };
    let outcome = walk.run(visitor);
    // Past the end of the archive there is only padding; without a stated size the unpacked limit holds.
    let (actual, length) =
        walk.tar.into_source().finish(size.unwrap_or(limits.unpacked_bytes), digest).map_err(unreadable)?;
    if actual != digest || size.zip(length).is_some_and(|(size, length)| size != length) {
        return Err(LayerError::Digest { expected: digest, actual });
    }
    if let Err(error) = outcome {
        let what = if plain && walk.entries == 0 { "it is not a tar archive" } else { "the rest of it was not read" };
        visitor.warning(Warning::gap(format!("layer {digest}"), format!("{what}: {error}")));
    }
    Ok(())
}

/// Why a walk ended before the end of the layer.
#[derive(Debug, thiserror::Error)]
enum WalkError {
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error("it has more than {0} entries")]
    Entries(u64),
    #[error("it unpacks to more than {0} bytes")]
    Unpacked(u64),
    #[error("{TIME_IS_OVER}")]
    Deadline,
}

struct Walk<R> {
    tar: TarReader<R>,
    limits: Limits,
    entries: u64,
    unpacked: u64,
    /// What went wrong while a visitor was reading.
    failure: Option<TarError>,
}

impl<R: Read> Walk<R> {
    fn run(&mut self, visitor: &mut dyn LayerVisitor) -> Result<(), WalkError> {
        while self.tar.advance()? {
            self.entries += 1;
            self.check_limits()?;
            let entry = self.tar.entry();
            if let Some(why) = entry.unsafe_path {
                visitor.warning(Warning::gap(&*entry.path, format!("an entry was skipped: {why}")));
                continue;
            }
            if let Some(whiteout) = Whiteout::of(&entry.path) {
                whiteout.show(visitor);
                continue;
            }
            match entry.kind {
                Kind::File => self.file(visitor)?,
                Kind::Sparse => {
                    visitor.warning(Warning::gap(&*entry.path, "a sparse file was not read"));
                    visitor.other(&entry.path, OtherEntry::Special);
                }
                Kind::Directory => visitor.other(&entry.path, OtherEntry::Directory),
                Kind::Symlink => visitor.other(&entry.path, OtherEntry::Symlink(&entry.link)),
                Kind::HardLink if entry.link.is_empty() => {
                    visitor.warning(Warning::gap(&*entry.path, "a hard link that leads out of the image was skipped"));
                }
                Kind::HardLink => visitor.other(&entry.path, OtherEntry::HardLink(&entry.link)),
                Kind::Special => visitor.other(&entry.path, OtherEntry::Special),
            }
        }
        Ok(())
    }

    fn file(&mut self, visitor: &mut dyn LayerVisitor) -> Result<(), WalkError> {
        let mut head = [0; HEAD_BYTES];
        let shown = self.tar.head()?;
        let length = shown.len();
        head[..length].copy_from_slice(shown);
        // The path is needed while the body is read: its buffer is lent out, and handed back after.
        let path = self.tar.lend_path();
        let entry = self.tar.entry();
        let header = FileHeader { path: &path, size: entry.size, mode: entry.mode, head: &head[..length] };
        let outcome = visitor.file(&header, self).and_then(|()| self.skip_rest());
        self.tar.return_path(path);
        // A reader that failed with no failure of the tar was late.
        outcome.map_err(|ContentsError| self.failure.take().map_or(WalkError::Deadline, WalkError::Tar))
    }

    /// Skips what the visitor left, with an eye on the clock.
    fn skip_rest(&mut self) -> Result<(), ContentsError> {
        while !self.next_piece()?.is_empty() {}
        Ok(())
    }

    fn check_limits(&mut self) -> Result<(), WalkError> {
        let limits = &self.limits;
        if self.entries > limits.entries {
            return Err(WalkError::Entries(limits.entries));
        }
        self.unpacked = self.tar.entry().offset.saturating_add(self.tar.entry().size);
        if self.unpacked > limits.unpacked_bytes {
            return Err(WalkError::Unpacked(limits.unpacked_bytes));
        }
        // A look at the clock costs more than a small entry.
        if (self.entries & 0xff == 0 || self.tar.entry().size > 1 << 20) && self.is_late() {
            return Err(WalkError::Deadline);
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        self.limits.is_late()
    }
}

impl<R: Read> Contents for Walk<R> {
    fn next_piece(&mut self) -> Result<&[u8], ContentsError> {
        if self.is_late() {
            return Err(ContentsError);
        }
        match self.tar.next_piece() {
            Ok(piece) => Ok(piece),
            Err(error) => {
                self.failure = Some(error);
                Err(ContentsError)
            }
        }
    }
}

/// What a whiteout's name says. Engines look at the name alone: whatever its kind, such an entry is a whiteout.
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>)
enum Whiteout<'a> {
    /// What lower layers have at this path is gone.
    Path(String),
    /// What lower layers have below this directory is gone.
    Directory(&'a str),
    /// AUFS's own files (`.wh..wh.plnk`, …): no entry at all.
    Bookkeeping,
}

impl<'a> Whiteout<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let target = name.strip_prefix(".wh.")?;
        Some(match target {
            ".wh..opq" => Self::Directory(parent),
            "" => Self::Bookkeeping,
            target if target.starts_with(".wh.") => Self::Bookkeeping,
            target if parent.is_empty() => Self::Path(target.to_owned()),
            target => Self::Path(format!("{parent}/{target}")),
        })
    }

    fn show(self, visitor: &mut dyn LayerVisitor) {
        match self {
            Self::Path(path) => visitor.other(&path, OtherEntry::Removed),
            Self::Directory(path) => visitor.other(path, OtherEntry::Opaque),
            Self::Bookkeeping => {}
        }
    }
}
