//! What is known to be wrong: advisories in the shape that matching needs, and the seam to whatever holds them.
//!
//! Source format: OSV, <https://ossf.github.io/osv-schema/>. Here its events are already sorted into intervals.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Severity, SeverityLevel, Text, Timestamp};

/// Names an advisory inside one [`AdvisoryLookup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryKey(pub u32);

/// What one advisory says of one package of one ecosystem; its texts are those of whatever holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected<'a> {
    /// The advisory.
    pub advisory: AdvisoryKey,
    /// Affected intervals; a version inside any of them is affected. Advisories of one package share what is equal.
    pub intervals: Arc<[Interval<&'a str>]>,
    /// Affected versions that no interval covers: compared by equality.
    pub versions: Vec<&'a str>,
    /// The distribution's or ecosystem's own word for this package, before any other severity.
    pub severity: Option<SeverityLevel>,
    /// Why there is no fix, where the source says: will not fix, deferred, end of life.
    pub unfixed: Option<crate::FixState>,
    /// Binary package names that the advisory is limited to; empty means all of the source package's.
    pub binaries: Vec<&'a str>,
}

/// A half-open or closed interval of versions, in the order of its ecosystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval<V = String> {
    /// First affected version; none means every version before the end.
    pub introduced: Option<V>,
    /// First version that is no longer affected.
    pub fixed: Option<V>,
    /// Last affected version, where no fix is known. Never together with `fixed`.
    pub last_affected: Option<V>,
}

impl<V: std::fmt::Display> std::fmt::Display for Interval<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.introduced {
            Some(introduced) => write!(f, ">= {introduced}")?,
            None => f.write_str(">= 0")?,
        }
        match (&self.fixed, &self.last_affected) {
            (Some(fixed), _) => write!(f, ", < {fixed}"),
            (None, Some(last)) => write!(f, ", <= {last}"),
            (None, None) => Ok(()),
        }
    }
}

/// An advisory's own facts, as reports need them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advisory {
    /// Its id: `GHSA-…`, `DSA-…`, `CVE-…`.
    pub id: Text,
    /// Every other id of the same vulnerability, sorted; found by following aliases both ways.
    pub aliases: Vec<Text>,
    /// The CVEs it speaks of, sorted: its own id, its aliases, and for distributions what is upstream of it.
    pub cves: Vec<Text>,
    /// What is known of exploitation of each of them, in the same order.
    pub exploited: Vec<Exploited>,
    /// One line.
    pub summary: Text,
    /// The whole text, markdown.
    pub details: String,
    /// The best severity that the record itself carries.
    pub severity: Severity,
    /// First published.
    pub published: Option<Timestamp>,
    /// Last changed at its source.
    pub modified: Option<Timestamp>,
    /// CWE ids, sorted.
    pub cwes: Vec<Text>,
    /// Links, in the order of the record.
    pub references: Vec<Text>,
}

/// What CISA's catalogue and FIRST's model say of a CVE.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exploited {
    /// Listed in CISA's Known Exploited Vulnerabilities catalogue.
    pub kev: bool,
    /// EPSS score and percentile, both 0.0–1.0.
    pub epss: Option<(f64, f64)>,
}

/// Where advisories come from: the compiled database, or a test's table.
pub trait AdvisoryLookup: Sync {
    /// Everything known of `name` in `ecosystem` (OSV's string with its release, such as `Debian:12`), in a stable
    /// order.
    ///
    /// # Errors
    /// When the database is damaged; an answer is then not to be had, and none is made up.
    fn affected(&self, ecosystem: &str, name: &str) -> Result<Vec<Affected<'_>>, LookupError>;

    /// Whether there are advisories for `ecosystem` at all: without any, nothing found means nothing known.
    fn covers(&self, ecosystem: &str) -> bool;

    /// The ecosystems of a family that there are advisories for, sorted: of `SUSE`, each `SUSE:…`, and `SUSE` itself.
    fn family(&self, base: &str) -> Vec<String>;

    /// An advisory's facts, without [`Advisory::details`] unless `with_details`.
    ///
    /// # Errors
    /// When the database is damaged.
    fn advisory(&self, key: AdvisoryKey, with_details: bool) -> Result<Advisory, LookupError>;

    /// Gives back memory that answers have taken, after many questions. Later answers are the same, and take it anew.
    fn rest(&self) {}
}

/// A package's name as advisories of `ecosystem` are looked up by: builder and matching both go through here.
///
/// PyPI: PEP 503 (<https://peps.python.org/pep-0503/#normalized-names>); crates.io counts `_` and `-` as the same;
/// NuGet, Packagist, Hex and GitHub ignore case, and so do package URLs of Go modules, whose hosts do; Swift's packages are named by their repository, without scheme and
/// `.git`. All else is as written.
#[must_use]
pub fn lookup_name<'a>(ecosystem: &str, name: &'a str) -> Cow<'a, str> {
    match ecosystem.split(':').next().unwrap_or_default() {
        "PyPI" => pep503(name),
        "crates.io" if name.contains('_') => name.replace('_', "-").into(),
        "SwiftURL" => swift(name),
        "NuGet" | "Packagist" | "Hex" | "GitHub Actions" | "Go"
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            name.to_ascii_lowercase().into()
        }
        _ => name.into(),
    }
}

fn swift(name: &str) -> Cow<'_, str> {
    let bare = name.split_once("://").map_or(name, |(_, rest)| rest).trim_end_matches('/');
    let bare = bare.strip_suffix(".git").unwrap_or(bare);
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) { bare.to_ascii_lowercase().into() } else { bare.into() }
}

fn pep503(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.bytes().all(plain) && !name.contains("--") {
        return name.into();
    }
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.extend(other.to_lowercase()),
        }
    }
    normal.into()
}

/// The database could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the advisory database is damaged: {0}")]
pub struct LookupError(pub String);
