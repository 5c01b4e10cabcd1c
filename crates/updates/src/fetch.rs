//! Asking an ordinary web server: conditional requests, repetitions with growing waits, bounds on size and time.
//!
//! HTTP semantics: <https://www.rfc-editor.org/rfc/rfc9110>. Proxies are taken from `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY` and `NO_PROXY`, as everywhere. Redirects never lead from HTTPS to plain HTTP.

mod download;
mod error;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, Url, header, redirect};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub(crate) use download::{Download, Downloaded};
pub use error::FetchError;

/// Redirects in a row.
const MAX_REDIRECTS: usize = 5;

/// How servers are asked.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Whether addresses with `http:` are asked. Whoever sits in between can then change what is downloaded.
    pub plain_http: bool,
    /// PEM certificates of further authorities.
    pub ca_file: Option<PathBuf>,
    /// Requests at once, over all files.
    pub jobs: usize,
    /// How often a request is repeated after 429, 5xx and broken connections. A download that got on starts to count
    /// again.
    pub retries: u32,
    /// The first wait before a repetition; each further one is twice as long, less a random part.
    pub back_off: Duration,
    /// The most that is waited before one repetition. A server that asks for more is not asked again.
    pub max_wait: Duration,
    /// How long a server may stay silent.
    pub silence: Duration,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            plain_http: false,
            ca_file: None,
            jobs: 6,
            retries: 5,
            back_off: Duration::from_millis(500),
            max_wait: Duration::from_secs(120),
            silence: Duration::from_secs(30),
            user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What a server said that a version of a file is called: sent back, it answers whether there is another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validator {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

impl Validator {
    fn of(response: &Response) -> Self {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    /// The name of exactly these bytes; a weak one (`W/`) names what is alike.
    fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }

    fn condition(&self, request: RequestBuilder) -> RequestBuilder {
        match (&self.etag, &self.last_modified) {
            (Some(etag), _) => request.header(header::IF_NONE_MATCH, etag),
            (None, Some(date)) => request.header(header::IF_MODIFIED_SINCE, date),
            (None, None) => request,
        }
    }
}

/// A small file, or that it is what is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Unchanged,
    Body(Bytes, Validator),
}

/// Asks servers.
#[derive(Debug)]
pub struct Fetcher {
    http: reqwest::Client,
    options: FetchOptions,
    places: Semaphore,
}

impl Fetcher {
    /// A client with these options.
    ///
    /// # Errors
    /// When the file of certificates cannot be read, or TLS cannot be set up.
    pub fn new(options: FetchOptions) -> Result<Self, FetchError> {
        let authorities = authorities(&options)?;
        let plain_http = options.plain_http;
        let follow = redirect::Policy::custom(move |attempt| {
            let is_secure = attempt.url().scheme() == "https" || plain_http;
            match attempt.previous().len() > MAX_REDIRECTS {
                false if is_secure => attempt.follow(),
                _ => attempt.stop(),
            }
        });
        let builder = reqwest::Client::builder()
            .user_agent(options.user_agent.as_str())
            .redirect(follow)
            .connect_timeout(options.silence.min(Duration::from_secs(10)))
            .read_timeout(options.silence)
            .tls_certs_merge(authorities);
        let http = builder.build().map_err(|error| FetchError::Setup { what: "TLS".into(), source: error.into() })?;
        let places = Semaphore::new(options.jobs.max(1));
        Ok(Self { http, options, places })
    }

    /// A whole file of at most `limit` bytes; `known` is what is at hand.
    pub(crate) async fn get(&self, url: &Url, known: Option<&Validator>, limit: u64) -> Result<Answer, FetchError> {
        let _place = self.place().await?;
        let mut repetitions = 0;
        loop {
            let error = match self.get_once(url, known, limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.pause(error, repetitions).await?;
            repetitions += 1;
        }
    }

    async fn get_once(&self, url: &Url, known: Option<&Validator>, limit: u64) -> Result<Answer, FetchError> {
        let mut request = self.request(url)?;
        if let Some(known) = known {
            request = known.condition(request);
        }
        let mut response = self.send(url, request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        let too_large = || FetchError::TooLarge { url: shown(url), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::interrupted(url, error))? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Body(body.freeze(), Validator::of(&response)))
    }

    async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, FetchError> {
        let closed =
            |error: tokio::sync::AcquireError| FetchError::Setup { what: "requests".into(), source: error.into() };
        self.places.acquire().await.map_err(closed)
    }

    fn request(&self, url: &Url) -> Result<RequestBuilder, FetchError> {
        match url.scheme() {
            "https" => {}
            "http" if self.options.plain_http => {}
            "http" => return Err(FetchError::Plain { url: shown(url) }),
            _ => return Err(FetchError::Malformed { url: shown(url), reason: "this is no web address".into() }),
        }
        // What is measured and taken up again is the file itself, not a packed form of it.
        Ok(self.http.get(url.clone()).header(header::ACCEPT_ENCODING, "identity"))
    }

    /// Sends, and passes 200, 206, 304 and 416 alone.
    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Response, FetchError> {
        let response = request.send().await.map_err(|error| FetchError::unreachable(url, error))?;
        match response.status() {
            StatusCode::OK
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            status => Err(FetchError::status(url, status.as_u16(), retry_after(&response))),
        }
    }

    /// Waits before the next attempt, or gives the error back where there is to be none.
    async fn pause(&self, error: FetchError, repetitions: u32) -> Result<(), FetchError> {
        if !error.is_temporary() || repetitions >= self.options.retries {
            return Err(error);
        }
        let wait = match error.retry_after() {
            Some(asked) if asked > self.options.max_wait => return Err(error),
            Some(asked) => asked,
            None => {
                let longest = (self.options.back_off * 2_u32.pow(repetitions.min(10))).min(self.options.max_wait);
                // Clients that failed at the same moment must not come back at the same moment.
                longest.mul_f64(0.5 + fastrand::f64() / 2.0)
            }
        };
        tracing::debug!(%error, ?wait, "the server is asked again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// An address as it may be shown: without user, password and query.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // An address that cannot have them has none.
    _ = url.set_username("");
    _ = url.set_password(None);
    url.set_query(None);
    portcullis_errors::printable(url.as_str(), 300)
}

/// `Retry-After`: seconds, or a date as HTTP writes it.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(24 * 3600)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn authorities(options: &FetchOptions) -> Result<Vec<Certificate>, FetchError> {
    let Some(path) = &options.ca_file else { return Ok(Vec::new()) };
    let what = format!("the certificates of {}", path.display());
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| FetchError::Setup { what: what.clone(), source };
    let bytes = std::fs::read(path).map_err(|error| failed(error.into()))?;
    let found = Certificate::from_pem_bundle(&bytes).map_err(|error| failed(error.into()))?;
    if found.is_empty() {
        return Err(failed("there is no PEM certificate in the file".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_shown() {
        let url: Url = "https://user:secret@mirror.example/osv/all.zip?signature=secret".parse().unwrap();
        assert_eq!(shown(&url), "https://mirror.example/osv/all.zip");
    }

    #[test]
    fn plain_http_must_be_asked_for() {
        let url: Url = "http://mirror.example/".parse().unwrap();
        let strict = Fetcher::new(FetchOptions::default()).unwrap();
        assert!(matches!(strict.request(&url), Err(FetchError::Plain { .. })));
        assert!(strict.request(&"file:///etc/passwd".parse().unwrap()).is_err());
        let open = Fetcher::new(FetchOptions { plain_http: true, ..FetchOptions::default() }).unwrap();
        assert!(open.request(&url).is_ok());
    }

    #[test]
    fn a_weak_name_takes_up_no_download() {
        let named = |etag: &str| Validator { etag: Some(etag.into()), last_modified: None };
        assert_eq!(named("W/\"a\"").strong(), None);
        assert_eq!(named("\"a\"").strong(), Some("\"a\""));
    }
}
