//! The file that keeps evidence from one start to the next: `--cache-file`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portcullis_admission::{Gate, MAX_MEMORY_BYTES};
use portcullis_errors::{Hint as _, chain};
use portcullis_model::Digest;

use crate::policies::read_bounded;

/// How often it is written, if something is new.
pub(crate) const WRITE: Duration = Duration::from_secs(60);

/// Takes up what the file holds. One that is missing or damaged is told, and the webhook starts without.
pub(crate) fn load(path: &Path, gate: &Gate) {
    if !path.exists() {
        return;
    }
    match read_bounded(path, MAX_MEMORY_BYTES as u64) {
        Ok(bytes) => match gate.take_up(&bytes) {
            Ok(images) => tracing::info!(images, "evidence of an earlier run is known"),
            Err(error) => tracing::warn!(error = chain(&error), hint = error.hint(), "cannot use the cache file"),
        },
        Err(error) => tracing::warn!(error = chain(&error), "cannot read the cache file"),
    }
}

/// Writes the file where what is remembered has changed.
pub(crate) struct Keeper {
    path: PathBuf,
    written: Option<Digest>,
}

impl Keeper {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, written: None }
    }

    pub(crate) fn write(&mut self, gate: &Arc<Gate>) {
        let bytes = gate.memory();
        let digest = Digest::of(&bytes);
        if self.written == Some(digest) {
            return;
        }
        match replace(&self.path, &bytes) {
            Ok(()) => self.written = Some(digest),
            Err(error) => tracing::warn!(%error, path = %self.path.display(), "cannot write the cache file"),
        }
    }
}

/// Writes beside and renames: a reader sees the old file or the new one. It is for nobody else's eyes: findings of
/// private images are in it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    std::fs::rename(&beside, path)
}
