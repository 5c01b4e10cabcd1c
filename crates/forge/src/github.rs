//! GitHub, in the cloud and on a machine of one's own.
//!
//! API: <https://docs.github.com/en/rest>. Every call is described by GitHub's own OpenAPI document, and the tests hold
//! requests and answers against it.

mod check;
mod client;
mod comment;
mod context;
mod files;
mod sarif;
mod status;

pub use check::{CheckRun, Conclusion};
pub use client::GitHub;
pub use context::Context;
pub use files::append;
pub use sarif::Processed;
pub use status::{State, Status};

/// What errors call it.
const FORGE: &str = "GitHub";
