//! Both ways with the real cosign: it verifies what is written here, and what it writes is verified here.
//!
//! The program is found by PORTCULLIS_COSIGN, on PATH, or in `~/.cache/portcullis-tests/bin`.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../registry/tests/common/mod.rs"]
mod common;
mod support;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{DockerRegistry, client, image};
use portcullis_attest::{
    Authority, Bundle, Format, SbomFormat, SigningKey, Statement, VerificationSummary, Verifier, VerifyError,
    VerifyingKey, discover, predicate_type, sbom_statement, store, store_legacy, vulnerability_statement,
};
use portcullis_embedded_registry::{EmbeddedRegistry, Options as Embedded};
use portcullis_errors::Secret;
use portcullis_model::Digest;
use portcullis_registry::Reference;
use serde_json::{Value, json};
use support::{now, push_image, report};

const PASSWORD: &str = "pw";

/// A cosign with a home of its own, so that no setting of the machine plays a part.
struct Cosign {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Cosign {
    fn find() -> Option<Self> {
        let program = common::find("cosign", Some("PORTCULLIS_COSIGN"));
        if program.is_none() {
            common::missing("cosign (go install github.com/sigstore/cosign/v3/cmd/cosign@v3.0.6)");
        }
        Some(Self { program: program?, home: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("COSIGN_PASSWORD", PASSWORD)
            .current_dir(self.home.path())
            .output()
            .unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// cosign's own key pair, as files and read here.
    fn key_pair(&self) -> SigningKey {
        self.succeed(&["generate-key-pair"]);
        let pem = std::fs::read(self.path("cosign.key")).unwrap();
        SigningKey::from_pem(&pem, Some(&Secret::new(PASSWORD.into()))).unwrap()
    }

    fn verify_arguments<'a>(&self, kind: &'a str, key: &'a str, at: &'a str) -> Vec<&'a str> {
        vec!["verify-attestation", "--key", key, "--type", kind, "--insecure-ignore-tlog", "--allow-http-registry", at]
    }

    fn attest(&self, kind: &str, predicate: &Path, at: &str, more: &[&str]) {
        let predicate = predicate.to_str().unwrap();
        let mut arguments = vec![
            "attest",
            "--yes",
            "--key",
            "cosign.key",
            "--type",
            kind,
            "--predicate",
            predicate,
            "--tlog-upload=false",
            "--use-signing-config=false",
        ];
        arguments.extend(more);
        arguments.push(at);
        self.succeed(&arguments);
    }
}

fn statements(at: &Reference, digest: &Digest) -> Vec<Statement> {
    let report = report(*digest);
    let summary = VerificationSummary::of(&report.verdict, at, digest, Vec::new());
    let cyclonedx = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []});
    let spdx = json!({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "app", "packages": []});
    vec![
        vulnerability_statement(&report, at, digest).unwrap(),
        summary.statement(at, digest).unwrap(),
        sbom_statement(SbomFormat::CycloneDx, cyclonedx, at, digest),
        sbom_statement(SbomFormat::Spdx, spdx, at, digest),
    ]
}

/// cosign's names of the predicate types; the summary has none.
const KINDS: [(&str, &str); 4] = [
    ("vuln", predicate_type::VULNERABILITIES),
    (predicate_type::VERIFICATION_SUMMARY, predicate_type::VERIFICATION_SUMMARY),
    ("cyclonedx", predicate_type::CYCLONEDX),
    ("spdxjson", predicate_type::SPDX),
];

async fn cosign_verifies_ours(address: SocketAddr) {
    let Some(cosign) = Cosign::find() else { return };
    let key = cosign.key_pair();
    let client = client();
    let at = image(address, "team/app:v1");
    let subject = push_image(&client, &at, "one").await;
    let unattested = push_image(&client, &image(address, "team/app:other"), "other").await;
    let by_digest = at.with_digest(subject.digest).to_string();

    let none = cosign.run(&cosign.verify_arguments("vuln", "cosign.pub", &by_digest));
    assert!(!none.status.success());
    let statements = statements(&at, &subject.digest);
    let bundles: Vec<Bundle> =
        statements.iter().map(|statement| Bundle::sign(statement, &key, now()).unwrap()).collect();
    store(&client, &at, &subject, &bundles).await.unwrap();

    for ((kind, predicate_type), statement) in KINDS.iter().zip(&statements) {
        let text = cosign.succeed(&cosign.verify_arguments(kind, "cosign.pub", &by_digest));
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let payload = STANDARD.decode(line["payload"].as_str().unwrap()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["predicateType"], **predicate_type);
        assert_eq!(&payload["predicate"], statement.predicate());
    }
    let other = at.with_digest(unattested.digest).to_string();
    assert!(!cosign.run(&cosign.verify_arguments("vuln", "cosign.pub", &other)).status.success());
    assert!(!cosign.run(&cosign.verify_arguments("slsaprovenance", "cosign.pub", &by_digest)).status.success());
    let stranger = cosign.path("stranger.pub");
    std::fs::write(&stranger, SigningKey::generate().unwrap().verifying_key().to_pem()).unwrap();
    let wrong = cosign.run(&cosign.verify_arguments("vuln", stranger.to_str().unwrap(), &by_digest));
    assert!(!wrong.status.success());
}

#[tokio::test]
async fn cosign_verifies_ours_at_the_embedded_registry() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    cosign_verifies_ours(registry.address()).await;
}

#[tokio::test]
async fn cosign_verifies_ours_at_docker_registry() {
    let Some(registry) = DockerRegistry::start() else { return };
    cosign_verifies_ours(registry.address()).await;
}

async fn we_verify_cosigns(address: SocketAddr) {
    let Some(cosign) = Cosign::find() else { return };
    let key = cosign.key_pair();
    let client = client();
    let at = image(address, "team/app:v1");
    let subject = push_image(&client, &at, "one").await;
    let by_digest = at.with_digest(subject.digest).to_string();
    for (statement, (kind, _)) in statements(&at, &subject.digest).iter().zip(KINDS) {
        let file = cosign.path("predicate.json");
        std::fs::write(&file, statement.predicate().to_string()).unwrap();
        cosign.attest(kind, &file, &by_digest, &[]);
    }
    let found = discover(&client, &at, &subject.digest, &[]).await;
    assert!(found.is_complete(), "{:?}", found.problems);
    assert_eq!(found.candidates.len(), 4);
    let public = VerifyingKey::from_pem(&std::fs::read(cosign.path("cosign.pub")).unwrap()).unwrap();
    assert_eq!(public, *key.verifying_key());
    let verifier = Verifier::new(vec![Authority::Key { name: "cosign".into(), key: public }]);
    let mut types = Vec::new();
    for candidate in &found.candidates {
        assert_eq!(candidate.format, Format::Bundle);
        let verified = verifier.verify(candidate, &subject.digest, now()).unwrap();
        if verified.predicate_type() == predicate_type::VERIFICATION_SUMMARY {
            let summary = VerificationSummary::from_predicate(verified.predicate()).unwrap();
            assert_eq!(summary.resource(), Some(at.with_digest(subject.digest)));
        }
        types.push(verified.predicate_type().to_owned());
        let other = verifier.verify(candidate, &Digest::of(b"other"), now()).unwrap_err();
        assert!(matches!(other, VerifyError::WrongSubject { .. }));
        let stranger = support::verifier(&support::key()).verify(candidate, &subject.digest, now());
        assert_eq!(stranger, Err(VerifyError::WrongKey));
    }
    types.sort();
    let mut wanted: Vec<&str> = KINDS.iter().map(|(_, kind)| *kind).collect();
    wanted.sort_unstable();
    assert_eq!(types, wanted);

    // Ours beside cosign's: nothing is lost.
    let statement = Statement::new("x", &subject.digest, "https://example.com/more", json!({}));
    store(&client, &at, &subject, &[Bundle::sign(&statement, &key, now()).unwrap()]).await.unwrap();
    assert_eq!(discover(&client, &at, &subject.digest, &[]).await.candidates.len(), 5);
    cosign.succeed(&cosign.verify_arguments("vuln", "cosign.pub", &by_digest));
}

#[tokio::test]
async fn we_verify_cosigns_at_the_embedded_registry() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    we_verify_cosigns(registry.address()).await;
}

#[tokio::test]
async fn we_verify_cosigns_at_docker_registry() {
    let Some(registry) = DockerRegistry::start() else { return };
    we_verify_cosigns(registry.address()).await;
}

#[tokio::test]
async fn we_verify_what_cosign_wrote_in_its_older_form() {
    let Some(cosign) = Cosign::find() else { return };
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    let key = cosign.key_pair();
    let client = client();
    let at = image(registry.address(), "team/app:v1");
    let subject = push_image(&client, &at, "one").await;
    let by_digest = at.with_digest(subject.digest).to_string();
    let file = cosign.path("predicate.json");
    std::fs::write(&file, r#"{"scanner":{"uri":"x","result":{}}}"#).unwrap();
    cosign.attest("vuln", &file, &by_digest, &["--new-bundle-format=false"]);
    cosign.attest("https://example.com/p", &file, &by_digest, &["--new-bundle-format=false"]);

    let wanted = [predicate_type::VULNERABILITIES];
    let found = discover(&client, &at, &subject.digest, &wanted).await;
    assert!(found.is_complete(), "{:?}", found.problems);
    let [candidate] = found.candidates.as_slice() else { panic!("{found:?}") };
    assert_eq!(candidate.format, Format::Envelope);
    let verified = support::verifier(&key).verify(candidate, &subject.digest, now()).unwrap();
    assert_eq!(verified.predicate_type(), wanted[0]);
}

#[tokio::test]
async fn cosign_verifies_our_older_form() {
    let Some(cosign) = Cosign::find() else { return };
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    let key = cosign.key_pair();
    let client = client();
    let at = image(registry.address(), "team/app:v1");
    let subject = push_image(&client, &at, "one").await;
    let by_digest = at.with_digest(subject.digest).to_string();
    // cosign's own first: it stays.
    let file = cosign.path("predicate.json");
    std::fs::write(&file, "{}").unwrap();
    cosign.attest("https://example.com/theirs", &file, &by_digest, &["--new-bundle-format=false"]);

    let bundles: Vec<Bundle> = statements(&at, &subject.digest)
        .iter()
        .map(|statement| Bundle::sign(statement, &key, now()).unwrap())
        .collect();
    let stored = store_legacy(&client, &at, &subject.digest, &bundles).await.unwrap();
    assert_eq!(store_legacy(&client, &at, &subject.digest, &bundles).await.unwrap(), stored);
    for kind in KINDS.iter().map(|(kind, _)| *kind).chain(["https://example.com/theirs"]) {
        let mut arguments = cosign.verify_arguments(kind, "cosign.pub", &by_digest);
        arguments.insert(1, "--new-bundle-format=false");
        cosign.succeed(&arguments);
    }
    cosign.attest("https://example.com/more", &file, &by_digest, &["--new-bundle-format=false"]);
    let found = discover(&client, &at, &subject.digest, &[]).await;
    assert!(found.is_complete(), "{:?}", found.problems);
    assert_eq!(found.candidates.len(), 6);
    for candidate in &found.candidates {
        support::verifier(&key).verify(candidate, &subject.digest, now()).unwrap();
    }
}

#[test]
fn keys_go_both_ways() {
    let Some(cosign) = Cosign::find() else { return };
    let key = SigningKey::generate().unwrap();
    let pem = key.to_encrypted_pem(&Secret::new(PASSWORD.into())).unwrap();
    std::fs::write(cosign.path("ours.key"), pem).unwrap();
    let public = cosign.succeed(&["public-key", "--key", "ours.key"]);
    assert_eq!(public.trim(), key.verifying_key().to_pem().trim());

    std::fs::write(cosign.path("blob"), "content").unwrap();
    let bundle = cosign.path("blob.json");
    cosign.succeed(&[
        "sign-blob",
        "--yes",
        "--key",
        "ours.key",
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--bundle",
        bundle.to_str().unwrap(),
        "blob",
    ]);
    let bundle: Value = serde_json::from_slice(&std::fs::read(bundle).unwrap()).unwrap();
    assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], key.verifying_key().id());
    let signature = STANDARD.decode(bundle["messageSignature"]["signature"].as_str().unwrap()).unwrap();
    assert!(key.verifying_key().verifies(b"content", &signature));
}
