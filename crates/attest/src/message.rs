//! Signing content itself, without a statement about it: what `cosign sign-blob` does.
//!
//! Format: <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_common.proto> (`MessageSignature`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_model::Digest;
use serde_json::json;

use sigstore_types::{SignatureContent, dsse::pae};

use crate::{BUNDLE_MEDIA_TYPE, Content, Statement, VerifyError, VerifyingKey, bundle::key_material};

/// The bundle's JSON of what a key has signed, with the token of a timestamp authority.
pub(crate) fn message_of_key(content: &[u8], key: &VerifyingKey, signature: &[u8], timestamp: Option<&[u8]>) -> Bytes {
    let bundle = json!({
        "mediaType": BUNDLE_MEDIA_TYPE,
        "verificationMaterial": key_material(key, timestamp),
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(Digest::of(content).as_bytes())},
            "signature": STANDARD.encode(signature),
        },
    });
    Bytes::from(bundle.to_string())
}

/// Verifies a bundle that nothing but a key vouches for: neither a log nor a timestamp authority saw the signature.
pub(crate) fn verify_by_key_alone(
    signed: &SignatureContent,
    content: Content<'_>,
    key: &VerifyingKey,
) -> Result<(), VerifyError> {
    let holds = |message: &[u8], signature: &[u8]| {
        if key.verifies(message, signature) { Ok(()) } else { Err(VerifyError::WrongKey) }
    };
    match (signed, content) {
        (SignatureContent::DsseEnvelope(envelope), content) => {
            let payload = envelope.payload.as_bytes();
            holds(&pae(&envelope.payload_type, payload), envelope.signature.sig.as_bytes())?;
            let expected = match content {
                Content::Bytes(bytes) => Digest::of(bytes),
                Content::Digest(digest) => digest,
            };
            if Statement::from_bytes(payload)?.is_about(&expected) {
                return Ok(());
            }
            Err(VerifyError::WrongContent(format!("its statement does not speak of {expected}")))
        }
        (SignatureContent::MessageSignature(message), Content::Bytes(bytes)) => {
            holds(bytes, message.signature.as_bytes())
        }
        (_, Content::Digest(_)) => {
            Err(VerifyError::WrongContent("a key signs the file itself, not its digest".to_owned()))
        }
        // A kind that the library may add.
        _ => Err(VerifyError::NoStatement),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use portcullis_model::Timestamp;

    use super::*;
    use crate::{Content, Signer, SigningKey, TrustRoot, verify_bundle};

    fn sign_message(content: &[u8], key: &SigningKey) -> Bytes {
        message_of_key(content, key.verifying_key(), &key.sign(content).unwrap(), None)
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let bundle = sign_message(b"content", &key);
        let root = TrustRoot::public().unwrap();
        let check = |bundle: &[u8], content: &[u8], key: &SigningKey| {
            let signer = Signer::Key(key.verifying_key());
            verify_bundle(bundle, Content::Bytes(content), signer, &root, Timestamp::from_unix(1_790_000_000))
        };
        check(&bundle, b"content", &key).unwrap();
        check(&bundle, b"Content", &key).unwrap_err();
        check(&bundle, b"content", &other).unwrap_err();
        let foreign = sign_message(b"Content", &key);
        check(&foreign, b"content", &key).unwrap_err();
        assert_eq!(sign_message(b"content", &key), bundle);
        let signer = Signer::Key(key.verifying_key());
        let digest = Content::Digest(Digest::of(b"content"));
        verify_bundle(&bundle, digest, signer, &root, Timestamp::from_unix(1_790_000_000)).unwrap_err();
    }

    #[test]
    fn a_statement_is_verified_for_its_subjects_alone() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let now = Timestamp::from_unix(1_790_000_000);
        let subject = Digest::of(b"content");
        let statement = Statement::new("a", &subject, "https://slsa.dev/provenance/v1", json!({}));
        let bundle = crate::Bundle::sign(&statement, &key, now).unwrap();
        let root = TrustRoot::public().unwrap();
        let check = |content: Content<'_>, key: &SigningKey| {
            verify_bundle(bundle.bytes(), content, Signer::Key(key.verifying_key()), &root, now)
        };
        check(Content::Bytes(b"content"), &key).unwrap();
        check(Content::Digest(subject), &key).unwrap();
        check(Content::Bytes(b"Content"), &key).unwrap_err();
        check(Content::Bytes(b"content"), &other).unwrap_err();
    }
}
