//! What a Report is about: whatever stands at the head of a Pod's owners.

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, batch::v1::Job},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ObjectMeta},
};
use portcullis_model::Digest;
use serde_json::{Value, json};

use crate::cluster::{Unanswered, asked};

/// A name in Kubernetes has no more bytes. Owners are written by whoever makes a Pod.
const MAX_NAME: usize = 253;

/// An object in the namespace of its Report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) api_version: String,
    pub(super) uid: String,
}

impl Scope {
    /// The controller of a Pod, else the Pod itself; none for what was never stored.
    pub(super) fn of(pod: &Value) -> Option<Self> {
        let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let controller = owners.into_iter().find(|owner| owner["controller"] == true).and_then(Self::read);
        controller.or_else(|| {
            let metadata = pod.get("metadata")?;
            let (name, uid) = (metadata.get("name")?, metadata.get("uid")?);
            Self::read(&json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}))
        })
    }

    /// None for a node, which has a Pod written down that it runs by itself, and for what Kubernetes would not store.
    fn read(owner: &Value) -> Option<Self> {
        let text = |field: &str| {
            let text = owner.get(field).and_then(Value::as_str);
            text.filter(|text| !text.is_empty() && text.len() <= MAX_NAME).map(ToOwned::to_owned)
        };
        let (kind, name) = (text("kind")?, text("name")?);
        let scope = Self { kind, name, api_version: text("apiVersion")?, uid: text("uid")? };
        // What is asked for by its name has one that stands in a URL.
        let could_be = scope.resource().is_none() || is_subdomain(&scope.name);
        (could_be && (scope.kind != "Node" || scope.api_version != "v1")).then_some(scope)
    }

    /// The kind of those whose own owner is asked for.
    fn resource(&self) -> Option<ApiResource> {
        match (self.api_version.as_str(), self.kind.as_str()) {
            ("apps/v1", "ReplicaSet") => Some(ApiResource::erase::<ReplicaSet>(&())),
            ("batch/v1", "Job") => Some(ApiResource::erase::<Job>(&())),
            _ => None,
        }
    }

    /// What stands at the head of its owners; none where it is gone, and its Pods will be.
    pub(super) async fn head(self, client: &Client, namespace: &str) -> Result<Option<Self>, Unanswered> {
        let Some(resource) = self.resource() else { return Ok(Some(self)) };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let Some(found) = asked(api.get_metadata_opt(&self.name)).await? else { return Ok(None) };
        let ObjectMeta { uid, owner_references, .. } = found.metadata;
        if uid.as_ref() != Some(&self.uid) {
            return Ok(None);
        }
        let controller = owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
        let head =
            controller.map(|OwnerReference { api_version, kind, name, uid, .. }| Self { kind, name, api_version, uid });
        Ok(Some(head.unwrap_or(self)))
    }

    /// The Report's name. It is another one where an object of the same name is another object.
    pub(super) fn report_name(&self) -> String {
        let Self { kind, name, api_version, uid } = self;
        let all = [kind, name, api_version, uid].map(|text| format!("{}:{text}", text.len())).concat();
        format!("portcullis-{}", &Digest::of(all.as_bytes()).hex()[..24])
    }
}

/// Whether it is a name as Kubernetes gives to these: parts of small letters, digits and `-`, with dots between.
fn is_subdomain(name: &str) -> bool {
    let is_of_part = |byte: u8| byte == b'-' || byte.is_ascii_digit() || byte.is_ascii_lowercase();
    name.split('.').all(|part| !part.is_empty() && part.bytes().all(is_of_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(owners: &Value) -> Value {
        json!({"metadata": {"name": "p", "uid": "1", "ownerReferences": owners}})
    }

    #[test]
    fn a_report_is_about_the_controller_or_the_pod() {
        let owner = |kind: &str, controller: bool| json!({"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "2", "controller": controller});
        let kind = |owners: Value| Scope::of(&pod(&owners)).unwrap().kind;
        assert_eq!(kind(json!([owner("Other", false), owner("ReplicaSet", true)])), "ReplicaSet");
        assert_eq!(kind(json!([owner("ReplicaSet", false)])), "Pod");
        assert_eq!(
            kind(json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "3", "controller": true}])),
            "Pod"
        );
        let mut long = owner("ReplicaSet", true);
        long["name"] = "x".repeat(300).into();
        assert_eq!(kind(json!([long])), "Pod");
        assert_eq!(kind(json!("none")), "Pod");
        assert!(Scope::of(&json!({"metadata": {"name": "p"}})).is_none());
    }

    #[test]
    fn names_are_those_of_one_object_alone() {
        let scope = |name: &str, uid: &str| Scope {
            kind: "Pod".to_owned(),
            name: name.to_owned(),
            api_version: "v1".to_owned(),
            uid: uid.to_owned(),
        };
        assert_eq!(scope("a", "1").report_name(), scope("a", "1").report_name());
        assert_ne!(scope("a", "1").report_name(), scope("a", "2").report_name());
        assert_ne!(scope("a", "1").report_name(), scope("b", "1").report_name());
        assert_eq!(scope("a", "../\n").report_name().len(), "portcullis-".len() + 24);
    }
}
