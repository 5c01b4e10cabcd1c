//! `portcullis github`: a report that a scan wrote is told to GitHub, so that the gate can fail afterwards.
//!
//! What needs no token comes first: a fork's pull request, whose token may write nothing, still gets a result.

use std::path::Path;

use portcullis_errors::Secret;
use portcullis_forge::{
    Access, ForgeError,
    github::{CheckRun, Conclusion, Context, GitHub, Processed, State, Status, append},
};
use portcullis_model::{Outcome as VerdictOutcome, Report, SeverityLevel};
use portcullis_policy::ExitStatus;
use portcullis_report::{RenderOptions, annotations, count_new, headline, totals};

use super::{
    attest::read_judged,
    telling::{Refusal, Told as Said, rendered, tell},
};
use crate::{
    args::{ForgeArgs, GithubArgs, GithubPart, Global},
    diagnostics::{Failure, Outcome, say},
    output, settings,
};

/// The most bytes of a comment and of a check's summary: GitHub takes 65,535 characters.
const MAX_COMMENT: usize = 60_000;

pub(crate) fn run(args: &GithubArgs, global: &Global) -> Outcome {
    let GithubArgs { report: path, publish, sarif, category, dockerfile, forge } = args;
    let ForgeArgs { baseline, name, ca_file, timeout, gate } = forge;
    let options = RenderOptions {
        dockerfile: settings::dockerfile(dockerfile.as_ref())?,
        baseline: settings::baseline(baseline)?,
        run: portcullis_forge::pipelines::detect(&settings::variable),
        ..RenderOptions::default()
    };
    let sarif = Sarif { path: sarif.as_deref(), category: category.as_deref() };
    let told = Told { report: read_judged(path)?, options, name, sarif };
    told.locally(publish)?;
    let remote: Vec<GithubPart> = publish.iter().copied().filter(|part| is_remote(*part)).collect();
    if !remote.is_empty() {
        let access = Access { ca_file: ca_file.clone(), timeout: *timeout };
        told.remotely(&remote, &access, global)?;
    }
    Ok(if *gate { ExitStatus::from(&told.report.verdict) } else { ExitStatus::Pass })
}

/// What GitHub itself must be asked for.
const fn is_remote(part: GithubPart) -> bool {
    matches!(part, GithubPart::Sarif | GithubPart::Comment | GithubPart::Check | GithubPart::Status)
}

/// A report, and how it is told.
struct Told<'a> {
    report: Report,
    options: RenderOptions,
    name: &'a str,
    sarif: Sarif<'a>,
}

/// What is uploaded to code scanning.
struct Sarif<'a> {
    /// A file; none where it is made of the report.
    path: Option<&'a Path>,
    category: Option<&'a str>,
}

impl Told<'_> {
    fn rendered(&self, format: &str, max_bytes: Option<usize>) -> Result<String, Failure> {
        rendered(format, &self.report, &RenderOptions { max_bytes, ..self.options.clone() })
    }

    /// Annotations, the summary of the job, the outputs of the step.
    fn locally(&self, publish: &[GithubPart]) -> Result<(), Failure> {
        if publish.contains(&GithubPart::Annotations) {
            output::print(&annotations(&self.report, &self.options))?;
        }
        if publish.contains(&GithubPart::Summary) {
            self.to_file("GITHUB_STEP_SUMMARY", &self.rendered("github-summary", None)?)?;
        }
        if publish.contains(&GithubPart::Outputs) {
            self.to_file("GITHUB_OUTPUT", &self.outputs())?;
        }
        Ok(())
    }

    fn to_file(&self, variable: &str, text: &str) -> Result<(), Failure> {
        match std::env::var_os(variable).filter(|path| !path.is_empty()) {
            Some(path) => Ok(append(Path::new(&path), text)?),
            None => {
                say(&format!("note: {variable} is not set; nothing is written to it"));
                Ok(())
            }
        }
    }

    /// `NAME=VALUE`; all values are words, digests and numbers.
    fn outputs(&self) -> String {
        let Report { verdict, target, .. } = &self.report;
        let mut text = format!("verdict={}\nexit-code={}\n", verdict.result, ExitStatus::from(verdict).code());
        text.push_str(&format!("digest={}\n", target.digest.map_or_else(String::new, |digest| digest.to_string())));
        let wanted = [SeverityLevel::Critical, SeverityLevel::High, SeverityLevel::Medium, SeverityLevel::Low];
        for (level, count) in totals(&self.report).into_iter().filter(|(level, _)| wanted.contains(level)) {
            text.push_str(&format!("{level}={count}\n"));
        }
        let new = self.options.baseline.as_ref().map(|baseline| count_new(&self.report, baseline).to_string());
        text.push_str(&format!("new={}\n", new.unwrap_or_default()));
        text
    }

    /// Code scanning, the comment, the check, the status.
    fn remotely(&self, publish: &[GithubPart], access: &Access, global: &Global) -> Result<(), Failure> {
        let Some(token) = settings::variable("GITHUB_TOKEN") else {
            say("note: GITHUB_TOKEN is not set; GitHub is told nothing beyond the job");
            return Ok(());
        };
        let context = Context::from_environment(&settings::variable)?;
        let forge = || GitHub::new(context, &Secret::new(token), access);
        tell(publish, global, forge, async |github, part| self.publish(github, part).await, without_permission)
    }

    async fn publish(&self, github: &GitHub, part: GithubPart) -> Result<Said, Refusal> {
        let title = headline(&self.report, self.options.baseline.as_ref());
        let text = || self.rendered("github-summary", Some(MAX_COMMENT));
        let verdict = &self.report.verdict;
        Ok(match part {
            GithubPart::Sarif => {
                let sarif = match self.sarif.path {
                    Some(path) => settings::read_file(path)?,
                    None => self.rendered("sarif", None)?.into_bytes(),
                };
                match github.upload_sarif(&sarif, self.sarif.category).await? {
                    Processed::Complete => Said::Done("code scanning: uploaded and processed".to_owned()),
                    Processed::Unseen => {
                        Said::Note("code scanning: uploaded; the token may not ask what became of it".to_owned())
                    }
                }
            }
            GithubPart::Comment => match github.comment(self.name, &text()?).await? {
                true => Said::Done("comment: written".to_owned()),
                false => Said::Note("comment: this run is for no pull request".to_owned()),
            },
            GithubPart::Check => {
                let conclusion = match (verdict.result, verdict.policy.audit) {
                    (VerdictOutcome::Pass, _) => Conclusion::Success,
                    (VerdictOutcome::Fail, false) => Conclusion::Failure,
                    (VerdictOutcome::Fail, true) => Conclusion::Neutral,
                    (VerdictOutcome::Unknown, _) => Conclusion::ActionRequired,
                };
                let completed_at = self.report.created;
                let summary = text()?;
                let check = CheckRun { name: self.name, conclusion, title: &title, summary: &summary, completed_at };
                github.check_run(&check).await?;
                Said::Done("check: written".to_owned())
            }
            GithubPart::Status => {
                let state = match (verdict.result, verdict.policy.audit) {
                    (VerdictOutcome::Pass, _) | (VerdictOutcome::Fail, true) => State::Success,
                    (VerdictOutcome::Fail, false) => State::Failure,
                    (VerdictOutcome::Unknown, _) => State::Error,
                };
                github.status(&Status { state, context: self.name, description: &title }).await?;
                Said::Done("status: written".to_owned())
            }
            // They are told without a token, and before.
            GithubPart::Summary | GithubPart::Annotations | GithubPart::Outputs => Said::Done(String::new()),
        })
    }
}

/// What is said where the token may not do something.
fn without_permission(github: &GitHub, part: GithubPart, error: &ForgeError) -> String {
    let (name, permission) = match part {
        GithubPart::Sarif => ("code scanning", "security-events: write"),
        GithubPart::Comment => ("comment", "pull-requests: write"),
        GithubPart::Check => ("check", "checks: write"),
        _ => ("status", "statuses: write"),
    };
    let why = if github.context().is_from_fork {
        "the token of a fork's pull request may not write".to_owned()
    } else {
        format!("it needs `permissions: {{{permission}}}`")
    };
    format!("{name}: left out: {error}; {why}")
}
