//! gzip streams (<https://www.rfc-editor.org/rfc/rfc1952>): members one behind another, each checked.
//!
//! Headers and trailers are read here; what lies between is inflated by `flate2`, or by ISA-L where this crate has the
//! feature `isal`. So both builds take and refuse the same streams, with the same words. All that comes before damage is
//! handed out before the error.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::Crc;

#[cfg(any(test, not(feature = "isal")))]
mod zlib;

/// What this build inflates layers with.
#[cfg(not(feature = "isal"))]
pub(crate) type Gzip<R> = Decoder<R, zlib::Zlib>;
/// What this build inflates layers with.
#[cfg(feature = "isal")]
pub(crate) type Gzip<R> = Decoder<R, crate::isal::Isal>;

/// Longest name or comment taken from a header, in bytes. They are not kept.
const MAX_TEXT: usize = 65_535;

/// Bytes of a trailer: the checksum and the length of what was packed.
pub(crate) const TRAILER: usize = 8;

/// Inflates raw deflate data (<https://www.rfc-editor.org/rfc/rfc1951>), one stream after another.
pub(crate) trait Inflate {
    /// Ready for the first stream.
    fn new() -> Self;

    /// Ready for the next one.
    fn reset(&mut self);

    /// Takes from `input` and writes to `output`, neither of which may be kept. An empty `input` is the end of all.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Step;

    /// The CRC-32 of all that this stream was inflated to.
    fn checksum(&self) -> u32;

    /// Bytes behind the end of the stream that were taken all the same, and how many.
    fn taken_too_many(&self) -> ([u8; TRAILER], usize);
}

/// What came of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Bytes of the input that were taken.
    pub(crate) used: usize,
    /// Bytes of the output that were written.
    pub(crate) written: usize,
    pub(crate) state: State,
}

/// How a stream of deflate data goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    More,
    /// This was all, and all of it was written.
    End,
    /// What comes next is no deflate data; all that came before was written.
    Corrupt,
}

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Header,
    HeaderText,
    HeaderChecksum,
    HeaderEnds,
    Data,
    DataEnds,
    TrailerEnds,
    Checksum,
}

impl Damage {
    fn error(self) -> io::Error {
        match self {
            Self::Header => io::Error::new(ErrorKind::InvalidInput, "invalid gzip header"),
            Self::HeaderText => io::Error::new(ErrorKind::InvalidInput, "gzip header field too long"),
            Self::HeaderChecksum | Self::Checksum => {
                io::Error::new(ErrorKind::InvalidInput, "corrupt gzip stream does not have a matching checksum")
            }
            Self::Data => io::Error::new(ErrorKind::InvalidInput, "corrupt deflate stream"),
            Self::DataEnds => io::Error::new(ErrorKind::UnexpectedEof, "incomplete deflate stream"),
            Self::HeaderEnds | Self::TrailerEnds => ErrorKind::UnexpectedEof.into(),
        }
    }
}

/// Where in a member reading is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Header,
    Data,
    Trailer,
    End,
    Failed(Damage),
}

/// Reads all members of a gzip stream as one.
pub(crate) struct Decoder<R, I> {
    source: R,
    inflate: I,
    stage: Stage,
    /// What this member was inflated to, in bytes, as trailers count it: modulo 2^32.
    length: u32,
}

impl<R: BufRead, I: Inflate> Decoder<R, I> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, inflate: I::new(), stage: Stage::Header, length: 0 }
    }

    /// What the stream is read from, wherever reading stopped.
    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    /// The next piece of a member's data; none at their end.
    fn data(&mut self, output: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let input = filled(&mut self.source)?;
            let (length, step) = (input.len(), self.inflate.inflate(input, output));
            self.source.consume(step.used);
            self.length = self.length.wrapping_add(step.written as u32);
            match step.state {
                State::End => self.stage = Stage::Trailer,
                State::Corrupt => self.stage = Stage::Failed(Damage::Data),
                State::More if step.written == 0 && length == 0 => self.stage = Stage::Failed(Damage::DataEnds),
                // Nothing would ever come of it.
                State::More if step.written == 0 && step.used == 0 => self.stage = Stage::Failed(Damage::Data),
                State::More if step.written == 0 => continue,
                State::More => {}
            }
            return Ok((step.written > 0).then_some(step.written));
        }
    }

    /// Checks a member's trailer; what comes behind it is the next member's header.
    fn trailer(&mut self) -> io::Result<()> {
        let (mut trailer, taken) = self.inflate.taken_too_many();
        if !read_exact(&mut self.source, trailer.get_mut(taken..).unwrap_or_default())? {
            self.stage = Stage::Failed(Damage::TrailerEnds);
            return Ok(());
        }
        let [a, b, c, d, e, f, g, h] = trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.inflate.checksum()
            || u32::from_le_bytes([e, f, g, h]) != self.length
        {
            // After this error there is an end: the data were well formed, and were handed out.
            self.stage = Stage::End;
            return Err(Damage::Checksum.error());
        }
        if filled(&mut self.source)?.is_empty() {
            self.stage = Stage::End;
            return Ok(());
        }
        self.inflate.reset();
        self.length = 0;
        self.stage = Stage::Header;
        Ok(())
    }
}

impl<R: BufRead, I: Inflate> Read for Decoder<R, I> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        loop {
            match self.stage {
                Stage::Header => {
                    self.stage = header(&mut self.source)?.map_or(Stage::Data, Stage::Failed);
                }
                Stage::Data => {
                    if let Some(length) = self.data(output)? {
                        return Ok(length);
                    }
                }
                Stage::Trailer => self.trailer()?,
                Stage::End => return Ok(0),
                Stage::Failed(damage) => return Err(damage.error()),
            }
        }
    }
}

/// Passes over a member's header; says what is wrong with it, if anything is.
fn header(source: &mut impl BufRead) -> io::Result<Option<Damage>> {
    const HEADER_CHECKSUM: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    /// "Must give an error indication if any reserved bit is non-zero."
    const RESERVED: u8 = 0b1110_0000;
    const DEFLATE: u8 = 8;

    let mut checksum = Crc::new();
    let mut fixed = [0; 10];
    if !read_exact(source, &mut fixed)? {
        return Ok(Some(Damage::HeaderEnds));
    }
    checksum.update(&fixed);
    let [0x1f, 0x8b, DEFLATE, flags, ..] = fixed else { return Ok(Some(Damage::Header)) };
    if flags & RESERVED != 0 {
        return Ok(Some(Damage::Header));
    }
    if flags & EXTRA != 0 {
        let mut length = [0; 2];
        if !read_exact(source, &mut length)? {
            return Ok(Some(Damage::HeaderEnds));
        }
        let mut extra = vec![0; usize::from(u16::from_le_bytes(length))];
        if !read_exact(source, &mut extra)? {
            return Ok(Some(Damage::HeaderEnds));
        }
        checksum.update(&length);
        checksum.update(&extra);
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0
            && let Some(damage) = text(source, &mut checksum)?
        {
            return Ok(Some(damage));
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        let mut stored = [0; 2];
        if !read_exact(source, &mut stored)? {
            return Ok(Some(Damage::HeaderEnds));
        }
        let [low, high, ..] = checksum.sum().to_le_bytes();
        if stored != [low, high] {
            return Ok(Some(Damage::HeaderChecksum));
        }
    }
    Ok(None)
}

/// Passes over a text that ends with a NUL.
fn text(source: &mut impl BufRead, checksum: &mut Crc) -> io::Result<Option<Damage>> {
    let mut length = 0;
    loop {
        let mut byte = [0];
        if !read_exact(source, &mut byte)? {
            return Ok(Some(Damage::HeaderEnds));
        }
        checksum.update(&byte);
        if byte == [0] {
            return Ok(None);
        }
        if length == MAX_TEXT {
            return Ok(Some(Damage::HeaderText));
        }
        length += 1;
    }
}

/// Fills `bytes`; false if the source ends before.
fn read_exact(source: &mut impl BufRead, mut bytes: &mut [u8]) -> io::Result<bool> {
    while !bytes.is_empty() {
        let there = filled(source)?;
        let length = there.len().min(bytes.len());
        if length == 0 {
            return Ok(false);
        }
        let (now, later) = bytes.split_at_mut(length);
        now.copy_from_slice(&there[..length]);
        source.consume(length);
        bytes = later;
    }
    Ok(true)
}

/// What is there to read; nothing at the end.
fn filled(source: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = source.fill_buf() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    source.fill_buf()
}

#[cfg(test)]
mod tests;
