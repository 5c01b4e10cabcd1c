//! Events: who owns a Pod hears why it is refused, or that it was let in by an exemption, where they look for it.
//!
//! They are sent in the background, and a review that is only tried (`dryRun`) sends none.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use portcullis_admission::Told;
use portcullis_errors::printable;
use tokio::sync::mpsc;

use super::asked;

/// Events that wait; more are dropped.
const MAX_WAITING: usize = 256;
/// The API server takes notes of up to 1 KiB.
const MAX_NOTE: usize = 1000;

/// Sends events.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Told>,
}

impl Events {
    pub(crate) fn start(client: Client) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(send_all(client, waiting));
        Self { queue }
    }

    /// Sends it some time.
    pub(crate) fn send(&self, told: Told) {
        if self.queue.try_send(told).is_err() {
            tracing::warn!("too many events wait: one is dropped");
        }
    }
}

async fn send_all(client: Client, mut waiting: mpsc::Receiver<Told>) {
    let instance = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let reporter = Reporter { controller: "portcullis.dev/webhook".to_owned(), instance };
    // It joins what is said again and again of the same object.
    let recorder = Recorder::new(client, reporter);
    while let Some(message) = waiting.recv().await {
        let (event, regarding) = event(message);
        if let Err(error) = asked(recorder.publish(&event, &regarding)).await {
            tracing::warn!(%error, "an event is not sent");
        }
    }
}

fn event(message: Told) -> (Event, ObjectReference) {
    let Told { reason, note, namespace, api_version, kind, name, uid } = message;
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(printable(&note.replace('\n', " | "), MAX_NOTE)),
        action: "Admission".to_owned(),
        secondary: None,
    };
    let regarding = ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind),
        name: Some(name),
        namespace: Some(namespace),
        uid,
        ..ObjectReference::default()
    };
    (event, regarding)
}
