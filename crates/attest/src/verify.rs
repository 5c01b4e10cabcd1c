//! Verifying: from a candidate, which proves nothing, to a statement that one of the trusted authorities has made
//! about this very content.
//!
//! The rules: the JSON is strict; the envelope holds an in-toto payload and exactly one signature; the signature is
//! that of a trusted key over the DSSE encoding (or, keyless, of a certificate with the right identity and issuer); the
//! payload is a statement; and the expected digest is among its subjects. A key's hint only helps to choose.
//! Log entries and timestamps of a bundle that was signed with a key are not asked for: the key is what is trusted.

use std::ops::Deref;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::printable;
use portcullis_model::{Digest, Timestamp};
use serde::{Deserialize, de::IgnoredAny};
use sigstore_types::{Sha256Hash, SignatureContent, dsse::pae};

use crate::{
    Candidate, Format, Identity, Statement, StatementError, TrustRoot, VerificationSummary, VerifyError, VerifyingKey,
    VulnerabilityScan,
    artifact::is_bundle,
    json::{self, NotStrict},
    keyless,
    statement::{PAYLOAD_TYPE, predicate_type},
};

/// Who may vouch.
#[derive(Debug, Clone)]
pub enum Authority {
    /// The holder of a key.
    Key {
        /// What it is called, for people.
        name: String,
        /// The key.
        key: VerifyingKey,
    },
    /// Whoever an issuer says to be someone, by a certificate of Sigstore.
    Certificate {
        /// What it is called, for people.
        name: String,
        /// The identity.
        identity: Identity,
        /// The issuer, exactly: anyone could be anyone at another one.
        issuer: String,
        /// The authorities behind the certificate.
        root: TrustRoot,
    },
}

impl Authority {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Key { name, .. } | Self::Certificate { name, .. } => name,
        }
    }
}

/// Something that was verified. Only a [`Verifier`] makes one:
///
/// ```compile_fail
/// use portcullis_attest::{Statement, Verified};
/// use portcullis_model::Digest;
///
/// fn forged(value: Statement, manifest: Digest) -> Verified<Statement> {
///     let (authority, bundle) = (String::new(), manifest);
///     Verified { value, authority, authority_index: 0, signed_at: None, manifest, bundle }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T> {
    value: T,
    authority: String,
    authority_index: usize,
    signed_at: Option<Timestamp>,
    manifest: Digest,
    bundle: Digest,
}

impl<T> Verified<T> {
    /// When it was signed, as a log or a timestamp authority vouches; a bare key cannot tell.
    #[must_use]
    pub const fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    /// The name of the authority that vouches for it.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The place of that authority in the verifier's list.
    #[must_use]
    pub const fn authority_index(&self) -> usize {
        self.authority_index
    }

    /// The manifest that it was found in.
    #[must_use]
    pub const fn manifest(&self) -> &Digest {
        &self.manifest
    }

    /// The digest of the bundle that carried it.
    #[must_use]
    pub const fn bundle(&self) -> &Digest {
        &self.bundle
    }

    /// The value, without its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl Verified<Statement> {
    /// The same statement, if it says what is wanted.
    ///
    /// # Errors
    /// When its predicate is of another type.
    pub fn of_type(self, wanted: &str) -> Result<Self, VerifyError> {
        if self.value.predicate_type() == wanted {
            return Ok(self);
        }
        let found = printable(self.value.predicate_type(), 200);
        Err(VerifyError::PredicateType { found, wanted: wanted.to_owned() })
    }
}

impl Verified<Statement> {
    /// The verdict that it carries, with the same proof.
    ///
    /// # Errors
    /// When it says something else.
    pub fn summary(self) -> Result<Verified<VerificationSummary>, VerifyError> {
        self.of_type(predicate_type::VERIFICATION_SUMMARY)?
            .read(|statement| VerificationSummary::from_predicate(statement.predicate()))
    }

    /// The scan that it carries, with the same proof.
    ///
    /// # Errors
    /// When it says something else.
    pub fn vulnerability_scan(self) -> Result<Verified<VulnerabilityScan>, VerifyError> {
        self.of_type(predicate_type::VULNERABILITIES)?
            .read(|statement| VulnerabilityScan::from_predicate(statement.predicate()))
    }

    fn read<T>(self, read: impl Fn(&Statement) -> Result<T, StatementError>) -> Result<Verified<T>, VerifyError> {
        let Self { value, authority, authority_index, signed_at, manifest, bundle } = self;
        Ok(Verified { value: read(&value)?, authority, authority_index, signed_at, manifest, bundle })
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Turns candidates into evidence.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    authorities: Vec<Authority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBundle {
    media_type: String,
    verification_material: Material,
    #[serde(default)]
    dsse_envelope: Option<WireEnvelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default)]
    public_key: Option<KeyHint>,
}

#[derive(Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload_type: String,
    payload: String,
    #[serde(default)]
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    sig: String,
}

/// How a candidate says that it is signed.
enum Claim {
    Key { hint: String },
    Certificate,
}

impl Verifier {
    /// A verifier that trusts these authorities, and no other.
    #[must_use]
    pub const fn new(authorities: Vec<Authority>) -> Self {
        Self { authorities }
    }

    /// Verifies that one of the authorities has made a statement about `expected_subject`. `now` is the moment of
    /// the decision: what was signed with a certificate must have been signed before.
    ///
    /// # Errors
    /// The reason why the candidate is no evidence.
    pub fn verify(
        &self,
        candidate: &Candidate,
        expected_subject: &Digest,
        now: Timestamp,
    ) -> Result<Verified<Statement>, VerifyError> {
        strict(&candidate.bytes)?;
        let (envelope, claim) = match candidate.format {
            Format::Bundle => bundle_envelope(&candidate.bytes)?,
            Format::Envelope => (parse::<WireEnvelope>(&candidate.bytes)?, Claim::Key { hint: String::new() }),
        };
        let (payload, signature) = opened(&envelope)?;
        let (authority_index, signed_at, statement) = match claim {
            Claim::Key { hint } => {
                let index = self.key_holder(&pae(PAYLOAD_TYPE, &payload), &signature, &hint)?;
                (index, None, about(&payload, expected_subject)?)
            }
            Claim::Certificate => {
                // The library wants to know the content: so the statement is read first, and trusted afterwards.
                let statement = about(&payload, expected_subject)?;
                let (index, signed_at) = self.certified(candidate, expected_subject, now)?;
                (index, signed_at, statement)
            }
        };
        Ok(Verified {
            value: statement,
            authority: self.authorities.get(authority_index).map_or_else(String::new, |found| found.name().to_owned()),
            authority_index,
            signed_at,
            manifest: candidate.manifest,
            bundle: Digest::of(&candidate.bytes),
        })
    }

    /// The authority whose key made the signature; the one that the hint names is tried first.
    fn key_holder(&self, message: &[u8], signature: &[u8], hint: &str) -> Result<usize, VerifyError> {
        let keys = self.authorities.iter().enumerate().filter_map(|(index, authority)| match authority {
            Authority::Key { name: _, key } => Some((index, key)),
            Authority::Certificate { .. } => None,
        });
        let (hinted, others): (Vec<_>, Vec<_>) = keys.partition(|(_, key)| key.id() == hint);
        if hinted.is_empty() && others.is_empty() {
            return Err(VerifyError::NoAuthority { found: "key" });
        }
        let mut tried = hinted.into_iter().chain(others);
        tried.find(|(_, key)| key.verifies(message, signature)).map(|(index, _)| index).ok_or(VerifyError::WrongKey)
    }

    /// The authority whose identity the certificate has; the last refusal if there is none.
    fn certified(
        &self,
        candidate: &Candidate,
        subject: &Digest,
        now: Timestamp,
    ) -> Result<(usize, Option<Timestamp>), VerifyError> {
        let bundle = keyless::read(&candidate.bytes)?;
        // What the library verifies must be what was read here.
        if !matches!(bundle.content, SignatureContent::DsseEnvelope(_)) {
            return Err(VerifyError::NoStatement);
        }
        let content = Sha256Hash::new(*subject.as_bytes());
        let mut refused = VerifyError::NoAuthority { found: "certificate" };
        for (index, authority) in self.authorities.iter().enumerate() {
            let Authority::Certificate { name: _, identity, issuer, root } = authority else { continue };
            match keyless::by_certificate(&bundle, content, identity, issuer, root, now) {
                Ok(signed_at) => return Ok((index, signed_at)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

/// Where a bundle or an envelope keeps what is signed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    #[serde(default)]
    dsse_envelope: Option<IgnoredAny>,
    #[serde(default)]
    message_signature: Option<IgnoredAny>,
    #[serde(default)]
    payload: Option<IgnoredAny>,
}

/// What everyone reads in the same way: no key stands twice, and one thing is signed. Of two, one reader may verify the
/// one and another one believe the other.
pub(crate) fn strict(bytes: &[u8]) -> Result<(), VerifyError> {
    json::require_unique_keys(bytes).map_err(|error| match error {
        NotStrict::DuplicateKey(key) => VerifyError::DuplicateKey(key),
        NotStrict::Malformed(reason) => VerifyError::Malformed(reason),
    })?;
    let Contents { dsse_envelope, message_signature, payload } = parse(bytes)?;
    match [dsse_envelope, message_signature, payload].into_iter().flatten().count() {
        0 | 1 => Ok(()),
        count => Err(VerifyError::Malformed(format!("it holds {count} contents"))),
    }
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, VerifyError> {
    serde_json::from_slice(bytes).map_err(|error| VerifyError::Malformed(error.to_string()))
}

/// The envelope of a bundle, and how it says to be signed.
fn bundle_envelope(bytes: &[u8]) -> Result<(WireEnvelope, Claim), VerifyError> {
    let WireBundle { media_type, verification_material, dsse_envelope } = parse(bytes)?;
    if !is_bundle(&media_type) {
        return Err(VerifyError::MediaType(printable(&media_type, 100)));
    }
    let envelope = dsse_envelope.ok_or(VerifyError::NoStatement)?;
    let claim = verification_material.public_key.map_or(Claim::Certificate, |KeyHint { hint }| Claim::Key { hint });
    Ok((envelope, claim))
}

pub(crate) fn require_payload(payload_type: &str) -> Result<(), VerifyError> {
    if payload_type == PAYLOAD_TYPE { Ok(()) } else { Err(VerifyError::PayloadType(printable(payload_type, 100))) }
}

/// The statement, if it is about what was asked.
fn about(payload: &[u8], expected: &Digest) -> Result<Statement, VerifyError> {
    let statement = Statement::from_bytes(payload)?;
    if statement.is_about(expected) {
        return Ok(statement);
    }
    Err(VerifyError::WrongSubject { expected: *expected, found: describe_subjects(&statement) })
}

/// The payload and the one signature of an envelope.
fn opened(envelope: &WireEnvelope) -> Result<(Vec<u8>, Vec<u8>), VerifyError> {
    require_payload(&envelope.payload_type)?;
    let signature = match envelope.signatures.as_slice() {
        [] => return Err(VerifyError::Unsigned),
        [one] if one.sig.is_empty() => return Err(VerifyError::Unsigned),
        [one] => &one.sig,
        more => return Err(VerifyError::SignatureCount(more.len())),
    };
    let decode = |text: &str, what: &str| {
        STANDARD.decode(text).map_err(|error| VerifyError::Malformed(format!("the {what} is not base64: {error}")))
    };
    Ok((decode(&envelope.payload, "payload")?, decode(signature, "signature")?))
}

fn describe_subjects(statement: &Statement) -> String {
    let first = statement.subjects().first().and_then(|subject| {
        let (algorithm, hex) = subject.digest.iter().next()?;
        Some(format!("{algorithm}:{hex}"))
    });
    printable(&first.unwrap_or_else(|| "nothing".to_owned()), 150)
}
