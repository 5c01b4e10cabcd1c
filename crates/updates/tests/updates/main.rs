//! Updates against real servers on loopback: OSV's layout over HTTP, and a registry.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod export;
mod faults;
mod registry;
mod support;
mod tls;
