//! The command line: arguments become settings, settings become calls into the libraries, answers become exit codes.
//!
//! stdout is data, stderr is for people.

mod args;
mod commands;
mod diagnostics;
mod output;
mod places;
mod settings;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use portcullis_policy::ExitStatus;

use crate::args::Cli;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            let outcome = commands::run(cli);
            diagnostics::conclude(outcome).into()
        }
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to fail a second time.
            _ = error.print();
            if asked { ExitStatus::Pass.into() } else { ExitStatus::Usage.into() }
        }
    }
}

/// The command as clap knows it, for completions, manual pages and the documentation.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
