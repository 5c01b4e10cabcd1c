//! `portcullis replay`: recompute a verdict from its recorded inputs.

use std::collections::BTreeSet;

use portcullis_model::{DatabaseInfo, Report, Timestamp, Verdict};
use portcullis_policy::ExitStatus;
use portcullis_scan::{Change, Taken, compare_verdicts};

use super::attest::read_report;
use crate::{
    args::ReplayArgs,
    diagnostics::{Outcome, say},
    output, settings,
    settings::Chosen,
};

pub(crate) fn run(args: &ReplayArgs) -> Outcome {
    let ReplayArgs { verdict, judge } = args;
    let recorded = read_report(verdict)?;
    let database = settings::database(judge.db.as_ref())?;
    let now = moment(&recorded.verdict, &database.info());
    let Chosen { policy, note } = settings::policy(judge, &recorded.target.reference, now)?;
    let vex = settings::vex(&judge.vex)?;
    let taken = taken(&recorded);
    if now != recorded.verdict.time {
        say(&format!(
            "judged for the moment that the database is of, {now}: the verdict was of {}",
            recorded.verdict.time
        ));
    }
    let report = portcullis_scan::judge_with_vex(taken, &database, database.info(), &policy, &vex, now)?;
    let text = |report: &Report| serde_json::to_string_pretty(&report.verdict).unwrap_or_default();
    output::print(&format!("{}\n", text(&report)))?;
    note.iter().for_each(|note| say(note));
    let changes = compare_verdicts(&recorded.verdict, &report.verdict);
    for Change { input, recorded, current } in &changes {
        say(&format!("changed: {input} was {recorded}, is {current}"));
    }
    if text(&report) == text(&recorded) {
        say("the verdict is the same, byte for byte");
        return Ok(ExitStatus::from(&report.verdict));
    }
    if !recorded.is_matched() {
        say("the report is an inventory, which nothing had judged: this is its verdict with these inputs");
        return Ok(ExitStatus::from(&report.verdict));
    }
    if changes.is_empty() {
        say("the verdict differs although its inputs are the same: it was not made by this engine, or was altered");
        return Ok(ExitStatus::Error);
    }
    say(&format!("the verdict was {}, and is {} with these inputs", recorded.verdict.result, report.verdict.result));
    Ok(ExitStatus::from(&report.verdict))
}

/// The moment is an input too: grace periods and expiries are counted to it. To that of the recorded verdict, what a later
/// database adds would be of the future; beyond our own clock there is nothing to be known.
fn moment(recorded: &Verdict, database: &DatabaseInfo) -> Timestamp {
    if database.digest == recorded.inputs.database {
        return recorded.time;
    }
    recorded.time.max(database.built.min(settings::clock()))
}

/// The inventory as it was taken: what matching has added to the warnings is added again.
fn taken(recorded: &Report) -> Taken {
    let mut inventory = recorded.inventory.clone();
    let purls: BTreeSet<&str> = recorded.inventory.packages.iter().map(|package| package.purl.as_str()).collect();
    inventory.warnings.retain(|warning| {
        let place = warning.path.as_str();
        let is_of_matching = place == portcullis_scan::ADVISORIES || place.starts_with("vex:");
        // Matching makes only notes there: a gap is about a file of that name.
        let is_note = warning.kind == portcullis_model::WarningKind::Note;
        !(purls.contains(place) || (is_of_matching && is_note))
    });
    Taken {
        target: recorded.target.clone(),
        distribution: recorded.distribution.clone(),
        inventory,
        coverage: recorded.coverage.clone(),
        executables: recorded.executables.clone(),
    }
}
