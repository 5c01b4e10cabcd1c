//! Manifests on the desk: which objects are judged, and that the words are those of the webhook.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use portcullis_admission::{Gate, ManifestError, Options, Path, Unasked};
use portcullis_policy::Policy;
use portcullis_registry::{Client, Credentials};
use serde_json::json;

fn gate(more: &str) -> Gate {
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: team{more}}}\n\
         spec: {{images: [registry.example/team/**]}}\n"
    );
    let policies = Policy::parse(&text, "a.yaml", "2026-11-25".parse().unwrap()).unwrap();
    let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
    Gate::new(policies, client, Options::default()).unwrap()
}

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

#[tokio::test]
async fn every_document_that_holds_images_is_judged_in_the_webhooks_words() {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\n\
         spec: {{containers: [{{name: a, image: \"registry.example/team/app@{DIGEST}\"}}]}}\n---\n\
         apiVersion: v1\nkind: List\nitems:\n\
         - {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: other}}, \
              spec: {{template: {{spec: {{containers: [{{name: a, image: other.example/x}}]}}}}}}}}\n\
         - {{apiVersion: batch/v1, kind: CronJob, metadata: {{name: j}}, \
              spec: {{jobTemplate: {{spec: {{template: {{spec: {{containers: []}}}}}}}}}}}}\n---\n"
    );
    let gate = gate("");
    let answer = gate.admit_manifest(&text, Some("default")).await.unwrap();
    let decisions = &answer.decisions;
    let shown: Vec<_> = decisions
        .iter()
        .map(|found| (found.document, found.kind.as_str(), found.name.as_str(), found.decision.allowed))
        .collect();
    assert_eq!(shown, [(2, "Pod", "p", false), (3, "Deployment", "d", true), (3, "CronJob", "j", true)]);
    assert_eq!(decisions[1].namespace.as_deref(), Some("other"));
    let skipped: Vec<_> = answer.skipped.iter().map(|one| (one.document, one.kind.as_str(), &one.image)).collect();
    assert_eq!(skipped, [(1, "ConfigMap", &None)]);
    assert!(answer.is_denied() && !answer.is_incomplete());
    let warning = &decisions[1].decision.warnings[0];
    assert_eq!(warning, "[portcullis] x: no policy speaks of this image");

    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "spec": {"containers": [{"name": "a", "image": format!("registry.example/team/app@{DIGEST}")}]}});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "object": pod}});
    let answer = gate.review_value(review, Path::Validate).await.unwrap();
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert_eq!(decisions[0].decision.message.as_deref(), Some(message));
    assert_eq!(
        message,
        format!(
            "[team] registry.example/team/app@{DIGEST}: the policy trusts nobody, so that nothing can be known of an \
             image; fix: name who may vouch for it in `spec.evidence.authorities`"
        )
    );
}

#[tokio::test]
async fn a_policy_of_a_namespace_speaks_of_that_one_alone() {
    let gate = gate(", namespace: prod");
    let image = format!("registry.example/team/app@{DIGEST}");
    let [inside, outside] = [Some("prod"), None].map(|namespace| gate.image(&image, namespace));
    assert_eq!(inside.await.answers[0].policy, "team");
    assert_eq!(outside.await.answers[0].policy, "portcullis");
}

#[tokio::test]
async fn a_policy_that_is_not_asked_for_want_of_a_namespace_is_told() {
    let gate = gate(", namespace: prod");
    let pod = |image: &str| {
        let spec = json!({"containers": [{"name": "a", "image": image}]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}).to_string()
    };
    let image = format!("registry.example/team/app@{DIGEST}");
    let unknown = gate.admit_manifest(&pod(&image), None).await.unwrap();
    let expected = Unasked { policy: "team".into(), namespace: "prod".into(), audit: false };
    assert_eq!(unknown.decisions[0].unasked, [expected]);
    // Of another image, and elsewhere, it would not be asked.
    assert_eq!(gate.admit_manifest(&pod("other.example/x"), None).await.unwrap().decisions[0].unasked, []);
    let there = gate.admit_manifest(&pod(&image), Some("test")).await.unwrap();
    assert_eq!(there.decisions[0].unasked, []);
}

#[tokio::test]
async fn objects_that_are_not_looked_at_are_told() {
    let bad = "{containers: [{name: a, image: other.example/x}]}";
    let text = format!(
        "apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\nmetadata: {{name: r, namespace: n}}\n\
         spec: {{replicatedJobs: [{{template: {{spec: {{template: {{spec: {bad}}}}}}}}}]}}\n---\n\
         apiVersion: v1\nkind: List\nitems:\n\
         - {{apiVersion: argoproj.io/v1alpha1, kind: CronWorkflow, metadata: {{name: w}}, \
              spec: {{workflowSpec: {{templates: [{{script: {{image: other.example/x}}}}]}}}}}}\n\
         - {{apiVersion: v1, kind: pod, metadata: {{name: p}}, spec: {bad}}}\n\
         - {{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{ports: [{{port: 80}}]}}}}\n---\ntext\n"
    );
    let answer = gate("").admit_manifest(&text, None).await.unwrap();
    assert!(answer.decisions.is_empty() && answer.is_incomplete() && !answer.is_denied());
    let shown: Vec<_> = answer
        .skipped
        .iter()
        .map(|one| (one.document, one.kind.as_str(), one.name.as_str(), one.image.as_deref(), one.meant))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "JobSet", "r", Some("/spec/replicatedJobs/0/template/spec/template/spec/containers/0/image"), None),
            (2, "CronWorkflow", "w", Some("/spec/workflowSpec/templates/0/script/image"), None),
            (2, "pod", "p", Some("/spec/containers/0/image"), Some("Pod")),
            (2, "Service", "s", None, None),
            (3, "", "", None, None),
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_document() {
    let gate = gate("");
    let broken = "a: 1\n---\napiVersion: v1\nkind: Pod\nspec: {containers: 7}\n";
    let error = gate.admit_manifest(broken, None).await.unwrap_err();
    assert_eq!(error.to_string(), "document 2: `/spec/containers` is not a list");
    for bad in ["{{ .Values.image }}", "a: [", "a: 1\na: 2\n"] {
        assert!(matches!(gate.admit_manifest(bad, None).await, Err(ManifestError::Yaml(_))), "{bad}");
    }
    let mut nested = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": []}});
    for _ in 0..6 {
        nested = json!({"apiVersion": "v1", "kind": "List", "items": [nested]});
    }
    assert_eq!(gate.admit_manifest(&nested.to_string(), None).await, Err(ManifestError::Depth(1)));
}
