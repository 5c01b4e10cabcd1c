//! Manifests on the desk: `portcullis admit -f` asks the same gate, in the same words.

use std::sync::Arc;

use portcullis_errors::{Hint, printable};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Options};

use crate::{
    Decision, Gate, ObjectError, Skipped, Surroundings,
    gate::{Stage, Subject},
    images::{images_of, pod_spec_pointer},
    surroundings::GivenNamespaces,
    workloads::canonical,
};

/// The largest file of manifests.
pub const MAX_MANIFEST_FILE_BYTES: usize = 16 << 20;
/// Lists inside lists.
const MAX_DEPTH: usize = 4;

/// What would become of the objects of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestAnswer {
    /// Of those that hold a Pod, or a template of one.
    pub decisions: Vec<ManifestDecision>,
    /// All others but Namespaces.
    pub skipped: Vec<Skipped>,
}

impl ManifestAnswer {
    /// Whether something is refused.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.decisions.iter().any(|one| !one.decision.allowed)
    }

    /// Whether something may run that nobody has looked at, or that a policy was not asked about.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.skipped.iter().any(|one| one.image.is_some()) || self.decisions.iter().any(ManifestDecision::is_open)
    }
}

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
    /// The policies of namespaces that were not asked, as nobody knows the object's namespace.
    pub unasked: Vec<Unasked>,
}

impl ManifestDecision {
    /// Whether it is let in only as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.decision.allowed && self.unasked.iter().any(|policy| !policy.audit)
    }
}

/// A policy of a namespace that was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    /// Its name.
    pub policy: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether it would only warn.
    pub audit: bool,
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
    /// are told. The labels of a namespace are those of its Namespace in `text`, if it is there. Tags are judged as
    /// they stand now, and the decision says what they would be pinned to. `default_namespace` is that of objects which
    /// name none.
    ///
    /// # Errors
    /// When the text or one of its objects cannot be read.
    pub async fn admit_manifest(
        &self,
        text: &str,
        default_namespace: Option<&str>,
    ) -> Result<ManifestAnswer, ManifestError> {
        if text.len() > MAX_MANIFEST_FILE_BYTES {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options())
            .map_err(|error| ManifestError::Yaml(printable(&error.without_snippet().to_string(), 300)))?;
        let mut found = Found::default();
        for (index, document) in documents.into_iter().enumerate() {
            found.flatten(index + 1, document, 0)?;
        }
        let Found { objects, namespaces, skipped } = found;
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
                unasked: if namespace.is_none() { self.unasked(&object) } else { Vec::new() },
                decision,
            });
        }
        Ok(ManifestAnswer { decisions, skipped })
    }

    /// The policies of namespaces that speak of an object, if it is in theirs.
    fn unasked(&self, object: &Value) -> Vec<Unasked> {
        let images = images_of(object, None).unwrap_or_default();
        let names: Vec<Option<String>> = images.iter().map(|found| canonical(&found.image)).collect();
        let mut unasked = Vec::new();
        for ready in &self.set.policies {
            let policy = &ready.policy;
            // A name that cannot be read may be any.
            let speaks = |name: &Option<String>| name.as_ref().is_none_or(|name| policy.applies_to(name));
            let is_of_all = policy.spec.images.is_none() && policy.spec.workloads.is_some();
            let Some(namespace) = policy.namespace.clone().filter(|_| is_of_all || names.iter().any(speaks)) else {
                continue;
            };
            unasked.push(Unasked { policy: policy.name.clone(), namespace, audit: ready.reference.audit });
        }
        unasked
    }
}

/// What a file holds.
#[derive(Default)]
struct Found {
    /// Those that hold Pods, with their documents.
    objects: Vec<(usize, Value)>,
    namespaces: GivenNamespaces,
    skipped: Vec<Skipped>,
}

impl Found {
    /// The objects of a document; those of a `List` one by one.
    fn flatten(&mut self, document: usize, mut object: Value, depth: usize) -> Result<(), ManifestError> {
        if (object.get("apiVersion"), object.get("kind")) == (Some(&"v1".into()), Some(&"Namespace".into())) {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            self.namespaces.0.insert(name, Arc::new(object));
            return Ok(());
        }
        if pod_spec_pointer(&object).is_some() {
            self.objects.push((document, object));
            return Ok(());
        }
        let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        let is_items = |items: &&mut Value| is_list && items.is_array();
        let Some(Value::Array(items)) = object.get_mut("items").filter(is_items).map(Value::take) else {
            // Between two `---` may be nothing.
            if !object.is_null() {
                self.skipped.push(Skipped::of(document, &object));
            }
            return Ok(());
        };
        if depth == MAX_DEPTH {
            return Err(ManifestError::Depth(document));
        }
        items.into_iter().try_for_each(|item| self.flatten(document, item, depth + 1))
    }
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
