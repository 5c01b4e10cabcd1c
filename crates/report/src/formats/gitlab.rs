//! GitLab's container scanning report, schema 15.0.7.
//!
//! Format: <https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/tree/v15.0.7/dist>. GitLab takes
//! a report only from a job that succeeds, so the gate is a second job.

use std::io;

use portcullis_model::{Digest, Finding, Report, SeverityLevel};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    advice::{Commands, fixing_version},
    json_text::{Each, write_json},
    links::{links, page_of_id},
    text::limited,
    view::{View, base_words, coverage_words, distribution_words, gap_words, known_id, verdict_word, written},
};

/// `-o gitlab`
pub(crate) struct Gitlab;

/// GitLab's limits: a longer one makes it refuse the report.
const MAX_NAME: usize = 255;
const MAX_TEXT: usize = 1_000;

const SCHEMA: &str = "https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/raw/v15.0.7/dist/container-scanning-report-format.json";

#[derive(Serialize)]
struct Document<V> {
    version: &'static str,
    schema: &'static str,
    scan: Value,
    vulnerabilities: V,
    remediations: [(); 0],
}

impl ReportFormat for Gitlab {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn describe(&self) -> &'static str {
        "GitLab's container scanning report"
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.gitlab.container-scanning+json"
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let view = View::of(report);
        // Seconds, and no zone: the schema takes nothing else.
        let time = report.created.to_string().trim_end_matches('Z').to_owned();
        let program = json!({
            "id": "portcullis",
            "name": "Portcullis",
            "version": limited(&report.tool.version, MAX_NAME),
            "url": "https://github.com/portcullis-dev/portcullis",
            "vendor": {"name": "Portcullis"},
        });
        let scan = json!({
            "analyzer": program,
            "scanner": program,
            "type": "container_scanning",
            "status": "success",
            "start_time": time,
            "end_time": time,
            "messages": messages(report, &view),
        });
        let document = Document {
            version: "15.0.7",
            schema: SCHEMA,
            scan,
            vulnerabilities: Each(|| {
                view.worst_first().into_iter().map(|finding| vulnerability(report, finding, &view.commands))
            }),
            remediations: [],
        };
        write_json(&document, out)
    }
}

/// The verdict, every gap, and what does not count: GitLab shows them beside the findings.
fn messages(report: &Report, view: &View<'_>) -> Vec<Value> {
    let message = |level: &str, text: String| json!({"level": level, "value": limited(&text, MAX_TEXT)});
    let verdict = format!("verdict: {} by policy {}", verdict_word(report), report.verdict.policy.name);
    let mut messages = vec![message("info", verdict)];
    let reasons = &report.verdict.reasons;
    messages.extend(reasons.iter().map(|r| message("info", format!("{} {}: {}", r.result, r.rule, r.message))));
    messages.extend(view.gaps.iter().map(|gap| message("warn", gap_words(gap))));
    messages.extend(base_words(report, view).map(|base| message("info", format!("base image {base}"))));
    messages.extend(coverage_words(report).map(|coverage| message("info", format!("coverage: {coverage}"))));
    messages.extend(view.suppressed.iter().map(|finding| {
        let why = finding.suppressed.as_ref().map_or("not affected", |suppression| suppression.reason.as_str());
        message("info", format!("suppressed: {} in {}: {why}", known_id(finding), finding.package.name))
    }));
    messages
}

fn vulnerability(report: &Report, finding: &Finding, commands: &Commands<'_>) -> Value {
    let package = &finding.package;
    let id = known_id(finding);
    let name = if finding.title.is_empty() { format!("{id} in {}", package.name) } else { finding.title.to_string() };
    let mut entry = Map::new();
    let mut insert = |name: &str, value: Value| {
        entry.insert(name.to_owned(), value);
    };
    insert("id", json!(identity(finding)));
    insert("name", json!(not_empty(limited(&name, MAX_NAME))));
    let description = format!(
        "{} {} is affected by {id}: {}",
        limited(&package.name, 200),
        limited(&package.version, 100),
        finding.title
    );
    insert("description", json!(limited(description.trim_end_matches(": "), MAX_TEXT)));
    insert("severity", json!(severity(finding.severity.level)));
    if let Some(version) = fixing_version(finding) {
        let command = commands.fix(finding).map_or_else(String::new, |command| format!(": {command}"));
        let version = written(package, version);
        insert("solution", json!(limited(&format!("Upgrade {} to {version}{command}", package.name), MAX_TEXT)));
    }
    insert("identifiers", json!(identifiers(finding)));
    if let Some(vector) = finding.severity.vector.as_deref().filter(|vector| is_cvss_3(vector)) {
        let vendor = finding.severity.source.as_deref().unwrap_or("unknown");
        insert("cvss_vectors", json!([{"vendor": not_empty(limited(vendor, MAX_NAME)), "vector": vector}]));
    }
    let links: Vec<_> = links(finding).map(|url| json!({"url": url})).collect();
    if !links.is_empty() {
        insert("links", json!(links));
    }
    insert(
        "location",
        json!({
            "dependency": {
                "package": {"name": not_empty(limited(&package.name, MAX_NAME))},
                "version": limited(&package.version, MAX_NAME),
            },
            "operating_system": not_empty(limited(&distribution_words(report), MAX_NAME)),
            "image": image(&report.target.reference),
        }),
    );
    Value::Object(entry)
}

/// The same finding has the same id in every report.
fn identity(finding: &Finding) -> String {
    let package = &finding.package;
    let path = package.locations.first().map_or("", |location| location.path.as_str());
    let text = [&finding.id, package.kind.as_str(), &package.name, &package.version, path].join("\0");
    Digest::of(text.as_bytes()).hex()
}

/// Whether the schema takes a vector: it refuses the whole report because of one that it does not know.
fn is_cvss_3(vector: &str) -> bool {
    let metrics = vector.strip_prefix("CVSS:3.1/").or_else(|| vector.strip_prefix("CVSS:3.0/"));
    let values = |metric: &str| match metric {
        "AV" => "NALP",
        "AC" => "LH",
        "PR" => "NLH",
        "UI" => "NR",
        "S" => "UC",
        "C" | "I" | "A" => "NLH",
        _ => "",
    };
    metrics.is_some_and(|metrics| {
        metrics.split('/').all(|part| {
            part.split_once(':').is_some_and(|(metric, value)| value.len() == 1 && values(metric).contains(value))
        })
    }) && (32..=128).contains(&vector.len())
}

fn identifiers(finding: &Finding) -> Vec<Value> {
    let mut ids: Vec<_> =
        finding.cve.iter().chain([&finding.id]).chain(&finding.aliases).map(|id| limited(id, MAX_NAME)).collect();
    // GitLab tells findings apart by the first: it must not depend on which record was found.
    let first = ids.first().cloned();
    ids.sort_by_key(|id| (Some(id) != first.as_ref(), id.clone()));
    ids.dedup();
    let identifier = |id: String| {
        let id = not_empty(id);
        let kind = match id.split('-').next() {
            Some("CVE") => "cve",
            Some("GHSA") => "ghsa",
            _ => "osv",
        };
        json!({"type": kind, "name": id, "value": id, "url": page_of_id(&id)})
    };
    let mut identifiers: Vec<_> = ids.into_iter().take(15).map(identifier).collect();
    let cwes = finding.cwes.iter().filter_map(|cwe| cwe.strip_prefix("CWE-")?.parse::<u32>().ok());
    identifiers.extend(cwes.take(5).map(|number| {
        json!({
            "type": "cwe",
            "name": format!("CWE-{number}"),
            "value": number.to_string(),
            "url": format!("https://cwe.mitre.org/data/definitions/{number}.html"),
        })
    }));
    identifiers
}

const fn severity(level: SeverityLevel) -> &'static str {
    match level {
        SeverityLevel::Critical => "Critical",
        SeverityLevel::High => "High",
        SeverityLevel::Medium => "Medium",
        SeverityLevel::Low => "Low",
        SeverityLevel::None => "Info",
        SeverityLevel::Unknown => "Unknown",
    }
}

/// The image with a tag, which the schema insists on: `latest` where only a digest was named.
fn image(reference: &str) -> String {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let name: String = limited(name, MAX_NAME - 10).chars().filter(|c| c.is_ascii_graphic()).collect();
    let has_tag =
        name.rsplit_once(':').is_some_and(|(before, tag)| !tag.contains('/') && !tag.is_empty() && !before.is_empty());
    let colons = name.matches(':').count();
    match (has_tag, colons) {
        (true, 1) => name,
        // With a port.
        (true, 2) if name.split(':').nth(1).is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit())) => name,
        (false, 0) if !name.is_empty() => format!("{name}:latest"),
        (false, 1) if name.split(':').nth(1).is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit())) => {
            format!("{name}:latest")
        }
        // A file or directory is no image, but the schema has no other word.
        _ => format!("{}:latest", not_empty(name.replace(':', "-"))),
    }
}

fn not_empty(text: String) -> String {
    if text.trim().is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_a_tag() {
        for (reference, written) in [
            ("registry.example/team/app:1.2", "registry.example/team/app:1.2"),
            ("registry.example:5000/app", "registry.example:5000/app:latest"),
            ("registry.example:5000/app:1@sha256:00", "registry.example:5000/app:1"),
            ("app@sha256:00", "app:latest"),
            ("oci-archive:/tmp/a.tar", "oci-archive-/tmp/a.tar:latest"),
            ("", "unknown:latest"),
        ] {
            assert_eq!(image(reference), written, "{reference}");
        }
    }
}
