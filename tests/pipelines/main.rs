//! What pipelines get: release archives, the GitHub Action, the GitLab jobs, the snippets for others, and this
//! repository's own workflows; each run or checked by tools that others wrote. Runs where `PORTCULLIS_INTEROP` is set,
//! as `tests/run` does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "tests fail by panicking and say what they skip; `support` and `stack` are shared with tests that use all of them"
)]

#[path = "../interop/sigstore/stack.rs"]
mod stack;
#[path = "../interop/support.rs"]
mod support;
mod tools;

mod action;
mod gitlab;
mod release;
mod snippets;
mod workflows;
