//! `octocrab` on our transport: it builds requests and reads refusals; connections, limits and the token are ours.

use bytes::Bytes;
use http::{HeaderValue, Request, header::ACCEPT};
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use portcullis_errors::Secret;
use serde::{Serialize, de::DeserializeOwned};

use super::{Context, FORGE};
use crate::{Access, ForgeError, TransportError, transport::Transport};

/// What GitHub is asked to speak (<https://docs.github.com/en/rest/about-the-rest-api/api-versions>).
const VERSION: &str = "2022-11-28";

/// A repository at GitHub, and a token for it.
pub struct GitHub {
    pub(super) crab: Octocrab,
    pub(super) transport: Transport,
    pub(super) context: Context,
}

impl GitHub {
    /// Asks nothing yet. It must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn new(context: Context, token: &Secret, access: &Access) -> Result<Self, ForgeError> {
        let base = ("GITHUB_API_URL", context.api_url.as_str());
        let transport = Transport::new(access, base, ("authorization", "Bearer ", token))?;
        let sender = transport.clone();
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let transport = sender.clone();
            async move { send(&transport, request).await }
        });
        let Ok(crab) = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
        Ok(Self { crab, transport, context })
    }

    /// What it is for.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    pub(super) async fn get<Answer: DeserializeOwned>(
        &self,
        what: &'static str,
        route: &str,
        query: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<Answer, ForgeError> {
        self.crab.get(self.context.route(route), query).await.map_err(|error| told(what, error))
    }

    pub(super) async fn post<Answer: DeserializeOwned>(
        &self,
        what: &'static str,
        route: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Answer, ForgeError> {
        self.crab.post(self.context.route(route), Some(body)).await.map_err(|error| told(what, error))
    }

    pub(super) async fn patch<Answer: DeserializeOwned>(
        &self,
        what: &'static str,
        route: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Answer, ForgeError> {
        self.crab.patch(self.context.route(route), Some(body)).await.map_err(|error| told(what, error))
    }
}

async fn send(
    transport: &Transport,
    request: Request<OctoBody>,
) -> Result<http::Response<Full<Bytes>>, TransportError> {
    let (mut parts, body) = request.into_parts();
    // A body in memory does not fail.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    parts.headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    parts.headers.insert("x-github-api-version", HeaderValue::from_static(VERSION));
    let mut response = transport.send(Request::from_parts(parts, body)).await?;
    // A proxy's page of HTML, or nothing at all: `octocrab` knows a refusal by its JSON.
    if !response.status().is_success() && !is_message(response.body()) {
        let words = response.status().canonical_reason().unwrap_or("no reason given");
        *response.body_mut() = Bytes::from(serde_json::json!({ "message": words }).to_string());
    }
    Ok(response.map(Full::new))
}

fn is_message(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| body["message"].is_string())
}

/// What an error of octocrab's means.
pub(super) fn told(what: &'static str, error: octocrab::Error) -> ForgeError {
    match error {
        octocrab::Error::GitHub { source, .. } => {
            let details = source.errors.iter().flatten().take(5).map(|detail| match detail.as_str() {
                Some(text) => text.to_owned(),
                None => detail["message"].as_str().map_or_else(|| detail.to_string(), ToOwned::to_owned),
            });
            let text: Vec<_> = std::iter::once(source.message.clone()).chain(details).collect();
            ForgeError::refused(FORGE, what, source.status_code.as_u16(), &text.join("; "))
        }
        octocrab::Error::Service { source, .. } => match source.downcast::<TransportError>() {
            Ok(source) => ForgeError::Transport { forge: FORGE, what, source: *source },
            Err(other) => ForgeError::Answer { forge: FORGE, what, why: other.to_string() },
        },
        other => ForgeError::Answer { forge: FORGE, what, why: portcullis_errors::chain(&other) },
    }
}
