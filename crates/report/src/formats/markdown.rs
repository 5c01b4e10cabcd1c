//! GitHub-flavoured Markdown: for merge requests, wikis and mails.
//!
//! Format: <https://github.github.com/gfm/>. Untrusted text is escaped so that it is neither markup nor a mention.

use std::io;

use portcullis_model::{Finding, Report};

use crate::{
    PipelineRun, RenderOptions, ReportError, ReportFormat,
    advice::{Advice, upgrade_command},
    baseline::Changes,
    links::page,
    text::{count_of, limited, markdown},
    view::{
        View, base_words, coverage_words, database_words, distribution_words, fix_words, gap_words, known_id,
        place_words, target_words, verdict_word,
    },
};

/// `-o markdown`
pub(crate) struct Markdown;

impl ReportFormat for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn describe(&self) -> &'static str {
        "Markdown, for merge requests and wikis"
    }

    fn extension(&self) -> &'static str {
        "md"
    }

    fn media_type(&self) -> &'static str {
        "text/markdown"
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        out.write_all(render(report, options, usize::MAX).as_bytes())?;
        Ok(())
    }
}

/// The longest title in a table.
const MAX_TITLE: usize = 120;

/// The most reasons, gaps and upgrades that are listed where space is short.
const MAX_LISTED: usize = 100;

/// How many findings are shown before the rest is folded away.
const SHOWN_AT_ONCE: usize = 20;

/// How many commands are shown.
const MAX_COMMANDS: usize = 20;

/// The page, in at most about `budget` bytes: what does not fit is counted.
pub(crate) fn render(report: &Report, options: &RenderOptions, budget: usize) -> String {
    let budget = options.max_bytes.unwrap_or(budget).min(budget);
    let view = View::of(report);
    let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
    // A comment has room for a few; a page of its own for all.
    let listed = if budget == usize::MAX { usize::MAX } else { MAX_LISTED.min(budget / 4_000) };
    let mut text = format!("## {}: {}\n\n", verdict_word(report), shown(&target_words(report), 300));
    text.push_str(&format!("**{}**", markdown(&view.summary())));
    if let Some(changes) = &changes {
        text.push_str(&format!("; **{}**", view.new_words(changes)));
    }
    text.push_str(&format!(". By policy **{}**:\n\n", shown(&report.verdict.policy.name, 200)));
    list(&mut text, listed, report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)));
    text.push('\n');
    if let Some(changes) = &changes {
        since_baseline(&mut text, report, &view, changes, listed);
    }
    what_to_do(&mut text, &view, listed);
    if !view.gaps.is_empty() {
        text.push_str("### Could not be read\n\n");
        list(&mut text, listed, view.gaps.iter().map(|gap| gap_words(gap)));
        text.push('\n');
    }
    // What comes after the findings needs its room.
    findings(&mut text, report, &view, budget.saturating_sub(budget / 8));
    if options.show_suppressed || budget == usize::MAX {
        suppressed(&mut text, &view, listed);
    }
    facts(&mut text, report, &view, options.run.as_ref(), listed.min(20));
    text
}

fn shown(text: &str, max: usize) -> String {
    markdown(&limited(text, max))
}

fn list(text: &mut String, max: usize, items: impl ExactSizeIterator<Item = String>) {
    let more = items.len().saturating_sub(max);
    for item in items.take(max) {
        text.push_str(&format!("- {}\n", shown(&item, 600)));
    }
    if more > 0 {
        text.push_str(&format!("- and {more} more\n"));
    }
}

/// What came and went: the first thing that a reviewer asks.
fn since_baseline(text: &mut String, report: &Report, view: &View<'_>, changes: &Changes<'_>, listed: usize) {
    let new: Vec<_> = view.worst_first().into_iter().filter(|finding| changes.is_new(finding)).collect();
    if !new.is_empty() {
        text.push_str("### New since the baseline\n\n");
        text.push_str(TABLE_HEAD);
        let most = listed.min(SHOWN_AT_ONCE);
        new.iter().take(most).for_each(|finding| text.push_str(&row(report, finding)));
        if let Some(more) = new.len().checked_sub(most).filter(|more| *more > 0) {
            text.push_str(&format!("\nand {more} more\n"));
        }
        text.push('\n');
    }
    let gone: Vec<_> = changes.gone().map(|known| format!("{} {} in {}", known.level, known.id, known.text)).collect();
    if !gone.is_empty() {
        text.push_str("### Gone since the baseline\n\n");
        list(text, listed.min(SHOWN_AT_ONCE), gone.into_iter());
        text.push('\n');
    }
}

/// The upgrades that fix most, and the commands for them.
fn what_to_do(text: &mut String, view: &View<'_>, listed: usize) {
    if view.advice.is_empty() {
        return;
    }
    text.push_str("### What to do\n\n");
    let words = |advice: &Advice<'_>| {
        let package = advice.package;
        format!(
            "upgrade {} from {} to {}: fixes {}, the worst {}",
            package.name, package.version, advice.version, advice.fixes, advice.worst
        )
    };
    list(text, listed, view.advice.iter().map(words));
    let commands = view.advice.iter().take(listed.min(MAX_COMMANDS));
    // No package's name has such signs. In a block they would be no markup, but not everybody renders blocks alike.
    let is_plain = |command: &String| !command.contains(['<', '`']);
    let commands = commands.filter_map(|advice| upgrade_command(advice.package, advice.version)).filter(is_plain);
    let commands: Vec<_> = commands.collect();
    if !commands.is_empty() {
        text.push_str("\n```sh\n");
        commands.iter().for_each(|command| text.push_str(&format!("{}\n", limited(command, 300))));
        text.push_str("```\n");
    }
    text.push('\n');
}

const TABLE_HEAD: &str =
    "| Severity | Vulnerability | Package | Installed | Fix | |\n| --- | --- | --- | --- | --- | --- |\n";

fn findings(text: &mut String, report: &Report, view: &View<'_>, budget: usize) {
    let findings = view.worst_first();
    if findings.is_empty() {
        return;
    }
    text.push_str("### Findings\n\n");
    text.push_str(TABLE_HEAD);
    let (first, rest) = findings.split_at(findings.len().min(SHOWN_AT_ONCE));
    let mut told = rows(text, report, first, budget);
    if !rest.is_empty() && told == first.len() {
        text.push_str(&format!("\n<details>\n<summary>{} more</summary>\n\n{TABLE_HEAD}", rest.len()));
        told += rows(text, report, rest, budget);
        text.push_str("\n</details>\n");
    }
    if let Some(left) = findings.len().checked_sub(told).filter(|left| *left > 0) {
        let more = count_of(left, "more finding", "more findings");
        text.push_str(&format!("\nand {more}: the page has no more room\n"));
    }
    text.push('\n');
}

/// Rows as long as there is room; how many were written.
fn rows(text: &mut String, report: &Report, findings: &[&Finding], budget: usize) -> usize {
    for (index, finding) in findings.iter().enumerate() {
        let row = row(report, finding);
        if text.len() + row.len() > budget {
            return index;
        }
        text.push_str(&row);
    }
    findings.len()
}

fn row(report: &Report, finding: &Finding) -> String {
    let package = &finding.package;
    let place = place_words(report, package).map_or_else(String::new, |place| format!("<br>{}", shown(&place, 200)));
    let title = if finding.kev { format!("known to be exploited: {}", finding.title) } else { finding.title.clone() };
    format!(
        "| {} | [{}](<{}>) | {}{place} | {} | {} | {} |\n",
        finding.severity.level,
        shown(known_id(finding), 100),
        page(finding),
        shown(&package.name, 200),
        shown(&package.version, 100),
        shown(&fix_words(finding), 200),
        shown(&title, MAX_TITLE)
    )
}

fn suppressed(text: &mut String, view: &View<'_>, listed: usize) {
    if view.suppressed.is_empty() {
        return;
    }
    text.push_str("### Suppressed\n\n");
    list(
        text,
        listed,
        view.suppressed.iter().map(|finding| {
            let why = finding.suppressed.as_ref().map_or_else(
                || "not affected".to_owned(),
                |suppression| format!("{}: {}", suppression.by, suppression.reason),
            );
            format!("{} in {} {}: {why}", known_id(finding), finding.package.name, finding.package.version)
        }),
    );
    text.push('\n');
}

fn facts(text: &mut String, report: &Report, view: &View<'_>, run: Option<&PipelineRun>, listed: usize) {
    text.push_str("<details>\n<summary>Scanned</summary>\n\n");
    let mut facts = Vec::new();
    facts.extend(report.target.digest.map(|digest| format!("digest {digest}")));
    facts.extend(base_words(report, view).map(|base| format!("base image {base}")));
    facts.push(format!("distribution {}", distribution_words(report)));
    facts.push(count_of(report.inventory.packages.len(), "package", "packages"));
    facts.extend(coverage_words(report).map(|coverage| format!("coverage: {coverage}")));
    facts.push(format!("database {}", database_words(report)));
    facts.push(format!("at {} by {} {}", report.created, report.tool.name, report.tool.version));
    facts.extend(run.map(|run| format!("in {}", run.words())));
    facts.extend(view.notes.iter().take(listed).map(|note| format!("note: {}: {}", note.path, note.message)));
    list(text, usize::MAX, facts.into_iter());
    text.push_str("\n</details>\n");
}
