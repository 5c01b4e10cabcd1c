//! What holds for every input: reviews and manifests never panic, nothing that is no review passes, and what is
//! asked of a Pod does not depend on the fields around its images.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::LazyLock;

use portcullis_admission::{Gate, Options, Path, Unmatched, images_of};
use portcullis_policy::Policy;
use portcullis_registry::{Client, Credentials};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A gate that asks no registry: its only policy speaks of a repository that no test names.
fn gate(unmatched: Unmatched) -> Gate {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: a}\n\
                spec: {images: [registry.example/never], evidence: {authorities: [{identity: a, issuer: b}]}}\n";
    let policies = Policy::parse(text, "a.yaml", "2026-11-25".parse().unwrap()).unwrap();
    let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
    Gate::new(policies, client, Options { unmatched, ..Options::default() }).unwrap()
}

static OPEN: LazyLock<Gate> = LazyLock::new(|| gate(Unmatched::Allow));
static CLOSED: LazyLock<Gate> = LazyLock::new(|| gate(Unmatched::Deny));

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// JSON whose keys are often those that reviews and Pods have.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9:/@.]{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["Pod", "v1", "apps/v1", "Deployment", "CREATE", "UPDATE", "List"])
            .prop_map(Value::from),
    ];
    let keys = vec![
        "apiVersion",
        "kind",
        "request",
        "uid",
        "operation",
        "object",
        "oldObject",
        "namespace",
        "metadata",
        "name",
        "spec",
        "template",
        "jobTemplate",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "volumes",
        "image",
        "reference",
        "items",
        "group",
        "version",
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.clone()), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn review(object: &Value, old: &Value, kind: &str, operation: &str) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": kind}, "operation": operation,
        "object": object, "oldObject": old}})
}

proptest! {
    #[test]
    fn bytes_are_never_a_review_by_chance(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(block_on(OPEN.review(&body, Path::Validate)).is_err());
    }

    #[test]
    fn json_never_panics_and_every_answer_is_to_the_point(body in any_json(), spec in any_json(), old in any_json()) {
        let gate = &*OPEN;
        _ = block_on(gate.review_value(body, Path::Mutate));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        for operation in ["CREATE", "UPDATE"] {
            let answer = block_on(gate.review_value(review(&pod, &old, "Pod", operation), Path::Validate)).unwrap();
            prop_assert_eq!(&answer["response"]["uid"], "1");
            // What can be read and is let in by option passes; what cannot be read never does.
            let is_read = images_of(&pod, None).is_ok();
            prop_assert!(is_read || answer["response"]["allowed"] == false, "{}", pod);
        }
    }

    #[test]
    fn no_image_is_let_in_that_no_policy_speaks_of(images in prop::collection::vec("\\PC{0,40}", 1..5)) {
        let containers: Vec<Value> = images.iter().map(|image| json!({"name": "a", "image": image})).collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}});
        let answer = block_on(CLOSED.review_value(review(&pod, &Value::Null, "Pod", "CREATE"), Path::Validate));
        prop_assert_eq!(&answer.unwrap()["response"]["allowed"], false);
    }

    #[test]
    fn manifests_never_panic(text in "\\PC{0,200}", objects in prop::collection::vec(any_json(), 0..4)) {
        let gate = &*CLOSED;
        _ = block_on(gate.admit_manifest(&text, None));
        let text: Vec<String> = objects.iter().map(Value::to_string).collect();
        _ = block_on(gate.admit_manifest(&text.join("\n---\n"), None));
    }
}
