//! All that is asked about an image: policies, those that cannot be read, and exemptions.

use std::{collections::BTreeMap, sync::Arc};

use portcullis_attest::TrustRoot;
use portcullis_errors::printable;
use portcullis_model::{Outcome, Timestamp};
use portcullis_policy::{Exemption, Judgement, Mode, Policy, PolicyKind, WorkloadRules};

use crate::{
    GateError, PolicyAnswer, access::FoundSecrets, authorities::ReadyPolicy, decision::Granted, evidence::alone,
};

/// Policies and what belongs to them, from wherever they are kept.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    /// Every one that speaks of an image must pass.
    pub policies: Vec<Policy>,
    /// What is let in all the same.
    pub exemptions: Vec<Exemption>,
    /// Policies that are there and cannot be used, without one of the same name that worked before.
    pub broken: Vec<BrokenPolicy>,
}

impl From<Vec<Policy>> for PolicySet {
    fn from(policies: Vec<Policy>) -> Self {
        Self { policies, ..Self::default() }
    }
}

/// A policy that cannot be used. What it would say is unknown, so nothing passes where it may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenPolicy {
    /// Whom it speaks for.
    pub kind: PolicyKind,
    /// Its name.
    pub name: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Whether it says to be in audit mode: then it only warns.
    pub audit: bool,
    /// What is wrong with it.
    pub problem: String,
}

/// A [`PolicySet`] that can be asked. Sets of several sources are made one by one, and then are joined: so what cannot
/// be used in one source changes nothing about the others.
#[derive(Debug, Clone, Default)]
pub struct ReadySet {
    /// Policies with whom they trust.
    pub policies: Vec<Arc<ReadyPolicy>>,
    /// As in a [`PolicySet`].
    pub exemptions: Vec<Exemption>,
    /// As in a [`PolicySet`].
    pub broken: Vec<BrokenPolicy>,
}

/// The namespace that an object is in, and what is known of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) namespace: Option<String>,
    /// The labels; none where they are not known.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// The Namespace itself.
    pub(crate) object: Option<Arc<serde_json::Value>>,
    /// The pull secrets of the Pod.
    pub(crate) secrets: FoundSecrets,
}

/// A policy that speaks of an image, or may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) ready: &'a ReadyPolicy,
    /// Whether it is known that it speaks here.
    pub(crate) is_certain: bool,
    /// What is granted against its answer.
    pub(crate) exemption: Option<&'a Exemption>,
}

impl ReadySet {
    pub(crate) fn new(set: PolicySet, trust_root: Option<&TrustRoot>) -> Result<Self, GateError> {
        let PolicySet { policies, exemptions, broken } = set;
        let policies = policies.into_iter().map(|policy| ReadyPolicy::new(policy, trust_root).map(Arc::new));
        Ok(Self { policies: policies.collect::<Result<_, _>>()?, exemptions, broken })
    }

    /// All of this and of another set.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let Self { policies, exemptions, broken } = other;
        self.policies.extend(policies);
        self.exemptions.extend(exemptions);
        self.broken.extend(broken);
        self
    }

    /// Whether any policy asks for the labels of namespaces, or for the Namespace itself.
    pub(crate) fn needs_namespaces(&self) -> bool {
        let mut specs = self.policies.iter().map(|ready| &ready.policy.spec);
        specs.any(|spec| {
            spec.namespace_selector.is_some() || spec.workloads.as_ref().is_some_and(WorkloadRules::needs_namespace)
        })
    }

    /// The policies that speak of the image `name` in a place. One that selects namespaces by labels which are not
    /// known may speak.
    pub(crate) fn asked(&self, name: &str, place: &Place, now: Timestamp) -> Vec<Asked<'_>> {
        let speaking = self.policies.iter().filter_map(|ready| {
            let is_certain = speaks_in(&ready.policy, place)?;
            ready.policy.applies_to(name).then(|| {
                let exemption = self.exemption(place, Some(name), Some(&ready.policy.name), now);
                Asked { ready, is_certain, exemption }
            })
        });
        speaking.collect()
    }

    /// What is granted there against an answer; none where nothing is.
    pub(crate) fn exemption(
        &self,
        place: &Place,
        image: Option<&str>,
        policy: Option<&str>,
        now: Timestamp,
    ) -> Option<&Exemption> {
        let namespace = place.namespace.as_deref();
        self.exemptions.iter().find(|exemption| exemption.holds(namespace, image, policy, now))
    }

    /// The answers of policies that cannot be read, about an image or an object.
    pub(crate) fn of_broken(&self, place: &Place, image: Option<&str>, now: Timestamp) -> Vec<PolicyAnswer> {
        let here = self
            .broken
            .iter()
            .filter(|broken| broken.namespace.is_none() || broken.namespace.as_deref() == place.namespace.as_deref());
        let answers = here.map(|broken| {
            let message = format!("the policy cannot be read, so what it asks is not known: {}", broken.problem);
            let fix = format!("mend or delete the {} `{}`", broken.kind.as_str(), printable(&broken.name, 100));
            let exemption = self.exemption(place, image, Some(&broken.name), now);
            PolicyAnswer {
                policy: broken.name.clone(),
                policy_digest: None,
                audit: broken.audit,
                judgement: alone(Outcome::Unknown, "policy", message),
                fix: Some(fix),
                granted: exemption.map(Granted::of),
            }
        });
        answers.collect()
    }

    /// Whether every policy only warns: then so does what no policy can be named for.
    pub(crate) fn is_audit(&self) -> bool {
        self.policies.iter().all(|ready| ready.policy.spec.mode == Mode::Audit)
            && self.broken.iter().all(|broken| broken.audit)
    }
}

/// Whether a policy speaks in a place: certainly, perhaps (`false`), or not at all. A policy of a namespace speaks of
/// that one alone; one without, and a cluster's, of all that its selector means.
pub(crate) fn speaks_in(policy: &Policy, place: &Place) -> Option<bool> {
    if policy.namespace.is_some() && policy.namespace != place.namespace {
        return None;
    }
    match (&policy.spec.namespace_selector, &place.labels) {
        (None, _) => Some(true),
        (Some(selector), Some(labels)) => selector.matches(labels).then_some(true),
        (Some(_), None) => Some(false),
    }
}

/// What a policy says where nobody knows whether it speaks.
pub(crate) fn uncertain(place: &Place) -> Judgement {
    let namespace = place.namespace.as_deref().unwrap_or("(none)");
    let message = format!("the labels of the namespace {} are not known", printable(namespace, 100));
    alone(Outcome::Unknown, "namespaceSelector", message)
}
