//! GitLab's code quality report, which every tier of GitLab shows on a merge request.
//!
//! Format: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use std::io;

use portcullis_model::{Digest, Outcome, Report, SeverityLevel};
use serde_json::{Value, json};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    json_text::write_json,
    text::{clean, limited},
    view::{View, fix_words, gap_words, known_id, verdict_word},
};

/// `-o gitlab-codequality`
pub(crate) struct GitlabCodequality;

impl ReportFormat for GitlabCodequality {
    fn name(&self) -> &'static str {
        "gitlab-codequality"
    }

    fn describe(&self) -> &'static str {
        "GitLab's code quality report"
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.gitlab.codequality+json"
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let view = View::of(report);
        // Places inside an image are no files of the repository: all point to the Dockerfile, if there is one.
        let path = options.dockerfile.as_ref().map_or("Dockerfile", |dockerfile| dockerfile.path.as_str());
        let issue = |check: &str, severity: &str, key: &str, description: &str| {
            json!({
                "description": limited(description, 1_000),
                "check_name": limited(check, 255),
                "fingerprint": Digest::of(format!("{check}\0{key}").as_bytes()).hex(),
                "severity": severity,
                "location": {"path": clean(path), "lines": {"begin": 1}},
            })
        };
        let mut issues = vec![verdict(report, &issue)];
        for gap in &view.gaps {
            issues.push(issue("portcullis/gap", "major", &gap.path, &gap_words(gap)));
        }
        for finding in view.worst_first() {
            let package = &finding.package;
            let place = package.locations.first().map_or("", |location| location.path.as_str());
            let key = [package.kind.as_str(), &package.name, place].join("\0");
            let words = format!(
                "{} in {} {}: {} ({})",
                known_id(finding),
                limited(&package.name, 200),
                limited(&package.version, 100),
                limited(&finding.title, 300),
                fix_words(finding)
            );
            issues.push(issue(known_id(finding), severity(finding.severity.level), &key, &words));
        }
        write_json(&deduplicated(issues), out)
    }
}

fn verdict(report: &Report, issue: &dyn Fn(&str, &str, &str, &str) -> Value) -> Value {
    let severity = match report.verdict.result {
        Outcome::Pass => "info",
        Outcome::Unknown => "critical",
        Outcome::Fail if report.verdict.policy.audit => "major",
        Outcome::Fail => "blocker",
    };
    let reasons: Vec<_> =
        report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)).collect();
    let words = format!("{} by policy {}: {}", verdict_word(report), report.verdict.policy.name, reasons.join("; "));
    issue("portcullis/verdict", severity, "", &words)
}

const fn severity(level: SeverityLevel) -> &'static str {
    match level {
        SeverityLevel::Critical => "blocker",
        SeverityLevel::High => "critical",
        SeverityLevel::Medium | SeverityLevel::Unknown => "major",
        SeverityLevel::Low => "minor",
        SeverityLevel::None => "info",
    }
}

/// Fingerprints must be unique: two versions of a package in one place would share one.
fn deduplicated(issues: Vec<Value>) -> Vec<Value> {
    let mut seen = std::collections::HashMap::<String, usize>::new();
    issues
        .into_iter()
        .map(|mut issue| {
            let fingerprint = issue.get("fingerprint").and_then(Value::as_str).unwrap_or_default().to_owned();
            let count = seen.entry(fingerprint.clone()).or_insert(0);
            *count += 1;
            if *count > 1
                && let Some(field) = issue.get_mut("fingerprint")
            {
                *field = json!(format!("{fingerprint}-{count}"));
            }
            issue
        })
        .collect()
}
