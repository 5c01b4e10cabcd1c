//! The Dockerfile that an image was built from: which of its lines made which layer.
//!
//! Format: <https://docs.docker.com/reference/dockerfile/>.

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its path in the repository, for links.
    pub path: String,
    /// Its text.
    pub text: String,
}
