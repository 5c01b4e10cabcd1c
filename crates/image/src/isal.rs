//! Raw deflate data inflated by ISA-L (<https://github.com/intel/isa-l>), C and assembly: the one file of this crate with
//! `unsafe`. Builds with the feature `isal` have it.
//!
//! It is called as `isa-l/include/igzip_lib.h` describes: `isal_inflate` takes from `next_in`, writes to `next_out`, and
//! counts both down. It keeps the last 32 KiB of its output, which later data refer to, in the state itself, and keeps
//! none of the buffers that it is given.
//!
//! Where data are damaged it differs from zlib in two things. Of what comes before the damage, the last bytes may be
//! missing: some 258 at most, and with them nothing that a checksum would have vouched for. And a block whose Huffman
//! code is incomplete is refused where bits have no symbol, not where the code is read.

use isal_sys::igzip_lib::{
    ISAL_GZIP_NO_HDR, inflate_state, isal_block_state_ISAL_BLOCK_FINISH, isal_inflate, isal_inflate_init,
    isal_inflate_reset,
};

use crate::gzip::{Inflate, State, Step, TRAILER};

/// Longest repetition in deflate data, in bytes.
const MAX_REPETITION: usize = 258;

/// Some 90 KB, with buffers of its own.
pub(crate) struct Isal {
    state: Box<inflate_state>,
    /// What comes next is no deflate data.
    is_corrupt: bool,
}

impl Inflate for Isal {
    #[allow(unsafe_code, reason = "a C library sets the state up")]
    fn new() -> Self {
        // SAFETY: The state is a C struct of integers, arrays of integers and pointers, and an integer union: all of
        // them may be zero.
        let mut state = unsafe { Box::<inflate_state>::new_zeroed().assume_init() };
        // SAFETY: The pointer is to a state that nothing else refers to; the call sets its fields.
        unsafe { isal_inflate_init(&raw mut *state) };
        // Raw data, with the CRC-32 that gzip asks for.
        state.crc_flag = ISAL_GZIP_NO_HDR;
        Self { state, is_corrupt: false }
    }

    #[allow(unsafe_code, reason = "a C library resets the state")]
    fn reset(&mut self) {
        // SAFETY: As in `new`; the state has been set up.
        unsafe { isal_inflate_reset(&raw mut *self.state) };
        self.is_corrupt = false;
    }

    #[allow(unsafe_code, reason = "a C library reads from and writes to the slices")]
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if self.is_corrupt {
            let written = self.take_pending(output);
            return Step { used: 0, written, state: self.state_of_damage() };
        }
        let (length, room) = (counted(input.len()), counted(output.len()));
        let state = &mut *self.state;
        // Input is only read, though C's type does not say so.
        state.next_in = input.as_ptr().cast_mut();
        state.avail_in = length;
        state.next_out = output.as_mut_ptr();
        state.avail_out = room;
        // SAFETY: `next_in` and `next_out` are valid for as many bytes as `avail_in` and `avail_out` say, which are no more
        // than the lengths of the slices; both slices outlive the call and do not overlap, since one is borrowed mutably.
        // The state was set up by `isal_inflate_init`, and is called no more after an error.
        let outcome = unsafe { isal_inflate(&raw mut *state) };
        let written_to = state.next_out.addr() - output.as_ptr().addr();
        // They must not outlive the slices.
        state.next_in = std::ptr::null_mut();
        state.next_out = std::ptr::null_mut();
        if outcome < 0 {
            self.is_corrupt = true;
            let mut written = self.without_phantoms(written_to.min(output.len()));
            written += self.take_pending(output.get_mut(written..).unwrap_or_default());
            return Step { used: input.len(), written, state: self.state_of_damage() };
        }
        let is_at_end = state.block_state == isal_block_state_ISAL_BLOCK_FINISH;
        Step {
            used: (length - state.avail_in) as usize,
            written: (room - state.avail_out) as usize,
            state: if is_at_end { State::End } else { State::More },
        }
    }

    fn checksum(&self) -> u32 {
        self.state.crc
    }

    fn taken_too_many(&self) -> ([u8; TRAILER], usize) {
        // It takes up to eight bytes at a time, and shifts out the bits that it has used.
        let bits = self.state.read_in_length.clamp(0, 64).unsigned_abs();
        let whole = self.state.read_in.checked_shr(bits % 8).unwrap_or_default();
        let taken = (bits / 8) as usize;
        let mut bytes = whole.to_le_bytes();
        bytes.get_mut(taken..).unwrap_or_default().fill(0);
        (bytes, taken)
    }
}

impl Isal {
    /// After an error: how many of the bytes in the output, and of those in the state's own buffer, surely were
    /// inflated. The assembly counts the bytes of a repetition before it finds that there is nothing to repeat; what
    /// it says of the room that is left is wrong then, too.
    fn without_phantoms(&mut self, written: usize) -> usize {
        let pending = usize::try_from(self.state.tmp_out_valid - self.state.tmp_out_processed).unwrap_or(0);
        let sure = (written + pending).saturating_sub(MAX_REPETITION);
        let pending = i32::try_from(sure.saturating_sub(written)).unwrap_or(0);
        self.state.tmp_out_valid = self.state.tmp_out_processed + pending;
        sure.min(written)
    }

    /// After an error: what was inflated before it, and lies in the state's own buffer.
    fn take_pending(&mut self, output: &mut [u8]) -> usize {
        let from = usize::try_from(self.state.tmp_out_processed).unwrap_or(0);
        let to = usize::try_from(self.state.tmp_out_valid).unwrap_or(0);
        let pending = self.state.tmp_out_buffer.get(from..to).unwrap_or_default();
        let length = pending.len().min(output.len());
        output[..length].copy_from_slice(&pending[..length]);
        // No more than the buffer's length.
        self.state.tmp_out_processed += i32::try_from(length).unwrap_or(i32::MAX);
        length
    }

    /// Corrupt once all that came before is handed out.
    fn state_of_damage(&self) -> State {
        if self.state.tmp_out_processed < self.state.tmp_out_valid { State::More } else { State::Corrupt }
    }
}

/// A length as C counts it: of what is longer, a part.
fn counted(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
