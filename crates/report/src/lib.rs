//! Views of a [`Report`]: one file per output format under `formats/`, and one line each in [`FORMATS`].
//!
//! Whatever the format, three things are in it: the findings, the verdict with its reasons, and every gap. Names and
//! paths come from untrusted images; each format escapes them for whoever reads it, be it a terminal, a browser or a
//! pipeline's log.

mod dockerfile;
mod formats;

mod advice;
mod view;

mod json_text;
mod links;
mod spdx_ids;
mod text;

use std::io;

use portcullis_model::Report;

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
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { width: 100, color: false, show_suppressed: false, dockerfile: None, max_findings: None }
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
