//! The webhook as the API server's own configuration (Kubernetes 1.37): no token can see it, change it or remove it.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::is_on;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::Replica,
    images::{Image, policy, registry},
    kubectl::{Namespace, pod},
    pki::Authority,
};

/// The shipped files in a folder, with the folder's paths and the webhook's address and authority filled in.
fn files(folder: &Path, webhook: &Replica, authority: &Authority) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook/manifests/static");
    let admission = fs::read_to_string(shipped.join("admission.yaml")).unwrap();
    let admission = admission.replace("/etc/kubernetes/portcullis", &folder.display().to_string());
    fs::write(folder.join("admission.yaml"), admission).unwrap();
    for name in ["mutating", "validating"] {
        let text = fs::read_to_string(shipped.join(name).join("portcullis.yaml")).unwrap();
        let mut configuration: Value = serde_saphyr::from_str(&text).unwrap();
        for found in configuration["webhooks"].as_array_mut().unwrap() {
            let client = &mut found["clientConfig"];
            client["caBundle"] = STANDARD.encode(&authority.certificate).into();
            let url = client["url"].as_str().unwrap().replace("127.0.0.1:9443", &webhook.address.to_string());
            client["url"] = url.into();
        }
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("portcullis.yaml"), configuration.to_string()).unwrap();
    }
    folder.join("admission.yaml").display().to_string()
}

#[test]
fn a_gate_of_the_api_server_s_own_files_is_out_of_every_token_s_reach() {
    if !is_on() {
        return;
    }
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let webhook = Replica::signed_by(&authority, &policy(registry(), ""), registry(), &[]);
    let flag = format!("--admission-control-config-file={}", files(folder.path(), &webhook, &authority));
    let Some(cluster) = Cluster::start("fixed", &[&flag], false) else { return };
    cluster.kubectl(&["create", "namespace", "fixed"]).ok();
    let namespace = Namespace { cluster: &cluster, name: "fixed" };
    namespace.kubectl(&["create", "serviceaccount", "default"]).ok();
    let (good, bad) = (Image::signed("fixed/good:v1"), Image::push("fixed/bad:v1"));
    // It is in force from the first request on.
    namespace.create(&pod("bad", &[&bad.tagged])).refused("no trusted verdict is attested");
    namespace.create(&pod("good", &[&good.tagged])).ok();
    assert_eq!(namespace.field("pod", "good", "/spec/containers/0/image"), good.pinned.as_str());
    // The administrator's token neither sees nor removes nor replaces it.
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        assert_eq!(cluster.kubectl(&["get", kind, "-o", "json"]).json()["items"], json!([]));
        cluster.kubectl(&["delete", kind, "portcullis.static.k8s.io"]).refused("not found");
        cluster.kubectl(&["delete", kind, "--all"]).ok();
    }
    let other = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis.static.k8s.io"}, "webhooks": []});
    assert!(!cluster.kubectl_with(&["create", "-f", "-"], &other).is_ok());
    namespace.create(&pod("bad", &[&bad.tagged])).refused("no trusted verdict is attested");
    // What starts a cluster is not held up while the gate is down, and everything else is.
    drop(webhook);
    namespace.create(&pod("closed", &[&good.tagged])).refused("failed calling webhook");
    let system = Namespace { cluster: &cluster, name: "kube-system" };
    system.kubectl(&["create", "serviceaccount", "default"]).ok();
    eventually("kube-system is open", || system.create(&pod("dns", &["example.org/dns"])).is_ok().then_some(()));
}
