//! The public conformance suite of Sigstore's clients: every case is decided as its name says.
//!
//! <https://github.com/sigstore/sigstore-conformance>

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and say what they skip")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_attest::{
    Authority, Candidate, Content, Format, Identity, Signer, TrustRoot, Verifier, VerifyError, VerifyingKey,
    verify_bundle,
};
use portcullis_model::{Digest, Timestamp};

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn suite() -> Option<PathBuf> {
    let data = std::env::var_os("PORTCULLIS_TEST_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let suite = data.join("sigstore-conformance/bundle-verify");
    if suite.is_dir() {
        return Some(suite);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", suite.display());
    println!("skipped: {} is missing", suite.display());
    None
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn decide(case: &Path, artifact: &[u8], by_digest: bool) -> Result<(), VerifyError> {
    let bundle = fs::read(case.join("bundle.sigstore.json")).unwrap();
    let root = match fs::read(case.join("trusted_root.json")) {
        Ok(root) => TrustRoot::from_json(&root).map_err(|error| VerifyError::Certificate(error.to_string()))?,
        Err(_) => TrustRoot::public().unwrap(),
    };
    let content = if by_digest { Content::Digest(Digest::of(artifact)) } else { Content::Bytes(artifact) };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = Timestamp::from_unix(i64::try_from(now).unwrap());
    if let Some(key) = text(&case.join("key.pub")) {
        // The case of the wrong key has one that is none.
        let key = VerifyingKey::from_pem(key.as_bytes()).map_err(|error| VerifyError::Malformed(error.to_string()))?;
        return verify_bundle(&bundle, content, Signer::Key(&key), &root, now);
    }
    let identity = text(&case.join("identity")).unwrap_or_else(|| IDENTITY.into());
    let issuer = text(&case.join("issuer")).unwrap_or_else(|| ISSUER.into());
    let identity = Identity::Exact(identity.trim().to_owned());
    let signer = Signer::Certificate { identity: &identity, issuer: issuer.trim() };
    verify_bundle(&bundle, content, signer, &root, now)
}

#[test]
fn all_cases_with_bytes_and_with_digests() {
    let Some(suite) = suite() else { return };
    let default = fs::read(suite.join("a.txt")).unwrap();
    let mut cases: Vec<PathBuf> = fs::read_dir(&suite).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    assert_eq!(cases.len(), 70);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let artifact = fs::read(case.join("artifact")).unwrap_or_else(|_| default.clone());
        for by_digest in [false, true] {
            let decision = decide(case, &artifact, by_digest);
            if decision.is_ok() == name.ends_with("_fail") {
                wrong.push(format!("{name} (digest: {by_digest}): {decision:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of 140 are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_key_that_is_another_is_refused() {
    let Some(suite) = suite() else { return };
    let bundle = fs::read(suite.join("managed-key-happy-path/bundle.sigstore.json")).unwrap();
    let artifact = fs::read(suite.join("a.txt")).unwrap();
    let root = TrustRoot::public().unwrap();
    let other = portcullis_attest::SigningKey::generate().unwrap();
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    let refused = verify_bundle(&bundle, Content::Bytes(&artifact), Signer::Key(other.verifying_key()), &root, now);
    assert!(matches!(refused, Err(VerifyError::Signature(_))), "{refused:?}");
}

#[test]
fn identity_issuer_and_time_are_always_asked() {
    let Some(suite) = suite() else { return };
    let bundle = fs::read(suite.join("happy-path-v0.3/bundle.sigstore.json")).unwrap();
    let artifact = fs::read(suite.join("a.txt")).unwrap();
    let root = TrustRoot::public().unwrap();
    let verify = |identity: &Identity, issuer: &str, now: &str| {
        let signer = Signer::Certificate { identity, issuer };
        verify_bundle(&bundle, Content::Bytes(&artifact), signer, &root, now.parse().unwrap())
    };
    let right = Identity::Exact(IDENTITY.into());
    let now = "2026-11-25T00:00:00Z";
    assert_eq!(verify(&right, ISSUER, now), Ok(()));
    assert_eq!(verify(&Identity::pattern("https://github.com/sigstore-conformance/.*").unwrap(), ISSUER, now), Ok(()));
    let part = Identity::pattern("https://github.com/sigstore-conformance").unwrap();
    assert!(matches!(verify(&part, ISSUER, now), Err(VerifyError::Identity { .. })));
    let other = Identity::Exact("someone".into());
    assert!(matches!(verify(&other, ISSUER, now), Err(VerifyError::Identity { .. })));
    assert!(matches!(verify(&right, "https://accounts.google.com", now), Err(VerifyError::Issuer { .. })));
    assert!(matches!(verify(&right, "", now), Err(VerifyError::Issuer { .. })));
    assert!(matches!(verify(&right, ISSUER, "2020-01-01T00:00:00Z"), Err(VerifyError::SignedLater { .. })));
}

#[test]
fn a_keyless_attestation_is_evidence_about_its_subject() {
    let Some(suite) = suite() else { return };
    let bundle = fs::read(suite.join("happy-path-intoto-in-dsse-v3/bundle.sigstore.json")).unwrap();
    let subject = Digest::of(&fs::read(suite.join("a.txt")).unwrap());
    let candidate = Candidate {
        bytes: bundle.into(),
        format: Format::Bundle,
        manifest: Digest::of(b"manifest"),
        claimed_type: None,
    };
    let authority = |identity: &str, issuer: &str| Authority::Certificate {
        name: identity.into(),
        identity: Identity::Exact(identity.into()),
        issuer: issuer.into(),
        root: TrustRoot::public().unwrap(),
    };
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    let verifier = Verifier::new(vec![authority("someone", ISSUER), authority(IDENTITY, ISSUER)]);
    let verified = verifier.verify(&candidate, &subject, now).unwrap();
    assert_eq!(verified.authority(), IDENTITY);
    assert!(verified.signed_at().is_some_and(|time| time < now));
    let other = verifier.verify(&candidate, &Digest::of(b"other"), now).unwrap_err();
    assert!(matches!(other, VerifyError::WrongSubject { .. }), "{other:?}");
    let stranger = Verifier::new(vec![authority("someone", ISSUER)]).verify(&candidate, &subject, now).unwrap_err();
    assert!(matches!(stranger, VerifyError::Identity { .. }), "{stranger:?}");
    let key = portcullis_attest::SigningKey::generate().unwrap().verifying_key().clone();
    let by_key = Verifier::new(vec![Authority::Key { name: "key".into(), key }]);
    let refused = by_key.verify(&candidate, &subject, now).unwrap_err();
    assert_eq!(refused, VerifyError::NoAuthority { found: "certificate" });
    // A changed statement is refused before anything is believed of it.
    let forged: serde_json::Value = {
        let mut value: serde_json::Value = serde_json::from_slice(&candidate.bytes).unwrap();
        let statement = serde_json::json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": "p",
            "subject": [{"name": "x", "digest": {"sha256": Digest::of(b"other").hex()}}], "predicate": {}});
        value["dsseEnvelope"]["payload"] = STANDARD.encode(statement.to_string()).into();
        value
    };
    let forged = Candidate { bytes: forged.to_string().into(), ..candidate };
    assert!(verifier.verify(&forged, &Digest::of(b"other"), now).is_err());
}
