//! Spans: where the time of a review goes, for whoever collects traces. Nothing here decides anything.
//!
//! They are on the level *trace* under a target of their own, so that nobody pays for them who does not ask for them.
//! What comes from outside is bounded. What is no name of an image is not told: it may hold a password.

use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_attest::{Discovery, ProblemError};
use portcullis_errors::printable;
use portcullis_registry::{Reference, RegistryError};
use serde_json::Value;
use tracing::{Span, field::Empty, trace_span};

use crate::{Decision, ImageDecision, Path, review::Request};

/// The target of all spans.
pub const TARGET: &str = "portcullis::spans";

/// The longest name that Kubernetes gives.
const MAX_NAME: usize = 253;
/// Of a canonical name of an image with its digest.
const MAX_IMAGE: usize = 512;

const REVIEW: &str = "review";
const IMAGE: &str = "image";

/// The span of one review. Whoever answers the request enters it; the gate fills it in.
#[must_use]
pub fn review(path: Path) -> Span {
    trace_span!(
        target: TARGET,
        REVIEW,
        otel.kind = "server",
        otel.status_code = Empty,
        http.route = if path == Path::Mutate { "/mutate" } else { "/validate" },
        http.response.status_code = Empty,
        portcullis.operation = Empty,
        portcullis.kind = Empty,
        k8s.namespace.name = Empty,
        portcullis.name = Empty,
        portcullis.uid = Empty,
        portcullis.dry_run = Empty,
        portcullis.allowed = Empty,
        portcullis.images = Empty,
    )
}

/// What is asked, in the span around it.
pub(crate) fn requested(request: &Request) {
    let Some(span) = current(REVIEW) else { return };
    let Request { uid, kind, operation, namespace, object, old_object: _, rest } = request;
    let text = |of: &Value, pointer: &str| {
        let text = of.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(|text| printable(text, MAX_NAME))
    };
    // What a controller makes has no name yet.
    let name = text(rest, "/name").or_else(|| text(object, "/metadata/name"));
    let name = name.or_else(|| text(object, "/metadata/generateName"));
    span.record("portcullis.operation", printable(operation, MAX_NAME));
    span.record("portcullis.kind", printable(&kind.kind, MAX_NAME));
    span.record("portcullis.uid", printable(uid, MAX_NAME));
    span.record("portcullis.dry_run", rest.get("dryRun").and_then(Value::as_bool).unwrap_or_default());
    if let Some(namespace) = namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        span.record("k8s.namespace.name", printable(namespace, MAX_NAME));
    }
    if let Some(name) = name {
        span.record("portcullis.name", name);
    }
}

/// What was decided, in the span around it; none where the request cannot be decided.
pub(crate) fn answered(decision: Option<&Decision>) {
    let Some(span) = current(REVIEW) else { return };
    span.record("portcullis.allowed", decision.is_some_and(|decision| decision.allowed));
    // At most as many as an object may name.
    let images = decision.map_or(0, |decision| decision.images.len());
    span.record("portcullis.images", i64::try_from(images).unwrap_or(i64::MAX));
}

/// The span of one image of a review. A look at running Pods has none: it would drown the reviews.
pub(crate) fn image() -> Span {
    if current(REVIEW).is_none() {
        return Span::none();
    }
    trace_span!(
        target: TARGET,
        IMAGE,
        portcullis.image = Empty,
        oci.manifest.digest = Empty,
        portcullis.result = Empty,
        portcullis.admitted = Empty,
        portcullis.known = Empty,
    )
}

/// What became of an image.
pub(crate) fn decided(span: &Span, decision: &ImageDecision) {
    if span.is_disabled() {
        return;
    }
    if let Some(reference) = &decision.reference {
        span.record("portcullis.image", printable(&reference.to_string(), MAX_IMAGE));
    }
    if let Some(digest) = decision.digest {
        span.record("oci.manifest.digest", digest.to_string());
    }
    span.record("portcullis.result", decision.outcome().as_str());
    span.record("portcullis.admitted", decision.is_admitted());
}

/// Whether what was kept of an image's evidence was enough, in the span around it.
pub(crate) fn known(is_known: bool) {
    if let Some(span) = current(IMAGE) {
        span.record("portcullis.known", is_known);
    }
}

/// What a registry is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    /// What a tag means, or whether a digest is that of an index.
    Manifest,
    /// What is attached to an image.
    Evidence,
}

/// The span of one look at a registry for an image of a review. Several that ask for the same share the work, and each
/// has waited for it.
pub(crate) fn look(at: &Reference, what: Look, is_own: bool) -> Span {
    if current(IMAGE).is_none() {
        return Span::none();
    }
    trace_span!(
        target: TARGET,
        "registry",
        otel.kind = "client",
        otel.status_code = Empty,
        server.address = printable(at.registry(), MAX_NAME),
        portcullis.repository = printable(at.repository(), MAX_IMAGE),
        portcullis.look = match what {
            Look::Manifest => "manifest",
            Look::Evidence => "evidence",
        },
        portcullis.credentials = if is_own { "own" } else { "pull-secret" },
        portcullis.outcome = Empty,
    )
}

/// What came of a look for a manifest.
pub(crate) fn looked<T>(span: &Span, found: Result<&T, &RegistryError>) {
    outcome(span, found.map_or_else(because, |_| "found"));
}

/// What came of a look for evidence.
pub(crate) fn discovered(span: &Span, found: &Discovery) {
    let told = match found.problems.first().map(|problem| &problem.error) {
        None if found.candidates.is_empty() => "nothing",
        None => "found",
        Some(ProblemError::Registry(error)) => because(error),
        Some(_) => "unreadable",
    };
    outcome(span, told);
}

fn outcome(span: &Span, told: &'static str) {
    span.record("portcullis.outcome", told);
    // That something is not there, or not for this credential, is an answer.
    if !matches!(told, "found" | "nothing" | "not-found" | "refused") {
        span.record("otel.status_code", "ERROR");
    }
}

const fn because(error: &RegistryError) -> &'static str {
    match error {
        RegistryError::TimedOut { .. } | RegistryError::Late { .. } => "timeout",
        error if error.is_not_found() => "not-found",
        error if error.is_unauthorized() => "refused",
        error if error.is_temporary() => "away",
        _ => "error",
    }
}

/// The span that runs, where it is ours and has this name.
fn current(name: &str) -> Option<Span> {
    let span = Span::current();
    let is_it = span.metadata().is_some_and(|metadata| metadata.target() == TARGET && metadata.name() == name);
    is_it.then_some(span)
}

/// Whether a registry was asked for the evidence of an image.
#[derive(Debug, Default)]
pub(crate) struct Asked(AtomicBool);

impl Asked {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
