//! The verification summary: the verdict as the whole SLSA world reads it, and the evidence that the gate asks for.
//!
//! Format: <https://slsa.dev/spec/v1.1/verification_summary>

use portcullis_model::{Digest, Outcome, Timestamp, VERIFIER_ID, Verdict};
use portcullis_registry::Reference;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Statement, StatementError, statement::predicate_type};

/// What names a policy that has no address of its own.
const POLICY_URI: &str = "https://portcullis.dev/policy/";

/// The result in SLSA's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SummaryResult {
    /// The policy is met.
    #[serde(rename = "PASSED")]
    Passed,
    /// It is not, or that is not known.
    #[serde(rename = "FAILED")]
    Failed,
}

/// A verification summary's predicate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationSummary {
    /// Who verified.
    pub verifier: VerifierId,
    /// When.
    pub time_verified: Timestamp,
    /// What was verified, by its canonical name: `registry/repository@sha256:…`.
    pub resource_uri: String,
    /// The policy that was asked.
    pub policy: PolicyDescriptor,
    /// What it rests on.
    #[serde(default)]
    pub input_attestations: Vec<InputAttestation>,
    /// The result.
    pub verification_result: SummaryResult,
    /// SLSA levels; none are claimed.
    #[serde(default)]
    pub verified_levels: Vec<String>,
    /// The version of the specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slsa_version: Option<String>,
    /// Our own word for the result, which knows three: a summary without it has only two.
    #[serde(rename = "https://portcullis.dev/outcome", default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// Names a verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierId {
    /// A URI.
    pub id: String,
    /// Versions of its parts.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub version: std::collections::BTreeMap<String, String>,
}

/// Names a policy by its address and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDescriptor {
    /// Its address.
    pub uri: String,
    /// Its digests by algorithm, in hex.
    #[serde(default)]
    pub digest: std::collections::BTreeMap<String, String>,
}

/// Names an attestation by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputAttestation {
    /// Where it can be had; the predicate type where it has no address.
    pub uri: String,
    /// Its digests by algorithm, in hex.
    pub digest: std::collections::BTreeMap<String, String>,
}

impl InputAttestation {
    /// Names an attestation by the digest of its bundle.
    #[must_use]
    pub fn new(uri: &str, digest: &Digest) -> Self {
        Self { uri: uri.to_owned(), digest: sha256(digest) }
    }
}

impl VerificationSummary {
    /// The summary of a verdict about `image`. Unknown is written as FAILED: SLSA has no third word.
    #[must_use]
    pub fn of(verdict: &Verdict, image: &Reference, digest: &Digest, inputs: Vec<InputAttestation>) -> Self {
        let Verdict { result, policy, reasons: _, inputs: digests, time } = verdict;
        let version = std::collections::BTreeMap::from([("portcullis".to_owned(), digests.engine.clone())]);
        Self {
            verifier: VerifierId { id: VERIFIER_ID.to_owned(), version },
            time_verified: *time,
            resource_uri: image.with_digest(*digest).to_string(),
            policy: PolicyDescriptor { uri: format!("{POLICY_URI}{}", policy.name), digest: sha256(&policy.digest) },
            input_attestations: inputs,
            verification_result: if *result == Outcome::Pass { SummaryResult::Passed } else { SummaryResult::Failed },
            verified_levels: Vec::new(),
            slsa_version: Some("1.1".to_owned()),
            outcome: Some(*result),
        }
    }

    /// The statement that carries it.
    ///
    /// # Errors
    /// Does not happen: a summary is always JSON.
    pub fn statement(&self, image: &Reference, digest: &Digest) -> Result<Statement, StatementError> {
        let predicate = serde_json::to_value(self).map_err(|error| StatementError::Malformed(error.to_string()))?;
        Ok(Statement::new(&image.name(), digest, predicate_type::VERIFICATION_SUMMARY, predicate))
    }

    /// Reads a predicate.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_predicate(predicate: &Value) -> Result<Self, StatementError> {
        Self::deserialize(predicate).map_err(|error| StatementError::Malformed(error.to_string()))
    }

    /// The digest of the policy, if it is named by SHA-256.
    #[must_use]
    pub fn policy_digest(&self) -> Option<Digest> {
        format!("sha256:{}", self.policy.digest.get("sha256")?).parse().ok()
    }

    /// The image that it speaks of, if the resource is named as one. A purl or another URI is not.
    #[must_use]
    pub fn resource(&self) -> Option<Reference> {
        self.resource_uri.parse().ok()
    }
}

fn sha256(digest: &Digest) -> std::collections::BTreeMap<String, String> {
    std::collections::BTreeMap::from([("sha256".to_owned(), digest.hex())])
}
