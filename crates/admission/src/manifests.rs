//! Manifests on the desk: `portcullis admit -f` asks the same gate, in the same words.

use std::sync::Arc;

use portcullis_errors::{Hint, printable};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Options};

use crate::{
    Decision, Gate, ObjectError, Surroundings,
    gate::{Stage, Subject},
    images::pod_spec_pointer,
    surroundings::GivenNamespaces,
};

/// The largest file of manifests.
pub const MAX_MANIFEST_FILE_BYTES: usize = 16 << 20;
/// Lists inside lists.
const MAX_DEPTH: usize = 4;

/// What would become of one object of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDecision {
    /// Which document of the file, from 1.
    pub document: usize,
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The decision.
    pub decision: Decision,
}

/// Why manifests cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than is read.
    #[error("the manifests have {0} bytes; the limit is {MAX_MANIFEST_FILE_BYTES}")]
    TooLarge(usize),
    /// Not YAML or JSON.
    #[error("the manifests cannot be read: {0}")]
    Yaml(String),
    /// An object with a field of another shape than Kubernetes gives it.
    #[error("document {document}: {error}")]
    Object {
        /// Which document, from 1.
        document: usize,
        /// What is wrong.
        error: ObjectError,
    },
    /// Lists inside lists.
    #[error("document {0}: lists inside lists are too deep")]
    Depth(usize),
}

impl Hint for ManifestError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Yaml(_) => {
                Some("is it a template? render it first, with `helm template` or `kustomize build`".into())
            }
            Self::TooLarge(_) => Some("give it in several files".into()),
            Self::Object { .. } | Self::Depth(_) => None,
        }
    }
}

impl Gate {
    /// Judges every object in `text` (YAML or JSON, several documents) that holds a Pod or a template of one; others
    /// are passed over. The labels of a namespace are those of its Namespace in `text`, if it is there. Tags are judged as they stand now, and the decision says what they would be pinned to.
    ///
    /// # Errors
    /// When the text or one of its objects cannot be read.
    pub async fn admit_manifest(
        &self,
        text: &str,
        default_namespace: Option<&str>,
    ) -> Result<Vec<ManifestDecision>, ManifestError> {
        if text.len() > MAX_MANIFEST_FILE_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options())
            .map_err(|error| ManifestError::Yaml(printable(&error.without_snippet().to_string(), 300)))?;
        let mut objects = Vec::new();
        let mut namespaces = GivenNamespaces::default();
        for (index, document) in documents.into_iter().enumerate() {
            flatten(index + 1, document, 0, &mut objects, &mut namespaces)?;
        }
        let mut decisions = Vec::new();
        for (document, object) in objects {
            let field = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let text = |pointer: &str| printable(field(pointer).unwrap_or_default(), 253);
            let namespace = field("/metadata/namespace").or(default_namespace);
            let surroundings: Option<&dyn Surroundings> =
                if self.has_surroundings() { None } else { Some(&namespaces) };
            let subject =
                Subject { object: &object, old: None, namespace, stage: Stage::Desk, surroundings, request: None };
            let decision = self.decide(subject).await.map_err(|error| ManifestError::Object { document, error })?;
            decisions.push(ManifestDecision {
                document,
                kind: text("/kind"),
                namespace: namespace.map(ToOwned::to_owned),
                name: text("/metadata/name"),
                decision,
            });
        }
        Ok(decisions)
    }
}

/// The objects that hold Pods; those of a `List` one by one.
fn flatten(
    document: usize,
    mut object: Value,
    depth: usize,
    objects: &mut Vec<(usize, Value)>,
    namespaces: &mut GivenNamespaces,
) -> Result<(), ManifestError> {
    if (object.get("apiVersion"), object.get("kind")) == (Some(&"v1".into()), Some(&"Namespace".into())) {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        namespaces.0.insert(name, Arc::new(object));
        return Ok(());
    }
    if pod_spec_pointer(&object).is_some() {
        objects.push((document, object));
        return Ok(());
    }
    let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let Some(Value::Array(items)) = object.get_mut("items").map(Value::take).filter(|_| is_list) else {
        return Ok(());
    };
    if depth == MAX_DEPTH {
        return Err(ManifestError::Depth(document));
    }
    items.into_iter().try_for_each(|item| flatten(document, item, depth + 1, objects, namespaces))
}

/// Bounds that no manifest comes near, and that no bomb gets past.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_documents: 10_000,
            max_nodes: 1_000_000,
            max_events: 2_000_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: 2 * MAX_MANIFEST_FILE_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    }
}
