//! Keys in every form that people have, and what is said of those that cannot be used.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use p256::{elliptic_curve::pkcs8::LineEnding, pkcs8::DecodePrivateKey as _};
use portcullis_attest::{KeyError, SigningKey, VerifyingKey};
use portcullis_errors::{Hint as _, Secret};
use sigstore::crypto::SigningScheme;

/// A new key of each kind, in PKCS#8.
struct Keys {
    p256: String,
    p384: String,
    ed25519: String,
    rsa: String,
}

impl Keys {
    fn new() -> Self {
        let pem = |scheme: SigningScheme| {
            let pair = scheme.create_signer().unwrap().to_sigstore_keypair().unwrap();
            pair.private_key_to_pem().unwrap().to_string()
        };
        Self {
            p256: pem(SigningScheme::ECDSA_P256_SHA256_ASN1),
            p384: pem(SigningScheme::ECDSA_P384_SHA384_ASN1),
            ed25519: pem(SigningScheme::ED25519),
            rsa: pem(SigningScheme::RSA_PKCS1_SHA256(2048)),
        }
    }

    /// The P-256 key as OpenSSL wrote it for long.
    fn sec1(&self) -> String {
        let key = p256::SecretKey::from_pkcs8_pem(&self.p256).unwrap();
        key.to_sec1_pem(LineEnding::LF).unwrap().to_string()
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn every_form_signs_and_verifies() {
    let keys = Keys::new();
    for pem in [&keys.sec1(), &keys.p256, &keys.p384, &keys.ed25519, &keys.rsa] {
        let key = SigningKey::from_pem(pem.as_bytes(), None).unwrap();
        let signature = key.sign(b"message").unwrap();
        let public = VerifyingKey::from_pem(key.verifying_key().to_pem().as_bytes()).unwrap();
        assert_eq!(public.id(), key.verifying_key().id());
        assert!(public.verifies(b"message", &signature));
        assert!(!public.verifies(b"massage", &signature));
        assert!(!public.verifies(b"message", &signature[1..]));
        assert!(!public.verifies(b"message", b""));
    }
}

#[test]
fn sec1_and_pkcs8_are_the_same_key_and_sign_the_same() {
    let keys = Keys::new();
    let one = SigningKey::from_pem(keys.sec1().as_bytes(), None).unwrap();
    let other = SigningKey::from_pem(keys.p256.as_bytes(), None).unwrap();
    assert_eq!(one.verifying_key(), other.verifying_key());
    assert_eq!(one.sign(b"x").unwrap(), other.sign(b"x").unwrap());
    assert_ne!(one.sign(b"x").unwrap(), one.sign(b"y").unwrap());
}

#[test]
fn the_same_message_gives_the_same_signature_where_the_scheme_allows() {
    let keys = Keys::new();
    for pem in [&keys.p256, &keys.ed25519, &keys.rsa] {
        let key = SigningKey::from_pem(pem.as_bytes(), None).unwrap();
        assert_eq!(key.sign(b"message").unwrap(), key.sign(b"message").unwrap());
    }
}

#[test]
fn encrypted_keys_need_their_password() {
    let keys = Keys::new();
    for pem in [&keys.p256, &keys.ed25519, &keys.p384] {
        let key = SigningKey::from_pem(pem.as_bytes(), None).unwrap();
        let encrypted = key.to_encrypted_pem(&secret("pw")).unwrap();
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{encrypted}");
        let read = SigningKey::from_pem(encrypted.as_bytes(), Some(&secret("pw"))).unwrap();
        assert_eq!(read.verifying_key(), key.verifying_key());
        let wrong = SigningKey::from_pem(encrypted.as_bytes(), Some(&secret("wp"))).unwrap_err();
        assert_eq!(wrong, KeyError::Decrypt);
        assert_eq!(SigningKey::from_pem(encrypted.as_bytes(), None).unwrap_err(), KeyError::PasswordMissing);
    }
    let empty = SigningKey::generate().unwrap();
    let encrypted = empty.to_encrypted_pem(&secret("")).unwrap();
    assert!(SigningKey::from_pem(encrypted.as_bytes(), Some(&secret(""))).is_ok());
}

#[test]
fn what_is_no_key_is_refused_with_a_hint() {
    let public = SigningKey::generate().unwrap().verifying_key().to_pem();
    let half = SigningKey::from_pem(public.as_bytes(), None).unwrap_err();
    assert_eq!(half, KeyError::WrongHalf { wanted: "private", found: "public" });
    let half = VerifyingKey::from_pem(Keys::new().p256.as_bytes()).unwrap_err();
    assert_eq!(half, KeyError::WrongHalf { wanted: "public", found: "private" });
    let truncated = public.replace("MFkw", "MF");
    for bad in ["", "hello", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &truncated] {
        let error = VerifyingKey::from_pem(bad.as_bytes()).unwrap_err();
        assert!(error.hint().is_some(), "{bad} {error:?}");
    }
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let hint = SigningKey::from_pem(rsa.as_bytes(), None).unwrap_err().hint().unwrap();
    assert!(hint.contains("openssl pkcs8"), "{hint}");
    let long = "-".repeat(1 << 20);
    assert!(SigningKey::from_pem(long.as_bytes(), None).is_err());
}

#[test]
fn a_key_never_prints_itself() {
    let key = SigningKey::from_pem(Keys::new().p256.as_bytes(), None).unwrap();
    let text = format!("{key:?}");
    assert!(text.contains(&key.verifying_key().id()) && text.len() < 120, "{text}");
}
