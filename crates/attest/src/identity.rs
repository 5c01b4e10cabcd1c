//! Signing without a key of one's own: an identity token is shown to a certificate authority, which certifies a key that
//! lives for this one signature; a log and a timestamp authority witness when it was made.
//!
//! Spec: <https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use portcullis_errors::{Secret, printable};
use portcullis_model::Digest;
use sigstore_sign::{Signer, SigningContext, oidc::IdentityToken};
use sigstore_types::{Artifact, Bundle};

use crate::{Content, ServiceClient, ServiceError, SigningServices, TrustRoot, keyless};

/// A token that lives no longer than this is asked for again before it is shown.
const LEAST_SECONDS: i64 = 60;

/// Signs as whoever an identity token names.
#[derive(Debug, Clone)]
pub struct IdentitySigner {
    services: SigningServices,
    client: ServiceClient,
    token: IdentityToken,
    /// Whether the environment gives another one when this one is too old.
    is_ambient: bool,
    root: TrustRoot,
    /// Whom the certificate of what was signed names.
    certified: Arc<OnceLock<String>>,
}

impl IdentitySigner {
    /// Signs with this token. What was signed is verified with `root` before it goes anywhere.
    ///
    /// # Errors
    /// When the token is none.
    pub fn new(
        services: SigningServices,
        client: ServiceClient,
        token: &Secret,
        root: TrustRoot,
    ) -> Result<Self, ServiceError> {
        let token = read(token)?;
        Ok(Self { services, client, token, is_ambient: false, root, certified: Arc::default() })
    }

    /// Signs with the token that the environment gives, and asks for a new one when it has become too old: tokens live
    /// for minutes, and a scan may take longer.
    ///
    /// # Errors
    /// When there is none, or the environment's service refuses.
    pub async fn ambient(
        services: SigningServices,
        client: ServiceClient,
        root: TrustRoot,
    ) -> Result<Self, ServiceError> {
        let token = ambient_token(&client).await?;
        Ok(Self { is_ambient: true, ..Self::new(services, client, &token, root)? })
    }

    /// Who signs: whom the certificate names, once something is signed; until then whom the token names, as it says
    /// itself.
    #[must_use]
    pub fn describe(&self) -> String {
        let claimed =
            || format!("{} by {}", printable(self.token.identity(), 300), printable(self.token.issuer(), 300));
        self.certified.get().cloned().unwrap_or_else(claimed)
    }

    /// Signs a statement about this subject, and gives the bundle's JSON.
    pub(crate) async fn sign(&self, statement: &[u8], subject: Digest) -> Result<String, ServiceError> {
        let signed = self.signer().await?.sign_raw_statement(statement).await;
        self.verified(signed, Content::Digest(subject).artifact())
    }

    /// Signs content itself, and gives the bundle's JSON.
    pub(crate) async fn sign_message(&self, content: &[u8]) -> Result<String, ServiceError> {
        let signed = self.signer().await?.sign(content).await;
        self.verified(signed, Content::Bytes(content).artifact())
    }

    async fn signer(&self) -> Result<Signer, ServiceError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
        let is_old = self.token.expiration().as_second().saturating_sub(now) < LEAST_SECONDS;
        let token =
            if is_old && self.is_ambient { read(&ambient_token(&self.client).await?)? } else { self.token.clone() };
        Ok(SigningContext::new(self.services.0.clone()).with_http_client(self.client.0.clone()).signer(token))
    }

    /// The JSON of what was signed, if it holds as every verifier will read it.
    fn verified(
        &self,
        signed: Result<Bundle, sigstore_sign::Error>,
        artifact: Artifact<'_>,
    ) -> Result<String, ServiceError> {
        let failed = |reason: String| ServiceError::Failed(printable(&reason, 400));
        let bundle = signed.map_err(|error| failed(portcullis_errors::chain(&error)))?;
        let json = bundle.to_json().map_err(|error| failed(error.to_string()))?;
        let by = keyless::read(json.as_bytes()).and_then(|bundle| keyless::by_anyone(&bundle, artifact, &self.root));
        let by = by.map_err(ServiceError::Unverified)?;
        // All that this signer signs is certified for the same identity; the first one is as good as the others.
        _ = self.certified.set(by);
        Ok(json)
    }
}

/// The identity token that the environment gives: of GitHub's workflows, GitLab's jobs, Buildkite and CircleCI, or
/// `SIGSTORE_ID_TOKEN` anywhere.
async fn ambient_token(client: &ServiceClient) -> Result<Secret, ServiceError> {
    if let Some(token) = std::env::var("SIGSTORE_ID_TOKEN").ok().filter(|token| !token.is_empty()) {
        return Ok(Secret::new(token));
    }
    let detected = ambient_id::Detector::new_with_client(client.0.clone()).detect("sigstore").await;
    match detected {
        Ok(Some(token)) => Ok(Secret::new(token.reveal().to_owned())),
        Ok(None) => Err(ServiceError::NoToken),
        Err(error) => Err(ServiceError::Ambient(printable(&portcullis_errors::chain(&error), 300))),
    }
}

/// The library's words for a wrong token hold none of it.
fn read(token: &Secret) -> Result<IdentityToken, ServiceError> {
    IdentityToken::from_jwt(token.reveal().trim())
        .map_err(|error| ServiceError::Token(printable(&error.to_string(), 200)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_token_is_not_repeated() {
        let client = ServiceClient::new(None).unwrap();
        let services = SigningServices::public().unwrap();
        for token in ["", "secret", "a.b.c", "e30.e30.e30"] {
            let error = IdentitySigner::new(
                services.clone(),
                client.clone(),
                &Secret::new(token.into()),
                TrustRoot::public().unwrap(),
            );
            let text = format!("{:?}", error.unwrap_err());
            assert!(!text.contains("secret") && !text.contains("e30"), "{text}");
        }
    }
}
