//! A check run on the head commit: the verdict beside the other checks of a pull request.
//!
//! API: <https://docs.github.com/en/rest/checks/runs>. Only apps may write check runs; the token of a job is one's.

use octocrab::params::checks::{CheckRunConclusion, CheckRunOutput, CheckRunStatus};
use portcullis_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::GitHub;
use crate::{ForgeError, marker, short};

/// The longest summary, in bytes: GitHub takes 65,535 characters.
const MAX_SUMMARY: usize = 65_000;
const WHAT: &str = "the check run";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// It passes.
    Success,
    /// It fails.
    Failure,
    /// It would fail; the policy is in audit mode.
    Neutral,
    /// It is not known, which does not pass.
    ActionRequired,
}

/// A check run.
#[derive(Debug, Clone)]
pub struct CheckRun<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it ended.
    pub conclusion: Conclusion,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub summary: &'a str,
    /// When.
    pub completed_at: Timestamp,
}

/// The request; both for a new run and for a change.
#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
    /// A run that is there keeps its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    head_sha: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details_url: Option<&'a str>,
    external_id: &'a str,
    status: CheckRunStatus,
    conclusion: CheckRunConclusion,
    completed_at: String,
    output: CheckRunOutput,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    external_id: Option<String>,
}

impl GitHub {
    /// Writes the check run of the head commit; a later one of the same name replaces it.
    ///
    /// # Errors
    /// When GitHub does not take it.
    pub async fn check_run(&self, check: &CheckRun<'_>) -> Result<(), ForgeError> {
        let CheckRun { name, conclusion, title, summary, completed_at } = check;
        if summary.len() > MAX_SUMMARY {
            return Err(ForgeError::TooLarge { forge: super::FORGE, what: WHAT.to_owned(), limit: MAX_SUMMARY });
        }
        let body = || Body {
            name,
            head_sha: None,
            details_url: self.context.run_url.as_deref(),
            external_id: "",
            status: CheckRunStatus::Completed,
            conclusion: match conclusion {
                Conclusion::Success => CheckRunConclusion::Success,
                Conclusion::Failure => CheckRunConclusion::Failure,
                Conclusion::Neutral => CheckRunConclusion::Neutral,
                Conclusion::ActionRequired => CheckRunConclusion::ActionRequired,
            },
            completed_at: completed_at.to_string(),
            output: CheckRunOutput {
                title: short(title, 200),
                summary: (*summary).to_owned(),
                text: None,
                annotations: Vec::new(),
                images: Vec::new(),
            },
        };
        let external_id = marker(name);
        self.transport.again(|| self.write_check_run(&external_id, Body { external_id: &external_id, ..body() })).await
    }

    async fn write_check_run(&self, external_id: &str, body: Body<'_>) -> Result<(), ForgeError> {
        let route = format!("commits/{}/check-runs", self.context.head_commit);
        let query = [("check_name", body.name), ("per_page", "100")];
        let known: Runs = self.get(WHAT, &route, Some(&query)).await?;
        let own = known.check_runs.iter().find(|run| run.external_id.as_deref() == Some(external_id));
        let _answer: serde_json::Value = match own {
            Some(run) => self.patch(WHAT, &format!("check-runs/{}", run.id), &body).await?,
            None => {
                let body = Body { head_sha: Some(&self.context.head_commit), ..body };
                self.post(WHAT, "check-runs", &body).await?
            }
        };
        Ok(())
    }
}
