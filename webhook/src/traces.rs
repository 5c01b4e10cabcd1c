//! Traces for a collector of OpenTelemetry, over HTTP in protobuf: off unless its address is given.
//!
//! Protocol: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. Spans wait in a bounded queue and are sent from a thread
//! of their own: a collector that is slow or away costs spans, and never a review its time.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderMap, Request, Response};
use bytes::{Bytes, BytesMut};
use opentelemetry::{
    Context, Key, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TraceState, TracerProvider as _},
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use portcullis_admission::{Path, spans};
use portcullis_errors::printable;
use reqwest::{Certificate, Url};
use tokio::runtime::Handle;
use tracing::{Metadata, Span, Subscriber, field::Empty, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{args::TraceArgs, cluster::Counts, error::SetupError, policies::read_bounded};

/// What the service is called where the environment does not say.
const SERVICE: &str = "portcullis-webhook";
/// How long one batch may take.
const SEND: Duration = Duration::from_secs(10);
/// How long the last spans may take at the end.
const FLUSH: Duration = Duration::from_secs(3);
/// Of an answer; a collector says little.
const MAX_ANSWER_BYTES: usize = 64 << 10;
const MAX_CA_BYTES: u64 = 4 << 20;
/// The protocols that the environment may ask for. Another one is told of, and not spoken.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Spans by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    pub(crate) sent: AtomicU64,
    /// The collector did not take them.
    pub(crate) lost: AtomicU64,
    is_losing: AtomicBool,
}

/// Spans on their way to a collector.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    pub(crate) spans: Arc<Spans>,
}

impl Traces {
    /// Sends spans from here on; none where nobody asks for them.
    pub(crate) fn start(args: &TraceArgs, runtime: &Handle) -> Result<Option<Self>, SetupError> {
        let TraceArgs { otlp_endpoint, otlp_ca } = args;
        // The environment's way to say that there is none.
        let Some(endpoint) = otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
        let endpoint = address(endpoint)?;
        let client = client(&endpoint, otlp_ca.clone())?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Collector { client, runtime: runtime.clone() })
            .with_endpoint(endpoint)
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| SetupError::Traces { reason: error.to_string() })?;
        let spans = Arc::new(Spans::default());
        let exporter = Counted { exporter, spans: Arc::clone(&spans) };
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        Ok(Some(Self { provider, spans }))
    }

    /// Takes our own spans, and those of no library.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_context_activation(false)
            .with_level(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == spans::TARGET))
    }

    /// Tells once, as soon as there is a log, what of the environment cannot be done.
    pub(crate) fn tell(&self) {
        for name in PROTOCOLS {
            let other = std::env::var(name).ok().filter(|value| !value.is_empty() && value != "http/protobuf");
            if let Some(other) = other {
                let asked = printable(&other, 40);
                tracing::warn!(name, asked, "traces are sent as http/protobuf all the same");
            }
        }
    }

    /// Sends what is left, within bounds.
    pub(crate) fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Lines of the exporter about each batch that is lost: [`Counted`] tells once of all of them.
pub(crate) fn is_told_already(line: &Metadata<'_>) -> bool {
    line.target() == "opentelemetry-otlp" && line.name().starts_with("Export.")
}

/// The span of a review, below that of whoever asks for it.
pub(crate) fn review(path: Path, headers: &HeaderMap) -> Span {
    let span = spans::review(path);
    if !span.is_disabled()
        && let Some(parent) = parent(headers)
    {
        // Where nobody collects traces, there is nothing to be below.
        _ = span.set_parent(parent);
    }
    span
}

/// The span of one look at all running Pods.
pub(crate) fn recheck() -> Span {
    trace_span!(
        target: spans::TARGET,
        "recheck",
        otel.status_code = Empty,
        portcullis.pods.pass = Empty,
        portcullis.pods.fail = Empty,
        portcullis.pods.unknown = Empty,
    )
}

/// What came of that look; none where it was not a whole one.
pub(crate) fn rechecked(span: &Span, found: Option<Counts>) {
    let Some(Counts { pass, fail, unknown }) = found else {
        span.record("otel.status_code", "ERROR");
        return;
    };
    for (name, count) in
        [("portcullis.pods.pass", pass), ("portcullis.pods.fail", fail), ("portcullis.pods.unknown", unknown)]
    {
        // OpenTelemetry knows no other whole numbers.
        span.record(name, i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// The span that a request is part of: <https://www.w3.org/TR/trace-context/>. Its two numbers and whether it is sampled
/// are taken, and nothing that the sender could have us pass on.
fn parent(headers: &HeaderMap) -> Option<Context> {
    let told = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let told = told.span().span_context().clone();
    let bare = SpanContext::new(told.trace_id(), told.span_id(), told.trace_flags(), true, TraceState::default());
    told.is_valid().then(|| Context::new().with_remote_span_context(bare))
}

/// Where traces go below a collector's address.
fn address(endpoint: &str) -> Result<String, SetupError> {
    // What is wrong may hold a password: it is not told.
    let refused = |reason: &str| SetupError::Traces { reason: format!("its address {reason}") };
    let url = Url::parse(endpoint).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("is none of http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds credentials, which belong into OTEL_EXPORTER_OTLP_HEADERS"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("has more than a path"));
    }
    Ok(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
}

/// Who answers traces. `ca` is trusted beside the system's authorities.
fn client(endpoint: &str, ca: Option<PathBuf>) -> Result<reqwest::Client, SetupError> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("portcullis-webhook/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SEND)
    };
    let failed = |error: reqwest::Error| SetupError::Traces { reason: error.to_string() };
    if endpoint.starts_with("http:") {
        // The certificates of the system's authorities take milliseconds to read, and a machine may have none.
        return builder().tls_certs_only([]).build().map_err(failed);
    }
    let Some(path) = ca.filter(|path| !path.as_os_str().is_empty()) else { return builder().build().map_err(failed) };
    let pem = read_bounded(&path, MAX_CA_BYTES)?;
    let authorities = Certificate::from_pem_bundle(&pem).map_err(failed)?;
    if authorities.is_empty() {
        return Err(SetupError::Traces { reason: format!("no certificate is in {}", path.display()) });
    }
    let merged = builder().tls_certs_merge(authorities.clone()).build();
    merged.or_else(|_no_system| builder().tls_certs_only(authorities).build()).map_err(failed)
}

/// Who sends: what the environment says, or our own name.
fn resource() -> Resource {
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = resource.build();
    let name = resource.get(&Key::new("service.name")).map(|name| name.to_string()).unwrap_or_default();
    if !name.is_empty() && !name.starts_with("unknown_service") {
        return resource;
    }
    let all = resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(all).with_service_name(SERVICE).build()
}

/// Sends batches by the client that the program has anyway.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), reqwest::Request::try_from(request)?);
        // Whoever sends has a thread of its own, where nothing drives connections.
        self.runtime.spawn(send(client, request)).await?
    }
}

async fn send(client: reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request).await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!("the answer has more than {MAX_ANSWER_BYTES} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut told = Response::new(body.freeze());
    (*told.status_mut(), *told.headers_mut()) = (answer.status(), answer.headers().clone());
    Ok(told)
}

/// An exporter whose losses are counted, and told once until it works again.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    spans: Arc<Spans>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let Spans { sent, lost, is_losing } = self.spans.as_ref();
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match self.exporter.export(batch).await {
            Ok(()) => {
                sent.fetch_add(count, Ordering::Relaxed);
                if is_losing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the collector of traces takes spans again");
                }
            }
            Err(error) => {
                lost.fetch_add(count, Ordering::Relaxed);
                if !is_losing.swap(true, Ordering::Relaxed) {
                    let error = printable(&error.to_string(), 300);
                    tracing::warn!(error, "the collector of traces takes no spans: they are lost until it does");
                }
            }
        }
        // It is told already, and the SDK would do so for each batch.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, PoisonError};

    use tracing::instrument::WithSubscriber as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Recorded {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            Ok(())
        }
    }

    /// What comes of some work, and its spans.
    pub(crate) async fn recorded<T>(work: impl Future<Output = T>) -> (T, Vec<SpanData>) {
        let exporter = Recorded::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let traces = Traces { provider, spans: Arc::default() };
        let done = work.with_subscriber(tracing_subscriber::registry().with(traces.layer())).await;
        let spans = exporter.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (done, spans)
    }

    fn told(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let context = parent(&map)?;
        let span = context.span().span_context().clone();
        assert_eq!((span.trace_state().header(), span.is_remote()), (String::new(), true));
        Some(format!("{} {} {}", span.trace_id(), span.span_id(), span.is_sampled()))
    }

    #[test]
    fn a_parent_is_two_numbers_and_whether_it_is_sampled() {
        let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let expected = "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 true";
        assert_eq!(told(&[parent]).as_deref(), Some(expected));
        assert_eq!(told(&[parent, ("tracestate", "a=b"), ("baggage", "c=d")]).as_deref(), Some(expected));
        let unsampled = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        assert!(told(&[unsampled]).is_some_and(|told| told.ends_with(" false")));
        for broken in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(told(&[("traceparent", broken)]), None, "{broken}");
        }
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn an_address_is_one_below_which_traces_are_sent() {
        for (given, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://collector.example/otlp/", "https://collector.example/otlp/v1/traces"),
        ] {
            assert_eq!(address(given).unwrap(), expected);
        }
        for refused in ["collector:4318", "grpc://collector", "http://u:hunter2@collector", "http://c/?k=hunter2"] {
            let error = address(refused).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
