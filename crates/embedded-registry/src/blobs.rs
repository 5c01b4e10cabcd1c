//! Blobs: reading them, and the three ways of uploading them.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, header},
};
use portcullis_model::Digest;

use crate::{
    answer::{Answer, CONTENT_DIGEST, Refusal, UPLOAD_ID, content, empty, set},
    routes::{Call, accepted, located},
};

pub(crate) fn blob(call: &Call<'_>, repository: &str, digest: &str) -> Result<Answer, Refusal> {
    let digest: Digest = digest.parse().map_err(|_error| Refusal::DigestInvalid)?;
    let mut store = call.registry.store();
    match call.parts.method {
        Method::GET | Method::HEAD => {
            let bytes = store.repository(repository)?.blobs.get(&digest).ok_or(Refusal::BlobUnknown)?.clone();
            drop(store);
            let mut answer = ranged(&call.parts.headers, bytes)?;
            set(&mut answer, CONTENT_DIGEST, &digest.to_string());
            set(&mut answer, header::ACCEPT_RANGES, "bytes");
            Ok(answer)
        }
        Method::DELETE => {
            store.remove_blob(repository, &digest)?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// The whole, or the one range that is asked for.
fn ranged(headers: &HeaderMap, bytes: Bytes) -> Result<Answer, Refusal> {
    const TYPE: &str = "application/octet-stream";
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Ok(content(StatusCode::OK, TYPE, bytes));
    };
    let Ok(first) = first.parse::<usize>() else { return Ok(content(StatusCode::OK, TYPE, bytes)) };
    let length = bytes.len();
    let end = last.parse::<usize>().map_or(length, |last| last.saturating_add(1)).min(length);
    if first >= end {
        return Err(Refusal::RangeInvalid);
    }
    let mut answer = content(StatusCode::PARTIAL_CONTENT, TYPE, bytes.slice(first..end));
    set(&mut answer, header::CONTENT_RANGE, &format!("bytes {first}-{}/{length}", end - 1));
    Ok(answer)
}

/// `POST …/blobs/uploads/`: all at once with `?digest=`, or the begin of an upload.
pub(crate) async fn start(call: Call<'_>, repository: &str) -> Result<Answer, Refusal> {
    let registry = call.registry;
    if let Some(digest) = call.query("digest") {
        let digest: Digest = digest.parse().map_err(|_error| Refusal::DigestInvalid)?;
        let bytes = call.bytes(registry.options().max_bytes, Refusal::Full).await?;
        registry.store().add_blob(repository, digest, bytes)?;
        return Ok(created(repository, &digest));
    }
    // A mount from elsewhere may always be answered with an ordinary upload.
    let id = registry.store().open_upload(repository)?;
    Ok(progress(StatusCode::ACCEPTED, repository, id, 0))
}

/// The life of an upload: PATCH adds, PUT ends, GET tells, DELETE gives up.
pub(crate) async fn upload(call: Call<'_>, repository: &str, id: &str) -> Result<Answer, Refusal> {
    let id: u64 = id.parse().map_err(|_error| Refusal::UploadUnknown)?;
    let registry = call.registry;
    let limit = registry.options().max_bytes;
    let start = content_start(&call.parts.headers)?;
    match call.parts.method {
        Method::GET => {
            let length = registry.store().upload_length(repository, id)?;
            Ok(progress(StatusCode::NO_CONTENT, repository, id, length))
        }
        Method::PATCH => {
            registry.store().upload_length(repository, id)?;
            let piece = call.bytes(limit, Refusal::Full).await?;
            let length = registry.store().append(repository, id, start, &piece)?;
            Ok(progress(StatusCode::ACCEPTED, repository, id, length))
        }
        Method::PUT => {
            let digest = call.query("digest").ok_or(Refusal::DigestInvalid)?;
            let digest: Digest = digest.parse().map_err(|_error| Refusal::DigestInvalid)?;
            registry.store().upload_length(repository, id)?;
            let piece = call.bytes(limit, Refusal::Full).await?;
            let mut store = registry.store();
            store.append(repository, id, start, &piece)?;
            let bytes = store.cancel_upload(repository, id)?;
            store.add_blob(repository, digest, Bytes::from(bytes))?;
            Ok(created(repository, &digest))
        }
        Method::DELETE => {
            registry.store().cancel_upload(repository, id)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// Where a piece starts, by `Content-Range: <first>-<last>`.
fn content_start(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let range = range.to_str().map_err(|_error| Refusal::UploadInvalid)?;
    let (first, _) = range.trim_start_matches("bytes ").split_once('-').ok_or(Refusal::UploadInvalid)?;
    first.parse().map(Some).map_err(|_error| Refusal::UploadInvalid)
}

fn progress(status: StatusCode, repository: &str, id: u64, length: usize) -> Answer {
    let mut answer = accepted(&format!("/v2/{repository}/blobs/uploads/{id}"));
    *answer.status_mut() = status;
    set(&mut answer, header::RANGE, &format!("0-{}", length.saturating_sub(1)));
    set(&mut answer, UPLOAD_ID, &id.to_string());
    answer
}

fn created(repository: &str, digest: &Digest) -> Answer {
    let mut answer = located(StatusCode::CREATED, &format!("/v2/{repository}/blobs/{digest}"));
    set(&mut answer, CONTENT_DIGEST, &digest.to_string());
    answer
}
