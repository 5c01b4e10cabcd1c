//! Annotations of a GitHub Actions job: commands on standard output that put the findings beside the lines of the
//! Dockerfile, or the files of a directory.
//!
//! Format: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>.
//! GitHub shows ten of each level a step; one is kept for what more there is.

use std::fmt::Write as _;

use portcullis_errors::count_of;
use portcullis_model::{Outcome, Report, SeverityLevel};

use crate::{
    RenderOptions,
    advice::Advice,
    baseline::Changes,
    formats::sarif::Places,
    text::limited,
    view::{Group, View, fix_words, gap_words, known_id, place_words, target_words, verdict_word},
};

/// The most annotations of one level.
const MAX_OF_LEVEL: usize = 10;
const LEVELS: [&str; 3] = ["error", "warning", "notice"];
const WARNING: usize = 1;

/// The commands: the verdict first, then one for each package, the worst first, then what is not known.
#[must_use]
pub fn annotations(report: &Report, options: &RenderOptions) -> String {
    let view = View::of(report);
    let changes = options.baseline.as_ref().map(|baseline| Changes::since(baseline, &view));
    let mut page = Page { text: String::new(), counts: [0; 3] };
    let level = match (report.verdict.result, report.verdict.policy.audit) {
        (Outcome::Pass, _) => "notice",
        (Outcome::Unknown, _) | (Outcome::Fail, false) => "error",
        (Outcome::Fail, true) => "warning",
    };
    let new = changes.as_ref().map_or_else(String::new, |changes| format!("; {}", view.new_words(changes)));
    let mut message = format!("{}{new}", view.summary());
    for reason in report.verdict.reasons.iter().take(20) {
        message.push_str(&format!("\n{} {}: {}", reason.result, reason.rule, limited(&reason.message, 300)));
    }
    page.command(level, &format!("{}: {}", verdict_word(report), target_words(report)), None, &message);
    // Packages of the same level would take all the room of what is not known.
    let told_gaps = view.gaps.len().min(page.room(WARNING));
    let kept = [0, told_gaps, 0];
    let mut left_out = LeftOut { packages: [0; 3], gaps: view.gaps.len() - told_gaps };
    let places = Places::of(report, options);
    for group in &view.groups {
        let level = level_of(group);
        let kind = LEVELS.iter().position(|known| *known == level).unwrap_or(2);
        if page.room(kind) <= kept[kind] {
            left_out.packages[kind] += 1;
            continue;
        }
        let advice = view.advice.iter().find(|advice| advice.package == group.package);
        page.group(report, group, level, advice, changes.as_ref(), &places);
    }
    for gap in view.gaps.iter().take(told_gaps) {
        page.command("warning", "Not known", None, &gap_words(gap));
    }
    for (kind, level) in LEVELS.iter().enumerate() {
        if let Some(words) = left_out.words(kind) {
            page.command(level, "Portcullis", None, &format!("{words}: the report lists them"));
        }
    }
    page.text
}

const fn worst_level(level: SeverityLevel) -> &'static str {
    match level {
        SeverityLevel::Critical | SeverityLevel::High => "error",
        SeverityLevel::Medium | SeverityLevel::Unknown => "warning",
        SeverityLevel::Low | SeverityLevel::None => "notice",
    }
}

fn level_of(group: &Group<'_>) -> &'static str {
    group.findings.first().map_or("notice", |finding| worst_level(finding.severity.level))
}

/// What there was no room for.
struct LeftOut {
    /// By level.
    packages: [usize; 3],
    /// They are warnings.
    gaps: usize,
}

impl LeftOut {
    /// What is left out of a level; none where nothing is.
    fn words(&self, kind: usize) -> Option<String> {
        let packages = self.packages.get(kind).copied().unwrap_or(0);
        let gaps = if kind == WARNING { self.gaps } else { 0 };
        let parts = [
            (packages > 0).then(|| count_of(packages, "more package has findings", "more packages have findings")),
            (gaps > 0).then(|| count_of(gaps, "more place is not known", "more places are not known")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

struct Page {
    text: String,
    /// How many there are of each level.
    counts: [usize; 3],
}

impl Page {
    /// How many more a level takes. The last one says what more there is.
    fn room(&self, kind: usize) -> usize {
        (MAX_OF_LEVEL - 1).saturating_sub(self.counts[kind])
    }

    fn group(
        &mut self,
        report: &Report,
        group: &Group<'_>,
        level: &str,
        advice: Option<&Advice<'_>>,
        changes: Option<&Changes<'_>>,
        places: &Places<'_>,
    ) {
        let Some(worst) = group.findings.first() else { return };
        let package = group.package;
        let more = match group.findings.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let severity = worst.severity.level.as_str().to_uppercase();
        let title = format!("{severity} {}{more} in {} {}", known_id(worst), package.name, package.version);
        let mut message = String::new();
        for finding in group.findings.iter().take(10) {
            let is_new = changes.is_some_and(|changes| changes.is_new(finding));
            let text = format!(
                "{}{} {}: {}{}",
                if is_new { "new: " } else { "" },
                finding.severity.level,
                known_id(finding),
                fix_words(finding),
                if finding.kev { "; known to be exploited" } else { "" },
            );
            message.push_str(&limited(&text, 300));
            message.push('\n');
        }
        if let Some(command) = advice.and_then(|advice| advice.command.as_deref()) {
            message.push_str(&format!("to fix it: {}\n", limited(command, 300)));
        }
        if let Some(place) = place_words(report, package) {
            message.push_str(&format!("in {}\n", limited(&place, 300)));
        }
        let place = package.locations.first().and_then(|location| places.in_repository(worst, &location.path));
        let line = place.as_ref().map(|(file, lines)| (file.as_str(), *lines.start(), *lines.end()));
        self.command(level, &title, line, message.trim_end());
    }

    fn command(&mut self, level: &str, title: &str, place: Option<(&str, usize, usize)>, message: &str) {
        if let Some(index) = LEVELS.iter().position(|known| *known == level) {
            self.counts[index] += 1;
        }
        let place = place.map_or_else(String::new, |(file, first, last)| {
            format!("file={},line={first},endLine={last},", property(file))
        });
        // Lines of our own; what is in them was cleaned piece by piece.
        let message: Vec<_> = message.lines().map(|line| limited(line, 600)).collect();
        // Writing to a String cannot fail.
        _ = writeln!(
            self.text,
            "::{level} {place}title={}::{}",
            property(&limited(title, 200)),
            data(&message.join("\n"))
        );
    }
}

/// What follows the second pair of colons.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_neither_property_nor_command() {
        assert_eq!(property("a,line=1::b%0A\n"), "a%2Cline=1%3A%3Ab%250A%0A");
        assert_eq!(data("100%\r\n::error::x"), "100%25%0D%0A::error::x");
    }
}
