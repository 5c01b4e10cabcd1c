//! From a layer's stored bytes to its tar stream: hashed on the way in, inflated on the way out.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::Arc,
    time::Instant,
};

use portcullis_model::{Digest, Hasher};

use crate::{
    gzip::Gzip,
    layer::{Limits, TIME_IS_OVER},
};

/// Bytes read from the source at a time.
const CHUNK: usize = 128 * 1024;

/// Largest window of a zstd frame taken, as a power of two: 64 MiB. Above it a decoder must hold more memory than a
/// whole scan may use; image builders use 8 MiB and less.
const MAX_ZSTD_WINDOW: u32 = 26;

/// Hashes and counts what passes.
pub(crate) struct Hashing<R> {
    source: R,
    hasher: Hasher,
    bytes: u64,
    /// Why the source ended early. What came before it is no layer: each further attempt fails as the first did.
    broken: Option<Broken>,
}

/// An error that is told more than once.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Broken(Arc<io::Error>);

impl<R: Read> Hashing<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, hasher: Hasher::new(), bytes: 0, broken: None }
    }

    /// Reads to the end, so that the digest is of all there is; gives up after `limit` bytes in all.
    pub(crate) fn finish(mut self, limit: u64) -> io::Result<(Digest, u64)> {
        let mut buffer = vec![0; CHUNK];
        while self.bytes <= limit {
            match self.read(&mut buffer) {
                Ok(0) => return Ok((self.hasher.finish(), self.bytes)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("it is larger than the {limit} bytes that it may have")))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(broken) = &self.broken {
            return Err(io::Error::new(broken.0.kind(), broken.clone()));
        }
        let length = match self.source.read(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let broken = self.broken.insert(Broken(Arc::new(error))).clone();
                return Err(io::Error::new(broken.0.kind(), broken));
            }
        };
        self.hasher.update(&buffer[..length]);
        self.bytes += length as u64;
        Ok(length)
    }
}

/// A layer's tar stream, however it is stored. The stored form is told by its first bytes: media types lie.
pub(crate) enum Decoder<R: Read> {
    Plain(BufReader<Hashing<R>>),
    Gzip(Box<Gzip<BufReader<Hashing<R>>>>),
    Zstd(zstd::Decoder<'static, BufReader<Hashing<R>>>),
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(source: R) -> io::Result<Self> {
        let mut source = BufReader::with_capacity(CHUNK, Hashing::new(source));
        Ok(match source.fill_buf()? {
            [0x1f, 0x8b, ..] => Self::Gzip(Box::new(Gzip::new(source))),
            // A frame, or one of the skippable frames that may come before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW)?;
                Self::Zstd(decoder)
            }
            _ => Self::Plain(source),
        })
    }

    /// The stored bytes, from wherever reading stopped.
    pub(crate) fn into_stored(self) -> Hashing<R> {
        match self {
            Self::Plain(source) => source.into_inner(),
            Self::Gzip(decoder) => decoder.into_inner().into_inner(),
            Self::Zstd(decoder) => decoder.finish().into_inner(),
        }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            // Past the small buffer: a large read goes straight to the source.
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// The tar stream under its limits. Every byte passes here, those of headers and of skipped bodies too, so that no
/// form of padding gets past the limits.
pub(crate) struct Unpacked<R: Read> {
    decoder: Decoder<R>,
    left: u64,
    deadline: Option<Instant>,
    /// Set where the layer is named by the digest of its plain tar, and is not stored as one.
    hasher: Option<Hasher>,
}

impl<R: Read> Unpacked<R> {
    pub(crate) fn new(decoder: Decoder<R>, limits: Limits, hashed: bool) -> Self {
        let Limits { entries: _, unpacked_bytes, deadline } = limits;
        Self { decoder, left: unpacked_bytes, deadline, hasher: hashed.then(Hasher::new) }
    }

    /// Reads to the end of what is stored: the digest that names the layer, and how many bytes are stored where they
    /// are what it names. At most `limit` of those are taken.
    pub(crate) fn finish(mut self, limit: u64, expected: Digest) -> io::Result<(Digest, Option<u64>)> {
        let rest = if self.hasher.is_some() { io::copy(&mut self, &mut io::sink()).map(|_| ()) } else { Ok(()) };
        match self.hasher {
            Some(hasher) => {
                let actual = hasher.finish();
                // Rubbish behind a stream that is what it should be is passed over, as engines do.
                if actual == expected { Ok((actual, None)) } else { rest.map(|()| (actual, None)) }
            }
            None => self.decoder.into_stored().finish(limit).map(|(digest, length)| (digest, Some(length))),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(io::Error::other(TIME_IS_OVER));
        }
        let length = self.decoder.read(buffer)?;
        self.left = self
            .left
            .checked_sub(length as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more bytes than a layer may have"))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails once, and has nothing more to give after that.
    struct BreaksOff(bool);

    impl Read for BreaksOff {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Ok(0);
            }
            buffer.fill(0);
            Err(io::Error::new(io::ErrorKind::TimedOut, "nothing comes"))
        }
    }

    #[test]
    fn what_broke_off_has_no_digest() {
        let mut hashing = Hashing::new(b"start".chain(BreaksOff(false)));
        let mut read = Vec::new();
        assert!(hashing.read_to_end(&mut read).is_err());
        let error = hashing.finish(100).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "nothing comes"));
    }
}
