//! AdmissionReview, version 1: what the API server asks, and what it is told.
//!
//! Format: <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::{Hint, printable};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Decision, Gate, ObjectError, Told,
    gate::{Stage, Subject},
    spans,
    told::told,
};

const VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Which webhook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The mutating one: tags become digests.
    Mutate,
    /// The validating one: nothing but digests is left.
    Validate,
}

/// Why a body is no review: the answer is 400, and never a pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Not JSON, or of another shape.
    #[error("the body is not an AdmissionReview: {0}")]
    Malformed(String),
    /// Another version or kind.
    #[error("the body is `{found}`, not {VERSION} {KIND}")]
    Version {
        /// What it says to be.
        found: String,
    },
    /// It asks nothing.
    #[error("the AdmissionReview has no request with a uid")]
    NoRequest,
}

impl Hint for ReviewError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Version { .. } => Some("set `admissionReviewVersions: [v1]` in the webhook's configuration".into()),
            Self::Malformed(_) | Self::NoRequest => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) uid: String,
    #[serde(default)]
    pub(crate) kind: GroupVersionKind,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    #[serde(skip)]
    pub(crate) object: Value,
    #[serde(skip)]
    pub(crate) old_object: Value,
    /// All but the objects.
    #[serde(skip)]
    pub(crate) rest: Value,
}

#[derive(Default, Deserialize)]
pub(crate) struct GroupVersionKind {
    #[serde(default)]
    pub(crate) group: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) kind: String,
}

impl GroupVersionKind {
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// Why a request gets no decision.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the request has no object")]
    NoObject,
    #[error("the request is about `{asked}`, and its object is `{found}`")]
    OtherKind { asked: String, found: String },
    #[error("the operation `{0}` is not decided here")]
    Operation(String),
}

impl Gate {
    /// Answers a review: the AdmissionReview to send back. It changes nothing anywhere, dry run or not.
    ///
    /// # Errors
    /// When the body is no review that can be answered.
    pub async fn review(&self, body: &[u8], path: Path) -> Result<Value, ReviewError> {
        self.review_and_tell(body, path).await.map(|(answer, _)| answer)
    }

    /// As [`Self::review`], of JSON that is parsed already.
    ///
    /// # Errors
    /// As [`Self::review`].
    pub async fn review_value(&self, body: Value, path: Path) -> Result<Value, ReviewError> {
        self.review_request(request(body)?, path).await.map(|(answer, _)| answer)
    }

    /// As [`Self::review`], with what is to be said of it beside the answer: nothing where it is only tried.
    ///
    /// # Errors
    /// As [`Self::review`].
    pub async fn review_and_tell(&self, body: &[u8], path: Path) -> Result<(Value, Option<Told>), ReviewError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| ReviewError::Malformed(error.to_string()))?;
        self.review_request(request(body)?, path).await
    }

    async fn review_request(&self, request: Request, path: Path) -> Result<(Value, Option<Told>), ReviewError> {
        spans::requested(&request);
        let decided = self.decide_request(&request, path).await;
        spans::answered(decided.as_ref().ok());
        let (response, told) = match decided {
            Ok(decision) => (answered(&request.uid, &decision, path), told(&request, &decision)),
            Err(error) => (refused(&request.uid, &error), None),
        };
        Ok((reviewed(response), told))
    }

    async fn decide_request(&self, request: &Request, path: Path) -> Result<Decision, RequestError> {
        let Request { uid, kind, operation, namespace, object, old_object, rest } = request;
        let old = match operation.as_str() {
            "CREATE" => None,
            "UPDATE" => Some(old_object).filter(|old| old.is_object()),
            // What goes away runs no longer.
            "DELETE" => return Ok(Decision::untouched("DELETE")),
            other => return Err(RequestError::Operation(printable(other, 40))),
        };
        if !object.is_object() {
            return Err(RequestError::NoObject);
        }
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (asked, found) = ((kind.api_version(), kind.kind.as_str()), (text("apiVersion"), text("kind")));
        if (asked.0.as_str(), asked.1) != found {
            let shown = |version: &str, kind: &str| printable(&format!("{version} {kind}"), 100);
            return Err(RequestError::OtherKind { asked: shown(&asked.0, asked.1), found: shown(found.0, found.1) });
        }
        let stage = if path == Path::Mutate { Stage::Mutate } else { Stage::Validate };
        let namespace = namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let decision =
            self.decide(Subject { object, old, namespace, stage, surroundings: None, request: Some(rest) }).await?;
        let result = decision.audit_annotations.get("decision").map(String::as_str).unwrap_or_default();
        tracing::info!(uid, ?path, namespace, kind = kind.kind, result, "reviewed");
        Ok(decision)
    }
}

/// The request of a review.
pub(crate) fn request(mut body: Value) -> Result<Request, ReviewError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if (text("apiVersion"), text("kind")) != (VERSION, KIND) {
        let found = format!("{} {}", text("apiVersion"), text("kind"));
        return Err(ReviewError::Version { found: printable(found.trim(), 100) });
    }
    let rest = body.get_mut("request").map(Value::take).filter(Value::is_object);
    let mut rest = rest.ok_or(ReviewError::NoRequest)?;
    let [object, old_object] = ["object", "oldObject"]
        .map(|name| rest.as_object_mut().and_then(|all| all.shift_remove(name)).unwrap_or_default());
    let request = Request::deserialize(&rest).map_err(|error| ReviewError::Malformed(error.to_string()))?;
    let request = Request { object, old_object, rest, ..request };
    if request.uid.is_empty() {
        return Err(ReviewError::NoRequest);
    }
    Ok(request)
}

/// A response as it is sent.
pub(crate) fn reviewed(response: Value) -> Value {
    json!({"apiVersion": VERSION, "kind": KIND, "response": response})
}

fn answered(uid: &str, decision: &Decision, path: Path) -> Value {
    let Decision { allowed, pins, message, warnings, audit_annotations, images: _, object: _ } = decision;
    let mut response = json!({"uid": uid, "allowed": allowed, "auditAnnotations": audit_annotations});
    if !warnings.is_empty() {
        response["warnings"] = json!(warnings);
    }
    if let Some(message) = message {
        response["status"] = json!({"code": 403, "reason": "Forbidden", "message": message});
    }
    if path == Path::Mutate && *allowed && !pins.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(json!(pins).to_string()).into();
    }
    response
}

fn refused(uid: &str, error: &RequestError) -> Value {
    let message = format!("[portcullis] {error}");
    tracing::warn!(uid, %error, "refused a request that cannot be read");
    json!({"uid": uid, "allowed": false, "status": {"code": 400, "reason": "BadRequest", "message": message}})
}
