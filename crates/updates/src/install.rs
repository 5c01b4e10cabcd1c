//! The database in use, and its change for another at one stroke.
//!
//! ```text
//! FOLDER/portcullis.db            the database
//! FOLDER/portcullis.db.origin     where this one and the one before came from, by their digests
//! FOLDER/.portcullis.db.lock      held by whoever changes it; readers take no lock
//! FOLDER/.portcullis.db.new/      what is being made; whatever an update that was killed left there is removed
//! ```
//! What came from where is written before the change: a crash in between leaves the old database with its own origin.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use portcullis_advisories::{Database, replaceable};
use portcullis_model::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    UpdateError,
    ecosystem::Waited,
    files::{Lock, beside, folder_of, read_bounded, sync_folder, write_atomically},
};

/// Largest file of origins read, in bytes.
const MAX_ORIGINS: u64 = 64 << 20;

/// Where a database came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The digest of the database that this speaks of.
    pub digest: Digest,
    /// The address that it was fetched from, or the file that it was imported from.
    pub from: String,
    /// When it was put in its place.
    pub installed: Timestamp,
    /// What it was built from, where it was built here: the same inputs need no other build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Digest>,
    /// The artifact that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactOrigin>,
}

/// The artifact that a database was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactOrigin {
    /// The manifest as it was fetched.
    pub manifest: String,
    /// Who vouches for it; none where it was taken unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl ArtifactOrigin {
    /// The digest of the manifest, which signatures are about.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }
}

/// A signature that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose it is: the name of the authority that was trusted.
    pub by: String,
    /// When it was signed, where a log or a timestamp authority vouches for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Timestamp>,
    /// The Sigstore bundle.
    pub bundle: String,
}

/// The place of a database, held for a change.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    staging: PathBuf,
    _lock: Lock,
}

impl Place {
    /// Takes the right to change the database at `path`.
    pub(crate) fn hold(path: &Path, until: Instant, waiting: &dyn Fn()) -> Result<Self, UpdateError> {
        // A link stays, and leads to the new file.
        let path = fs::canonicalize(path).unwrap_or_else(|_missing| path.to_owned());
        let lock = Lock::take(&hidden(&path, ".lock"), until, waiting)?;
        let staging = hidden(&path, ".new");
        let emptied = match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        };
        emptied.and_then(|()| fs::create_dir(&staging)).map_err(UpdateError::writing(&staging))?;
        Ok(Self { path, staging, _lock: lock })
    }

    /// Where the new database is to be made: on the same file system.
    pub(crate) fn staged(&self) -> PathBuf {
        self.staging.join("portcullis.db")
    }

    /// The database that is in use, if it is a good one.
    pub(crate) fn current(&self) -> Option<Database> {
        Database::open(&self.path).ok()
    }

    /// Puts what was made in place, after every page of it was checked, if that is still waited for.
    pub(crate) fn install(self, origin: Origin, waited: &Waited) -> Result<Database, UpdateError> {
        let staged = self.staged();
        let database = Database::open(&staged)?;
        database.verify()?;
        if database.digest() != origin.digest {
            return Err(UpdateError::Mismatch { expected: origin.digest, actual: database.digest() });
        }
        waited.require()?;
        self.remember(origin)?;
        let written = replaceable(&self.path)
            .and_then(|()| fs::rename(&staged, &self.path))
            .and_then(|()| sync_folder(&folder_of(&self.path)));
        written.map_err(UpdateError::writing(&self.path))?;
        Ok(database)
    }

    /// Adds an origin; that of the database in use stays.
    pub(crate) fn remember(&self, origin: Origin) -> Result<(), UpdateError> {
        let path = origins_path(&self.path);
        let in_use = self.current().map(|database| database.digest());
        let mut kept = origins(&self.path);
        kept.retain(|known| known.digest != origin.digest && Some(known.digest) == in_use);
        kept.push(origin);
        let text = serde_json::to_vec_pretty(&kept).map_err(io::Error::from);
        text.and_then(|text| write_atomically(&path, &text)).map_err(UpdateError::writing(&path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is removed by the next update.
        _ = fs::remove_dir_all(&self.staging);
    }
}

/// Where the database at `path` came from, as far as that is known.
#[must_use]
pub fn origin(path: &Path, digest: Digest) -> Option<Origin> {
    let path = fs::canonicalize(path).unwrap_or_else(|_missing| path.to_owned());
    origins(&path).into_iter().find(|origin| origin.digest == digest)
}

fn origins(path: &Path) -> Vec<Origin> {
    let bytes = read_bounded(&origins_path(path), MAX_ORIGINS).ok();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn origins_path(path: &Path) -> PathBuf {
    beside(path, ".origin")
}

/// `.NAME` and an ending, beside the file.
fn hidden(path: &Path, ending: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}{ending}"))
}
