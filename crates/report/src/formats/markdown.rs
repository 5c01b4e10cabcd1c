//! GitHub-flavoured Markdown: for merge requests, wikis and mails.
//!
//! Format: <https://github.github.com/gfm/>. Untrusted text is escaped so that it is neither markup nor a mention.

use std::io;

use portcullis_model::{Finding, Report};

use crate::{
    RenderOptions, ReportError, ReportFormat,
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

/// The page, in at most about `budget` bytes: what does not fit is counted.
pub(crate) fn render(report: &Report, options: &RenderOptions, budget: usize) -> String {
    let view = View::of(report);
    let listed = if budget == usize::MAX { usize::MAX } else { MAX_LISTED };
    let mut text = format!("## {}: {}\n\n", verdict_word(report), shown(&target_words(report), 300));
    text.push_str(&format!("By policy **{}**:\n\n", shown(&report.verdict.policy.name, 200)));
    list(&mut text, listed, report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)));
    text.push_str(&format!("\n**{}**\n\n", markdown(&view.summary())));
    if !view.gaps.is_empty() {
        text.push_str("### Could not be read\n\n");
        list(&mut text, listed, view.gaps.iter().map(|gap| gap_words(gap)));
        text.push('\n');
    }
    if !view.advice.is_empty() {
        text.push_str("### What to do\n\n");
        list(
            &mut text,
            listed,
            view.advice.iter().map(|advice| {
                let package = advice.package;
                format!(
                    "upgrade {} from {} to {}: fixes {}, the worst {}",
                    package.name, package.version, advice.version, advice.fixes, advice.worst
                )
            }),
        );
        text.push('\n');
    }
    findings(&mut text, report, &view, budget);
    if options.show_suppressed || budget == usize::MAX {
        suppressed(&mut text, &view, listed);
    }
    facts(&mut text, report, &view, listed);
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

fn findings(text: &mut String, report: &Report, view: &View<'_>, budget: usize) {
    let findings = view.worst_first();
    if findings.is_empty() {
        return;
    }
    text.push_str("### Findings\n\n| Severity | Vulnerability | Package | Installed | Fix | |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for (index, finding) in findings.iter().enumerate() {
        let row = row(report, finding);
        if text.len() + row.len() > budget {
            let more = count_of(findings.len() - index, "more finding", "more findings");
            text.push_str(&format!("\nand {more}: the page has no more room\n"));
            break;
        }
        text.push_str(&row);
    }
    text.push('\n');
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

fn facts(text: &mut String, report: &Report, view: &View<'_>, listed: usize) {
    text.push_str("### Scanned\n\n");
    let mut facts = Vec::new();
    facts.extend(report.target.digest.map(|digest| format!("digest {digest}")));
    facts.extend(base_words(report, view).map(|base| format!("base image {base}")));
    facts.push(format!("distribution {}", distribution_words(report)));
    facts.push(count_of(report.inventory.packages.len(), "package", "packages"));
    facts.extend(coverage_words(report).map(|coverage| format!("coverage: {coverage}")));
    facts.push(format!("database {}", database_words(report)));
    facts.push(format!("at {} by {} {}", report.created, report.tool.name, report.tool.version));
    facts.extend(view.notes.iter().take(listed).map(|note| format!("note: {}: {}", note.path, note.message)));
    list(text, usize::MAX, facts.into_iter());
}
