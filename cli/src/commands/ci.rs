//! `portcullis ci`: what runs as part of a pipeline: the sensor, the job that waits for it, and the gate.

mod metrics;
mod pattern;
mod queue;
mod results;
mod scan;
mod wait;
mod watch;

use portcullis_errors::printable;
use portcullis_model::Outcome as VerdictOutcome;
use portcullis_policy::ExitStatus;
use portcullis_report::headline;

use super::attest::read_judged;
use crate::{
    args::{CiCommand, CiPlaceArgs, GateArgs, Global},
    diagnostics::{Failure, Outcome},
    output, settings,
};

pub(crate) fn run(command: &CiCommand, global: &Global) -> Outcome {
    match command {
        CiCommand::Watch(args) => watch::run(args),
        CiCommand::Wait(args) => wait::run(args, global),
        CiCommand::Gate(args) => gate(args),
    }
}

/// The patterns of the tags that ask for a scan.
fn patterns(place: &CiPlaceArgs) -> Result<Vec<pattern::Pattern>, Failure> {
    place.pattern.iter().map(|text| pattern::Pattern::parse(text).map_err(Failure::usage)).collect()
}

/// The verdict of a report that another job wrote.
fn gate(args: &GateArgs) -> Outcome {
    let GateArgs { report, baseline } = args;
    let baseline = settings::baseline(baseline)?;
    let report = read_judged(report)?;
    let mut text = format!("{}\n", headline(&report, baseline.as_ref()));
    for reason in report.verdict.reasons.iter().filter(|reason| reason.result != VerdictOutcome::Pass) {
        let line = format!("  {} {}: {}", reason.result, reason.rule, reason.message);
        text.push_str(&printable(&line, 1000));
        text.push('\n');
    }
    output::print(&text)?;
    Ok(ExitStatus::from(&report.verdict))
}
