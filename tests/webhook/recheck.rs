//! Running Pods on the real API server, looked at again: counted by what would become of them now, by one replica at a
//! time, which gives its Lease back at its end.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::Replica,
    images::{Image, policy, registry},
    kubectl::{Namespace, pod},
};

fn metrics(cluster: &Cluster, webhook: &Replica) -> String {
    let authority = reqwest::Certificate::from_pem(cluster.authority.certificate.as_bytes()).unwrap();
    let client = reqwest::blocking::Client::builder().tls_certs_only([authority]).build().unwrap();
    client.get(format!("https://{}/metrics", webhook.address)).send().unwrap().text().unwrap()
}

fn lease(cluster: &Cluster) -> Value {
    cluster.kubectl(&["get", "lease", "portcullis-recheck", "-n", "default", "-o", "json"]).json()
}

#[test]
fn running_pods_are_counted_by_one_replica_that_gives_its_lease_back() {
    let Some(cluster) = portcullis_tests::is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, "recheck");
    let image = Image::push("recheck/app:v1");
    // It was let in before there was a webhook.
    namespace.kubectl_with(&["create", "-f", "-"], &pod("app", &[&image.tagged])).ok();
    let flags = [format!("--kubeconfig={}", cluster.kubeconfig().display()), "--recheck=1s".to_owned()];
    let flags = [flags[0].as_str(), &flags[1]];
    let mut webhook = Replica::start(cluster, &policy(registry(), ""), registry(), &flags);
    let text = eventually("running Pods are counted", || {
        let text = metrics(cluster, &webhook);
        text.contains("portcullis_webhook_running_pods{").then_some(text)
    });
    let count = text.lines().find_map(|line| line.strip_prefix("portcullis_webhook_running_pods{result=\"fail\"} "));
    assert!(count.unwrap().parse::<u64>().unwrap() >= 1, "{text}");
    assert!(text.contains("portcullis_webhook_running_pods_seen_timestamp_seconds "), "{text}");
    assert!(lease(cluster)["spec"]["holderIdentity"].is_string());
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    assert!(lease(cluster)["spec"]["holderIdentity"].is_null(), "{}", lease(cluster));
}

/// What a list says that has grown too old, on which a long round relies.
#[test]
fn a_list_that_has_grown_too_old_says_where_it_goes_on() {
    if !portcullis_tests::is_on() {
        return;
    }
    // A control plane of its own: others are not to notice. Without the snapshots that its cache keeps, so that what etcd
    // has forgotten is forgotten.
    let flags = ["--feature-gates=ListFromCacheSnapshot=false"];
    let Some(cluster) = Cluster::start("lists", &flags, false) else { return };
    let list = |query: &str| {
        let url = format!("{}/api/v1/namespaces?limit=1{query}", cluster.url());
        let answer = cluster.http().get(url).bearer_auth(&cluster.token).send().unwrap();
        serde_json::from_str::<Value>(&answer.text().unwrap()).unwrap()
    };
    let first = list("");
    let next = |list: &Value| format!("&continue={}", list["metadata"]["continue"].as_str().unwrap());
    cluster.kubectl(&["create", "namespace", "later"]).ok();
    cluster.compact();
    let gone = list(&next(&first));
    assert_eq!((&gone["code"], &gone["reason"]), (&json!(410), &json!("Expired")), "{gone}");
    let second = list(&next(&gone));
    assert_eq!(second["items"].as_array().unwrap().len(), 1, "{second}");
    assert_ne!(first["items"], second["items"]);
}
