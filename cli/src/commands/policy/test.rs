//! `portcullis policy test`: a policy, and the cases beside it that say what it is to say.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use portcullis_errors::printable;
use portcullis_model::{Report, Timestamp};
use portcullis_policy::{Cases, ExitStatus, Policy, Tried};

use crate::{
    commands::attest::read_judged,
    diagnostics::{Context as _, Failure, Outcome},
    output, settings,
};

pub(super) fn run(files: &[PathBuf], cases: Option<&Path>) -> Outcome {
    let now = settings::now()?;
    let (mut tried, mut failed) = (0, 0);
    for file in files {
        let policies = settings::policies(file, now)?;
        let beside = cases.map_or_else(|| file.with_extension("test.yaml"), Path::to_owned);
        let (text, count, failures) = one(&policies, &beside, now)?;
        output::print(&format!("{}\n{text}", printable(&file.display().to_string(), 300)))?;
        tried += count;
        failed += failures;
    }
    output::print(&format!("{tried} cases, {failed} failed\n"))?;
    Ok(if failed == 0 { ExitStatus::Pass } else { ExitStatus::Error })
}

/// Tries the cases of one file: what is told, how many there are, and how many fail.
fn one(policies: &[Policy], cases: &Path, now: Timestamp) -> Result<(String, usize, usize), Failure> {
    let text = settings::read_text(cases)
        .map_err(|failure| failure.with_hint("cases for policy.yaml are in policy.test.yaml, or named by --cases"))?;
    let parsed = Cases::parse(&text, &cases.display().to_string())?;
    let folder = cases.parent().unwrap_or(Path::new(""));
    // A file without a case proves nothing.
    if parsed.cases.is_empty() {
        return Err(Failure::new(format!("there is no case in {}", cases.display())));
    }
    let read = |path: &str| -> Result<Report, String> {
        read_judged(&folder.join(path)).map_err(|failure| failure.message().to_owned())
    };
    let mut told = String::new();
    let mut failed = 0;
    for case in &parsed.cases {
        let tried = case.try_with(policies, read, now).context(|| cases.display().to_string())?;
        let Tried { judgement, failure } = tried;
        let name = printable(&case.name, 200);
        // Writing to a String cannot fail.
        match failure {
            None => _ = writeln!(told, "  ok      {name}"),
            Some(failure) => {
                failed += 1;
                _ = writeln!(told, "  FAILED  {name}: {}", printable(&failure, 300));
                for reason in &judgement.reasons {
                    _ = writeln!(
                        told,
                        "          {} {}: {}",
                        reason.result,
                        reason.rule,
                        printable(&reason.message, 300)
                    );
                }
            }
        }
    }
    Ok((told, parsed.cases.len(), failed))
}
