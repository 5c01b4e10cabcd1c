//! The server: routes, limits, reloading and an end that cuts nobody off.

use std::{
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use futures_util::StreamExt as _;
use portcullis_admission::{Gate, Options, Path};
use portcullis_attest::TrustRoot;
use portcullis_errors::{Hint as _, chain};
use portcullis_model::Digest;
use portcullis_registry::{Client, Credentials};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
};

use crate::{
    args::Args,
    certs::{self, Pair},
    error::SetupError,
    metrics::{Metrics, Result as Counted, add},
    policies::{self, PolicyFiles, read_bounded},
};

/// An UPDATE carries two objects of at most 3 MiB (the API server's limit for a request) and what is around them.
const MAX_BODY_BYTES: usize = 8 << 20;
/// How often files are looked at for changes. Kubernetes itself takes up to a minute to renew a mounted ConfigMap.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// A connection that asks nothing is closed.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const MAX_TRUSTED_ROOT_BYTES: u64 = 4 << 20;

/// What all requests share.
struct Server {
    gate: RwLock<Arc<Gate>>,
    permits: Semaphore,
    max_reviews: usize,
    /// For a whole request: waiting, reading and answering.
    limit: Duration,
    metrics: Metrics,
    is_ending: AtomicBool,
}

impl Server {
    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn serve(args: Args) -> Result<(), SetupError> {
    let Args { policy, unmatched, enforce_workloads, trusted_root, server, registry, log: _ } = args;
    let timeout = server.timeout();
    let PolicyFiles { policies, digest } = policies::read(&policy)?;
    let client = Client::new(registry.options(timeout), Credentials::from_environment()?)?;
    let options = Options {
        unmatched: unmatched.into(),
        enforce_workloads,
        time_limit: timeout,
        trust_root: trusted_root.map(read_trust_root).transpose()?,
        now: None,
    };
    let gate = Gate::new(policies, client, options)?;
    for policy in gate.policies() {
        tracing::info!(policy = policy.name, digest = %policy.digest, audit = policy.audit, "asks");
    }
    let (tls, pair) = certs::config(&server).await?;
    let listen = |source| SetupError::Listen { address: server.listen, source };
    let listener = TcpListener::bind(server.listen).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let max_reviews = usize::from(server.max_reviews);
    let shared = Arc::new(Server {
        gate: RwLock::new(Arc::new(gate)),
        permits: Semaphore::new(max_reviews),
        max_reviews,
        limit: timeout + Duration::from_secs(1),
        metrics: Metrics::default(),
        is_ending: AtomicBool::new(false),
    });
    let files = Files { policy, digest, certificate: certs::files(&server), pair };
    tokio::spawn(reload(Arc::clone(&shared), files, tls.clone()));
    let handle = Handle::new();
    tokio::spawn(end(Arc::clone(&shared), handle.clone(), timeout));
    tracing::info!(%address, "listening");
    let router = router(shared).into_make_service();
    let serving = axum_server::from_tcp_rustls(listener, tls)
        .map_err(listen)?
        .handle(handle)
        .first_request_timeout(FIRST_REQUEST);
    serving.serve(router).await.map_err(SetupError::Serve)?;
    tracing::info!("ended");
    Ok(())
}

fn read_trust_root(path: PathBuf) -> Result<TrustRoot, SetupError> {
    let text = read_bounded(&path, MAX_TRUSTED_ROOT_BYTES)?;
    TrustRoot::from_json(&text).map_err(|source| SetupError::TrustRoot { path, source })
}

fn router(shared: Arc<Server>) -> Router {
    Router::new()
        .route("/mutate", post(|Shared(server), request| review(server, request, Path::Mutate)))
        .route("/validate", post(|Shared(server), request| review(server, request, Path::Validate)))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

async fn ready(Shared(server): Shared<Arc<Server>>) -> Response {
    if server.is_ending.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending\n").into_response();
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

async fn answer(server: &Server, body: Body, path: Path) -> Result<Value, (StatusCode, String)> {
    // Before the body is read: so no more than so many bodies are held.
    let permit = server.permits.acquire().await;
    let _permit = permit.map_err(|_closed| (StatusCode::SERVICE_UNAVAILABLE, "the server is ending".to_owned()))?;
    let body = read(body).await?;
    server.gate().review(&body, path).await.map_err(|error| {
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        (StatusCode::BAD_REQUEST, format!("{error}{hint}"))
    })
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

/// The files that are looked at again, and what they held.
struct Files {
    policy: Vec<PathBuf>,
    digest: Digest,
    certificate: Option<(PathBuf, PathBuf)>,
    pair: Pair,
}

/// Reads files again on SIGHUP and when they change. What cannot be used is told, and what worked goes on.
async fn reload(server: Arc<Server>, mut files: Files, tls: RustlsConfig) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::error!(%error, "cannot wait for SIGHUP: files are not read again");
            return;
        }
    };
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    ticks.tick().await;
    loop {
        let is_asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = ticks.tick() => false,
        };
        let outcomes = [reload_policies(&server, &mut files, is_asked), reload_certificate(&mut files, &tls).await];
        for outcome in outcomes {
            match outcome {
                Ok(false) => {}
                Ok(true) => add(&server.metrics.reloads),
                Err(error) => {
                    let (hint, error) = (error.hint(), chain(&error));
                    tracing::error!(error, hint, "cannot use what was read again: what worked goes on");
                    add(&server.metrics.failed_reloads);
                }
            }
        }
    }
}

/// Whether policies were replaced. On demand they always are: the key files that they name may have changed.
fn reload_policies(server: &Server, files: &mut Files, is_asked: bool) -> Result<bool, SetupError> {
    let PolicyFiles { policies, digest } = policies::read(&files.policy)?;
    if digest == files.digest && !is_asked {
        return Ok(false);
    }
    let gate = server.gate().with_policies(policies)?;
    files.digest = digest;
    let policies: Vec<&str> = gate.policies().map(|policy| policy.name.as_str()).collect();
    tracing::info!(?policies, "policies were read again");
    *server.gate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
    Ok(true)
}

async fn reload_certificate(files: &mut Files, tls: &RustlsConfig) -> Result<bool, SetupError> {
    let Some(paths) = &files.certificate else { return Ok(false) };
    let pair = certs::read(paths)?;
    if pair == files.pair {
        return Ok(false);
    }
    let reloaded = tls.reload_from_pem(pair.certificate.clone(), pair.key.clone()).await;
    reloaded.map_err(|source| SetupError::Certificate { path: paths.0.clone(), source })?;
    files.pair = pair;
    tracing::info!("the certificate was read again");
    Ok(true)
}

/// Waits for a signal to end; then takes no more connections, and lets those that are there finish.
async fn end(server: Arc<Server>, handle: Handle<std::net::SocketAddr>, grace: Duration) {
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
    handle.graceful_shutdown(Some(grace + Duration::from_secs(2)));
}
