//! The words that every part of Portcullis speaks: what is in an image ([`Package`]), what is known to be
//! wrong ([`Advisory`], [`Affected`]), what follows ([`Finding`], [`Verdict`]) and how it is told ([`Report`]).
//!
//! Nothing here does I/O or reads a clock; the seam traits ([`AdvisoryLookup`]) let the pure crates work on
//! whatever the caller brings.

mod advisory;
mod completion;
mod cpe;
mod digest;
mod distribution;
mod finding;
mod licenses;
mod maven;
mod package;
pub mod path_hashes;
mod purl;
mod report;
mod severity;
mod text;
mod time;
mod verdict;

pub use advisory::{Advisory, AdvisoryKey, AdvisoryLookup, Affected, Exploited, Interval, LookupError, lookup_name};
pub use completion::{Awaited, Completion};
pub use cpe::{application_cpe, is_cpe};
pub use digest::{Digest, DigestError, Hasher};
pub use distribution::Distribution;
pub use finding::{Evidence, ExploitPrediction, Finding, FindingPackage, FixState, Suppression, Upgrade};
pub use licenses::normalised_license;
pub use maven::{MavenDependency, MavenProject};
pub use package::{
    Licensed, Location, OwnedPaths, Package, PackageType, PathHash, Purl, Reading, SourcePackage, Warning, WarningKind,
};
pub use purl::{PackageUrl, PackageUrlError};
pub use report::{
    AdvisoryCoverage, BaseEvidence, BaseImage, Coverage, DatabaseInfo, DatabaseSource, DistributionCoverage,
    ExecutableFile, Inventory, LayerInfo, Platform, Report, SCHEMA_VERSION, Target, Tool, Uncovered,
};
pub use severity::{Severity, SeverityLevel};
pub use text::{Text, Texts};
pub use time::{CLOCK_SKEW_SECONDS, Timestamp, TimestampError};
pub use verdict::{Inputs, Outcome, PolicyRef, Reason, VERIFIER_ID, Verdict};
