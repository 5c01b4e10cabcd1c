//! The whole product on real images, beside tools that others wrote: package managers, a real registry, cosign,
//! validators. Runs where `PORTCULLIS_INTEROP` is set, as `tests/run` does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests fail by panicking and say what they skip"
)]

mod support;

mod browser;
mod ci;
mod cosign;
mod demo;
mod docs;
mod engines;
mod forge;
mod formats;
mod images;
mod lockfile;
mod rpm;
mod sigstore;
mod updates;
