//! `portcullis sbom`: the inventory alone.

use portcullis_advisories::starter_info;
use portcullis_model::{
    Advisory, AdvisoryKey, AdvisoryLookup, Affected, LookupError, Outcome as Answer, Reason, SeverityLevel,
};
use portcullis_policy::{ExitStatus, Policy};

use super::scan::take;
use crate::{
    args::{Global, SbomArgs},
    diagnostics::{Outcome, say},
    output::Outputs,
    settings,
    settings::Access,
};

pub(crate) fn run(args: &SbomArgs, global: &Global) -> Outcome {
    let SbomArgs { target, source, output } = args;
    let outputs = Outputs::of_inventory(output, "cyclonedx-json")?;
    let now = settings::now()?;
    let (access, _, image) = Access::open(target, source)?;
    // An inventory is not judged: nothing is denied, and what could not be read is still said.
    let policy = Policy::default_with(SeverityLevel::None, false);
    let taken = take(&image, &access, outputs.need_executables())?;
    access.tell_notes(global);
    let mut report = portcullis_scan::judge(taken, &Nothing, starter_info(), &policy, now)?;
    report.findings.clear();
    report.advisory_coverage = None;
    report.verdict.result = Answer::Unknown;
    report.verdict.reasons = vec![Reason {
        result: Answer::Unknown,
        rule: "inventory".to_owned(),
        message: "the inventory alone: no advisory was asked, and nothing was judged".to_owned(),
    }];
    report.inventory.warnings.retain(|warning| warning.path != portcullis_scan::ADVISORIES);
    let gaps = report.inventory.warnings.iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap);
    let gaps = gaps.count();
    outputs.write(&report, global)?;
    if gaps > 0 {
        let places = portcullis_errors::count_of(gaps as u64, "place", "places");
        let them = if gaps == 1 { "it" } else { "them" };
        say(&format!("warning: {places} could not be read; the inventory lists {them}"));
        return Ok(ExitStatus::Incomplete);
    }
    Ok(ExitStatus::Pass)
}

/// No advisories: an inventory is not matched with any. Nothing is said of what they would cover.
struct Nothing;

impl AdvisoryLookup for Nothing {
    fn affected(&self, _: &str, _: &str) -> Result<Vec<Affected<'_>>, LookupError> {
        Ok(Vec::new())
    }

    fn covers(&self, _: &str) -> bool {
        true
    }

    fn family(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn advisory(&self, _: AdvisoryKey, _: bool) -> Result<Advisory, LookupError> {
        Err(LookupError("there are no advisories".to_owned()))
    }
}
