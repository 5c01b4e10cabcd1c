//! A table for terminals: at most as wide as asked, findings by package with the worst first, then what to do.

use std::{fmt::Write as _, io};

use anstyle::{AnsiColor, Style};
use portcullis_errors::count_of;
use portcullis_model::{Finding, Outcome, Package, Report, SeverityLevel};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    baseline::Changes,
    text::{clean, columns, cut, limited, wrap},
    view::{
        Group, View, base_words, coverage_words, database_words, distribution_words, fix_words, gap_words, known_id,
        place_words, suppression_words, target_words, verdict_word,
    },
};

/// `-o table`
pub(crate) struct Table;

impl ReportFormat for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn describe(&self) -> &'static str {
        "for people, at a terminal"
    }

    fn extension(&self) -> &'static str {
        "txt"
    }

    fn media_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let view = View::of(report);
        let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
        let mut page = Page { text: String::new(), width: options.width.clamp(40, 1_000), color: options.color };
        page.header(report, &view);
        if !report.is_matched() {
            page.packages(report);
            if !report.inventory.warnings.is_empty() || coverage_words(report).is_some() {
                page.text.push('\n');
            }
            page.gaps(&view);
            page.coverage(report);
            page.verdict(report);
            out.write_all(page.text.as_bytes())?;
            return Ok(());
        }
        view.groups.iter().for_each(|group| page.group(report, group, changes.as_ref()));
        if options.show_suppressed {
            page.suppressed(&view);
        }
        page.line(0, Style::new().bold(), &view.summary());
        if let Some(changes) = &changes {
            page.since_baseline(&view, changes);
        }
        page.gaps(&view);
        page.coverage(report);
        page.verdict(report);
        page.advice(&view);
        out.write_all(page.text.as_bytes())?;
        Ok(())
    }
}

/// Text that fits its width.
struct Page {
    text: String,
    width: usize,
    color: bool,
}

/// Where the ids begin.
const ID_COLUMN: usize = 12;

/// The widest id beside others.
const MAX_ID: usize = 24;

/// The most characters of an id or a fix.
const MAX_CELL: usize = 300;

/// How many upgrades are named.
const ADVISED: usize = 10;

/// How many findings are named that are gone.
const GONE: usize = 10;

impl Page {
    fn header(&mut self, report: &Report, view: &View<'_>) {
        self.line(0, Style::new().bold(), &target_words(report));
        if let Some(digest) = &report.target.digest {
            self.field("digest", &digest.to_string());
        }
        if let Some(base) = base_words(report, view) {
            self.field("base", &base);
        }
        self.field("distribution", &distribution_words(report));
        self.field("packages", &report.inventory.packages.len().to_string());
        if report.is_matched() {
            self.field("database", &database_words(report));
        }
        self.text.push('\n');
    }

    /// Every package of an inventory, on a line each.
    fn packages(&mut self, report: &Report) {
        let packages = &report.inventory.packages;
        let widest = |text: &dyn Fn(&Package) -> String, least: usize, most: usize| {
            packages.iter().map(|package| columns(&clean(&text(package)))).max().unwrap_or(0).clamp(least, most)
        };
        let kind = widest(&|package| package.kind.to_string(), 4, 16);
        let name = widest(&|package| package.name.to_string(), 7, self.width / 3);
        let version = widest(&|package| package.version.to_string(), 7, self.width / 4);
        for package in packages {
            let columns = [
                padded(&package.kind.to_string(), kind),
                padded(&package.name, name),
                padded(&package.version, version),
            ];
            let mut line = columns.join("  ");
            let left = self.width.saturating_sub(kind + name + version + 6);
            let place = package.locations.first().filter(|_| !package.kind.is_operating_system());
            if let Some(place) = place.filter(|_| left >= 10) {
                line.push_str("  ");
                line.push_str(&cut(&place.path, left));
            }
            self.styled(0, Style::new(), line.trim_end());
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        let value = clean(value);
        for (index, line) in wrap(&value, self.width - 16).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            // Writing to a String cannot fail.
            _ = writeln!(self.text, "  {name:<13} {line}");
        }
    }

    fn group(&mut self, report: &Report, group: &Group<'_>, changes: Option<&Changes<'_>>) {
        let package = group.package;
        let title = format!("{} {} ({})", package.name, package.version, package.kind);
        let title = cut(&title, self.width - 2);
        self.styled(0, Style::new().bold(), &title);
        if let Some(place) = place_words(report, package) {
            let place = cut(&place, self.width - 6);
            self.styled(2, Style::new().dimmed(), &format!("in {place}"));
        }
        // One that is longer goes on lines of its own.
        let widest =
            |texts: &mut dyn Iterator<Item = usize>, most: usize| texts.filter(|w| *w <= most).max().unwrap_or(0);
        let ids = &mut group.findings.iter().map(|finding| columns(&clean(known_id(finding))));
        let fixes = &mut group.findings.iter().map(|finding| columns(&clean(&fix_words(finding))));
        let widths = (widest(ids, MAX_ID).max(10), widest(fixes, self.width / 3));
        for finding in &group.findings {
            let is_new = changes.is_some_and(|changes| changes.is_new(finding));
            self.finding(finding, is_new, widths);
        }
        self.text.push('\n');
    }

    /// Severity, id, fix and title. Of these the title alone is cut.
    fn finding(&mut self, finding: &Finding, is_new: bool, (id_width, fix_width): (usize, usize)) {
        let level = finding.severity.level;
        self.text.push_str("  ");
        self.paint(level_style(level), &format!("{:<8}", level.as_str().to_uppercase()));
        self.text.push_str("  ");
        let column = self.cell(&limited(known_id(finding), MAX_CELL), ID_COLUMN, id_width);
        let column = self.cell(&limited(&fix_words(finding), MAX_CELL), column, fix_width);
        let title = if finding.kev { format!("[exploited] {}", finding.title) } else { finding.title.to_string() };
        let title = if is_new { format!("[new] {title}") } else { title };
        let left = self.width.saturating_sub(column);
        if left >= 10 && !title.is_empty() {
            self.text.push_str(&cut(&title, left));
        }
        self.text.truncate(self.text.trim_end_matches([' ', '\n']).len());
        self.text.push('\n');
    }

    /// Clean text at a column; the column that what comes next begins at. What is wider than its cell takes the lines that
    /// it needs, and what comes next begins on a new one.
    fn cell(&mut self, text: &str, column: usize, width: usize) -> usize {
        if columns(text) <= width {
            self.text.push_str(&format!("{}  ", padded(text, width)));
            return column + width + 2;
        }
        for (index, line) in wrap(text, self.width.saturating_sub(column)).into_iter().enumerate() {
            let indent = if index == 0 { 0 } else { column };
            self.text.push_str(&format!("{:indent$}{line}\n", ""));
        }
        self.text.push_str(&format!("{:ID_COLUMN$}", ""));
        ID_COLUMN
    }

    fn since_baseline(&mut self, view: &View<'_>, changes: &Changes<'_>) {
        self.line(0, Style::new().bold(), &view.new_words(changes));
        for known in changes.gone().take(GONE) {
            self.line(2, Style::new().dimmed(), &format!("gone: {} {} in {}", known.level, known.id, known.text));
        }
        let more = changes.gone().count().saturating_sub(GONE);
        if more > 0 {
            self.line(2, Style::new().dimmed(), &format!("and {more} more that are gone"));
        }
    }

    fn suppressed(&mut self, view: &View<'_>) {
        for finding in &view.suppressed {
            let why = suppression_words(finding);
            let package = &finding.package;
            let text = format!("suppressed: {} in {} {}: {why}", known_id(finding), package.name, package.version);
            self.line(0, Style::new().dimmed(), &text);
        }
    }

    fn gaps(&mut self, view: &View<'_>) {
        for gap in &view.gaps {
            self.line(0, AnsiColor::Yellow.on_default(), &gap_words(gap));
        }
        for note in &view.notes {
            self.line(0, Style::new().dimmed(), &format!("note: {}: {}", note.path, note.message));
        }
    }

    fn coverage(&mut self, report: &Report) {
        if let Some(coverage) = coverage_words(report) {
            self.line(0, Style::new().dimmed(), &format!("coverage: {coverage}"));
        }
    }

    fn verdict(&mut self, report: &Report) {
        let style = match report.verdict.result {
            Outcome::Pass => AnsiColor::Green.on_default().bold(),
            Outcome::Unknown => AnsiColor::Yellow.on_default().bold(),
            Outcome::Fail => AnsiColor::Red.on_default().bold(),
        };
        self.text.push('\n');
        let by = if report.is_matched() { format!("  policy {}", report.verdict.policy.name) } else { String::new() };
        self.line(0, style, &format!("{}{by}", verdict_word(report)));
        for reason in &report.verdict.reasons {
            self.line(2, Style::new(), &format!("{:<7} {}: {}", reason.result, reason.rule, reason.message));
        }
    }

    fn advice(&mut self, view: &View<'_>) {
        if view.advice.is_empty() {
            return;
        }
        self.text.push('\n');
        self.line(0, Style::new().bold(), "what to do");
        for advice in view.advice.iter().take(ADVISED) {
            self.line(2, Style::new(), &advice.words());
            if let Some(command) = &advice.command {
                self.line(4, Style::new().dimmed(), command);
            }
        }
        let more = view.advice.len().saturating_sub(ADVISED);
        if more > 0 {
            self.line(2, Style::new(), &format!("and {}", count_of(more, "more upgrade", "more upgrades")));
        }
    }

    /// Untrusted text on as many lines as it needs, indented.
    fn line(&mut self, indent: usize, style: Style, text: &str) {
        let text = clean(text);
        for (index, line) in wrap(&text, self.width - indent - 4).into_iter().enumerate() {
            self.styled(if index == 0 { indent } else { indent + 4 }, style, &line);
        }
    }

    /// One line of clean text.
    fn styled(&mut self, indent: usize, style: Style, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.paint(style, line);
        self.text.push('\n');
    }

    fn paint(&mut self, style: Style, text: &str) {
        // Writing to a String cannot fail.
        _ = if self.color { write!(self.text, "{style}{text}{style:#}") } else { write!(self.text, "{text}") };
    }
}

fn padded(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&text))));
    text
}

const fn level_style(level: SeverityLevel) -> Style {
    match level {
        SeverityLevel::Critical => AnsiColor::Red.on_default().bold(),
        SeverityLevel::High => AnsiColor::Red.on_default(),
        SeverityLevel::Medium => AnsiColor::Yellow.on_default(),
        SeverityLevel::Low => AnsiColor::Cyan.on_default(),
        SeverityLevel::None | SeverityLevel::Unknown => Style::new().dimmed(),
    }
}
