//! One request and its answer: credentials, redirects, time limits, repetitions, and what each status means.

use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use portcullis_errors::printable;
use reqwest::{Method, Response, StatusCode, Url, header};
use serde_json::Value;

use crate::{
    Reference, RegistryError,
    auth::{Access, Authorization},
    client::Inner,
    error::Hosted,
};

/// Redirects in a row.
const MAX_REDIRECTS: usize = 5;
/// Of an error's text, as much as could be worth reading.
const MAX_ERROR_BYTES: u64 = 16 << 10;

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) reference: &'a Reference,
    pub(crate) access: Access,
    pub(crate) subject: Hosted,
    pub(crate) headers: Vec<(header::HeaderName, String)>,
    pub(crate) body: Option<Bytes>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, url: Url, reference: &'a Reference, what: String) -> Self {
        let access = if matches!(method, Method::GET | Method::HEAD) { Access::Pull } else { Access::Push };
        let subject = crate::client::hosted(reference, what);
        Self { method, url, reference, access, subject, headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

impl Inner {
    /// Sends, and repeats what is worth repeating. Any status but 2xx is an error.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Response, RegistryError> {
        self.repeated(|| self.send_once(call)).await
    }

    /// Sends, and reads the whole answer, of at most `limit` bytes, within the time of one request.
    pub(crate) async fn fetch(&self, call: &Call<'_>, limit: u64) -> Result<(Response, Bytes), RegistryError> {
        self.repeated(|| async {
            let started = tokio::time::Instant::now();
            let mut response = self.send_once(call).await?;
            let patience = self.allowance(response.content_length().unwrap_or(0).min(limit));
            let left = self.before_deadline(patience.saturating_sub(started.elapsed()));
            let body = tokio::time::timeout(left, read_bounded(&mut response, &call.subject, limit));
            let body = body.await.map_err(|_elapsed| self.timed_out(&call.subject, patience))??;
            Ok((response, body))
        })
        .await
    }

    async fn repeated<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut repetitions = 0;
        loop {
            match attempt().await {
                Err(error) if error.is_retried() && repetitions < self.options.retries => {
                    let wait =
                        self.wait(&error, repetitions).filter(|wait| self.left().is_none_or(|left| *wait < left));
                    let Some(wait) = wait else { return Err(error) };
                    tracing::debug!(%error, ?wait, "the registry is asked again");
                    tokio::time::sleep(wait).await;
                    repetitions += 1;
                }
                result => return result,
            }
        }
    }

    /// How long to wait before the next attempt: what the registry asks, else twice as long each time. None where it
    /// asks for longer than is waited: asking earlier would only make it worse.
    fn wait(&self, error: &RegistryError, repetitions: u32) -> Option<Duration> {
        match error.retry_after() {
            Some(asked) => (asked <= self.options.max_wait).then_some(asked),
            None => Some((BACK_OFF * 2_u32.pow(repetitions.min(10))).min(self.options.max_wait)),
        }
    }

    /// One attempt, with the answer to a challenge, within the time limit.
    async fn send_once(&self, call: &Call<'_>) -> Result<Response, RegistryError> {
        let patience = self.patience(call.body.as_ref().map_or(0, |body| body.len() as u64));
        let answer = tokio::time::timeout(patience, self.challenged(call));
        answer.await.map_err(|_elapsed| self.timed_out(&call.subject, patience))?
    }

    /// How long something of this size may take. Large content has more time, but not for ever, and none beyond the
    /// deadline.
    pub(crate) fn patience(&self, bytes: u64) -> Duration {
        self.before_deadline(self.allowance(bytes))
    }

    fn allowance(&self, bytes: u64) -> Duration {
        self.options.timeout + Duration::from_secs(bytes / MIN_BYTES_PER_SECOND)
    }

    fn before_deadline(&self, time: Duration) -> Duration {
        self.left().map_or(time, |left| time.min(left))
    }

    /// How long it is to the deadline, where there is one.
    fn left(&self) -> Option<Duration> {
        self.options.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The error where `limit` has passed: the request's own, or what was left to the deadline.
    pub(crate) fn timed_out(&self, subject: &Hosted, limit: Duration) -> RegistryError {
        let subject = subject.clone();
        match self.left() {
            Some(Duration::ZERO) => RegistryError::Late { subject },
            _ => RegistryError::TimedOut { subject, limit },
        }
    }

    async fn challenged(&self, call: &Call<'_>) -> Result<Response, RegistryError> {
        let known = self.authenticator.known(call.reference, call.access);
        let response = self.redirected(call, known.as_ref()).await?;
        let is_challenge = response.status() == StatusCode::UNAUTHORIZED && same_origin(response.url(), &call.url);
        if !is_challenge {
            return self.accepted(call, response, known.is_some()).await;
        }
        let Some(answer) = self.answer_challenge(call, response.headers()).await? else {
            return self.accepted(call, response, false).await;
        };
        let with_credentials = answer.has_credentials();
        let response = self.redirected(call, Some(&answer)).await?;
        self.accepted(call, response, with_credentials).await
    }

    /// Follows redirects of reading requests. Credentials stay with the origin that they are for.
    async fn redirected(
        &self,
        call: &Call<'_>,
        authorization: Option<&Authorization>,
    ) -> Result<Response, RegistryError> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let authorization = authorization.filter(|_| same_origin(&url, &call.url));
            let response = self.once(call, &url, authorization).await?;
            let is_reading = matches!(call.method, Method::GET | Method::HEAD);
            if !(is_reading && response.status().is_redirection()) {
                return Ok(response);
            }
            url = redirect_target(call, &response)?;
        }
        Err(malformed(&call.subject, format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn once(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, RegistryError> {
        self.require_allowed(&call.subject, url)?;
        let mut request = self.http.to(url)?.request(call.method.clone(), url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization.header()?);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        } else if !matches!(call.method, Method::GET | Method::HEAD) {
            // Some registries refuse an upload's begin without a length.
            request = request.header(header::CONTENT_LENGTH, "0");
        }
        request.send().await.map_err(|error| self.network_error(&call.subject, error))
    }

    /// Refuses addresses that are not to be asked; names are checked as they are resolved.
    pub(crate) fn require_allowed(&self, subject: &Hosted, url: &Url) -> Result<(), RegistryError> {
        self.guard.refuses_url(url).map_or(Ok(()), |reason| {
            let host = url.host_str().unwrap_or_default().to_owned();
            Err(RegistryError::Forbidden { subject: subject.clone(), host, reason })
        })
    }

    pub(crate) fn network_error(&self, subject: &Hosted, error: reqwest::Error) -> RegistryError {
        // The URL of a redirect may hold a signature.
        let host = error.url().and_then(Url::host_str).unwrap_or_default().to_owned();
        let error = error.without_url();
        let subject = subject.clone();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref::<crate::addresses::NoAddress>() {
                return RegistryError::Forbidden { subject, host, reason: refused.0 };
            }
            cause = inner.source();
        }
        if error.is_timeout() {
            return self.timed_out(&subject, self.options.timeout);
        }
        if error.is_body() || error.is_decode() {
            return RegistryError::Interrupted { subject, source: error.into() };
        }
        RegistryError::Unreachable { subject, source: error.into() }
    }

    /// Passes 2xx, and tells apart what else a status means.
    async fn accepted(
        &self,
        call: &Call<'_>,
        mut response: Response,
        with_credentials: bool,
    ) -> Result<Response, RegistryError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut subject = call.subject.clone();
        if !same_origin(response.url(), &call.url) {
            subject.host = response.url().host_str().unwrap_or_default().to_owned();
        }
        let retry_after = retry_after(response.headers());
        let body = read_bounded(&mut response, &subject, MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(refusal(subject, status, retry_after, &body, with_credentials))
    }
}

/// What is slower than this for its whole length is cut.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;
/// The first wait before a repetition.
const BACK_OFF: Duration = Duration::from_millis(250);

/// What a status that is not 2xx means.
pub(crate) fn refusal(
    subject: Hosted,
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &[u8],
    with_credentials: bool,
) -> RegistryError {
    let (code, detail) = error_text(body);
    let status_code = status.as_u16();
    if status == StatusCode::TOO_MANY_REQUESTS || code.as_deref() == Some("TOOMANYREQUESTS") {
        return RegistryError::Throttled { subject, retry_after };
    }
    match status_code {
        404 => RegistryError::NotFound(subject),
        401 | 403 => RegistryError::Unauthorized { subject, status: status_code, detail, with_credentials },
        408 => RegistryError::Failing { subject, status: 504, detail, retry_after },
        500.. => RegistryError::Failing { subject, status: status_code, detail, retry_after },
        _ => RegistryError::Refused { subject, status: status_code, detail },
    }
}

/// The code and the words of an error answer, which may be anything.
fn error_text(body: &[u8]) -> (Option<String>, String) {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = value.get("errors").and_then(|errors| errors.get(0));
    let text = |name| first.and_then(|first| first.get(name)).and_then(Value::as_str);
    let code = text("code").map(ToOwned::to_owned);
    let words = match (&code, text("message")) {
        (Some(code), Some(message)) => format!(": {code}: {message}"),
        (Some(code), None) => format!(": {code}"),
        _ => String::new(),
    };
    (code, printable(&words, 200))
}

/// `Retry-After`: seconds, or a date as HTTP writes it.
pub(crate) fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(24 * 3600)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn redirect_target(call: &Call<'_>, response: &Response) -> Result<Url, RegistryError> {
    let refused = |reason: &str| malformed(&call.subject, format!("a redirect {reason}"));
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| response.url().join(location).ok());
    let target = target.ok_or_else(|| refused("without an address"))?;
    match (response.url().scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(target),
        ("https", "http") => Err(refused("from HTTPS to plain HTTP")),
        _ => Err(refused("to something that is not HTTP")),
    }
}

pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

pub(crate) fn malformed(subject: &Hosted, reason: String) -> RegistryError {
    RegistryError::Malformed { subject: subject.clone(), reason }
}

/// Reads an answer of at most `limit` bytes.
pub(crate) async fn read_bounded(
    response: &mut Response,
    subject: &Hosted,
    limit: u64,
) -> Result<Bytes, RegistryError> {
    let too_large = || RegistryError::TooLarge { subject: subject.clone(), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| RegistryError::Interrupted {
            subject: subject.clone(),
            source: error.without_url().into(),
        })?;
        let Some(chunk) = chunk else { return Ok(body.freeze()) };
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
}

/// A header as text.
pub(crate) fn header_text<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}
