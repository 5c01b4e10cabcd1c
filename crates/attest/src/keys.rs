//! Key pairs, as cosign keeps them: an encrypted private key and a public key, both PEM.
//!
//! Format: <https://github.com/sigstore/cosign/blob/v3.0.6/pkg/cosign/keys.go>. Nothing here reads the environment:
//! the password is an argument.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{Signature, SigningKey as P256Key, signature::Signer as _},
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _},
};
use portcullis_errors::{Hint, Secret};
use portcullis_model::Digest;
use sigstore::crypto::{
    CosignVerificationKey, Signature as RawSignature, SigningScheme,
    signing_key::{SigStoreKeyPair, SigStoreSigner},
};

/// A key file is a few hundred bytes, an RSA key a few thousand.
const MAX_PEM_BYTES: usize = 64 << 10;

/// Why a key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM, or holds something else.
    #[error("this is not a {wanted} key in PEM")]
    NotAKey {
        /// `private` or `public`.
        wanted: &'static str,
        /// The label that it has, if it is PEM.
        label: Option<String>,
    },
    /// A public key where a private one is needed, or the other way round.
    #[error("this is a {found} key, and a {wanted} one is needed")]
    WrongHalf {
        /// What is needed.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The key is encrypted, and no password was given.
    #[error("the private key is encrypted, and no password is given")]
    PasswordMissing,
    /// The password is wrong, or the key is damaged.
    #[error("the private key cannot be decrypted: the password is wrong, or the file is damaged")]
    Decrypt,
    /// A kind of key that is not supported.
    #[error("this kind of key is not supported: {0}")]
    Unsupported(String),
    /// The operation failed inside.
    #[error("the key does not work: {0}")]
    Failed(String),
}

impl Hint for KeyError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAKey { label: Some(label), .. }
                if label == "RSA PRIVATE KEY" || label == "ENCRYPTED PRIVATE KEY" =>
            {
                "convert it with `openssl pkcs8 -topk8 -nocrypt`".into()
            }
            Self::NotAKey { .. } | Self::Unsupported(_) => {
                "make a key pair with `portcullis key generate`, or use one of cosign's (P-256, P-384, Ed25519, RSA)"
                    .into()
            }
            Self::WrongHalf { .. } => "cosign.key signs, cosign.pub verifies".into(),
            Self::PasswordMissing => "set COSIGN_PASSWORD".into(),
            Self::Decrypt => "check COSIGN_PASSWORD".into(),
            Self::Failed(_) => return None,
        })
    }
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey {
    /// PKCS#8 DER.
    pkcs8: Secret64,
    /// P-256 signs by RFC 6979, so that the same inputs give the same bundle; the other kinds sign as their library
    /// does, of which Ed25519 and RSA are deterministic too.
    p256: Option<P256Key>,
    public: VerifyingKey,
}

/// Bytes that are a secret, as base64 in one that prints as `***`.
type Secret64 = Secret;

impl SigningKey {
    /// A new P-256 key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let signer = SigningScheme::ECDSA_P256_SHA256_ASN1.create_signer().map_err(failed)?;
        Self::from_pair(&signer.to_sigstore_keypair().map_err(failed)?)
    }

    /// Reads a private key: cosign's encrypted PEM, PKCS#8, or SEC 1 for P-256.
    ///
    /// # Errors
    /// When it is something else, or the password is missing or wrong.
    pub fn from_pem(text: &[u8], password: Option<&Secret>) -> Result<Self, KeyError> {
        let label = label(text, "private")?;
        let pair = match label.as_str() {
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let password = password.ok_or(KeyError::PasswordMissing)?;
                SigStoreKeyPair::from_encrypted_pem(text, password.reveal().as_bytes())
                    .map_err(|_error| KeyError::Decrypt)?
            }
            "PRIVATE KEY" => {
                SigStoreKeyPair::from_pem(text).map_err(|error| KeyError::Unsupported(error.to_string()))?
            }
            "EC PRIVATE KEY" => sec1(text)?,
            "PUBLIC KEY" => return Err(KeyError::WrongHalf { wanted: "private", found: "public" }),
            _ => return Err(KeyError::NotAKey { wanted: "private", label: Some(label) }),
        };
        Self::from_pair(&pair)
    }

    fn from_pair(pair: &SigStoreKeyPair) -> Result<Self, KeyError> {
        let der = pair.private_key_to_der().map_err(failed)?;
        let public = VerifyingKey::from_der(&pair.public_key_to_der().map_err(failed)?)?;
        let p256 = P256Key::from_pkcs8_der(&der).ok();
        Ok(Self { pkcs8: Secret::new(STANDARD.encode(der.as_slice())), p256, public })
    }

    fn pair(&self) -> Result<SigStoreKeyPair, KeyError> {
        let der = STANDARD.decode(self.pkcs8.reveal()).map_err(failed)?;
        SigStoreKeyPair::from_der(&der).map_err(failed)
    }

    /// The key, encrypted with a password, as `cosign generate-key-pair` writes it.
    ///
    /// # Errors
    /// When encryption fails.
    pub fn to_encrypted_pem(&self, password: &Secret) -> Result<String, KeyError> {
        let text = self.pair()?.private_key_to_encrypted_pem(password.reveal().as_bytes()).map_err(failed)?;
        Ok(unix_lines(&text))
    }

    /// The other half.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs a message.
    ///
    /// # Errors
    /// When the key does not work.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if let Some(key) = &self.p256 {
            let signature: Signature = key.try_sign(message).map_err(failed)?;
            return Ok(signature.to_der().as_bytes().to_vec());
        }
        self.signer()?.sign(message).map_err(failed)
    }

    fn signer(&self) -> Result<SigStoreSigner, KeyError> {
        let scheme = match self.public.inner {
            CosignVerificationKey::ECDSA_P256_SHA256_ASN1(_) => SigningScheme::ECDSA_P256_SHA256_ASN1,
            CosignVerificationKey::ECDSA_P384_SHA384_ASN1(_) => SigningScheme::ECDSA_P384_SHA384_ASN1,
            CosignVerificationKey::ECDSA_P521_SHA512_ASN1(_) => SigningScheme::ECDSA_P521_SHA512_ASN1,
            CosignVerificationKey::ED25519(_) => SigningScheme::ED25519,
            CosignVerificationKey::RSA_PKCS1_SHA256(_) | CosignVerificationKey::RSA_PSS_SHA256(_) => {
                SigningScheme::RSA_PKCS1_SHA256(0)
            }
        };
        self.pair()?.to_sigstore_signer(&scheme).map_err(failed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public.id()).finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Clone)]
pub struct VerifyingKey {
    inner: CosignVerificationKey,
}

impl VerifyingKey {
    /// Reads a public key in PEM (`PUBLIC KEY`).
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let label = label(text, "public")?;
        if label.ends_with("PRIVATE KEY") {
            return Err(KeyError::WrongHalf { wanted: "public", found: "private" });
        }
        if label != "PUBLIC KEY" {
            return Err(KeyError::NotAKey { wanted: "public", label: Some(label) });
        }
        let parsed = pem::parse(text).map_err(|_error| KeyError::NotAKey { wanted: "public", label: None })?;
        Self::from_der(parsed.contents())
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let inner =
            CosignVerificationKey::try_from_der(der).map_err(|error| KeyError::Unsupported(error.to_string()))?;
        Ok(Self { inner })
    }

    /// The key in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        unix_lines(&pem::encode(&pem::Pem::new("PUBLIC KEY", self.der())))
    }

    /// The SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        match &self.inner {
            CosignVerificationKey::RSA_PSS_SHA256(der)
            | CosignVerificationKey::RSA_PKCS1_SHA256(der)
            | CosignVerificationKey::ECDSA_P256_SHA256_ASN1(der)
            | CosignVerificationKey::ECDSA_P384_SHA384_ASN1(der)
            | CosignVerificationKey::ECDSA_P521_SHA512_ASN1(der)
            | CosignVerificationKey::ED25519(der) => der,
        }
    }

    /// What bundles hint at: base64 of the SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn id(&self) -> String {
        STANDARD.encode(Digest::of(self.der()).as_bytes())
    }

    /// The length of the digest that it signs, in bits: 256, 384 or 512.
    pub(crate) const fn hash_bits(&self) -> u16 {
        match &self.inner {
            CosignVerificationKey::ECDSA_P384_SHA384_ASN1(_) => 384,
            CosignVerificationKey::ECDSA_P521_SHA512_ASN1(_) => 512,
            _ => 256,
        }
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.inner.verify_signature(RawSignature::Raw(signature), message).is_ok()
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id())
    }
}

fn failed(error: impl fmt::Display) -> KeyError {
    KeyError::Failed(error.to_string())
}

/// The label of the first PEM block.
fn label(text: &[u8], wanted: &'static str) -> Result<String, KeyError> {
    let refused = KeyError::NotAKey { wanted, label: None };
    if text.len() > MAX_PEM_BYTES {
        return Err(refused);
    }
    let parsed = pem::parse(text).map_err(|_error| refused)?;
    Ok(portcullis_errors::printable(parsed.tag(), 60))
}

fn sec1(text: &[u8]) -> Result<SigStoreKeyPair, KeyError> {
    let refused = |_error| KeyError::Unsupported("a SEC 1 key that is not of the curve P-256".into());
    let parsed = pem::parse(text).map_err(|_error| KeyError::NotAKey { wanted: "private", label: None })?;
    let key = p256::SecretKey::from_sec1_der(parsed.contents()).map_err(refused)?;
    let der = key.to_pkcs8_der().map_err(failed)?;
    SigStoreKeyPair::from_der(der.as_bytes()).map_err(failed)
}

/// The library writes lines as Windows ends them; cosign and Git like the other way.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}
