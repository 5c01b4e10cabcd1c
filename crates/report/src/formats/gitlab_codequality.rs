//! GitLab's code quality report, which every tier of GitLab shows on a merge request.
//!
//! Format: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use std::io;

use portcullis_model::{Digest, Finding, Outcome, Report, SeverityLevel};
use serde_json::{Value, json};

use super::sarif::Places;
use crate::{
    RenderOptions, ReportError, ReportFormat,
    json_text::write_json,
    text::limited,
    view::{ADVISORIES, View, fix_words, gap_words, known_id, verdict_word},
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
        let findings = view.worst_first();
        let issuer = Issuer::of(report, options, &findings);
        let mut issues = vec![verdict(report, &issuer)];
        for gap in &view.gaps {
            let place = issuer.places.file(&gap.path).filter(|_| gap.path != ADVISORIES).map(|file| (file, 1));
            issues.push(issuer.issue("portcullis/gap", "major", &gap.path, &gap_words(gap), place));
        }
        for finding in findings {
            let package = &finding.package;
            let path = package.locations.first().map_or("", |location| location.path.as_str());
            let key = [package.kind.as_str(), &package.name, path].join("\0");
            let words = format!(
                "{} in {} {}: {} ({})",
                known_id(finding),
                limited(&package.name, 200),
                limited(&package.version, 100),
                limited(&finding.title, 300),
                fix_words(finding)
            );
            let place = issuer.places.in_repository(finding, path).map(|(file, lines)| (file, *lines.start()));
            issues.push(issuer.issue(known_id(finding), severity(finding.severity.level), &key, &words, place));
        }
        write_json(&deduplicated(issues), out)
    }
}

/// What all issues of a report have in common.
struct Issuer<'a> {
    places: Places<'a>,
    /// The place of what has none of its own.
    elsewhere: String,
    /// The directory, so that jobs of several in one pipeline have issues of their own; empty for images.
    folder: String,
}

impl<'a> Issuer<'a> {
    /// Places inside an image are no files of the repository: what no line of the Dockerfile made points to its first,
    /// and in a directory to the file of the worst finding.
    fn of(report: &'a Report, options: &'a RenderOptions, findings: &[&Finding]) -> Self {
        let places = Places::of(report, options);
        let dockerfile = options.dockerfile.as_ref().map(|dockerfile| dockerfile.path.clone());
        let worst = || places.file(&findings.first()?.package.locations.first()?.path);
        let elsewhere = dockerfile.or_else(worst).unwrap_or_else(|| "Dockerfile".to_owned());
        let folder = places.folder();
        Self { places, elsewhere, folder }
    }

    fn issue(
        &self,
        check: &str,
        severity: &str,
        key: &str,
        description: &str,
        place: Option<(String, usize)>,
    ) -> Value {
        let (path, line) = place.unwrap_or_else(|| (self.elsewhere.clone(), 1));
        let mut text = format!("{check}\0{key}");
        if !self.folder.is_empty() {
            text.push_str(&format!("\0{}", self.folder));
        }
        json!({
            "description": limited(description, 1_000),
            "check_name": limited(check, 255),
            "fingerprint": Digest::of(text.as_bytes()).hex(),
            "severity": severity,
            "location": {"path": limited(&path, 1_000), "lines": {"begin": line}},
        })
    }
}

fn verdict(report: &Report, issuer: &Issuer<'_>) -> Value {
    let severity = match report.verdict.result {
        Outcome::Pass => "info",
        Outcome::Unknown => "critical",
        Outcome::Fail if report.verdict.policy.audit => "major",
        Outcome::Fail => "blocker",
    };
    let reasons: Vec<_> =
        report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)).collect();
    let words = format!("{} by policy {}: {}", verdict_word(report), report.verdict.policy.name, reasons.join("; "));
    issuer.issue("portcullis/verdict", severity, "", &words, None)
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
