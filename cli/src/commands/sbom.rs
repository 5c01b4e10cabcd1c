//! `portcullis sbom`: the inventory alone.

use portcullis_advisories::build_starter;
use portcullis_model::SeverityLevel;
use portcullis_policy::{ExitStatus, Policy};

use super::scan::take;
use crate::{
    args::{Global, SbomArgs},
    diagnostics::{Context as _, Outcome, say},
    output::Outputs,
    settings,
    settings::Access,
};

pub(crate) fn run(args: &SbomArgs, global: &Global) -> Outcome {
    let SbomArgs { target, source, output } = args;
    let outputs = Outputs::read(output, "cyclonedx-json")?;
    let now = settings::now()?;
    let (access, _, image) = Access::open(target, source)?;
    let database = build_starter().context(|| "the starter database cannot be built".to_owned())?;
    // An inventory is not judged: nothing is denied, and what could not be read is still said.
    let policy = Policy::default_with(SeverityLevel::None, false);
    let taken = take(&image, &access, outputs.need_executables())?;
    access.tell_notes(global);
    let mut report = portcullis_scan::judge(taken, &database, database.info(), &policy, now)?;
    report.findings.clear();
    report.advisory_coverage = None;
    report.inventory.warnings.retain(|warning| warning.path != portcullis_scan::ADVISORIES);
    let gaps = report.inventory.warnings.iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap);
    let gaps = gaps.count();
    outputs.write(&report, global)?;
    if gaps > 0 {
        say(&format!("warning: {gaps} places could not be read; the inventory lists them"));
        return Ok(ExitStatus::Incomplete);
    }
    Ok(ExitStatus::Pass)
}
