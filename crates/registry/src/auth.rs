//! From a challenge to an `Authorization` header: Basic, or a token from the server that the registry names.
//!
//! Spec: <https://distribution.github.io/distribution/spec/auth/token/> and
//! <https://distribution.github.io/distribution/spec/auth/oauth/>

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::{Secret, printable};
use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use crate::{
    Credential, Credentials, Reference, RegistryError,
    client::Inner,
    error::Hosted,
    transport::{Call, malformed, read_bounded, refusal},
};

/// Token answers are a few kilobytes.
const MAX_TOKEN_BYTES: u64 = 256 << 10;
/// How long a helper's or file's credential is kept: the short-lived ones of clouds are renewed in between.
const CREDENTIAL_LIFETIME: Duration = Duration::from_secs(300);
/// What a token lives where its server does not say, by the specification.
const DEFAULT_TOKEN_SECONDS: u64 = 60;
const MAX_TOKEN_SECONDS: u64 = 3600;
/// A token is renewed before it ends.
const MARGIN: Duration = Duration::from_secs(10);
/// Tokens kept at once; beyond it the kept ones are forgotten.
const MAX_TOKENS: usize = 4096;

/// What a request does at its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// A header's worth of authority.
#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    /// The text after `Basic `.
    Basic(Secret),
    /// A token, and whether it was issued for credentials.
    Bearer { token: Secret, with_credentials: bool },
}

impl Authorization {
    pub(crate) const fn has_credentials(&self) -> bool {
        match self {
            Self::Basic(_) => true,
            Self::Bearer { with_credentials, .. } => *with_credentials,
        }
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, RegistryError> {
        let text = match self {
            Self::Basic(encoded) => format!("Basic {}", encoded.reveal()),
            Self::Bearer { token, .. } => format!("Bearer {}", token.reveal()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|error| RegistryError::Setup {
            what: "a token that no header can carry".into(),
            source: error.into(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

type TokenKey = (String, String, Access);

/// Credentials, and what was learned with them.
pub(crate) struct Authenticator {
    credentials: Credentials,
    looked_up: Mutex<HashMap<String, (Instant, Option<Credential>)>>,
    tokens: Mutex<HashMap<TokenKey, (Instant, Authorization)>>,
}

impl Authenticator {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, looked_up: Mutex::default(), tokens: Mutex::default() }
    }

    /// What was learned before and still holds. A token for pushing is good for pulling.
    pub(crate) fn known(&self, reference: &Reference, access: Access) -> Option<Authorization> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let valid = |access| {
            let key = (reference.registry().to_owned(), reference.repository().to_owned(), access);
            tokens.get(&key).filter(|(until, _)| *until > now).map(|(_, authorization)| authorization.clone())
        };
        match access {
            Access::Pull => valid(Access::Pull).or_else(|| valid(Access::Push)),
            Access::Push => valid(Access::Push),
        }
    }

    fn learn(&self, reference: &Reference, access: Access, lifetime: Duration, authorization: &Authorization) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        let key = (reference.registry().to_owned(), reference.repository().to_owned(), access);
        tokens.insert(key, (Instant::now() + lifetime, authorization.clone()));
    }

    /// The credential for a reference. Kept for a while by repository: config files may name paths.
    async fn credential(&self, reference: &Reference) -> Result<Option<Credential>, RegistryError> {
        let name = reference.name();
        {
            let looked_up = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = looked_up.get(&name).filter(|(since, _)| since.elapsed() < CREDENTIAL_LIFETIME);
            if let Some((_, credential)) = kept {
                return Ok(credential.clone());
            }
        }
        // The lock is not held meanwhile: a helper that hangs keeps nobody else waiting.
        let found = self.credentials.lookup(reference).await;
        let found =
            found.map_err(|source| RegistryError::Credentials { host: reference.registry().to_owned(), source })?;
        let mut looked_up = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_up.len() >= MAX_TOKENS {
            looked_up.clear();
        }
        looked_up.insert(name, (Instant::now(), found.clone()));
        Ok(found)
    }
}

/// What a `WWW-Authenticate` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Inner {
    /// Answers a challenge; none where there is nothing to answer it with.
    pub(crate) async fn answer_challenge(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
    ) -> Result<Option<Authorization>, RegistryError> {
        let Some(challenge) = challenge(headers) else { return Ok(None) };
        let credential = self.authenticator.credential(call.reference).await?;
        let (authorization, lifetime) = match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                (basic(&user, &password), CREDENTIAL_LIFETIME)
            }
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { realm, service }, credential) => {
                self.token(call, &realm, service.as_deref(), credential.as_ref()).await?
            }
        };
        self.authenticator.learn(call.reference, call.access, lifetime, &authorization);
        Ok(Some(authorization))
    }

    async fn token(
        &self,
        call: &Call<'_>,
        realm: &str,
        service: Option<&str>,
        credential: Option<&Credential>,
    ) -> Result<(Authorization, Duration), RegistryError> {
        let subject = Hosted { host: call.subject.host.clone(), what: format!("a token for {}", call.subject.what) };
        let mut url = self.realm(call.reference, &subject, realm, credential.is_some())?;
        let actions = if call.access == Access::Pull { "pull" } else { "pull,push" };
        let scope = format!("repository:{}:{actions}", call.reference.repository());
        let request = if let Some(Credential::IdentityToken(token)) = credential {
            let mut form = vec![("grant_type", "refresh_token"), ("client_id", "portcullis"), ("scope", &scope)];
            form.extend(service.map(|service| ("service", service)));
            form.push(("refresh_token", token.reveal()));
            self.http.to(&url)?.post(url).form(&form)
        } else {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
            drop(query);
            let mut request = self.http.to(&url)?.get(url);
            if let Some(Credential::Basic { user, password }) = credential {
                request = request.basic_auth(user, Some(password.reveal()));
            }
            request
        };
        let mut response = request.send().await.map_err(|error| self.network_error(&subject, error))?;
        let status = response.status();
        let retry_after = crate::transport::retry_after(response.headers());
        let body = read_bounded(&mut response, &subject, MAX_TOKEN_BYTES).await?;
        match status {
            StatusCode::OK => {}
            // That the token server is not there says nothing of the image.
            StatusCode::NOT_FOUND => return Err(malformed(&subject, "the token server answers 404".into())),
            status => return Err(refusal(subject, status, retry_after, &body, credential.is_some())),
        }
        let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
        let seconds = answer.as_ref().and_then(|answer| answer.expires_in).unwrap_or(DEFAULT_TOKEN_SECONDS);
        let token = answer.and_then(|answer| answer.token.or(answer.access_token)).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| malformed(&subject, "no token is in it".into()))?;
        let lifetime = Duration::from_secs(seconds.min(MAX_TOKEN_SECONDS)).saturating_sub(MARGIN);
        Ok((Authorization::Bearer { token: Secret::new(token), with_credentials: credential.is_some() }, lifetime))
    }

    /// Checks where tokens are to come from: credentials go to the registry's own relations only.
    fn realm(
        &self,
        reference: &Reference,
        subject: &Hosted,
        realm: &str,
        with_credentials: bool,
    ) -> Result<Url, RegistryError> {
        let refused = || malformed(subject, format!("`{}` is no token server", printable(realm, 200)));
        let url: Url = realm.parse().map_err(|_error| refused())?;
        let host = url.host_str().ok_or_else(refused)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.is_plain(reference.registry())) {
            return Err(refused());
        }
        let is_listed = self.options.token_hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host));
        if with_credentials && !is_listed && !is_related(reference.registry(), host) {
            let reason = "credentials are sent to the registry's own domain only";
            return Err(RegistryError::Forbidden { subject: subject.clone(), host: printable(host, 200), reason });
        }
        self.require_allowed(subject, &url)?;
        Ok(url)
    }
}

/// Whether `host` is the registry's own host, below it, or its parent domain (as gitlab.com for registry.gitlab.com).
fn is_related(registry: &str, host: &str) -> bool {
    let registry = registry.rsplit_once(':').map_or(registry, |(name, _)| name);
    let is_below = |inner: &str, outer: &str| inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'));
    let is_name = |host: &str| host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
    registry == host || is_below(host, registry) || (is_name(host) && is_name(registry) && is_below(registry, host))
}

fn basic(user: &str, password: &Secret) -> Authorization {
    Authorization::Basic(Secret::new(STANDARD.encode(format!("{user}:{}", password.reveal()))))
}

/// The challenge to answer: a token server where one is named, else Basic.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut found = None;
    for header in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = header.to_str() else { continue };
        for challenge in http_auth::parse_challenges(text).unwrap_or_default() {
            let parameter = |wanted: &str| {
                let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("Bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Challenge::Bearer { realm, service: parameter("service") });
            }
            if challenge.scheme.eq_ignore_ascii_case("Basic") {
                found = Some(Challenge::Basic);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_in_every_spelling() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(text));
            challenge(&headers)
        };
        let bearer = |service: Option<&str>| {
            Some(Challenge::Bearer { realm: "https://auth.example/t".into(), service: service.map(Into::into) })
        };
        assert_eq!(read(r#"Bearer realm="https://auth.example/t",service="s",scope="x""#), bearer(Some("s")));
        assert_eq!(read(r#"bearer Realm="https://auth.example/t""#), bearer(None));
        assert_eq!(read(r#"Basic realm="x", Bearer realm="https://auth.example/t""#), bearer(None));
        assert_eq!(read(r#"BASIC realm="x""#), Some(Challenge::Basic));
        assert_eq!(read("Negotiate"), None);
        assert_eq!(read("Bearer service=\"no realm\""), None);
        assert_eq!(read("=\"\",,,"), None);
    }

    #[test]
    fn credentials_stay_in_the_family() {
        for (registry, host) in [
            ("docker.io", "auth.docker.io"),
            ("registry.gitlab.com", "gitlab.com"),
            ("quay.example", "quay.example"),
            ("127.0.0.1:5000", "127.0.0.1"),
            ("gitlab.example:5050", "gitlab.example"),
        ] {
            assert!(is_related(registry, host), "{registry} {host}");
        }
        for (registry, host) in [
            ("docker.io", "evildocker.io"),
            ("registry.example", "evil.example"),
            ("registry.example", "example"),
            ("10.0.0.1:5000", "0.0.1"),
            ("docker.io", "docker.io.evil"),
        ] {
            assert!(!is_related(registry, host), "{registry} {host}");
        }
    }
}
