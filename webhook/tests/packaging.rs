//! What users are given beside the program: the plain manifests fit it, and the guide names every flag and no other.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde_json::{Value, json};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifests() -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join("webhook/manifests/portcullis.yaml")).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    manifests.iter().find(|manifest| manifest["kind"] == kind).unwrap()
}

/// Long flags in a text: what stands behind `--` up to a sign that is not part of one.
fn flags(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("--").map(|(start, _)| &text[start + 2..]);
    let names = starts.map(|rest| rest.split(|sign: char| !sign.is_ascii_lowercase() && sign != '-').next().unwrap());
    names.filter(|name| !name.is_empty() && !name.starts_with('-')).map(ToOwned::to_owned).collect()
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook")).env_clear().arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_guide_names_every_flag_and_no_other() {
    let guide = std::fs::read_to_string(repository().join("docs/admission.md")).unwrap();
    let section = guide.split("\n## ").find(|section| section.starts_with("Flags")).unwrap();
    let mut known = flags(&help());
    for of_clap in ["help", "version"] {
        assert!(known.remove(of_clap));
    }
    let named: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .flat_map(|line| flags(line.split('|').nth(1).unwrap()))
        .collect();
    assert_eq!(named, known);
    for flag in known {
        // The command line has flags of these two names, with other meanings.
        let of_webhook = if matches!(flag.as_str(), "plain-http" | "timeout") { "WEBHOOK_" } else { "" };
        let variable = match flag.as_str() {
            "otlp-endpoint" => "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            "otlp-ca" => "OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(),
            _ => format!("PORTCULLIS_{of_webhook}{}", flag.replace('-', "_").to_uppercase()),
        };
        assert!(help().contains(&format!("[env: {variable}=")), "{variable}");
    }
}

#[test]
fn the_deployment_starts_the_program_with_flags_that_it_has() {
    let manifests = manifests();
    let container = &of_kind(&manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let program = env!("CARGO_BIN_EXE_portcullis-webhook");
    let output = Command::new(program).env_clear().args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot read /etc/portcullis/policies"), "{stderr}");
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    let pod = &of_kind(&manifests, "Deployment")["spec"]["template"]["spec"]["securityContext"];
    assert_eq!((&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]), (&json!(true), &json!("RuntimeDefault")));
}

#[test]
fn the_configurations_close_when_the_webhook_is_gone_and_cover_every_way_to_an_image() {
    let manifests = manifests();
    for (kind, path) in [("MutatingWebhookConfiguration", "/mutate"), ("ValidatingWebhookConfiguration", "/validate")] {
        let webhooks = of_kind(&manifests, kind)["webhooks"].as_array().unwrap();
        let pods = &webhooks[0];
        assert_eq!(pods["failurePolicy"], "Fail");
        assert_eq!(pods["rules"][0]["resources"], json!(["pods", "pods/ephemeralcontainers"]));
        assert_eq!(pods["rules"][0]["operations"], json!(["CREATE", "UPDATE"]));
        for webhook in webhooks {
            assert_eq!(webhook["clientConfig"]["service"]["path"], path);
            assert_eq!(webhook["sideEffects"], "None");
            assert_eq!(webhook["admissionReviewVersions"], json!(["v1"]));
            let excluded = &webhook["namespaceSelector"]["matchExpressions"];
            let by_name = json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn",
                "values": ["kube-system", "portcullis"]}]);
            assert_eq!(*excluded, by_name, "a label that tenants can set is a hole");
            assert!(webhook.get("objectSelector").is_none(), "the same");
        }
    }
}

#[test]
fn what_is_shipped_is_called_as_the_guide_and_the_flag_call_it() {
    let manifests = manifests();
    let name = of_kind(&manifests, "MutatingWebhookConfiguration")["metadata"]["name"].as_str().unwrap();
    assert_eq!(of_kind(&manifests, "ValidatingWebhookConfiguration")["metadata"]["name"], name);
    let help = help();
    let flag = help.split("--webhook-configuration <NAME>").nth(1).unwrap();
    let default = flag.split("[default: ").nth(1).unwrap();
    assert_eq!(default.split(']').next(), Some(name));
    let guide = std::fs::read_to_string(repository().join("docs/admission.md")).unwrap();
    let commands = guide.split("kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration ").skip(1);
    let named: Vec<&str> = commands.map(|rest| rest.split(['\n', '`']).next().unwrap()).collect();
    assert_eq!(named, [name, name], "the ways out of an emergency");
}

#[test]
fn the_policy_of_the_manifests_is_one() {
    let manifests = manifests();
    for (name, text) in of_kind(&manifests, "ConfigMap")["data"].as_object().unwrap() {
        let now = "2026-11-25".parse().unwrap();
        let policies = portcullis_policy::Policy::parse(text.as_str().unwrap(), name, now).unwrap();
        assert!(policies.iter().all(|policy| policy.spec.evidence.is_some()));
    }
}

#[test]
fn reports_are_of_the_look_at_running_pods() {
    let policy = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let text = of_kind(&manifests(), "ConfigMap")["data"]["baseline.yaml"].clone();
    std::fs::write(policy.path(), text.as_str().unwrap()).unwrap();
    let mut webhook = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    let output = webhook.env_clear().arg("--reports").arg("--policy").arg(policy.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && stderr.contains("hint: say how often, such as `--recheck 1h`"),
        "{stderr}"
    );
}
