//! A registry that is gone: what was verified before goes on to count, over a restart too, and nothing else does.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use portcullis_attest::SigningKey;
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use serde_json::{Value, json};
use support::{Attested, Webhook, ago, attested, is_allowed, pod, policy, refusal};

#[tokio::test]
async fn evidence_outlives_a_registry_and_a_restart() {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("evidence.json");
    let flags = ["--cache-file", cache.to_str().unwrap(), "--timeout", "3s"];
    let trusting = |key: &SigningKey, more: &str| policy("baseline", at, key, more);
    let (image, digest) = attested(at, "app:v1", &key, Attested::default()).await;
    let old = Attested { time: ago(3600), ..Attested::default() };
    let (_, old_digest) = attested(at, "old:v1", &key, old).await;
    let (pinned, old) = (format!("{at}/app@{digest}"), format!("{at}/old@{old_digest}"));

    let mut webhook = Webhook::start(&trusting(&key, ""), at, &flags);
    for image in [&pinned, &old] {
        assert!(is_allowed(&webhook.validate(&pod(&[image])).await));
    }
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    let kept: Value = serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    assert_eq!(kept["images"].as_array().unwrap().len(), 2);
    drop(registry);

    let webhook = Webhook::start(&trusting(&key, ""), at, &flags);
    let response = webhook.validate(&pod(&[&pinned])).await;
    assert!(is_allowed(&response), "{response}");
    // A tag may have moved since; a digest that was never seen is not known.
    assert!(refusal(&webhook.mutate(&pod(&[&image])).await).contains("no connection"));
    let other = format!("{at}/app@{}", portcullis_model::Digest::of(b"other"));
    assert!(refusal(&webhook.validate(&pod(&[&other])).await).contains("not all evidence could be read"));

    // What is kept is verified and judged anew: by other keys, and by another limit of age.
    let stranger = SigningKey::generate().unwrap();
    let webhook = Webhook::start(&trusting(&stranger, ""), at, &flags);
    assert!(!is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    let strict = trusting(&key, "").replace("maxAge: 24h", "maxAge: 30m");
    let webhook = Webhook::start(&strict, at, &flags);
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    assert!(!is_allowed(&webhook.validate(&pod(&[&old])).await));

    // Without the file, and after its time, nothing is known.
    let webhook = Webhook::start(&trusting(&key, ""), at, &["--timeout", "3s"]);
    assert!(!is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let brief = [&flags[..], &["--evidence-lifetime", "1s"]].concat();
    let webhook = Webhook::start(&trusting(&key, ""), at, &brief);
    assert!(!is_allowed(&webhook.validate(&pod(&[&pinned])).await));
}

#[tokio::test]
async fn nobody_can_write_a_pass_into_the_file() {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    drop(registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("evidence.json");
    let digest = portcullis_model::Digest::of(b"x");
    let forged = json!({"version": 1, "images": [{
        "repository": format!("{at}/app"), "digest": digest, "found": ago(1).to_string(),
        "candidates": [{"manifest": digest, "isBundle": true, "content": "e30="}],
    }]});
    for text in [forged.to_string(), "{}".to_owned(), "nonsense".to_owned(), String::new()] {
        std::fs::write(&cache, text).unwrap();
        let webhook = Webhook::start(&policy("baseline", at, &key, ""), at, &["--cache-file", cache.to_str().unwrap()]);
        let response = webhook.validate(&pod(&[&format!("{at}/app@{digest}")])).await;
        assert!(refusal(&response).contains("not all evidence could be read"), "{response}");
    }
}

#[tokio::test]
async fn only_registries_that_are_named_are_asked() {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    let (image, _) = attested(at, "app:v1", &key, Attested::default()).await;
    let host = at.to_string();
    let policy = policy("baseline", at, &key, "").replace(&format!("images: [\"{at}/**\"]"), "mode: enforce");
    for (allowed, is_asked) in [(host.as_str(), true), ("127.0.0.*:*", true), ("registry.example", false)] {
        let webhook = Webhook::start(&policy, at, &["--allow-registry", allowed]);
        let response = webhook.mutate(&pod(&[&image])).await;
        assert_eq!(is_allowed(&response), is_asked, "{response}");
        if !is_asked {
            assert!(refusal(&response).contains("is not one of those that may be asked"), "{response}");
        }
    }
}
