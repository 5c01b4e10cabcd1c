//! The server: routes, limits and answers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Request, State as Shared},
    http::{HeaderValue, StatusCode, Version, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use axum_server::Handle;
use futures_util::StreamExt as _;
use portcullis_admission::Path;
use portcullis_errors::Hint as _;
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{AcquireError, Semaphore, SemaphorePermit},
};
use tracing::Instrument as _;

use crate::{
    metrics::{Result as Counted, add},
    state::Server,
    traces,
};

/// An UPDATE carries two objects of at most 3 MiB (the API server's limit for a request) and what is around them.
const MAX_BODY_BYTES: usize = 8 << 20;

/// What the large bodies of all requests under way may hold together.
const LARGE_BYTES: usize = 16 << 20;
/// As much, of small ones.
const SMALL_BYTES: usize = 8 << 20;
/// The largest body that is a small one: nearly all reviews are.
const MAX_SMALL_BYTES: usize = 512 << 10;
/// The budgets are counted in units of so many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// How long a body may take to arrive, once it is its turn: whoever sends it slowly keeps others waiting.
const ARRIVAL: Duration = Duration::from_secs(3);

/// How long clients are told to leave before connections are closed. A connection that is closed while it idles takes
/// with it a review that was sent at that moment, and the API server sends none twice.
const LEAVE: Duration = Duration::from_secs(3);

/// All routes.
pub(crate) fn router(shared: Arc<Server>) -> Router {
    Router::new()
        .route("/mutate", post(|Shared(server), request| review(server, request, Path::Mutate)))
        .route("/validate", post(|Shared(server), request| review(server, request, Path::Validate)))
        .route("/policies", post(review_policy))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(&shared), farewell))
        .with_state(shared)
}

/// At the end each connection closes after its next answer. HTTP/2 has a frame of its own for that.
async fn farewell(Shared(server): Shared<Arc<Server>>, request: Request, next: Next) -> Response {
    let is_http_1 = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if is_http_1 && server.is_ending.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn ready(Shared(server): Shared<Arc<Server>>) -> Response {
    if server.is_ending.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending\n").into_response();
    }
    if let Some(missing) = server.waits_for() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {missing}\n")).into_response();
    }
    "ok\n".into_response()
}

async fn metrics(Shared(server): Shared<Arc<Server>>) -> Response {
    let gate = server.gate();
    let text = server.metrics.text(gate.policies().count(), gate.looks_under_way());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Answers one review within the limits. Whatever goes wrong is an HTTP error, which the API server takes as a refusal
/// under `failurePolicy: Fail`.
async fn review(server: Arc<Server>, request: Request, path: Path) -> Response {
    let started = Instant::now();
    let span = traces::review(path, request.headers());
    let answering = answer(&server, request.into_body(), path).instrument(span.clone());
    let answered = tokio::time::timeout(server.limit, answering).await;
    let answered = answered.unwrap_or_else(|_elapsed| {
        Err((StatusCode::SERVICE_UNAVAILABLE, "no answer in time: try again, or raise `--timeout`".to_owned()))
    });
    let (counted, response) = match answered {
        Ok(review) => {
            let is_allowed = review.pointer("/response/allowed").and_then(Value::as_bool) == Some(true);
            let counted = if is_allowed { Counted::Allowed } else { Counted::Denied };
            (counted, axum::Json(review).into_response())
        }
        Err((status, message)) => {
            tracing::warn!(?path, status = status.as_u16(), message, "no review");
            span.record("otel.status_code", "ERROR");
            (Counted::Error, (status, message + "\n").into_response())
        }
    };
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    server.metrics.review(counted, started.elapsed());
    response
}

/// Answers a review of a policy. It needs no registry, and no policy of the cluster.
async fn review_policy(Shared(server): Shared<Arc<Server>>, request: Request) -> Response {
    let body = match tokio::time::timeout(server.limit, Turn::of(&server, request.into_body())).await {
        Ok(Ok(turn)) => turn,
        Ok(Err((status, message))) => return (status, message + "\n").into_response(),
        Err(_elapsed) => return (StatusCode::REQUEST_TIMEOUT, "the body does not come\n").into_response(),
    };
    match server.gate().review_policy(&body.bytes) {
        Ok(review) => axum::Json(review).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn answer(server: &Server, body: Body, path: Path) -> Result<Value, (StatusCode, String)> {
    if let Some(missing) = server.waits_for() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, format!("not ready: waiting for {missing}")));
    }
    let turn = Turn::of(server, body).await?;
    let (answer, told) = server.gate().review_and_tell(&turn.bytes, path).await.map_err(|error| {
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        (StatusCode::BAD_REQUEST, format!("{error}{hint}"))
    })?;
    if let Some(told) = told {
        if told.reason == "Exempted" {
            add(&server.metrics.exempted);
        }
        if let Some(events) = &server.events {
            events.send(told);
        }
    }
    Ok(answer)
}

/// What the bodies of all requests under way may hold together, in units; others wait for their turn. Small ones do not
/// wait for large ones: few of these fill their budget, and each may take its time to come.
pub(crate) struct Bodies {
    small: Semaphore,
    large: Semaphore,
}

impl Default for Bodies {
    fn default() -> Self {
        let budget = |bytes: usize| Semaphore::new(bytes / UNIT_BYTES);
        Self { small: budget(SMALL_BYTES), large: budget(LARGE_BYTES) }
    }
}

impl Bodies {
    async fn hold(&self, bytes: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        let budget = if bytes <= MAX_SMALL_BYTES { &self.small } else { &self.large };
        budget.acquire_many(u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)).await
    }
}

/// A body, with the right to hold it until it is answered.
struct Turn<'a> {
    bytes: Vec<u8>,
    _units: SemaphorePermit<'a>,
}

impl<'a> Turn<'a> {
    /// Waits before anything is read, so that no more bytes are held than may be. Looks at registries have turns of their
    /// own, so that a review which needs none does not wait for those that do.
    async fn of(server: &'a Server, body: Body) -> Result<Self, (StatusCode, String)> {
        let ending = |_closed| (StatusCode::SERVICE_UNAVAILABLE, "the server is ending".to_owned());
        // A length that is not told may be any.
        let told = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
        let bytes = told.map_or(MAX_BODY_BYTES, |length| length.min(MAX_BODY_BYTES));
        let units = server.bodies.hold(bytes).await.map_err(ending)?;
        let read = tokio::time::timeout(ARRIVAL, read(body, bytes)).await;
        let late = |_elapsed| Err((StatusCode::REQUEST_TIMEOUT, "the body does not come".to_owned()));
        let bytes = read.unwrap_or_else(late)?;
        Ok(Self { bytes, _units: units })
    }
}

/// The body, within the limit. What is a little larger is read to its end and forgotten: a sender that is cut off would
/// not hear why.
async fn read(body: Body, expected: usize) -> Result<Vec<u8>, (StatusCode, String)> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::with_capacity(expected), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| (StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if length <= 2 * MAX_BODY_BYTES {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    if length > MAX_BODY_BYTES {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BODY_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Waits for a signal to end; has clients leave, then takes no more connections, and lets those that are there finish.
pub(crate) async fn end(server: Arc<Server>, handle: Handle<std::net::SocketAddr>, grace: Duration) {
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("cannot wait for signals: the process ends at once when it is told to");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending: requests under way are finished");
    server.is_ending.store(true, Ordering::Relaxed);
    tokio::time::sleep(LEAVE).await;
    handle.graceful_shutdown(Some(grace + Duration::from_secs(2)));
}
