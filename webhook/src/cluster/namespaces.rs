//! Namespaces, watched: their labels say which policies speak in them.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use serde_json::Value;

use super::asked;

/// All namespaces, as last seen.
pub(crate) struct Namespaces {
    client: Client,
    known: RwLock<HashMap<String, Arc<Value>>>,
    is_complete: AtomicBool,
}

impl Namespaces {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: RwLock::default(), is_complete: AtomicBool::new(false) }
    }

    /// Whether all were listed once.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Watches until the process ends. What was seen stays known while the API server is away.
    pub(crate) async fn watch(self: Arc<Self>) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed = HashMap::new(),
                Ok(Event::InitApply(namespace)) => listed.extend(kept(namespace)),
                Ok(Event::InitDone) => {
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut listed);
                    self.is_complete.store(true, Ordering::Relaxed);
                }
                Ok(Event::Apply(namespace)) => {
                    self.known.write().unwrap_or_else(PoisonError::into_inner).extend(kept(namespace));
                }
                Ok(Event::Delete(namespace)) => {
                    let name = namespace.metadata.name.unwrap_or_default();
                    self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
                }
                Err(error) => tracing::warn!(error = portcullis_errors::chain(&error), "cannot watch namespaces"),
            }
        }
    }

    /// The Namespace of this name.
    pub(super) async fn get(&self, name: &str) -> Option<Arc<Value>> {
        match self.known(name) {
            Some(known) => Some(known),
            None => self.ask(name).await,
        }
    }

    fn known(&self, name: &str) -> Option<Arc<Value>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// One that was made a moment ago is not watched yet: it is asked for.
    async fn ask(&self, name: &str) -> Option<Arc<Value>> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match asked(api.get_opt(name)).await {
            Ok(namespace) => kept(namespace?).map(|(_, value)| value),
            Err(error) => {
                tracing::warn!(namespace = name, %error, "cannot read a namespace");
                None
            }
        }
    }
}

/// The Namespace without what nobody asks for.
fn kept(mut namespace: Namespace) -> Option<(String, Arc<Value>)> {
    namespace.metadata.managed_fields = None;
    let name = namespace.metadata.name.clone()?;
    let mut value = serde_json::to_value(namespace).ok()?;
    // A list of one kind does not repeat it.
    value["apiVersion"] = "v1".into();
    value["kind"] = "Namespace".into();
    Some((name, Arc::new(value)))
}
