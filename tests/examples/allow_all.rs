//! The floor of `cargo xtask bench webhook`: a webhook on the same server that reads each review and allows it.
//!
//!     allow_all CERTIFICATE KEY

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it ends where something is missing")]

use std::net::TcpListener;

use axum::{Json, Router, body::Bytes, routing::post};
use axum_server::tls_rustls::RustlsConfig;
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let files: Vec<String> = std::env::args().skip(1).collect();
    let tls = RustlsConfig::from_pem_file(&files[0], &files[1]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("{}", json!({"message": "listening", "address": listener.local_addr().unwrap().to_string()}));
    let allow = |body: Bytes| async move {
        let review: Value = serde_json::from_slice(&body).unwrap_or_default();
        let response = json!({"uid": review["request"]["uid"], "allowed": true});
        Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    };
    let router = Router::new().route("/validate", post(allow)).route("/mutate", post(allow));
    axum_server::from_tcp_rustls(listener, tls).unwrap().serve(router.into_make_service()).await.unwrap();
}
