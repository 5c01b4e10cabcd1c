//! The webhook's certificate in a Secret that all replicas share, and its authority in the webhook configurations.
//!
//! Nobody leads: each replica looks at the Secret, and renews what is due with the version that it read. One wins, and
//! the others take what it wrote. A new authority stands beside the one before, and nothing is issued by it before the
//! configurations name both, since a certificate lives on until its own time comes.

use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
        },
        core::v1::Secret,
    },
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::{REQUEST, told};
use crate::{
    authority::{Held, Wanted, renewed},
    certs::Pair,
    error::SetupError,
    policies::now,
};

/// How often other replicas may be faster before it is given up until later.
const ATTEMPTS: usize = 8;
/// How often the Secret and the configurations are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The Secret, and what is kept in step with it.
pub(crate) struct Certificates {
    pub(crate) client: Client,
    /// The Secret's namespace and name.
    pub(crate) secret: (String, String),
    /// Mutating and validating configurations of these names.
    pub(crate) configurations: Vec<String>,
    pub(crate) wanted: Wanted,
}

impl Certificates {
    /// What the Secret holds, renewed where that is due.
    pub(crate) async fn current(&self) -> Result<Held, SetupError> {
        let (namespace, name) = &self.secret;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for attempt in 0..ATTEMPTS {
            let secret = asked(api.get_opt(name)).await?;
            let held = secret.as_ref().and_then(held_in);
            let Some(new) = renewed(held.as_ref(), &self.wanted, now())? else {
                // There is one, or there would be a new one.
                return held.ok_or_else(|| SetupError::Cluster { reason: "the certificate is lost".to_owned() });
            };
            let stored = match secret {
                Some(secret) => api.replace(name, &PostParams::default(), &stored_in(secret, &new)).await,
                None => {
                    let metadata = ObjectMeta {
                        name: Some(name.clone()),
                        namespace: Some(namespace.clone()),
                        ..ObjectMeta::default()
                    };
                    let secret = Secret { metadata, ..Secret::default() };
                    api.create(&PostParams::default(), &stored_in(secret, &new)).await
                }
            };
            match stored {
                Ok(_) => {
                    tracing::info!(namespace, name, "the certificate was renewed");
                    return Ok(new);
                }
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                    tracing::debug!(attempt, "another replica was faster");
                }
                Err(error) => return Err(SetupError::Cluster { reason: told(&error) }),
            }
        }
        Err(SetupError::Cluster { reason: format!("the Secret {namespace}/{name} is written all the time") })
    }

    /// Looks again until the process ends: renews, changes the server's certificate, keeps the configurations in step.
    pub(crate) async fn keep(self, mut serving: Pair, tls: RustlsConfig) {
        // A short life, as tests have, wants more looks.
        let often = LOOK_AGAIN.min(self.wanted.lifetime / 8).max(Duration::from_millis(500));
        let mut ticks = tokio::time::interval(often);
        loop {
            ticks.tick().await;
            let held = match self.current().await {
                Ok(held) => held,
                Err(error) => {
                    tracing::error!(
                        error = portcullis_errors::chain(&error),
                        "cannot look after the certificate: the one at hand goes on"
                    );
                    continue;
                }
            };
            if held.pair != serving {
                match tls.reload_from_pem(held.pair.certificate.clone(), held.pair.key.clone()).await {
                    Ok(()) => {
                        tracing::info!("the certificate of the Secret is used");
                        serving = held.pair;
                    }
                    Err(error) => tracing::error!(%error, "cannot use the certificate of the Secret"),
                }
            }
            self.publish(&held.authorities).await;
        }
    }

    /// Writes the authorities into the configurations, where they do not stand there.
    pub(crate) async fn publish(&self, authorities: &str) {
        let bundle = ByteString(authorities.as_bytes().to_vec());
        for name in &self.configurations {
            let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
            match asked(api.get_opt(name)).await {
                Ok(Some(mut found)) => {
                    let clients = found.webhooks.iter_mut().flatten().map(|webhook| &mut webhook.client_config);
                    if set_bundle(clients, &bundle) {
                        report(name, api.replace(name, &PostParams::default(), &found).await.map(|_| ()));
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(name, %error, "cannot read a webhook configuration"),
            }
            let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
            match asked(api.get_opt(name)).await {
                Ok(Some(mut found)) => {
                    let clients = found.webhooks.iter_mut().flatten().map(|webhook| &mut webhook.client_config);
                    if set_bundle(clients, &bundle) {
                        report(name, api.replace(name, &PostParams::default(), &found).await.map(|_| ()));
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(name, %error, "cannot read a webhook configuration"),
            }
        }
    }
}

/// Whether anything was changed.
fn set_bundle<'a>(clients: impl Iterator<Item = &'a mut WebhookClientConfig>, bundle: &ByteString) -> bool {
    let mut is_changed = false;
    for client in clients.filter(|client| client.ca_bundle.as_ref() != Some(bundle)) {
        client.ca_bundle = Some(bundle.clone());
        is_changed = true;
    }
    is_changed
}

fn report(name: &str, stored: Result<(), kube::Error>) {
    match stored {
        Ok(()) => tracing::info!(name, "the authority was written into a webhook configuration"),
        // Another replica was faster, with the same.
        Err(kube::Error::Api(status)) if status.is_conflict() => {}
        Err(error) => tracing::warn!(name, error = told(&error), "cannot write a webhook configuration"),
    }
}

fn held_in(secret: &Secret) -> Option<Held> {
    let data = secret.data.as_ref()?;
    let bytes = |name: &str| data.get(name).map(|value| value.0.clone());
    let text = |name: &str| String::from_utf8(bytes(name)?).ok();
    Some(Held {
        authorities: text("ca.crt")?,
        authority_key: text("ca.key")?,
        pair: Pair { certificate: bytes("tls.crt")?, key: bytes("tls.key")? },
    })
}

fn stored_in(secret: Secret, held: &Held) -> Secret {
    let Held { authorities, authority_key, pair } = held;
    let Pair { certificate, key } = pair;
    let data = [
        ("ca.crt", authorities.as_bytes()),
        ("ca.key", authority_key.as_bytes()),
        ("tls.crt", certificate.as_slice()),
        ("tls.key", key.as_slice()),
    ];
    let data = data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.to_vec())));
    // A Secret that somebody made beforehand keeps its type, which cannot be changed.
    let type_ = secret.type_.clone().or_else(|| Some("kubernetes.io/tls".to_owned()));
    Secret { data: Some(data.into()), type_, ..secret }
}

async fn asked<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, SetupError> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answered) => answered.map_err(|error| SetupError::Cluster { reason: told(&error) }),
        Err(_elapsed) => Err(SetupError::Cluster { reason: "the API server does not answer".to_owned() }),
    }
}
