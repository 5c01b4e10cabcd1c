//! The services behind signatures without a key of one's own: a certificate authority, a log, a timestamp authority.
//!
//! Spec: <https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>. Which services: a signing config,
//! <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_trustroot.proto>.

use std::{fmt, time::Duration};

use portcullis_errors::{Hint, printable};
use sigstore_sign::{SigningServices as Services, SigstoreInstance, reqwest, tsa::TimestampClient};
use sigstore_trust_root::SigningConfig;
use sigstore_types::SignatureBytes;

use crate::VerifyError;

/// A signing config has a few kilobytes.
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// How long one request to a service may take. A log answers when the entry is in its tree, which takes seconds.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Why nothing could be signed without a key.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The requests cannot be made.
    #[error("cannot set up requests: {0}")]
    Setup(String),
    /// The signing config cannot be used.
    #[error("the signing config cannot be used: {0}")]
    Config(String),
    /// A token would be sent in the clear.
    #[error("{0} is not https")]
    Plain(String),
    /// There is no identity to sign with.
    #[error("this environment gives no identity token")]
    NoToken,
    /// The environment has an identity, and did not give a token.
    #[error("the identity token cannot be had: {0}")]
    Ambient(String),
    /// The token is none.
    #[error("the identity token cannot be used: {0}")]
    Token(String),
    /// A service refused, or is out of reach.
    #[error("signing without a key failed: {0}")]
    Failed(String),
    /// What came of it does not hold.
    #[error("what was signed does not verify")]
    Unverified(#[source] VerifyError),
    /// The timestamp authority refused, or is out of reach.
    #[error("no timestamp from {url}: {reason}")]
    Timestamp {
        /// The authority.
        url: String,
        /// Why.
        reason: String,
    },
}

impl Hint for ServiceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoToken => {
                "in GitHub's workflows give the job `permissions: {id-token: write}`; in GitLab's give it \
                 `id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}}`; elsewhere name a token with --identity-token"
                    .into()
            }
            Self::Ambient(_) => "in GitHub's workflows give the job `permissions: {id-token: write}`".into(),
            Self::Token(_) => "it is a JSON Web Token with the audience `sigstore`, and lives for minutes".into(),
            Self::Plain(_) => "name services by https; http is for this machine alone".into(),
            Self::Unverified(_) => "the trusted root must be that of the services: --trusted-root".into(),
            Self::Config(_) | Self::Setup(_) | Self::Failed(_) | Self::Timestamp { .. } => return None,
        })
    }
}

/// How services are reached.
#[derive(Debug, Clone)]
pub struct ServiceClient(pub(crate) reqwest::Client);

impl ServiceClient {
    /// A client that trusts these authorities, in PEM, beside the usual ones. It follows no redirect: a token goes to
    /// the service that is named, and nowhere else.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub fn new(authorities: Option<&[u8]>) -> Result<Self, ServiceError> {
        let setup = |error: reqwest::Error| ServiceError::Setup(error.to_string());
        let mut builder = reqwest::Client::builder()
            .timeout(TIME_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(Self).map_err(setup)
    }
}

/// The services that sign for an identity.
#[derive(Debug, Clone)]
pub struct SigningServices(pub(crate) Services);

impl SigningServices {
    /// Reads a signing config.
    ///
    /// # Errors
    /// When it is none, names no service that can be used, or one that is not https.
    pub fn from_json(text: &[u8]) -> Result<Self, ServiceError> {
        let refused = |reason: String| ServiceError::Config(printable(&reason, 200));
        if text.len() > MAX_CONFIG_BYTES {
            return Err(refused("it is too large".into()));
        }
        let text = std::str::from_utf8(text).map_err(|error| refused(error.to_string()))?;
        let config = SigningConfig::from_json(text).map_err(|error| refused(error.to_string()))?;
        let services = Services::from_signing_config(&config).map_err(|error| refused(error.to_string()))?;
        for url in [Some(services.fulcio_url()), Some(services.rekor_url()), services.tsa_url()].into_iter().flatten() {
            require_private(url)?;
        }
        Ok(Self(services))
    }

    /// The public Sigstore instance, as it was when this program was built.
    ///
    /// # Errors
    /// Does not happen: it is a part of the program.
    pub fn public() -> Result<Self, ServiceError> {
        let services = Services::from_embedded(SigstoreInstance::PublicGood);
        services.map(Self).map_err(|error| ServiceError::Config(error.to_string()))
    }
}

/// Witnesses when something was signed.
#[derive(Clone)]
pub struct TimestampAuthority {
    url: String,
    client: TimestampClient,
}

impl TimestampAuthority {
    /// The authority at an address, as RFC 3161 has it.
    ///
    /// # Errors
    /// When the address is not https, and not on this machine.
    pub fn new(url: &str, client: &ServiceClient) -> Result<Self, ServiceError> {
        require_private(url)?;
        let built = TimestampClient::builder(url).with_http_client(client.0.clone()).build();
        let client = built.map_err(|error| ServiceError::Setup(error.to_string()))?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// A token over a signature, in DER.
    pub(crate) async fn witness(&self, signature: &[u8]) -> Result<Vec<u8>, ServiceError> {
        let token = self.client.timestamp_signature(&SignatureBytes::new(signature.to_vec())).await;
        let token = token.map_err(|error| ServiceError::Timestamp {
            url: printable(&self.url, 200),
            reason: printable(&error.to_string(), 300),
        })?;
        Ok(token.as_bytes().to_vec())
    }
}

impl fmt::Debug for TimestampAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimestampAuthority({})", self.url)
    }
}

/// Tokens and signatures go over TLS, except on this machine.
fn require_private(url: &str) -> Result<(), ServiceError> {
    let refused = || ServiceError::Plain(printable(url, 200));
    let parsed = reqwest::Url::parse(url).map_err(|_error| refused())?;
    let is_here = parsed.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if parsed.scheme() == "https" || (parsed.scheme() == "http" && is_here) { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_tls_or_nowhere() {
        for (url, is_taken) in [
            ("https://fulcio.example", true),
            ("http://127.0.0.1:5555", true),
            ("http://localhost:5555", true),
            ("http://[::1]:5555", true),
            ("http://fulcio.example", false),
            ("http://127.0.0.1.example", false),
            ("http://localhost@evil.example", false),
            ("ftp://127.0.0.1", false),
            ("fulcio.example", false),
        ] {
            assert_eq!(require_private(url).is_ok(), is_taken, "{url}");
        }
    }

    #[test]
    fn the_public_services_are_known_and_others_are_refused() {
        SigningServices::public().unwrap();
        for bad in [&b""[..], b"{}", b"[]", b"\xff"] {
            assert!(SigningServices::from_json(bad).is_err(), "{bad:?}");
        }
    }
}
