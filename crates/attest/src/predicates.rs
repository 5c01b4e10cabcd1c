//! What scans say: the vulnerability record and the inventory.
//!
//! Format: <https://github.com/sigstore/cosign/blob/v3.0.6/specs/COSIGN_VULN_ATTESTATION_SPEC.md>

use portcullis_model::{Digest, Report, Timestamp};
use portcullis_registry::Reference;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{SbomFormat, Statement, StatementError, statement::predicate_type};

const SCANNER: &str = "pkg:github/portcullis-dev/portcullis";
pub(crate) const DATABASE: &str = "https://portcullis.dev/database";

/// Cosign's vulnerability predicate. `result` is the scanner's own; ours is a [`Report`] without its packages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VulnerabilityScan {
    /// How it was asked.
    #[serde(default)]
    pub invocation: Invocation,
    /// What scanned, with what, and the result.
    pub scanner: Scanner,
    /// When.
    #[serde(default)]
    pub metadata: ScanTimes,
}

/// How a scan was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Its parameters.
    #[serde(default)]
    pub parameters: Option<Vec<String>>,
    /// Where it ran.
    #[serde(default)]
    pub uri: String,
    /// Its run there.
    #[serde(default)]
    pub event_id: String,
    /// What ran it.
    #[serde(rename = "builder.id", default)]
    pub builder: String,
}

/// What scanned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scanner {
    /// The program.
    #[serde(default)]
    pub uri: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The advisories.
    #[serde(default)]
    pub db: ScannerDatabase,
    /// The scanner's own report.
    pub result: Value,
}

/// The advisories of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerDatabase {
    /// What it is.
    #[serde(default)]
    pub uri: String,
    /// Which state of it: ours is a digest.
    #[serde(default)]
    pub version: String,
}

/// When a scan was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanTimes {
    /// Its begin.
    #[serde(default)]
    pub scan_started_on: Option<Timestamp>,
    /// Its end.
    #[serde(default)]
    pub scan_finished_on: Option<Timestamp>,
}

impl VulnerabilityScan {
    /// The record of a report.
    ///
    /// # Errors
    /// Does not happen: a report is always JSON.
    pub fn of(report: &Report) -> Result<Self, StatementError> {
        // The inventory has its own statement; here it would only make the gate read more.
        let mut slim = report.clone();
        slim.inventory.packages.clear();
        slim.executables = None;
        let result = serde_json::to_value(&slim).map_err(|error| StatementError::Malformed(error.to_string()))?;
        Ok(Self {
            invocation: Invocation::default(),
            scanner: Scanner {
                uri: scanner_uri(report),
                version: report.tool.version.clone(),
                db: ScannerDatabase { uri: DATABASE.to_owned(), version: report.database.digest.to_string() },
                result,
            },
            metadata: ScanTimes { scan_started_on: Some(report.created), scan_finished_on: Some(report.created) },
        })
    }

    /// Reads a predicate, of any scanner.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_predicate(predicate: &Value) -> Result<Self, StatementError> {
        Self::deserialize(predicate).map_err(|error| StatementError::Malformed(error.to_string()))
    }

    /// The report inside, where the scanner is ours. Its list of packages is empty: the statement of the inventory
    /// has them.
    ///
    /// # Errors
    /// When the result is another scanner's.
    pub fn report(&self) -> Result<Report, StatementError> {
        Report::deserialize(&self.scanner.result).map_err(|error| StatementError::Malformed(error.to_string()))
    }
}

/// The statement of a report's findings about an image.
///
/// # Errors
/// Does not happen: a report is always JSON.
pub fn vulnerability_statement(
    report: &Report,
    image: &Reference,
    digest: &Digest,
) -> Result<Statement, StatementError> {
    let scan = VulnerabilityScan::of(report)?;
    let predicate = serde_json::to_value(scan).map_err(|error| StatementError::Malformed(error.to_string()))?;
    Ok(Statement::new(&image.name(), digest, predicate_type::VULNERABILITIES, predicate))
}

/// The statement of an image's inventory: a whole SBOM document.
#[must_use]
pub fn sbom_statement(format: SbomFormat, document: Value, image: &Reference, digest: &Digest) -> Statement {
    Statement::new(&image.name(), digest, format.predicate_type(), document)
}

/// The program that made a report, as a package URL.
pub(crate) fn scanner_uri(report: &Report) -> String {
    format!("{SCANNER}@{}", report.tool.version)
}
