//! The keyed path end to end, at two real registries and in a layout; and every way in which a bundle may be forged.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../registry/tests/common/mod.rs"]
mod common;
mod support;

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{CueRegistry, DockerRegistry, client, image};
use portcullis_attest::{
    Authority, BUNDLE_MEDIA_TYPE, Bundle, Candidate, Format, SbomFormat, SigningKey, Statement, StatementError,
    SummaryResult, VerificationSummary, Verifier, VerifyError, VulnerabilityScan, discover, discover_in_layout,
    predicate_type, sbom_statement, store, store_in_layout, vulnerability_statement,
};
use portcullis_embedded_registry::{EmbeddedRegistry, Options as Embedded};
use portcullis_model::{Digest, Outcome, Timestamp};
use portcullis_registry::Reference;
use serde_json::{Value, json};
use support::{candidate, key, now, push_image, report, verifier};

fn three_bundles(at: &Reference, digest: &Digest, key: &SigningKey) -> Vec<Bundle> {
    let report = report(*digest);
    let summary = VerificationSummary::of(&report.verdict, at, digest, Vec::new());
    let sbom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []});
    [
        vulnerability_statement(&report, at, digest).unwrap(),
        summary.statement(at, digest).unwrap(),
        sbom_statement(SbomFormat::CycloneDx, sbom, at, digest),
    ]
    .iter()
    .map(|statement| Bundle::sign(statement, key, report.created).unwrap())
    .collect()
}

async fn round_trip(address: SocketAddr, listed: bool) {
    let (client, key) = (client(), key());
    let at = image(address, "team/app:v1");
    let subject = push_image(&client, &at, "one").await;
    let nothing = discover(&client, &at, &subject.digest, &[]).await;
    assert!(nothing.is_complete() && nothing.candidates.is_empty(), "{nothing:?}");

    let bundles = three_bundles(&at, &subject.digest, &key);
    let stored = store(&client, &at, &subject, &bundles).await.unwrap();
    assert!(stored.iter().all(|stored| stored.listed_by_registry == listed), "{stored:?}");
    assert_eq!(store(&client, &at, &subject, &bundles).await.unwrap(), stored);
    assert_eq!(client.referrers(&at, &subject.digest).await.unwrap().len(), 3);

    let found = discover(&client, &at, &subject.digest, &[]).await;
    assert!(found.is_complete(), "{:?}", found.problems);
    let verified: Vec<_> = found
        .candidates
        .iter()
        .map(|candidate| verifier(&key).verify(candidate, &subject.digest, now()).unwrap())
        .collect();
    let mut types: Vec<&str> = verified.iter().map(|verified| verified.predicate_type()).collect();
    types.sort_unstable();
    let mut wanted = [predicate_type::VULNERABILITIES, predicate_type::VERIFICATION_SUMMARY, predicate_type::CYCLONEDX];
    wanted.sort_unstable();
    assert_eq!(types, wanted);
    assert!(verified.iter().all(|verified| verified.authority() == "release"));

    for verified in verified {
        match verified.predicate_type() {
            predicate_type::VULNERABILITIES => {
                let scan = verified.clone().vulnerability_scan().unwrap();
                assert_eq!(scan.report().unwrap().findings.len(), 1);
                assert!(matches!(verified.summary(), Err(VerifyError::PredicateType { .. })));
            }
            predicate_type::VERIFICATION_SUMMARY => {
                let summary = verified.summary().unwrap();
                assert_eq!(summary.verification_result, SummaryResult::Failed);
                assert_eq!(summary.authority(), "release");
            }
            _ => {}
        }
    }

    let only = [predicate_type::VERIFICATION_SUMMARY];
    let found = discover(&client, &at, &subject.digest, &only).await;
    assert_eq!(found.candidates.len(), 1);
    assert_eq!(found.candidates[0].claimed_type.as_deref(), Some(only[0]));
}

#[tokio::test]
async fn round_trip_at_the_embedded_registry() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    round_trip(registry.address(), true).await;
}

#[tokio::test]
async fn round_trip_at_an_old_registry() {
    let registry = EmbeddedRegistry::start(Embedded { referrers: false, ..Embedded::default() }).unwrap();
    round_trip(registry.address(), false).await;
}

#[tokio::test]
async fn round_trip_at_docker_registry() {
    let Some(registry) = DockerRegistry::start() else { return };
    round_trip(registry.address(), false).await;
}

#[tokio::test]
async fn round_trip_at_cue_labs_registry() {
    let Some(registry) = CueRegistry::start() else { return };
    round_trip(registry.address(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_lose_nothing() {
    let registry = EmbeddedRegistry::start(Embedded { referrers: false, ..Embedded::default() }).unwrap();
    let (client, key) = (client(), key());
    let at = image(registry.address(), "app:v1");
    let subject = push_image(&client, &at, "one").await;
    let writers = (0..6).map(|number| {
        let (client, at, subject) = (client.clone(), at.clone(), subject.clone());
        let statement = Statement::new("x", &subject.digest, "https://example.com/n", json!({"n": number}));
        let bundle = Bundle::sign(&statement, &key, now()).unwrap();
        tokio::spawn(async move { store(&client, &at, &subject, &[bundle]).await.unwrap() })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(client.referrers(&at, &subject.digest).await.unwrap().len(), 6);
}

#[tokio::test]
async fn entries_of_others_stay_in_the_fallback_index() {
    let registry = EmbeddedRegistry::start(Embedded { referrers: false, ..Embedded::default() }).unwrap();
    let (client, key) = (client(), key());
    let at = image(registry.address(), "app:v1");
    let subject = push_image(&client, &at, "one").await;
    let other = push_image(&client, &image(registry.address(), "app:other"), "other").await;
    let entry = json!({"mediaType": other.media_type, "digest": other.digest, "size": other.size,
        "artifactType": "theirs", "annotations": {"a": "b"}, "urls": ["https://example.com"]});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry], "annotations": {"kept": "yes"}});
    let tag = at.with_tag(&portcullis_registry::fallback_tag(&subject.digest)).unwrap();
    client.push_manifest(&tag, index.to_string().into(), "application/vnd.oci.image.index.v1+json").await.unwrap();

    let bundles = three_bundles(&at, &subject.digest, &key);
    store(&client, &at, &subject, &bundles).await.unwrap();
    let (bytes, entries) = client.fallback_index(&at, &subject.digest).await.unwrap().unwrap();
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(index["manifests"][0], entry);
    assert_eq!(index["annotations"]["kept"], "yes");
    assert_eq!(entries.len(), 4);
    for entry in &entries[1..] {
        assert_eq!(entry.artifact_type.as_deref(), Some(BUNDLE_MEDIA_TYPE));
        assert!(entry.annotations.contains_key("dev.sigstore.bundle.predicateType"), "{entry:?}");
    }
}

#[test]
fn round_trip_in_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;
    let digest = Digest::of(manifest);
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(digest.hex()), manifest).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": manifest.len()}]});
    std::fs::write(folder.path().join("index.json"), index.to_string()).unwrap();

    let key = key();
    let bundles = three_bundles(&"app".parse().unwrap(), &digest, &key);
    let stored = store_in_layout(folder.path(), &digest, &bundles).unwrap();
    let before = std::fs::read(folder.path().join("index.json")).unwrap();
    assert_eq!(store_in_layout(folder.path(), &digest, &bundles).unwrap(), stored);
    assert_eq!(std::fs::read(folder.path().join("index.json")).unwrap(), before);

    let found = discover_in_layout(folder.path(), &digest, &[]).unwrap();
    assert!(found.is_complete(), "{:?}", found.problems);
    assert_eq!(found.candidates.len(), 3);
    for candidate in &found.candidates {
        verifier(&key).verify(candidate, &digest, now()).unwrap();
    }
    assert!(store_in_layout(folder.path(), &Digest::of(b"other"), &bundles).is_err());

    // A blob that was changed is a problem, and not silently left out.
    std::fs::write(blobs.join(bundles[0].digest().hex()), b"changed").unwrap();
    let found = discover_in_layout(folder.path(), &digest, &[]).unwrap();
    assert_eq!((found.candidates.len(), found.problems.len()), (2, 1));
}

#[tokio::test]
async fn what_cannot_be_read_makes_the_answer_unknown() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    let client = client();
    let at = image(registry.address(), "app:v1");
    let subject = push_image(&client, &at, "one").await;
    // A referrer whose bundle says to be larger than bundles are.
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2},
        "layers": [{"mediaType": BUNDLE_MEDIA_TYPE, "digest": Digest::of(b"{}"), "size": 17 << 20}],
        "subject": subject,
    });
    let bytes = bytes::Bytes::from(manifest.to_string());
    let by_digest = at.with_digest(Digest::of(&bytes));
    client.push_manifest(&by_digest, bytes, "application/vnd.oci.image.manifest.v1+json").await.unwrap();
    let found = discover(&client, &at, &subject.digest, &[]).await;
    assert!(!found.is_complete() && found.candidates.is_empty(), "{found:?}");

    let gone = image(registry.address(), "app:v1");
    drop(registry);
    let found = discover(&client, &gone, &subject.digest, &[]).await;
    assert!(!found.is_complete(), "{found:?}");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let key = key();
    let digest = Digest::of(b"image");
    let at: Reference = "registry.example/app:v1".parse().unwrap();
    assert_eq!(three_bundles(&at, &digest, &key), three_bundles(&at, &digest, &key));
}

#[test]
fn predicates_say_what_the_report_says() {
    let digest = Digest::of(b"image");
    let at: Reference = "registry.example/app:v1".parse().unwrap();
    let report = report(digest);
    let statement = vulnerability_statement(&report, &at, &digest).unwrap();
    let scan = VulnerabilityScan::from_predicate(statement.predicate()).unwrap();
    assert_eq!(scan.scanner.db.version, report.database.digest.to_string());
    assert_eq!(scan.scanner.uri, "pkg:github/portcullis-dev/portcullis@0.1.0");
    let inner = scan.report().unwrap();
    assert_eq!(
        (inner.findings, inner.verdict, inner.inventory.packages.len()),
        (report.findings, report.verdict.clone(), 0)
    );

    for (outcome, word) in [
        (Outcome::Pass, SummaryResult::Passed),
        (Outcome::Fail, SummaryResult::Failed),
        (Outcome::Unknown, SummaryResult::Failed),
    ] {
        let verdict = portcullis_model::Verdict { result: outcome, ..report.verdict.clone() };
        let summary = VerificationSummary::of(&verdict, &at, &digest, Vec::new());
        let statement = summary.statement(&at, &digest).unwrap();
        let read = VerificationSummary::from_predicate(statement.predicate()).unwrap();
        assert_eq!((read.verification_result, read.outcome), (word, Some(outcome)));
        assert_eq!(read.policy_digest(), Some(verdict.policy.digest));
        assert_eq!(read.resource(), Some(at.with_digest(digest)));
        assert_eq!(read.resource_uri, format!("registry.example/app@{digest}"));
    }
}

/// A bundle with its JSON changed, signed anew where the envelope's payload or type is another.
fn forged(change: impl Fn(&mut Value)) -> (Candidate, Digest, SigningKey) {
    let key = key();
    let digest = Digest::of(b"image");
    let statement = Statement::new("app", &digest, "https://example.com/p", json!({"ok": true}));
    let bundle = Bundle::sign(&statement, &key, now()).unwrap();
    let mut value: Value = serde_json::from_slice(bundle.bytes()).unwrap();
    change(&mut value);
    (candidate(value.to_string()), digest, key)
}

fn signed_payload(payload: &str, payload_type: &str, key: &SigningKey) -> Candidate {
    let message = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
    let signature = STANDARD.encode(key.sign(message.as_bytes()).unwrap());
    let bundle = json!({
        "mediaType": BUNDLE_MEDIA_TYPE, "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": {"payload": STANDARD.encode(payload), "payloadType": payload_type,
            "signatures": [{"sig": signature}]},
    });
    candidate(bundle.to_string())
}

fn refused(change: impl Fn(&mut Value)) -> VerifyError {
    let (candidate, digest, key) = forged(change);
    verifier(&key).verify(&candidate, &digest, now()).unwrap_err()
}

#[test]
fn every_forgery_is_refused_for_its_own_reason() {
    let (untouched, digest, key) = forged(|_| ());
    let verified = verifier(&key).verify(&untouched, &digest, now()).unwrap();
    assert_eq!(verified.predicate(), &json!({"ok": true}));
    let other = verified.of_type("https://example.com/q").unwrap_err();
    assert!(matches!(other, VerifyError::PredicateType { .. }));

    let wrong = verifier(&key).verify(&untouched, &Digest::of(b"another image"), now()).unwrap_err();
    assert!(matches!(wrong, VerifyError::WrongSubject { .. }), "{wrong:?}");
    let stranger = SigningKey::generate().unwrap();
    assert_eq!(verifier(&stranger).verify(&untouched, &digest, now()), Err(VerifyError::WrongKey));
    let nobody = Verifier::new(Vec::new()).verify(&untouched, &digest, now());
    assert_eq!(nobody, Err(VerifyError::NoAuthority { found: "key" }));

    assert_eq!(refused(|bundle| bundle["dsseEnvelope"]["signatures"] = json!([])), VerifyError::Unsigned);
    assert_eq!(refused(|bundle| bundle["dsseEnvelope"]["signatures"] = json!([{"sig": ""}])), VerifyError::Unsigned);
    let twice = refused(|bundle| {
        let one = bundle["dsseEnvelope"]["signatures"][0].clone();
        bundle["dsseEnvelope"]["signatures"] = json!([one, one]);
    });
    assert_eq!(twice, VerifyError::SignatureCount(2));
    let confused = refused(|bundle| bundle["dsseEnvelope"]["payloadType"] = json!("text/plain"));
    assert_eq!(confused, VerifyError::PayloadType("text/plain".into()));
    let media_type = refused(|bundle| bundle["mediaType"] = json!("application/json"));
    assert_eq!(media_type, VerifyError::MediaType("application/json".into()));
    let changed = refused(|bundle| {
        let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replace("true", "false");
        bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload));
    });
    assert_eq!(changed, VerifyError::WrongKey);
    let message = refused(|bundle| {
        bundle.as_object_mut().unwrap().remove("dsseEnvelope");
        bundle["messageSignature"] = json!({"signature": "AAAA"});
    });
    assert_eq!(message, VerifyError::NoStatement);
    let certificate = refused(|bundle| bundle["verificationMaterial"] = json!({"certificate": {"rawBytes": "AAAA"}}));
    assert_eq!(certificate, VerifyError::NoAuthority { found: "certificate" });
    for broken in [json!("%"), json!(7), json!("AAA")] {
        let error = refused(|bundle| bundle["dsseEnvelope"]["payload"] = broken.clone());
        assert!(matches!(error, VerifyError::Malformed(_)), "{error:?}");
    }
    // The hint only helps to choose.
    let (hinted, digest, key) = forged(|bundle| bundle["verificationMaterial"]["publicKey"]["hint"] = json!("x"));
    assert!(verifier(&key).verify(&hinted, &digest, now()).is_ok());
}

#[test]
fn duplicate_keys_are_refused_outside_and_inside() {
    let (bundle, digest, key) = forged(|_| ());
    let text = String::from_utf8(bundle.bytes.to_vec()).unwrap();
    let outside = candidate(text.replacen('{', r#"{"mediaType":"x","#, 1));
    assert_eq!(verifier(&key).verify(&outside, &digest, now()), Err(VerifyError::DuplicateKey("mediaType".into())));

    let hex = digest.hex();
    let payload = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"00","sha256":"{hex}"}}}}],"predicateType":"p","predicate":{{}}}}"#
    );
    let inside = signed_payload(&payload, "application/vnd.in-toto+json", &key);
    let refused = verifier(&key).verify(&inside, &digest, now()).unwrap_err();
    assert_eq!(refused, VerifyError::Statement(StatementError::DuplicateKey("sha256".into())));
}

/// Of two contents one reader may verify the first, and another one believe the second.
#[test]
fn one_thing_is_signed_and_nothing_stands_beside_it() {
    let (bundle, digest, key) = forged(|_| ());
    let text = String::from_utf8(bundle.bytes.to_vec()).unwrap();
    let message = r#""messageSignature":{"signature":"AAAA"}"#;
    let before = text.replacen('{', &format!("{{{message},"), 1);
    let after = format!("{},{message}}}", text.strip_suffix('}').unwrap());
    // Of a certificate, whose library takes what it meets first.
    let by_certificate = before.replace(r#""publicKey":"#, r#""certificate":{"rawBytes":"AAAA"},"x":"#);
    let envelope = serde_json::from_str::<Value>(&text).unwrap()["dsseEnvelope"].clone();
    let free =
        json!({"payload": STANDARD.encode("{}"), "payloadType": "application/vnd.in-toto+json", "signatures": []});
    let mut beside = envelope.clone();
    beside["dsseEnvelope"] = free;
    let of_envelope =
        |value: &Value| Candidate { format: portcullis_attest::Format::Envelope, ..candidate(value.to_string()) };
    assert!(verifier(&key).verify(&of_envelope(&envelope), &digest, now()).is_ok());
    for double in [candidate(before), candidate(after), candidate(by_certificate), of_envelope(&beside)] {
        let refused = verifier(&key).verify(&double, &digest, now()).unwrap_err();
        assert_eq!(refused, VerifyError::Malformed("it holds 2 contents".into()), "{double:?}");
    }
}

#[test]
fn statements_of_both_versions_and_no_other() {
    let key = key();
    let digest = Digest::of(b"image");
    let verify = |kind: &str, subject: &Value, payload_type: &str| {
        let payload = json!({"_type": kind, "subject": subject, "predicateType": "p", "predicate": {}});
        verifier(&key).verify(&signed_payload(&payload.to_string(), payload_type, &key), &digest, now())
    };
    let subject = json!([{"name": "x", "digest": {"sha256": digest.hex()}}]);
    let in_toto = "application/vnd.in-toto+json";
    for kind in ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] {
        assert!(verify(kind, &subject, in_toto).is_ok(), "{kind}");
    }
    let kind = "https://in-toto.io/Statement/v2";
    let refused = verify(kind, &subject, in_toto).unwrap_err();
    assert_eq!(refused, VerifyError::Statement(StatementError::Type(kind.into())));
    let kind = "https://in-toto.io/Statement/v1";
    assert_eq!(verify(kind, &json!([]), in_toto), Err(VerifyError::Statement(StatementError::Subjects(0))));
    let confused = verify(kind, &subject, "application/json");
    assert_eq!(confused, Err(VerifyError::PayloadType("application/json".into())));
    // The right hex under another algorithm, or in upper case, is another digest.
    for digest in [json!({"sha512": digest.hex()}), json!({"sha256": digest.hex().to_uppercase()}), json!({})] {
        let refused = verify(kind, &json!([{"name": "x", "digest": digest}]), in_toto).unwrap_err();
        assert!(matches!(refused, VerifyError::WrongSubject { .. }), "{refused:?}");
    }
    assert!(verify(kind, &json!([{"digest": {"sha256": "0"}}, subject[0]]), in_toto).is_ok());
}

#[test]
fn the_right_authority_is_named() {
    let (bundle, digest, key) = forged(|_| ());
    let authorities = vec![
        Authority::Key { name: "other".into(), key: SigningKey::generate().unwrap().verifying_key().clone() },
        Authority::Key { name: "mine".into(), key: key.verifying_key().clone() },
    ];
    let verified = Verifier::new(authorities).verify(&bundle, &digest, now()).unwrap();
    assert_eq!(verified.authority(), "mine");
    assert_eq!(*verified.bundle(), Digest::of(&bundle.bytes));
}

#[test]
fn bare_envelopes_are_read() {
    let (bundle, digest, key) = forged(|_| ());
    let value: Value = serde_json::from_slice(&bundle.bytes).unwrap();
    let envelope = Candidate { format: Format::Envelope, ..candidate(value["dsseEnvelope"].to_string()) };
    assert!(verifier(&key).verify(&envelope, &digest, now()).is_ok());
    let wrong = Candidate { format: Format::Envelope, ..bundle };
    assert!(matches!(verifier(&key).verify(&wrong, &digest, now()), Err(VerifyError::Malformed(_))));
}

#[test]
fn created_is_not_signed_but_told() {
    let (key, digest) = (key(), Digest::of(b"image"));
    let statement = Statement::new("app", &digest, "p", json!({}));
    let early = Bundle::sign(&statement, &key, Timestamp::from_unix(0)).unwrap();
    let late = Bundle::sign(&statement, &key, now()).unwrap();
    assert_eq!(early.bytes(), late.bytes());
    assert_ne!(early.created(), late.created());
}
