//! Ways to ask a registry: with a Pod's own pull secrets, as the kubelet would, and then with the gate's credentials.
//!
//! What one tenant's credentials opened is kept under them: another's Pod, which cannot show them, asks the registry
//! itself. What the gate's own credentials opened is for all, as what a node's credentials open is.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesOrdered};
use portcullis_attest::{Discovery, Problem, ProblemError, discover};
use portcullis_errors::{chain, printable};
use portcullis_model::Digest;
use portcullis_registry::{
    Client, Credentials, Hosted, Manifest, NamedCredential, PullSecrets, Reference, RegistryError,
};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    Gate,
    found::{Answer, Found, WayName},
    spans::{self, Asked, Look},
};

/// How long a client keeps what it learned with a credential: tokens that are longer valid are renewed.
const KEEP_CLIENT: Duration = Duration::from_secs(600);
/// The most pull secrets of a Pod that are read.
const MAX_SECRETS: usize = 16;

/// What is told of one entry of a pull secret.
const MAX_PROBLEM: usize = 200;

/// One way to ask a registry.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) client: Client,
    /// The credential's name; none for the gate's own.
    pub(crate) name: WayName,
}

/// All ways to ask for an image. They are asked at once, so that none uses up the time of another.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    /// The Pod's own credentials, the best first.
    named: Vec<Way>,
    /// The gate's.
    own: Way,
    /// Why there are no more: to be told beside a refusal.
    pub(crate) problems: Vec<String>,
    /// When an answer is due.
    due: Instant,
    /// Whether they were asked for evidence.
    pub(crate) asked: Arc<Asked>,
}

impl Ways {
    /// The best first; the last is the gate's own.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Way> {
        self.named.iter().chain([&self.own])
    }

    /// How long a way may take for its next answer: a part of what is left, so that there is time for what follows from
    /// it. A Pod's own credentials get the smaller part.
    fn limit(&self, way: &Way) -> Duration {
        let left = self.due.saturating_duration_since(Instant::now());
        if way.name.is_some() { left / 2 } else { left / 4 * 3 }
    }

    /// The first that succeeds, in the order of the ways, of what all are asked at once. Else the first error that says
    /// more than that the credential opens nothing.
    pub(crate) async fn first<'a, T, F>(
        &'a self,
        image: &Reference,
        ask: impl Fn(&'a Way) -> F,
    ) -> Result<(T, &'a Way), Arc<RegistryError>>
    where
        F: Future<Output = Result<T, Arc<RegistryError>>>,
    {
        let asking = self.iter().map(|way| {
            let (limit, asked) = (self.limit(way), ask(way));
            let span = spans::look(image, Look::Manifest, way.name.is_none());
            async move {
                let answered = tokio::time::timeout(limit, asked).instrument(span.clone()).await;
                let answered = answered.unwrap_or_else(|_elapsed| Err(Arc::new(timed_out(image, limit))));
                spans::looked(&span, answered.as_ref().map_err(AsRef::as_ref));
                answered.map(|answer| (answer, way))
            }
        });
        let mut answers: FuturesOrdered<_> = asking.collect();
        let mut errors = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => errors.push(error),
            }
        }
        // Some registries say of what may not be seen that it is not there.
        let says_more = |error: &Arc<RegistryError>| !error.is_not_found() && !error.is_unauthorized();
        let at = errors.iter().position(says_more).unwrap_or_default();
        match errors.into_iter().nth(at) {
            Some(error) => Err(error),
            None => Err(Arc::new(RegistryError::Setup { what: "a way to ask".into(), source: "none".into() })),
        }
    }
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
    /// The ways to ask for an image, and until when.
    pub(crate) fn ways(&self, reference: &Reference, found: &FoundSecrets) -> Ways {
        let (named, damaged) = found.secrets.for_image(reference);
        let named = named.into_iter().map(|NamedCredential { credential, name }| {
            let key = (reference.registry().to_owned(), name);
            let client = self.work.clients.get(&key).unwrap_or_else(|| {
                let client = self.client.with_credentials(Credentials::fixed(credential));
                self.work.clients.keep(key, client.clone(), KEEP_CLIENT, 1);
                client
            });
            Way { client, name: Some(name) }
        });
        let own = Way { client: self.client.clone(), name: None };
        let read = found.problems.iter().cloned();
        let problems = read.chain(damaged.iter().map(|error| printable(&chain(error), MAX_PROBLEM))).collect();
        let due = Instant::now() + self.options.time_limit;
        Ways { named: named.collect(), own, problems, due, asked: Arc::default() }
    }

    /// Asks the registry once what a tag means; the bytes that it gives make the digest. A digest needs no asking.
    pub(crate) async fn resolve(&self, reference: &Reference, ways: &Ways) -> Result<Digest, Arc<RegistryError>> {
        if let Some(digest) = reference.digest() {
            return Ok(digest);
        }
        ways.first(reference, |way| self.resolve_by(reference, way)).await.map(|(digest, _)| digest)
    }

    async fn resolve_by(&self, reference: &Reference, way: &Way) -> Result<Digest, Arc<RegistryError>> {
        let (client, at, turns) = (way.client.clone(), reference.clone(), Arc::clone(&self.work.turns));
        let work = || {
            async move {
                let answer = turns.look(&at, client.manifest(&at), is_silence).await;
                let Manifest { bytes, .. } = answer.flatten().map_err(Arc::new)?;
                Ok(Digest::of(&bytes))
            }
            .boxed()
        };
        self.work.resolving.run((reference.clone(), way.name), work).await
    }

    /// What is attached to an image, by all ways together.
    pub(crate) async fn discover(&self, image: &Reference, digest: Digest, ways: &Ways) -> Found {
        ways.asked.set();
        let named = join_all(ways.named.iter().map(|way| self.discover_by(image, digest, way, ways)));
        let (named, own) = tokio::join!(named, self.discover_by(image, digest, &ways.own, ways));
        Found::of(&named, &own)
    }

    async fn discover_by(&self, image: &Reference, digest: Digest, way: &Way, ways: &Ways) -> Answer {
        let (client, at, turns) = (way.client.clone(), image.clone(), Arc::clone(&self.work.turns));
        let work = || {
            let began = self.work.looks.begin();
            async move {
                let looking = discover(&client, &at, &digest, &[]);
                match turns.look(&at, looking, has_met_silence).await {
                    Ok(found) => (began, Arc::new(found)),
                    Err(error) => unseen(&digest, error),
                }
            }
            .boxed()
        };
        let limit = ways.limit(way);
        let span = spans::look(image, Look::Evidence, way.name.is_none());
        let discovering = self.work.discovering.run(((image.name(), digest), way.name), work);
        let found = tokio::time::timeout(limit, discovering).instrument(span.clone()).await;
        let (began, found) = found.unwrap_or_else(|_elapsed| unseen(&digest, timed_out(image, limit)));
        spans::discovered(&span, &found);
        Answer { name: way.name, began, found }
    }
}

/// A look that has seen nothing at all, however early it began.
fn unseen(digest: &Digest, error: RegistryError) -> (u64, Arc<Discovery>) {
    let error = ProblemError::Registry(Box::new(error));
    let problem = Problem { what: format!("evidence of {digest}"), error };
    (u64::MAX, Arc::new(Discovery { candidates: Vec::new(), problems: vec![problem] }))
}

/// Whether a registry did not answer.
pub(crate) const fn is_silence<T>(answer: &Result<T, RegistryError>) -> bool {
    matches!(answer, Err(RegistryError::TimedOut { .. }))
}

fn has_met_silence(found: &Discovery) -> bool {
    let is_silence = |error: &ProblemError| match error {
        ProblemError::Registry(error) => matches!(**error, RegistryError::TimedOut { .. }),
        _ => false,
    };
    found.problems.iter().any(|problem| is_silence(&problem.error))
}

fn timed_out(image: &Reference, limit: Duration) -> RegistryError {
    let subject = Hosted { host: image.registry().to_owned(), what: image.repository().to_owned() };
    RegistryError::TimedOut { subject, limit }
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
