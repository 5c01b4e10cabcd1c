//! Reading what may never come, as from a pipe whose other end is silent: until the deadline, and not for ever.

use std::{
    io::{self, Read},
    thread,
    time::Instant,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::layer::TIME_IS_OVER;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// Pieces that may wait.
const PIECES: usize = 16;

/// Reads what `open` opens; already that may wait, as for whoever writes into a named pipe. Past the deadline it fails.
pub(crate) fn reader<R: Read + Send + 'static>(
    deadline: Option<Instant>,
    open: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let Some(deadline) = deadline else { return Ok(Box::new(open()?)) };
    let (sender, pieces) = bounded(PIECES);
    // It may wait beyond the deadline, and then ends with the process, or with the next piece that nobody takes.
    thread::Builder::new().name("patient".to_owned()).spawn(move || {
        let outcome = open().and_then(|mut source| {
            let mut buffer = vec![0; CHUNK];
            loop {
                match source.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) if sender.send(Ok(buffer[..length].to_vec())).is_err() => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        });
        // An empty piece is the end.
        _ = sender.send(outcome.map(|()| Vec::new()));
    })?;
    Ok(Box::new(Patient { pieces, deadline, piece: Vec::new(), taken: 0, is_ended: false }))
}

struct Patient {
    pieces: Receiver<io::Result<Vec<u8>>>,
    deadline: Instant,
    piece: Vec<u8>,
    taken: usize,
    is_ended: bool,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() && !self.is_ended {
            // A piece that is there is taken before the clock is looked at, and whoever never pauses has always one.
            let is_over = Instant::now() >= self.deadline;
            self.piece = match self.pieces.recv_deadline(self.deadline) {
                Ok(piece) if !is_over => piece?,
                // Whoever read is gone, and did not say that this was all.
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, TIME_IS_OVER));
                }
            };
            self.taken = 0;
            self.is_ended = self.piece.is_empty();
        }
        let rest = &self.piece[self.taken..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Gives a little, and then waits for what never comes.
    struct Silent(Option<&'static [u8]>);

    impl Read for Silent {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(start) = self.0.take() else {
                loop {
                    thread::park();
                }
            };
            buffer[..start.len()].copy_from_slice(start);
            Ok(start.len())
        }
    }

    #[test]
    fn what_never_ends_ends_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(300);
        let mut reader = reader(Some(deadline), || Ok(Silent(Some(b"start")))).unwrap();
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, TIME_IS_OVER));
    }

    #[test]
    fn what_never_pauses_ends_at_the_deadline_too() {
        let deadline = Instant::now() + Duration::from_millis(100);
        let mut reader = reader(Some(deadline), || Ok(io::repeat(0))).unwrap();
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn all_of_what_ends_is_read() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        for deadline in [None, Some(Instant::now() + Duration::from_secs(3600))] {
            let given = io::Cursor::new(bytes.clone());
            let mut read = Vec::new();
            reader(deadline, move || Ok(given)).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == bytes);
            let broken = || Err::<io::Empty, _>(io::Error::other("it is gone"));
            let error = reader(deadline, broken).and_then(|mut reader| reader.read(&mut [0])).unwrap_err();
            assert_eq!(error.to_string(), "it is gone");
        }
    }
}
