//! Requests to an engine: HTTP over its socket, or over TCP as `DOCKER_HOST` may say.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis_errors::chain;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, StatusCode, header::HeaderMap};
use tokio::runtime::Runtime;

use super::{address, failure};
use crate::{ImageError, manifest::MAX_DOCUMENT};

/// How long an engine may stay silent. It packs an image before the first byte comes.
const SILENCE: Duration = Duration::from_secs(120);

/// Largest list of images read, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// How long it may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);

/// An engine that can be asked.
pub(super) struct Engine {
    pub(super) name: &'static str,
    http: Client,
    base: String,
    runtime: Runtime,
}

impl Engine {
    /// The engine at an address: `unix:///path`, `tcp://host:port`.
    pub(super) fn at(name: &'static str, address: &str) -> Result<Self, ImageError> {
        if let Some(path) = address.strip_prefix("unix://") {
            return Self::new(name, Self::builder().unix_socket(Path::new(path)), "http://localhost".into());
        }
        if let Some(host) = address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://")) {
            let uses_tls =
                address::variable("DOCKER_TLS_VERIFY").is_some() || address::variable("DOCKER_TLS").is_some();
            let (scheme, builder) = if uses_tls { ("https", tls(name)?) } else { ("http", Self::builder()) };
            return Self::new(name, builder.no_proxy(), format!("{scheme}://{}", host.trim_end_matches('/')));
        }
        let why = format!("it listens at {address}, and only unix:// and tcp:// addresses are asked");
        Err(failure(name, why, "save the image to an archive there, and scan the archive"))
    }

    /// The engine at a socket that speaks HTTP/2 alone, as gRPC does.
    pub(super) fn grpc(name: &'static str, socket: &Path) -> Result<Self, ImageError> {
        let builder = Self::builder().unix_socket(socket).http2_prior_knowledge();
        Self::new(name, builder, "http://localhost".into())
    }

    fn builder() -> ClientBuilder {
        Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).redirect(reqwest::redirect::Policy::none())
    }

    fn new(name: &'static str, builder: ClientBuilder, base: String) -> Result<Self, ImageError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failure(name, error.to_string(), ""))?;
        let http = builder.build().map_err(|error| failure(name, chain(&error), ""))?;
        Ok(Self { name, http, base, runtime })
    }

    /// A whole answer of at most a manifest's size, whatever its status.
    pub(super) fn get(&self, path: &str) -> Result<(StatusCode, Vec<u8>), ImageError> {
        self.runtime.block_on(async {
            let mut response = self.send(self.http.get(format!("{}{path}", self.base))).await?;
            let body = self.read(&mut response).await?;
            Ok((response.status(), body))
        })
    }

    /// A whole answer that lists everything there is.
    pub(super) fn get_list(&self, path: &str) -> Result<(StatusCode, Vec<u8>), ImageError> {
        self.runtime.block_on(async {
            let mut response = self.send(self.http.get(format!("{}{path}", self.base))).await?;
            let body = self.read_up_to(&mut response, MAX_LIST).await?;
            Ok((response.status(), body))
        })
    }

    /// Removes something.
    pub(super) fn delete(&self, path: &str) -> Result<(StatusCode, Vec<u8>), ImageError> {
        self.runtime.block_on(async {
            let mut response = self.send(self.http.delete(format!("{}{path}", self.base))).await?;
            let body = self.read(&mut response).await?;
            Ok((response.status(), body))
        })
    }

    /// Follows an answer that does not end: `piece` is called for each piece of it, and once in `tick` at least.
    pub(super) fn stream(&self, path: &str, tick: Duration, piece: &mut dyn FnMut() -> bool) -> Result<(), ImageError> {
        self.follow(self.http.get(format!("{}{path}", self.base)), tick, piece)
    }

    /// Follows the messages of a call of gRPC that does not end, as `stream` does.
    pub(super) fn subscribe(
        &self,
        path: &str,
        headers: HeaderMap,
        message: &[u8],
        tick: Duration,
        piece: &mut dyn FnMut() -> bool,
    ) -> Result<(), ImageError> {
        let request = self.http.post(format!("{}{path}", self.base)).headers(headers).body(framed(message));
        self.follow(request, tick, piece)
    }

    fn follow(
        &self,
        request: reqwest::RequestBuilder,
        tick: Duration,
        piece: &mut dyn FnMut() -> bool,
    ) -> Result<(), ImageError> {
        self.runtime.block_on(async {
            // Nothing may happen for hours.
            let mut response = match tokio::time::timeout(tick, self.send(request)).await {
                Ok(response) => response?,
                // Podman and containerd send the headers with the first event.
                Err(_elapsed) => {
                    piece();
                    return Ok(());
                }
            };
            if !response.status().is_success() {
                let body = self.read(&mut response).await?;
                return Err(self.refused(response.status(), &body));
            }
            // What happened before the stream began is in no event.
            while piece() {
                match tokio::time::timeout(tick, response.chunk()).await {
                    Ok(Ok(Some(_))) | Err(_) => {}
                    Ok(Ok(None)) => return Ok(()),
                    // The silence of an engine where nothing happens.
                    Ok(Err(error)) if error.is_timeout() => return Ok(()),
                    Ok(Err(error)) => return Err(self.broken(&error)),
                }
            }
            Ok(())
        })
    }

    /// One call of gRPC, of one message each way (<https://github.com/grpc/grpc/blob/v1.71.0/doc/PROTOCOL-HTTP2.md>).
    /// The message that comes back, and what its headers say.
    pub(super) fn call(
        &self,
        path: &str,
        headers: HeaderMap,
        message: &[u8],
    ) -> Result<(HeaderMap, Vec<u8>), ImageError> {
        self.runtime.block_on(async {
            let request = self.http.post(format!("{}{path}", self.base)).headers(headers).body(framed(message));
            let mut response = self.send(request).await?;
            let body = self.read_up_to(&mut response, MAX_LIST).await?;
            Ok((response.headers().clone(), body))
        })
    }

    /// Writes an answer of at most `limit` bytes to a file.
    pub(super) fn download(&self, path: &str, file: &mut dyn Write, limit: u64) -> Result<(), ImageError> {
        self.runtime.block_on(async {
            let mut response = self.send(self.http.get(format!("{}{path}", self.base))).await?;
            if !response.status().is_success() {
                let body = self.read(&mut response).await?;
                return Err(self.refused(response.status(), &body));
            }
            let mut length = 0_u64;
            while let Some(piece) = response.chunk().await.map_err(|error| self.broken(&error))? {
                length += piece.len() as u64;
                if length > limit {
                    return Err(ImageError::TooLarge { what: format!("the archive of {}", self.name), limit });
                }
                let written = file.write_all(&piece);
                written.map_err(|cause| ImageError::File { path: PathBuf::from("temporary archive"), cause })?;
            }
            Ok(())
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, ImageError> {
        request.send().await.map_err(|error| self.broken(&error))
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, ImageError> {
        self.read_up_to(response, MAX_DOCUMENT).await
    }

    async fn read_up_to(&self, response: &mut Response, limit: u64) -> Result<Vec<u8>, ImageError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if (body.len() + piece.len()) as u64 > limit {
                return Err(ImageError::TooLarge { what: format!("an answer of {}", self.name), limit });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What an answer that is no success says.
    pub(super) fn refused(&self, status: StatusCode, body: &[u8]) -> ImageError {
        let message = serde_json::from_slice::<serde_json::Value>(body).ok();
        let message = message.and_then(|value| Some(value.get("message")?.as_str()?.to_owned())).unwrap_or_default();
        failure(self.name, format!("it answers {status}: {message}"), "")
    }

    /// An engine that is not reached is silent. One that begins an answer, or lets wait for it, fails at this one alone.
    fn broken(&self, error: &reqwest::Error) -> ImageError {
        let is_silent = (error.is_connect() || error.is_request()) && !error.is_timeout();
        if !is_silent {
            return failure(self.name, format!("its answer does not come whole: {}", chain(error)), "");
        }
        let hint = "is it running, and may you use it? Members of its group and root may".to_owned();
        ImageError::Silent { engine: self.name, why: chain(error), hint }
    }
}

/// A message as gRPC sends it: not compressed, its length first.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    body.extend(message);
    body
}

/// TLS as Docker's command line does it: `ca.pem`, `cert.pem` and `key.pem` in `DOCKER_CERT_PATH`.
fn tls(name: &'static str) -> Result<ClientBuilder, ImageError> {
    let home = || address::folder("HOME").map(|home| home.join(".docker"));
    let folder = address::folder("DOCKER_CERT_PATH").or_else(home).unwrap_or_default();
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read(&path).map_err(|cause| ImageError::File { path, cause })
    };
    let wrong = |error: reqwest::Error| failure(name, chain(&error), "look at the files in DOCKER_CERT_PATH");
    let identity = [read("cert.pem")?, read("key.pem")?].concat();
    let authorities = Certificate::from_pem_bundle(&read("ca.pem")?).map_err(wrong)?;
    let identity = Identity::from_pem(&identity).map_err(wrong)?;
    Ok(Engine::builder().tls_certs_only(authorities).identity(identity))
}
