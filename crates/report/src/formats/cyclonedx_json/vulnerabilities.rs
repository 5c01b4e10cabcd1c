//! Vulnerabilities: one entry a finding, with the component that it is in.

use std::collections::HashMap;

use portcullis_model::{Finding, FixState, SeverityLevel};
use serde_json::{Map, Value, json};

use super::{MAX_VERSION, References, property};
use crate::{
    advice::fixing_version,
    links::links,
    text::head,
    view::{View, known_id},
};

pub(super) fn vulnerabilities(view: &View<'_>, references: &References) -> impl Iterator<Item = Value> {
    let mut findings = view.worst_first();
    findings.extend(view.suppressed.iter().copied());
    let mut used = HashMap::<String, usize>::new();
    findings.into_iter().map(move |finding| {
        let affected = references.of_finding(finding);
        let name = format!("{} {affected}", finding.id);
        let number = used.entry(name.clone()).or_insert(0);
        *number += 1;
        let reference = if *number == 1 { name } else { format!("{name} ({number})") };
        vulnerability(finding, &affected, &reference)
    })
}

fn vulnerability(finding: &Finding, affected: &str, reference: &str) -> Value {
    let mut entry = Map::new();
    let mut insert = |name: &str, value: Value| {
        entry.insert(name.to_owned(), value);
    };
    insert("bom-ref", json!(reference));
    insert("id", json!(known_id(finding)));
    insert("source", json!({"name": finding.evidence.ecosystem}));
    let others = std::iter::once(&finding.id).chain(&finding.aliases).filter(|id| id.as_str() != known_id(finding));
    let mut others: Vec<_> = others.collect();
    others.sort();
    others.dedup();
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(|id| json!({"id": id, "source": {"name": database_of(id)}})).collect();
        insert("references", json!(others));
    }
    insert("ratings", json!([rating(finding)]));
    let cwes: Vec<u32> =
        finding.cwes.iter().filter_map(|cwe| cwe.strip_prefix("CWE-")?.parse().ok()).filter(|cwe| *cwe > 0).collect();
    if !cwes.is_empty() {
        insert("cwes", json!(cwes));
    }
    if !finding.title.is_empty() {
        insert("description", json!(finding.title));
    }
    if let Some(version) = fixing_version(finding) {
        insert("recommendation", json!(format!("upgrade {} to {version}", finding.package.name)));
    }
    let advisories: Vec<_> = links(finding).map(|url| json!({"url": url})).collect();
    if !advisories.is_empty() {
        insert("advisories", json!(advisories));
    }
    if let Some(published) = finding.published {
        insert("published", json!(published));
    }
    if let Some(analysis) = analysis(finding) {
        insert("analysis", analysis);
    }
    let version = head(&finding.package.version, MAX_VERSION);
    let status = match finding.state {
        FixState::NotAffected => "unaffected",
        FixState::Unknown => "unknown",
        _ => "affected",
    };
    let versions = if version.is_empty() { json!([]) } else { json!([{"version": version, "status": status}]) };
    insert("affects", json!([{"ref": affected, "versions": versions}]));
    insert("properties", json!(properties(finding)));
    Value::Object(entry)
}

/// Which database an id is of.
fn database_of(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("CVE") => "CVE",
        Some("GHSA") => "GitHub Advisory Database",
        _ => "OSV",
    }
}

fn rating(finding: &Finding) -> Value {
    let severity = &finding.severity;
    let mut rating = Map::new();
    if let Some(source) = &severity.source {
        rating.insert("source".to_owned(), json!({"name": source}));
    }
    if let Some(score) = severity.score {
        rating.insert("score".to_owned(), json!(score));
    }
    let level = match severity.level {
        SeverityLevel::None => "none",
        level => level.as_str(),
    };
    rating.insert("severity".to_owned(), json!(level));
    if let Some(vector) = &severity.vector {
        let method = match vector.split('/').next() {
            Some("CVSS:4.0") => "CVSSv4",
            Some("CVSS:3.1") => "CVSSv31",
            Some("CVSS:3.0") => "CVSSv3",
            _ if vector.starts_with("AV:") => "CVSSv2",
            _ => "other",
        };
        rating.insert("method".to_owned(), json!(method));
        rating.insert("vector".to_owned(), json!(vector));
    }
    Value::Object(rating)
}

/// Why a finding does not count, in the words of the format.
fn analysis(finding: &Finding) -> Option<Value> {
    let Some(suppression) = &finding.suppressed else {
        let is_safe = finding.state == FixState::NotAffected;
        return is_safe.then(|| json!({"state": "not_affected", "detail": "by the source of the advisory"}));
    };
    let until = suppression.expires.map_or_else(String::new, |end| format!(" (until {end})"));
    let detail = format!("{}: {}{until}", suppression.by, suppression.reason);
    // An exception accepts a risk; it does not say that there is none.
    Some(match suppression.by.as_str() {
        "policy-exception" => json!({"state": "exploitable", "response": ["will_not_fix"], "detail": detail}),
        _ => json!({"state": "not_affected", "detail": detail}),
    })
}

fn properties(finding: &Finding) -> Vec<Value> {
    let mut properties = vec![property("state", finding.state.as_str()), property("range", &finding.evidence.range)];
    properties.extend(finding.fixed_versions.iter().map(|version| property("fixedVersion", version)));
    if finding.kev {
        properties.push(property("kev", "true"));
    }
    if let Some(epss) = finding.epss {
        properties.push(property("epss", epss.score.to_string()));
    }
    properties
}
