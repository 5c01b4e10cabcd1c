//! `portcullis policy backtest`: scans that are recorded, under another policy. Nothing is scanned or matched anew.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use portcullis_errors::printable;
use portcullis_model::{Outcome as Answer, Report, Timestamp};
use portcullis_policy::{ExitStatus, Judgement, Policy, rejudge};

use crate::{
    commands::attest::read_judged,
    diagnostics::{Context as _, Failure, Outcome},
    output, settings,
};

/// Reports in folders that are looked at.
const MAX_REPORTS: usize = 100_000;

pub(super) fn run(policy: &Path, reports: &[PathBuf], as_of_now: bool) -> Outcome {
    let now = settings::now()?;
    let policies = settings::policies(policy, now)?;
    let files = files(reports)?;
    let mut text = String::new();
    let mut changed = 0;
    let mut worst = ExitStatus::Pass;
    for file in &files {
        let report = read_judged(file)?;
        let at = if as_of_now { now } else { report.verdict.time };
        let was = report.verdict.result;
        let is = judged(&policies, &report, at);
        let result = is.as_ref().map(|judgement| judgement.result);
        if result == Some(was) {
            continue;
        }
        changed += 1;
        worst = worse(worst, was, result);
        tell(&mut text, file, &report, is.as_ref());
    }
    // Writing to a String cannot fail.
    _ = writeln!(text, "{} scans, {changed} with another answer", files.len());
    output::print(&text)?;
    Ok(worst)
}

/// What the policies that speak of an image say of it together; none where none does.
fn judged(policies: &[Policy], report: &Report, at: Timestamp) -> Option<Judgement> {
    let name = report.target.reference.as_str();
    let speaking = policies.iter().filter(|policy| policies.len() == 1 || policy.applies_to(name));
    speaking.map(|policy| rejudge(policy, report, at)).reduce(Judgement::and)
}

/// What passed and would not any more is what matters: a denial most.
fn worse(status: ExitStatus, was: Answer, is: Option<Answer>) -> ExitStatus {
    match (was, is) {
        (Answer::Pass, Some(Answer::Fail)) => ExitStatus::Deny,
        (Answer::Pass, Some(Answer::Unknown) | None) if status == ExitStatus::Pass => ExitStatus::Incomplete,
        _ => status,
    }
}

fn tell(text: &mut String, file: &Path, report: &Report, is: Option<&Judgement>) {
    let was = report.verdict.result;
    let now = is.map_or_else(|| "asked of no policy".to_owned(), |judgement| judgement.result.to_string());
    let name = printable(&report.target.reference, 200);
    // Writing to a String cannot fail.
    _ = writeln!(text, "{name}: was {was}, would be {now} ({})", printable(&file.display().to_string(), 300));
    for reason in is.iter().flat_map(|judgement| &judgement.reasons).filter(|reason| reason.result != Answer::Pass) {
        _ = writeln!(text, "  {} {}: {}", reason.result, reason.rule, printable(&reason.message, 400));
    }
}

/// The reports that are named, and those that lie in named folders, sorted.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let cannot = || format!("cannot read {}", path.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(path).context(cannot)? {
            let entry = entry.context(cannot)?.path();
            if entry.extension().is_some_and(|extension| extension == "json") && entry.is_file() {
                found.push(entry);
            }
        }
        found.sort();
        files.extend(found);
        if files.len() > MAX_REPORTS {
            return Err(Failure::new(format!("more than {MAX_REPORTS} reports")).with_hint("name fewer folders"));
        }
    }
    if files.is_empty() {
        return Err(Failure::new("there is no report").with_hint("write some with `portcullis scan … -o json=FILE`"));
    }
    Ok(files)
}
