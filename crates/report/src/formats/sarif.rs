//! SARIF 2.1.0, as GitHub code scanning takes it.
//!
//! Format: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>. What GitHub reads of it, and its limits:
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.

mod places;
mod results;
mod rules;

use std::{collections::BTreeMap, io};

use portcullis_errors::count_of;
use portcullis_model::{Outcome, Report};
use serde_json::{Value, json};
use serde_sarif::sarif::{
    Invocation, Message, Notification, PropertyBag, Run, RunAutomationDetails, Sarif as Log, Tool, ToolComponent,
};

pub(crate) use self::places::{Places, fingerprint, paths, place};
use crate::{
    PipelineRun, RenderOptions, ReportError, ReportFormat,
    baseline::{Changes, alerts},
    json_text::write_json,
    text::limited,
    view::{View, coverage_words, gap_words, verdict_word},
};

/// `-o sarif`
pub(crate) struct Sarif;

/// GitHub refuses a file with more than 25,000 results, and keeps 5,000 of them.
const MAX_RESULTS: usize = 5_000;

/// The most gaps that are told one by one.
const MAX_GAPS: usize = 200;

/// The longest text of any kind; GitHub's limit for descriptions.
pub(super) const MAX_TEXT: usize = 1_000;

impl ReportFormat for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn describe(&self) -> &'static str {
        "SARIF 2.1.0, for GitHub code scanning and others"
    }

    fn extension(&self) -> &'static str {
        "sarif"
    }

    fn media_type(&self) -> &'static str {
        "application/sarif+json"
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let log = Log::builder()
            .schema("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
            .version(json!("2.1.0"))
            .runs(vec![run(report, options)])
            .build();
        write_json(&log, out)
    }
}

fn run(report: &Report, options: &RenderOptions) -> Run {
    let view = View::of(report);
    let mut findings = view.worst_first();
    // Accepted ones last, so that a limit takes them first.
    findings.extend(view.suppressed.iter().copied());
    let mut alerts = alerts(&findings);
    let total = alerts.len();
    alerts.truncate(options.max_findings.unwrap_or(MAX_RESULTS));
    // In the same order: no further ones than the last alert's.
    let last = alerts.last().map(|alert| std::ptr::from_ref(alert.finding));
    let told = findings.iter().position(|finding| Some(std::ptr::from_ref(*finding)) == last).map_or(0, |at| at + 1);
    findings.truncate(told);
    let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
    let absent = changes.as_ref().map_or(&[][..], |changes| &changes.absent);
    let rules = rules::Rules::of(&findings).with_absent(absent);
    let results = results::results(report, &view, &alerts, &rules, changes.as_ref(), options);
    let driver = ToolComponent::builder()
        .name("Portcullis")
        .semantic_version(limited(&report.tool.version, 100))
        .version(limited(&report.tool.version, 100))
        .information_uri("https://github.com/portcullis-dev/portcullis")
        .rules(rules.into_descriptors(&findings, &view.commands))
        .build();
    Run::builder()
        .tool(Tool::from(driver))
        .automation_details(RunAutomationDetails::builder().id(category(report)).build())
        .column_kind(json!("utf16CodeUnits"))
        .invocations(vec![invocation(report, &view, total, alerts.len())])
        .results(results)
        .properties(run_properties(report, options))
        .build()
}

/// The category that GitHub files alerts under: the same for every tag of a repository, one for each directory.
fn category(report: &Report) -> String {
    let platform = report.target.platform.as_ref().map_or_else(
        || "any".to_owned(),
        |platform| {
            let variant = platform.variant.as_ref().map_or_else(String::new, |variant| format!("-{variant}"));
            format!("{}-{}{variant}", platform.os, platform.architecture)
        },
    );
    let name = places::target_name(&report.target);
    limited(&format!("portcullis/{name}/{platform}/"), 400)
}

/// The verdict, every gap, and what was left out.
fn invocation(report: &Report, view: &View<'_>, total: usize, kept: usize) -> Invocation {
    let notification = |level: &str, text: &str| {
        Notification::builder()
            .level(json!(level))
            .message(Message::builder().text(limited(text, MAX_TEXT)).build())
            .time_utc(report.created.to_string())
            .build()
    };
    let verdict_level = match report.verdict.result {
        Outcome::Pass => "note",
        Outcome::Unknown => "warning",
        Outcome::Fail => "error",
    };
    let policy = &report.verdict.policy.name;
    let mut notifications =
        vec![notification(verdict_level, &format!("verdict: {} by policy {policy}", verdict_word(report)))];
    for reason in &report.verdict.reasons {
        let level = match reason.result {
            Outcome::Pass => "note",
            Outcome::Unknown => "warning",
            Outcome::Fail => "error",
        };
        notifications.push(notification(level, &format!("{} {}: {}", reason.result, reason.rule, reason.message)));
    }
    if kept < total {
        let text = format!(
            "{kept} of {} are told, the worst first: the rest is beyond the limit",
            count_of(total, "result", "results")
        );
        notifications.push(notification("warning", &text));
    }
    notifications.extend(view.gaps.iter().take(MAX_GAPS).map(|gap| notification("warning", &gap_words(gap))));
    if let Some(more) = view.gaps.len().checked_sub(MAX_GAPS).filter(|more| *more > 0) {
        notifications.push(notification("warning", &format!("could not read: {more} more places")));
    }
    let note = |text: String| notification("note", &text);
    notifications.extend(view.notes.iter().take(MAX_GAPS).map(|w| note(format!("{}: {}", w.path, w.message))));
    if report.database.starter {
        notifications
            .push(note("judged by the starter database, which knows little: run `portcullis db update`".to_owned()));
    }
    Invocation::builder()
        .execution_successful(true)
        .end_time_utc(report.created.to_string())
        .tool_execution_notifications(notifications)
        .build()
}

fn run_properties(report: &Report, options: &RenderOptions) -> PropertyBag {
    let digest = |digest: &Option<portcullis_model::Digest>| digest.map_or(Value::Null, |digest| json!(digest));
    let mut properties = BTreeMap::from([
        ("portcullis/verdict".to_owned(), json!(report.verdict.result)),
        ("portcullis/image".to_owned(), json!(limited(&report.target.reference, MAX_TEXT))),
        ("portcullis/digest".to_owned(), digest(&report.target.digest)),
        ("portcullis/policy".to_owned(), json!(report.verdict.policy.digest)),
        ("portcullis/database".to_owned(), json!(report.database.digest)),
        ("portcullis/databaseBuilt".to_owned(), json!(report.database.built)),
    ]);
    if let Some(coverage) = coverage_words(report) {
        properties.insert("portcullis/coverage".to_owned(), json!(coverage));
    }
    if let Some(base) = report.target.base.as_ref().and_then(|base| base.reference.as_deref()) {
        properties.insert("portcullis/baseImage".to_owned(), json!(limited(base, MAX_TEXT)));
    }
    if let Some(PipelineRun { system, url, commit, branch }) = &options.run {
        let facts = [
            ("pipeline", Some(system)),
            ("run", url.as_ref()),
            ("commit", commit.as_ref()),
            ("branch", branch.as_ref()),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| Some((format!("portcullis/{name}"), value?)));
        properties.extend(facts.map(|(name, value)| (name, json!(limited(value, MAX_TEXT)))));
    }
    PropertyBag::builder().additional_properties(properties).build()
}
