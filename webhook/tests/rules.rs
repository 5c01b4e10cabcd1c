//! Rules about workloads and exemptions, end to end: the real program, reviews as the API server sends them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Attested, Setting, Webhook, deployment, is_allowed, now, pod, push_image, refusal, review, setting};

const RESTRICTED: &str = "  workloads: {podSecurity: restricted, except: [runAsNonRoot, seccompProfile_restricted]}\n";

fn hardened(image: &str) -> Value {
    let mut pod = pod(&[image]);
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    pod
}

#[tokio::test]
async fn a_pod_is_held_to_the_pod_security_standards() {
    let setting = setting();
    let webhook = setting.webhook(RESTRICTED, &[]);
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let response = webhook.validate(&hardened(&pinned)).await;
    assert!(is_allowed(&response), "{response}");
    assert_eq!(response["auditAnnotations"]["workload"], "baseline: pass");

    let mut privileged = hardened(&pinned);
    privileged["spec"]["containers"][0]["securityContext"]["privileged"] = true.into();
    let response = webhook.validate(&privileged).await;
    assert_eq!(
        refusal(&response),
        "[baseline] Pod team/p: spec.containers[0].securityContext.privileged is true: privileged of the Pod Security \
         Standards, baseline v1.37; fix: leave it out"
    );
    assert_eq!(response["auditAnnotations"]["workload"], "baseline: fail podSecurity.privileged");

    // Other webhooks may still mend it; and what was there before may be labelled and deleted.
    assert!(is_allowed(&webhook.mutate(&privileged).await));
    let mut released = privileged.clone();
    released["metadata"]["finalizers"] = json!([]);
    assert!(is_allowed(&webhook.ask("/validate", &review("UPDATE", &released, Some(&privileged))).await));
    let good = hardened(&pinned);
    let response = webhook.ask("/validate", &review("UPDATE", &privileged, Some(&good))).await;
    assert!(!is_allowed(&response), "an UPDATE that makes it so is refused: {response}");
}

#[tokio::test]
async fn a_deployment_hears_of_its_template() {
    let setting = setting();
    let webhook = setting.webhook(RESTRICTED, &[]);
    let (image, _) = setting.image("app:v1", Attested::default()).await;
    let response = webhook.validate(&deployment(&[&image])).await;
    assert!(is_allowed(&response), "{response}");
    let warnings = response["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().starts_with("[baseline] spec.template.spec.containers[0]"), "{response}");
    let webhook = setting.webhook(RESTRICTED, &["--enforce-workloads"]);
    let response = webhook.validate(&deployment(&[&image])).await;
    assert!(
        refusal(&response).contains("[baseline] Deployment team/d: spec.template.spec.containers[0]"),
        "{response}"
    );
}

#[tokio::test]
async fn expressions_have_the_variables_of_admission_policies() {
    let setting = setting();
    let rules = "  workloads:
    params: {most: 2}
    rules:
      - name: few-containers
        expression: size(object.spec.containers) <= params.most
        messageExpression: \"'more than ' + string(params.most) + ' containers'\"
        field: spec.containers
        fix: split the Pod
      - name: not-by-interns
        expression: request.userInfo.username != 'intern'
        message: interns make no Pods
      - name: no-new-host-network
        expression: oldObject == null || !has(object.spec.hostNetwork) || has(oldObject.spec.hostNetwork)
";
    let webhook = setting.webhook(rules, &[]);
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned, &pinned])).await));
    let response = webhook.validate(&pod(&[&pinned, &pinned, &pinned])).await;
    let expected = "[baseline] Pod team/p: spec.containers: more than 2 containers; fix: split the Pod";
    assert_eq!(refusal(&response), expected);
    let mut by_intern = review("CREATE", &pod(&[&pinned]), None);
    by_intern["request"]["userInfo"]["username"] = "intern".into();
    assert!(refusal(&webhook.ask("/validate", &by_intern).await).contains("interns make no Pods"));
    let mut other = pod(&[&pinned]);
    other["spec"]["hostNetwork"] = true.into();
    let update = review("UPDATE", &other, Some(&pod(&[&pinned])));
    assert!(!is_allowed(&webhook.ask("/validate", &update).await));
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_refused() {
    let setting = setting();
    let rules = "  workloads: {rules: [{name: r, expression: object.spec.nothing.here}]}\n";
    let webhook = setting.webhook(rules, &[]);
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let response = webhook.validate(&pod(&[&pinned])).await;
    assert!(refusal(&response).contains("the rule could not be evaluated"), "{response}");
    let rules = "  mode: audit\n  workloads: {rules: [{name: r, expression: object.spec.nothing.here}]}\n";
    let webhook = setting.webhook(rules, &[]);
    let response = webhook.validate(&pod(&[&pinned])).await;
    assert!(is_allowed(&response) && response["warnings"][0].as_str().unwrap().contains("evaluated"), "{response}");
}

/// A webhook with exemptions beside its policy.
fn exempting(setting: &Setting, more_spec: &str, exemptions: &str) -> Webhook {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exemptions.yaml");
    std::fs::write(&file, exemptions).unwrap();
    let webhook = setting.webhook(more_spec, &["--exemption", file.to_str().unwrap()]);
    // It reads the file again every few seconds: the folder lives as long as the test.
    std::mem::forget(folder);
    webhook
}

fn exemption(spec: &str, seconds: i64) -> String {
    let expires = portcullis_model::Timestamp::from_unix(now().unix() + seconds);
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: PolicyExemption\nmetadata: {{name: incident-1}}\nspec:\n  \
         {{reason: a fix is under way, owner: security@team.example, expires: \"{expires}\", {spec}}}\n"
    )
}

#[tokio::test]
async fn an_exemption_lets_in_what_it_names_and_is_told() {
    let setting = setting();
    let (bare, _) = push_image(setting.at, "team/bare:v1", "bare").await;
    let bare = bare.to_string();
    let images = format!("namespaces: [team], images: [\"{}/team/*\"], policies: [baseline]", setting.at);
    let webhook = exempting(&setting, RESTRICTED, &exemption(&images, 3600));
    let response = webhook.mutate(&pod(&[&bare])).await;
    assert!(is_allowed(&response) && response.get("patch").is_none(), "{response}");
    assert!(response["warnings"][0].as_str().unwrap().contains("exempt by incident-1 until"), "{response}");
    let told = response["auditAnnotations"]["exemptions"].as_str().unwrap();
    assert!(
        told.contains("incident-1 by security@team.example until") && told.contains("a fix is under way"),
        "{told}"
    );
    // Validation asks for no digest then, and rules about workloads are exempt, too.
    let response = webhook.validate(&pod(&[&bare])).await;
    assert!(is_allowed(&response), "{response}");
    assert!(
        response["auditAnnotations"]["workload"].as_str().unwrap().contains("(exempt by incident-1)"),
        "{response}"
    );

    let (other, _) = push_image(setting.at, "others/bare:v1", "bare").await;
    let response = webhook.mutate(&pod(&[&bare, &other.to_string()])).await;
    assert_eq!(refusal(&response).lines().count(), 1, "the other image is refused: {response}");
    let mut elsewhere = review("CREATE", &pod(&[&bare]), None);
    elsewhere["request"]["namespace"] = "other".into();
    assert!(!is_allowed(&webhook.ask("/mutate", &elsewhere).await));
    let (_, metrics) = webhook.get("/metrics").await;
    assert!(metrics.contains("portcullis_webhook_exempted_total 2"), "{metrics}");
}

#[tokio::test]
async fn breaking_the_glass_opens_everything_and_no_label_does() {
    let setting = setting();
    let spec = "namespaces: [team], breakGlass: true";
    let webhook = exempting(&setting, "", &exemption(spec, 3600));
    for image in ["registry.example/nobody/speaks:of", "UPPER/Case"] {
        let response = webhook.mutate(&pod(&[image])).await;
        assert!(is_allowed(&response), "{response}");
        assert!(response["auditAnnotations"]["exemptions"].as_str().unwrap().contains("(break-glass)"), "{response}");
    }
    let webhook = setting.webhook("", &[]);
    let mut labelled = pod(&["registry.example/nobody/speaks:of"]);
    labelled["metadata"]["labels"] =
        json!({"portcullis.dev/exempt": "true", "admission.portcullis.dev/ignore": "true"});
    labelled["metadata"]["annotations"] = labelled["metadata"]["labels"].clone();
    assert!(!is_allowed(&webhook.mutate(&labelled).await));
}

#[tokio::test]
async fn an_exemption_ends() {
    let setting = setting();
    let (bare, _) = push_image(setting.at, "bare:v1", "bare").await;
    let webhook = exempting(&setting, "", &exemption("namespaces: [team]", 2));
    assert!(is_allowed(&webhook.mutate(&pod(&[&bare.to_string()])).await));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!is_allowed(&webhook.mutate(&pod(&[&bare.to_string()])).await));
}

#[tokio::test]
async fn a_bad_policy_is_refused_when_it_is_written() {
    let setting = setting();
    let webhook = setting.webhook("", &[]);
    let object = |kind: &str, spec: Value| json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": {"name": "n"}, "spec": spec});
    let good = object("ClusterImagePolicy", json!({"vulnerabilities": {"failOn": "high"}}));
    assert!(is_allowed(&webhook.ask("/policies", &review("CREATE", &good, None)).await));
    for (kind, spec, said) in [
        ("ClusterImagePolicy", json!({"vulnerabilities": {"failon": "high"}}), "spec.vulnerabilities.failon: unknown"),
        ("ClusterImagePolicy", json!({"images": ["nginx"]}), "(hint: write `docker.io/library/nginx`)"),
        ("ImagePolicy", json!({"namespaceSelector": {"matchLabels": {"a": "b"}}}), "selects no namespaces"),
        (
            "ImagePolicy",
            json!({"workloads": {"rules": [{"name": "r", "expression": "object.x +"}]}}),
            "cannot be parsed",
        ),
        (
            "ImagePolicy",
            json!({"evidence": {"authorities": [{"key": "-----BEGIN PUBLIC KEY-----\nx"}]}}),
            "authority 1",
        ),
        ("PolicyExemption", json!({"reason": "r", "owner": "o", "expires": "2099-01-01"}), "everything everywhere"),
        (
            "PolicyExemption",
            json!({"namespaces": ["a"], "reason": "r", "owner": "o", "expires": "2020-01-01"}),
            "has expired",
        ),
        ("ConfigMap", json!({}), "no policy"),
    ] {
        let bad = object(kind, spec);
        let response = webhook.ask("/policies", &review("CREATE", &bad, None)).await;
        assert!(refusal(&response).contains(said), "{response}");
        // What is there already can still lose its finalizers.
        assert!(
            is_allowed(&webhook.ask("/policies", &review("UPDATE", &bad, Some(&bad))).await) || kind == "ConfigMap"
        );
        assert!(!is_allowed(&webhook.ask("/policies", &review("UPDATE", &bad, Some(&good))).await));
    }
    let (status, _) = webhook.post("/policies", "{}").await;
    assert_eq!(status, 400);
}
