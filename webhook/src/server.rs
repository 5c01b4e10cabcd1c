//! The server: routes, limits and answers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
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
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    metrics::{Result as Counted, add},
    state::Server,
};

/// An UPDATE carries two objects of at most 3 MiB (the API server's limit for a request) and what is around them.
const MAX_BODY_BYTES: usize = 8 << 20;

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
    let in_flight = server.max_reviews.saturating_sub(server.permits.available_permits());
    let text = server.metrics.text(server.gate().policies().count(), in_flight);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Answers one review within the limits. Whatever goes wrong is an HTTP error, which the API server takes as a refusal
/// under `failurePolicy: Fail`.
async fn review(server: Arc<Server>, request: Request, path: Path) -> Response {
    let started = Instant::now();
    let answered = tokio::time::timeout(server.limit, answer(&server, request.into_body(), path)).await;
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
            (Counted::Error, (status, message + "\n").into_response())
        }
    };
    server.metrics.review(counted, started.elapsed());
    response
}

/// Answers a review of a policy. It needs no registry, and so it waits for nothing.
async fn review_policy(Shared(server): Shared<Arc<Server>>, request: Request) -> Response {
    let body = match tokio::time::timeout(server.limit, read(request.into_body())).await {
        Ok(Ok(body)) => body,
        Ok(Err((status, message))) => return (status, message + "\n").into_response(),
        Err(_elapsed) => return (StatusCode::REQUEST_TIMEOUT, "the body does not come\n").into_response(),
    };
    match server.gate().review_policy(&body) {
        Ok(review) => axum::Json(review).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn answer(server: &Server, body: Body, path: Path) -> Result<Value, (StatusCode, String)> {
    if let Some(missing) = server.waits_for() {
        return Err((StatusCode::SERVICE_UNAVAILABLE, format!("not ready: waiting for {missing}")));
    }
    // Before the body is read: so no more than so many bodies are held.
    let permit = server.permits.acquire().await;
    let _permit = permit.map_err(|_closed| (StatusCode::SERVICE_UNAVAILABLE, "the server is ending".to_owned()))?;
    let body = read(body).await?;
    let (answer, told) = server.gate().review_and_tell(&body, path).await.map_err(|error| {
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

/// The body, within the limit. What is a little larger is read to its end and forgotten: a sender that is cut off would
/// not hear why.
async fn read(body: Body) -> Result<Vec<u8>, (StatusCode, String)> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0);
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
