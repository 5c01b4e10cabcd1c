//! Untrusted bytes: nothing panics, and no change of a bundle changes what it is taken to say.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::LazyLock;

use portcullis_attest::{
    Bundle, Candidate, Content, Format, Identity, Signer, SigningKey, Statement, TrustRoot, VerificationSummary,
    Verified, VerifyError, VulnerabilityScan, discover_in_layout, verify_bundle,
};
use portcullis_model::Digest;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{candidate, key, now, verifier};

struct Signed {
    key: SigningKey,
    digest: Digest,
    statement: Statement,
    bundle: Bundle,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let (key, digest) = (key(), Digest::of(b"image"));
    let statement = Statement::new("app", &digest, "https://example.com/p", json!({"ok": true, "n": [1, 2]}));
    let bundle = Bundle::sign(&statement, &key, now()).unwrap();
    Signed { key, digest, statement, bundle }
});

static ROOT: LazyLock<TrustRoot> = LazyLock::new(|| TrustRoot::public().unwrap());

fn verify(bytes: Vec<u8>, format: Format) -> Result<Verified<Statement>, VerifyError> {
    let Signed { key, digest, .. } = &*SIGNED;
    let candidate = Candidate { bytes: bytes.into(), format, ..candidate(String::new()) };
    verifier(key).verify(&candidate, digest, now())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            "[a-z]{1,3}",
            Just("mediaType".to_owned()),
            Just("dsseEnvelope".to_owned()),
            Just("payload".to_owned()),
            Just("signatures".to_owned()),
            Just("subject".to_owned()),
            Just("digest".to_owned()),
            Just("verificationMaterial".to_owned()),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(bytes.clone(), Format::Bundle).is_err());
        prop_assert!(verify(bytes.clone(), Format::Envelope).is_err());
        prop_assert!(Statement::from_bytes(&bytes).is_err());
        let identity = Identity::Exact("x".into());
        let signer = Signer::Certificate { identity: &identity, issuer: "y" };
        prop_assert!(verify_bundle(&bytes, Content::Bytes(b""), signer, &ROOT, now()).is_err());
        _ = SigningKey::from_pem(&bytes, None);
        _ = TrustRoot::from_json(&bytes);
    }

    #[test]
    fn no_json_panics(value in json()) {
        let bytes = value.to_string().into_bytes();
        prop_assert!(verify(bytes.clone(), Format::Bundle).is_err());
        prop_assert!(verify(bytes.clone(), Format::Envelope).is_err());
        _ = Statement::from_bytes(&bytes);
        _ = VerificationSummary::from_predicate(&value);
        _ = VulnerabilityScan::from_predicate(&value).map(|scan| scan.report());
    }

    /// A byte of the envelope decides, or it does not matter: it never makes another statement.
    #[test]
    fn no_change_makes_another_statement(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = SIGNED.bundle.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(verified) = verify(bytes, Format::Bundle) {
            prop_assert_eq!(&*verified, &SIGNED.statement);
        }
    }

    #[test]
    fn no_part_of_a_bundle_is_one(end in any::<prop::sample::Index>()) {
        let bytes = SIGNED.bundle.bytes();
        prop_assert!(verify(bytes[..end.index(bytes.len())].to_vec(), Format::Bundle).is_err());
    }

    #[test]
    fn statements_come_back_as_they_were(name in "\\PC{0,20}", kind in "\\PC{0,20}", predicate in json()) {
        let statement = Statement::new(&name, &SIGNED.digest, &kind, predicate);
        let bytes = statement.to_bytes().unwrap();
        prop_assert_eq!(&Statement::from_bytes(&bytes).unwrap(), &statement);
        let verified = verify(Bundle::sign(&statement, &SIGNED.key, now()).unwrap().bytes().to_vec(), Format::Bundle);
        prop_assert_eq!(verified.unwrap().into_inner(), statement);
    }

    #[test]
    fn no_layout_panics(index in json(), manifest in json()) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let manifest = manifest.to_string();
        let digest = Digest::of(manifest.as_bytes());
        std::fs::write(blobs.join(digest.hex()), &manifest).unwrap();
        std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();
        _ = discover_in_layout(folder.path(), &SIGNED.digest, &[]);
        let entry = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1});
        std::fs::write(folder.path().join("index.json"), json!({"manifests": [entry]}).to_string()).unwrap();
        let found = discover_in_layout(folder.path(), &SIGNED.digest, &[]).unwrap();
        prop_assert!(found.candidates.is_empty());
    }
}
