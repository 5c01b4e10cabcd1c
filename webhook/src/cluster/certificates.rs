//! The webhook's certificate in a Secret that all replicas share, and its authority in the webhook configurations.
//!
//! Nobody leads: each replica looks at the Secret, and renews what is due with the version that it read. One wins, and
//! the others take what it wrote. A new authority stands beside the one before, and nothing is issued by it before the
//! configurations name both, since a certificate lives on until its own time comes.

use std::{collections::BTreeSet, time::Duration};

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

use super::{Unanswered, asked};
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
    /// Those of them that were not there when they were last looked for.
    pub(crate) missing: BTreeSet<String>,
}

impl Certificates {
    /// What the Secret holds, renewed where that is due.
    pub(crate) async fn current(&self) -> Result<Held, SetupError> {
        let (namespace, name) = &self.secret;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for attempt in 0..ATTEMPTS {
            let secret = asked(api.get_opt(name)).await.map_err(unreachable)?;
            let held = secret.as_ref().and_then(held_in);
            let Some(new) = renewed(held.as_ref(), &self.wanted, now())? else {
                // There is one, or there would be a new one.
                return held.ok_or_else(|| SetupError::Cluster { reason: "the certificate is lost".to_owned() });
            };
            let parameters = PostParams::default();
            let stored = match secret {
                Some(secret) => asked(api.replace(name, &parameters, &stored_in(secret, &new))).await,
                None => {
                    let metadata = ObjectMeta {
                        name: Some(name.clone()),
                        namespace: Some(namespace.clone()),
                        ..ObjectMeta::default()
                    };
                    let secret = Secret { metadata, ..Secret::default() };
                    asked(api.create(&parameters, &stored_in(secret, &new))).await
                }
            };
            match stored {
                Ok(_) => {
                    tracing::info!(namespace, name, "the certificate was renewed");
                    return Ok(new);
                }
                Err(error) if error.is_outrun() => tracing::debug!(attempt, "another replica was faster"),
                Err(error) => return Err(unreachable(error)),
            }
        }
        Err(SetupError::Cluster { reason: format!("the Secret {namespace}/{name} is written all the time") })
    }

    /// Looks again until the process ends: renews, changes the server's certificate, keeps the configurations in step.
    pub(crate) async fn keep(mut self, mut serving: Pair, tls: RustlsConfig) {
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
    pub(crate) async fn publish(&mut self, authorities: &str) {
        let bundle = ByteString(authorities.as_bytes().to_vec());
        for name in &self.configurations {
            let mutating = Api::<MutatingWebhookConfiguration>::all(self.client.clone());
            let is_mutating = publish_in(&mutating, name, &bundle, |found| {
                found.webhooks.iter_mut().flatten().map(|webhook| &mut webhook.client_config).collect()
            });
            let validating = Api::<ValidatingWebhookConfiguration>::all(self.client.clone());
            let is_validating = publish_in(&validating, name, &bundle, |found| {
                found.webhooks.iter_mut().flatten().map(|webhook| &mut webhook.client_config).collect()
            });
            if is_mutating.await | is_validating.await {
                self.missing.remove(name);
            } else if self.missing.insert(name.clone()) {
                tracing::warn!(name, "there is no webhook configuration of this name: nobody learns of the authority");
            }
        }
    }
}

/// Whether there is, or may be, a configuration of this name.
async fn publish_in<K>(
    api: &Api<K>,
    name: &str,
    bundle: &ByteString,
    clients: impl Fn(&mut K) -> Vec<&mut WebhookClientConfig>,
) -> bool
where
    K: Clone + std::fmt::Debug + k8s_openapi::serde::Serialize + k8s_openapi::serde::de::DeserializeOwned,
{
    match asked(api.get_opt(name)).await {
        Ok(Some(mut found)) => {
            if set_bundle(clients(&mut found).into_iter(), bundle) {
                report(name, asked(api.replace(name, &PostParams::default(), &found)).await.map(|_| ()));
            }
            true
        }
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(name, %error, "cannot read a webhook configuration");
            true
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

fn report(name: &str, stored: Result<(), Unanswered>) {
    match stored {
        Ok(()) => tracing::info!(name, "the authority was written into a webhook configuration"),
        // Another replica was faster, with the same.
        Err(error) if error.is_outrun() => {}
        Err(error) => tracing::warn!(name, %error, "cannot write a webhook configuration"),
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
    // Whatever else somebody keeps there stays.
    let mut all = secret.data.clone().unwrap_or_default();
    all.extend(data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.to_vec()))));
    // A Secret that somebody made beforehand keeps its type, which cannot be changed.
    let type_ = secret.type_.clone().or_else(|| Some("kubernetes.io/tls".to_owned()));
    Secret { data: Some(all), type_, ..secret }
}

fn unreachable(error: Unanswered) -> SetupError {
    SetupError::Cluster { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use portcullis_model::Timestamp;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An API server that knows no object, and says nothing to who would make one.
    async fn silent_at_writing() -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.ok()?);
                    }
                    if !head.starts_with(b"GET ") {
                        std::future::pending::<()>().await;
                    }
                    let body =
                        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
                    let length = body.len();
                    let head = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n";
                    stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).await.ok()
                });
            }
        });
        Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }

    #[test]
    fn what_else_is_in_the_secret_stays() {
        let wanted = Wanted { names: vec!["localhost".to_owned()], lifetime: Duration::from_secs(86_400) };
        let held = renewed(None, &wanted, Timestamp::from_unix(1_800_000_000)).unwrap().unwrap();
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = [("keystore.p12", "theirs"), ("tls.crt", "old")].map(|(name, text)| (name.to_owned(), bytes(text)));
        let stored = stored_in(Secret { data: Some(data.into()), ..Secret::default() }, &held);
        assert!(held_in(&stored).as_ref() == Some(&held));
        assert_eq!(stored.data.unwrap()["keystore.p12"], bytes("theirs"));
    }

    #[tokio::test]
    async fn an_api_server_that_says_nothing_to_a_write_is_not_waited_for_for_ever() {
        let certificates = Certificates {
            client: silent_at_writing().await,
            secret: ("portcullis".to_owned(), "certificate".to_owned()),
            configurations: Vec::new(),
            wanted: Wanted { names: vec!["localhost".to_owned()], lifetime: Duration::from_secs(86_400) },
            missing: BTreeSet::new(),
        };
        let error = certificates.current().await.err().unwrap();
        assert_eq!(error.to_string(), "cannot reach the cluster: the API server does not answer");
    }
}
