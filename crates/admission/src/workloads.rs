//! Rules about workloads: asked of the object that will be stored, beside the evidence of its images.

use portcullis_errors::printable;
use portcullis_model::{Outcome, Timestamp};
use portcullis_policy::{Violation, WorkloadFacts, WorkloadReview};
use portcullis_registry::Reference;
use serde_json::Value;

use crate::{
    Gate, ImageUse, PolicyAnswer,
    decision::{Granted, ObjectDecision},
    evidence::alone,
    gate::Subject,
    set::{Place, speaks_in, uncertain},
};

impl Gate {
    /// What the policies' rules about workloads say of an object. `pod_spec` is where its Pod's specification stands.
    pub(crate) fn decide_object(
        &self,
        subject: &Subject<'_>,
        pod_spec: &str,
        uses: &[ImageUse],
        place: &Place,
    ) -> ObjectDecision {
        let Subject { object, old, namespace: _, stage: _, surroundings: _, request } = *subject;
        let now = self.now();
        let images: Vec<Option<String>> = uses.iter().map(|found| canonical(&found.image)).collect();
        let namespace_object = place.object.as_deref();
        let facts = WorkloadFacts { object, old_object: old, pod_spec, request, namespace_object };
        let mut decision = ObjectDecision { name: name_of(object, place), asked: Vec::new(), answers: Vec::new() };
        let mut review = WorkloadReview::new(facts);
        for ready in self.policies_with_rules() {
            let policy = &ready.policy;
            let (Some(rules), Some(is_certain)) = (&policy.spec.workloads, speaks_in(policy, place)) else { continue };
            // A name that cannot be read may be any.
            let speaks = |image: &Option<String>| image.as_ref().is_none_or(|name| policy.applies_to(name));
            if policy.spec.images.is_some() && !images.iter().any(speaks) {
                continue;
            }
            decision.asked.push(policy.name.clone());
            let judgements = if is_certain {
                review.judge(rules).into_iter().map(judged).collect()
            } else {
                vec![(uncertain(place), None)]
            };
            let granted = self.granted_for_object(place, &images, &policy.name, now);
            decision.answers.extend(judgements.into_iter().map(|(judgement, fix)| PolicyAnswer {
                policy: ready.reference.name.clone(),
                policy_digest: Some(ready.reference.digest),
                audit: ready.reference.audit,
                judgement,
                fix,
                granted: granted.clone(),
            }));
        }
        decision
    }

    fn granted_for_object(
        &self,
        place: &Place,
        images: &[Option<String>],
        policy: &str,
        now: Timestamp,
    ) -> Option<Granted> {
        let namespace = place.namespace.as_deref();
        let mut exemptions = self.exemptions().iter();
        exemptions.find(|exemption| exemption.holds_for_object(namespace, images, policy, now)).map(Granted::of)
    }
}

fn judged(violation: Violation) -> (portcullis_policy::Judgement, Option<String>) {
    let Violation { result, rule, message, fix } = violation;
    let fix = fix.or_else(|| (result == Outcome::Unknown).then(|| "mend the rule, or what it asks for".to_owned()));
    (alone(result, &format!("workloads.{rule}"), message), fix)
}

/// The canonical name of an image; none where it cannot be read.
pub(crate) fn canonical(image: &str) -> Option<String> {
    image.parse::<Reference>().ok().map(|reference| reference.name())
}

/// `Pod team/app`; one that gets its name later is called by the start of it.
fn name_of(object: &Value, place: &Place) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = text("/kind").unwrap_or("object");
    let name = text("/metadata/name").map(ToOwned::to_owned);
    let name = name.or_else(|| text("/metadata/generateName").map(|start| format!("{start}*"))).unwrap_or_default();
    let namespace = place.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
    printable(&format!("{kind} {namespace}{name}"), 200)
}
