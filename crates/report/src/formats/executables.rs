//! The executable manifest: everything in the image that a machine may run, with its digest and its owner.
//!
//! What runs later can be held against it: a file of another digest, or one that is not listed, was not in the image.
//! The format is our own; `docs/reports.md` describes it.

use std::io;

use portcullis_model::{Digest, ExecutableFile, Platform, Report, Timestamp, Tool, Warning, WarningKind};
use serde::Serialize;

use crate::{RenderOptions, ReportError, ReportFormat, json_text::write_json};

/// `-o executables`
pub(crate) struct Executables;

/// The version of the format.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    created: Timestamp,
    tool: &'a Tool,
    image: Image<'a>,
    /// False where something could not be read: the list may then lack files.
    complete: bool,
    gaps: Vec<&'a Warning>,
    files: &'a [ExecutableFile],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    reference: &'a str,
    digest: Option<Digest>,
    config_digest: Option<Digest>,
    platform: Option<&'a Platform>,
}

impl ReportFormat for Executables {
    fn name(&self) -> &'static str {
        "executables"
    }

    fn describe(&self) -> &'static str {
        "every executable file with digest and owner"
    }

    fn extension(&self) -> &'static str {
        "executables.json"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.portcullis.executables.v1+json"
    }

    fn needs_executables(&self) -> bool {
        true
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let target = &report.target;
        let gaps = report.inventory.warnings.iter().filter(|warning| warning.kind == WarningKind::Gap);
        let gaps: Vec<&Warning> = gaps.collect();
        let manifest = Manifest {
            schema_version: VERSION,
            created: report.created,
            tool: &report.tool,
            image: Image {
                reference: &target.reference,
                digest: target.digest,
                config_digest: target.config_digest,
                platform: target.platform.as_ref(),
            },
            complete: gaps.is_empty() && report.executables.is_some(),
            gaps,
            files: report.executables.as_deref().unwrap_or_default(),
        };
        write_json(&manifest, out)
    }
}
