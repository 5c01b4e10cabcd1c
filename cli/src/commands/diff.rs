//! `portcullis diff`: what changed between two reports; or the newer one, in any format, with the older as its baseline.

use std::{collections::BTreeSet, fmt::Write as _};

use portcullis_errors::printable;
use portcullis_model::Report;
use portcullis_policy::ExitStatus;

use super::attest::{read_judged, read_report};
use crate::{
    args::{BaselineArgs, DiffArgs, Global, OutputArgs},
    diagnostics::Outcome,
    output::{Outputs, print},
};

pub(crate) fn run(args: &DiffArgs, global: &Global) -> Outcome {
    let DiffArgs { old, new, output } = args;
    if !output.is_empty() {
        let args = OutputArgs {
            output: output.clone(),
            dockerfile: None,
            show_suppressed: false,
            baseline: BaselineArgs { baseline: Some(old.clone()) },
        };
        Outputs::read(&args, "table")?.write(&read_judged(new)?, global)?;
        return Ok(ExitStatus::Pass);
    }
    let (old, new) = (read_report(old)?, read_report(new)?);
    let mut text = String::new();
    // Writing to a String cannot fail.
    _ = writeln!(text, "verdict: {} → {}", verdict(&old), verdict(&new));
    section(&mut text, "packages", &packages(&old), &packages(&new));
    if old.is_matched() && new.is_matched() {
        section(&mut text, "findings", &findings(&old), &findings(&new));
    } else {
        _ = writeln!(text, "findings: not compared: an inventory is matched with no advisory");
    }
    print(&text)?;
    Ok(ExitStatus::Pass)
}

/// What an inventory says as a verdict counts for nothing.
fn verdict(report: &Report) -> &'static str {
    if report.is_matched() { report.verdict.result.as_str() } else { "not judged" }
}

fn packages(report: &Report) -> BTreeSet<String> {
    report
        .inventory
        .packages
        .iter()
        .map(|package| format!("{} {} {}", package.kind, package.name, package.version))
        .collect()
}

fn findings(report: &Report) -> BTreeSet<String> {
    let line = |finding: &portcullis_model::Finding| {
        let id = finding.cve.as_ref().unwrap_or(&finding.id);
        format!("{id} {} in {} {}", finding.severity.level, finding.package.name, finding.package.version)
    };
    report.findings.iter().filter(|finding| finding.suppressed.is_none()).map(line).collect()
}

fn section(text: &mut String, name: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
    _ = writeln!(text, "{name}: {} gone, {} new", old.difference(new).count(), new.difference(old).count());
    for gone in old.difference(new) {
        _ = writeln!(text, "  - {}", printable(gone, 200));
    }
    for added in new.difference(old) {
        _ = writeln!(text, "  + {}", printable(added, 200));
    }
}
