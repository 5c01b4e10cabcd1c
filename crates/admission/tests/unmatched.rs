//! Images that no policy speaks of: whatever was said around them, they are let in only where that is allowed.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::BoxFuture;
use portcullis_admission::{
    BrokenPolicy, FoundSecrets, Gate, ImageDecision, Options, PolicySet, PullIdentity, Surroundings, Unmatched,
};
use portcullis_model::Timestamp;
use portcullis_policy::{Exemption, Policy, PolicyKind};
use portcullis_registry::{Client, Credentials};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
/// By digest: nothing is asked of its registry.
const IMAGE: &str = "registry.example/team/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async fn decided(set: PolicySet, unmatched: Unmatched) -> ImageDecision {
    let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
    let options = Options { unmatched, now: Some(Timestamp::from_unix(NOW)), ..Options::default() };
    Gate::new(set, client, options).unwrap().image(IMAGE, Some("team")).await
}

/// It is let in where unmatched images are, and else refused, with these words.
async fn check(set: PolicySet) {
    assert!(decided(set.clone(), Unmatched::Allow).await.is_admitted());
    let decision = decided(set, Unmatched::Deny).await;
    assert!(!decision.is_admitted(), "{decision:?}");
    assert!(decision.lines().concat().contains("no policy speaks of this image"), "{decision:?}");
}

fn broken(audit: bool) -> BrokenPolicy {
    BrokenPolicy {
        kind: PolicyKind::ClusterImagePolicy,
        name: "broken".to_owned(),
        namespace: None,
        audit,
        problem: "a field that nobody knows".to_owned(),
    }
}

fn exemption(more: &str) -> Exemption {
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: PolicyExemption\nmetadata: {{name: e}}\n\
         spec: {{namespaces: [team], reason: a test, owner: ops, expires: 2027-01-16, {more}}}\n"
    );
    Exemption::parse(&text, "exemption.yaml", Timestamp::from_unix(NOW)).unwrap().remove(0)
}

#[tokio::test]
async fn a_broken_policy_that_only_warns_opens_nothing() {
    check(PolicySet { broken: vec![broken(true)], ..PolicySet::default() }).await;
    check(PolicySet::default()).await;
}

#[tokio::test]
async fn a_policy_that_only_warns_and_may_not_even_speak_opens_nothing() {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n  mode: audit\n  \
                namespaceSelector: {matchLabels: {env: prod}}\n  vulnerabilities: {failOn: high}\n";
    let policies = Policy::parse(text, "policy.yaml", Timestamp::from_unix(NOW)).unwrap();
    check(PolicySet::from(policies)).await;
}

/// A cluster that counts how often somebody's pull secrets are read.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Surroundings for Counting {
    fn namespace<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Option<Arc<Value>>> {
        Box::pin(std::future::ready(None))
    }

    fn pull_secrets<'a>(&'a self, _identity: PullIdentity<'a>) -> BoxFuture<'a, FoundSecrets> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(FoundSecrets::default()))
    }
}

#[tokio::test]
async fn pull_secrets_are_read_only_where_a_registry_is_asked() {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: p}\nspec:\n  images: \
                [registry.example/team/**]\n  vulnerabilities: {failOn: high}\n";
    let policies = Policy::parse(text, "policy.yaml", Timestamp::from_unix(NOW)).unwrap();
    for (image, allowed, reads) in [
        ("registry.example/other/app:v1", "*", 0),
        ("registry.example/team/app:v1", "other.example", 0),
        ("not an image", "*", 0),
        (IMAGE, "*", 1),
    ] {
        let counting = Arc::new(Counting::default());
        let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
        let options = Options {
            surroundings: Some(Arc::<Counting>::clone(&counting)),
            allowed_registries: vec![allowed.parse().unwrap()],
            ..Options::default()
        };
        let gate = Gate::new(policies.clone(), client, options).unwrap();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"},
            "spec": {"containers": [{"name": "c", "image": image}]}});
        gate.look_again(&pod).await.unwrap();
        assert_eq!(counting.0.load(Ordering::SeqCst), reads, "{image}");
    }
}

#[tokio::test]
async fn an_exemption_from_a_broken_policy_opens_nothing_else() {
    let set = |more: &str| PolicySet {
        broken: vec![broken(false)],
        exemptions: vec![exemption(more)],
        ..PolicySet::default()
    };
    check(set("policies: [broken]")).await;
    // One that says so lets everything in.
    assert!(decided(set("breakGlass: true"), Unmatched::Deny).await.is_admitted());
}
