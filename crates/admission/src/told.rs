//! What is said of a decision beside the answer: to the owner of what was refused, or was let in by an exemption.

use serde_json::Value;

use crate::{Decision, review::Request};

/// Something to be said of an object: an Event of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `Refused`, `Exempted`, or `WouldBeRefused`.
    pub reason: &'static str,
    /// The text.
    pub note: String,
    /// The namespace.
    pub namespace: String,
    /// The API version of the object that it is said of.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid; none for one that was never stored.
    pub uid: Option<String>,
}

impl Told {
    /// What is said of a running Pod that would be refused now; nothing where the object has no name.
    #[must_use]
    pub fn of_running(pod: &Value, message: &str) -> Option<Self> {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        Some(Self {
            reason: "WouldBeRefused",
            note: format!("it runs, and would be refused now: {message}"),
            namespace: text("/metadata/namespace")?,
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            name: text("/metadata/name")?,
            uid: text("/metadata/uid"),
        })
    }
}

/// What is to be said of a decision; nothing where a review is only tried.
pub(crate) fn told(request: &Request, decision: &Decision) -> Option<Told> {
    if request.rest.get("dryRun") == Some(&Value::Bool(true)) {
        return None;
    }
    let (reason, note) = match (&decision.message, decision.audit_annotations.get("exemptions")) {
        (Some(message), _) => ("Refused", message.clone()),
        (None, Some(exemptions)) => ("Exempted", format!("let in by an exemption: {exemptions}")),
        (None, None) => return None,
    };
    let object = &request.object;
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let owner = owners.into_iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    let (about, name, uid) = match owner {
        Some(owner) => (owner, text(owner, "/name")?, text(owner, "/uid")),
        // At a CREATE the object has no uid that will ever be stored.
        None => (object, text(object, "/metadata/name")?, text(&request.old_object, "/metadata/uid")),
    };
    Some(Told {
        reason,
        note,
        namespace: request.namespace.clone().filter(|namespace| !namespace.is_empty())?,
        api_version: text(about, "/apiVersion")?,
        kind: text(about, "/kind")?,
        name,
        uid,
    })
}
