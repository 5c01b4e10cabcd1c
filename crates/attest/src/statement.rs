//! In-toto statements: what is said (the predicate) of what (the subjects).
//!
//! Format: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>

use std::collections::BTreeMap;

use portcullis_model::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json;

/// The types of predicates that are written and read here.
pub mod predicate_type {
    /// Cosign's vulnerability scan record.
    pub const VULNERABILITIES: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
    /// In-toto's vulnerability scan record.
    pub const IN_TOTO_VULNERABILITIES: &str = "https://in-toto.io/attestation/vulns/v0.2";
    /// An OpenVEX document, by the name that cosign has for it.
    pub const OPENVEX: &str = "https://openvex.dev/ns";
    /// Everything in an image that can be executed, with digests; `docs/evidence.md` describes it.
    pub const EXECUTABLES: &str = "https://portcullis.dev/executables/v1";
    /// SLSA's verification summary: the verdict.
    pub const VERIFICATION_SUMMARY: &str = "https://slsa.dev/verification_summary/v1";
    /// A CycloneDX document.
    pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
    /// An SPDX document.
    pub const SPDX: &str = "https://spdx.dev/Document";
}

/// The payload's type in a DSSE envelope.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// What cosign v3 still writes.
const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";
/// Evidence about an image has one subject; a build may name all its outputs.
const MAX_SUBJECTS: usize = 1000;

/// The two standards of inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomFormat {
    /// CycloneDX.
    CycloneDx,
    /// SPDX.
    Spdx,
}

impl SbomFormat {
    /// Its predicate type.
    #[must_use]
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::CycloneDx => predicate_type::CYCLONEDX,
            Self::Spdx => predicate_type::SPDX,
        }
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    subjects: Vec<Subject>,
    predicate_type: String,
    predicate: Value,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// A name, for people: nothing is decided by it.
    #[serde(default)]
    pub name: String,
    /// Digests by algorithm, in hex.
    pub digest: BTreeMap<String, String>,
}

/// Why bytes are not a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or of another shape.
    #[error("the statement cannot be read: {0}")]
    Malformed(String),
    /// An object names a key twice, so that readers may disagree.
    #[error("the payload names the key `{0}` twice")]
    DuplicateKey(String),
    /// `_type` is not that of a statement.
    #[error("the payload has the type `{0}`, which is not that of an in-toto statement")]
    Type(String),
    /// It says nothing of anything, or of too much.
    #[error("the statement has {0} subjects")]
    Subjects(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

impl Statement {
    /// A statement about one image.
    #[must_use]
    pub fn new(name: &str, digest: &Digest, predicate_type: &str, predicate: Value) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), digest.hex())]);
        let subjects = vec![Subject { name: name.to_owned(), digest }];
        Self { subjects, predicate_type: predicate_type.to_owned(), predicate }
    }

    /// What it is about.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The type of what it says.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What it says.
    #[must_use]
    pub const fn predicate(&self) -> &Value {
        &self.predicate
    }

    /// Whether it speaks of the content with this digest.
    #[must_use]
    pub fn is_about(&self, digest: &Digest) -> bool {
        let hex = digest.hex();
        self.subjects.iter().any(|subject| subject.digest.get("sha256").is_some_and(|found| *found == hex))
    }

    /// The bytes that are signed. The same statement always has the same.
    ///
    /// # Errors
    /// When the predicate holds what JSON cannot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        let Self { subjects, predicate_type, predicate } = self.clone();
        let wire = Wire { kind: STATEMENT_V1.into(), subject: subjects, predicate_type, predicate };
        serde_json::to_vec(&wire).map_err(|error| StatementError::Malformed(error.to_string()))
    }

    /// Reads a statement, v1 or v0.1.
    ///
    /// # Errors
    /// When the bytes are something else, or could be read in two ways.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        json::require_unique_keys(bytes).map_err(|error| match error {
            json::NotStrict::DuplicateKey(key) => StatementError::DuplicateKey(key),
            json::NotStrict::Malformed(reason) => StatementError::Malformed(reason),
        })?;
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| StatementError::Malformed(error.to_string()))?;
        let Wire { kind, subject, predicate_type, predicate } = wire;
        if kind != STATEMENT_V1 && kind != STATEMENT_V0_1 {
            return Err(StatementError::Type(portcullis_errors::printable(&kind, 100)));
        }
        if subject.is_empty() || subject.len() > MAX_SUBJECTS {
            return Err(StatementError::Subjects(subject.len()));
        }
        Ok(Self { subjects: subject, predicate_type, predicate })
    }
}
