//! What is acceptable, and whether an image is: the policy document, its rules, and the one pure function that every
//! component decides with.
//!
//! Nothing here opens a file, asks a network or reads a clock: [`judge`] gets facts and the moment that the verdict
//! speaks of. Three answers exist; *unknown* never turns into a pass unless the policy says `unknown: audit`.

mod document;
mod exemption;
mod expression;
mod spec;

mod absent;
mod age;
mod authority;
mod canonical;
mod pattern;
mod plain;
mod remarks;
mod selector;

mod check;
mod locate;
mod parse;
mod resource;

#[cfg(feature = "schema")]
mod crd;

mod exceptions;
mod judge;
mod licenses;
mod rules;
mod vulnerabilities;
mod workloads;

mod evidence;
mod exit;

mod cases;
mod rejudge;

pub use age::{Age, AgeError};
pub use authority::{Authority, EvidenceKind, EvidenceRules, Vouching};
pub use cases::{Case, CaseError, CaseFinding, CasePackage, CaseResult, CaseVerdict, Cases, Tried};
pub use check::Problem;
#[cfg(feature = "schema")]
pub use crd::custom_resource_definitions;
pub use document::{ApiVersion, Document, Metadata, Policy, PolicyKind};
pub use evidence::{SummaryFacts, SummaryResult, judge_evidence};
pub use exceptions::apply_exceptions;
pub use exemption::{Exemption, ExemptionDocument, ExemptionKind, ExemptionSpec};
pub use exit::ExitStatus;
pub use judge::{DistributionState, Facts, Judgement, judge};
pub use parse::{MAX_POLICY_BYTES, PolicyError};
pub use pattern::{Pattern, PatternError};
pub use rejudge::rejudge;
pub use resource::GROUP_VERSION;
pub use selector::{LabelOperator, LabelRequirement, LabelSelector};
pub use spec::{
    Action, Exception, FailOn, LicenseRules, Mode, PolicySpec, Rule, UnknownAction, UnratedLevel, VulnerabilityRules,
};
pub use vulnerabilities::mark_denied;
pub use workloads::{
    CHECKS, POD_SECURITY_VERSION, PodSecurityCheck, PodSecurityLevel, Variable, Violation, WorkloadFacts,
    WorkloadReview, WorkloadRule, WorkloadRules,
};
