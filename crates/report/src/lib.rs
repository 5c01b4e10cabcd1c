//! Views of a [`Report`]: one file per output format under `formats/`, and one line each in [`FORMATS`].
//!
//! Whatever the format, three things are in it: the findings, the verdict with its reasons, and every gap. Names and
//! paths come from untrusted images; each format escapes them for whoever reads it, be it a terminal, a browser or a
//! pipeline's log.

mod dockerfile;
mod formats;

mod advice;
mod annotations;
mod baseline;
mod view;

mod json_text;
mod links;
mod spdx_ids;
mod text;

use std::io;

use portcullis_model::Report;

pub use annotations::annotations;
pub use baseline::{Baseline, BaselineError};
pub use dockerfile::Dockerfile;
pub use text::{markdown as escape_markdown, markup as escape_markup};

/// A way to write a report down.
pub trait ReportFormat: Sync {
    /// Its name, as `-o` takes it.
    fn name(&self) -> &'static str;

    /// One line about it, for the help text and the documentation.
    fn describe(&self) -> &'static str;

    /// The ending of a file that holds it.
    fn extension(&self) -> &'static str;

    /// Its media type.
    fn media_type(&self) -> &'static str;

    /// Whether it lists everything executable, so that a scan must hash each such file.
    fn needs_executables(&self) -> bool {
        false
    }

    /// Whether it lists the packages: only then is it an answer to `sbom`, which judges nothing.
    fn lists_packages(&self) -> bool {
        false
    }

    /// Writes `report` to `out`.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError>;
}

/// Every format, in the order of the help text.
pub const FORMATS: &[&dyn ReportFormat] = &[
    &formats::table::Table,
    &formats::json::Json,
    &formats::sarif::Sarif,
    &formats::cyclonedx_json::CycloneDxJson,
    &formats::cyclonedx_xml::CycloneDxXml,
    &formats::spdx_json::SpdxJson,
    &formats::spdx_tag_value::SpdxTagValue,
    &formats::executables::Executables,
    &formats::gitlab::Gitlab,
    &formats::gitlab_codequality::GitlabCodequality,
    &formats::junit::Junit,
    &formats::html::Html,
    &formats::markdown::Markdown,
    &formats::github_summary::GithubSummary,
];

/// The format of that name.
#[must_use]
pub fn format_named(name: &str) -> Option<&'static dyn ReportFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The verdict and the totals on one line: `FAIL: 3 findings: 1 critical, 2 low`, and what is new.
#[must_use]
pub fn headline(report: &Report, baseline: Option<&Baseline>) -> String {
    let view = view::View::of(report);
    let changes = baseline.map(|baseline| baseline::Changes::since(baseline, &view));
    let new = changes.map_or_else(String::new, |changes| format!("; {}", view.new_words(&changes)));
    text::limited(&format!("{}: {}{new}", view::verdict_word(report), view.summary()), 1_000)
}

/// How many findings count, by severity, the worst first.
#[must_use]
pub fn totals(report: &Report) -> [(portcullis_model::SeverityLevel, usize); 6] {
    view::View::of(report).totals()
}

/// How many findings count and are not in `baseline`.
#[must_use]
pub fn count_new(report: &Report, baseline: &Baseline) -> usize {
    let view = view::View::of(report);
    let changes = baseline::Changes::since(baseline, &view);
    view.worst_first().into_iter().filter(|finding| changes.is_new(finding)).count()
}

/// What a reader of the report asked for, beyond its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether the terminal shows colours.
    pub color: bool,
    /// Whether text formats list suppressed findings one by one; they count them anyway.
    pub show_suppressed: bool,
    /// The Dockerfile that the image was built from: formats with places point into it.
    pub dockerfile: Option<Dockerfile>,
    /// The most findings that a format with a limit takes; none for the format's own.
    pub max_findings: Option<usize>,
    /// The most bytes that Markdown may take; what does not fit is counted.
    pub max_bytes: Option<usize>,
    /// An earlier report of the same image: what is new is then told.
    pub baseline: Option<Baseline>,
    /// The run of a pipeline that writes it.
    pub run: Option<PipelineRun>,
}

/// A run of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRun {
    /// The system's name.
    pub system: String,
    /// The page of the run.
    pub url: Option<String>,
    /// The commit that it is for.
    pub commit: Option<String>,
    /// The branch, or the tag.
    pub branch: Option<String>,
}

impl PipelineRun {
    /// `GitHub Actions, commit 0123, branch main`
    fn words(&self) -> String {
        let Self { system, url: _, commit, branch } = self;
        let mut text = system.clone();
        for (name, value) in [("commit", commit), ("branch", branch)] {
            if let Some(value) = value {
                text.push_str(&format!(", {name} {}", text::limited(value, 200)));
            }
        }
        text
    }
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            width: 100,
            color: false,
            show_suppressed: false,
            dockerfile: None,
            max_findings: None,
            max_bytes: None,
            baseline: None,
            run: None,
        }
    }
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The output did not take it.
    #[error("cannot write the report")]
    Write(#[from] io::Error),
    /// A value has no JSON form.
    #[error("cannot write the report as JSON")]
    Json(#[source] serde_json::Error),
}
