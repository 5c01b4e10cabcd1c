//! Objects of a manifest that the gate does not judge, and whether images stand in them all the same: a kind that is not
//! known here may still run them.

use portcullis_errors::printable;
use serde_json::{Map, Value};

use crate::images::KINDS;

/// An object that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which document of the file, from 1.
    pub document: usize,
    /// Its kind; empty where it names none.
    pub kind: String,
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name; empty where it has none.
    pub name: String,
    /// The first field that names an image as a container does, as a JSON pointer; none where there is none. Something
    /// may run that image, and nothing is known of it.
    pub image: Option<String>,
    /// The kind that it was to be, where only upper and lower case are different: `pod`.
    pub meant: Option<&'static str>,
}

/// Fields that hold a container, or a list of them: of Pods, and of what others make Pods of (a Workflow, a Task).
const HOLDERS: [&str; 8] =
    ["container", "containers", "initContainers", "ephemeralContainers", "sidecars", "script", "steps", "containerSet"];
/// Fields that stand beside the image of a container. An image beside none of these is often only watched or shown.
const BESIDE: [&str; 11] = [
    "command",
    "args",
    "env",
    "envFrom",
    "ports",
    "resources",
    "volumeMounts",
    "imagePullPolicy",
    "securityContext",
    "livenessProbe",
    "readinessProbe",
];
/// Kinds that run nothing themselves, whatever they hold.
const STILL: [(&str, &str); 3] =
    [("v1", "ConfigMap"), ("v1", "Secret"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")];

impl Skipped {
    pub(crate) fn of(document: usize, object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let shown = |pointer: &str| printable(text(pointer).unwrap_or_default(), 253);
        let (version, kind) = (text("/apiVersion").unwrap_or_default(), text("/kind").unwrap_or_default());
        let mut path = Vec::new();
        let holds = !STILL.contains(&(version, kind)) && find(object, "", &mut path);
        Self {
            document,
            kind: shown("/kind"),
            namespace: text("/metadata/namespace").map(|namespace| printable(namespace, 253)),
            name: shown("/metadata/name"),
            image: holds.then(|| path.iter().map(|step| format!("/{}", printable(step, 100))).collect()),
            meant: KINDS.into_iter().find(|known| known.eq_ignore_ascii_case(kind) && *known != kind),
        }
    }
}

/// Whether a container stands below; then `path` leads to its image. YAML of no more than 64 levels comes here.
fn find(value: &Value, holder: &str, path: &mut Vec<String>) -> bool {
    match value {
        Value::Object(fields) => {
            if is_container(fields, holder) {
                path.push("image".to_owned());
                return true;
            }
            fields.iter().any(|(name, field)| step(name, field, name, path))
        }
        // What a list holds is what the field of the list is to hold.
        Value::Array(entries) => {
            entries.iter().enumerate().any(|(index, entry)| step(&index.to_string(), entry, holder, path))
        }
        _ => false,
    }
}

fn step(name: &str, value: &Value, holder: &str, path: &mut Vec<String>) -> bool {
    path.push(name.to_owned());
    let is_found = find(value, holder, path);
    if !is_found {
        path.pop();
    }
    is_found
}

fn is_container(fields: &Map<String, Value>, holder: &str) -> bool {
    fields.get("image").is_some_and(Value::is_string)
        && (HOLDERS.contains(&holder) || BESIDE.iter().any(|name| fields.contains_key(*name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(object: &Value) -> Option<String> {
        Skipped::of(1, object).image
    }

    #[test]
    fn a_container_is_found_wherever_it_stands() {
        let pod = json!({"spec": {"containers": [{"image": "a"}]}});
        let jobs = json!({"kind": "JobSet", "spec": {"replicatedJobs": [{"template": {"spec": {"template": pod}}}]}});
        let found = "/spec/replicatedJobs/0/template/spec/template/spec/containers/0/image";
        assert_eq!(image(&jobs).as_deref(), Some(found));
        let flow = json!({"kind": "Workflow", "spec": {"templates": [{"name": "a"}, {"container": {"image": "a"}}]}});
        assert_eq!(image(&flow).as_deref(), Some("/spec/templates/1/container/image"));
        let server = json!({"kind": "Prometheus", "spec": {"image": "a", "resources": {}}});
        assert_eq!(image(&server).as_deref(), Some("/spec/image"));
    }

    #[test]
    fn what_only_speaks_of_an_image_is_no_container() {
        let watched = json!({"kind": "ImageRepository", "spec": {"image": "a", "interval": "1h"}});
        let schema = json!({"containers": {"items": {"properties": {"image": {"type": "string"}}}}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"image": "a", "command": "b"}});
        for object in [watched, schema, map, json!(null), json!("containers"), json!([])] {
            assert_eq!(image(&object), None, "{object}");
        }
    }

    #[test]
    fn a_kind_in_other_letters_is_told() {
        assert_eq!(Skipped::of(1, &json!({"kind": "pod"})).meant, Some("Pod"));
        assert_eq!(Skipped::of(1, &json!({"kind": "cronjob"})).meant, Some("CronJob"));
        assert_eq!(Skipped::of(1, &json!({"kind": "JobSet"})).meant, None);
    }
}
