//! `portcullis gitlab`: a report that a scan wrote is told to GitLab, so that the gate can fail afterwards.

use std::path::Path;

use portcullis_errors::Secret;
use portcullis_forge::{
    Access, ForgeError,
    gitlab::{Context, GitLab, State, Token},
};
use portcullis_model::{Outcome as VerdictOutcome, Report};
use portcullis_policy::ExitStatus;
use portcullis_report::{RenderOptions, headline};

use super::{
    attest::read_judged,
    telling::{Refusal, Told as Said, rendered, tell},
};
use crate::{
    args::{ForgeArgs, GitlabArgs, GitlabPart, Global},
    diagnostics::{Failure, Outcome, say},
    settings,
};

/// The most bytes of a note: a longer one is not read by anybody.
const MAX_NOTE: usize = 120_000;

pub(crate) fn run(args: &GitlabArgs, global: &Global) -> Outcome {
    let GitlabArgs { report: path, publish, package, package_file, forge } = args;
    let ForgeArgs { baseline, name, ca_file, timeout, gate } = forge;
    let options = RenderOptions {
        baseline: settings::baseline(baseline)?,
        run: portcullis_forge::pipelines::detect(&settings::variable),
        max_bytes: Some(MAX_NOTE),
        ..RenderOptions::default()
    };
    let report = read_judged(path)?;
    let status = ExitStatus::from(&report.verdict);
    let files = std::iter::once(path).chain(package_file);
    let told =
        Told { name, package: package.as_deref(), files: files.map(|path| path.as_path()).collect(), report, options };
    let authorities = ca_file.clone().or_else(|| settings::variable("CI_SERVER_TLS_CA_FILE").map(Into::into));
    told.remotely(publish, &Access { ca_file: authorities, timeout: *timeout }, global)?;
    Ok(if *gate { status } else { ExitStatus::Pass })
}

/// What a part is called in what is said.
const fn name_of(part: GitlabPart) -> &'static str {
    match part {
        GitlabPart::Note => "note",
        GitlabPart::Status => "status",
        GitlabPart::Package => "package",
    }
}

/// A report, and how it is told.
struct Told<'a> {
    name: &'a str,
    package: Option<&'a str>,
    files: Vec<&'a Path>,
    report: Report,
    options: RenderOptions,
}

impl Told<'_> {
    fn remotely(&self, publish: &[GitlabPart], access: &Access, global: &Global) -> Result<(), Failure> {
        let token = settings::variable("PORTCULLIS_GITLAB_TOKEN").map(|token| Token::Access(Secret::new(token)));
        let token = token.or_else(|| settings::variable("CI_JOB_TOKEN").map(|token| Token::Job(Secret::new(token))));
        let Some(token) = token else {
            say("note: neither PORTCULLIS_GITLAB_TOKEN nor CI_JOB_TOKEN is set; GitLab is told nothing");
            return Ok(());
        };
        let context = Context::from_environment(&settings::variable)?;
        let is_job = matches!(token, Token::Job(_));
        let unpermitted = |_: &GitLab, part, error: &ForgeError| {
            format!("{}: left out: {error}; the token needs the scope `api` and the role Developer", name_of(part))
        };
        let forge = || GitLab::new(context, &token, access);
        let part_told = async |gitlab: &GitLab, part| {
            if is_job && part != GitlabPart::Package {
                return Ok(Said::Note(format!(
                    "{}: left out: the token of a job may not write it; set PORTCULLIS_GITLAB_TOKEN to a project access token with the scope `api`",
                    name_of(part)
                )));
            }
            self.publish(gitlab, part).await
        };
        tell(publish, global, forge, part_told, unpermitted)
    }

    async fn publish(&self, gitlab: &GitLab, part: GitlabPart) -> Result<Said, Refusal> {
        let title = headline(&self.report, self.options.baseline.as_ref());
        Ok(match part {
            GitlabPart::Note => {
                match gitlab.note(self.name, &rendered("markdown", &self.report, &self.options)?).await? {
                    true => Said::Done("merge request: note written".to_owned()),
                    false => Said::Note("merge request: this pipeline is for none".to_owned()),
                }
            }
            GitlabPart::Status => {
                let verdict = &self.report.verdict;
                let state = match (verdict.result, verdict.policy.audit) {
                    (VerdictOutcome::Pass, _) | (VerdictOutcome::Fail, true) => State::Success,
                    (VerdictOutcome::Fail, false) | (VerdictOutcome::Unknown, _) => State::Failed,
                };
                gitlab.status(self.name, state, &title).await?;
                Said::Done("status: written".to_owned())
            }
            GitlabPart::Package => {
                let (name, version) = match self.package.map(|text| text.split_once('/').unwrap_or((text, ""))) {
                    Some((name, version)) if !version.is_empty() => (name, version),
                    Some((name, _)) => (name, gitlab.context().commit.as_str()),
                    None => ("portcullis", gitlab.context().commit.as_str()),
                };
                for path in &self.files {
                    let contents = settings::read_file(path)?;
                    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    gitlab.package_file(name, version, &file, &contents).await?;
                }
                Said::Done(format!("package: {name} {version}: {} uploaded", self.files.len()))
            }
        })
    }
}
