//! A commit status on the head commit, for those who require one by name.
//!
//! API: <https://docs.github.com/en/rest/commits/statuses>.

use serde::Serialize;

use super::GitHub;
use crate::{ForgeError, short};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 140;
const WHAT: &str = "the status";

/// The state of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It passes.
    Success,
    /// It fails.
    Failure,
    /// It is not known, which does not pass.
    Error,
}

/// A commit status.
#[derive(Debug, Clone, Serialize)]
pub struct Status<'a> {
    /// The state.
    pub state: State,
    /// What tells it from the statuses of others.
    pub context: &'a str,
    /// One line.
    pub description: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    state: State,
    context: &'a str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<&'a str>,
}

impl GitHub {
    /// Sets the status of the head commit.
    ///
    /// # Errors
    /// When GitHub does not take it.
    pub async fn status(&self, status: &Status<'_>) -> Result<(), ForgeError> {
        let Status { state, context, description } = status;
        let body = Body {
            state: *state,
            context,
            description: short(description, MAX_DESCRIPTION),
            target_url: self.context.run_url.as_deref(),
        };
        let route = format!("statuses/{}", self.context.head_commit);
        // The last one counts: a second one of the same does no harm.
        let _answer: serde_json::Value = self.transport.again(|| self.post(WHAT, &route, &body)).await?;
        Ok(())
    }
}
