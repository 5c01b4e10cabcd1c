//! Signing: a statement in a DSSE envelope in a Sigstore bundle.
//!
//! Format: <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto> and
//! <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_errors::Hint;
use portcullis_model::{Digest, Timestamp};
use serde_json::{Value, json};
use sigstore_types::dsse::pae;

use crate::{
    KeyError, MAX_BUNDLE_BYTES, PluginError, ServiceError, SigningKey, Statement, StatementError, VerifyingKey,
    statement::PAYLOAD_TYPE,
};

/// The media type of what is written.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A signed statement, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    bytes: Bytes,
    predicate_type: String,
    created: Timestamp,
}

/// Why a statement cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key does not work.
    #[error("cannot sign the statement")]
    Key(#[from] KeyError),
    /// The statement cannot be written.
    #[error("cannot write the statement")]
    Statement(#[from] StatementError),
    /// The program that keeps the key does not sign.
    #[error("cannot sign the statement")]
    Plugin(#[from] PluginError),
    /// The services of an identity, or a timestamp authority, do not sign.
    #[error("cannot sign the statement")]
    Service(#[from] ServiceError),
    /// No verifier would read it.
    #[error("the signed statement has {size} bytes; verifiers read at most {MAX_BUNDLE_BYTES}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
}

impl Hint for SignError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.hint(),
            Self::Plugin(error) => error.hint(),
            Self::Service(error) => error.hint(),
            Self::Statement(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl Bundle {
    /// Signs a statement with a key at hand. With a P-256, Ed25519 or RSA key the same inputs give the same bytes.
    /// `created` is told to registries, and not signed.
    ///
    /// # Errors
    /// When the key does not work, or the statement is too large.
    pub fn sign(statement: &Statement, key: &SigningKey, created: Timestamp) -> Result<Self, SignError> {
        let payload = statement.to_bytes()?;
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload))?;
        Self::of_key(&payload, key.verifying_key(), &signature, None, statement.predicate_type(), created)
    }

    /// What a key has signed, with the token of a timestamp authority.
    pub(crate) fn of_key(
        payload: &[u8],
        key: &VerifyingKey,
        signature: &[u8],
        timestamp: Option<&[u8]>,
        predicate_type: &str,
        created: Timestamp,
    ) -> Result<Self, SignError> {
        let bundle = json!({
            "mediaType": BUNDLE_MEDIA_TYPE,
            "verificationMaterial": key_material(key, timestamp),
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": STANDARD.encode(signature)}],
            },
        });
        Self::written(bundle.to_string(), predicate_type, created)
    }

    /// A bundle that is written already.
    pub(crate) fn written(json: String, predicate_type: &str, created: Timestamp) -> Result<Self, SignError> {
        let bytes = Bytes::from(json);
        if bytes.len() as u64 > MAX_BUNDLE_BYTES {
            return Err(SignError::TooLarge { size: bytes.len() });
        }
        Ok(Self { bytes, predicate_type: predicate_type.to_owned(), created })
    }

    /// The bundle's JSON.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// The type of what is said.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// When it was made, as registries are told.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }
}

/// What verifies a signature by key: which key it is, and the token of a timestamp authority.
pub(crate) fn key_material(key: &VerifyingKey, timestamp: Option<&[u8]>) -> Value {
    let mut material = json!({"publicKey": {"hint": key.id()}});
    if let (Some(token), Some(fields)) = (timestamp, material.as_object_mut()) {
        let tokens = json!({"rfc3161Timestamps": [{"signedTimestamp": STANDARD.encode(token)}]});
        fields.insert("timestampVerificationData".into(), tokens);
    }
    material
}
