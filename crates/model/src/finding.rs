//! What follows when a package meets an advisory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Location, Package, PackageType, Severity, SeverityLevel, Text, Timestamp};

/// One vulnerability in one package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The advisory's id.
    pub id: Text,
    /// Other ids of the same vulnerability, sorted.
    pub aliases: Vec<Text>,
    /// The CVE, if one is assigned.
    pub cve: Option<Text>,
    /// One line that says what is wrong; empty where the source has none.
    pub title: Text,
    /// The package it is in.
    // All findings of a package share what is said of it.
    #[serde(with = "shared")]
    #[cfg_attr(feature = "schema", schemars(with = "FindingPackage"))]
    pub package: Arc<FindingPackage>,
    /// How bad, and who says so.
    pub severity: Severity,
    /// Whether there is a fix, and why not.
    pub state: FixState,
    /// The versions that fix it, lowest first.
    pub fixed_versions: Vec<String>,
    /// The last version that is named as affected, where none is named that fixes it: whether a later one does is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<Text>,
    /// Listed in CISA's Known Exploited Vulnerabilities catalogue.
    pub kev: bool,
    /// FIRST's exploit prediction, where there is one.
    pub epss: Option<ExploitPrediction>,
    /// First published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// CWE ids, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cwes: Vec<Text>,
    /// Links to read on, the advisory's own first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Text>,
    /// Whether the policy fails for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// Why it does not count; listed all the same.
    pub suppressed: Option<Box<Suppression>>,
    /// What matched.
    pub evidence: Evidence,
}

impl Finding {
    /// Whether it counts: it was not suppressed, and its source does not say that the package is not affected.
    #[must_use]
    pub fn is_counting(&self) -> bool {
        self.suppressed.is_none() && self.state != FixState::NotAffected
    }
}

/// What several hold, written as if each had its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

/// The package of a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindingPackage {
    /// Its ecosystem.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// Its name.
    pub name: String,
    /// The installed version.
    pub version: String,
    /// Package URL.
    pub purl: String,
    /// Where it was found.
    pub locations: Vec<Location>,
}

impl From<&Package> for FindingPackage {
    fn from(package: &Package) -> Self {
        Self {
            kind: package.kind,
            name: package.name.clone(),
            version: package.version.clone(),
            purl: package.purl.clone(),
            locations: package.locations.clone(),
        }
    }
}

/// Whether there is a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FixState {
    /// A version fixes it.
    Fixed,
    /// Affected; no fix is named.
    Affected,
    /// Affected; there will be no fix.
    WillNotFix,
    /// Affected; the fix was put off.
    Deferred,
    /// Affected; the release gets no fixes any more.
    EndOfLife,
    /// The source says that this package is not affected.
    NotAffected,
    /// The version could not be compared.
    Unknown,
}

impl FixState {
    /// The word, as reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Affected => "affected",
            Self::WillNotFix => "will-not-fix",
            Self::Deferred => "deferred",
            Self::EndOfLife => "end-of-life",
            Self::NotAffected => "not-affected",
            Self::Unknown => "unknown",
        }
    }
}

/// What upgrading a package leads to. It is looked up like the package itself: what fixes one thing may have another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// The package, as it is installed.
    pub purl: String,
    /// The lowest version known that fixes what can be fixed, what came after the version installed included.
    pub version: String,
    /// How many of the package's findings are gone then.
    pub fixes: u64,
    /// How many vulnerabilities that version is known to have.
    pub remaining: u64,
    /// The worst of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_remaining: Option<SeverityLevel>,
}

/// FIRST's Exploit Prediction Scoring System: <https://www.first.org/epss/>.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExploitPrediction {
    /// Probability of exploitation in the next 30 days, 0.0–1.0.
    pub score: f64,
    /// Share of CVEs with a lower score, 0.0–1.0.
    pub percentile: f64,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suppression {
    /// Who or what said so: `policy-exception`, `vex:DOCUMENT`, `distribution`, `not-a-kernel`.
    pub by: String,
    /// The reason given.
    pub reason: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Why the advisory applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// The ecosystem whose advisories were asked, such as `Debian:12`.
    pub ecosystem: Text,
    /// The name they were asked for: the source package's, where advisories speak of sources.
    pub name: Text,
    /// The version that was compared.
    pub version: Text,
    /// The range that matched, such as `>= 0, < 3.0.11-1`.
    pub range: String,
    /// Every record that says so, sorted.
    pub sources: Vec<Text>,
}
