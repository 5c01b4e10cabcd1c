//! What the webhook makes of a policy, told in its `status`.
//!
//! Several replicas write the same. Each writes once for a generation of an object and what it makes of it: so replicas
//! of two versions that disagree do not write in turns for ever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use portcullis_errors::printable;
use portcullis_model::Digest;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{asked, policies::Kind};
use crate::policies::now;

/// Statuses that wait to be written; more are dropped, and written when their object changes again.
const MAX_WAITING: usize = 4096;
const MAX_MESSAGE: usize = 4000;

/// What is told of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) is_ready: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) digest: Option<Digest>,
}

/// Writes in the background.
pub(super) struct StatusWriter {
    queue: mpsc::Sender<(Kind, DynamicObject, Value)>,
    written: Arc<Written>,
}

/// What was said of each object, by its uid: of which generation, and what.
type Written = Mutex<HashMap<String, (i64, Status)>>;

impl StatusWriter {
    pub(super) fn start(client: Client) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let written = Arc::<Written>::default();
        tokio::spawn(write_all(client, waiting, Arc::clone(&written)));
        Self { queue, written }
    }

    /// Writes unless the object says so already, or this process has said it before.
    pub(super) fn write(&self, kind: Kind, object: &DynamicObject, status: Status) {
        let generation = object.metadata.generation.unwrap_or_default();
        let wanted = wanted(object, generation, &status);
        if is_same(&object.data["status"], &wanted) {
            return;
        }
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let said = (generation, status);
        if written.get(&uid) == Some(&said) {
            return;
        }
        if written.len() >= MAX_WAITING {
            written.clear();
        }
        written.insert(uid, said);
        // A full queue is no reason to keep reviews waiting.
        _ = self.queue.try_send((kind, object.clone(), wanted));
    }
}

fn wanted(object: &DynamicObject, generation: i64, status: &Status) -> Value {
    let Status { is_ready, reason, message, digest } = status;
    let word = if *is_ready { "True" } else { "False" };
    let before = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let before = before.and_then(|all| all.iter().find(|one| one["type"] == "Ready" && one["status"] == word));
    let since = before.and_then(|one| one["lastTransitionTime"].as_str()).map(ToOwned::to_owned);
    json!({
        "observedGeneration": generation,
        "digest": digest.map(|digest| digest.to_string()),
        "conditions": [{
            "type": "Ready", "status": word, "reason": reason, "message": printable(message, MAX_MESSAGE),
            "observedGeneration": generation,
            "lastTransitionTime": since.unwrap_or_else(|| now().to_string()),
        }],
    })
}

/// The same but for the time.
fn is_same(is: &Value, wanted: &Value) -> bool {
    let without_time = |status: &Value| {
        let condition = |field: &str| status.pointer(&format!("/conditions/0/{field}")).cloned();
        (
            status.get("observedGeneration").cloned(),
            status.get("digest").cloned().filter(|digest| !digest.is_null()),
            [condition("type"), condition("status"), condition("reason"), condition("message")],
        )
    };
    without_time(is) == without_time(wanted)
}

async fn write_all(client: Client, mut waiting: mpsc::Receiver<(Kind, DynamicObject, Value)>, written: Arc<Written>) {
    while let Some((kind, object, status)) = waiting.recv().await {
        let name = object.name_any();
        let resource = kind.resource();
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        // With the version that was read: another replica may have been faster.
        let patch = json!({"metadata": {"resourceVersion": object.metadata.resource_version}, "status": status});
        let parameters = PatchParams::default();
        let patch = Patch::Merge(&patch);
        match asked(api.patch_status(&name, &parameters, &patch)).await {
            Ok(_) => continue,
            // It has changed meanwhile, so it comes by again.
            Err(error) if error.is_outrun() || error.is_gone() => {}
            Err(error) => tracing::warn!(name, %error, "the status of a policy is not written"),
        }
        let uid = object.metadata.uid.unwrap_or_default();
        written.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}
