//! Running Pods, looked at again: evidence grows old, exceptions end, policies change. What would be refused now is told,
//! by Events, in Reports and in the metrics; nothing is stopped.
//!
//! One replica does it at a time: whoever holds the Lease.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt as _, stream};
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
use tracing::Instrument as _;

use super::{asked, reports::OfPod};
use crate::{policies::now, state::Server, traces};

const LEASE: &str = "portcullis-recheck";
/// How long is waited for further changes of policies.
const SETTLE: Duration = Duration::from_secs(5);
/// How often is looked whether reviews can be answered.
const NOT_READY: Duration = Duration::from_millis(500);
/// The least time from the start of one round to the next.
const BETWEEN: Duration = Duration::from_secs(60);
/// Pods of one page: each may have more than a megabyte.
const PAGE: u32 = 25;
/// Pods that are looked at together: a registry that is slow holds up the others less.
const AT_ONCE: usize = 8;
/// How often in a row the API server may say that a list has grown too old.
pub(super) const MAX_OUTLIVED: u32 = 3;
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

impl Counts {
    const fn add(&mut self, Self { pass, fail, unknown }: Self) {
        self.pass += pass;
        self.fail += fail;
        self.unknown += unknown;
    }
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
            // Nobody tells when that is over, and the next tick may be hours away.
            while server.waits_for().is_some() {
                tokio::time::sleep(NOT_READY).await;
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
        let span = traces::recheck();
        let found = self.round(server).instrument(span.clone()).await;
        traces::rechecked(&span, found.as_ref().ok().copied());
        match found {
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
        let mut outlived = 0;
        let mut reporting = match &server.reports {
            Some(reports) => reports.begin().await,
            None => None,
        };
        loop {
            let mut page = ListParams::default().limit(PAGE);
            page.continue_token = next.take();
            let listed = match asked(api.list(&page)).await {
                Ok(listed) => listed,
                // The pages before took longer than the API server keeps what there was when the list began.
                Err(error) if outlived < MAX_OUTLIVED && error.remainder().is_some() => {
                    next = error.remainder().map(ToOwned::to_owned);
                    outlived += 1;
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            outlived = 0;
            // Lists are in the order of namespaces: of the last one more may come.
            let last = listed.items.last().and_then(|pod| pod.metadata.namespace.clone());
            let running = listed.items.into_iter().filter(|pod| is_running(pod, own));
            let mut looks = stream::iter(running).map(|pod| look_at(server, pod)).buffer_unordered(AT_ONCE);
            while let Some((found, of_pod)) = looks.next().await {
                counts.add(found);
                if let (Some(reporting), Some(of_pod)) = (&mut reporting, of_pod) {
                    reporting.take(of_pod);
                }
            }
            next = listed.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                if let Some(reporting) = reporting {
                    reporting.end().await;
                }
                return Ok(counts);
            }
            if let Some(reporting) = &mut reporting {
                reporting.write(last.as_deref()).await;
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

/// Whether a Pod is looked at. `own` is the webhook's namespace.
fn is_running(pod: &Pod, own: &str) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let is_over = matches!(phase, Some("Succeeded" | "Failed")) || pod.metadata.deletion_timestamp.is_some();
    namespace != EXCLUDED && namespace != own && !is_over
}

/// What would become of a Pod, and what its Report says where Reports are asked for.
async fn look_at(server: &Server, pod: Pod) -> (Counts, Option<OfPod>) {
    let mut counts = Counts::default();
    let Ok(mut object) = serde_json::to_value(pod) else { return (counts, None) };
    // A list of one kind does not repeat it.
    object["apiVersion"] = "v1".into();
    object["kind"] = "Pod".into();
    let looked = server.gate().look_again(&object).await;
    let of_pod = server.reports.as_ref().and_then(|_| OfPod::new(&object, &looked));
    let message = match looked {
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
    if let (Some(told), Some(events)) = (told, &server.events) {
        events.send(told);
    }
    (counts, of_pod)
}

fn is_free(lease: &Lease, me: &str, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return true };
    let Some(MicroTime(renewed)) = spec.renew_time else { return true };
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or_default()));
    spec.holder_identity.as_deref() == Some(me) || now.duration_since(renewed) > lasts
}

#[cfg(test)]
mod tests;
