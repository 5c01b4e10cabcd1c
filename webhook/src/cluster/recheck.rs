//! Running Pods, looked at again: evidence grows old, exceptions end, policies change. What would be refused now is told,
//! by Events and in the metrics; nothing is stopped.
//!
//! One replica does it at a time: whoever holds the Lease.

use std::{sync::atomic::Ordering, time::Duration};

use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PostParams},
};
use portcullis_admission::Told;
use tokio::time::Instant;

use super::asked;
use crate::{policies::now, state::Server};

const LEASE: &str = "portcullis-recheck";
/// How long is waited for further changes of policies.
const SETTLE: Duration = Duration::from_secs(5);
/// The least time from the start of one round to the next.
const BETWEEN: Duration = Duration::from_secs(60);
/// Pods of one page.
const PAGE: u32 = 250;
/// What no policy can speak of without keeping a cluster from starting: the configurations exclude it, too.
const EXCLUDED: &str = "kube-system";

/// What was found in one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pods that would be let in.
    pub(crate) pass: u64,
    /// Pods that would be refused.
    pub(crate) fail: u64,
    /// Pods whose images cannot be told.
    pub(crate) unknown: u64,
}

/// Looks at running Pods again.
pub(crate) struct Recheck {
    client: Client,
    every: Duration,
    /// How this process is called in the Lease.
    me: String,
}

impl Recheck {
    pub(crate) fn new(client: Client, every: Duration) -> Self {
        let me = std::env::var("HOSTNAME").unwrap_or_else(|_missing| format!("process-{}", std::process::id()));
        Self { client, every, me }
    }

    /// Looks again every so often and when policies change, until the process ends.
    pub(crate) async fn keep(&self, server: &Server) {
        let mut ticks = tokio::time::interval(self.every);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // Policies seldom change alone.
                () = server.changed.notified() => tokio::time::sleep(SETTLE).await,
            }
            if server.waits_for().is_some() {
                continue;
            }
            let started = Instant::now();
            server.metrics.running(self.look(server).await);
            // Whoever changes policies all the time does not keep registries busy by it.
            tokio::time::sleep_until(started + BETWEEN.min(self.every)).await;
        }
    }

    /// One round, and when it ended; none where there was no whole one.
    async fn look(&self, server: &Server) -> Option<(Counts, u64)> {
        if !self.holds(server).await {
            return None;
        }
        match self.round(server).await {
            Ok(counts) => {
                let Counts { pass, fail, unknown } = counts;
                tracing::info!(pass, fail, unknown, "running Pods were looked at again");
                Some((counts, now().unix().unsigned_abs()))
            }
            Err(error) => {
                tracing::warn!(error, "not all running Pods were looked at again");
                None
            }
        }
    }

    async fn round(&self, server: &Server) -> Result<Counts, String> {
        let api: Api<Pod> = Api::all(self.client.clone());
        let own = self.client.default_namespace();
        let mut counts = Counts::default();
        let mut next: Option<String> = None;
        loop {
            let mut page = ListParams::default().limit(PAGE);
            page.continue_token = next.take();
            let listed = asked(api.list(&page)).await.map_err(|error| error.to_string())?;
            for pod in listed.items {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                let is_over =
                    matches!(phase, Some("Succeeded" | "Failed")) || pod.metadata.deletion_timestamp.is_some();
                if namespace != EXCLUDED && namespace != own && !is_over {
                    look_at(server, pod, &mut counts).await;
                }
            }
            next = listed.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(counts);
            }
            // A long round outlives the Lease unless that is renewed.
            if !self.holds(server).await {
                return Err("the Lease is another's now".to_owned());
            }
        }
    }

    /// Gives the Lease back at the end, so that another replica need not wait for its time to pass.
    pub(crate) async fn release(&self) {
        let api: Api<Lease> = Api::default_namespaced(self.client.clone());
        let Ok(Some(lease)) = asked(api.get_opt(LEASE)).await else { return };
        if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.me) {
            return;
        }
        let free = Lease { spec: Some(LeaseSpec::default()), ..lease };
        if let Err(error) = asked(api.replace(LEASE, &PostParams::default(), &free)).await {
            tracing::warn!(%error, "cannot give back the Lease of the look at running Pods");
        }
    }

    /// Whether the Lease is ours: taken where nobody holds it, or where its holder is gone.
    async fn holds(&self, server: &Server) -> bool {
        // At the end it is given back, and not taken again.
        if server.is_ending.load(Ordering::Relaxed) {
            return false;
        }
        let api: Api<Lease> = Api::default_namespaced(self.client.clone());
        let lease = match asked(api.get_opt(LEASE)).await {
            Ok(lease) => lease,
            Err(error) => {
                tracing::warn!(%error, "cannot read the Lease of the look at running Pods");
                return false;
            }
        };
        let now = Timestamp::now();
        let seconds = i32::try_from(self.every.as_secs().saturating_mul(2).max(30)).unwrap_or(i32::MAX);
        let spec = LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        };
        let stored = match lease {
            None => {
                let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
                asked(api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) })).await
            }
            Some(held) if is_free(&held, &self.me, now) => {
                let lease = Lease { spec: Some(spec), ..held };
                asked(api.replace(LEASE, &PostParams::default(), &lease)).await
            }
            Some(_) => return false,
        };
        match stored {
            Ok(_) => true,
            Err(error) if error.is_outrun() => false,
            Err(error) => {
                tracing::warn!(%error, "cannot take the Lease of the look at running Pods");
                false
            }
        }
    }
}

async fn look_at(server: &Server, pod: Pod, counts: &mut Counts) {
    let Ok(mut object) = serde_json::to_value(pod) else { return };
    // A list of one kind does not repeat it.
    object["apiVersion"] = "v1".into();
    object["kind"] = "Pod".into();
    let message = match server.gate().look_again(&object).await {
        Ok(decision) => {
            let counted = if decision.allowed { &mut counts.pass } else { &mut counts.fail };
            *counted += 1;
            decision.message
        }
        Err(error) => {
            counts.unknown += 1;
            Some(error.to_string())
        }
    };
    let told = message.and_then(|message| Told::of_running(&object, &message));
    if let (Some(told), Some(events)) = (told, server.events()) {
        events.send(told);
    }
}

fn is_free(lease: &Lease, me: &str, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return true };
    let Some(MicroTime(renewed)) = spec.renew_time else { return true };
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or_default()));
    spec.holder_identity.as_deref() == Some(me) || now.duration_since(renewed) > lasts
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Json, Router,
        extract::{Request, State},
        http::{Method, StatusCode},
    };
    use portcullis_admission::PolicySet;
    use portcullis_policy::Policy;
    use serde_json::{Value, json};

    use super::*;
    use crate::state::tests::server;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// An API server with two pages of one Pod each, and one Lease.
    #[derive(Default)]
    struct Fake {
        lease: Option<Value>,
        /// Whether another replica takes the Lease while the first page is read.
        is_taken: bool,
    }

    async fn answer(State(fake): State<Arc<Mutex<Fake>>>, request: Request) -> (StatusCode, Json<Value>) {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let mut fake = fake.lock().unwrap();
        if uri.path() == "/api/v1/pods" {
            let is_last = uri.query().is_some_and(|query| query.contains("continue=more"));
            let (image, next) = if is_last { ("audited", "") } else { ("other", "more") };
            if fake.is_taken {
                let renewed = Timestamp::now().to_string();
                fake.lease = Some(json!({"metadata": {"name": LEASE}, "spec": {
                    "holderIdentity": "other", "leaseDurationSeconds": 600, "renewTime": renewed}}));
            }
            let pod = json!({"metadata": {"name": "p", "namespace": "team"}, "spec": {"containers": [
                {"name": "c", "image": format!("registry.example/{image}/app@{DIGEST}")}]}});
            return (StatusCode::OK, Json(json!({"metadata": {"continue": next}, "items": [pod]})));
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
}
