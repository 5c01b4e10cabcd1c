//! Reports: what the look at running Pods has found, one for each object at the head of their owners, as `openreports.io`
//! has them. Written where something has changed, and removed where nothing of it runs any more.

mod document;
mod results;
mod scope;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use portcullis_admission::{Decision, ObjectError};
use portcullis_model::Digest;
use serde_json::Value;

use self::{
    document::{LABEL, document, resource, said},
    results::Results,
    scope::Scope,
};
use super::{Unanswered, asked, recheck::MAX_OUTLIVED};
use crate::policies::now;

/// Reports in one namespace. Where there would be more, those go first in which nothing stands against anything.
const MAX_IN_NAMESPACE: usize = 500;
/// Reports in the cluster.
const MAX_REPORTS: usize = 10_000;
/// Reports of one page. They are read whole, since what others write over them is mended, and each may have megabytes.
const PAGE: u32 = 5;
/// What their names begin with.
const PREFIX: &str = "portcullis-";
const MANAGER: &str = "portcullis-webhook";

/// Writes Reports.
pub(crate) struct Reports {
    client: Client,
    /// What was last told to be in the way: the log has it once.
    problem: Mutex<Option<String>>,
}

/// What one Pod's Report says.
pub(crate) struct OfPod {
    namespace: String,
    scope: Scope,
    results: Results,
}

impl OfPod {
    /// What was found of a Pod; none for one that was never stored.
    pub(crate) fn new(pod: &Value, looked: &Result<Decision, ObjectError>) -> Option<Self> {
        let namespace = pod.pointer("/metadata/namespace")?.as_str()?.to_owned();
        Some(Self { namespace, scope: Scope::of(pod)?, results: Results::of(looked) })
    }
}

impl Reports {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, problem: Mutex::new(None) }
    }

    /// Begins a round; none where there can be no Reports.
    pub(crate) async fn begin(&self) -> Option<Round<'_>> {
        match self.known().await {
            Ok(known) => Some(Round {
                reports: self,
                known,
                held: BTreeMap::new(),
                count: 0,
                cut: BTreeSet::new(),
                is_silent: false,
                problem: None,
            }),
            Err(error) if error.is_gone() => {
                self.tell(Some("the cluster has no definition of `reports.openreports.io`".to_owned()));
                None
            }
            Err(error) => {
                self.tell(Some(error.to_string()));
                None
            }
        }
    }

    /// What all Reports of ours say, by their namespaces and names.
    async fn known(&self) -> Result<HashMap<(String, String), Digest>, Unanswered> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource());
        let mut page = ListParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1)).limit(PAGE);
        let (mut known, mut seen, mut outlived) = (HashMap::new(), 0, 0);
        loop {
            let listed = match asked(api.list(&page)).await {
                // As with Pods: the list goes on with what is there by now.
                Err(error) if outlived < MAX_OUTLIVED && error.remainder().is_some() => {
                    page.continue_token = error.remainder().map(ToOwned::to_owned);
                    outlived += 1;
                    continue;
                }
                listed => listed?,
            };
            outlived = 0;
            seen += listed.items.len();
            for report in listed.items {
                let (Some(namespace), Some(name)) = (&report.metadata.namespace, &report.metadata.name) else {
                    continue;
                };
                // Anybody can set a label.
                if !name.starts_with(PREFIX) {
                    continue;
                }
                let key = (namespace.clone(), name.clone());
                known.insert(key, said(&serde_json::to_value(report).unwrap_or_default()));
            }
            page.continue_token = listed.metadata.continue_.filter(|token| !token.is_empty());
            // Whoever makes more of them than we do shall fill neither the memory nor the round.
            if page.continue_token.is_none() || seen > 2 * MAX_REPORTS {
                return Ok(known);
            }
        }
    }

    /// Tells what is in the way, or that nothing is any more. What was said before is not said again.
    fn tell(&self, problem: Option<String>) {
        let mut told = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == problem {
            return;
        }
        match &problem {
            Some(problem) => tracing::warn!(
                problem,
                hint = "install the definitions of OpenReports, and grant the rights of docs/admission.md",
                "Reports are not written, or not all of them"
            ),
            None => tracing::info!("Reports are written"),
        }
        *told = problem;
    }
}

/// Reports of one round over all running Pods.
pub(crate) struct Round<'a> {
    reports: &'a Reports,
    /// What is stored and was not found again so far.
    known: HashMap<(String, String), Digest>,
    /// Namespaces of which not all Pods were seen yet.
    held: BTreeMap<String, BTreeMap<Scope, Results>>,
    count: usize,
    /// Namespaces in which there would be more than are written: what is left out runs still, and its Report stays.
    cut: BTreeSet<String>,
    /// Whether the API server answers no more: nothing is written then, and nothing removed.
    is_silent: bool,
    problem: Option<String>,
}

impl Round<'_> {
    /// Takes what was found of a Pod.
    pub(crate) fn take(&mut self, of_pod: OfPod) {
        let OfPod { namespace, scope, results } = of_pod;
        let held = self.held.entry(namespace.clone()).or_default();
        if held.len() >= MAX_IN_NAMESPACE && !held.contains_key(&scope) {
            self.cut.insert(namespace);
            let clean = held.iter().rfind(|(_, results)| results.is_clean()).map(|(scope, _)| scope.clone());
            let Some(clean) = clean.filter(|_| !results.is_clean()) else { return };
            held.remove(&clean);
        }
        held.entry(scope).or_default().merge(results);
    }

    /// Writes what is known of all namespaces but the one of which more Pods may come.
    pub(crate) async fn write(&mut self, but: Option<&str>) {
        let is_over = |namespace: &String, _: &mut _| Some(namespace.as_str()) != but;
        for (namespace, found) in self.held.extract_if(.., is_over).collect::<Vec<_>>() {
            for (head, results) in self.heads(&namespace, found).await {
                self.write_one(&namespace, &head, &results).await;
            }
        }
    }

    /// The results by what stands at the head of the Pods' owners; none where an owner cannot be read, as it may stand
    /// behind any of them.
    async fn heads(&mut self, namespace: &str, found: BTreeMap<Scope, Results>) -> BTreeMap<Scope, Results> {
        let mut heads = BTreeMap::<Scope, Results>::new();
        for (scope, results) in found {
            if self.is_silent {
                break;
            }
            match scope.head(&self.reports.client, namespace).await {
                Ok(Some(head)) => heads.entry(head).or_default().merge(results),
                Ok(None) => {}
                Err(error) => {
                    self.known.retain(|(of, _), _| of != namespace);
                    self.failed(&error, &format!("the owners of Pods in {namespace} cannot be read"));
                    return BTreeMap::new();
                }
            }
        }
        heads
    }

    async fn write_one(&mut self, namespace: &str, scope: &Scope, results: &Results) {
        if self.count >= MAX_REPORTS {
            self.cut.insert(namespace.to_owned());
            return;
        }
        self.count += 1;
        let name = scope.report_name();
        let report = document(namespace, scope, results, now().unix());
        let stored = self.known.remove(&(namespace.to_owned(), name.clone()));
        if self.is_silent || stored == Some(said(&report)) {
            return;
        }
        let parameters = PatchParams::apply(MANAGER).force();
        if let Err(error) = asked(self.api(namespace).patch(&name, &parameters, &Patch::Apply(&report))).await {
            self.failed(&error, &format!("{namespace}/{name} is not written"));
        }
    }

    /// Writes the rest, and removes Reports of what runs no more: all Pods were seen.
    pub(crate) async fn end(mut self) {
        self.write(None).await;
        let cut = std::mem::take(&mut self.cut);
        self.known.retain(|(namespace, _), _| !cut.contains(namespace));
        for (namespace, name) in std::mem::take(&mut self.known).into_keys() {
            if self.is_silent {
                break;
            }
            match asked(self.api(&namespace).delete(&name, &DeleteParams::default())).await {
                Err(error) if !error.is_gone() => self.failed(&error, &format!("{namespace}/{name} is not removed")),
                _ => {}
            }
        }
        if !cut.is_empty() {
            let (of_namespace, of_all) = (MAX_IN_NAMESPACE, MAX_REPORTS);
            tracing::warn!(of_namespace, of_all, "there would be more Reports than these: some are left out");
        }
        self.reports.tell(self.problem);
    }

    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.reports.client.clone(), namespace, &resource())
    }

    /// Keeps the first thing that went wrong. What the API server refuses here it may take elsewhere.
    fn failed(&mut self, error: &Unanswered, what: &str) {
        self.is_silent |= !matches!(error, Unanswered::Error(kube::Error::Api(_)));
        self.problem.get_or_insert_with(|| format!("{what}: {error}"));
    }
}

#[cfg(test)]
mod tests;
