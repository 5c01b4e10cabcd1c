//! The upload of a SARIF file to code scanning, and the wait for what GitHub makes of it.
//!
//! API: <https://docs.github.com/en/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data>.

use std::{io::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use octocrab::models::code_scannings::{SarifAnalysis, SarifReceipt, UploadSarif};
use serde_json::Value;

use super::{FORGE, GitHub, client::told};
use crate::ForgeError;

/// The largest file that GitHub takes, compressed with gzip, in bytes.
const MAX_COMPRESSED: usize = 10_000_000;
/// The first and the longest wait between two questions.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often an upload may be unknown before that is an answer: GitHub's machines tell each other with delay.
const MAX_UNKNOWN: u32 = 5;
const WHAT: &str = "the SARIF file";

/// What GitHub made of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    /// Its alerts are there.
    Complete,
    /// It took the file; the token may not ask what became of it.
    Unseen,
}

impl GitHub {
    /// Uploads a SARIF file for the commit and the reference of the run, under `category` or the one that it names, and
    /// waits until GitHub has processed it.
    ///
    /// # Errors
    /// When it is no SARIF file, when GitHub does not take it, or cannot process it in time.
    pub async fn upload_sarif(&self, sarif: &[u8], category: Option<&str>) -> Result<Processed, ForgeError> {
        let upload = UploadSarif {
            commit_sha: self.context.commit.clone(),
            ref_field: self.context.reference.clone(),
            sarif: encode(&prepared(sarif, category)?)?,
            checkout_uri: None,
            started_at: None,
            tool_name: None,
            validate: None,
        };
        let Self { crab, context, .. } = self;
        let repository = crab.repos(&context.owner, &context.repository);
        let scanning = repository.code_scanning();
        let send = || async { scanning.upload_sarif(&upload).await.map_err(|error| told(WHAT, error)) };
        // The same file twice gives the same alerts.
        let receipt: SarifReceipt = self.transport.again(send).await?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if receipt.id.is_empty() || !receipt.id.bytes().all(is_id) {
            return Err(ForgeError::Answer { forge: FORGE, what: WHAT, why: "the upload has no id".to_owned() });
        }
        self.processed(&receipt.id).await
    }

    async fn processed(&self, id: &str) -> Result<Processed, ForgeError> {
        let total = self.transport.left();
        let (mut wait, mut unknown) = (FIRST_WAIT, 0);
        loop {
            let route = format!("code-scanning/sarifs/{id}");
            match self.get::<SarifAnalysis>(WHAT, &route, None::<&()>).await {
                Ok(analysis) if analysis.processing_status == "complete" => return Ok(Processed::Complete),
                Ok(analysis) if analysis.processing_status == "failed" => {
                    let errors = analysis.errors.unwrap_or_default().join("; ");
                    return Err(ForgeError::NotProcessed(portcullis_errors::printable(&errors, 1000)));
                }
                Ok(_) => unknown = 0,
                Err(ForgeError::Refused { status: 404, .. }) if unknown < MAX_UNKNOWN => unknown += 1,
                Err(error) if error.is_permission() => return Ok(Processed::Unseen),
                Err(error) => return Err(error),
            }
            let left = self.transport.left();
            if left <= wait {
                return Err(ForgeError::StillPending { waited: total.saturating_sub(left) });
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// The file as GitHub takes it: gzip, then base64.
fn encode(sarif: &[u8]) -> Result<String, ForgeError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(sarif).and_then(|()| encoder.finish());
    let compressed = written.map_err(|error| ForgeError::Setup { what: WHAT.to_owned(), source: error.into() })?;
    if compressed.len() > MAX_COMPRESSED {
        return Err(ForgeError::TooLarge { forge: FORGE, what: format!("{WHAT}, compressed,"), limit: MAX_COMPRESSED });
    }
    Ok(STANDARD.encode(compressed))
}

/// The file as it is uploaded: every run of it under `category` where one is given, without what is gone since a
/// baseline and without what is suppressed. GitHub compares with what it had itself; a result that is there is an alert
/// that is open, whatever its state and its suppressions.
fn prepared(sarif: &[u8], category: Option<&str>) -> Result<Vec<u8>, ForgeError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| ForgeError::Setup { what: WHAT.to_owned(), source };
    let mut log: Value = serde_json::from_slice(sarif).map_err(|error| wrong(error.into()))?;
    if log["version"] != "2.1.0" || !log["runs"].is_array() {
        return Err(wrong("it is no SARIF 2.1.0".into()));
    }
    for run in log["runs"].as_array_mut().into_iter().flatten().filter(|run| run.is_object()) {
        if let Some(results) = run["results"].as_array_mut() {
            results.retain(|result| result["baselineState"] != "absent" && !is_suppressed(result));
        }
        if let Some(category) = category {
            if !run["automationDetails"].is_object() {
                run["automationDetails"] = serde_json::json!({});
            }
            // What comes after the last slash is the id of the run.
            run["automationDetails"]["id"] = Value::String(format!("{}/", category.trim_end_matches('/')));
        }
    }
    serde_json::to_vec(&log).map_err(|error| wrong(error.into()))
}

/// Whether a result is accepted; a suppression that was rejected, or is under review, holds nothing back.
/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html#_Toc34317737>
fn is_suppressed(result: &Value) -> bool {
    let suppressions = result["suppressions"].as_array().map_or(&[][..], Vec::as_slice);
    let is_accepted = |suppression: &Value| matches!(suppression["status"].as_str(), None | Some("accepted"));
    !suppressions.is_empty() && suppressions.iter().all(is_accepted)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let encoded = encode(b"{\"version\":\"2.1.0\"}").unwrap();
        let mut text = String::new();
        GzDecoder::new(STANDARD.decode(encoded).unwrap().as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"version\":\"2.1.0\"}");
    }

    #[test]
    fn a_category_is_that_of_every_run() {
        let log = br#"{"version": "2.1.0", "runs": [{"automationDetails": {"id": "a/"}, "results": []}, {}]}"#;
        let log: Value = serde_json::from_slice(&prepared(log, Some("nightly")).unwrap()).unwrap();
        assert_eq!(log["runs"][0]["automationDetails"]["id"], "nightly/");
        assert_eq!(log["runs"][1]["automationDetails"]["id"], "nightly/");
        assert!(log["runs"][0]["results"].is_array());
        let gone =
            br#"{"version": "2.1.0", "runs": [{"results": [{"baselineState": "absent"}, {"baselineState": "new"}]}]}"#;
        let log: Value = serde_json::from_slice(&prepared(gone, None).unwrap()).unwrap();
        assert_eq!(log["runs"][0]["results"], serde_json::json!([{"baselineState": "new"}]));
        let suppressed = br#"{"version": "2.1.0", "runs": [{"results": [
            {"suppressions": [{"kind": "external", "status": "accepted"}]}, {"suppressions": [{"kind": "inSource"}]},
            {"suppressions": []}, {"suppressions": [{"kind": "external", "status": "rejected"}]}
        ]}]}"#;
        let log: Value = serde_json::from_slice(&prepared(suppressed, None).unwrap()).unwrap();
        assert_eq!(
            log["runs"][0]["results"],
            serde_json::json!([{"suppressions": []}, {"suppressions": [{"kind": "external", "status": "rejected"}]}])
        );
        let odd = br#"{"version": "2.1.0", "runs": [1, "x", null, {"automationDetails": 1, "results": 2}]}"#;
        assert!(prepared(odd, Some("x")).is_ok());
        for wrong in ["", "[]", "{}", r#"{"version": "2.0.0", "runs": []}"#, r#"{"version": "2.1.0", "runs": 1}"#] {
            assert!(prepared(wrong.as_bytes(), None).is_err(), "{wrong}");
        }
    }
}
