//! One file per command.

mod admit;
mod attest;
mod cache;
mod ci;
mod db;
mod demo;
mod diff;
mod doctor;
mod documentation;
mod evidence;
mod explain;
mod github;
mod gitlab;
mod key;
mod policy;
mod replay;
mod sbom;
mod scan;
mod sign_blob;
mod telling;
mod verify;
mod verify_bundle;
mod vex;

use crate::{
    args::{Cli, Command},
    diagnostics::Outcome,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Outcome {
    let Cli { command, global } = cli;
    match command {
        Command::Scan(mut args) => {
            args.source.hush(&global);
            scan::run(&args, &global)
        }
        Command::Sbom(mut args) => {
            args.source.hush(&global);
            sbom::run(&args, &global)
        }
        Command::Attest(mut args) => {
            args.source.hush(&global);
            attest::run(&args, &global)
        }
        Command::Verify(args) => verify::run(&args),
        Command::Evidence(command) => evidence::run(&command, &global),
        Command::Admit(args) => admit::run(&args, &global),
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Diff(args) => diff::run(&args, &global),
        Command::Github(args) => github::run(&args, &global),
        Command::Gitlab(args) => gitlab::run(&args, &global),
        Command::Ci(command) => ci::run(&command, &global),
        Command::Db(command) => db::run(&command, &global),
        Command::Policy(command) => policy::run(&command, &global),
        Command::Key(command) => key::run(&command, &global),
        Command::SignBlob(args) => sign_blob::run(&args, &global),
        Command::VerifyBundle(args) => verify_bundle::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Cache(command) => cache::run(&command),
        Command::Demo(args) => demo::run(&args, &global),
        Command::Completions { shell } => documentation::completions(shell),
        Command::Man { directory } => documentation::manual(&directory),
    }
}
