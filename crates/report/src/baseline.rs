//! What is new and what is gone since an earlier report.
//!
//! A finding is known by the vulnerability, the package and its path, as alerts are: a new build of the same image, with
//! another tag, other layers and other versions, has the same findings.

use std::collections::{BTreeMap, HashMap, HashSet};

use portcullis_model::{Finding, Report, SeverityLevel};
use serde_json::Value;

use crate::{
    formats::sarif::{fingerprint, paths, place},
    text::limited,
    view::{View, known_id},
};

/// The most results that are read of a SARIF file; GitHub takes 25,000.
const MAX_RESULTS: usize = 200_000;
/// The longest text that is kept of one.
const MAX_TEXT: usize = 1_000;

/// The findings of an earlier report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    /// By their fingerprints.
    known: BTreeMap<String, Known>,
}

/// A finding of an earlier report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    /// What it says, on one line.
    pub(crate) text: String,
    pub(crate) level: SeverityLevel,
    /// A relative URI.
    pub(crate) place: String,
    /// Whether it counted.
    pub(crate) counts: bool,
}

/// Why a file is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is no JSON.
    #[error("it is no JSON")]
    Json(#[source] serde_json::Error),
    /// It is no report that is known here.
    #[error("it is neither a JSON report nor SARIF 2.1.0")]
    Unknown,
    /// It is a mere inventory.
    #[error("it is an inventory, which was matched with no advisory: that it has no findings says nothing")]
    Unmatched,
    /// It holds more than is read.
    #[error("it holds more than {MAX_RESULTS} results")]
    TooLarge,
}

impl Baseline {
    /// Reads what `-o json` or `-o sarif` wrote.
    ///
    /// # Errors
    /// When it is neither.
    pub fn read(bytes: &[u8]) -> Result<Self, BaselineError> {
        let document: Value = serde_json::from_slice(bytes).map_err(BaselineError::Json)?;
        if document["version"] == "2.1.0" && document["runs"].is_array() {
            return Self::of_sarif(&document);
        }
        let report: Report = serde_json::from_value(document).map_err(|_error| BaselineError::Unknown)?;
        if !report.is_matched() {
            return Err(BaselineError::Unmatched);
        }
        Ok(Self::of(&report))
    }

    /// The findings of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let known = |Alert { key, finding, path }: Alert<'_>| {
            let text = format!("{} {}", limited(&finding.package.name, 200), limited(&finding.package.version, 100));
            let known = Known {
                id: limited(known_id(finding), 255),
                text: limited(&text, MAX_TEXT),
                level: finding.severity.level,
                place: place(&report.target, finding, path),
                counts: finding.is_counting(),
            };
            (key, known)
        };
        Self { known: alerts(&in_order(&View::of(report))).into_iter().map(known).collect() }
    }

    fn of_sarif(log: &Value) -> Result<Self, BaselineError> {
        let runs = log["runs"].as_array().into_iter().flatten();
        let results: Vec<&Value> = runs.flat_map(|run| run["results"].as_array().into_iter().flatten()).collect();
        if results.len() > MAX_RESULTS {
            return Err(BaselineError::TooLarge);
        }
        let known = |result: &&Value| {
            let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str()?;
            // What was gone then is no finding of that report.
            if result["baselineState"] == "absent" {
                return None;
            }
            let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
            let level = result["properties"]["portcullis/severity"].as_str().and_then(|text| text.parse().ok());
            let level = level.unwrap_or(match result["level"].as_str() {
                Some("error") => SeverityLevel::High,
                Some("note") => SeverityLevel::Low,
                _ => SeverityLevel::Medium,
            });
            let known = Known {
                id: limited(result["ruleId"].as_str().unwrap_or_default(), 255),
                text: package_of(result),
                level,
                place: relative(place.as_str().unwrap_or_default()),
                counts: result["suppressions"].as_array().is_none_or(Vec::is_empty),
            };
            Some((print.to_owned(), known))
        };
        Ok(Self { known: results.iter().filter_map(known).collect() })
    }
}

/// What differs between a report and its baseline.
pub(crate) struct Changes<'a> {
    /// The fingerprints of what is new.
    new_keys: HashSet<String>,
    /// Findings with something new about them: the vulnerability, or one more place.
    new: HashSet<*const Finding>,
    /// What was there, the worst first.
    pub(crate) absent: Vec<(&'a str, &'a Known)>,
}

impl<'a> Changes<'a> {
    pub(crate) fn since(baseline: &'a Baseline, view: &View<'_>) -> Self {
        let alerts = alerts(&in_order(view));
        let new = alerts.iter().filter(|alert| !baseline.known.contains_key(&alert.key));
        let new_keys = new.clone().map(|alert| alert.key.clone()).collect();
        let new = new.map(|alert| std::ptr::from_ref(alert.finding)).collect();
        let here: HashSet<&str> = alerts.iter().map(|alert| alert.key.as_str()).collect();
        let gone = baseline.known.iter().filter(|(key, _)| !here.contains(key.as_str()));
        let mut absent: Vec<_> = gone.map(|(key, known)| (key.as_str(), known)).collect();
        absent.sort_by(|(_, left), (_, right)| {
            right.level.cmp(&left.level).then_with(|| left.id.cmp(&right.id)).then_with(|| left.text.cmp(&right.text))
        });
        Self { new_keys, new, absent }
    }

    /// Whether what a fingerprint names was not there.
    pub(crate) fn is_new_key(&self, key: &str) -> bool {
        self.new_keys.contains(key)
    }

    pub(crate) fn is_new(&self, finding: &Finding) -> bool {
        self.new.contains(&std::ptr::from_ref(finding))
    }

    /// What counted and is gone.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &'a Known> + '_ {
        self.absent.iter().map(|(_, known)| *known).filter(|known| known.counts)
    }
}

/// Findings in the order in which equal fingerprints are counted: the worst first, suppressed ones last.
fn in_order<'a>(view: &View<'a>) -> Vec<&'a Finding> {
    let mut findings = view.worst_first();
    findings.extend(view.suppressed.iter().copied());
    findings
}

/// A finding at one of its places: what people mend one by one.
#[derive(Debug, Clone)]
pub(crate) struct Alert<'a> {
    /// The fingerprint.
    pub(crate) key: String,
    pub(crate) finding: &'a Finding,
    pub(crate) path: &'a str,
}

/// Each finding at each of its places. Two versions of a package in one place have one fingerprint: the second gets
/// `:2`, as GitHub's own action does.
pub(crate) fn alerts<'a>(findings: &[&'a Finding]) -> Vec<Alert<'a>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let places = findings.iter().flat_map(|finding| paths(finding).into_iter().map(move |path| (*finding, path)));
    let alert = |(finding, path): (&'a Finding, &'a str)| {
        let hash = fingerprint(finding, path);
        let count = seen.entry(hash.clone()).or_insert(0);
        *count += 1;
        Alert { key: format!("{hash}:{count}"), finding, path }
    };
    places.map(alert).collect()
}

/// Name and version of the package that a result is about.
fn package_of(result: &Value) -> String {
    let text = result["message"]["text"].as_str().unwrap_or_default();
    // `openssl 1.0 (deb) is affected by …`
    limited(text.split(" (").next().unwrap_or_default(), MAX_TEXT)
}

/// A relative URI of a SARIF file that anybody may have written; anything else is left out.
fn relative(uri: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@+/%".contains(&byte);
    let is_fine = uri.len() <= MAX_TEXT && !uri.starts_with('/') && uri.bytes().all(is_plain);
    if is_fine && !uri.is_empty() { uri.to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_report_is_no_baseline() {
        for text in ["", "{", "[]", "null", "{}", r#"{"version": "2.0.0", "runs": []}"#, r#"{"schemaVersion": 1}"#] {
            assert!(Baseline::read(text.as_bytes()).is_err(), "{text}");
        }
        let odd =
            r#"{"version": "2.1.0", "runs": [1, null, {"results": 1}, {"results": [null, 1, {}, {"ruleId": 1}]}]}"#;
        assert_eq!(Baseline::read(odd.as_bytes()).unwrap(), Baseline::default());
    }

    #[test]
    fn what_a_stranger_wrote_becomes_a_plain_place() {
        for (uri, place) in [
            ("app/usr/lib", "app/usr/lib"),
            ("app/a%20b", "app/a%20b"),
            ("/etc/passwd", "unknown"),
            ("https://evil.example/x", "unknown"),
            ("javascript:alert(1)", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(relative(uri), place);
        }
    }

    proptest! {
        #[test]
        fn any_result_is_read_or_left_out(print in ".{0,80}", text in ".{0,80}", uri in ".{0,80}", level in ".{0,8}") {
            let result = serde_json::json!({
                "ruleId": text, "level": level, "message": {"text": text},
                "partialFingerprints": {"primaryLocationLineHash": print},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
            });
            let log = serde_json::json!({"version": "2.1.0", "runs": [{"results": [result]}]});
            let read = Baseline::read(log.to_string().as_bytes()).unwrap();
            prop_assert_eq!(read.known.len(), 1);
            prop_assert!(read.known.values().all(|known| !known.place.is_empty() && !known.place.contains(':')));
        }
    }
}
