//! Why a forge was not told: what the environment lacks, what the forge refuses, what does not answer.

use std::{io, path::PathBuf, time::Duration};

use portcullis_errors::{Hint, printable};

/// Of a forge's own words, as much as could be worth reading.
const MAX_MESSAGE: usize = 400;

/// Why a forge was not told.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// A variable is not set, or not what it should be.
    #[error("{variable}: {why}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The client cannot be set up.
    #[error("cannot use {what}")]
    Setup {
        /// What is no good.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request got no answer that can be used.
    #[error("{what} at {forge}")]
    Transport {
        /// GitHub or GitLab.
        forge: &'static str,
        /// What was asked for.
        what: &'static str,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// The forge says no.
    #[error("{forge} does not take {what} ({status}: {message})")]
    Refused {
        /// GitHub or GitLab.
        forge: &'static str,
        /// What it was told.
        what: &'static str,
        /// The status of the answer.
        status: u16,
        /// The forge's own words.
        message: String,
    },
    /// The answer is not what the forge's documentation says.
    #[error("{forge} answers {what} with something else: {why}")]
    Answer {
        /// GitHub or GitLab.
        forge: &'static str,
        /// What it was told.
        what: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// GitHub took the SARIF file, and then found it wanting.
    #[error("GitHub could not process the SARIF file: {0}")]
    NotProcessed(String),
    /// GitHub took the SARIF file, and was not done in time.
    #[error("GitHub has not processed the SARIF file after {} s", waited.as_secs())]
    StillPending {
        /// How long it was waited for.
        waited: Duration,
    },
    /// More than the forge takes.
    #[error("{what} is larger than {limit} bytes, the most that {forge} takes")]
    TooLarge {
        /// GitHub or GitLab.
        forge: &'static str,
        /// What is too large.
        what: String,
        /// In bytes.
        limit: usize,
    },
}

impl ForgeError {
    /// A refusal in the forge's words.
    pub(crate) fn refused(forge: &'static str, what: &'static str, status: u16, message: &str) -> Self {
        Self::Refused { forge, what, status, message: printable(message, MAX_MESSAGE) }
    }

    /// Whether the token may not do it: 403, or 404, which is how forges hide what a token must not see.
    #[must_use]
    pub const fn is_permission(&self) -> bool {
        matches!(self, Self::Refused { status: 403 | 404, .. })
    }

    /// Whether the same may yet succeed that nobody knows to have been carried out: a POST at which the forge failed, a
    /// request that lost its answer. Whatever else can be repeated has been.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Refused { status: 500 | 502 | 503 | 504, .. }
                | Self::Transport { source: TransportError::Interrupted(_) | TransportError::Silent(_), .. }
        )
    }
}

impl Hint for ForgeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Environment { variable, .. } => {
                Some(format!("run it in a job of the forge, or set {variable} as such a job does"))
            }
            Self::Transport { source: TransportError::Limited { .. }, .. } => {
                Some("run fewer jobs at a time, or publish less with --publish".to_owned())
            }
            Self::StillPending { .. } | Self::Transport { source: TransportError::OutOfTime, .. } => {
                Some("give it more time with --timeout".to_owned())
            }
            Self::TooLarge { .. } => Some("scan with a policy that leaves out what nobody will mend".to_owned()),
            _ => None,
        }
    }
}

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection.
    #[error("it does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The connection broke, or the answer did not come in time.
    #[error("the answer did not come")]
    Interrupted(#[source] reqwest::Error),
    /// Neither a piece of the answer nor its beginning came.
    #[error("it has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// It fails at what was asked, however often it is asked.
    #[error("it answers {0}, however often it is asked")]
    Failing(http::StatusCode),
    /// The time for everything together is over.
    #[error("no time is left for it")]
    OutOfTime,
    /// More than is read.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It asks to wait for longer than is waited.
    #[error("its rate limit lasts for another {} s, which is too long to wait", wait.as_secs())]
    Limited {
        /// For how long.
        wait: Duration,
    },
    /// An address that credentials are not for.
    #[error("{0} is not its address")]
    Elsewhere(String),
}
