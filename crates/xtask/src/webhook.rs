//! `cargo xtask bench webhook`: builds what is measured, and runs the measurement that lies with the webhook's tests.

use std::process::Command;

use anyhow::ensure;

use crate::root;

/// Steps of cargo, one after another, in the workspace.
pub(crate) fn bench() -> anyhow::Result<()> {
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
        let status = cargo.status()?;
        ensure!(status.success(), "cargo {} ended with {status}", step.join(" "));
    }
    Ok(())
}
