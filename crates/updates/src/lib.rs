//! Keeps the advisory database fresh: from OSV's public export, from a registry, or from a file that was carried over.
//!
//! ```text
//! OSV, CISA, FIRST ── fetch ─→ cache ── advisories ─→ staged file ─┐
//! registry, archive ── artifact, verify ─→ cache ─→ staged file ───┴─ install ─→ the database in use
//! ```
//! The database in use changes at one stroke or not at all: a failed or killed update leaves the old one. Writers hold
//! a lock, readers none.

mod archive;
mod artifact;
mod catalogues;
mod ecosystem;
mod error;
mod export;
mod fetch;
mod files;
mod install;
mod listing;
mod losses;
mod osv;
mod publish;
mod pull;
mod trust;
mod update;

pub use archive::{Exported, export};
pub use ecosystem::{Change, Synced};
pub use error::UpdateError;
pub use fetch::{FetchError, FetchOptions, Fetcher};
pub use install::{ArtifactOrigin, Origin, Signature, origin};
pub use osv::{DEFAULT_EPSS, DEFAULT_EXPORT, DEFAULT_KEV, Sources};
pub use publish::{Published, publish};
pub use trust::Trust;
pub use update::{Event, Installed, Update};
