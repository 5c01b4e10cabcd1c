//! The body of a policy: one schema for the file, the custom resource and the back-test.
//!
//! A section that is left out is not judged. Each field is described in `docs/policy.md`.

use portcullis_model::{SeverityLevel, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Age, EvidenceRules, LabelSelector, Pattern, WorkloadRules};

/// What is acceptable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// Whether a failure denies, or only warns.
    #[serde(default)]
    pub mode: Mode,
    /// The images it speaks of, as patterns over canonical repository names (`registry.example/team/**`). Left out:
    /// every image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<Pattern>>,
    /// The namespaces that a `ClusterImagePolicy` speaks of, by their labels. Left out: every one. Asked at admission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Who may vouch for an image, and how fresh that must be. Judged by `verify` and at admission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRules>,
    /// Which vulnerabilities count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vulnerabilities: Option<VulnerabilityRules>,
    /// What a secret in the image leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Action>,
    /// Which licences are not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licenses: Option<LicenseRules>,
    /// How workloads are to run, whatever their images hold. Asked at admission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<WorkloadRules>,
    /// What it leads to when something that the policy needs is not known.
    #[serde(default)]
    pub unknown: UnknownAction,
    /// Findings that were looked at and accepted, each with an owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// Further rules, as expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// Whether a failure denies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A failure denies.
    #[default]
    Enforce,
    /// A failure is told, and nothing is denied.
    Audit,
}

/// What a thing that was found leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The policy fails.
    Deny,
    /// It is told, and does not count.
    Audit,
}

/// What it leads to when something is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnknownAction {
    /// The verdict is *unknown*, which admits nothing.
    #[default]
    Deny,
    /// It is told, and does not count.
    Audit,
}

/// Which vulnerabilities count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VulnerabilityRules {
    /// The severity from which a vulnerability fails the policy.
    #[serde(default)]
    pub fail_on: FailOn,
    /// Of those, only the ones that a version fixes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_fixed: bool,
    /// Days after publication in which a vulnerability does not count yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_days: Option<u32>,
    /// What a vulnerability of CISA's catalogue of exploited ones leads to: whatever its severity, fixed or not, and
    /// without grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kev: Option<Action>,
    /// The EPSS score above which a vulnerability fails the policy: whatever its severity, fixed or not, and without
    /// grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub epss_above: Option<f64>,
    /// The severity that a vulnerability which nobody has rated counts as. Left out: the verdict is then *unknown*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrated: Option<UnratedLevel>,
    /// The age from which the advisory database no longer answers for what is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_database_age: Option<Age>,
    /// What a distribution that gets no fixes any more leads to. Left out: it is remarked on. One that the database has
    /// no advisories for is *unknown* in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<Action>,
    /// What packages lead to that no advisory in the database speaks of: those of ecosystems without data, of kinds
    /// that have no advisories, of third parties. Left out: the verdict is *unknown*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncovered: Option<Action>,
}

/// The severity from which a vulnerability fails the policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// No severity fails it.
    #[default]
    None,
    /// Low and worse.
    Low,
    /// Medium and worse.
    Medium,
    /// High and worse.
    High,
    /// Critical.
    Critical,
}

impl FailOn {
    /// The lowest severity that fails; none where no severity does.
    #[must_use]
    pub const fn threshold(self) -> Option<SeverityLevel> {
        match self {
            Self::None => None,
            Self::Low => Some(SeverityLevel::Low),
            Self::Medium => Some(SeverityLevel::Medium),
            Self::High => Some(SeverityLevel::High),
            Self::Critical => Some(SeverityLevel::Critical),
        }
    }
}

impl From<SeverityLevel> for FailOn {
    /// `unknown` is no threshold of its own: it means that whatever is known fails.
    fn from(level: SeverityLevel) -> Self {
        match level {
            SeverityLevel::None => Self::None,
            SeverityLevel::Unknown | SeverityLevel::Low => Self::Low,
            SeverityLevel::Medium => Self::Medium,
            SeverityLevel::High => Self::High,
            SeverityLevel::Critical => Self::Critical,
        }
    }
}

/// The severity that an unrated vulnerability counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnratedLevel {
    /// As low.
    Low,
    /// As medium.
    Medium,
    /// As high.
    High,
    /// As critical.
    Critical,
}

impl From<UnratedLevel> for SeverityLevel {
    fn from(level: UnratedLevel) -> Self {
        match level {
            UnratedLevel::Low => Self::Low,
            UnratedLevel::Medium => Self::Medium,
            UnratedLevel::High => Self::High,
            UnratedLevel::Critical => Self::Critical,
        }
    }
}

/// Which licences are not accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LicenseRules {
    /// SPDX ids, compared as they are but for upper and lower case; <https://spdx.org/licenses/>.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// What a package that declares no licence leads to. Left out: it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeclared: Option<Action>,
}

/// A finding that was looked at and accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// The vulnerability: any of its ids.
    pub id: String,
    /// The package, by its name, its source package's name or the start of its package URL. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// Who accepted it.
    pub owner: String,
    /// The first moment at which it no longer holds. Left out: it holds until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A rule as an expression in CEL, <https://cel.dev>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// True where the image is acceptable.
    pub expression: String,
    /// What is said where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
