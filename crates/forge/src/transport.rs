//! One request to a forge and its answer, for both clients: bounded in bytes and time, repeated where that helps, sent
//! to no address but the forge's.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, Response};
use portcullis_errors::Secret;
use reqwest::{Certificate, Client, Url};

use crate::{
    error::{ForgeError, TransportError},
    patience::{Answer, Next, next},
};

/// Largest answer read, in bytes: a page of a hundred comments at their largest.
const MAX_ANSWER: usize = 16 << 20;
/// How long one request may take.
const ONE_REQUEST: Duration = Duration::from_secs(60);
/// How often a connection is tried.
const MAX_CONNECTIONS: u32 = 3;

/// How a forge is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// PEM certificates of further authorities, for instances with one of their own.
    pub ca_file: Option<PathBuf>,
    /// How long everything together may take.
    pub timeout: Duration,
}

/// Sends requests to one forge. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    http: Client,
    base: Url,
    authorization: (HeaderName, HeaderValue),
    until: Instant,
}

impl Transport {
    /// For the forge whose API lies at `base`, with a token in a header, `prefix` before it.
    pub(crate) fn new(
        access: &Access,
        (variable, base): (&'static str, &str),
        (header, prefix, token): (&'static str, &str, &Secret),
    ) -> Result<Self, ForgeError> {
        let mut builder = Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .timeout(ONE_REQUEST)
            // A forge's API does not redirect what is asked of it here, and a token stays where it belongs.
            .redirect(reqwest::redirect::Policy::none());
        for certificate in authorities(access)? {
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder.build().map_err(|error| setup("TLS", error))?;
        let malformed = || ForgeError::Environment { variable: "the token", why: "it is no token".to_owned() };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", token.reveal())).map_err(|_error| malformed())?;
        value.set_sensitive(true);
        Ok(Self(Arc::new(Inner {
            http,
            base: address(variable, base)?,
            authorization: (HeaderName::from_static(header), value),
            until: Instant::now().checked_add(access.timeout).unwrap_or_else(Instant::now),
        })))
    }

    /// What is left of the time.
    pub(crate) fn left(&self) -> Duration {
        self.0.until.saturating_duration_since(Instant::now())
    }

    /// The address of a path below the API's.
    pub(crate) fn url(&self, path: &str) -> Result<Url, TransportError> {
        let text = format!("{}{}", self.0.base.as_str().trim_end_matches('/'), path);
        Url::parse(&text).map_err(|_error| TransportError::Elsewhere(path.to_owned()))
    }

    /// Sends a request; its address is a path below the API's, or the whole address.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (parts, body) = request.into_parts();
        let url = match parts.uri.scheme() {
            None => self.url(&parts.uri.to_string())?,
            Some(_) => self.own(&parts.uri.to_string())?,
        };
        let mut repetitions = 0;
        loop {
            let mut request = self.0.http.request(parts.method.clone(), url.clone()).body(body.clone());
            for (name, value) in &parts.headers {
                request = request.header(name, value);
            }
            let (name, value) = &self.0.authorization;
            let response = match request.header(name, value).send().await {
                Ok(response) => read(response).await?,
                // Nothing was sent where there was no connection.
                Err(error) if error.is_connect() && repetitions + 1 < MAX_CONNECTIONS && !self.left().is_zero() => {
                    repetitions += 1;
                    tokio::time::sleep(Duration::from_millis(500) * repetitions).await;
                    continue;
                }
                Err(error) if error.is_connect() => return Err(TransportError::Unreachable(error.without_url())),
                Err(error) => return Err(TransportError::Interrupted(error.without_url())),
            };
            let answer = Answer {
                method: &parts.method,
                status: response.status(),
                headers: response.headers(),
                body: response.body(),
            };
            match next(&answer, repetitions, unix_time(), self.left()) {
                Next::Take => return Ok(response),
                Next::Wait(wait) => tokio::time::sleep(wait).await,
                Next::TooLong(wait) => return Err(TransportError::Limited { wait }),
            }
            repetitions += 1;
        }
    }

    /// An address that is the forge's own.
    fn own(&self, text: &str) -> Result<Url, TransportError> {
        let url = Url::parse(text).ok().filter(|url| url.origin() == self.0.base.origin());
        url.ok_or_else(|| TransportError::Elsewhere(text.chars().take(200).collect()))
    }
}

async fn read(mut response: reqwest::Response) -> Result<Response<Bytes>, TransportError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| TransportError::Interrupted(error.without_url()))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(TransportError::TooLarge(MAX_ANSWER));
        }
        body.extend_from_slice(&piece);
    }
    let mut answer = Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    Ok(answer)
}

/// The address of an API. A token goes over TLS, or stays on this machine.
fn address(variable: &'static str, text: &str) -> Result<Url, ForgeError> {
    let wrong = |why: &str| ForgeError::Environment { variable, why: why.to_owned() };
    let url = Url::parse(text).map_err(|_error| wrong("it is no address"))?;
    let is_here = url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        "http" => return Err(wrong("a token is not sent without TLS")),
        _ => return Err(wrong("it is no address of an API")),
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it is no address of an API"));
    }
    Ok(url)
}

fn authorities(access: &Access) -> Result<Vec<Certificate>, ForgeError> {
    let Some(path) = &access.ca_file else { return Ok(Vec::new()) };
    let bytes = std::fs::read(path).map_err(|source| ForgeError::File { path: path.clone(), source })?;
    let what = format!("the certificates of {}", path.display());
    let found = Certificate::from_pem_bundle(&bytes).map_err(|error| setup(&what, error))?;
    if found.is_empty() {
        return Err(ForgeError::Setup { what, source: "there is no PEM certificate in the file".into() });
    }
    Ok(found)
}

fn setup(what: &str, error: reqwest::Error) -> ForgeError {
    ForgeError::Setup { what: what.to_owned(), source: error.into() }
}

fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_over_tls_or_stay_here() {
        for (text, is_fine) in [
            ("https://api.github.com", true),
            ("https://ghe.example/api/v3", true),
            ("http://127.0.0.1:8080/api/v4", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("http://ghe.example/api/v3", false),
            ("http://127.0.0.1.example", false),
            ("https://user:password@ghe.example", false),
            ("https://ghe.example/?x", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(address("GITHUB_API_URL", text).is_ok(), is_fine, "{text}");
        }
    }

    #[test]
    fn a_token_goes_nowhere_else() {
        let access = Access { ca_file: None, timeout: Duration::from_secs(1) };
        let token = Secret::new("t0ken".into());
        let transport = Transport::new(
            &access,
            ("GITHUB_API_URL", "https://ghe.example/api/v3"),
            ("authorization", "Bearer ", &token),
        );
        let transport = transport.unwrap();
        assert!(transport.own("https://ghe.example/api/v3/x").is_ok());
        for elsewhere in ["https://ghe.example.evil/x", "http://ghe.example/x", "https://ghe.example:444/x", "x"] {
            assert!(transport.own(elsewhere).is_err(), "{elsewhere}");
        }
        assert_eq!(transport.url("/repos/a/b").unwrap().as_str(), "https://ghe.example/api/v3/repos/a/b");
        let wrong = Secret::new("a\nb".into());
        let error = Transport::new(&access, ("X", "https://ghe.example"), ("authorization", "Bearer ", &wrong)).err();
        assert_eq!(error.unwrap().to_string(), "the token: it is no token");
    }
}
