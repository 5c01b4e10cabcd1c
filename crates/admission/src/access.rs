//! Ways to ask a registry: with a Pod's own pull secrets, as the kubelet would, and then with the gate's credentials.
//!
//! What one tenant's credentials opened is kept under them: another's Pod, which cannot show them, asks the registry
//! itself. What the gate's own credentials opened is for all, as what a node's credentials open is.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use portcullis_attest::{Discovery, ProblemError, discover};
use portcullis_model::Digest;
use portcullis_registry::{Client, Credentials, Manifest, NamedCredential, PullSecrets, Reference, RegistryError};
use serde_json::Value;

use crate::Gate;

/// How long a client keeps what it learned with a credential: tokens that are longer valid are renewed.
const KEEP_CLIENT: Duration = Duration::from_secs(600);
/// The most pull secrets of a Pod that are read.
const MAX_SECRETS: usize = 16;

/// One way to ask a registry.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) client: Client,
    /// The credential's name; none for the gate's own.
    pub(crate) name: Option<Digest>,
}

/// Whose pull secrets are shown.
#[derive(Debug, Clone, Copy)]
pub struct PullIdentity<'a> {
    /// The namespace of the Pod.
    pub namespace: &'a str,
    /// Its service account.
    pub service_account: &'a str,
    /// The secrets that the Pod itself names.
    pub secrets: &'a [String],
}

/// The pull secrets of a Pod that could be read, and why others could not.
#[derive(Debug, Clone, Default)]
pub struct FoundSecrets {
    /// Those that could be read.
    pub secrets: PullSecrets,
    /// Why others could not, in a sentence each.
    pub problems: Vec<String>,
}

/// The service account and the secrets that a Pod's specification names.
pub(crate) fn named_in(spec: &Value) -> (String, Vec<String>) {
    let account = spec.get("serviceAccountName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let secrets = spec.get("imagePullSecrets").and_then(Value::as_array).into_iter().flatten();
    let names = secrets.filter_map(|secret| secret.get("name")?.as_str()).filter(|name| !name.is_empty());
    (account.unwrap_or("default").to_owned(), names.take(MAX_SECRETS).map(ToOwned::to_owned).collect())
}

impl Gate {
    /// The ways to ask for an image, the best first; the last is the gate's own.
    pub(crate) fn ways(&self, reference: &Reference, found: &FoundSecrets) -> Vec<Way> {
        let own = Way { client: self.client.clone(), name: None };
        // A damaged entry opens nothing; the registry's refusal tells.
        let named = found.secrets.for_image(reference).unwrap_or_default();
        let ways = named.into_iter().map(|NamedCredential { credential, name }| {
            let key = (reference.registry().to_owned(), name);
            let client = self.work.clients.get(&key).unwrap_or_else(|| {
                let client = self.client.with_credentials(Credentials::fixed(credential));
                self.work.clients.keep(key, client.clone(), KEEP_CLIENT, 1);
                client
            });
            Way { client, name: Some(name) }
        });
        ways.chain([own]).collect()
    }

    /// Asks the registry once what a tag means; the bytes that it gives make the digest. A digest needs no asking.
    pub(crate) async fn resolve(&self, reference: &Reference, ways: &[Way]) -> Result<Digest, Arc<RegistryError>> {
        if let Some(digest) = reference.digest() {
            return Ok(digest);
        }
        let mut first = None;
        for way in ways {
            match self.resolve_by(reference, way).await {
                Ok(digest) => return Ok(digest),
                // Some registries say of what may not be seen that it is not there.
                Err(error) if error.is_not_found() || error.is_unauthorized() => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(first
            .unwrap_or_else(|| Arc::new(RegistryError::Setup { what: "a way to ask".into(), source: "none".into() })))
    }

    async fn resolve_by(&self, reference: &Reference, way: &Way) -> Result<Digest, Arc<RegistryError>> {
        let (client, at) = (way.client.clone(), reference.clone());
        let work = || {
            async move {
                let Manifest { bytes, .. } = client.manifest(&at).await.map_err(Arc::new)?;
                Ok(Digest::of(&bytes))
            }
            .boxed()
        };
        self.work.resolving.run((reference.clone(), way.name), work).await
    }

    /// What is attached to an image, and the way that found it.
    pub(crate) async fn discover<'a>(
        &self,
        image: &Reference,
        digest: Digest,
        ways: &'a [Way],
    ) -> (Arc<Discovery>, Option<&'a Way>) {
        let mut first: Option<(Arc<Discovery>, &Way)> = None;
        for way in ways {
            let found = self.discover_by(image, digest, way).await;
            if !found.candidates.is_empty() || is_outage(&found) {
                return (found, Some(way));
            }
            // Nothing, seen with certainty, counts more than what could not be seen.
            let is_better = first.as_ref().is_none_or(|(before, _)| !before.is_complete() && found.is_complete());
            if is_better {
                first = Some((found, way));
            }
        }
        first.map_or_else(|| (Arc::default(), None), |(found, way)| (found, Some(way)))
    }

    async fn discover_by(&self, image: &Reference, digest: Digest, way: &Way) -> Arc<Discovery> {
        let (client, at) = (way.client.clone(), image.clone());
        let work = || async move { Arc::new(discover(&client, &at, &digest, &[]).await) }.boxed();
        self.work.discovering.run(((image.name(), digest), way.name), work).await
    }
}

/// Whether the registry could not be asked, for reasons that pass: what it gave before may still count then.
pub(crate) fn is_outage(discovery: &Discovery) -> bool {
    !discovery.problems.is_empty()
        && discovery.problems.iter().all(|problem| match &problem.error {
            ProblemError::Registry(error) => error.is_temporary(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_names_its_secrets_and_its_account() {
        let spec = json!({"imagePullSecrets": [{"name": "a"}, {}, {"name": ""}, {"name": "b"}]});
        assert_eq!(named_in(&spec), ("default".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
        let spec = json!({"serviceAccountName": "builder", "imagePullSecrets": vec![json!({"name": "x"}); 100]});
        let (account, secrets) = named_in(&spec);
        assert_eq!((account.as_str(), secrets.len()), ("builder", MAX_SECRETS));
    }
}
