//! What all requests share: the gate, and where its policies come from.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portcullis_admission::{Gate, GateError, PolicySet};
use portcullis_errors::chain;
use tokio::sync::{Notify, Semaphore};

use crate::{
    cluster::{Events, Namespaces},
    metrics::{Metrics, add},
};

/// What all requests share.
pub(crate) struct Server {
    pub(crate) gate: RwLock<Arc<Gate>>,
    pub(crate) sources: Mutex<Sources>,
    /// Where policies come from the cluster: whether they are still to be listed.
    pub(crate) waits_for_policies: AtomicBool,
    /// Where they are watched.
    pub(crate) namespaces: Option<Arc<Namespaces>>,
    /// Where Events are asked for.
    pub(crate) events: Option<Events>,
    pub(crate) permits: Semaphore,
    pub(crate) max_reviews: usize,
    /// For a whole request: waiting, reading and answering.
    pub(crate) limit: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) is_ending: AtomicBool,
    /// Told when other policies are asked.
    pub(crate) changed: Notify,
}

/// Where policies come from.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) files: PolicySet,
    pub(crate) cluster: PolicySet,
    /// Whether the gate does not yet ask what is here.
    pub(crate) is_behind: bool,
}

impl Sources {
    fn together(&self) -> PolicySet {
        let mut all = self.files.clone();
        let PolicySet { policies, exemptions, broken } = self.cluster.clone();
        all.policies.extend(policies);
        all.exemptions.extend(exemptions);
        all.broken.extend(broken);
        all
    }
}

impl Server {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the policies of the cluster from here on, beside those of files.
    pub(crate) fn use_cluster(&self, set: PolicySet) {
        let (policies, broken) = (set.policies.len(), set.broken.len());
        match self.replace(|sources| sources.cluster = set) {
            Ok(()) => {
                add(&self.metrics.reloads);
                self.waits_for_policies.store(false, Ordering::Relaxed);
                tracing::info!(policies, broken, "the cluster's policies are asked");
            }
            Err(error) => {
                add(&self.metrics.failed_reloads);
                tracing::error!(error = chain(&error), "cannot use the cluster's policies: what worked goes on");
            }
        }
    }

    /// Asks the policies of files from here on, beside those of the cluster.
    pub(crate) fn use_files(&self, set: PolicySet) -> Result<(), GateError> {
        self.replace(|sources| sources.files = set)
    }

    /// Changes where policies come from. The gate goes on as it was where it cannot be made anew.
    fn replace(&self, change: impl FnOnce(&mut Sources)) -> Result<(), GateError> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        sources.is_behind = true;
        let gate = self.gate().with_policies(sources.together())?;
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
        sources.is_behind = false;
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).is_behind
    }

    /// Where Events are sent, if they are asked for.
    pub(crate) const fn events(&self) -> Option<&Events> {
        self.events.as_ref()
    }

    /// What is still waited for; nothing where reviews can be answered.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        if self.waits_for_policies.load(Ordering::Relaxed) {
            return Some("the cluster's policies");
        }
        let namespaces = self.namespaces.as_ref().filter(|namespaces| !namespaces.is_complete());
        namespaces.map(|_| "the cluster's namespaces")
    }
}
