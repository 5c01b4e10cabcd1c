//! The whole report as JSON, version 1; schema in `docs/schema/report-v1.json`.

use std::io;

use portcullis_model::Report;

use crate::{RenderOptions, ReportError, ReportFormat, json_text::write_json};

/// `-o json`
pub(crate) struct Json;

impl ReportFormat for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn describe(&self) -> &'static str {
        "the whole report, with a committed schema"
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.portcullis.report.v1+json"
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        write_json(report, out)
    }
}
