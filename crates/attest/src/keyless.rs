//! Signatures by certificate: an identity that Fulcio vouched for, at a moment that a log or a timestamp authority
//! vouched for.
//!
//! Spec: <https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>. The decision is `sigstore-verify`'s,
//! which passes the public conformance suite; this module only asks it strictly: identity *and* issuer, always.

use std::{fmt, sync::Arc};

use portcullis_errors::printable;
use portcullis_model::{CLOCK_SKEW_SECONDS, Digest, Timestamp};
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_types::{Artifact, Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

use crate::{
    Statement, VerifyError, VerifyingKey, message,
    verify::{require_payload, strict},
};

/// A trusted root of the public instance has about 10 KiB.
const MAX_ROOT_BYTES: usize = 4 << 20;

/// The authorities behind keyless signatures: certificate authorities, logs and timestamp authorities.
#[derive(Clone)]
pub struct TrustRoot {
    verifier: Arc<Verifier>,
    digest: Digest,
}

/// Why a trusted root cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trusted root cannot be used: {0}")]
pub struct TrustRootError(String);

impl TrustRoot {
    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// When it is none, or names a key or certificate that cannot be used.
    pub fn from_json(text: &[u8]) -> Result<Self, TrustRootError> {
        if text.len() > MAX_ROOT_BYTES {
            return Err(TrustRootError("it is too large".into()));
        }
        let refused = |error: String| TrustRootError(printable(&error, 200));
        let json = std::str::from_utf8(text).map_err(|error| refused(error.to_string()))?;
        let root = TrustedRoot::from_json(json).map_err(|error| refused(error.to_string()))?;
        let verifier = Verifier::new(&root).map_err(|error| refused(error.to_string()))?;
        Ok(Self { verifier: Arc::new(verifier), digest: Digest::of(text) })
    }

    /// The public Sigstore instance, as it was when this program was built.
    ///
    /// # Errors
    /// Does not happen: it is a part of the program.
    pub fn public() -> Result<Self, TrustRootError> {
        Self::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
    }

    /// The digest of its JSON, for caches and reports.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustRoot({})", self.digest)
    }
}

/// Whose certificate is accepted.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Exactly this one.
    Exact(String),
    /// Any that this matches from its first to its last character.
    Pattern(regex::Regex),
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern for identities: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl Identity {
    /// A pattern that the whole identity must match: anchors are added, whatever it says.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn pattern(text: &str) -> Result<Self, PatternError> {
        let refused = |error: regex::Error| PatternError {
            pattern: printable(text, 200),
            reason: printable(error.to_string().lines().last().unwrap_or_default(), 200),
        };
        // By itself first: `a)|(?:.*` would otherwise open the brackets that hold it.
        regex::Regex::new(text).map_err(refused)?;
        regex::Regex::new(&format!(r"\A(?:{text})\z")).map(Self::Pattern).map_err(refused)
    }

    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == found,
            Self::Pattern(pattern) => pattern.is_match(found),
        }
    }
}

/// What a bundle is verified against: content, or its digest.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// Their digest.
    Digest(Digest),
}

impl<'a> Content<'a> {
    /// As the library has it.
    pub(crate) fn artifact(self) -> Artifact<'a> {
        match self {
            Self::Bytes(bytes) => Artifact::from(bytes),
            Self::Digest(digest) => Artifact::from(Sha256Hash::new(*digest.as_bytes())),
        }
    }
}

/// Who must have signed a bundle.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// The holder of a key.
    Key(&'a VerifyingKey),
    /// Someone with this identity, by this issuer.
    Certificate {
        /// The identity.
        identity: &'a Identity,
        /// The issuer, exactly.
        issuer: &'a str,
    },
}

/// Verifies any Sigstore bundle against content: the client protocol of the public conformance suite. With a key the
/// log entries and timestamps that the bundle carries must hold as well; a bundle with neither rests on the key
/// alone.
///
/// # Errors
/// The reason why the bundle does not vouch for the content.
pub fn verify_bundle(
    bundle: &[u8],
    content: Content<'_>,
    signer: Signer<'_>,
    root: &TrustRoot,
    now: Timestamp,
) -> Result<(), VerifyError> {
    let bundle = read(bundle)?;
    if let sigstore_types::SignatureContent::DsseEnvelope(envelope) = &bundle.content {
        require_payload(&envelope.payload_type)?;
        Statement::from_bytes(envelope.payload.as_bytes())?;
    }
    let artifact = content.artifact();
    match signer {
        Signer::Key(key) => {
            let material = &bundle.verification_material;
            let is_logged = !material.tlog_entries.is_empty();
            if !is_logged && material.timestamp_verification_data.rfc3161_timestamps.is_empty() {
                return message::verify_by_key_alone(&bundle.content, content, key);
            }
            let mut policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.der().to_vec()));
            if !is_logged {
                policy = policy.skip_tlog_unsafe();
            }
            let result = root.verifier.verify(artifact, &bundle, &policy).map_err(refusal)?;
            require_past(&result, now)
        }
        Signer::Certificate { identity, issuer } => {
            by_certificate(&bundle, artifact, identity, issuer, root, now).map(|_| ())
        }
    }
}

/// Reads a bundle strictly.
pub(crate) fn read(bytes: &[u8]) -> Result<Bundle, VerifyError> {
    strict(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|error| VerifyError::Malformed(error.to_string()))?;
    Bundle::from_json(text).map_err(|error| VerifyError::Malformed(printable(&error.to_string(), 200)))
}

/// Verifies that someone with this identity and issuer signed the content, and returns when.
pub(crate) fn by_certificate<'a>(
    bundle: &Bundle,
    artifact: impl Into<Artifact<'a>>,
    identity: &Identity,
    issuer: &str,
    root: &TrustRoot,
    now: Timestamp,
) -> Result<Option<Timestamp>, VerifyError> {
    let policy = VerificationPolicy::any_identity().require_issuer(issuer);
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(refusal)?;
    require_whole(&result)?;
    let found = result.identity().map(sigstore_verify::crypto::SubjectAltName::as_str).unwrap_or_default();
    if !identity.matches(found) {
        return Err(VerifyError::Identity { found: printable(found, 200) });
    }
    require_past(&result, now)?;
    let last = result.verified_timestamps().iter().map(|time| time.as_second()).max();
    Ok(last.map(Timestamp::from_unix))
}

/// Verifies that someone has signed the content, whoever it is and whenever it was: of what was signed here a moment ago.
/// Gives whom the certificate names, and by which issuer: without one of them nobody could say whom to trust.
pub(crate) fn by_anyone(bundle: &Bundle, artifact: Artifact<'_>, root: &TrustRoot) -> Result<String, VerifyError> {
    let result = root.verifier.verify(artifact, bundle, &VerificationPolicy::any_identity()).map_err(refusal)?;
    require_whole(&result)?;
    let identity = result.identity().map(sigstore_verify::crypto::SubjectAltName::as_str);
    match (identity, result.issuer()) {
        (Some(identity), Some(issuer)) => Ok(format!("{} by {}", printable(identity, 300), printable(issuer, 300))),
        _ => Err(VerifyError::Certificate("it names no identity, or no issuer".into())),
    }
}

/// The policies ask for all of this; should that ever change, nothing passes.
fn require_whole(result: &VerificationResult) -> Result<(), VerifyError> {
    if result.certificate_verified() && result.tlog_verified() && result.sct_verified() {
        return Ok(());
    }
    Err(VerifyError::Certificate("a check was left out".into()))
}

fn require_past(result: &VerificationResult, now: Timestamp) -> Result<(), VerifyError> {
    let latest = result.verified_timestamps().iter().map(|time| Timestamp::from_unix(time.as_second())).max();
    match latest.filter(|latest| latest.seconds_since(now) > CLOCK_SKEW_SECONDS) {
        Some(time) => Err(VerifyError::SignedLater { time, now }),
        None => Ok(()),
    }
}

fn refusal(error: sigstore_verify::Error) -> VerifyError {
    let text = printable(&error.to_string(), 300);
    match error {
        sigstore_verify::Error::IssuerMismatch { actual, .. } => {
            VerifyError::Issuer { found: printable(&actual.unwrap_or_default(), 200) }
        }
        sigstore_verify::Error::SignatureInvalid(_) => VerifyError::Signature(text),
        sigstore_verify::Error::ArtifactMismatch(_) => VerifyError::WrongContent(text),
        sigstore_verify::Error::TransparencyLog(_) => VerifyError::Log(text),
        sigstore_verify::Error::Timestamp(_) => VerifyError::SigningTime(text),
        sigstore_verify::Error::Certificate(_) => VerifyError::Certificate(text),
        _ => VerifyError::Malformed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_identity() {
        let pattern = Identity::pattern("https://github.com/team/.*@refs/heads/main|b").unwrap();
        assert!(pattern.matches("https://github.com/team/x@refs/heads/main"));
        assert!(pattern.matches("b"));
        for other in [
            "https://github.com/team/x@refs/heads/main2",
            "evil https://github.com/team/x@refs/heads/main",
            "https://github.com/team/x@refs/heads/main\n",
            "bb",
            "",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
        assert!(!Identity::pattern("(?m)^a$").unwrap().matches("a\nb"));
        for bad in ["a)|(?:.*", "(", "[", "(?P<"] {
            assert!(Identity::pattern(bad).is_err(), "{bad}");
        }
        assert!(!Identity::Exact("a.c".into()).matches("abc"));
    }

    #[test]
    fn the_public_root_is_usable_and_others_are_refused() {
        TrustRoot::public().unwrap();
        for bad in [&b""[..], b"{}", b"[]", b"\xff"] {
            assert!(TrustRoot::from_json(bad).is_err(), "{bad:?}");
        }
    }
}
