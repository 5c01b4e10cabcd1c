//! What the gate may ask of the cluster around it. There may be none: with files alone, nothing is known of namespaces
//! but their names.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{FoundSecrets, PullIdentity};

/// A cluster, as far as decisions need it.
pub trait Surroundings: Send + Sync + fmt::Debug {
    /// The Namespace of this name, as Kubernetes keeps it; none where it is not known (yet, or any more).
    fn namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Arc<Value>>>;

    /// The pull secrets that a Pod and its service account name, and no others; none where they are not asked for.
    fn pull_secrets<'a>(&'a self, _identity: PullIdentity<'a>) -> BoxFuture<'a, FoundSecrets> {
        Box::pin(std::future::ready(FoundSecrets::default()))
    }
}

/// The labels of an object.
pub(crate) fn labels_of(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let texts = labels.into_iter().flatten();
    texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Namespaces that are given, and no others: those of a manifest on the desk.
#[derive(Debug, Default)]
pub(crate) struct GivenNamespaces(pub(crate) BTreeMap<String, Arc<Value>>);

impl Surroundings for GivenNamespaces {
    fn namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Arc<Value>>> {
        Box::pin(std::future::ready(self.0.get(name).cloned()))
    }
}
