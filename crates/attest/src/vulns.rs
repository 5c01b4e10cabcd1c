//! The findings as in-toto has them.
//!
//! Format: <https://github.com/in-toto/attestation/blob/v1.1.2/spec/predicates/vulns_02.md>

use std::collections::BTreeMap;

use portcullis_model::{Digest, Finding, Report};
use portcullis_registry::Reference;
use serde_json::{Value, json};

use crate::{
    Statement,
    predicates::{DATABASE, scanner_uri},
    statement::predicate_type,
};

/// The statement of a report's findings about an image: one result for each vulnerability, with the packages that it is
/// in. What does not count is listed too, with the reason.
#[must_use]
pub fn vulns_statement(report: &Report, image: &Reference, digest: &Digest) -> Statement {
    let mut by_id: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        by_id.entry(finding.cve.as_deref().unwrap_or(&finding.id)).or_default().push(finding);
    }
    let results: Vec<Value> = by_id.iter().map(|(id, findings)| result(id, findings)).collect();
    let database = json!({
        "uri": DATABASE, "version": report.database.digest, "lastUpdate": report.database.built,
    });
    let predicate = json!({
        "scanner": {
            "uri": scanner_uri(report),
            "version": report.tool.version,
            "db": database,
            "result": results,
        },
        "metadata": {"scanStartedOn": report.created, "scanFinishedOn": report.created},
    });
    Statement::new(&image.name(), digest, predicate_type::IN_TOTO_VULNERABILITIES, predicate)
}

fn result(id: &str, findings: &[&Finding]) -> Value {
    let mut severity = Vec::new();
    for finding in findings {
        let rated = &finding.severity;
        let mut add = |method: &str, score: String| {
            let entry = json!({"method": method, "score": score});
            if !severity.contains(&entry) {
                severity.push(entry);
            }
        };
        if let Some(score) = rated.score {
            add("cvss", format!("{score:.1}"));
        }
        if let Some(vector) = &rated.vector {
            add("cvss_vector", vector.to_string());
        }
        add("level", rated.level.to_string());
    }
    let annotations: Vec<Value> = findings.iter().map(|finding| annotation(finding)).collect();
    json!({"id": id, "severity": severity, "annotations": annotations})
}

fn annotation(finding: &Finding) -> Value {
    let mut annotation = json!({
        "package": finding.package.purl,
        "advisory": finding.id,
        "state": finding.state,
        "fixedVersions": finding.fixed_versions,
        "kev": finding.kev,
    });
    if let (Some(suppressed), Some(fields)) = (&finding.suppressed, annotation.as_object_mut()) {
        fields.insert("suppressed".into(), json!({"by": suppressed.by, "reason": suppressed.reason}));
    }
    annotation
}
