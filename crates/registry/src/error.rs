//! What can go wrong at a registry, told apart by what follows from it: an answer *no*, a refusal, a wait, an outage
//! or an answer that cannot be believed. Only [`RegistryError::NotFound`] ever means that something is not there.

use std::{fmt, time::Duration};

use portcullis_errors::Hint;
use portcullis_model::Digest;

use crate::credentials::CredentialsError;

/// What was asked for, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// The host that answered, or should have.
    pub host: String,
    /// What was asked for, for people: `manifest team/app:v1`.
    pub what: String,
}

impl fmt::Display for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.host)
    }
}

/// Why a registry's answer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry says that it is not there.
    #[error("{0} is not there")]
    NotFound(Hosted),
    /// Credentials are missing, wrong or not enough (401, 403).
    #[error("{subject}: access is refused ({status}{detail})")]
    Unauthorized {
        /// What was asked for.
        subject: Hosted,
        /// 401 or 403.
        status: u16,
        /// The registry's own words, with a colon before them.
        detail: String,
        /// Whether credentials were sent.
        with_credentials: bool,
    },
    /// Too many requests, and waiting did not help.
    #[error("{subject}: the registry answers too many requests (429)")]
    Throttled {
        /// What was asked for.
        subject: Hosted,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// An error at its side (5xx).
    #[error("{subject}: the registry fails ({status}{detail})")]
    Failing {
        /// What was asked for.
        subject: Hosted,
        /// 500–599.
        status: u16,
        /// The registry's own words, with a colon before them.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection.
    #[error("{subject}: no connection")]
    Unreachable {
        /// What was asked for.
        subject: Hosted,
        /// What the network said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke while an answer was read.
    #[error("{subject}: the answer broke off")]
    Interrupted {
        /// What was asked for.
        subject: Hosted,
        /// What the network said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("{subject}: no answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// What was asked for.
        subject: Hosted,
        /// How long was waited.
        limit: Duration,
    },
    /// The time for all of it is over: that of the command, whatever this request could have taken.
    #[error("{subject}: the time for this command is over")]
    Late {
        /// What was asked for.
        subject: Hosted,
    },
    /// The answer is not what a registry says: HTML, broken JSON, a foreign redirect.
    #[error("{subject}: the answer makes no sense: {reason}")]
    Malformed {
        /// What was asked for.
        subject: Hosted,
        /// What is wrong with it.
        reason: String,
    },
    /// More than is read.
    #[error("{subject} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        subject: Hosted,
        /// The limit.
        limit: u64,
    },
    /// More entries than are read.
    #[error("{subject}: more than {limit} entries")]
    TooMany {
        /// What was asked for.
        subject: Hosted,
        /// The limit.
        limit: usize,
    },
    /// The content is not what its digest says.
    #[error("{subject}: the content has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// What was asked for.
        subject: Hosted,
        /// What was asked for, or promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Any other refusal, such as a push that is not allowed (405) or too large (413).
    #[error("{subject}: the registry refuses ({status}{detail})")]
    Refused {
        /// What was asked for.
        subject: Hosted,
        /// 3xx or 4xx.
        status: u16,
        /// The registry's own words, with a colon before them.
        detail: String,
    },
    /// An address that is not to be asked: private, loopback or link-local, or a host that must not see credentials.
    #[error("{subject}: {host} is not to be asked: {reason}")]
    Forbidden {
        /// What was asked for.
        subject: Hosted,
        /// The host or address.
        host: String,
        /// Why not.
        reason: &'static str,
    },
    /// Credentials could not be read.
    #[error("cannot read the credentials for {host}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: CredentialsError,
    },
    /// The client could not be set up.
    #[error("cannot set up the registry client: {what}")]
    Setup {
        /// What failed.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RegistryError {
    /// Whether the registry said that it is not there. Everything else means: unknown.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether credentials are missing, wrong or not enough.
    #[must_use]
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Unauthorized { .. })
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. }
                | Self::Failing { .. }
                | Self::Unreachable { .. }
                | Self::Interrupted { .. }
                | Self::TimedOut { .. }
                | Self::Late { .. }
        )
    }

    /// Whether it is worth asking again at once. A time-out is not: it would double the wait.
    pub(crate) const fn is_retried(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. }
                | Self::Unreachable { .. }
                | Self::Interrupted { .. }
                | Self::Failing { status: 500 | 502..=504, .. }
        )
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Failing { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Hint for RegistryError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound(_) => {
                "check the name and the tag; a private repository also answers so without credentials".into()
            }
            Self::Unauthorized { subject, with_credentials: false, .. } => {
                format!(
                    "log in with `docker login {}`, or point DOCKER_CONFIG to a folder with credentials",
                    subject.host
                )
            }
            Self::Unauthorized { .. } => "the credentials are known, but lack the right to this repository".into(),
            Self::Throttled { retry_after: Some(wait), .. } => format!("try again in {} s", wait.as_secs().max(1)),
            Self::Throttled { .. } => "try again later, or log in for a higher limit".into(),
            Self::Failing { .. } | Self::Interrupted { .. } => "try again later".into(),
            Self::Unreachable { subject, source } => unreachable_hint(subject, source.as_ref()),
            Self::TimedOut { .. } | Self::Late { .. } => "try again, or allow more time with `--timeout`".into(),
            Self::Malformed { .. } => "is this a registry? a proxy or login page may answer in its place".into(),
            Self::Credentials { source, .. } => return source.hint(),
            Self::Forbidden { .. } => "allow the host explicitly if it is meant to be asked".into(),
            Self::DigestMismatch { .. } => {
                "the registry or something before it has changed the content; do not use it".into()
            }
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::Refused { .. } | Self::Setup { .. } => return None,
        };
        Some(hint)
    }
}

fn unreachable_hint(subject: &Hosted, source: &(dyn std::error::Error + Send + Sync)) -> String {
    let cause = portcullis_errors::chain(source);
    if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        "name the authority that signed the registry's certificate with `--ca-file`".into()
    } else if cause.contains("InvalidContentType") || cause.contains("corrupt message") {
        format!("{} may speak plain HTTP: use `--plain-http` if that is meant", subject.host)
    } else {
        "check the name and the network".into()
    }
}
