//! The webhook's own authority in a Secret, on the real API server: made, shared by replicas, renewed without a refusal,
//! and written into the configurations.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::Replica,
    images::{Image, file, policy, registry},
    kubectl::{Namespace, pod},
};

/// A webhook that keeps its certificate in the Secret `tls` of a namespace, for the configurations of that name.
pub fn replica(cluster: &Cluster, namespace: &str, lifetime: &str) -> Replica {
    let folder = tempfile::tempdir().unwrap();
    let policy = file(folder.path(), "policy.yaml", &policy(registry(), ""));
    let arguments = [
        "--listen=127.0.0.1:0".to_owned(),
        format!("--plain-http={}", registry()),
        format!("--policy={}", policy.display()),
        format!("--kubeconfig={}", cluster.kubeconfig().display()),
        format!("--certificate-secret={namespace}/tls"),
        format!("--webhook-configuration={namespace}"),
        format!("--tls-name=portcullis-webhook.{namespace}.svc"),
        format!("--certificate-lifetime={lifetime}"),
    ];
    Replica::run(&arguments, folder)
}

fn configuration(namespace: &Namespace<'_>, webhook: &Replica) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": namespace.name},
        "webhooks": [{
            "name": "pin.portcullis.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            // Without `caBundle`: the webhook writes it.
            "clientConfig": {"url": format!("https://{}/mutate", webhook.address)},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    })
}

/// What a field of the Secret `tls` holds.
pub fn secret(namespace: &Namespace<'_>, field: &str) -> String {
    let text = namespace.field("secret", "tls", &format!("/data/{field}"));
    String::from_utf8(STANDARD.decode(text.as_str().unwrap_or_default()).unwrap()).unwrap()
}

/// The authorities of the configuration that is called as the namespace.
pub fn bundle(namespace: &Namespace<'_>) -> String {
    let kind = ["get", "mutatingwebhookconfiguration", namespace.name, "-o", "json"];
    let found = namespace.cluster.kubectl(&kind).json();
    let text = found["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The certificate of a new handshake that trusts the authorities of the configuration, and no others.
pub fn served_by(webhook: &Replica, bundle: &str) -> Vec<u8> {
    let authorities = reqwest::Certificate::from_pem_bundle(bundle.as_bytes()).unwrap();
    let client = reqwest::blocking::Client::builder().tls_certs_only(authorities).tls_info(true).build().unwrap();
    let response = client.get(format!("https://{}/readyz", webhook.address)).send().unwrap();
    assert_eq!(response.status(), 200);
    let info = response.extensions().get::<reqwest::tls::TlsInfo>().unwrap();
    info.peer_certificate().unwrap().to_vec()
}

#[test]
fn a_certificate_is_shared_and_renewed_and_nobody_is_refused_meanwhile() {
    let Some(cluster) = portcullis_tests::is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, "certificates");
    let image = Image::signed("certificates/app:v1");
    let replicas = [replica(cluster, "certificates", "24s"), replica(cluster, "certificates", "24s")];
    let first = secret(&namespace, "tls.crt");
    assert!(first.contains("BEGIN CERTIFICATE"), "{first}");
    cluster.kubectl_with(&["create", "-f", "-"], &configuration(&namespace, &replicas[0])).ok();
    eventually("the authority is written", || (bundle(&namespace) == secret(&namespace, "ca.crt")).then_some(()));
    let create = || namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("app", &[&image.tagged]));
    eventually("the webhook is called", || create().is_ok().then_some(()));

    let started = Instant::now();
    let (mut seen, mut served) = (vec![first], BTreeSet::new());
    while started.elapsed() < Duration::from_secs(30) {
        create().ok();
        // The API server keeps its connection; a new one is answered by what is served now, and trusts the configuration.
        let bundle = bundle(&namespace);
        served.extend(replicas.iter().map(|replica| served_by(replica, &bundle)));
        let now = secret(&namespace, "tls.crt");
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    assert!(seen.len() >= 2, "it was renewed");
    assert!(served.len() >= 2, "what was renewed was served");
    let log = |replica: &Replica| replica.log();
    for replica in &replicas {
        assert!(log(replica).contains("the certificate of the Secret is used"), "{}", log(replica));
    }

    // Somebody writes over the configuration, or deletes the Secret: both are mended.
    cluster.kubectl_with(&["replace", "-f", "-"], &configuration(&namespace, &replicas[0])).ok();
    eventually("the authority is written again", || (bundle(&namespace) == secret(&namespace, "ca.crt")).then_some(()));
    let before = secret(&namespace, "ca.crt");
    namespace.kubectl(&["delete", "secret", "tls"]).ok();
    eventually("there is a new one", || {
        let exists = namespace.kubectl(&["get", "secret", "tls"]).is_ok();
        (exists && secret(&namespace, "ca.crt") != before && bundle(&namespace) == secret(&namespace, "ca.crt"))
            .then_some(())
    });
    eventually("the webhook is called by it", || create().is_ok().then_some(()));
    cluster.kubectl(&["delete", "mutatingwebhookconfiguration", namespace.name]).ok();
}
