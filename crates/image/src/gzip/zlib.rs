//! Raw deflate data inflated by `flate2`, with no C.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Inflate, State, Step, TRAILER};

/// What a build without the feature `isal` inflates with.
pub(crate) struct Zlib {
    state: Decompress,
    checksum: Crc,
}

impl Inflate for Zlib {
    fn new() -> Self {
        Self { state: Decompress::new(false), checksum: Crc::new() }
    }

    fn reset(&mut self) {
        self.state.reset(false);
        self.checksum.reset();
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (read, written) = (self.state.total_in(), self.state.total_out());
        let flush = if input.is_empty() { FlushDecompress::Finish } else { FlushDecompress::None };
        let outcome = self.state.decompress(input, output, flush);
        // Both are no more than the lengths of the slices.
        let used = usize::try_from(self.state.total_in() - read).unwrap_or(usize::MAX);
        let written = usize::try_from(self.state.total_out() - written).unwrap_or(usize::MAX);
        self.checksum.update(output.get(..written).unwrap_or_default());
        let state = match outcome {
            Ok(Status::StreamEnd) => State::End,
            Ok(Status::Ok | Status::BufError) => State::More,
            Err(_damaged) => State::Corrupt,
        };
        Step { used, written, state }
    }

    fn checksum(&self) -> u32 {
        self.checksum.sum()
    }

    fn taken_too_many(&self) -> ([u8; TRAILER], usize) {
        ([0; TRAILER], 0)
    }
}
