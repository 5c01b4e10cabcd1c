//! GitHub-flavoured Markdown: for merge requests, wikis and mails.
//!
//! Format: <https://github.github.com/gfm/>. Untrusted text is escaped so that it is neither markup nor a mention.

use std::io;

use portcullis_errors::count_of;
use portcullis_model::{Finding, Report};

use crate::{
    PipelineRun, RenderOptions, ReportError, ReportFormat,
    advice::Advice,
    baseline::Changes,
    links::page,
    text::{limited, markdown},
    view::{
        View, base_words, coverage_words, database_words, distribution_words, fix_words, gap_words, known_id,
        place_words, suppression_words, target_words, verdict_word,
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

/// How many notes are shown.
const MAX_NOTES: usize = 20;

/// Room for the words that say how many entries were left out.
const MORE: usize = 40;

/// How much a page may hold.
#[derive(Clone, Copy)]
struct Room {
    /// In bytes; `usize::MAX` is a page of its own, with room for all.
    budget: usize,
    /// The most entries of a list.
    listed: usize,
}

impl Room {
    fn of(budget: usize) -> Self {
        // A comment has room for a few.
        let listed = if budget == usize::MAX { usize::MAX } else { MAX_LISTED.min(budget / 4_000) };
        Self { budget, listed }
    }

    /// Where a section ends that begins at the end of `text`, and takes at most one of so many parts of the page. The
    /// parts before the findings leave them an eighth.
    fn end(self, text: &str, parts: usize) -> usize {
        if self.budget == usize::MAX { usize::MAX } else { text.len() + self.budget / parts }
    }

    /// The most characters of a text, each of which may take twelve bytes, within one of so many parts of the page.
    fn characters(self, most: usize, parts: usize) -> usize {
        most.min(self.budget / parts / 12)
    }
}

/// The page, in at most `budget` bytes, of which it needs 8 KiB at least: what does not fit is counted. Every section has
/// its share, so that nothing that an image can make long takes the place of the rest.
pub(crate) fn render(report: &Report, options: &RenderOptions, budget: usize) -> String {
    let room = Room::of(options.max_bytes.unwrap_or(budget).min(budget));
    let view = View::of(report);
    let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
    let target = shown(&target_words(report), room.characters(300, 16));
    let mut text = format!("## {}: {target}\n\n", verdict_word(report));
    text.push_str(&format!("**{}**", markdown(&view.summary())));
    if let Some(changes) = &changes {
        text.push_str(&format!("; **{}**", view.new_words(changes)));
    }
    text.push_str(&format!(". By policy **{}**:\n\n", shown(&report.verdict.policy.name, room.characters(200, 16))));
    let end = room.end(&text, 8);
    let reasons = report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message));
    list(&mut text, room.listed, end, reasons);
    text.push('\n');
    if let Some(changes) = &changes {
        since_baseline(&mut text, report, &view, changes, room);
    }
    what_to_do(&mut text, &view, room);
    if !view.gaps.is_empty() {
        let end = room.end(&text, 8);
        text.push_str("### Could not be read\n\n");
        list(&mut text, room.listed, end, view.gaps.iter().map(|gap| gap_words(gap)));
        text.push('\n');
    }
    // What comes after the findings needs its room.
    findings(&mut text, report, &view, room.budget.saturating_sub(room.budget / 8));
    if options.show_suppressed || room.budget == usize::MAX {
        suppressed(&mut text, &view, room.listed, room.budget.saturating_sub(room.budget / 16));
    }
    facts(&mut text, report, &view, options.run.as_ref(), room);
    text
}

fn shown(text: &str, max: usize) -> String {
    markdown(&limited(text, max))
}

/// At most `most` items, as far as they fit before `end`.
fn list(text: &mut String, most: usize, end: usize, items: impl ExactSizeIterator<Item = String>) {
    let mut more = items.len();
    for item in items.take(most) {
        let line = format!("- {}\n", shown(&item, 600));
        if text.len() + line.len() <= end.saturating_sub(MORE) {
            text.push_str(&line);
            more -= 1;
        }
    }
    if more > 0 {
        text.push_str(&format!("- and {more} more\n"));
    }
}

/// What came and went: the first thing that a reviewer asks.
fn since_baseline(text: &mut String, report: &Report, view: &View<'_>, changes: &Changes<'_>, room: Room) {
    let most = room.listed.min(SHOWN_AT_ONCE);
    let new: Vec<_> = view.worst_first().into_iter().filter(|finding| changes.is_new(finding)).collect();
    if !new.is_empty() {
        let end = room.end(text, 8).saturating_sub(MORE);
        text.push_str("### New since the baseline\n\n");
        text.push_str(TABLE_HEAD);
        let told = rows(text, report, new.get(..most).unwrap_or(&new), end);
        if let Some(more) = new.len().checked_sub(told).filter(|more| *more > 0) {
            text.push_str(&format!("\nand {more} more\n"));
        }
        text.push('\n');
    }
    let gone: Vec<_> = changes.gone().map(|known| format!("{} {} in {}", known.level, known.id, known.text)).collect();
    if !gone.is_empty() {
        let end = room.end(text, 16);
        text.push_str("### Gone since the baseline\n\n");
        list(text, most, end, gone.into_iter());
        text.push('\n');
    }
}

/// The upgrades that fix most, and the commands for them.
fn what_to_do(text: &mut String, view: &View<'_>, room: Room) {
    if view.advice.is_empty() {
        return;
    }
    let end = room.end(text, 8);
    text.push_str("### What to do\n\n");
    list(text, room.listed, end, view.advice.iter().map(Advice::words));
    let end = room.end(text, 16);
    let commands = view.advice.iter().take(room.listed.min(MAX_COMMANDS));
    // No package's name has such signs. In a block they would be no markup, but not everybody renders blocks alike.
    let is_plain = |command: &String| !command.contains(['<', '`']);
    let commands = commands.filter_map(|advice| advice.command.clone()).filter(is_plain);
    let mut block = String::new();
    for command in commands {
        let line = format!("{}\n", limited(&command, 300));
        if text.len() + block.len() + line.len() <= end.saturating_sub(MORE) {
            block.push_str(&line);
        }
    }
    if !block.is_empty() {
        text.push_str(&format!("\n```sh\n{block}```\n"));
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
    let title =
        if finding.kev { format!("known to be exploited: {}", finding.title) } else { finding.title.to_string() };
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

fn suppressed(text: &mut String, view: &View<'_>, listed: usize, end: usize) {
    if view.suppressed.is_empty() {
        return;
    }
    text.push_str("### Suppressed\n\n");
    list(
        text,
        listed,
        end,
        view.suppressed.iter().map(|finding| {
            let why = suppression_words(finding);
            format!("{} in {} {}: {why}", known_id(finding), finding.package.name, finding.package.version)
        }),
    );
    text.push('\n');
}

fn facts(text: &mut String, report: &Report, view: &View<'_>, run: Option<&PipelineRun>, room: Room) {
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
    let most = facts.len() + room.listed.min(MAX_NOTES);
    facts.extend(view.notes.iter().map(|note| format!("note: {}: {}", note.path, note.message)));
    list(text, most, room.budget.saturating_sub(MORE), facts.into_iter());
    text.push_str("\n</details>\n");
}
