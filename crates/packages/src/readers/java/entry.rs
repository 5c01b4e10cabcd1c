//! An entry of an archive on its way past: inflated if it is wanted, and handed on.

use portcullis_model::Warning;

use super::{
    facts::Kind,
    limits::{Inflater, Shared},
    skim::Skim,
    walk::Archive,
};

/// An entry on its way past.
pub(super) struct Entry {
    pub(super) name_hash: u64,
    /// Bytes of data that have passed by.
    pub(super) passed: u64,
    pub(super) end: End,
    /// Whether the data have to be inflated, by the inflater until they came to their end.
    pub(super) is_compressed: bool,
    pub(super) inflater: Option<Inflater>,
    pub(super) sink: Sink,
}

/// How an entry's end is found.
pub(super) enum End {
    /// So many bytes are left.
    Known(u64),
    /// Its compressed data say so.
    Inflated,
    /// Its descriptor says so.
    Skimmed(Skim),
}

/// What becomes of an entry's bytes.
pub(super) enum Sink {
    Nothing,
    Metadata { kind: Kind, name: String, contents: Vec<u8> },
    Nested(Box<Archive>),
}

impl Entry {
    /// Takes bytes of the data as they are stored; returns how many of them belong to it.
    pub(super) fn take(&mut self, bytes: &[u8], place: &str, shared: &mut Shared) -> usize {
        let Some(inflater) = &mut self.inflater else {
            // Behind compressed data that came to their end, nothing is looked for.
            if !self.is_compressed {
                self.sink.take(bytes, shared);
            }
            return bytes.len();
        };
        match inflater.inflate(bytes, shared, &mut self.sink) {
            Ok((used, false)) => used,
            Ok((used, true)) => {
                self.release(shared);
                used
            }
            Err(_damaged) => {
                self.release(shared);
                if let Sink::Nested(archive) = std::mem::replace(&mut self.sink, Sink::Nothing) {
                    archive.finish(shared);
                }
                shared.warn(Warning::gap(place, "an entry's compressed data are damaged"));
                bytes.len()
            }
        }
    }

    fn release(&mut self, shared: &mut Shared) {
        if let Some(inflater) = self.inflater.take() {
            shared.give_back(inflater);
        }
    }
}

impl Inflater {
    /// Inflates `bytes`; returns how many were taken, and whether the data came to their end.
    fn inflate(
        &mut self,
        bytes: &[u8],
        shared: &mut Shared,
        sink: &mut Sink,
    ) -> Result<(usize, bool), flate2::DecompressError> {
        let mut used = 0;
        loop {
            let (read, written) = (self.state.total_in(), self.state.total_out());
            let rest = bytes.get(used..).unwrap_or_default();
            let status = self.state.decompress(rest, &mut self.output, flate2::FlushDecompress::None);
            // Both are no more than the lengths of the slices.
            used += usize::try_from(self.state.total_in() - read).unwrap_or(usize::MAX);
            let inflated = usize::try_from(self.state.total_out() - written).unwrap_or(usize::MAX);
            shared.count_inflated(inflated);
            if shared.is_exhausted() {
                return Ok((bytes.len(), false));
            }
            sink.take(self.output.get(..inflated).unwrap_or_default(), shared);
            // What came before the damage counts.
            if status? == flate2::Status::StreamEnd {
                return Ok((used, true));
            }
            if used >= bytes.len() && inflated < self.output.len() || inflated == 0 && self.state.total_in() == read {
                return Ok((bytes.len(), false));
            }
        }
    }
}

impl Sink {
    pub(super) fn take(&mut self, bytes: &[u8], shared: &mut Shared) {
        match self {
            Self::Nothing => {}
            Self::Metadata { kind, contents, .. } => {
                // One byte more than may be read shows that there was more.
                let room = (kind.limit() + 1).saturating_sub(contents.len()).min(bytes.len());
                contents.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Self::Nested(archive) => archive.feed(bytes, shared),
        }
    }
}
