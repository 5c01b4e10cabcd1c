//! Evidence about images: statements are made, signed, stored beside the image, found again and verified.
//!
//! What is written is an in-toto Statement v1 in a DSSE envelope in a Sigstore bundle v0.3, stored as an OCI 1.1
//! referrer; so cosign and the policy engines that read its attestations can use it. What is read also covers the
//! older forms. The Sigstore crates stay behind this one.
//!
//! Finding is not verifying: [`discover`] gives [`Candidate`]s, which prove nothing, and only a [`Verifier`] makes a
//! [`Verified`] of one.

mod artifact;
mod bundle;
mod discover;
mod identity;
mod json;
mod keyless;
mod keys;
mod layout;
mod legacy;
mod message;
mod plugin;
mod predicates;
mod prune;
mod refusal;
mod services;
mod signer;
mod statement;
mod store;
mod summary;
mod verify;
mod vulns;

pub use bundle::{BUNDLE_MEDIA_TYPE, Bundle, SignError};
pub use discover::{Candidate, Discovery, Format, MAX_BUNDLE_BYTES, MAX_TOTAL_BYTES, Problem, ProblemError, discover};
pub use identity::IdentitySigner;
pub use keyless::{Content, Identity, PatternError, Signer, TrustRoot, TrustRootError, verify_bundle};
pub use keys::{KeyError, SigningKey, VerifyingKey};
pub use layout::{LayoutError, discover_in_layout, store_in_layout};
pub use legacy::store_legacy;
pub use plugin::{KeyPlugin, PluginError};
pub use predicates::{VulnerabilityScan, sbom_statement, vulnerability_statement};
pub use prune::outdated;
pub use refusal::VerifyError;
pub use services::{ServiceClient, ServiceError, SigningServices, TimestampAuthority};
pub use signer::StatementSigner;
pub use statement::{SbomFormat, Statement, StatementError, Subject, predicate_type};
pub use store::{StoreError, Stored, remove, store};
pub use summary::{InputAttestation, PolicyDescriptor, SummaryResult, VerificationSummary};
pub use verify::{Authority, Verified, Verifier};
pub use vulns::vulns_statement;
