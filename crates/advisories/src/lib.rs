//! The compiled advisory database: one file that is memory-mapped, never parsed.
//!
//! ```text
//! OSV zips, KEV, EPSS ── sources ─→ records ── normalise ─→ builder ─→ one file ── Database ─→ matching
//! ```
//! The layout of the file is described in `format.rs` and, for people, in `docs/database-format.md`. The same input
//! gives the same bytes. Every page that an answer rests on is checked against a digest before it is used, so a
//! damaged file gives an error, never a wrong answer; readers take no lock.

mod builder;
mod database;
mod decode;
mod encode;
mod format;
mod lenient;
mod map;
mod normalise;
mod osv;
mod pages;
mod ranges;
mod records;
mod severity;
mod sources;
mod starter;
mod texts;

pub use builder::{BuildError, BuildSummary, Builder, replaceable};
pub use database::{Database, OpenError, SearchHit};
pub use format::FORMAT_VERSION;
pub use sources::{SourceError, add_directory};
pub use starter::{STARTER_TABLE, build_starter, starter_info};
