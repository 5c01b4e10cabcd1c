//! What is said to people, on stderr: errors with causes and hints, and how a command ended.

use std::io::Write as _;

use portcullis_errors::{Hint, chain, file_hint, printable};
use portcullis_policy::ExitStatus;

/// Why a command could not be done.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    /// What follows from it.
    note: Option<String>,
    hint: Option<String>,
    status: ExitStatus,
}

pub(crate) type Outcome = Result<ExitStatus, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), note: None, hint: None, status: ExitStatus::Error }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: ExitStatus::Usage, ..Self::new(message) }
    }

    /// Says where.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// What happened, without note and hint.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

impl Failure {
    /// Says it on stderr.
    pub(crate) fn tell(&self) {
        let Self { message, note, hint, status: _ } = self;
        say(&format!("error: {}", printable(message, 4000)));
        if let Some(note) = note {
            say(&format!("note: {}", printable(note, 1000)));
        }
        if let Some(hint) = hint {
            say(&format!("hint: {}", printable(hint, 1000)));
        }
    }
}

/// An error that knows what can be done about it.
impl<E: std::error::Error + Hint> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { message: chain(&error), note: None, hint: error.hint(), status: ExitStatus::Error }
    }
}

/// Says what went wrong with what, for errors without advice but what can be done about a file.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: std::error::Error + 'static> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let hint = file_hint(&error).map(ToOwned::to_owned);
            Failure { hint, ..Failure::new(format!("{}: {}", what(), chain(&error))) }
        })
    }
}

/// Writes a line to stderr. A stderr that is closed takes nothing, and that is no error.
pub(crate) fn say(text: &str) {
    _ = writeln!(anstream::stderr(), "{text}");
}

/// Tells the failure, if there is one, and gives the exit status.
pub(crate) fn conclude(outcome: Outcome) -> ExitStatus {
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            failure.tell();
            failure.status
        }
    }
}
