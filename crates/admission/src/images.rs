//! Which images an object names, and where: Pods and everything that holds a Pod template.
//!
//! Fields: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>

use portcullis_errors::printable;
use serde_json::Value;

/// The most images of one object. A Pod of the API server's largest request could name more, and no real one does.
pub const MAX_IMAGES: usize = 256;

/// One field that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The field, as a JSON pointer: `/spec/containers/0/image`.
    pub pointer: String,
    /// The image, as it is written; empty where the field is missing.
    pub image: String,
    /// What the field of the same container named before; none where there was no such container.
    pub old: Option<String>,
}

impl ImageUse {
    /// Whether the image is another than before.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.old.as_ref() != Some(&self.image)
    }
}

/// What an object is to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A Pod: its images run.
    Pod,
    /// It holds a template that Pods are made of.
    Template,
}

/// Why an object's images cannot be told. Never a reason to admit it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// A kind that holds no Pod.
    #[error("{kind} `{name}` holds no images that are known here")]
    Kind {
        /// Its group and kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A field has another shape than Kubernetes gives it.
    #[error("`{pointer}` is not {wanted}")]
    Shape {
        /// The field.
        pointer: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// More images than are looked at.
    #[error("more than {MAX_IMAGES} images")]
    TooMany,
}

/// Where Pod templates are, by kind. A kind of another group is told by its shape.
const TEMPLATES: &[(&str, &str, &str)] = &[
    ("", "ReplicationController", "/spec/template/spec"),
    ("", "PodTemplate", "/template/spec"),
    ("apps", "Deployment", "/spec/template/spec"),
    ("apps", "StatefulSet", "/spec/template/spec"),
    ("apps", "DaemonSet", "/spec/template/spec"),
    ("apps", "ReplicaSet", "/spec/template/spec"),
    ("batch", "Job", "/spec/template/spec"),
    ("batch", "CronJob", "/spec/jobTemplate/spec/template/spec"),
];

/// The kinds that are known by name.
pub(crate) const KINDS: [&str; 9] = [
    "Pod",
    "ReplicationController",
    "PodTemplate",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
];

const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const CONTAINER_IMAGE: &str = "/image";
const VOLUME_IMAGE: &str = "/image/reference";

/// What kind of object it is and where its Pod's specification stands; none for what holds no Pod.
pub(crate) fn pod_spec_pointer(object: &Value) -> Option<(Workload, &'static str)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    if group.is_empty() && kind == "Pod" {
        return Some((Workload::Pod, "/spec"));
    }
    if let Some((.., pointer)) = TEMPLATES.iter().find(|known| (known.0, known.1) == (group, kind)) {
        return Some((Workload::Template, pointer));
    }
    // Another's workload (a Rollout, a function) that holds a template where Kubernetes' own do.
    let mut shapes = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"].into_iter();
    let pointer =
        shapes.find(|pointer| object.pointer(pointer).is_some_and(|spec| spec.get("containers").is_some()))?;
    Some((Workload::Template, pointer))
}

/// Every image that `object` names. `old` is the object before an UPDATE: containers are the same by list and name.
///
/// # Errors
/// For a kind that holds no Pod, and for fields of another shape than Kubernetes gives them: what cannot be read is
/// not passed over.
pub fn images_of(object: &Value, old: Option<&Value>) -> Result<Vec<ImageUse>, ObjectError> {
    let (_, base) = pod_spec_pointer(object).ok_or_else(|| unknown_kind(object))?;
    let spec = match object.pointer(base) {
        Some(spec) if spec.is_object() => spec,
        _ => return Err(shape(base.to_owned(), "an object")),
    };
    let old_spec = old.and_then(|old| old.pointer(base));
    let mut images = Vec::new();
    for list in CONTAINER_LISTS {
        gather(spec, old_spec, base, list, CONTAINER_IMAGE, &mut images)?;
    }
    gather(spec, old_spec, base, "volumes", VOLUME_IMAGE, &mut images)?;
    Ok(images)
}

/// The images of one list. `field` is the image's place inside an entry: `/image` of a container, which always names
/// one, or `/image/reference` of a volume, whose other kinds name none.
fn gather(
    spec: &Value,
    old_spec: Option<&Value>,
    base: &str,
    list: &str,
    field: &str,
    images: &mut Vec<ImageUse>,
) -> Result<(), ObjectError> {
    let pointer = format!("{base}/{list}");
    let entries = match spec.get(list) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(shape(pointer, "a list")),
    };
    let old_entries = old_spec.and_then(|spec| spec.get(list)).and_then(Value::as_array);
    for (index, entry) in entries.iter().enumerate() {
        let entry_pointer = format!("{pointer}/{index}");
        if !entry.is_object() {
            return Err(shape(entry_pointer, "an object"));
        }
        if field == VOLUME_IMAGE {
            match entry.get("image") {
                None | Some(Value::Null) => continue,
                Some(Value::Object(_)) => {}
                Some(_) => return Err(shape(format!("{entry_pointer}/image"), "an object")),
            }
        }
        if images.len() == MAX_IMAGES {
            return Err(ObjectError::TooMany);
        }
        let image = match entry.pointer(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(image)) => image.clone(),
            Some(_) => return Err(shape(format!("{entry_pointer}{field}"), "a text")),
        };
        let old = old_entries.and_then(|entries| old_image(entries, entry, field));
        images.push(ImageUse { pointer: format!("{entry_pointer}{field}"), image, old });
    }
    Ok(())
}

/// The image of the entry with the same name. Names are unique in a list; where they are not, nothing is the same.
fn old_image(entries: &[Value], entry: &Value, field: &str) -> Option<String> {
    let name = entry.get("name")?.as_str()?;
    let mut same = entries.iter().filter(|old| old.get("name").and_then(Value::as_str) == Some(name));
    let old = same.next()?;
    if same.next().is_some() {
        return None;
    }
    old.pointer(field)?.as_str().map(ToOwned::to_owned)
}

fn shape(pointer: String, wanted: &'static str) -> ObjectError {
    ObjectError::Shape { pointer, wanted }
}

fn unknown_kind(object: &Value) -> ObjectError {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = format!("{} {}", text("/apiVersion"), text("/kind"));
    ObjectError::Kind { kind: printable(kind.trim(), 100), name: printable(text("/metadata/name"), 100) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(object: &Value, old: Option<&Value>) -> Vec<String> {
        let images = images_of(object, old).unwrap();
        images.iter().map(|found| format!("{} {} {}", found.pointer, found.image, found.is_changed())).collect()
    }

    #[test]
    fn every_place_of_a_pod() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {
            "containers": [{"name": "a", "image": "a"}],
            "initContainers": [{"name": "i", "image": "i"}],
            "ephemeralContainers": [{"name": "e", "image": "e"}],
            "volumes": [{"name": "none", "emptyDir": {}}, {"name": "v", "image": {"reference": "v"}}],
        }});
        let expected = [
            "/spec/initContainers/0/image i true",
            "/spec/containers/0/image a true",
            "/spec/ephemeralContainers/0/image e true",
            "/spec/volumes/1/image/reference v true",
        ];
        assert_eq!(shown(&pod, None), expected);
        assert!(shown(&pod, Some(&pod)).iter().all(|line| line.ends_with("false")));
    }

    #[test]
    fn templates_of_every_kind() {
        for (group, kind, pointer) in TEMPLATES {
            assert!(KINDS.contains(kind), "{kind}");
            let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
            let mut object = json!({"containers": [{"name": "a", "image": "a"}]});
            for step in pointer.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
                object = json!({step: object});
            }
            object["apiVersion"] = version.into();
            object["kind"] = (*kind).into();
            assert_eq!(shown(&object, None), [format!("{pointer}/containers/0/image a true")]);
        }
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a"}]}}}});
        assert_eq!(shown(&rollout, None).len(), 1);
    }

    #[test]
    fn a_renamed_or_moved_container_is_not_the_same() {
        let pod = |list: &str, name: &str| json!({"apiVersion": "v1", "kind": "Pod", "spec": {list: [{"name": name, "image": "a"}]}});
        let old = pod("containers", "a");
        assert!(shown(&pod("containers", "b"), Some(&old))[0].ends_with("true"));
        assert!(shown(&pod("initContainers", "a"), Some(&old))[0].ends_with("true"));
        assert!(shown(&pod("containers", "a"), Some(&old))[0].ends_with("false"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for spec in [
            json!(null),
            json!({"containers": {}}),
            json!({"containers": [1]}),
            json!({"containers": [{"image": 7}]}),
            json!({"containers": [{"image": {}}]}),
            json!({"volumes": [{"image": "text"}]}),
            json!({"volumes": [{"image": {"reference": []}}]}),
            json!({"containers": vec![json!({"image": "a"}); MAX_IMAGES + 1]}),
        ] {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
            assert!(images_of(&pod, None).is_err(), "{pod}");
        }
        assert!(matches!(images_of(&json!({"kind": "ConfigMap"}), None), Err(ObjectError::Kind { .. })));
    }
}
