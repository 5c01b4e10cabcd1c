//! Why evidence is refused, each reason by its own name: people must learn which signature, subject or time is wrong.

use portcullis_errors::Hint;
use portcullis_model::{Digest, Timestamp};

use crate::StatementError;

/// Why a candidate is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not a bundle or envelope.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// An object names a key twice.
    #[error("it names the key `{0}` twice")]
    DuplicateKey(String),
    /// It says to be something else.
    #[error("it has the media type `{0}`, which is not that of a bundle")]
    MediaType(String),
    /// It is a signature over bytes, and says nothing.
    #[error("it signs content, and makes no statement")]
    NoStatement,
    /// The envelope holds something else.
    #[error("the envelope holds `{0}`, not an in-toto statement")]
    PayloadType(String),
    /// Nobody signed it.
    #[error("it is not signed")]
    Unsigned,
    /// More than one signature: readers may look at different ones.
    #[error("it has {0} signatures; exactly one is taken")]
    SignatureCount(usize),
    /// None of the trusted keys made the signature.
    #[error("the signature is not that of a trusted key")]
    WrongKey,
    /// It was signed with a certificate, and only keys are trusted, or the other way round.
    #[error("it is signed with a {found}, and no authority is trusted by {found}")]
    NoAuthority {
        /// `key` or `certificate`.
        found: &'static str,
    },
    /// Someone else signed it.
    #[error("it is signed by `{found}`, who is not trusted")]
    Identity {
        /// Who.
        found: String,
    },
    /// Another issuer vouches for the identity.
    #[error("the identity is vouched for by `{found}`, which is not trusted to")]
    Issuer {
        /// Which.
        found: String,
    },
    /// The certificate does not hold.
    #[error("the certificate is not accepted: {0}")]
    Certificate(String),
    /// The log entry does not hold.
    #[error("the log entry is not accepted: {0}")]
    Log(String),
    /// No trusted moment of signing.
    #[error("the time of signing is not accepted: {0}")]
    SigningTime(String),
    /// It was signed after the moment of the decision.
    #[error("it was signed at {time}, and it is {now}")]
    SignedLater {
        /// When it was signed.
        time: Timestamp,
        /// The moment of the decision.
        now: Timestamp,
    },
    /// The signature is not that of its certificate.
    #[error("the signature does not hold: {0}")]
    Signature(String),
    /// A bundle about other content.
    #[error("it is about something else: {0}")]
    WrongContent(String),
    /// The payload is no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// It speaks of something else.
    #[error("it speaks of {found}, not of {expected}")]
    WrongSubject {
        /// What was asked about.
        expected: Digest,
        /// What it speaks of.
        found: String,
    },
    /// It says something else.
    #[error("it says `{found}`, not `{wanted}`")]
    PredicateType {
        /// What it says.
        found: String,
        /// What was asked.
        wanted: String,
    },
}

impl Hint for VerifyError {
    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::WrongKey | Self::NoAuthority { .. } => {
                    "name the signer's key or identity among the policy's authorities, or sign again with a trusted one"
                }
                Self::Identity { .. } | Self::Issuer { .. } => {
                    "if this signer is to be trusted, name identity and issuer among the policy's authorities"
                }
                Self::WrongSubject { .. } => "evidence is bound to a digest: attest the image that is deployed",
                Self::SignedLater { .. } => "check this machine's clock",
                _ => return None,
            }
            .to_owned(),
        )
    }
}
