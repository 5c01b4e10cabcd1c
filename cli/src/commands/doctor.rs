//! `portcullis doctor`: what this machine can do.

use std::fmt::Write as _;

use portcullis_policy::ExitStatus;
use portcullis_registry::Credentials;

use crate::{
    args::DoctorArgs,
    diagnostics::Outcome,
    output,
    settings::{self, clock},
};

/// Seconds of a day.
const DAY: i64 = 86_400;

pub(crate) fn run(args: &DoctorArgs) -> Outcome {
    let mut text = String::new();
    // Writing to a String cannot fail.
    _ = writeln!(text, "portcullis   {}", env!("CARGO_PKG_VERSION"));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    _ = writeln!(text, "processors   {cores}: so many layers are read at a time");
    let database = settings::database(args.db.as_ref());
    let mut status = ExitStatus::Pass;
    match &database {
        Ok(database) => {
            let info = database.info();
            let age = clock().seconds_since(info.built) / DAY;
            let kind = if info.starter { "the starter: a few hundred vulnerabilities" } else { "whole" };
            _ = writeln!(text, "database     {kind}, {} advisories, newest {age} days old", database.advisory_count());
        }
        Err(_) => {
            status = ExitStatus::Error;
            _ = writeln!(text, "database     not usable");
        }
    }
    let credentials = match Credentials::from_environment() {
        Ok(_) => "readable".to_owned(),
        Err(error) => {
            status = ExitStatus::Error;
            format!("not usable: {}", portcullis_errors::chain(&error))
        }
    };
    _ = writeln!(text, "credentials  {credentials}");
    let signing = if std::env::var_os("COSIGN_PASSWORD").is_some() {
        "COSIGN_PASSWORD is set"
    } else {
        "COSIGN_PASSWORD is not set"
    };
    _ = writeln!(text, "signing      {signing}");
    _ = writeln!(
        text,
        "sources      registry, docker, podman, containerd, cri, oci-dir, oci-archive, docker-archive, rootfs, dir, sbom"
    );
    output::print(&text)?;
    match database {
        Ok(_) => Ok(status),
        Err(failure) => Err(failure),
    }
}
