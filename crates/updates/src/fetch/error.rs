//! What can go wrong at a web server, told apart by what follows from it.

use std::{error::Error, io, path::PathBuf, time::Duration};

use portcullis_errors::{Hint, chain};
use reqwest::Url;

use super::shown;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there (404, 410).
    #[error("{url} is not there")]
    NotFound {
        /// The address.
        url: String,
    },
    /// The server does not give it: any other 3xx or 4xx.
    #[error("{url}: the server refuses ({status})")]
    Refused {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// Too many requests, and waiting did not help.
    #[error("{url}: the server answers too many requests (429)")]
    Throttled {
        /// The address.
        url: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// An error at its side.
    #[error("{url}: the server fails ({status})")]
    Failing {
        /// The address.
        url: String,
        /// 408, or 500–599.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection.
    #[error("{url}: no connection")]
    Unreachable {
        /// The address.
        url: String,
        /// What the network said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke, or stayed silent, while the answer was read.
    #[error("{url}: the answer broke off")]
    Interrupted {
        /// The address.
        url: String,
        /// What the network said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// More than is read.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The address is one of plain HTTP.
    #[error("{url} is not asked: anyone in between could change what it answers")]
    Plain {
        /// The address.
        url: String,
    },
    /// The answer is not what was asked for.
    #[error("{url}: {reason}")]
    Malformed {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// What came cannot be kept.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client could not be set up.
    #[error("cannot set up downloads: {what}")]
    Setup {
        /// What failed.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl FetchError {
    pub(super) fn unreachable(url: &Url, error: reqwest::Error) -> Self {
        // The address of a redirect may hold a signature.
        Self::Unreachable { url: shown(url), source: error.without_url().into() }
    }

    pub(super) fn interrupted(url: &Url, error: reqwest::Error) -> Self {
        Self::Interrupted { url: shown(url), source: error.without_url().into() }
    }

    pub(super) fn status(url: &Url, status: u16, retry_after: Option<Duration>) -> Self {
        let url = shown(url);
        match status {
            404 | 410 => Self::NotFound { url },
            429 => Self::Throttled { url, retry_after },
            408 | 500.. => Self::Failing { url, status, retry_after },
            _ => Self::Refused { url, status },
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. } | Self::Failing { .. } | Self::Unreachable { .. } | Self::Interrupted { .. }
        )
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Failing { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Hint for FetchError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "check the address; it must lead to a copy of OSV's export".into(),
            Self::Throttled { retry_after: Some(wait), .. } => {
                format!("try again in {} s, or take the database from a registry of your own", wait.as_secs().max(1))
            }
            Self::Throttled { .. } => "try again later, or take the database from a registry of your own".into(),
            Self::Failing { .. } | Self::Interrupted { .. } => {
                "try again: what has arrived is kept, and the rest is asked for".into()
            }
            Self::Unreachable { source, .. } => {
                let cause = chain(source.as_ref());
                if cause.contains("certificate") || cause.contains("UnknownIssuer") {
                    "name the authority that signed the server's certificate with `--ca-file`".into()
                } else {
                    "check the network and the proxy (HTTPS_PROXY, NO_PROXY), or name a mirror with `--from`".into()
                }
            }
            Self::Plain { .. } => "use https, or `--plain-http` if that is meant".into(),
            Self::Write { .. } => "make room, or choose another folder (PORTCULLIS_CACHE_DIR, --db)".into(),
            Self::Refused { .. } | Self::Malformed { .. } => "does a proxy or login page answer in its place?".into(),
            Self::TooLarge { .. } | Self::Setup { .. } => return None,
        })
    }
}
