//! Policies and exemptions, watched. A policy that cannot be read never replaces one that works, and where nothing worked
//! before, nothing passes where it may speak. An exemption that cannot be read grants nothing, whatever it granted before.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use portcullis_admission::{BrokenPolicy, ReadyPolicy, ReadySet};
use portcullis_attest::TrustRoot;
use portcullis_errors::{advised, chain};
use portcullis_model::Digest;
use portcullis_policy::{Exemption, Policy, PolicyKind, Problem};
use serde_json::{Value, json};

use super::status::{Status, StatusWriter};
use crate::{policies::now, state::Server};

/// Events that come together are taken together.
const AT_ONCE: usize = 256;

/// The kinds that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ImagePolicy,
    ClusterImagePolicy,
    PolicyExemption,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ImagePolicy, Self::ClusterImagePolicy, Self::PolicyExemption];

    const fn name(self) -> &'static str {
        match self {
            Self::ImagePolicy => "ImagePolicy",
            Self::ClusterImagePolicy => "ClusterImagePolicy",
            Self::PolicyExemption => "PolicyExemption",
        }
    }

    pub(super) fn resource(self) -> ApiResource {
        let plural = match self {
            Self::ImagePolicy => "imagepolicies",
            Self::ClusterImagePolicy => "clusterimagepolicies",
            Self::PolicyExemption => "policyexemptions",
        };
        let (group, version) = ("portcullis.dev".to_owned(), "v1alpha1".to_owned());
        ApiResource {
            api_version: format!("{group}/{version}"),
            group,
            version,
            kind: self.name().to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// A kind, a namespace and a name.
type Key = (Kind, Option<String>, String);

#[derive(Debug, Clone)]
enum Rules {
    Policy(Arc<ReadyPolicy>),
    Exemption(Exemption),
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Policy(one), Self::Policy(other)) => one.policy() == other.policy(),
            (Self::Exemption(one), Self::Exemption(other)) => one == other,
            _ => false,
        }
    }
}

/// One object of the cluster.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    uid: String,
    /// What it says, or what it said when it could last be used.
    works: Option<Rules>,
    /// What is wrong with it now.
    problem: Option<String>,
    is_audit: bool,
}

/// Everything that is seen in the cluster.
#[derive(Debug, Default)]
struct Watched {
    known: BTreeMap<Key, Known>,
    /// What a list that is under way has given so far.
    listing: BTreeMap<Kind, BTreeMap<Key, Known>>,
    complete: Vec<Kind>,
    /// What is to be told of objects, once they are asked.
    statuses: BTreeMap<Key, (DynamicObject, Status)>,
}

/// Watches until the process ends, and gives the server every change.
pub(crate) async fn watch(server: Arc<Server>, client: Client, trust_root: Option<TrustRoot>) {
    let streams = Kind::ALL.map(|kind| {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
        watcher(api, watcher::Config::default()).default_backoff().map(move |event| (kind, event)).boxed()
    });
    let mut events = stream::select_all(streams).ready_chunks(AT_ONCE);
    let writer = StatusWriter::start(client);
    let mut watched = Watched::default();
    while let Some(events) = events.next().await {
        let mut is_changed = false;
        for (kind, event) in events {
            match event {
                Ok(event) => is_changed |= watched.take(kind, event, trust_root.as_ref()),
                Err(error) => tracing::warn!(
                    kind = kind.name(),
                    error = chain(&error),
                    hint = "are the definitions there? kubectl apply -f webhook/manifests/crds.yaml",
                    "cannot watch policies: what is known goes on"
                ),
            }
        }
        if watched.complete.len() < Kind::ALL.len() {
            continue;
        }
        if is_changed {
            server.use_cluster(watched.set());
        }
        for ((kind, ..), (object, status)) in std::mem::take(&mut watched.statuses) {
            writer.write(kind, &object, status);
        }
    }
}

impl Watched {
    /// Whether anything changed.
    fn take(&mut self, kind: Kind, event: Event<DynamicObject>, trust_root: Option<&TrustRoot>) -> bool {
        match event {
            Event::Init => {
                self.listing.insert(kind, BTreeMap::new());
                false
            }
            Event::InitApply(object) => {
                let (key, known) = self.read(kind, object, trust_root);
                self.listing.entry(kind).or_default().insert(key, known);
                false
            }
            Event::InitDone => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                self.known.retain(|(other, _, _), _| *other != kind);
                self.known.extend(listed);
                if !self.complete.contains(&kind) {
                    self.complete.push(kind);
                }
                true
            }
            Event::Apply(object) => {
                let (key, known) = self.read(kind, object, trust_root);
                // What is written into the status comes by here, too.
                let is_changed = self.known.get(&key) != Some(&known);
                self.known.insert(key, known);
                is_changed
            }
            Event::Delete(object) => self.known.remove(&key(kind, &object)).is_some(),
        }
    }

    fn read(&mut self, kind: Kind, object: DynamicObject, trust_root: Option<&TrustRoot>) -> (Key, Known) {
        let key = key(kind, &object);
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let before = self.known.get(&key).filter(|known| known.uid == uid);
        let is_audit = object.data.pointer("/spec/mode").and_then(Value::as_str) == Some("audit");
        let (works, problem) = match rules(kind, &object, trust_root) {
            Ok(rules) => (Some(rules), None),
            // What somebody meant to narrow must not stay as wide as it was.
            Err(problem) if kind == Kind::PolicyExemption => (None, Some(problem)),
            Err(problem) => (before.and_then(|known| known.works.clone()), Some(problem)),
        };
        let is_new = before.is_none_or(|known| known.problem != problem);
        if let Some(problem) = problem.as_ref().filter(|_| is_new) {
            tracing::error!(kind = kind.name(), namespace = key.1, name = key.2, problem, "cannot use a policy");
        }
        self.statuses.insert(key.clone(), (object, status(kind, works.as_ref(), problem.as_deref())));
        (key, Known { uid, works, problem, is_audit })
    }

    fn set(&self) -> ReadySet {
        let mut set = ReadySet::default();
        for ((kind, namespace, name), known) in &self.known {
            let policy_kind = match kind {
                Kind::ImagePolicy => PolicyKind::ImagePolicy,
                Kind::ClusterImagePolicy => PolicyKind::ClusterImagePolicy,
                // One that cannot be read grants nothing.
                Kind::PolicyExemption => {
                    set.exemptions.extend(known.works.as_ref().and_then(|rules| match rules {
                        Rules::Exemption(exemption) => Some(exemption.clone()),
                        Rules::Policy(_) => None,
                    }));
                    continue;
                }
            };
            match (&known.works, &known.problem) {
                (Some(Rules::Policy(policy)), _) => set.policies.push(Arc::clone(policy)),
                (_, problem) => set.broken.push(BrokenPolicy {
                    kind: policy_kind,
                    name: name.clone(),
                    namespace: namespace.clone(),
                    audit: known.is_audit,
                    problem: problem.clone().unwrap_or_default(),
                }),
            }
        }
        set
    }
}

fn key(kind: Kind, object: &DynamicObject) -> Key {
    (kind, object.metadata.namespace.clone(), object.metadata.name.clone().unwrap_or_default())
}

fn rules(kind: Kind, object: &DynamicObject, trust_root: Option<&TrustRoot>) -> Result<Rules, String> {
    let mut metadata = json!({"name": object.metadata.name});
    if let Some(namespace) = &object.metadata.namespace {
        metadata["namespace"] = namespace.clone().into();
    }
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let resource = kind.resource();
    let object = json!({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec});
    if kind == Kind::PolicyExemption {
        let exemption = Exemption::from_resource(&object, now()).map_err(|problems| shown(&problems))?;
        return Ok(Rules::Exemption(exemption));
    }
    let policy = Policy::from_resource(&object, now()).map_err(|problems| shown(&problems))?;
    let ready = ReadyPolicy::new(policy, trust_root).map_err(|error| advised(&error))?;
    Ok(Rules::Policy(Arc::new(ready)))
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().take(5).map(Problem::line).collect::<Vec<_>>().join("; ")
}

fn status(kind: Kind, works: Option<&Rules>, problem: Option<&str>) -> Status {
    let digest: Option<Digest> = match works {
        Some(Rules::Policy(policy)) => Some(policy.policy().digest()),
        _ => None,
    };
    let (is_ready, reason, message) = match (works, problem) {
        (_, None) => (true, "Valid", "it is asked".to_owned()),
        (_, Some(problem)) if kind == Kind::PolicyExemption => {
            (false, "Invalid", format!("{problem}; nothing is granted"))
        }
        (Some(_), Some(problem)) => (false, "Invalid", format!("{problem}; what it said before goes on")),
        (None, Some(problem)) => (false, "Invalid", format!("{problem}; nothing passes where it may speak")),
    };
    Status { is_ready, reason, message, digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last status of the one object after these versions of its `spec`, and what is asked then.
    fn after(kind: Kind, specs: &[Value]) -> (Status, ReadySet) {
        let mut watched = Watched::default();
        for spec in specs {
            let resource = kind.resource();
            let object = json!({"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec,
                "metadata": {"name": "one", "uid": "b5e1"}});
            watched.take(kind, Event::Apply(serde_json::from_value(object).unwrap()), None);
        }
        let set = watched.set();
        let (_, (_, status)) = watched.statuses.pop_first().unwrap();
        (status, set)
    }

    #[test]
    fn an_exemption_that_becomes_unusable_grants_nothing() {
        let expires = portcullis_model::Timestamp::from_unix(now().unix() + 86_400).to_string();
        let good = json!({"namespaces": ["a", "b"], "reason": "a test", "owner": "ops", "expires": expires});
        let mut bad = good.clone();
        bad["namespaces"] = json!({"only": "a"});
        let (status, set) = after(Kind::PolicyExemption, std::slice::from_ref(&good));
        assert_eq!((status.is_ready, set.exemptions.len()), (true, 1), "{status:?}");
        let (status, set) = after(Kind::PolicyExemption, &[good.clone(), bad.clone()]);
        assert_eq!((status.is_ready, set.exemptions.len()), (false, 0), "{status:?}");
        assert!(status.message.ends_with("; nothing is granted"), "{status:?}");
        assert_eq!(after(Kind::PolicyExemption, &[good.clone(), bad, good]).1.exemptions.len(), 1);
    }

    #[test]
    fn a_policy_that_becomes_unusable_goes_on_as_it_was() {
        let (good, bad) =
            (json!({"vulnerabilities": {"failOn": "high"}}), json!({"vulnerabilities": {"failon": "high"}}));
        let (status, set) = after(Kind::ClusterImagePolicy, &[good, bad.clone()]);
        assert_eq!((status.is_ready, set.policies.len(), set.broken.len()), (false, 1, 0), "{status:?}");
        assert!(status.message.ends_with("; what it said before goes on"), "{status:?}");
        let (status, set) = after(Kind::ClusterImagePolicy, &[bad]);
        assert_eq!((status.is_ready, set.policies.len(), set.broken.len()), (false, 0, 1), "{status:?}");
    }
}
