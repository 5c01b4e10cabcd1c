//! Each family of rules against hand-made facts, and what must hold for all of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod coverage;
mod exceptions;
mod laws;
mod licenses;
mod rules;
mod secrets;
mod support;
mod vulnerabilities;
