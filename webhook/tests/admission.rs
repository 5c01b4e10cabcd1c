//! The decision end to end: the real program over TLS, real evidence at a registry, reviews as the API server sends
//! them. Each refusal is one that a peer of ours once let through.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../../crates/registry/tests/common/mod.rs"]
mod common;
mod support;

use std::net::{SocketAddr, TcpListener};

use common::DockerRegistry;
use portcullis_attest::SigningKey;
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_model::{Outcome, SeverityLevel};
use serde_json::{Value, json};
use support::{
    Attested, Webhook, ago, attested, deployment, finding, is_allowed, patch, pod, policy, push_image, refusal, review,
    setting,
};

async fn passes_and_is_pinned(at: SocketAddr) {
    let key = SigningKey::generate().unwrap();
    let webhook = Webhook::start(&policy("baseline", at, &key, "  vulnerabilities: {failOn: high}\n"), at, &[]);
    let (image, digest) = attested(at, "team/app:v1", &key, Attested::default()).await;
    let pinned = format!("{at}/team/app@{digest}");
    let response = webhook.mutate(&pod(&[&image, &image])).await;
    assert!(is_allowed(&response), "{response}");
    let replace =
        |number: usize| json!({"op": "replace", "path": format!("/spec/containers/{number}/image"), "value": pinned});
    assert_eq!(patch(&response), json!([replace(0), replace(1)]));
    assert_eq!(response["auditAnnotations"]["decision"], "allow");
    assert!(response["auditAnnotations"]["images"].as_str().unwrap().contains(&digest.to_string()));

    let response = webhook.validate(&pod(&[&pinned, &pinned])).await;
    assert!(is_allowed(&response) && response.get("patch").is_none(), "{response}");
    let response = webhook.validate(&pod(&[&image])).await;
    assert!(refusal(&response).contains("named by a tag"), "{response}");
}

#[tokio::test]
async fn a_passing_image_is_pinned_to_what_was_verified() {
    let setting = setting();
    passes_and_is_pinned(setting.at).await;
}

#[tokio::test]
async fn a_passing_image_at_an_older_registry() {
    let registry = EmbeddedRegistry::start(Options { referrers: false, ..Options::default() }).unwrap();
    passes_and_is_pinned(registry.address()).await;
}

#[tokio::test]
async fn a_passing_image_at_docker_registry() {
    let Some(registry) = DockerRegistry::start() else { return };
    passes_and_is_pinned(registry.address()).await;
}

#[tokio::test]
async fn what_does_not_pass_is_refused_with_its_reason() {
    let setting = setting();
    let webhook = setting.webhook("  vulnerabilities: {failOn: high, graceDays: 3}\n", &[]);
    let stranger = SigningKey::generate().unwrap();
    let (bare, _) = push_image(setting.at, "bare:v1", "bare").await;
    let (foreign, _) = attested(setting.at, "foreign:v1", &stranger, Attested::default()).await;
    let elsewhere = format!("{}/elsewhere:v1", setting.at).parse().unwrap();
    let (moved, _) = setting.image("moved:v1", Attested { resource: Some(elsewhere), ..Attested::default() }).await;
    let (failed, _) = setting.image("failed:v1", Attested { result: Outcome::Fail, ..Attested::default() }).await;
    let (unknown, _) = setting.image("unknown:v1", Attested { result: Outcome::Unknown, ..Attested::default() }).await;
    let (stale, _) = setting.image("stale:v1", Attested { time: ago(86_400 + 60), ..Attested::default() }).await;
    let (future, _) = setting.image("future:v1", Attested { time: ago(-3600), ..Attested::default() }).await;
    // It passed while the finding was in its grace, which has ended since.
    let findings = vec![finding(SeverityLevel::High, ago(84 * 3600))];
    let evidence = Attested { findings, time: ago(20 * 3600), ..Attested::default() };
    let (ripened, _) = setting.image("ripened:v1", evidence).await;
    // Nothing that could be judged again, and the verdict is another policy's.
    let (unscanned, _) = setting.image("unscanned:v1", Attested { with_scan: false, ..Attested::default() }).await;
    let missing = format!("{}/missing:v1", setting.at);
    for (image, reason) in [
        (bare.to_string(), "no trusted verdict is attested"),
        (foreign, "the signature is not that of a trusted key"),
        (moved, "of another repository"),
        (failed, "the attested verdict is FAILED"),
        (unknown, "the attested verdict is FAILED"),
        (stale, "older than 1d"),
        (future, "from the future"),
        (ripened, "1 vulnerability of severity high or worse: CVE-2024-0727 in openssl 3.0.11-1"),
        (unscanned, "by another policy"),
        (missing, "is not there"),
        ("registry.example/other:v1".to_owned(), "no policy speaks of this image"),
        ("UPPER/Case".to_owned(), "does not name an image"),
        (format!("http://{}/app", setting.at), "does not name an image"),
    ] {
        for path in ["/mutate", "/validate"] {
            if path == "/validate" && reason != "no policy speaks of this image" {
                continue;
            }
            let response = webhook.ask(path, &review("CREATE", &pod(&[&image]), None)).await;
            let message = refusal(&response);
            assert!(message.contains(reason) && message.contains("; fix: "), "{image}: {message}");
            assert!(message.starts_with("[baseline] ") || message.starts_with("[portcullis] "), "{message}");
            assert!(message.lines().count() <= 3, "{message}");
            assert_eq!(response["status"]["code"], 403);
            assert_eq!(response["auditAnnotations"]["decision"], "deny");
        }
    }
    // One bad container among good ones.
    let (good, _) = setting.image("good:v1", Attested::default()).await;
    let response = webhook.mutate(&pod(&[&good, &bare.to_string()])).await;
    assert_eq!(refusal(&response).lines().count(), 1);
    let (_, metrics) = webhook.get("/metrics").await;
    assert!(metrics.contains("portcullis_webhook_reviews_total{result=\"deny\"}"), "{metrics}");
}

#[tokio::test]
async fn an_unreachable_registry_is_unknown_and_denies() {
    let setting = setting();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = Webhook::start(&policy("baseline", gone, &setting.key, ""), gone, &["--timeout", "3s"]);
    let response = webhook.mutate(&pod(&[&format!("{gone}/app:v1")])).await;
    assert!(refusal(&response).contains("no connection"), "{response}");
    let digest = portcullis_model::Digest::of(b"x");
    let response = webhook.validate(&pod(&[&format!("{gone}/app@{digest}")])).await;
    assert!(refusal(&response).contains("not all evidence could be read"), "{response}");
    assert!(response["auditAnnotations"]["images"].as_str().unwrap().contains("baseline: unknown"), "{response}");
}

#[tokio::test]
async fn a_registry_that_never_answers_is_unknown_in_time() {
    let setting = setting();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let webhook = Webhook::start(&policy("baseline", at, &setting.key, ""), at, &["--timeout", "1s"]);
    let started = std::time::Instant::now();
    let response = webhook.mutate(&pod(&[&format!("{at}/app:v1")])).await;
    assert!(!is_allowed(&response), "{response}");
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn every_place_of_a_pod_is_looked_at() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let (bare, _) = push_image(setting.at, "bare:v1", "bare").await;
    let (good, pinned) = setting.image("good:v1", Attested::default()).await;
    for (field, entry, pointer) in [
        ("initContainers", "/0/image", "/spec/initContainers/0/image"),
        ("ephemeralContainers", "/0/image", "/spec/ephemeralContainers/0/image"),
        ("volumes", "/0/image/reference", "/spec/volumes/0/image/reference"),
    ] {
        let with = |image: &str| {
            let mut pod = pod(&[&pinned]);
            let volume = json!([{"name": "v", "image": {"reference": image, "pullPolicy": "IfNotPresent"}}]);
            let container = json!([{"name": "x", "image": image}]);
            pod["spec"][field] = if field == "volumes" { volume } else { container };
            assert!(pod["spec"][field].pointer(entry).is_some());
            pod
        };
        let response = webhook.mutate(&with(&bare.to_string())).await;
        assert!(refusal(&response).contains("no trusted verdict"), "{field}: {response}");
        let response = webhook.mutate(&with(&good)).await;
        assert_eq!(patch(&response), json!([{"op": "replace", "path": pointer, "value": pinned}]), "{field}");
        // As `kubectl debug` does it: an UPDATE of the subresource.
        let mut update = review("UPDATE", &with(&bare.to_string()), Some(&pod(&[&pinned])));
        update["request"]["subResource"] = "ephemeralcontainers".into();
        assert!(!is_allowed(&webhook.ask("/mutate", &update).await), "{field}");
        assert!(!is_allowed(&webhook.ask("/validate", &update).await), "{field}");
    }
}

#[tokio::test]
async fn an_update_that_changes_no_image_passes_and_one_that_does_is_judged() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let old = pod(&["registry.example/never-attested:v1"]);
    let mut labelled = old.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    for path in ["/mutate", "/validate"] {
        let response = webhook.ask(path, &review("UPDATE", &labelled, Some(&old))).await;
        assert!(is_allowed(&response) && response.get("patch").is_none(), "{response}");
    }
    // Being deleted is no way around: the image would still be run until then.
    let mut dying = pod(&["registry.example/other:v1"]);
    dying["metadata"]["deletionTimestamp"] = "2026-11-25T00:00:00Z".into();
    for operation in ["UPDATE", "CREATE"] {
        let response = webhook.ask("/validate", &review(operation, &dying, Some(&old))).await;
        assert!(!is_allowed(&response), "{response}");
    }
    // An old object counts for an UPDATE only.
    let response = webhook.ask("/validate", &review("CREATE", &old, Some(&old))).await;
    assert!(!is_allowed(&response), "{response}");
    let gone = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let mut delete = review("DELETE", &gone, Some(&old));
    delete["request"]["object"] = Value::Null;
    assert!(is_allowed(&webhook.ask("/validate", &delete).await));
}

#[tokio::test]
async fn every_spelling_of_an_image_is_the_same_image() {
    let setting = setting();
    let policy = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: hub}}\nspec:\n  \
         images: [docker.io/library/nginx]\n  rules: [{{name: none, expression: 'false'}}]\n---\n{}",
        support::policy("rest", setting.at, &setting.key, "")
    );
    // What the policy of the hub's nginx does not speak of would be let in.
    let webhook = Webhook::start(&policy, setting.at, &["--unmatched", "allow"]);
    let digest = portcullis_model::Digest::of(b"nginx");
    for spelling in [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "index.docker.io/library/nginx",
        "registry-1.docker.io/library/nginx",
        "DOCKER.io/nginx",
        "docker.io:443/nginx",
    ] {
        let response = webhook.validate(&pod(&[&format!("{spelling}@{digest}")])).await;
        assert!(refusal(&response).starts_with(&format!("[hub] docker.io/library/nginx@{digest}: ")), "{response}");
    }
    assert!(is_allowed(&webhook.validate(&pod(&["docker.io/library/nginx-other:v1"])).await));
    let (good, pinned) = setting.image("good:v1", Attested::default()).await;

    let response = webhook.mutate(&pod(&[&good])).await;
    assert_eq!(patch(&response)[0]["value"], pinned.as_str());
}

#[tokio::test]
async fn audit_admits_and_tells() {
    let setting = setting();
    let webhook = setting.webhook("  mode: audit\n", &[]);
    let (bare, subject) = push_image(setting.at, "bare:v1", "bare").await;
    for path in ["/mutate", "/validate"] {
        let response = webhook.ask(path, &review("CREATE", &pod(&[&bare.to_string()]), None)).await;
        assert!(is_allowed(&response) && response.get("patch").is_none(), "{response}");
        let warnings = response["warnings"].as_array().unwrap();
        assert!(warnings[0].as_str().unwrap().starts_with("[baseline] bare: no trusted verdict"), "{response}");
        assert!(warnings.iter().all(|warning| warning.as_str().unwrap().chars().count() <= 120));
        let images = response["auditAnnotations"]["images"].as_str().unwrap();
        assert!(images.contains("baseline: fail (audit)") && images.contains(&subject.digest.to_string()), "{images}");
    }
}

#[tokio::test]
async fn all_policies_that_speak_of_an_image_must_pass() {
    let setting = setting();
    let other = SigningKey::generate().unwrap();
    let first = policy("first", setting.at, &setting.key, "");
    let both = format!("{first}---\n{}", policy("second", setting.at, &other, ""));
    let webhook = Webhook::start(&both, setting.at, &[]);
    let (image, _) = setting.image("app:v1", Attested::default()).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(refusal(&response).starts_with("[second] "), "{response}");
    let (at, subject) = push_image(setting.at, "app:v1", "app:v1").await;
    Attested::default().store(&at, &subject, &other).await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(is_allowed(&response), "a refusal is not remembered: {response}");
}

#[tokio::test]
async fn a_deployment_is_warned_about_or_refused_by_option() {
    let setting = setting();
    let (bare, _) = push_image(setting.at, "bare:v1", "bare").await;
    let deployment = deployment(&[&bare.to_string()]);
    let webhook = setting.webhook("", &[]);
    for path in ["/mutate", "/validate"] {
        let response = webhook.ask(path, &review("CREATE", &deployment, None)).await;
        assert!(is_allowed(&response) && response.get("patch").is_none(), "{response}");
        assert!(response["warnings"][0].as_str().unwrap().contains("no trusted verdict"), "{response}");
    }
    let webhook = setting.webhook("", &["--enforce-workloads"]);
    let response = webhook.validate(&deployment).await;
    assert!(refusal(&response).contains("no trusted verdict"), "{response}");
}

#[tokio::test]
async fn a_tag_that_moves_does_not_carry_its_verdict_along() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let (image, pinned) = setting.image("app:v1", Attested::default()).await;
    assert_eq!(patch(&webhook.mutate(&pod(&[&image])).await)[0]["value"], pinned.as_str());
    push_image(setting.at, "app:v1", "something else").await;
    let response = webhook.mutate(&pod(&[&image])).await;
    assert!(refusal(&response).contains("no trusted verdict"), "{response}");
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
}
