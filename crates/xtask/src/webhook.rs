//! `cargo xtask bench webhook [SECONDS]`: builds what is measured, and runs the measurement that lies with the webhook's tests.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::root;

/// Steps of cargo, one after another, in the workspace. `seconds` is how long memory is looked at under load.
pub(crate) fn bench(seconds: Option<&str>) -> anyhow::Result<()> {
    let seconds = seconds.map(str::parse::<u32>).transpose().context("SECONDS is a whole number")?;
    let steps: [&[&str]; 3] = [
        &["build", "--release", "--locked", "--quiet", "-p", "portcullis-cli", "-p", "portcullis-webhook"],
        &["build", "--release", "--locked", "--quiet", "-p", "portcullis-tests", "--example", "allow_all"],
        &[
            "test",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "portcullis-tests",
            "--test",
            "webhook",
            "--",
            "--ignored",
            "--nocapture",
            "bench::figures",
        ],
    ];
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    for step in steps {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(step).current_dir(root()).env("PORTCULLIS_BIN", folder.join("release/portcullis"));
        cargo.envs(seconds.map(|seconds| ("PORTCULLIS_BENCH_LOAD_SECONDS", seconds.to_string())));
        let status = cargo.status()?;
        ensure!(status.success(), "cargo {} ended with {status}", step.join(" "));
    }
    Ok(())
}
