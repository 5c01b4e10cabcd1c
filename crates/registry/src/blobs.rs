//! Blobs: layers as streams, small ones whole, and pushing them.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use portcullis_model::Digest;
use reqwest::{Method, Response, StatusCode, Url, header};
use tokio::time::{Duration, Instant};

use crate::{
    Client, Reference, RegistryError,
    client::Inner,
    error::Hosted,
    transport::{Call, header_text, malformed, same_origin},
};

/// The bytes of a blob as they arrive. Its length is checked here, its digest by whoever reads it.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, RegistryError>> + Send>>;

impl Client {
    /// A blob as a stream that ends after exactly `size` bytes, or with an error. The caller checks the digest.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn blob_stream(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
    ) -> Result<BlobStream, RegistryError> {
        Ok(self.blob_stream_from(reference, digest, size, 0).await?.1)
    }

    /// As [`Self::blob_stream`], behind the first `start` bytes, which are at hand already. Where the registry gives no
    /// parts, the stream is the whole blob: the number says where it begins.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn blob_stream_from(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        start: u64,
    ) -> Result<(u64, BlobStream), RegistryError> {
        let url = self.inner.url(reference, &format!("blobs/{digest}"))?;
        let mut call = Call::new(Method::GET, url, reference, what(reference, digest));
        if (1..size).contains(&start) {
            call = call.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = self.inner.send(&call).await?;
        let start = if is_rest(&response, start, size) { start } else { 0 };
        require_length(&call.subject, &response, size - start)?;
        let patience = self.inner.patience(size);
        let reading = Reading {
            inner: Arc::clone(&self.inner),
            reference: reference.clone(),
            digest: *digest,
            subject: call.subject,
            response,
            size,
            left: size - start,
            until: Instant::now() + patience,
            patience,
            resumptions: 0,
        };
        Ok((start, Box::pin(stream::try_unfold(reading, Reading::next))))
    }

    /// A whole blob of at most `max_bytes`, checked against its digest.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn blob(&self, reference: &Reference, digest: &Digest, max_bytes: u64) -> Result<Bytes, RegistryError> {
        let url = self.inner.url(reference, &format!("blobs/{digest}"))?;
        let call = Call::new(Method::GET, url, reference, what(reference, digest));
        let (_, bytes) = self.inner.fetch(&call, max_bytes).await?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(RegistryError::DigestMismatch { subject: call.subject, expected: *digest, actual });
        }
        Ok(bytes)
    }

    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.inner.url(reference, &format!("blobs/{digest}"))?;
        match self.inner.send(&Call::new(Method::HEAD, url, reference, what(reference, digest))).await {
            Ok(_) => Ok(true),
            Err(RegistryError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a blob, unless it is there already, and returns its digest.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn push_blob(&self, reference: &Reference, bytes: Bytes) -> Result<Digest, RegistryError> {
        let digest = Digest::of(&bytes);
        if self.has_blob(reference, &digest).await? {
            return Ok(digest);
        }
        let url = self.inner.url(reference, "blobs/uploads/")?;
        let call = Call::new(Method::POST, url, reference, what(reference, &digest));
        let response = self.inner.send(&call).await?;
        let mut place = self.inner.upload_place(&call.subject, &call.url, &response)?;
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let call = Call::new(Method::PUT, place, reference, what(reference, &digest));
        let call = call.header(header::CONTENT_TYPE, "application/octet-stream").body(bytes);
        self.inner.send(&call).await?;
        Ok(digest)
    }
}

impl Inner {
    /// Where an upload goes on. The content and the credentials stay with the registry.
    fn upload_place(&self, subject: &Hosted, asked: &Url, response: &Response) -> Result<Url, RegistryError> {
        let location = header_text(response, "location").and_then(|location| asked.join(location).ok());
        let mut place = location.ok_or_else(|| malformed(subject, "no place to upload to".into()))?;
        // Registries behind a proxy that ends TLS may write their own, inner scheme.
        if place.host_str() == asked.host_str() && asked.scheme() == "https" && place.scheme() == "http" {
            let with_port = place.port() == asked.port() || place.port().is_none();
            if with_port && place.set_scheme("https").is_err() {
                return Err(malformed(subject, "no place to upload to".into()));
            }
        }
        if same_origin(&place, asked) {
            return Ok(place);
        }
        let host = place.host_str().unwrap_or_default().to_owned();
        let reason = "uploads go to the registry itself only";
        Err(RegistryError::Forbidden { subject: subject.clone(), host, reason })
    }
}

/// A blob that is being read.
struct Reading {
    inner: Arc<Inner>,
    reference: Reference,
    digest: Digest,
    subject: Hosted,
    response: Response,
    size: u64,
    left: u64,
    until: Instant,
    patience: Duration,
    resumptions: u32,
}

impl Reading {
    /// The next piece. What breaks off is taken up where it ended, as long as time is left.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, RegistryError> {
        let until = self.until;
        let chunk = tokio::time::timeout_at(until, self.chunk()).await.map_err(|_elapsed| self.timed_out())??;
        let Some(chunk) = chunk else {
            return if self.left == 0 {
                Ok(None)
            } else {
                Err(malformed(&self.subject, format!("{} bytes are missing at its end", self.left)))
            };
        };
        let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
            return Err(malformed(&self.subject, "it is longer than its descriptor says".into()));
        };
        self.left = left;
        Ok(Some((chunk, self)))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let error = match self.response.chunk().await {
                Ok(chunk) => return Ok(chunk),
                Err(error) if error.is_timeout() => return Err(self.timed_out()),
                Err(error) => error,
            };
            let broken =
                RegistryError::Interrupted { subject: self.subject.clone(), source: error.without_url().into() };
            if self.resumptions >= self.inner.options.retries || self.left == 0 {
                return Err(broken);
            }
            self.resumptions += 1;
            tracing::debug!(%broken, left = self.left, "the blob is read on");
            match self.resumed().await? {
                Some(response) => self.response = response,
                None => return Err(broken),
            }
        }
    }

    /// Asks for the rest; none where the registry gives no parts.
    async fn resumed(&self) -> Result<Option<Response>, RegistryError> {
        let start = self.size - self.left;
        let url = self.inner.url(&self.reference, &format!("blobs/{}", self.digest))?;
        let call = Call::new(Method::GET, url, &self.reference, self.subject.what.clone());
        let response = self.inner.send(&call.header(header::RANGE, format!("bytes={start}-"))).await?;
        Ok(is_rest(&response, start, self.size).then_some(response))
    }

    fn timed_out(&self) -> RegistryError {
        self.inner.timed_out(&self.subject, self.patience)
    }
}

/// Whether an answer is what stands behind the first `start` bytes of a blob.
fn is_rest(response: &Response, start: u64, size: u64) -> bool {
    let wanted = format!("bytes {start}-{}/", size.saturating_sub(1));
    response.status() == StatusCode::PARTIAL_CONTENT
        && header_text(response, "content-range").is_some_and(|range| range.starts_with(&wanted))
}

fn require_length(subject: &Hosted, response: &Response, size: u64) -> Result<(), RegistryError> {
    match response.content_length() {
        Some(length) if length != size => {
            Err(malformed(subject, format!("it has {length} bytes, its descriptor says {size}")))
        }
        _ => Ok(()),
    }
}

fn what(reference: &Reference, digest: &Digest) -> String {
    format!("blob {}@{digest}", reference.repository())
}
