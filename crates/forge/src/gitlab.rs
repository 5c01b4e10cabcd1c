//! GitLab, in the cloud and on a machine of one's own.
//!
//! API: <https://docs.gitlab.com/api/rest/>. The token of a job may upload packages; it may write neither notes nor
//! statuses (<https://docs.gitlab.com/ci/jobs/ci_job_token/>).

mod client;
mod context;

pub use client::{GitLab, State, Token};
pub use context::Context;

/// What errors call it.
const FORGE: &str = "GitLab";
