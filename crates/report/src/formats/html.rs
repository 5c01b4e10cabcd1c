//! One HTML page that needs nothing else: no font, no request, no script but the few lines in it that filter and sort.
//! Without them the page is whole.
//!
//! A content security policy forbids what an untrusted name could try, should escaping ever fail: it allows one style
//! and one script, by their hashes (<https://www.w3.org/TR/CSP3/#hash-source>).

use std::{fmt::Write as _, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::count_of;
use portcullis_model::{Digest, Finding, FindingPackage, FixState, Outcome, Report, SeverityLevel};

use crate::{
    PipelineRun, RenderOptions, ReportError, ReportFormat,
    advice::Advice,
    baseline::Changes,
    links::page,
    text::{limited, markup},
    view::{
        View, base_words, coverage_words, database_words, distribution_words, fix_words, gap_words, known_id, places,
        suppression_words, target_words, verdict_word,
    },
};

/// How many further places of a package are shown.
const MAX_PLACES: usize = 50;

/// How many commands are shown.
const MAX_COMMANDS: usize = 20;

/// `-o html`
pub(crate) struct Html;

impl ReportFormat for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn describe(&self) -> &'static str {
        "one HTML page that needs nothing else"
    }

    fn extension(&self) -> &'static str {
        "html"
    }

    fn media_type(&self) -> &'static str {
        "text/html"
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let view = View::of(report);
        let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
        let mut text = String::with_capacity(16 * 1024);
        head(&mut text, report);
        verdict(&mut text, report, &view, changes.as_ref());
        list(&mut text, "Could not be read", "gaps", view.gaps.iter().map(|gap| gap_words(gap)));
        list(&mut text, "What to do", "advice", view.advice.iter().map(Advice::words));
        commands(&mut text, &view);
        findings(&mut text, report, &view, changes.as_ref());
        let gone = changes.as_ref().map_or_else(Vec::new, |changes| changes.gone().collect());
        let gone = gone.into_iter().map(|known| format!("{} {} in {}", known.level, known.id, known.text));
        list(&mut text, "Gone since the baseline", "gone", gone);
        list(&mut text, "Suppressed", "suppressed", view.suppressed.iter().map(|finding| suppressed(finding)));
        list(&mut text, "Notes", "notes", view.notes.iter().map(|note| format!("{}: {}", note.path, note.message)));
        facts(&mut text, report, &view, options.run.as_ref());
        unexplained(&mut text, report);
        // Writing to a String cannot fail.
        _ = writeln!(text, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>");
        out.write_all(text.as_bytes())?;
        Ok(())
    }
}

/// The look: it follows the reader's light or dark scheme, becomes a list of cards on a phone, and prints.
const STYLE: &str = include_str!("html/style.css");

/// Filters and sorts the findings.
const SCRIPT: &str = include_str!("html/script.js");

/// `'sha256-…'`, as a content security policy names what is in the page itself.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Digest::of(text.as_bytes()).as_bytes()))
}

fn shown(text: &str) -> String {
    markup(&limited(text, 600))
}

fn head(text: &mut String, report: &Report) {
    let title = shown(&format!("{}: {}", verdict_word(report), target_words(report)));
    // Writing to a String cannot fail.
    _ = writeln!(
        text,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src {}; script-src {}\">\n<meta name=\"referrer\" \
         content=\"no-referrer\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{}</h1>",
        hash(STYLE),
        hash(SCRIPT),
        shown(&target_words(report))
    );
}

fn verdict(text: &mut String, report: &Report, view: &View<'_>, changes: Option<&Changes<'_>>) {
    let class = match report.verdict.result {
        Outcome::Pass => "pass",
        Outcome::Unknown => "unknown",
        Outcome::Fail => "fail",
    };
    _ = writeln!(
        text,
        "<section class=\"verdict {class}\" aria-label=\"Verdict\">\n<p><span class=\"word\">{}</span> by policy {}</p>\n<ul>",
        verdict_word(report),
        shown(&report.verdict.policy.name)
    );
    for reason in &report.verdict.reasons {
        let reason = format!("{} {}: {}", reason.result, reason.rule, reason.message);
        _ = writeln!(text, "<li>{}</li>", shown(&reason));
    }
    _ = writeln!(text, "</ul>\n<p>{}</p>", shown(&view.summary()));
    if let Some(changes) = changes {
        _ = writeln!(text, "<p>{}</p>", shown(&view.new_words(changes)));
    }
    text.push_str("</section>\n");
}

/// The commands of the upgrades that help most.
fn commands(text: &mut String, view: &View<'_>) {
    let commands = view.advice.iter().take(MAX_COMMANDS);
    let commands: Vec<_> = commands.filter_map(|advice| advice.command.clone()).collect();
    if commands.is_empty() {
        return;
    }
    // It scrolls: whoever uses a keyboard must be able to reach it.
    text.push_str("<pre tabindex=\"0\" role=\"region\" aria-label=\"Commands\">");
    commands.iter().for_each(|command| _ = writeln!(text, "{}", shown(command)));
    text.push_str("</pre>\n");
}

fn list(text: &mut String, title: &str, id: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() == 0 {
        return;
    }
    _ = writeln!(text, "<h2 id=\"{id}\">{title}</h2>\n<ul>");
    for item in items {
        _ = writeln!(text, "<li>{}</li>", shown(&item));
    }
    text.push_str("</ul>\n");
}

/// The columns; on a phone each value says which it is of.
const COLUMNS: [&str; 6] = ["Severity", "Vulnerability", "Package", "Installed", "Fix", "Title"];

fn findings(text: &mut String, report: &Report, view: &View<'_>, changes: Option<&Changes<'_>>) {
    let findings = view.worst_first();
    if findings.is_empty() {
        return;
    }
    text.push_str("<h2 id=\"findings\">Findings</h2>\n");
    controls(text, changes.is_some());
    text.push_str(
        "<table id=\"findings-table\" class=\"cards\" role=\"table\">\n<caption>The worst first</caption>\n\
         <thead role=\"rowgroup\"><tr role=\"row\">",
    );
    for column in COLUMNS {
        _ = write!(text, "<th scope=\"col\" role=\"columnheader\">{column}</th>");
    }
    text.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for finding in findings {
        row(text, report, finding, changes.is_some_and(|changes| changes.is_new(finding)));
    }
    text.push_str("</tbody>\n</table>\n");
}

/// What the script shows once it runs.
fn controls(text: &mut String, has_baseline: bool) {
    text.push_str(
        "<div id=\"controls\" class=\"controls\" role=\"search\" hidden>\n\
         <label>Find <input type=\"search\" id=\"search\" autocomplete=\"off\"></label>\n\
         <label>From <select id=\"level\">\
         <option value=\"0\">all</option><option value=\"2\">low</option><option value=\"3\">medium</option>\
         <option value=\"4\">high</option><option value=\"5\">critical</option></select></label>\n\
         <label><input type=\"checkbox\" data-flag=\"fixable\"> with a fix</label>\n\
         <label><input type=\"checkbox\" data-flag=\"exploited\"> exploited</label>\n",
    );
    if has_baseline {
        text.push_str("<label><input type=\"checkbox\" data-flag=\"new\"> new</label>\n");
    }
    text.push_str("<span id=\"shown\" role=\"status\"></span>\n</div>\n");
}

fn row(text: &mut String, report: &Report, finding: &Finding, is_new: bool) {
    let package = &finding.package;
    let place = place(report, package);
    let (class, rank) = match finding.severity.level {
        SeverityLevel::Critical => ("critical", 5),
        SeverityLevel::High => ("high", 4),
        SeverityLevel::Medium => ("medium", 3),
        SeverityLevel::Low => ("low", 2),
        SeverityLevel::None => ("low", 1),
        SeverityLevel::Unknown => ("low", 0),
    };
    let mut flags = String::new();
    let mut tags = String::new();
    if finding.state == FixState::Fixed {
        flags.push_str(" data-fixable");
    }
    if finding.kev {
        flags.push_str(" data-exploited");
        tags.push_str("<span class=\"tag\">known to be exploited</span> ");
    }
    if is_new {
        flags.push_str(" data-new");
        tags.push_str("<span class=\"tag\">new</span> ");
    }
    let link =
        format!("<a href=\"{}\" rel=\"noopener noreferrer\">{}</a>", markup(&page(finding)), shown(known_id(finding)));
    let cells = [
        finding.severity.level.to_string(),
        link,
        format!("{}{place}", shown(&package.name)),
        shown(&package.version),
        shown(&fix_words(finding)),
        format!("{tags}{}", shown(&finding.title)),
    ];
    _ = write!(text, "<tr role=\"row\" data-level=\"{rank}\"{flags}>");
    for (index, (cell, column)) in cells.iter().zip(COLUMNS).enumerate() {
        let class = if index == 0 { format!(" class=\"level {class}\"") } else { String::new() };
        _ = write!(text, "<td role=\"cell\" data-label=\"{column}\"{class}>{cell}</td>");
    }
    text.push_str("</tr>\n");
}

/// Where a package is; what is more than one place is folded away.
fn place(report: &Report, package: &FindingPackage) -> String {
    let places = places(report, package);
    let Some((first, more)) = places.split_first() else { return String::new() };
    let mut text = format!("<div class=\"place\">{}</div>", shown(first));
    if more.is_empty() {
        return text;
    }
    text.push_str(&format!("<details class=\"place\">\n<summary>and {} more</summary>", more.len()));
    more.iter().take(MAX_PLACES).for_each(|place| text.push_str(&format!("\n<div>{}</div>", shown(place))));
    if let Some(rest) = more.len().checked_sub(MAX_PLACES).filter(|rest| *rest > 0) {
        text.push_str(&format!("\n<div>and {rest} more</div>"));
    }
    text.push_str("\n</details>");
    text
}

fn suppressed(finding: &Finding) -> String {
    let why = suppression_words(finding);
    format!("{} in {} {}: {why}", known_id(finding), finding.package.name, finding.package.version)
}

fn facts(text: &mut String, report: &Report, view: &View<'_>, run: Option<&PipelineRun>) {
    text.push_str("<h2 id=\"scanned\">Scanned</h2>\n<table>\n<tbody>\n");
    let mut fact = |name: &str, value: &str| {
        _ = writeln!(text, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", shown(value));
    };
    if let Some(digest) = report.target.digest {
        fact("Digest", &digest.to_string());
    }
    if let Some(base) = base_words(report, view) {
        fact("Base image", &base);
    }
    fact("Distribution", &distribution_words(report));
    fact("Packages", &report.inventory.packages.len().to_string());
    if let Some(coverage) = coverage_words(report) {
        fact("Coverage", &coverage);
    }
    fact("Database", &database_words(report));
    fact("Time", &report.created.to_string());
    fact("Tool", &format!("{} {}", report.tool.name, report.tool.version));
    if let Some(run) = run {
        let words = shown(&run.words());
        let words = run.url.as_ref().map_or_else(
            || words.clone(),
            |url| format!("<a href=\"{}\" rel=\"noopener noreferrer\">{words}</a>", markup(url)),
        );
        _ = writeln!(text, "<tr><th scope=\"row\">Pipeline</th><td>{words}</td></tr>");
    }
    text.push_str("</tbody>\n</table>\n");
}

/// The stated blind spot: executable files that no known package brought.
fn unexplained(text: &mut String, report: &Report) {
    let Some(coverage) = report.coverage.as_ref().filter(|coverage| !coverage.unknown.is_empty()) else { return };
    let count = coverage.executable_files.saturating_sub(coverage.known_files);
    let title = count_of(count, "executable file", "executable files");
    _ = writeln!(text, "<details>\n<summary>{title} of no known package</summary>\n<ul>");
    for path in &coverage.unknown {
        _ = writeln!(text, "<li>{}</li>", shown(path));
    }
    let more = count.saturating_sub(coverage.unknown.len() as u64);
    if more > 0 {
        _ = writeln!(text, "<li>and {more} more</li>");
    }
    text.push_str("</ul>\n</details>\n");
}
