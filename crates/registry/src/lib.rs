//! What `image` and `attest` share of registries: canonical image names, credentials, and a client that trusts no
//! answer.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>
//!
//! The client stands on `reqwest` itself. `oci-client` 0.18 was weighed for each operation, and what this crate is
//! for is out of its reach: it drops the headers of a refusal (`Retry-After`, `OCI-Subject`, `Link`), reads
//! manifests and token answers without a limit, loses why a token was refused, sends Basic credentials to any realm
//! that an answer names, and follows redirects to any address. Challenges are parsed by
//! `http-auth`.

mod addresses;
mod auth;
mod blobs;
mod client;
mod connections;
mod credentials;
mod descriptor;
mod error;
mod grammar;
mod helper;
mod manifests;
mod pull_secrets;
mod reference;
mod referrers;
mod transport;

pub use blobs::BlobStream;
pub use client::{Client, Options, PlainHttp};
pub use credentials::{Credential, Credentials, CredentialsError};
pub use descriptor::{Descriptor, media_type};
pub use error::{Hosted, RegistryError};
pub use manifests::{MAX_MANIFEST_BYTES, MAX_TAGS, Manifest, PushAnswer};
pub use pull_secrets::{NamedCredential, PullSecretForm, PullSecrets};
pub use reference::{Reference, ReferenceError};
pub use referrers::{MAX_REFERRERS, fallback_tag};
