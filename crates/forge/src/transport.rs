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

/// Largest answer read, in bytes: a page of GitLab's notes of a million characters each, of which `<` takes six bytes.
const MAX_ANSWER: usize = 64 << 20;
/// How long a forge may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// The slowest line that a body is sent over, in bytes a second: so much longer may it be until the answer begins.
const SLOWEST: u64 = 64 << 10;
/// How often a connection is tried.
const MAX_CONNECTIONS: u32 = 5;
/// How often something is done that the forge failed to do.
const ATTEMPTS: u32 = 4;

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
    silence: Duration,
}

impl Transport {
    /// For the forge whose API lies at `base`, with a token in a header, `prefix` before it.
    pub(crate) fn new(
        access: &Access,
        base: (&'static str, &str),
        token: (&'static str, &str, &Secret),
    ) -> Result<Self, ForgeError> {
        Self::with(access, base, token, SILENCE)
    }

    fn with(
        access: &Access,
        (variable, base): (&'static str, &str),
        (header, prefix, token): (&'static str, &str, &Secret),
        silence: Duration,
    ) -> Result<Self, ForgeError> {
        let base = address(variable, base)?;
        let mut builder = Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            // A forge's API does not redirect what is asked of it here, and a token stays where it belongs.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // It is on this machine, and a proxy would see the token.
            builder = builder.no_proxy();
        }
        for certificate in authorities(access)? {
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder.build().map_err(|error| setup("TLS", error))?;
        let malformed = || ForgeError::Environment { variable: "the token", why: "it is no token".to_owned() };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", token.reveal())).map_err(|_error| malformed())?;
        value.set_sensitive(true);
        Ok(Self(Arc::new(Inner {
            http,
            base,
            authorization: (HeaderName::from_static(header), value),
            until: Instant::now().checked_add(access.timeout).unwrap_or_else(Instant::now),
            silence,
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

    /// Does something again of which nobody knows whether the forge has done it, where doing it twice does no harm: a POST
    /// that it failed at, a request whose answer was lost. All else is repeated by `send`.
    pub(crate) async fn again<Answer, Doing>(&self, act: impl Fn() -> Doing) -> Result<Answer, ForgeError>
    where
        Doing: Future<Output = Result<Answer, ForgeError>>,
    {
        let mut wait = Duration::from_secs(1);
        for _ in 1..ATTEMPTS {
            match act().await {
                Err(error) if error.is_passing() && wait < self.left() => tokio::time::sleep(wait).await,
                outcome => return outcome,
            }
            wait *= 2;
        }
        act().await
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
            let left = self.left();
            if left.is_zero() {
                return Err(TransportError::OutOfTime);
            }
            let mut request = self.0.http.request(parts.method.clone(), url.clone()).body(body.clone()).timeout(left);
            for (name, value) in &parts.headers {
                request = request.header(name, value);
            }
            let (name, value) = &self.0.authorization;
            // What reqwest calls the time of reading begins with the request: a large body would use it up.
            let patience = self.0.silence + Duration::from_secs(body.len() as u64 / SLOWEST);
            let pause = Duration::from_millis(500) * (repetitions + 1);
            let sent = heard(patience, request.header(name, value).send()).await?;
            let response = match sent {
                Ok(response) => self.read(response).await?,
                // Nothing was sent where there was no connection.
                Err(error) if error.is_connect() && repetitions + 1 < MAX_CONNECTIONS && pause < self.left() => {
                    repetitions += 1;
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) if error.is_connect() => return Err(TransportError::Unreachable(error.without_url())),
                Err(error) => return Err(self.broken(error)),
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
                Next::Failing => return Err(TransportError::Failing(response.status())),
            }
            repetitions += 1;
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Response<Bytes>, TransportError> {
        let mut body = BytesMut::new();
        let silence = self.0.silence;
        while let Some(piece) = heard(silence, response.chunk()).await?.map_err(|error| self.broken(error))? {
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

    /// Why an answer did not come: no more may be waited for it, or it broke off.
    fn broken(&self, error: reqwest::Error) -> TransportError {
        if self.left().is_zero() {
            return TransportError::OutOfTime;
        }
        TransportError::Interrupted(error.without_url())
    }

    /// An address that is the forge's own.
    fn own(&self, text: &str) -> Result<Url, TransportError> {
        let url = Url::parse(text).ok().filter(|url| url.origin() == self.0.base.origin());
        url.ok_or_else(|| TransportError::Elsewhere(text.chars().take(200).collect()))
    }
}

/// What comes within `patience`.
async fn heard<T>(patience: Duration, coming: impl Future<Output = T>) -> Result<T, TransportError> {
    tokio::time::timeout(patience, coming).await.map_err(|_elapsed| TransportError::Silent(patience))
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
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener, TcpStream},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A forge on loopback that does one thing with each connection.
    fn forge(act: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(act));
        address
    }

    /// Sends a body of so many bytes to a forge that may say nothing for a second; all together may take `timeout`.
    fn sent(address: SocketAddr, body: usize, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let access = Access { ca_file: None, timeout };
        let base = format!("http://{address}");
        let token = Secret::new("t0ken".into());
        let transport =
            Transport::with(&access, ("X", &base), ("authorization", "Bearer ", &token), Duration::from_secs(1));
        let transport = transport.unwrap();
        let request = Request::put("/x").body(Bytes::from(vec![b'x'; body])).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(transport.send(request))
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_large_body_takes_the_time_that_it_needs() {
        let body = 1 << 20;
        let address = forge(move |mut stream| {
            let (mut taken, mut piece) = (0, vec![0; 32 << 10]);
            while taken < body {
                taken += stream.read(&mut piece).unwrap();
                std::thread::sleep(Duration::from_millis(40));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").unwrap();
        });
        assert_eq!(sent(address, body, MINUTE).unwrap().body().as_ref(), b"{}");
    }

    #[test]
    fn an_answer_that_comes_bit_by_bit_is_waited_for_and_silence_is_not() {
        let bit_by_bit = forge(|mut stream| {
            _ = stream.read(&mut [0; 4096]).unwrap();
            for bit in ["HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n"].into_iter().chain(["xxxx"; 4]) {
                stream.write_all(bit.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        assert_eq!(sent(bit_by_bit, 0, MINUTE).unwrap().body().len(), 16);
        for head in ["", "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n"] {
            // Each answers one connection.
            let silent = || {
                forge(move |mut stream| {
                    _ = stream.read(&mut [0; 4096]).unwrap();
                    stream.write_all(head.as_bytes()).unwrap();
                    std::thread::sleep(MINUTE);
                })
            };
            let error = sent(silent(), 0, MINUTE).unwrap_err();
            assert!(matches!(error, TransportError::Silent(_)), "{error:?}");
            let error = sent(silent(), 0, Duration::from_millis(500)).unwrap_err();
            assert!(matches!(error, TransportError::OutOfTime), "{error:?}");
        }
    }

    #[test]
    fn who_cannot_be_reached_is_said_when_the_time_is_over() {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = sent(address, 0, Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, TransportError::Unreachable(_)), "{error:?}");
    }

    #[test]
    fn nothing_is_sent_when_no_time_is_left() {
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let address = forge(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
        let error = sent(address, 0, Duration::ZERO).unwrap_err();
        assert!(matches!(error, TransportError::OutOfTime), "{error:?}");
        assert_eq!(connections.load(Ordering::Relaxed), 0);
    }

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
