//! What the tests of several programs share: see `cli/`, `interop/` and `webhook/` beside this folder.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they skip"
)]

mod registry;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub use registry::{Registry, free_port};
use serde_json::Value;

/// Whether tests that need more than cargo run; says so if not.
#[must_use]
pub fn is_on() -> bool {
    let is_on = std::env::var_os("PORTCULLIS_INTEROP").is_some();
    if !is_on {
        println!("skipped: beside tools that others wrote: PORTCULLIS_INTEROP is not set; tests/run sets it");
    }
    is_on
}

/// Says that a test cannot run, which is a failure in CI.
pub fn skip(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    println!("skipped: {what}");
}

/// Where `tests/run` keeps what it builds.
#[must_use]
pub fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    std::env::var_os("PORTCULLIS_CACHE").map_or_else(|| home.join(".cache/portcullis-tests"), PathBuf::from)
}

/// One of our programs: `portcullis` is the one that `PORTCULLIS_BIN` names, others lie beside it.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/portcullis");
    std::env::var_os("PORTCULLIS_BIN").map_or(default, PathBuf::from).with_file_name(name)
}

/// The binary, with nothing of the environment but what a test gives it.
#[must_use]
pub fn portcullis() -> Command {
    let mut command = Command::new(program("portcullis"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", "/nonexistent").env("SOURCE_DATE_EPOCH", "1790000000");
    command
}

/// Runs a command and gives its output; it must end with one of `codes`.
#[track_caller]
pub fn run(command: &mut Command, codes: &[i32]) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let code = output.status.code().unwrap_or(-1);
    assert!(
        codes.contains(&code),
        "{command:?} ended with {code}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What a program wrote.
pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}
