//! The gate in a cluster's bad hours: replicas that go, objects that are too large, bodies that are no reviews.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis_tests::is_on;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    front::Front,
    gate::{Configured, Guarded, Replica},
    images::{Image, policy, registry},
    kubectl::{Namespace, pod},
};

#[test]
fn without_a_webhook_nothing_starts_in_what_it_guards() {
    let Some(guarded) = Guarded::new("down") else { return };
    let image = Image::signed("down/app:v1");
    guarded.namespace.create(&pod("before", &[&image.tagged])).ok();
    let Guarded { configured: _configured, webhook, namespace } = guarded;
    drop(webhook);
    namespace.create(&pod("app", &[&image.pinned])).refused("failed calling webhook \"pin.portcullis.dev\"");
    let refused = namespace.kubectl(&["set", "image", "pod/before", "c0=example.org/other"]);
    refused.refused("failed calling webhook \"pin.portcullis.dev\"");
    // What runs goes on running, and can be removed.
    namespace.kubectl(&["delete", "pod", "before"]).ok();
    // What only warns stands in nobody's way.
    namespace.create(&crate::kubectl::deployment("app", 0, &[&image.tagged])).ok();
    // Elsewhere nothing is asked.
    let elsewhere = Namespace::new(namespace.cluster, "down-elsewhere");
    elsewhere.create(&pod("app", &[&image.tagged])).ok();
}

#[test]
fn no_review_is_lost_while_both_replicas_are_replaced_under_load() {
    let Some(cluster) = is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, "replaced");
    // The API server speaks HTTP/2 to a webhook that it knows by its address.
    let front = Front::at(([127, 0, 0, 1], 0).into());
    let client = json!({"url": format!("https://{}", front.address)});
    replaced_under_load(namespace, &front, &client);
}

#[test]
fn no_review_is_lost_behind_a_service_either() {
    let Some(cluster) = is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, "replaced-service");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "portcullis-webhook"},
        "spec": {"ports": [{"port": 443}]}});
    namespace.create(&service).ok();
    let address = namespace.field("service", "portcullis-webhook", "/spec/clusterIP");
    // And HTTP/1.1 to a Service.
    let front = Front::at(format!("{}:443", address.as_str().unwrap()).parse().unwrap());
    let client = json!({"service": {"name": "portcullis-webhook", "namespace": "replaced-service"}});
    replaced_under_load(namespace, &front, &client);
}

fn replaced_under_load(namespace: Namespace<'_>, front: &Front, client: &Value) {
    let cluster = namespace.cluster;
    let text = policy(registry(), "");
    let start = || Replica::start(cluster, &text, registry(), &[]);
    let mut replicas = [start(), start()];
    let addresses = |replicas: &[Replica; 2]| [replicas[0].address, replicas[1].address];
    front.lead_to(&addresses(&replicas));
    let _configured = Configured::by(namespace, client);
    let image = Image::signed(&format!("{}/app:v1", namespace.name));
    let load = Load::start(cluster, namespace.name, &image.tagged);
    load.goes_on(50);
    for index in 0..2 {
        // As when a Pod is deleted: it leaves the Service, is told to end, and another one comes.
        front.lead_to(&[replicas[1 - index].address]);
        load.goes_on(20);
        replicas[index].signal("TERM");
        assert!(replicas[index].wait().success());
        load.goes_on(20);
        replicas[index] = start();
        front.lead_to(&addresses(&replicas));
        load.goes_on(50);
    }
    let (answered, wrong) = load.end();
    assert!(wrong.is_empty(), "{} of {answered} were lost: {:?}", wrong.len(), wrong.first());
}

/// Clients that create Pods, as dry runs.
pub struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    /// As fast as they are answered.
    fn start(cluster: &Cluster, namespace: &str, image: &str) -> Self {
        Self::with_pauses(cluster, namespace, image, Duration::ZERO)
    }

    /// Some forty in a second, for what takes long.
    pub fn paced(cluster: &Cluster, namespace: &str, image: &str) -> Self {
        Self::with_pauses(cluster, namespace, image, Duration::from_millis(100))
    }

    fn with_pauses(cluster: &Cluster, namespace: &str, image: &str, pause: Duration) -> Self {
        let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |client: usize| {
            let (http, token) = (cluster.http(), cluster.token.clone());
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            let url = format!("{}/api/v1/namespaces/{namespace}/pods?dryRun=All", cluster.url());
            let body = pod(&format!("client-{client}"), &[image]).to_string();
            thread::spawn(move || {
                let mut wrong = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let request = http.post(&url).bearer_auth(&token).header("content-type", "application/json");
                    let answer = request.body(body.clone()).send().unwrap();
                    if answer.status() != 201 {
                        wrong.push(answer.text().unwrap());
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(pause);
                }
                wrong
            })
        };
        let clients = (0..4).map(client).collect();
        Self { is_over, answered, clients }
    }

    /// Waits for so many answers more.
    pub fn goes_on(&self, count: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + count;
        eventually("reviews go on", || (self.answered.load(Ordering::Relaxed) >= wanted).then_some(()));
    }

    /// How many were answered, and what was answered with anything but a Pod.
    pub fn end(self) -> (usize, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let wrong = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (self.answered.load(Ordering::Relaxed), wrong)
    }
}

#[test]
fn large_objects_and_many_images_are_decided_or_refused() {
    let Some(guarded) = Guarded::new("large") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, bad) = (Image::signed("large/good:v1"), Image::push("large/bad:v1"));
    let filled = |name: &str, image: &Image, bytes: usize| {
        let mut object = pod(name, &[&image.tagged]);
        object["spec"]["containers"][0]["env"] = json!([{"name": "FILL", "value": "x".repeat(bytes)}]);
        object
    };
    // About as large as etcd stores; an UPDATE sends it twice.
    let large = 1_400_000;
    namespace.create(&filled("large", &good, large)).ok();
    namespace.create(&filled("bad", &bad, large)).refused("no trusted verdict is attested");
    namespace.kubectl(&["label", "pod", "large", "seen=yes"]).ok();
    namespace.kubectl(&["set", "image", "pod/large", &format!("c0={}", bad.tagged)]).refused("no trusted verdict");
    // As large as the API server takes: reviewed, and refused by etcd alone.
    namespace.create(&filled("larger", &good, 1_700_000)).refused("etcdserver: request is too large");
    namespace.create(&filled("largest", &good, 2_900_000)).refused("trying to send message larger than max");
    // Signs that the API server writes in six: more than the webhook reads. It says 413, and nothing passes.
    let mut escaped = filled("escaped", &good, 0);
    escaped["spec"]["containers"][0]["env"][0]["value"] = "<".repeat(1_500_000).into();
    let cluster = namespace.cluster;
    let request = cluster.http().post(format!("{}/api/v1/namespaces/large/pods", cluster.url()));
    let request = request.bearer_auth(&cluster.token).header("content-type", "application/json");
    let answer = request.body(escaped.to_string()).send().unwrap();
    let (status, text) = (answer.status(), answer.text().unwrap());
    let is_told = text.contains("pin.portcullis.dev") && text.contains("413");
    assert!(!status.is_success() && is_told, "{status} {}", &text[..500.min(text.len())]);

    let many = |name: &str, count: usize, image: &dyn Fn(usize) -> String| {
        let images: Vec<String> = (0..count).map(image).collect();
        pod(name, &images.iter().map(String::as_str).collect::<Vec<_>>())
    };
    namespace.create(&many("many", 200, &|_| good.tagged.clone())).ok();
    let containers = namespace.field("pod", "many", "/spec/containers");
    let pinned = containers.as_array().unwrap().iter().filter(|container| container["image"] == good.pinned.as_str());
    assert_eq!(pinned.count(), 200);
    // One that is unsigned among many is found.
    let one = |index: usize| if index == 137 { bad.tagged.clone() } else { good.tagged.clone() };
    namespace.create(&many("one", 200, &one)).refused(&bad.pinned);
    // Two hundred that are nowhere, each asked for: refused within the time that the API server waits.
    let host = registry();
    let told = namespace.create(&many("nowhere", 200, &|index| format!("{host}/large/nowhere-{index}:v1")));
    told.refused("admission webhook \"pin.portcullis.dev\" denied the request");
    namespace.create(&many("too-many", 257, &|_| good.tagged.clone())).refused("more than 256 images");
}

#[test]
fn bodies_that_are_no_reviews_are_answered_and_harm_nobody() {
    let Some(guarded) = Guarded::new("malformed") else { return };
    let Guarded { namespace, webhook, .. } = &guarded;
    let http = namespace.cluster.http();
    let review =
        |version: &str, request: Value| json!({"apiVersion": version, "kind": "AdmissionReview", "request": request});
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "\u{0}".repeat(1000),
        "[".repeat(100_000),
        review("admission.k8s.io/v1beta1", json!({"uid": "u"})).to_string(),
        review("admission.k8s.io/v1", Value::Null).to_string(),
        review("admission.k8s.io/v1", json!({"uid": "u", "operation": "CREATE", "object": null})).to_string(),
        review("admission.k8s.io/v1", json!({"uid": "u", "operation": "CONNECT", "object": pod("p", &[])})).to_string(),
        review("admission.k8s.io/v1", json!({"uid": 7})).to_string(),
        "x".repeat(20 << 20),
    ];
    for path in ["mutate", "validate"] {
        for body in &bodies {
            let request = http.post(format!("https://{}/{path}", webhook.address)).body(body.clone());
            // Cut off, refused by status, or refused in a review.
            let Ok(answer) = request.send() else { continue };
            let status = answer.status();
            let answer: Value = serde_json::from_str(&answer.text().unwrap_or_default()).unwrap_or_default();
            let is_refused = !status.is_success() || answer["response"]["allowed"] == false;
            assert!(is_refused, "{status} {answer} for {}", &body[..100.min(body.len())]);
        }
    }
    let image = Image::signed("malformed/app:v1");
    namespace.create(&pod("app", &[&image.tagged])).ok();
}

#[test]
fn etcd_may_restart() {
    // A control plane of its own: others are not to notice. Without controllers nobody makes service accounts.
    let Some(cluster) = is_on().then(|| Cluster::start("etcd", &[], false)).flatten() else { return };
    let text = policy(registry(), "");
    let webhook = Replica::start(&cluster, &text, registry(), &[]);
    cluster.kubectl(&["create", "namespace", "etcd"]).ok();
    let namespace = Namespace { cluster: &cluster, name: "etcd" };
    namespace.kubectl(&["create", "serviceaccount", "default"]).ok();
    let _configured = Configured::new(namespace, webhook.address);
    let (good, bad) = (Image::signed("etcd/good:v1"), Image::push("etcd/bad:v1"));
    namespace.create(&pod("before", &[&good.tagged])).ok();
    cluster.kill("etcd");
    assert!(!namespace.create(&pod("during", &[&good.tagged])).is_ok());
    cluster.start_etcd();
    eventually("the API server writes again", || {
        namespace.create(&pod("after", &[&good.tagged])).is_ok().then_some(())
    });
    namespace.create(&pod("bad", &[&bad.tagged])).refused("no trusted verdict is attested");
    assert_eq!(namespace.field("pod", "before", "/spec/containers/0/image"), good.pinned.as_str());
}
