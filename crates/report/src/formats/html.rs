//! One HTML page that needs nothing else: no script, no font, no request.
//!
//! A content security policy forbids what an untrusted name could try, should escaping ever fail.

use std::{fmt::Write as _, io};

use portcullis_model::{Finding, Outcome, Report, SeverityLevel};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    links::page,
    text::{count_of, limited, markup},
    view::{
        View, base_words, coverage_words, database_words, distribution_words, fix_words, gap_words, known_id,
        place_words, target_words, verdict_word,
    },
};

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

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let view = View::of(report);
        let mut text = String::with_capacity(16 * 1024);
        head(&mut text, report);
        verdict(&mut text, report, &view);
        list(&mut text, "Could not be read", "gaps", view.gaps.iter().map(|gap| gap_words(gap)));
        list(
            &mut text,
            "What to do",
            "advice",
            view.advice.iter().map(|advice| {
                let package = advice.package;
                format!(
                    "upgrade {} from {} to {}: fixes {}, the worst {}",
                    package.name, package.version, advice.version, advice.fixes, advice.worst
                )
            }),
        );
        findings(&mut text, report, &view);
        list(&mut text, "Suppressed", "suppressed", view.suppressed.iter().map(|finding| suppressed(finding)));
        list(&mut text, "Notes", "notes", view.notes.iter().map(|note| format!("{}: {}", note.path, note.message)));
        facts(&mut text, report, &view);
        unexplained(&mut text, report);
        text.push_str("</main>\n</body>\n</html>\n");
        out.write_all(text.as_bytes())?;
        Ok(())
    }
}

/// The look: it follows the reader's light or dark scheme, and prints.
const STYLE: &str = ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:0}\
main{max-width:75rem;margin:0 auto;padding:1rem}h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884;overflow-wrap:anywhere}\
.verdict{padding:.6rem 1rem;border-left:.4rem solid #888;background:#8881}.pass{border-color:#2a7}.unknown{border-color:#c90}.fail{border-color:#d33}\
.level{font-weight:600;text-transform:uppercase;font-size:.8rem}.critical,.high{color:#d33}.medium{color:#b70}.place{color:#888;font-size:.85rem}\
ul{padding-left:1.2rem}li{overflow-wrap:anywhere}";

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
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"referrer\" \
         content=\"no-referrer\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{}</h1>",
        shown(&target_words(report))
    );
}

fn verdict(text: &mut String, report: &Report, view: &View<'_>) {
    let class = match report.verdict.result {
        Outcome::Pass => "pass",
        Outcome::Unknown => "unknown",
        Outcome::Fail => "fail",
    };
    _ = writeln!(
        text,
        "<section class=\"verdict {class}\">\n<p><strong>{}</strong> by policy {}</p>\n<ul>",
        verdict_word(report),
        shown(&report.verdict.policy.name)
    );
    for reason in &report.verdict.reasons {
        let reason = format!("{} {}: {}", reason.result, reason.rule, reason.message);
        _ = writeln!(text, "<li>{}</li>", shown(&reason));
    }
    _ = writeln!(text, "</ul>\n<p>{}</p>\n</section>", shown(&view.summary()));
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

fn findings(text: &mut String, report: &Report, view: &View<'_>) {
    let findings = view.worst_first();
    if findings.is_empty() {
        return;
    }
    text.push_str(
        "<h2 id=\"findings\">Findings</h2>\n<table>\n<thead><tr><th>Severity</th><th>Vulnerability</th>\
         <th>Package</th><th>Installed</th><th>Fix</th><th>Title</th></tr></thead>\n<tbody>\n",
    );
    for finding in findings {
        row(text, report, finding);
    }
    text.push_str("</tbody>\n</table>\n");
}

fn row(text: &mut String, report: &Report, finding: &Finding) {
    let package = &finding.package;
    let place = place_words(report, package)
        .map_or_else(String::new, |place| format!("<div class=\"place\">{}</div>", shown(&place)));
    let title = if finding.kev { format!("known to be exploited: {}", finding.title) } else { finding.title.clone() };
    let class = match finding.severity.level {
        SeverityLevel::Critical => "critical",
        SeverityLevel::High => "high",
        SeverityLevel::Medium => "medium",
        SeverityLevel::Low | SeverityLevel::None | SeverityLevel::Unknown => "low",
    };
    _ = writeln!(
        text,
        "<tr><td class=\"level {class}\">{}</td><td><a href=\"{}\" rel=\"noopener noreferrer\">{}</a></td>\
         <td>{}{place}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        finding.severity.level,
        markup(&page(finding)),
        shown(known_id(finding)),
        shown(&package.name),
        shown(&package.version),
        shown(&fix_words(finding)),
        shown(&title)
    );
}

fn suppressed(finding: &Finding) -> String {
    let why = finding
        .suppressed
        .as_ref()
        .map_or_else(|| "not affected".to_owned(), |suppression| format!("{}: {}", suppression.by, suppression.reason));
    format!("{} in {} {}: {why}", known_id(finding), finding.package.name, finding.package.version)
}

fn facts(text: &mut String, report: &Report, view: &View<'_>) {
    text.push_str("<h2 id=\"scanned\">Scanned</h2>\n<table>\n<tbody>\n");
    let mut fact = |name: &str, value: &str| {
        _ = writeln!(text, "<tr><th>{name}</th><td>{}</td></tr>", shown(value));
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
