//! The admission controller: Kubernetes asks it before a Pod is stored, and only images with passing, fresh, trusted
//! attestations get through. What it decides, it decides with [`portcullis_admission::Gate`]; here is the server.

mod args;
mod authority;
mod certs;
mod cluster;
mod memory;
mod metrics;
mod policies;
mod reload;
mod server;
mod setup;
mod state;
mod traces;

mod error;

use std::{io::Write as _, process::ExitCode, sync::Arc};

use clap::Parser as _;
use portcullis_errors::{Hint as _, chain};

use crate::{args::Args, error::SetupError, traces::Traces};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("error: {}\n", chain(&error));
            if let Some(hint) = error.hint() {
                text.push_str(&format!("hint: {hint}\n"));
            }
            // Where even this cannot be written, nobody is left to be told.
            _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), SetupError> {
    // Several are linked in; the choice has to be made before the first connection.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(SetupError::Runtime)?;
    let traces = Traces::start(&args.traces, runtime.handle())?;
    args.log.start(traces.as_ref());
    let served = runtime.block_on(setup::serve(args, traces.as_ref().map(|traces| Arc::clone(&traces.spans))));
    if let Some(traces) = traces {
        traces.end();
    }
    served
}
