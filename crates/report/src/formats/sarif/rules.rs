//! Rules: one per vulnerability, with the help text that GitHub shows.

use std::collections::{BTreeMap, HashMap};

use portcullis_model::{Finding, SeverityLevel};
use serde_json::json;
use serde_sarif::sarif::{MultiformatMessageString, PropertyBag, ReportingConfiguration, ReportingDescriptor};

use super::MAX_TEXT;
use crate::{
    advice::Commands,
    baseline::Known,
    links::{links, page},
    text::{clean, limited, markdown},
    view::{fix_words, known_id},
};

/// The rules of a run, by the ids of vulnerabilities.
pub(super) struct Rules {
    index: HashMap<String, usize>,
    ids: Vec<String>,
    /// Those of vulnerabilities that no finding is of any more; they come last.
    absent: Vec<(String, SeverityLevel)>,
}

/// How many packages a help text lists.
const MAX_PACKAGES: usize = 20;

/// How many links it lists.
const MAX_LINKS: usize = 10;

impl Rules {
    /// The rules that `findings` need, in their order.
    pub(super) fn of(findings: &[&Finding]) -> Self {
        let mut rules = Self { index: HashMap::new(), ids: Vec::new(), absent: Vec::new() };
        for finding in findings {
            let id = rule_id(finding);
            if !rules.index.contains_key(&id) {
                rules.index.insert(id.clone(), rules.ids.len());
                rules.ids.push(id);
            }
        }
        rules
    }

    /// The rules of what is gone, too.
    pub(super) fn with_absent(mut self, absent: &[(&str, &Known)]) -> Self {
        for (_, known) in absent {
            if !self.index.contains_key(&known.id) {
                self.index.insert(known.id.clone(), self.ids.len());
                self.ids.push(known.id.clone());
                self.absent.push((known.id.clone(), known.level));
            }
        }
        self
    }

    /// The place of a finding's rule among the descriptors.
    pub(super) fn index_of(&self, id: &str) -> Option<i64> {
        self.index.get(id).and_then(|index| i64::try_from(*index).ok())
    }

    pub(super) fn into_descriptors(self, findings: &[&Finding], commands: &Commands<'_>) -> Vec<ReportingDescriptor> {
        let mut of_rule: Vec<Vec<&Finding>> = vec![Vec::new(); self.ids.len()];
        for finding in findings {
            let rule = self.index.get(&rule_id(finding)).and_then(|index| of_rule.get_mut(*index));
            if let Some(rule) = rule {
                rule.push(finding);
            }
        }
        let here = self.ids.into_iter().zip(of_rule).filter_map(|(id, findings)| descriptor(id, &findings, commands));
        here.chain(self.absent.into_iter().map(|(id, level)| former(id, level))).collect()
    }
}

/// The id of a finding's rule.
pub(super) fn rule_id(finding: &Finding) -> String {
    limited(known_id(finding), 255)
}

fn descriptor(id: String, findings: &[&Finding], commands: &Commands<'_>) -> Option<ReportingDescriptor> {
    // The worst speaks for the rule; results carry their own level.
    let worst = findings.iter().copied().max_by_key(|finding| finding.severity.level)?;
    let title = findings.iter().map(|finding| finding.title.trim()).find(|title| !title.is_empty());
    let title = title.map_or_else(|| format!("Vulnerability {id}"), |title| limited(title, MAX_TEXT));
    let level = worst.severity.level;
    let mut tags = vec!["security".to_owned(), "vulnerability".to_owned(), level.as_str().to_owned()];
    tags.push(worst.package.kind.as_str().to_owned());
    if findings.iter().any(|finding| finding.kev) {
        tags.push("known-exploited".to_owned());
    }
    tags.extend(worst.cwes.iter().take(5).map(|cwe| format!("external/cwe/{}", limited(&cwe.to_lowercase(), 40))));
    let mut properties = BTreeMap::from([("precision".to_owned(), json!("very-high"))]);
    if let Some(score) = security_severity(worst) {
        // A string that holds a number: GitHub ignores a number.
        properties.insert("security-severity".to_owned(), json!(format!("{score:.1}")));
    }
    let configuration = ReportingConfiguration::builder().level(json!(result_level(level))).build();
    let full = format!("{id}: {title}");
    let full = if full.ends_with(['.', '!', '?']) { full } else { format!("{full}.") };
    Some(
        ReportingDescriptor::builder()
            .short_description(message(&full))
            .full_description(message(&full))
            .help(help(&id, &title, worst, findings, commands))
            .help_uri(page(worst))
            .default_configuration(configuration)
            .properties(PropertyBag::builder().tags(tags).additional_properties(properties).build())
            .id(id)
            .build(),
    )
}

/// The rule of a vulnerability that is gone.
fn former(id: String, level: SeverityLevel) -> ReportingDescriptor {
    let text = format!("{id}: no longer found.");
    ReportingDescriptor::builder()
        .short_description(message(&text))
        .full_description(message(&text))
        .help(MultiformatMessageString::builder().text(text.clone()).markdown(markdown(&text)).build())
        .default_configuration(ReportingConfiguration::builder().level(json!(result_level(level))).build())
        .properties(PropertyBag::builder().tags(vec!["security".to_owned(), "vulnerability".to_owned()]).build())
        .id(id)
        .build()
}

fn message(text: &str) -> MultiformatMessageString {
    MultiformatMessageString::builder().text(limited(text, MAX_TEXT)).build()
}

/// The number that GitHub sorts and colours by. It must agree with the severity that is reported, which may be the
/// distribution's and not the score's: where they differ, the middle of the severity's range is given.
fn security_severity(finding: &Finding) -> Option<f64> {
    let level = finding.severity.level;
    let middle = match level {
        SeverityLevel::Critical => 9.5,
        SeverityLevel::High => 8.0,
        SeverityLevel::Medium => 5.5,
        SeverityLevel::Low => 2.0,
        SeverityLevel::None => 0.0,
        SeverityLevel::Unknown => return None,
    };
    Some(finding.severity.score.filter(|score| SeverityLevel::from_score(*score) == level).unwrap_or(middle))
}

pub(super) const fn result_level(level: SeverityLevel) -> &'static str {
    match level {
        SeverityLevel::Critical | SeverityLevel::High => "error",
        SeverityLevel::Medium | SeverityLevel::Unknown => "warning",
        SeverityLevel::Low | SeverityLevel::None => "note",
    }
}

fn help(
    id: &str,
    title: &str,
    worst: &Finding,
    findings: &[&Finding],
    commands: &Commands<'_>,
) -> MultiformatMessageString {
    let mut text = format!("{id}: {title}\n");
    let mut marked = format!("**{}**: {}\n\n", markdown(id), markdown(title));
    for (name, value) in facts(worst) {
        text.push_str(&format!("{name}: {value}\n"));
        marked.push_str(&format!("- {name}: {}\n", markdown(&value)));
    }
    marked.push_str("\n| Package | Installed | Fix | Command |\n| --- | --- | --- | --- |\n");
    for finding in findings.iter().take(MAX_PACKAGES) {
        let package = &finding.package;
        let (name, version, fix) =
            (limited(&package.name, 200), limited(&package.version, 100), limited(&fix_words(finding), 200));
        let command = commands.fix(finding);
        text.push_str(&format!(
            "{name} {version}: {fix}{}\n",
            command.as_deref().map_or_else(String::new, |c| format!(": {c}"))
        ));
        let command = command.map_or_else(String::new, |command| code(&command));
        marked.push_str(&format!(
            "| {} | {} | {} | {command} |\n",
            markdown(&name),
            markdown(&version),
            markdown(&fix)
        ));
    }
    let more = findings.len().saturating_sub(MAX_PACKAGES);
    if more > 0 {
        text.push_str(&format!("and {more} more packages\n"));
        marked.push_str(&format!("\nand {more} more packages\n"));
    }
    marked.push('\n');
    for url in links(worst).take(MAX_LINKS) {
        text.push_str(&format!("{url}\n"));
        marked.push_str(&format!("- <{url}>\n"));
    }
    MultiformatMessageString::builder().text(text.trim_end().to_owned()).markdown(marked.trim_end().to_owned()).build()
}

/// A command in a table's cell: a code span cannot hold backquotes and bars as they are.
fn code(command: &str) -> String {
    let command = limited(command, 300);
    if command.contains(['`', '|']) { markdown(&command) } else { format!("`{command}`") }
}

fn facts(finding: &Finding) -> Vec<(&'static str, String)> {
    let severity = &finding.severity;
    let mut facts = vec![(
        "Severity",
        match &severity.source {
            Some(source) => format!("{} (by {})", severity.level, limited(source, 60)),
            None => severity.level.to_string(),
        },
    )];
    if let Some(score) = severity.score {
        let vector = severity.vector.as_deref().unwrap_or_default();
        facts.push(("CVSS", format!("{score:.1} {}", limited(vector, 150)).trim_end().to_owned()));
    }
    if finding.kev {
        facts.push(("Exploited", "listed in CISA's Known Exploited Vulnerabilities".to_owned()));
    }
    if let Some(epss) = finding.epss {
        facts.push(("EPSS", format!("{:.2} %, percentile {:.0}", epss.score * 100.0, epss.percentile * 100.0)));
    }
    if let Some(published) = finding.published {
        facts.push(("Published", published.date()));
    }
    let others: Vec<_> = std::iter::once(&finding.id)
        .chain(&finding.aliases)
        .filter(|id| id.as_str() != known_id(finding))
        .take(10)
        .map(|id| clean(id).into_owned())
        .collect();
    if !others.is_empty() {
        facts.push(("Also known as", limited(&others.join(", "), 300)));
    }
    facts
}
