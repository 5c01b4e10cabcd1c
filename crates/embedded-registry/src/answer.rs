//! Answers: the specification's error codes as JSON, and the headers that go with content.
//!
//! Format: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde_json::json;

pub(crate) type Answer = Response<Body>;

/// `Docker-Content-Digest`.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Upload-UUID`.
pub(crate) const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `OCI-Subject`: the registry has listed the manifest among its subject's referrers.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Filters-Applied`.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// A refusal with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BlobUnknown,
    UploadInvalid,
    UploadUnknown,
    RangeInvalid,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    TagInvalid,
    TooLarge,
    Full,
    Unauthorized,
    Unsupported,
    NotFound,
}

impl Refusal {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "no such blob in this repository"),
            Self::UploadInvalid => {
                (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "the upload cannot go on like this")
            }
            Self::UploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
            Self::RangeInvalid => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", "the range does not follow what is there")
            }
            Self::DigestInvalid => (StatusCode::BAD_REQUEST, "DIGEST_INVALID", "the digest is not that of the content"),
            Self::ManifestBlobUnknown => {
                (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", "the manifest names a blob that is not here")
            }
            Self::ManifestInvalid => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "this is not a manifest"),
            Self::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "no such manifest in this repository"),
            Self::NameInvalid => (StatusCode::BAD_REQUEST, "NAME_INVALID", "this is not a repository's name"),
            Self::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN", "no such repository"),
            Self::TagInvalid => (StatusCode::BAD_REQUEST, "TAG_INVALID", "this is not a tag"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "a manifest has at most 4 MiB"),
            Self::Full => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "this registry is full"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "credentials are needed"),
            Self::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this cannot be done here"),
            Self::NotFound => (StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing here"),
        }
    }

    pub(crate) fn answer(self) -> Answer {
        let (status, code, message) = self.parts();
        let body = json!({"errors": [{"code": code, "message": message}]});
        let mut answer = content(status, "application/json", Bytes::from(body.to_string()));
        if self == Self::Unauthorized {
            let challenge = HeaderValue::from_static("Basic realm=\"embedded registry\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// An answer without content.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer with content.
pub(crate) fn content(status: StatusCode, media_type: &str, bytes: Bytes) -> Answer {
    let mut answer = empty(status);
    set(&mut answer, header::CONTENT_TYPE, media_type);
    set(&mut answer, header::CONTENT_LENGTH, &bytes.len().to_string());
    *answer.body_mut() = Body::from(bytes);
    answer
}

/// Sets a header; a value that no header can carry is left out.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
