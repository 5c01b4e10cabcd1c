//! The Helm chart: what it renders is what Kubernetes' schemas allow, what the plain manifests say, and what guards a
//! real cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::{cache, is_on, skip};
use serde_json::{Value, json};

use crate::kubectl::Told;

/// The oldest Kubernetes that the chart says it is for, and the newest.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Asks Helm or Kubernetes' schemas, in Python.
fn ask(arguments: &[&str], input: &Value) -> Told {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook/chart.py");
    let mut command = Command::new(cache().join("venv/bin/python"));
    Told::by(command.arg(script).args(arguments), Some(input.to_string().as_bytes()))
}

pub fn has_helm() -> bool {
    let python = cache().join("venv/bin/python");
    let mut command = Command::new(&python);
    let is_there =
        command.args(["-c", "import helm_python, kubernetes_validate"]).status().is_ok_and(|end| end.success());
    if !is_there {
        skip("the Helm chart: helm-python-sdk or kubernetes-validate is missing; tests/run installs them");
    }
    is_there
}

fn chart() -> String {
    repository().join("webhook/chart").display().to_string()
}

/// What the chart renders with these values, for a release `portcullis` in the namespace `portcullis`.
#[track_caller]
pub fn rendered(values: &Value) -> Vec<Value> {
    let rendered = ask(&["render", &chart()], values).json();
    rendered["objects"].as_array().unwrap().clone()
}

pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// Values that turn on what is off.
fn everything() -> Value {
    json!({
        "policies": [{"name": "a", "spec": {"mode": "enforce"}}, {"name": "b", "spec": {"mode": "audit"}}],
        "pullSecrets": {"enabled": true, "names": ["pull"]}, "recheck": "1h", "reports": true,
        "unmatched": "allow", "enforceWorkloads": true, "extraArgs": ["--max-reviews=8"],
        "otlpEndpoint": "http://collector.observability:4318",
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}, {"name": "cache", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": true}, {"name": "cache", "mountPath": "/cache"}],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "webhooks": {"failurePolicy": "Ignore", "timeoutSeconds": 5, "excludedNamespaces": ["kube-system", "other"]},
        "tls": {"source": "secret", "secretName": "mine", "caBundle": "-----BEGIN CERTIFICATE-----\n"},
        "registries": {"plainHttp": ["registry.local:5000"], "publicOnly": true, "credentialsSecret": "pull"},
        "image": {"digest": format!("sha256:{}", "a".repeat(64))}, "imagePullSecrets": [{"name": "pull"}],
        "replicas": 3, "podDisruptionBudget": {"minAvailable": null, "maxUnavailable": 1},
        "nodeSelector": {"node": "gate"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "podLabels": {"team": "platform"}, "podAnnotations": {"note": "x"},
        "serviceAccount": {"annotations": {"role": "reader"}}, "log": {"level": "debug", "format": "text"},
        "networkPolicy": {"egress": [{"ports": [{"protocol": "TCP", "port": 5000}]}]},
    })
}

#[test]
fn the_chart_renders_what_kubernetes_knows() {
    if !is_on() || !has_helm() {
        return;
    }
    let lint = ask(&["lint", &chart()], &Value::Null).json();
    assert_eq!(lint["errors"], json!([]));
    let messages = lint["messages"].as_array().unwrap();
    assert!(messages.iter().all(|message| message["error"] == "icon is recommended"), "{messages:?}");
    let cert_manager = json!({"tls": {"source": "cert-manager", "issuer": {"name": "ours"}}, "replicas": 1});
    for values in [json!({}), everything(), cert_manager] {
        let mut objects = rendered(&values);
        let certificate = objects.extract_if(.., |object| object["apiVersion"] == "cert-manager.io/v1");
        assert_eq!(certificate.count() == 1, values["tls"]["source"] == "cert-manager");
        for version in VERSIONS {
            let refused = ask(&["validate", version], &json!(objects)).json();
            assert_eq!(refused, json!([]), "{version} with {values}");
        }
        // A label that tenants can set is a hole, and so is a choice of objects.
        for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
            for webhook in of_kind(&objects, kind)["webhooks"].as_array().unwrap() {
                // Policies are looked at wherever they are.
                let keys = webhook["namespaceSelector"]["matchExpressions"].as_array().cloned().unwrap_or_default();
                assert_eq!(keys.is_empty(), webhook["name"] == "policies.portcullis.dev", "{webhook}");
                assert!(keys.iter().all(|found| found["key"] == "kubernetes.io/metadata.name"), "{webhook}");
                assert!(webhook.get("objectSelector").is_none() && webhook.get("matchConditions").is_none());
            }
        }
    }
}

#[test]
fn the_chart_brings_the_definitions_of_policies() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    assert!(
        read("webhook/chart/crds/portcullis.yaml") == read("webhook/manifests/crds.yaml"),
        "copy the one to the other"
    );
}

#[test]
fn the_chart_refuses_values_that_it_does_not_know() {
    if !is_on() || !has_helm() {
        return;
    }
    for (values, expected) in [
        (json!({"policie": []}), "'policie' not allowed"),
        (json!({"policies": []}), "/policies"),
        (json!({"policies": [{"name": "A b", "spec": {}}]}), "/policies/0/name"),
        (json!({"webhooks": {"failurePolicy": "fail"}}), "/webhooks/failurePolicy"),
        (json!({"webhooks": {"timeoutSeconds": 31}}), "/webhooks/timeoutSeconds"),
        (json!({"tls": {"source": "secret"}}), "/tls/secretName"),
        (json!({"tls": {"source": "cert-manager"}}), "/tls/issuer/name"),
        (json!({"image": {"digest": "sha256:abc"}}), "/image/digest"),
        (json!({"replicas": 0}), "/replicas"),
        (json!({"extraVolumes": [{"name": "tls", "emptyDir": {}}]}), "/extraVolumes/0/name"),
        (json!({"extraVolumeMounts": [{"name": "ca", "mountPath": "ca"}]}), "/extraVolumeMounts/0/mountPath"),
        (json!({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}), "/podDisruptionBudget"),
        (json!({"recheck": "hourly"}), "/recheck"),
        (json!({"reports": true}), "/recheck"),
        (json!({"otlpEndpoint": "collector:4317"}), "/otlpEndpoint"),
    ] {
        ask(&["render", &chart()], &values).refused(expected);
    }
}

#[test]
fn a_budget_for_disruptions_is_the_one_that_is_asked_for() {
    if !is_on() || !has_helm() {
        return;
    }
    for (asked, expected) in [
        (json!({}), json!({"minAvailable": 1})),
        (json!({"minAvailable": 0}), json!({"minAvailable": 0})),
        (json!({"maxUnavailable": 1}), json!({"maxUnavailable": 1})),
        (json!({"minAvailable": null, "maxUnavailable": "50%"}), json!({"maxUnavailable": "50%"})),
    ] {
        let objects = rendered(&json!({"podDisruptionBudget": asked}));
        let mut budget = of_kind(&objects, "PodDisruptionBudget")["spec"].clone();
        budget.as_object_mut().unwrap().shift_remove("selector");
        assert_eq!(budget, expected, "{asked}");
    }
}

#[test]
fn further_volumes_stand_beside_the_charts_own() {
    if !is_on() || !has_helm() {
        return;
    }
    let values = everything();
    let objects = rendered(&values);
    let pod = &of_kind(&objects, "Deployment")["spec"]["template"]["spec"];
    let last = |list: &Value| list.as_array().unwrap().iter().rev().take(2).rev().cloned().collect::<Value>();
    assert_eq!(last(&pod["volumes"]), values["extraVolumes"]);
    assert_eq!(last(&pod["containers"][0]["volumeMounts"]), values["extraVolumeMounts"]);
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 5);
}

#[test]
fn the_plain_manifests_are_what_the_chart_renders() {
    if !is_on() || !has_helm() {
        return;
    }
    let path = repository().join("webhook/manifests/portcullis.yaml");
    let plain: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    // The plain manifests ask nothing of the API server: everything comes as files.
    let values = json!({"policiesFromCluster": false, "events": false,
        "tls": {"source": "secret", "secretName": "portcullis-webhook-tls"}});
    let chart = rendered(&values);
    let is_in_chart = |object: &&Value| object["kind"] != "Namespace";
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    let mut names: Vec<String> = plain.iter().filter(is_in_chart).map(name).collect();
    names.sort();
    let is_object = |object: &&Value| object["metadata"]["annotations"]["helm.sh/hook"].is_null();
    let mut expected: Vec<String> = chart.iter().filter(is_object).map(name).collect();
    expected.sort();
    assert_eq!(names, expected);
    for object in plain.iter().filter(is_in_chart) {
        let same = chart.iter().find(|other| name(other) == name(object)).unwrap();
        assert_eq!(settled(object), settled(same), "{}", name(object));
    }
}

/// An object without what only Helm says, and with its texts that hold YAML as what they hold.
fn settled(object: &Value) -> Value {
    let mut object = object.clone();
    strip(&mut object);
    if object["kind"] == "ConfigMap" {
        for text in object["data"].as_object_mut().unwrap().values_mut() {
            *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
        }
    }
    sorted(object)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for of_helm in ["managed-by", "instance", "version"] {
                fields.shift_remove(&format!("app.kubernetes.io/{of_helm}"));
            }
            if fields.get("caBundle").is_some_and(|bundle| bundle == "") {
                fields.shift_remove("caBundle");
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

/// The files of a Secret or ConfigMap, as the kubelet writes them.
pub fn write_files(object: &Value, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, content) in object["data"].as_object().unwrap() {
        let content = content.as_str().unwrap();
        let is_secret = object["kind"] == "Secret";
        let bytes = if is_secret { STANDARD.decode(content).unwrap() } else { content.as_bytes().to_vec() };
        fs::write(folder.join(name), bytes).unwrap();
    }
}
