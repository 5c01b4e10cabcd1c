//! A Pod, or a Pod's template, as the checks look at it.

use serde_json::Value;

use super::WorkloadFacts;

/// The lists of containers, in the order in which Kubernetes visits them.
const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A Pod's specification with its annotations.
#[derive(Debug, Clone)]
pub(super) struct Pod<'a> {
    pub(super) spec: &'a Value,
    pub(super) annotations: &'a Value,
    /// The place of `spec`, as fields are written: `spec.template.spec`.
    pub(super) field: String,
    /// The place of the annotations.
    pub(super) metadata_field: String,
}

/// One container.
#[derive(Debug, Clone)]
pub(super) struct Container<'a> {
    pub(super) value: &'a Value,
    /// Its place: `spec.containers[0]`.
    pub(super) field: String,
}

impl<'a> Pod<'a> {
    pub(super) fn of(facts: &WorkloadFacts<'a>) -> Self {
        Self::at(facts.object, facts.pod_spec)
    }

    fn at(object: &'a Value, pod_spec: &str) -> Self {
        let outer = pod_spec.strip_suffix("/spec").unwrap_or_default();
        let dotted = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
        let metadata = format!("{outer}/metadata");
        Self {
            spec: object.pointer(pod_spec).unwrap_or(&Value::Null),
            annotations: object.pointer(&format!("{metadata}/annotations")).unwrap_or(&Value::Null),
            field: dotted(pod_spec),
            metadata_field: dotted(&metadata),
        }
    }

    pub(super) fn containers(&self) -> Vec<Container<'a>> {
        let lists = CONTAINER_LISTS.into_iter().flat_map(|list| {
            let entries = self.spec.get(list).and_then(Value::as_array).into_iter().flatten().enumerate();
            entries.map(move |(index, value)| (list, index, value))
        });
        lists
            .map(|(list, index, value)| Container { value, field: format!("{}.{list}[{index}]", self.field) })
            .collect()
    }

    pub(super) fn volumes(&self) -> Vec<Container<'a>> {
        let volumes = self.spec.get("volumes").and_then(Value::as_array).into_iter().flatten().enumerate();
        volumes.map(|(index, value)| Container { value, field: format!("{}.volumes[{index}]", self.field) }).collect()
    }

    /// Whether its users are not those of the node: `hostUsers: false`.
    pub(super) fn has_own_users(&self) -> bool {
        self.spec.get("hostUsers") == Some(&Value::Bool(false))
    }

    pub(super) fn is_windows(&self) -> bool {
        self.spec.pointer("/os/name").and_then(Value::as_str) == Some("windows")
    }

    /// The Pod's own security context and each container's, with their places.
    pub(super) fn security_contexts(&self) -> Vec<Container<'a>> {
        let own = Container { value: self.spec, field: self.field.clone() };
        let all = std::iter::once(own).chain(self.containers());
        let inside = all.filter_map(|owner| {
            let value = owner.value.get("securityContext").filter(|value| !value.is_null())?;
            Some(Container { value, field: format!("{}.securityContext", owner.field) })
        });
        inside.collect()
    }
}

/// A value that is there and not null.
pub(super) fn set<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    value.pointer(pointer).filter(|value| !value.is_null())
}

/// A switch that is on. What is neither on nor off is taken for on.
pub(super) fn is_on(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value != &Value::Bool(false))
}

/// Whether an UPDATE changes what the Pod Security Standards speak of; everything else does.
pub(super) fn is_changed(facts: &WorkloadFacts<'_>) -> bool {
    let Some(old) = facts.old_object else { return true };
    let (new, old) = (Pod::of(facts), Pod::at(old, facts.pod_spec));
    new.spec != old.spec || new.annotations != old.annotations
}

/// Whether an UPDATE changes what a rule may speak of: not when finalizers, owners or the status alone change, so that
/// an object that was let in before a rule was written can still be deleted.
pub(super) fn is_changed_for_rules(facts: &WorkloadFacts<'_>) -> bool {
    let Some(old) = facts.old_object else { return true };
    ["/spec", "/metadata/labels", "/metadata/annotations", "/template"]
        .iter()
        .any(|pointer| facts.object.pointer(pointer) != old.pointer(pointer))
}
