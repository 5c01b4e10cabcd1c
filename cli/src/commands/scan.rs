//! `portcullis scan`: inventory, findings, verdict; reports; evidence.

use portcullis_image::{Image, Source};
use portcullis_model::{Report, Timestamp};
use portcullis_policy::ExitStatus;
use portcullis_scan::{InventoryOptions, Taken};

use super::{attest, vex};
use crate::{
    args::{AttestedVexArgs, Global, JudgeArgs, ScanArgs, SourceArgs},
    diagnostics::{Failure, Outcome, say},
    output::Outputs,
    progress::Progress,
    settings,
    settings::{Access, Chosen},
};

pub(crate) fn run(args: &ScanArgs, global: &Global) -> Outcome {
    let ScanArgs { target, source, judge, vex, output, attest, sign } = args;
    let outputs = Outputs::read(output, "table")?;
    let plan = if *attest { Some(attest::Plan::new(sign, source)?) } else { None };
    let now = settings::now()?;
    let executables = outputs.need_executables() || plan.as_ref().is_some_and(attest::Plan::needs_executables);
    let scanned = scan(target, source, judge, vex, executables, now)?;
    scanned.tell_note(global);
    let Scanned { access, source, report, note: _ } = scanned;
    access.tell_notes(global);
    outputs.write(&report, global)?;
    if let Some(plan) = plan {
        let stored = attest::attest(&access, &source, &report, &plan)?;
        if !global.quiet {
            plan.tell(&stored);
        }
    }
    let status = ExitStatus::from(&report.verdict);
    // The process ends. To give back each piece of a large report takes a tenth of the time of a small scan.
    std::mem::forget(report);
    Ok(status)
}

/// A finished scan.
pub(crate) struct Scanned {
    pub(crate) access: Access,
    pub(crate) source: Source,
    pub(crate) report: Report,
    /// That a policy was not asked.
    pub(crate) note: Option<String>,
}

impl Scanned {
    /// Tells those who did not ask for silence.
    pub(crate) fn tell_note(&self, global: &Global) {
        self.note.iter().filter(|_| !global.quiet).for_each(|note| say(note));
    }
}

/// Scans and judges.
pub(crate) fn scan(
    target: &str,
    source: &SourceArgs,
    judge: &JudgeArgs,
    attested_vex: &AttestedVexArgs,
    executables: bool,
    now: Timestamp,
) -> Result<Scanned, Failure> {
    let database = settings::database(judge.db.as_ref())?;
    // A policy that cannot be read must not cost a scan.
    if let Some(path) = &judge.policy {
        settings::policies(path, now)?;
    }
    let mut vex = settings::vex(&judge.vex)?;
    let (access, source, image) = Access::open(target, source)?;
    vex.extend(vex::attested(attested_vex, &access, &source, &image)?);
    let Chosen { policy, note } = settings::policy(judge, &policy_name(&source, &image), now)?;
    let taken = take(&image, &access, executables)?;
    // A bill of materials lies in memory, and was read.
    drop(image);
    let report = portcullis_scan::judge_with_vex(taken, &database, database.info(), &policy, &vex, now)?;
    Ok(Scanned { access, source, report, note })
}

/// Takes the inventory of an open image.
pub(crate) fn take(image: &Image, access: &Access, executables: bool) -> Result<Taken, Failure> {
    let Access { jobs, limits, cache, java_index, progress, .. } = access;
    let (jobs, limits, cache, java_index) = (*jobs, *limits, cache.as_ref(), java_index.as_ref());
    let options = InventoryOptions { jobs, limits, executables, cache, java_index };
    let progress = progress.take();
    if let Some(progress) = &progress {
        progress.begin(image.layer_count());
    }
    let layer_done = || progress.iter().for_each(Progress::layer_done);
    Ok(portcullis_scan::take_inventory_told(image, &options, &layer_done)?)
}

/// The name that a policy's scope is asked about.
fn policy_name(source: &Source, image: &Image) -> String {
    match source {
        Source::Registry(reference) => reference.name(),
        _ => image.target.reference.clone(),
    }
}

/// Says on stderr which database is in use, where the report goes elsewhere.
pub(crate) fn tell_starter(report: &Report) {
    if report.database.starter {
        say(
            "note: the starter database is in use; it knows a few hundred vulnerabilities. Fetch them all with `portcullis db update`",
        );
    }
}
