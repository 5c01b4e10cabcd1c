//! Traces with the real API server: where its own tracing is on, what it asks of the webhook is part of its traces.

use std::sync::mpsc;

use axum::{Router, body::Bytes, routing::post};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use portcullis_tests::is_on;
use prost::Message as _;

use crate::{
    cluster::Cluster,
    gate::{Configured, Replica},
    images::{Image, file, policy, registry},
    kubectl::{Namespace, pod},
};

/// It samples every request. Its own spans go nowhere: it speaks gRPC alone.
const TRACING: &str = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: TracingConfiguration\n\
    endpoint: 127.0.0.1:9\nsamplingRatePerMillion: 1000000\n";

#[test]
fn reviews_are_part_of_the_api_servers_traces() {
    if !is_on() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "tracing.yaml", TRACING);
    let flag = format!("--tracing-config-file={}", folder.path().join("tracing.yaml").display());
    // A control plane of its own: without controllers nobody makes service accounts.
    let Some(cluster) = Cluster::start("traced", &[&flag], false) else { return };
    let (sender, sent) = mpsc::channel();
    let take = move |body: Bytes| async move { _ = sender.send(ExportTraceServiceRequest::decode(body).unwrap()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let collector = format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });

    let mut webhook = Replica::start(&cluster, &policy(registry(), ""), registry(), &[&collector]);
    cluster.kubectl(&["create", "namespace", "traced"]).ok();
    let namespace = Namespace { cluster: &cluster, name: "traced" };
    namespace.kubectl(&["create", "serviceaccount", "default"]).ok();
    let configured = Configured::new(namespace, webhook.address);
    let image = Image::signed("traced/app:v1");
    namespace.create(&pod("app", &[&image.tagged])).ok();
    drop(configured);
    webhook.signal("TERM");
    assert!(webhook.wait().success());

    let scopes = sent.try_iter().flat_map(|sent| sent.resource_spans).flat_map(|resource| resource.scope_spans);
    let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
    let is = |span: &Span, name: &str, value: &str| {
        span.attributes
            .iter()
            .any(|one| one.key == name && format!("{:?}", one.value).contains(&format!("\"{value}\"")))
    };
    let of_app = |route: &str| {
        let mut all = spans.iter().filter(|span| is(span, "http.route", route) && is(span, "portcullis.name", "app"));
        let found = all.next().unwrap_or_else(|| panic!("{route}: {spans:?}"));
        assert!(all.next().is_none() && !found.parent_span_id.is_empty(), "{spans:?}");
        found
    };
    // Both webhooks are asked for one request, which nobody here is the root of.
    let (mutated, validated) = (of_app("/mutate"), of_app("/validate"));
    assert_eq!(mutated.trace_id, validated.trace_id);
    assert!(spans.iter().all(|span| span.span_id != mutated.parent_span_id), "{spans:?}");
    assert!(spans.iter().any(|span| span.name == "image" && span.parent_span_id == validated.span_id), "{spans:?}");
}
