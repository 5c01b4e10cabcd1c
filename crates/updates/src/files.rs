//! Files that are whole or not there, and one writer at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::UpdateError;

/// How often a lock that another process holds is tried.
const RETRY: Duration = Duration::from_millis(100);

/// `FILE` with something after its name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Writes a file by another that takes its place.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let next = beside(path, ".next");
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&next, path)
}

/// A file of at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The folder of a file.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Makes the names of a folder's files last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The right to write, for as long as this lives; the system takes it back from a process that ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock file at `path` until `until`; says so once through `waiting`.
    pub(crate) fn take(path: &Path, until: Instant, waiting: &dyn Fn()) -> Result<Self, UpdateError> {
        fs::create_dir_all(folder_of(path)).map_err(UpdateError::writing(path))?;
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(UpdateError::writing(path))?;
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(UpdateError::writing(path)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                    return Err(UpdateError::Busy { path: path.to_owned() });
                }
                Err(TryLockError::WouldBlock) => {
                    if !is_told {
                        waiting();
                    }
                    is_told = true;
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/lock");
        let first = Lock::take(&path, Instant::now(), &|| ()).unwrap();
        assert!(matches!(Lock::take(&path, Instant::now(), &|| ()), Err(UpdateError::Busy { .. })));
        drop(first);
        Lock::take(&path, Instant::now(), &|| ()).unwrap();
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, b"12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert!(read_bounded(&path, 4).is_err());
    }
}
