//! Pull secrets, as the kubelet reads them: those that a Pod and its service account name, one by one and by `get`
//! alone. They are kept for half a minute, so that a Deployment does not read them a hundred times.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};
use portcullis_admission::{FoundSecrets, PullIdentity};
use portcullis_errors::{Secret as Hidden, chain, printable};
use portcullis_registry::PullSecretForm;

use super::asked;

const KEEP: Duration = Duration::from_secs(30);
/// The most secrets and accounts that are kept.
const MAX_KEPT: usize = 1024;
/// The most secrets of a service account that are read.
const MAX_NAMES: usize = 16;

/// A secret's text in one of the two forms; none for one that is not there.
type Text = Option<Arc<(PullSecretForm, Hidden)>>;

/// Reads pull secrets.
pub(crate) struct Secrets {
    client: Client,
    texts: Keeping<Text>,
    accounts: Keeping<Vec<String>>,
}

impl Secrets {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, texts: Mutex::default(), accounts: Mutex::default() }
    }

    pub(super) async fn of(&self, identity: PullIdentity<'_>) -> FoundSecrets {
        let PullIdentity { namespace, service_account, secrets } = identity;
        let mut found = FoundSecrets::default();
        let mut names: Vec<String> = secrets.to_vec();
        // Kubernetes gives a Pod those of its account only where it names none itself.
        if names.is_empty() {
            match self.account(namespace, service_account).await {
                Ok(of_account) => names = of_account,
                Err(problem) => found.problems.push(problem),
            }
        }
        for name in &names {
            let added = match self.text(namespace, name).await {
                Ok(Some(text)) => found.secrets.add(text.0, text.1.reveal()).map_err(|error| chain(&error)),
                // As the kubelet does: one that is not there is passed over.
                Ok(None) => Ok(()),
                Err(problem) => Err(problem),
            };
            if let Err(problem) = added {
                found.problems.push(format!("pull secret {}: {problem}", printable(name, 100)));
            }
        }
        found
    }

    async fn account(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = kept(&self.accounts, &key) {
            return Ok(known);
        }
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let account = asked(api.get_opt(name)).await.map_err(|error| error.to_string())?;
        let secrets = account.and_then(|account| account.image_pull_secrets).unwrap_or_default();
        let names: Vec<String> = secrets.into_iter().map(|secret| secret.name).take(MAX_NAMES).collect();
        keep(&self.accounts, key, names.clone());
        Ok(names)
    }

    async fn text(&self, namespace: &str, name: &str) -> Result<Text, String> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = kept(&self.texts, &key) {
            return Ok(known);
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let text = match asked(api.get_opt(name)).await.map_err(|error| error.to_string())? {
            Some(secret) => Some(Arc::new(text_of(secret)?)),
            None => None,
        };
        keep(&self.texts, key, text.clone());
        Ok(text)
    }
}

/// The one key of a pull secret. A secret of another type is not looked into.
fn text_of(secret: Secret) -> Result<(PullSecretForm, Hidden), String> {
    let (form, key) = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => (PullSecretForm::DockerConfigJson, ".dockerconfigjson"),
        Some("kubernetes.io/dockercfg") => (PullSecretForm::DockerCfg, ".dockercfg"),
        other => return Err(format!("it is of type {}, not a pull secret", printable(other.unwrap_or("(none)"), 60))),
    };
    let mut data = secret.data.unwrap_or_default();
    let bytes = data.remove(key).ok_or_else(|| format!("it has no {key}"))?;
    let text = String::from_utf8(bytes.0).map_err(|_error| format!("its {key} is not a text"))?;
    Ok((form, Hidden::new(text)))
}

/// By namespace and name.
type Keeping<V> = Mutex<HashMap<(String, String), (Instant, V)>>;

fn kept<V: Clone>(keeping: &Keeping<V>, key: &(String, String)) -> Option<V> {
    let all = keeping.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(key).filter(|(since, _)| since.elapsed() < KEEP).map(|(_, value)| value.clone())
}

fn keep<V>(keeping: &Keeping<V>, key: (String, String), value: V) {
    let mut all = keeping.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_KEPT {
        all.retain(|_, (since, _)| since.elapsed() < KEEP);
    }
    if all.len() >= MAX_KEPT {
        all.clear();
    }
    all.insert(key, (Instant::now(), value));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(kind: &str, key: &str, value: &[u8]) -> Secret {
        Secret {
            type_: Some(kind.to_owned()),
            data: Some([(key.to_owned(), ByteString(value.to_vec()))].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn only_pull_secrets_are_looked_into() {
        let good = text_of(secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", b"{}")).unwrap();
        assert_eq!((good.0, good.1.reveal()), (PullSecretForm::DockerConfigJson, "{}"));
        assert!(text_of(secret("kubernetes.io/dockercfg", ".dockercfg", b"{}")).is_ok());
        for bad in [
            secret("Opaque", ".dockerconfigjson", b"{}"),
            secret("kubernetes.io/dockerconfigjson", "other", b"{}"),
            secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", b"\xff"),
        ] {
            assert!(text_of(bad).is_err());
        }
    }
}
