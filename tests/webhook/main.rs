//! The webhook on a real Kubernetes API server: etcd, kube-apiserver, the controller manager and kubectl, a registry with
//! signed images, and the configurations that we ship. Runs where `PORTCULLIS_INTEROP` is set, as `tests/run` does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests fail by panicking, and the benchmark prints its figures"
)]

mod cluster;
mod front;
mod gate;
mod images;
mod keeper;
mod kubectl;
mod pki;

mod bench;
mod certificates;
mod chart;
mod credentials;
mod custom_resources;
mod expressions;
mod fixed;
mod installed;
mod operation;
mod pods;
mod recheck;
mod registries;
mod reports;
mod rotation;
mod traces;
mod workloads;
