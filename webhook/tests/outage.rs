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

/// A tenant may name any registry: one that takes connections and never answers is nobody else's outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_hangs_keeps_nobody_else_waiting() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = listener.local_addr().unwrap();
    let (asked, mut first) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
            _ = asked.send(());
        }
    });
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (at, key) = (registry.address(), SigningKey::generate().unwrap());
    // Another host than that which hangs.
    let host = format!("localhost:{}", at.port());
    let resource = Some(format!("{host}/app:v1").parse().unwrap());
    let (_, digest) = attested(at, "app:v1", &key, Attested { resource, ..Attested::default() }).await;
    let policy = policy("baseline", at, &key, "");
    let policy =
        policy.replace(&format!("images: [\"{at}/**\"]"), &format!("images: [\"{hanging}/**\", \"{host}/**\"]"));
    let (plain, unmatched) = (hanging.to_string(), ["--unmatched", "allow"]);
    let flags = ["--plain-http", &plain, "--plain-http", &host, "--max-reviews", "2", "--timeout", "20s"];
    let webhook = Webhook::start(&policy, at, &[&flags[..], &unmatched].concat());
    let objects: Vec<Value> = (0..12).map(|number| pod(&[&format!("{hanging}/app{number}:v1")])).collect();
    let attackers = futures_util::future::join_all(objects.iter().map(|object| webhook.mutate(object)));
    let innocent = async {
        first.recv().await.unwrap();
        let needs_none = webhook.validate(&pod(&["registry.example/unmatched:v1"])).await;
        (needs_none, webhook.validate(&pod(&[&format!("{host}/app@{digest}")])).await)
    };
    tokio::select! {
        answers = attackers => panic!("those who hang were answered first: {answers:?}"),
        (needs_none, needs_another) = innocent => {
            assert!(is_allowed(&needs_none), "{needs_none}");
            assert!(is_allowed(&needs_another), "{needs_another}");
        }
    }
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
