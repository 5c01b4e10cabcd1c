//! What all requests share: the gate, and where its policies come from.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portcullis_admission::{Gate, GateError, PolicySet, ReadySet};
use tokio::sync::Notify;

use crate::{
    cluster::{Events, Namespaces, Reports},
    metrics::{Metrics, add},
    server::Bodies,
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
    /// Where Reports are asked for.
    pub(crate) reports: Option<Reports>,
    /// What bodies may hold together.
    pub(crate) bodies: Bodies,
    /// For a whole request: waiting, reading and answering.
    pub(crate) limit: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) is_ending: AtomicBool,
    /// Told when other policies are asked.
    pub(crate) changed: Notify,
}

/// Where policies come from, each made ready by itself: what cannot be used in one place changes nothing in the other.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) files: ReadySet,
    pub(crate) cluster: ReadySet,
}

impl Server {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the policies of the cluster from here on, beside those of files.
    pub(crate) fn use_cluster(&self, set: ReadySet) {
        let (policies, broken) = (set.policies.len(), set.broken.len());
        self.replace(|sources| sources.cluster = set);
        self.waits_for_policies.store(false, Ordering::Relaxed);
        add(&self.metrics.reloads);
        tracing::info!(policies, broken, "the cluster's policies are asked");
    }

    /// Asks the policies of files from here on, beside those of the cluster. Those that were asked go on where one of
    /// these cannot be used.
    pub(crate) fn use_files(&self, set: PolicySet) -> Result<(), GateError> {
        let set = self.gate().ready(set)?;
        self.replace(|sources| sources.files = set);
        Ok(())
    }

    fn replace(&self, change: impl FnOnce(&mut Sources)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        let gate = self.gate().with_ready(sources.files.clone().and(sources.cluster.clone()));
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
        self.changed.notify_one();
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

#[cfg(test)]
pub(crate) mod tests {
    use portcullis_admission::Options;
    use portcullis_attest::SigningKey;
    use portcullis_model::Timestamp;
    use portcullis_policy::{Exemption, Policy};
    use portcullis_registry::{Client, Credentials, PlainHttp};

    use super::*;

    pub(crate) fn server(files: PolicySet) -> Server {
        let options = portcullis_registry::Options { plain_http: PlainHttp::Always, ..Default::default() };
        let client = Client::new(options, Credentials::anonymous()).unwrap();
        let gate = Gate::new(files, client, Options::default()).unwrap();
        Server {
            sources: Mutex::new(Sources { files: gate.set().clone(), ..Sources::default() }),
            gate: RwLock::new(Arc::new(gate)),
            waits_for_policies: AtomicBool::new(true),
            namespaces: None,
            events: None,
            reports: None,
            bodies: Bodies::default(),
            limit: Duration::from_secs(1),
            metrics: Metrics::default(),
            is_ending: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    #[test]
    fn a_key_file_that_is_gone_keeps_no_exemption_of_the_cluster_alive() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pub");
        std::fs::write(&key, SigningKey::generate().unwrap().verifying_key().to_pem()).unwrap();
        let text = format!(
            "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: p}}\nspec:\n  \
             evidence: {{authorities: [{{key: {}}}]}}\n",
            key.display()
        );
        let now = Timestamp::from_unix(1_800_000_000);
        let policies = Policy::parse(&text, "policy.yaml", now).unwrap();
        let server = server(PolicySet::from(policies.clone()));
        let text = "apiVersion: portcullis.dev/v1alpha1\nkind: PolicyExemption\nmetadata: {name: e}\nspec: {reason: \
                    a test, owner: ops, expires: 2027-01-16, namespaces: [team]}\n";
        let exemptions = Exemption::parse(text, "exemption.yaml", now).unwrap();
        server.use_cluster(ReadySet { exemptions, ..ReadySet::default() });
        assert_eq!((server.gate().set().exemptions.len(), server.waits_for()), (1, None));

        std::fs::remove_file(&key).unwrap();
        assert!(server.use_files(PolicySet::from(policies)).is_err());
        server.use_cluster(ReadySet::default());
        let gate = server.gate();
        assert_eq!((gate.set().exemptions.len(), gate.policies().count()), (0, 1));
    }
}
