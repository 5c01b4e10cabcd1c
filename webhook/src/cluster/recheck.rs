//! Running Pods, looked at again: evidence grows old, exceptions end, policies change. What would be refused now is told,
//! by Events and in the metrics; nothing is stopped.
//!
//! One replica does it at a time: whoever holds the Lease.

use std::{sync::Arc, time::Duration};

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
use portcullis_model::Outcome;

use super::asked;
use crate::state::Server;

const LEASE: &str = "portcullis-recheck";
/// How long is waited for further changes of policies.
const SETTLE: Duration = Duration::from_secs(5);
/// Pods of one page.
const PAGE: u32 = 250;
/// What no policy can speak of without keeping a cluster from starting: the configurations exclude it, too.
const EXCLUDED: &str = "kube-system";

/// What was found in one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pass: u64,
    pub(crate) fail: u64,
    pub(crate) unknown: u64,
}

/// Looks again every so often and when policies change, until the process ends.
pub(crate) async fn keep(server: Arc<Server>, client: Client, every: Duration) {
    let me = std::env::var("HOSTNAME").unwrap_or_else(|_missing| format!("process-{}", std::process::id()));
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Policies seldom change alone.
            () = server.changed.notified() => tokio::time::sleep(SETTLE).await,
        }
        if server.waits_for().is_some() || !holds(&client, &me, every).await {
            continue;
        }
        match round(&server, &client).await {
            Ok(counts) => {
                let Counts { pass, fail, unknown } = counts;
                tracing::info!(pass, fail, unknown, "running Pods were looked at again");
                server.metrics.running(counts);
            }
            Err(error) => tracing::warn!(error, "cannot look at running Pods again"),
        }
    }
}

async fn round(server: &Server, client: &Client) -> Result<Counts, String> {
    let api: Api<Pod> = Api::all(client.clone());
    let own = client.default_namespace().to_owned();
    let mut counts = Counts::default();
    let mut next: Option<String> = None;
    loop {
        let mut page = ListParams::default().limit(PAGE);
        page.continue_token = next.take();
        let listed = asked(api.list(&page)).await.map_err(|error| error.to_string())?;
        for pod in listed.items {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let is_over = matches!(phase, Some("Succeeded" | "Failed")) || pod.metadata.deletion_timestamp.is_some();
            if namespace == EXCLUDED || namespace == own || is_over {
                continue;
            }
            look(server, pod, &mut counts).await;
        }
        next = listed.metadata.continue_.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(counts);
        }
    }
}

async fn look(server: &Server, pod: Pod, counts: &mut Counts) {
    let Ok(mut object) = serde_json::to_value(pod) else { return };
    // A list of one kind does not repeat it.
    object["apiVersion"] = "v1".into();
    object["kind"] = "Pod".into();
    let decided = server.gate().look_again(&object).await;
    let (outcome, message) = match decided {
        Ok(decision) => (decision.outcome(), decision.message),
        Err(error) => (Outcome::Unknown, Some(error.to_string())),
    };
    match outcome {
        Outcome::Pass => counts.pass += 1,
        Outcome::Fail => counts.fail += 1,
        Outcome::Unknown => counts.unknown += 1,
    }
    let told = message.and_then(|message| Told::of_running(&object, &message));
    if let (Some(told), Some(events)) = (told, server.events()) {
        events.send(told);
    }
}

/// Whether the Lease is ours: taken where nobody holds it, or where its holder is gone.
async fn holds(client: &Client, me: &str, every: Duration) -> bool {
    let api: Api<Lease> = Api::default_namespaced(client.clone());
    let lease = match asked(api.get_opt(LEASE)).await {
        Ok(lease) => lease,
        Err(error) => {
            tracing::warn!(%error, "cannot read the Lease of the look at running Pods");
            return false;
        }
    };
    let now = Timestamp::now();
    let seconds = i32::try_from(every.as_secs().saturating_mul(2).max(30)).unwrap_or(i32::MAX);
    let spec = LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(seconds),
        renew_time: Some(MicroTime(now)),
        ..LeaseSpec::default()
    };
    let stored = match lease {
        None => {
            let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
            asked(api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) })).await
        }
        Some(held) if is_free(&held, me, now) => {
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

fn is_free(lease: &Lease, me: &str, now: Timestamp) -> bool {
    let Some(spec) = &lease.spec else { return true };
    let Some(MicroTime(renewed)) = spec.renew_time else { return true };
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or_default()));
    spec.holder_identity.as_deref() == Some(me) || now.duration_since(renewed) > lasts
}

#[cfg(test)]
mod tests {
    use super::*;

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
