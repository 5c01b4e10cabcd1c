//! Traces: what a collector of OpenTelemetry is told, and that no review waits for it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use axum_server::tls_rustls::RustlsConfig;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
};
use prost::Message as _;
use serde_json::{Value, json};
use support::{Attested, Webhook, is_allowed, pod, policy, review, setting};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// Batches go at once, and not every five seconds.
const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "50");
/// Nothing goes before the end.
const LATE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "600000");

/// What was sent in one request.
type Sent = (HeaderMap, ExportTraceServiceRequest);

#[derive(Clone)]
struct Receiving {
    sender: mpsc::Sender<Sent>,
    answer: StatusCode,
}

/// A collector on loopback.
struct Collector {
    address: SocketAddr,
    sent: mpsc::Receiver<Sent>,
}

impl Collector {
    fn routes(answer: StatusCode) -> (Router, mpsc::Receiver<Sent>) {
        async fn take(
            State(Receiving { sender, answer }): State<Receiving>,
            headers: HeaderMap,
            body: Bytes,
        ) -> StatusCode {
            let mut bytes = body.to_vec();
            if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
                bytes.clear();
                GzDecoder::new(body.as_ref()).read_to_end(&mut bytes).unwrap();
            }
            let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
            _ = sender.send((headers, request));
            answer
        }
        let (sender, sent) = mpsc::channel();
        (Router::new().route("/v1/traces", post(take)).with_state(Receiving { sender, answer }), sent)
    }

    async fn start(answer: StatusCode) -> Self {
        let (routes, sent) = Self::routes(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, sent }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for requests until a span of this name has come; all spans, and the last request.
    async fn until(&mut self, name: &str) -> (Vec<Span>, Sent) {
        let mut spans = Vec::new();
        loop {
            let sent = self.next().await;
            spans.extend(spans_of(&sent));
            if spans.iter().any(|span: &Span| span.name == name) {
                return (spans, sent);
            }
        }
    }

    async fn next(&mut self) -> Sent {
        for _ in 0..1000 {
            if let Ok(sent) = self.sent.try_recv() {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no spans come");
    }
}

fn spans_of((_, request): &Sent) -> Vec<Span> {
    let scopes = request.resource_spans.iter().flat_map(|of_resource| &of_resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value(value: &AnyValue) -> Value {
    match value.value.as_ref().unwrap() {
        Any::StringValue(text) => text.as_str().into(),
        Any::BoolValue(is) => (*is).into(),
        Any::IntValue(number) => (*number).into(),
        other => panic!("{other:?}"),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<&str, Value> {
    let attributes: BTreeMap<&str, Value> =
        all.iter().map(|one| (one.key.as_str(), value(one.value.as_ref().unwrap()))).collect();
    assert_eq!(attributes.len(), all.len(), "each is told once: {all:?}");
    attributes
}

/// The spans of a name below another, with their attributes.
fn below<'a>(spans: &'a [Span], parent: &Span, name: &str) -> Vec<(&'a Span, BTreeMap<&'a str, Value>)> {
    let children = spans.iter().filter(|span| span.parent_span_id == parent.span_id && span.name == name);
    children.map(|span| (span, attributes(&span.attributes))).collect()
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_is_a_span_below_the_callers_with_its_images_and_looks() {
    let (mut collector, setting) = (Collector::start(StatusCode::OK).await, setting());
    let (good, pinned) = setting.image("good:v1", Attested::default()).await;
    let (bare, _) = support::push_image(setting.at, "bare:v1", "bare").await;
    let webhook = Webhook::start_with(
        &policy("baseline", setting.at, &setting.key, ""),
        setting.at,
        &["--otlp-endpoint", &collector.url()],
        &[SOON, ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token-of-the-collector")],
    );
    let mut asked = review("CREATE", &pod(&[&good, &bare.to_string()]), None);
    asked["request"]["dryRun"] = true.into();
    let sampled = traceparent("01");
    let headers = [("traceparent", sampled.as_str()), ("tracestate", "a=from-outside"), ("baggage", "b=from-outside")];
    assert_eq!(webhook.post_within("/mutate", &asked, &headers).await, 200);
    let (spans, sent) = collector.until("review").await;

    assert_eq!(sent.0["content-type"], "application/x-protobuf");
    assert_eq!(sent.0["authorization"], "Bearer token-of-the-collector");
    let resource = attributes(&sent.1.resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!(
        (&resource["service.name"], resource.contains_key("service.version")),
        (&json!("portcullis-webhook"), true)
    );
    let all = format!("{spans:?} {resource:?}");
    assert!(!all.contains("from-outside") && !all.contains("token-of-the-collector"), "{all}");

    let root = spans.iter().find(|span| span.name == "review").unwrap();
    assert_eq!((hex(&root.trace_id), hex(&root.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(root.kind, SpanKind::Server as i32);
    assert!(
        spans.iter().all(|span| span.trace_id == root.trace_id && span.end_time_unix_nano >= span.start_time_unix_nano)
    );
    let expected = json!({
        "http.route": "/mutate", "http.response.status_code": 200, "portcullis.operation": "CREATE",
        "portcullis.kind": "Pod", "k8s.namespace.name": "team", "portcullis.name": "p",
        "portcullis.uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "portcullis.dry_run": true,
        "portcullis.allowed": false, "portcullis.images": 2,
    });
    assert_eq!(json!(attributes(&root.attributes)), expected);

    let images = below(&spans, root, "image");
    let told: BTreeMap<&str, (&Value, &Value)> = images
        .iter()
        .map(|(_, told)| {
            (told["portcullis.image"].as_str().unwrap(), (&told["portcullis.result"], &told["portcullis.known"]))
        })
        .collect();
    let expected =
        [(good.as_str(), (&json!("pass"), &json!(false))), (&bare.to_string(), (&json!("fail"), &json!(false)))];
    assert_eq!(told, BTreeMap::from(expected));
    for (image, told) in &images {
        assert!(told["oci.manifest.digest"].as_str().unwrap().starts_with("sha256:"));
        let looks = below(&spans, image, "registry");
        let kinds: Vec<&Value> = looks.iter().map(|(_, look)| &look["portcullis.look"]).collect();
        assert!(kinds.contains(&&json!("manifest")) && kinds.contains(&&json!("evidence")), "{kinds:?}");
        for (span, look) in looks {
            assert_eq!(span.kind, SpanKind::Client as i32);
            assert_eq!(
                (&look["server.address"], &look["portcullis.credentials"]),
                (&json!(setting.at.to_string()), &json!("own"))
            );
            let is_bare = told["portcullis.result"] == "fail";
            let is_nothing = is_bare && look["portcullis.look"] == "evidence";
            assert_eq!(look["portcullis.outcome"], if is_nothing { "nothing" } else { "found" });
            assert_eq!(look["portcullis.repository"], if is_bare { "bare" } else { "good" });
        }
    }

    // What is known needs no registry, and nobody above it makes a trace of its own.
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    let (spans, _) = collector.until("review").await;
    let root = spans.iter().find(|span| span.name == "review").unwrap();
    assert!(root.parent_span_id.is_empty() && hex(&root.trace_id) != TRACE);
    let images = below(&spans, root, "image");
    assert_eq!((images.len(), &images[0].1["portcullis.known"]), (1, &json!(true)));
    assert!(spans.iter().all(|span| span.name != "registry"), "{spans:?}");
    assert!(webhook.get("/metrics").await.1.contains("portcullis_webhook_spans_total{result=\"lost\"} 0\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_outside_is_bounded_and_what_is_no_image_is_not_told() {
    let (mut collector, setting) = (Collector::start(StatusCode::OK).await, setting());
    let webhook = Webhook::start_with(
        &policy("baseline", setting.at, &setting.key, ""),
        setting.at,
        &["--otlp-endpoint", &collector.url()],
        &[SOON],
    );
    let mut object = pod(&["https://user:hunter2@registry.example/app:v1"]);
    object["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": "hunter2"}]);
    object["metadata"]["annotations"] = json!({"note": "hunter2"});
    let mut asked = review("CREATE", &object, None);
    for name in ["uid", "name", "namespace"] {
        asked["request"][name] = format!("\u{1b}{}", "x".repeat(100_000)).into();
    }
    assert_eq!(webhook.post_within("/validate", &asked, &[]).await, 200);
    let (spans, _) = collector.until("review").await;
    let all = format!("{spans:?}");
    assert!(
        !all.contains("hunter2") && !all.contains('\u{1b}') && all.len() < 10_000,
        "{} bytes: {all:.2000}",
        all.len()
    );
    let image = spans.iter().find(|span| span.name == "image").unwrap();
    assert_eq!(
        json!(attributes(&image.attributes)),
        json!({"portcullis.result": "fail", "portcullis.admitted": false})
    );

    // What is no review is a span, too, and an error.
    assert_eq!(webhook.post("/validate", "{}").await.0, 400);
    let (spans, _) = collector.until("review").await;
    let root = spans.iter().find(|span| span.name == "review").unwrap();
    let expected = json!({"http.route": "/validate", "http.response.status_code": 400});
    assert_eq!(json!(attributes(&root.attributes)), expected);
    assert_eq!(root.status.as_ref().unwrap().code, SpanStatus::Error as i32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_an_outcome() {
    let (mut collector, gone) = (Collector::start(StatusCode::OK).await, setting());
    let (at, text) = (gone.at, policy("baseline", gone.at, &gone.key, ""));
    drop(gone);
    let webhook = Webhook::start_with(&text, at, &["--otlp-endpoint", &collector.url(), "--timeout", "3s"], &[SOON]);
    assert!(!is_allowed(&webhook.mutate(&pod(&[&format!("{at}/app:v1")])).await));
    let (spans, _) = collector.until("review").await;
    let look = spans.iter().find(|span| span.name == "registry").unwrap();
    assert_eq!(attributes(&look.attributes)["portcullis.outcome"], "away");
    assert_eq!(look.status.as_ref().unwrap().code, SpanStatus::Error as i32);
    let image = spans.iter().find(|span| span.name == "image").unwrap();
    let told = attributes(&image.attributes);
    assert_eq!((&told["portcullis.result"], &told["portcullis.known"]), (&json!("unknown"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_spans_are_sent_at_the_end_as_the_environment_says() {
    let (mut collector, setting) = (Collector::start(StatusCode::OK).await, setting());
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let url = collector.url();
    let variables = [
        LATE,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "the-gate"),
        ("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=blue"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let mut webhook =
        Webhook::start_with(&policy("baseline", setting.at, &setting.key, ""), setting.at, &[], &variables);
    let (asked, unsampled) = (review("CREATE", &pod(&[&pinned]), None), traceparent("00"));
    assert_eq!(webhook.post_within("/validate", &asked, &[("traceparent", &unsampled)]).await, 200);
    assert_eq!(webhook.post_within("/validate", &asked, &[]).await, 200);
    assert!(collector.sent.try_recv().is_err(), "they wait");
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    let sent = collector.sent.try_recv().unwrap();
    assert_eq!(sent.0["content-encoding"], "gzip");
    let resource = attributes(&sent.1.resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!((&resource["service.name"], &resource["k8s.cluster.name"]), (&json!("the-gate"), &json!("blue")));
    // Whoever asks without being sampled is not traced.
    let reviews: Vec<Span> = spans_of(&sent).into_iter().filter(|span| span.name == "review").collect();
    assert!(matches!(reviews.as_slice(), [one] if hex(&one.trace_id) != TRACE), "{reviews:?}");

    let variables = [&variables[..], &[("OTEL_TRACES_SAMPLER", "always_on")]].concat();
    let mut webhook =
        Webhook::start_with(&policy("baseline", setting.at, &setting.key, ""), setting.at, &[], &variables);
    assert_eq!(webhook.post_within("/validate", &asked, &[("traceparent", &unsampled)]).await, 200);
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    let (spans, _) = collector.until("review").await;
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_keeps_no_review_waiting() {
    let setting = setting();
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, held) = mpsc::channel();
    std::thread::spawn(move || {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            assert!(connection.read(&mut [0; 64]).unwrap() > 0);
            connections.push(connection);
            _ = asked.send(());
        }
    });
    let variables = [
        SOON,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ("PORTCULLIS_LOG", "warn,portcullis_webhook=info"),
    ];
    let text = policy("baseline", setting.at, &setting.key, "");
    let mut webhook = Webhook::start_with(&text, setting.at, &["--otlp-endpoint", &url], &variables);
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    held.recv_timeout(Duration::from_secs(20)).unwrap();
    // From here on the collector holds a request that it never answers, and more spans come than may wait.
    for _ in 0..20 {
        assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    }
    webhook.wait_for("dropped a Span due to queue full");
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    webhook.signal("TERM");
    assert!(webhook.wait().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_that_are_not_taken_are_counted_and_told_once() {
    let (mut collector, setting) = (Collector::start(StatusCode::BAD_REQUEST).await, setting());
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let text = policy("baseline", setting.at, &setting.key, "");
    let webhook = Webhook::start_with(&text, setting.at, &["--otlp-endpoint", &collector.url()], &[SOON]);
    let mut received = 0;
    for _ in 0..3 {
        assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
        received += collector.until("review").await.0.len();
    }
    let line = format!("portcullis_webhook_spans_total{{result=\"lost\"}} {received}\n");
    while !webhook.get("/metrics").await.1.contains(&line) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(webhook.get("/metrics").await.1.contains("portcullis_webhook_spans_total{result=\"sent\"} 0\n"));
    webhook.signal("TERM");
    webhook.wait_for("the collector of traces takes no spans");
    let mut line = String::new();
    while !line.contains("\"ended\"") {
        line = webhook.wait_for("message");
        assert!(!line.contains("takes no spans") && !line.contains("Export"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_where_nobody_asks_for_it() {
    let (collector, setting) = (Collector::start(StatusCode::OK).await, setting());
    let (image, _) = setting.image("app:v1", Attested::default()).await;
    let text = policy("baseline", setting.at, &setting.key, "");
    for variables in [&[SOON][..], &[SOON, ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]] {
        let mut webhook = Webhook::start_with(&text, setting.at, &[], variables);
        let (asked, sampled) = (review("CREATE", &pod(&[&image]), None), traceparent("01"));
        assert_eq!(webhook.post_within("/mutate", &asked, &[("traceparent", &sampled)]).await, 200);
        assert!(!webhook.get("/metrics").await.1.contains("spans"));
        webhook.signal("TERM");
        assert!(webhook.wait().success());
    }
    assert!(collector.sent.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_with_a_certificate_needs_its_authority() {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let setting = setting();
    let (_, pinned) = setting.image("app:v1", Attested::default()).await;
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, issued.cert.pem()).unwrap();
    let (certificate, key) = (issued.cert.pem().into_bytes(), issued.signing_key.serialize_pem().into_bytes());
    let tls = RustlsConfig::from_pem(certificate, key).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (routes, sent) = Collector::routes(StatusCode::OK);
    tokio::spawn(axum_server::from_tcp_rustls(listener, tls).unwrap().serve(routes.into_make_service()));
    let mut collector = Collector { address, sent };
    let (url, text) =
        (format!("https://localhost:{}/", address.port()), policy("baseline", setting.at, &setting.key, ""));
    let flags = ["--otlp-endpoint", &url, "--otlp-ca", ca.to_str().unwrap()];
    let webhook = Webhook::start_with(&text, setting.at, &flags, &[SOON]);
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    collector.until("review").await;
    drop(webhook);

    let mut webhook = Webhook::start_with(&text, setting.at, &flags[..2], &[SOON]);
    assert!(is_allowed(&webhook.validate(&pod(&[&pinned])).await));
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    assert!(collector.sent.try_recv().is_err(), "nobody vouches for it");
}
