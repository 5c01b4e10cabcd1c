//! Tells GitHub and GitLab what a report says: SARIF for code scanning, one comment that is edited and never repeated,
//! check runs, commit statuses, packages. And tells which pipeline a program runs in.
//!
//! GitHub is asked by `octocrab`, GitLab by the `gitlab` crate; both send through one transport, which is bounded in
//! bytes and time, honours rate limits, and gives the token to no address but the forge's.

mod environment;
mod error;
mod patience;
mod transport;

pub mod github;
pub mod gitlab;
pub mod pipelines;

pub use error::{ForgeError, TransportError};
pub use transport::Access;

/// Finds a variable of the environment; tests bring their own.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The sign by which a comment or note is known to be the one of `name`, at its very beginning. It does not show.
fn marker(name: &str) -> String {
    let digest = portcullis_model::Digest::of(name.as_bytes()).hex();
    format!("<!-- portcullis:{} -->", digest.get(..16).unwrap_or_default())
}

/// `text` in at most `max` characters.
fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}
