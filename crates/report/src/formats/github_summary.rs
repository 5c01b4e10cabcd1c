//! The summary of a GitHub Actions job: Markdown within the limit of `GITHUB_STEP_SUMMARY`.
//!
//! Limit: 1 MiB a step, <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits>;
//! beyond it GitHub shows nothing at all.

use std::io;

use portcullis_model::Report;

use super::markdown::render;
use crate::{RenderOptions, ReportError, ReportFormat};

/// `-o github-summary`
pub(crate) struct GithubSummary;

/// Room is left for what follows the table.
const BUDGET: usize = 900 * 1024;

impl ReportFormat for GithubSummary {
    fn name(&self) -> &'static str {
        "github-summary"
    }

    fn describe(&self) -> &'static str {
        "Markdown for $GITHUB_STEP_SUMMARY, within its limit"
    }

    fn extension(&self) -> &'static str {
        "md"
    }

    fn media_type(&self) -> &'static str {
        "text/markdown"
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        out.write_all(render(report, options, BUDGET).as_bytes())?;
        Ok(())
    }
}
