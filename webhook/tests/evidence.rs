//! What evidence is worth at the gate, as time goes by and beside other evidence: kept, judged again, outweighed.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::net::SocketAddr;

use portcullis_attest::SigningKey;
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_model::{AdvisoryCoverage, Digest, DistributionCoverage, Outcome, SeverityLevel, Uncovered};
use portcullis_registry::media_type;
use serde_json::json;
use support::{
    Attested, Webhook, ago, attested, client, finding, is_allowed, patch, pod, policy, push_image, refusal, setting,
};

#[tokio::test]
async fn what_was_verified_outlives_the_registry_and_nothing_else_does() {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--timeout", "3s"]);
    let pinned =
        |(image, digest): (String, portcullis_model::Digest)| format!("{}@{digest}", image.rsplit_once(':').unwrap().0);
    let asked = pinned(attested(at, "asked:v1", &key, Attested::default()).await);
    let not_asked = pinned(attested(at, "not-asked:v1", &key, Attested::default()).await);
    let brief = Attested { time: ago(86_400 - 4), ..Attested::default() };
    let ageing = pinned(attested(at, "ageing:v1", &key, brief).await);
    assert!(is_allowed(&webhook.validate(&pod(&[&asked, &ageing])).await));
    drop(registry);
    assert!(is_allowed(&webhook.validate(&pod(&[&asked])).await));
    assert!(!is_allowed(&webhook.validate(&pod(&[&not_asked])).await));
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(!is_allowed(&webhook.validate(&pod(&[&ageing])).await), "kept evidence grows old as well");
    // The same bytes under another name: evidence is about a repository.
    let elsewhere = asked.replace("/asked@", "/not-asked@");
    assert!(!is_allowed(&webhook.validate(&pod(&[&elsewhere])).await));
}

#[tokio::test]
async fn beside_what_cannot_be_read_a_pass_is_not_known_to_be_the_last_word() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let (image, pinned) = setting.image("app:v1", Attested::default()).await;
    let (at, subject) = push_image(setting.at, "app:v1", "app:v1").await;
    let layer = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "size": 17 << 20,
        "digest": portcullis_model::Digest::of(b"{}")});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": layer["digest"], "size": 2},
        "layers": [layer], "subject": subject});
    let bytes = bytes::Bytes::from(manifest.to_string());
    let by_digest = at.with_digest(portcullis_model::Digest::of(&bytes));
    let client = support::client();
    client.push_manifest(&by_digest, bytes, "application/vnd.oci.image.manifest.v1+json").await.unwrap();
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(refusal(&response).contains("not all evidence could be read"), "{response}");
    assert!(refusal(&response).starts_with(&format!("[baseline] {pinned}: ")), "{response}");
}

#[tokio::test]
async fn an_exception_of_the_pipeline_does_not_hold_at_the_gate() {
    let setting = setting();
    let suppressed = |by: &str| {
        let mut found = finding(SeverityLevel::Critical, ago(400 * 86_400));
        let reason = "looked at".to_owned();
        found.suppressed = Some(Box::new(portcullis_model::Suppression { by: by.to_owned(), reason, expires: None }));
        Attested { findings: vec![found], ..Attested::default() }
    };
    let (theirs, _) = setting.image("theirs:v1", suppressed("policy-exception")).await;
    let (vex, _) = setting.image("vex:v1", suppressed("vex")).await;
    let webhook = setting.webhook("  vulnerabilities: {failOn: high}\n", &[]);
    assert!(refusal(&webhook.mutate(&pod(&[&theirs])).await).contains("CVE-2024-0727"));
    assert!(is_allowed(&webhook.mutate(&pod(&[&vex])).await));
    let ours = "  vulnerabilities: {failOn: high}\n  \
                exceptions: [{id: CVE-2024-0727, reason: not reachable, owner: us, expires: 2099-01-01}]\n";
    let webhook = setting.webhook(ours, &[]);
    assert!(is_allowed(&webhook.mutate(&pod(&[&theirs])).await));
}

#[tokio::test]
async fn rules_that_cannot_be_asked_again_need_the_verdict_of_this_very_policy() {
    let setting = setting();
    let (image, _) = setting.image("app:v1", Attested::default()).await;
    let webhook = setting.webhook("  licenses: {deny: [AGPL-3.0-only]}\n", &[]);
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(refusal(&response).contains("does not answer for licenses"), "{response}");
    let text = policy("baseline", setting.at, &setting.key, "  licenses: {deny: [AGPL-3.0-only]}\n");
    let own = portcullis_policy::Policy::parse(&text, "a", ago(0)).unwrap().remove(0).digest();
    let (at, subject) = push_image(setting.at, "app:v1", "app:v1").await;
    Attested { policy: Some(own), ..Attested::default() }.store(&at, &subject, &setting.key).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(is_allowed(&response), "{response}");
}

#[tokio::test]
async fn what_the_pipeline_did_not_know_is_not_known_at_the_gate() {
    let setting = setting();
    let webhook = setting.webhook("  vulnerabilities: {failOn: high}\n", &[]);
    // A pipeline with `unknown: audit` passes, and its report says what it does not know.
    let of = |distribution| AdvisoryCoverage { distribution, ..AdvisoryCoverage::default() };
    let npm = Uncovered { what: "npm".into(), packages: 3 };
    for (name, coverage, expected) in [
        ("uncovered:v1", of(DistributionCoverage::Uncovered), "the database holds no advisories for its distribution"),
        ("unknown:v1", of(DistributionCoverage::Unknown), "nothing says which distribution"),
        ("ecosystem:v1", AdvisoryCoverage { uncovered: vec![npm], ..Default::default() }, "no advisories for npm"),
    ] {
        let (image, _) = setting.image(name, Attested { coverage, ..Attested::default() }).await;
        let response = webhook.mutate(&pod(&[&image])).await;
        assert!(refusal(&response).contains(expected), "{response}");
        assert!(response["auditAnnotations"]["images"].as_str().unwrap().contains("baseline: unknown"), "{response}");
    }
    // The end of support is counted as of now, not as of the scan.
    let strict = setting.webhook("  vulnerabilities: {failOn: high, endOfLife: deny}\n", &[]);
    for (name, end, is_over) in [("ended:v1", ago(3 * 86_400), true), ("supported:v1", ago(-86_400), false)] {
        let coverage = AdvisoryCoverage { end_of_life: Some(end), ..of(DistributionCoverage::Covered) };
        let (image, _) = setting.image(name, Attested { coverage, ..Attested::default() }).await;
        let response = strict.mutate(&pod(&[&image])).await;
        assert_eq!(is_allowed(&response), !is_over, "{response}");
        assert!(!is_over || refusal(&response).contains("gets no fixes any more"), "{response}");
    }
    let notes = vec![("database", "judged by the starter database, which knows little: run `portcullis db update`")];
    let (image, _) = setting.image("starter:v1", Attested { notes, ..Attested::default() }).await;
    assert!(is_allowed(&webhook.mutate(&pod(&[&image])).await));
}

#[tokio::test]
async fn a_newer_failure_outweighs_an_older_pass() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let (image, _) = setting.image("app:v1", Attested { time: ago(600), ..Attested::default() }).await;
    let (at, subject) = push_image(setting.at, "app:v1", "app:v1").await;
    Attested { result: Outcome::Fail, ..Attested::default() }.store(&at, &subject, &setting.key).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(refusal(&response).contains("FAILED"), "{response}");
}

/// An index of two images, and an attestation as builders add it.
async fn index(at: SocketAddr, key: &SigningKey, attested: &[&str]) -> (String, Digest) {
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let (image, mut descriptor) = push_image(at, &format!("team/app:{architecture}"), architecture).await;
        if attested.contains(&architecture) {
            Attested::default().store(&image, &descriptor, key).await;
        }
        let platform = json!({"os": "linux", "architecture": architecture});
        descriptor.platform = serde_json::from_value(platform).unwrap();
        manifests.push(descriptor);
    }
    let (_, mut attestation) = push_image(at, "team/app:attestation", "attestation").await;
    attestation.platform = serde_json::from_value(json!({"os": "unknown", "architecture": "unknown"})).unwrap();
    manifests.push(attestation);
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
    let bytes = bytes::Bytes::from(index.to_string());
    let name = format!("{at}/team/app:all");
    client().push_manifest(&name.parse().unwrap(), bytes.clone(), media_type::OCI_INDEX).await.unwrap();
    (name, Digest::of(&bytes))
}

#[tokio::test]
async fn every_image_of_an_index_that_a_node_may_run_must_be_vouched_for() {
    let (setting, key) = (setting(), SigningKey::generate().unwrap());
    let at = setting.at;
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &[]);
    let (image, digest) = index(at, &key, &["amd64"]).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    let refused = refusal(&response);
    assert!(refused.contains("linux/arm64: no trusted verdict is attested"), "{refused}");
    assert!(!refused.contains("linux/amd64"), "{refused}");

    let (_, same) = index(at, &key, &["amd64", "arm64"]).await;
    assert_eq!(same, digest);
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(is_allowed(&response), "{response}");
    // The Pod is held to the index: the node still chooses.
    assert_eq!(patch(&response)[0]["value"], format!("{at}/team/app@{digest}"));
}

#[tokio::test]
async fn an_index_outlives_its_registry_as_its_images_do() {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--timeout", "4s"]);
    let (_, digest) = index(at, &key, &["amd64", "arm64"]).await;
    let pinned = format!("{at}/team/app@{digest}");
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    drop(registry);
    let response = webhook.validate(&pod(&[&pinned])).await;
    assert!(is_allowed(&response), "{response}");
    let other = format!("{at}/team/app@{}", Digest::of(b"another index"));
    assert!(!is_allowed(&webhook.validate(&pod(&[&other])).await));
}

#[tokio::test]
async fn a_policy_may_name_the_platforms_that_matter() {
    let (setting, key) = (setting(), SigningKey::generate().unwrap());
    let at = setting.at;
    let text = policy("baseline", at, &key, "").replace("maxAge: 24h", "maxAge: 24h, platforms: [linux/amd64]");
    assert!(text.contains("platforms"), "{text}");
    let webhook = Webhook::start(&text, at, &[]);
    let (image, _) = index(at, &key, &["amd64"]).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(is_allowed(&response), "{response}");
}
