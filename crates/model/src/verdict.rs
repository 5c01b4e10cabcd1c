//! The verdict: the one answer that travels with an image.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Timestamp};

/// Names this program as what gave a verdict, in attestations (`verifier.id`).
pub const VERIFIER_ID: &str = "https://portcullis.dev/verifier/v1";

/// The three answers. *Unknown* is never a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The policy is met.
    Pass,
    /// Something that the policy needs is not known.
    Unknown,
    /// The policy is not met.
    Fail,
}

impl Outcome {
    /// The worse of two: one failure outweighs what is unknown, and that outweighs a pass.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// The word, as reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A decision with its reasons and the digests of everything that it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The answer.
    pub result: Outcome,
    /// The policy that was asked.
    pub policy: PolicyRef,
    /// Why, the worst first.
    pub reasons: Vec<Reason>,
    /// What it rests on.
    pub inputs: Inputs,
    /// The moment that it speaks of: grace periods and expiries are counted to here.
    pub time: Timestamp,
}

/// Names a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
    /// SHA-256 of its canonical JSON.
    pub digest: Digest,
    /// Whether a failure only warns.
    #[serde(default)]
    pub audit: bool,
}

/// One reason of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// What this reason alone would lead to.
    pub result: Outcome,
    /// The rule of the policy, such as `vulnerabilities.failOn`.
    pub rule: String,
    /// What happened, for people.
    pub message: String,
}

/// The digests of a verdict's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inputs {
    /// The image's manifest; null where the target has none.
    pub image: Option<Digest>,
    /// The inventory's canonical JSON.
    pub inventory: Digest,
    /// The advisory database.
    pub database: Digest,
    /// The policy's canonical JSON.
    pub policy: Digest,
    /// The VEX documents, sorted; left out where there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vex: Vec<Digest>,
    /// The version of the engine.
    pub engine: String,
}
