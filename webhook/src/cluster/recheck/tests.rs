//! Rounds at an API server and registries that behave as they may.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode, Uri},
};
use portcullis_admission::PolicySet;
use portcullis_attest::SigningKey;
use portcullis_policy::Policy;
use serde_json::{Value, json};

use super::*;
use crate::{state::tests::server, traces::tests::recorded};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// An API server with two pages of one Pod each, and one Lease.
#[derive(Default)]
struct Fake {
    lease: Option<Value>,
    /// Whether another replica takes the Lease while the first page is read.
    is_taken: bool,
    /// How many tokens are too old.
    expired: u32,
    /// The images of the Pods of its only page, in place of the two.
    images: Vec<String>,
}

async fn answer(State(fake): State<Arc<Mutex<Fake>>>, request: Request) -> (StatusCode, Json<Value>) {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let mut fake = fake.lock().unwrap();
    if uri.path() == "/api/v1/pods" {
        let is_last = uri.query().is_some_and(|query| query.contains("continue=more"));
        if is_last && fake.expired > 0 {
            fake.expired -= 1;
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
                "code": 410, "message": "too old", "metadata": {"continue": "more2"}});
            return (StatusCode::GONE, Json(status));
        }
        let (image, next) = if is_last { ("audited", "") } else { ("other", "more") };
        if fake.is_taken {
            let renewed = Timestamp::now().to_string();
            fake.lease = Some(json!({"metadata": {"name": LEASE}, "spec": {
                "holderIdentity": "other", "leaseDurationSeconds": 600, "renewTime": renewed}}));
        }
        let (images, next) = match fake.images.as_slice() {
            [] => (vec![format!("registry.example/{image}/app@{DIGEST}")], next),
            images => (images.to_vec(), ""),
        };
        let pod = |image: &String| {
            json!({"metadata": {"name": "p", "namespace": "team"}, "spec": {"containers": [
                {"name": "c", "image": image}]}})
        };
        let pods: Vec<Value> = images.iter().map(pod).collect();
        return (StatusCode::OK, Json(json!({"metadata": {"continue": next}, "items": pods})));
    }
    assert!(uri.path().contains("/leases"), "{uri}");
    if method != Method::GET {
        fake.lease = Some(serde_json::from_slice(&body).unwrap());
    }
    match fake.lease.clone() {
        Some(lease) => (StatusCode::OK, Json(lease)),
        None => (StatusCode::NOT_FOUND, Json(json!({"reason": "NotFound", "code": 404}))),
    }
}

async fn fake() -> (Arc<Mutex<Fake>>, impl Fn(&str) -> Recheck) {
    let fake = Arc::<Mutex<Fake>>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&fake));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let every = Duration::from_secs(3600);
    (fake, move |me: &str| Recheck { client: client.clone(), every, me: me.to_owned() })
}

/// One that only warns of the second Pod. Of the first, nothing is said.
fn policies() -> PolicySet {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n  mode: \
                audit\n  images: [registry.example/audited/**]\n  vulnerabilities: {failOn: high}\n";
    Policy::parse(text, "policy.yaml", now()).unwrap().into()
}

#[tokio::test]
async fn what_would_be_refused_is_counted_and_nothing_of_half_a_round() {
    let ((fake, recheck), server) = (fake().await, server(policies()));
    let me = recheck("me");
    let (counts, _) = me.look(&server).await.unwrap();
    assert_eq!(counts, Counts { pass: 1, fail: 1, unknown: 0 });
    server.metrics.running(me.look(&server).await);
    let text = || server.metrics.text(0, 0);
    assert!(text().contains("running_pods{result=\"fail\"} 1\n") && text().contains("_seen_timestamp_seconds "));
    fake.lock().unwrap().is_taken = true;
    server.metrics.running(me.look(&server).await);
    assert!(!text().contains("running_pods"), "{}", text());
}

#[tokio::test]
async fn a_list_that_grew_old_meanwhile_goes_on_where_it_was() {
    let ((fake, recheck), server) = (fake().await, server(policies()));
    fake.lock().unwrap().expired = 2;
    let (counts, _) = recheck("me").look(&server).await.unwrap();
    assert_eq!(counts, Counts { pass: 1, fail: 1, unknown: 0 });
    // An API server that takes none of its own tokens is not asked for ever.
    fake.lock().unwrap().expired = u32::MAX;
    assert_eq!(recheck("me").look(&server).await, None);
}

#[tokio::test]
async fn a_round_is_one_span_that_says_what_it_counted() {
    let ((fake, recheck), server) = (fake().await, server(policies()));
    let me = recheck("me");
    let told = |span: &opentelemetry_sdk::trace::SpanData| {
        let attributes = span.attributes.iter().map(|one| format!("{}={}", one.key, one.value));
        format!("{} {:?} {}", span.name, span.status, attributes.collect::<Vec<_>>().join(" "))
    };
    let (_, spans) = recorded(me.look(&server)).await;
    let expected = "recheck Unset portcullis.pods.pass=1 portcullis.pods.fail=1 portcullis.pods.unknown=0";
    assert_eq!(spans.iter().map(told).collect::<Vec<_>>(), [expected], "its images have none");
    fake.lock().unwrap().is_taken = true;
    let (_, spans) = recorded(me.look(&server)).await;
    assert!(told(&spans[0]).starts_with("recheck Error"), "{spans:?}");
    let (looked, spans) = recorded(me.look(&server)).await;
    assert!(looked.is_none() && spans.is_empty(), "another replica looks");
}

/// A registry that holds back the first answer about each repository until so many are asked for at once.
#[derive(Default)]
struct Slow {
    seen: Mutex<BTreeSet<String>>,
    waiting: AtomicUsize,
    is_met: AtomicBool,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn hold_back(State(slow): State<Arc<Slow>>, uri: Uri) -> StatusCode {
    let repository = uri.path().split('/').nth(2).unwrap_or_default().to_owned();
    if slow.seen.lock().unwrap().insert(repository) {
        let all = slow.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        let _waiting = Waiting(&slow.waiting);
        slow.is_met.fetch_or(all == AT_ONCE, Ordering::SeqCst);
        while !slow.is_met.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    StatusCode::NOT_FOUND
}

async fn slow() -> (SocketAddr, Arc<Slow>) {
    let slow = Arc::<Slow>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = Router::new().fallback(hold_back).with_state(Arc::clone(&slow));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (at, slow)
}

#[tokio::test]
async fn a_slow_registry_is_waited_for_by_several_pods_at_once() {
    let (registry, slow) = slow().await;
    let key = SigningKey::generate().unwrap().verifying_key().to_pem();
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {{name: p}}\nspec:\n  \
         evidence: {{authorities: [{{key: {}}}]}}\n",
        serde_json::to_string(&key).unwrap()
    );
    let server = server(Policy::parse(&text, "policy.yaml", now()).unwrap().into());
    let (fake, recheck) = fake().await;
    let images = (0..AT_ONCE).map(|number| format!("{registry}/{number:02}/app@{DIGEST}"));
    fake.lock().unwrap().images = images.collect();
    let (counts, _) = recheck("me").look(&server).await.unwrap();
    assert_eq!((counts.fail, slow.is_met.load(Ordering::SeqCst)), (AT_ONCE as u64, true));
}

#[tokio::test]
async fn the_lease_is_given_back_and_not_taken_again_at_the_end() {
    let ((fake, recheck), server) = (fake().await, server(policies()));
    let (me, other) = (recheck("me"), recheck("other"));
    assert!(me.holds(&server).await && !other.holds(&server).await);
    other.release().await;
    assert!(!other.holds(&server).await, "it was not its own to give back");
    server.is_ending.store(true, Ordering::Relaxed);
    me.release().await;
    assert!(!me.holds(&server).await);
    server.is_ending.store(false, Ordering::Relaxed);
    assert!(other.holds(&server).await, "{:?}", fake.lock().unwrap().lease);
}

#[test]
fn a_lease_is_taken_from_who_is_gone_alone() {
    let now = Timestamp::now();
    let held = |holder: &str, seconds_ago: i64| Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(60),
            renew_time: Some(MicroTime(now - SignedDuration::from_secs(seconds_ago))),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    };
    assert!(is_free(&held("me", 1), "me", now));
    assert!(!is_free(&held("other", 59), "me", now));
    assert!(is_free(&held("other", 61), "me", now));
    assert!(is_free(&Lease::default(), "me", now));
}

/// The namespaces may be there only after the policies, and tell nobody.
#[tokio::test]
async fn the_first_round_waits_for_what_the_server_waits_for() {
    let ((_fake, recheck), server) = (fake().await, Arc::new(server(policies())));
    assert!(server.waits_for().is_some());
    let keeping = tokio::spawn({
        let (me, server) = (recheck("me"), Arc::clone(&server));
        async move { me.keep(&server).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.metrics.text(0, 0).contains("running_pods"));
    server.waits_for_policies.store(false, Ordering::Relaxed);
    let seen = async {
        while !server.metrics.text(0, 0).contains("running_pods") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap();
    keeping.abort();
}
