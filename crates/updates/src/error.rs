//! Why a database was not updated. The one that is in use stays as it is.

use std::{
    io,
    path::{Path, PathBuf},
};

use portcullis_advisories::{BuildError, OpenError, SourceError};
use portcullis_attest::{SignError, StoreError, VerifyError};
use portcullis_errors::{Hint, printable};
use portcullis_model::{Digest, Timestamp};
use portcullis_registry::{ReferenceError, RegistryError};

use crate::fetch::FetchError;

/// Why a database was not updated, published, exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// A file of the export cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The address is none.
    #[error("`{text}` is no address of an export")]
    Address {
        /// The address.
        text: String,
    },
    /// What came is not usable.
    #[error("{url} is not usable: {reason}")]
    Export {
        /// Its address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no such ecosystem.
    #[error("the export has no ecosystem `{name}`")]
    Ecosystem {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A run without network needs what no earlier run has fetched.
    #[error("{} holds nothing to build a database from", path.display())]
    NothingCached {
        /// The cache.
        path: PathBuf,
    },
    /// Another update is running, and did not end in time.
    #[error("another update holds {}", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// It took too long.
    #[error("the update was not done within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread of the program failed.
    #[error("a part of the program failed: {0}")]
    Thread(String),
    /// A source in the cache could not be read at all.
    #[error("{count} sources could not be read, such as {first}")]
    Lost {
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// The sources cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The database cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The new database is not usable.
    #[error("the new database is not usable")]
    Open(#[from] OpenError),
    /// The registry does not do it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The artifact is something else.
    #[error("{place} holds no database: {reason}")]
    Artifact {
        /// Where it is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody who is trusted has signed it.
    #[error("{place} is not signed by anyone who is trusted{}", reasons(refused))]
    Unsigned {
        /// Where it is.
        place: String,
        /// Why each signature was refused.
        refused: Vec<VerifyError>,
    },
    /// Signatures could not be read, so that nobody knows whether there is a good one.
    #[error("the signatures of {place} cannot be read: {reason}")]
    Signatures {
        /// Where it is.
        place: String,
        /// Why.
        reason: String,
    },
    /// It is not what was signed.
    #[error("the database has the digest {actual}, and what is signed says {expected}")]
    Mismatch {
        /// What was signed.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// It is older than what is in use.
    #[error("the database on offer is of {offered}, the one in use is of {installed}: it would be a step back")]
    Rollback {
        /// Of the one on offer.
        offered: Timestamp,
        /// Of the one in use.
        installed: Timestamp,
    },
    /// It lacks what is in use.
    #[error("the new database lacks much of the one in use: {}", printable(&lost.join("; "), 400))]
    Shrunk {
        /// What, by source.
        lost: Vec<String>,
    },
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The signature cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive that a signature vouches for cannot be made again.
    #[error("the packed form that was signed is no longer at hand, and packing again gives other bytes")]
    NotReproduced,
}

fn reasons(refused: &[VerifyError]) -> String {
    let mut texts: Vec<String> = refused.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    if texts.is_empty() { ": it has no signature".into() } else { format!(": {}", texts.join("; ")) }
}

impl UpdateError {
    pub(crate) fn writing(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        Self::at("write", path)
    }

    pub(crate) fn reading(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        Self::at("read", path)
    }

    fn at(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path: path.clone(), source }
    }
}

impl Hint for UpdateError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Fetch(error) => return error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Reference(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Address { .. } => "write it as https://HOST/PATH or oci://REGISTRY/REPOSITORY:TAG".into(),
            Self::Export { .. } => "try again later, or name another copy with `--from`".into(),
            Self::Ecosystem { known, .. } => format!("one of {}", known.join(", ")),
            Self::NothingCached { .. } => "run it once without `--offline`".into(),
            Self::Busy { .. } => "wait for it to end, or allow more time with `--timeout`".into(),
            Self::TimedOut { .. } => "try again: what has arrived is kept; or allow more time with `--timeout`".into(),
            Self::File { action: "write", source, .. } if is_full(source) => {
                "make room, or choose another folder (PORTCULLIS_CACHE_DIR, --db)".into()
            }
            Self::File { action: "write", .. } => "check that the folder can be written to".into(),
            Self::Lost { .. } => "remove them from the cache, and update again".into(),
            Self::Build(BuildError::Write { .. }) => "make room, or choose another file with `--db`".into(),
            Self::Open(_) | Self::Mismatch { .. } => {
                "whoever made it should check it with `portcullis db verify`, and publish it again".into()
            }
            Self::Artifact { .. } => "publish one there with `portcullis db publish`".into(),
            Self::Unsigned { .. } => "check the key; `--allow-unsigned` takes it all the same".into(),
            Self::Signatures { .. } => "try again later".into(),
            Self::Rollback { .. } | Self::Shrunk { .. } => "`--allow-rollback` takes it all the same".into(),
            Self::NotReproduced => {
                "fetch it again with `portcullis db update --from oci://…`, or sign what you export with `--key`".into()
            }
            Self::File { .. } | Self::Thread(_) | Self::Source(_) | Self::Build(_) | Self::Sign(_) => return None,
        })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
