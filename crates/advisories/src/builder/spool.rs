//! Bytes put aside until the file is written: in memory as long as they are few, then in a temporary file.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

/// Bytes kept in memory before there is a file.
const IN_MEMORY: usize = 32 * 1024 * 1024;

/// Bytes gathered between writes to the file.
const GATHERED: usize = 256 * 1024;

/// Pieces that are added once and read at random.
#[derive(Default)]
pub(super) struct Spool {
    gathered: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    directory: Option<PathBuf>,
}

impl Spool {
    /// One whose file lies in `directory`, rather than where the system wants temporary files.
    pub(super) fn set_directory(&mut self, directory: PathBuf) {
        self.directory = Some(directory);
    }

    /// Where the next piece starts.
    pub(super) const fn position(&self) -> u64 {
        self.written + self.gathered.len() as u64
    }

    /// Adds a piece; it can be read whole, or any part of it.
    pub(super) fn add(&mut self, parts: &[&[u8]]) -> io::Result<u64> {
        let start = self.position();
        for part in parts {
            self.gathered.extend_from_slice(part);
        }
        if self.gathered.len() > if self.file.is_some() { GATHERED } else { IN_MEMORY } {
            self.write_out()?;
        }
        Ok(start)
    }

    fn write_out(&mut self) -> io::Result<()> {
        let mut file = match (self.file.take(), &self.directory) {
            (Some(file), _) => file,
            (None, Some(directory)) => tempfile::tempfile_in(directory)?,
            (None, None) => tempfile::tempfile()?,
        };
        file.write_all(&self.gathered)?;
        self.file = Some(file);
        self.written = self.position();
        self.gathered = Vec::with_capacity(GATHERED + GATHERED / 4);
        Ok(())
    }

    /// `length` bytes of one piece.
    pub(super) fn read<'a>(&'a self, start: u64, length: usize, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        if let Some(start) = start.checked_sub(self.written) {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let bytes = start.checked_add(length).and_then(|end| self.gathered.get(start..end));
            return bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.resize(length, 0);
        file.read_exact_at(buffer, start)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::default();
        spool.set_directory(folder.path().to_owned());
        let pieces: Vec<Vec<u8>> = (0..=250_u8).map(|number| vec![number; 150_000 + usize::from(number)]).collect();
        let starts: Vec<u64> = pieces.iter().map(|piece| spool.add(&[piece, b"end"]).unwrap()).collect();
        assert!(spool.file.is_some() && !spool.gathered.is_empty());
        let mut buffer = Vec::new();
        for (piece, &start) in pieces.iter().zip(&starts) {
            assert_eq!(spool.read(start, piece.len(), &mut buffer).unwrap(), piece);
            assert_eq!(spool.read(start + piece.len() as u64, 3, &mut buffer).unwrap(), b"end");
        }
        assert!(spool.read(spool.position() - 1, 2, &mut buffer).is_err());
        // It has no name that anybody could see.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
