//! JUnit XML, which nearly every CI system shows: one case for the verdict, one for each gap and each finding.
//!
//! Format: <https://github.com/testmoapp/junitxml>. A finding is a failed case only if the policy fails because of it, so
//! that a build is not red because of something that the policy accepts.

use std::{fmt::Write as _, io};

use portcullis_model::{Finding, Outcome, Report};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    advice::Commands,
    text::{limited, markup},
    view::{
        View, base_words, coverage_words, database_words, fix_words, gap_words, known_id, places, suppression_words,
        target_words, verdict_word,
    },
};

/// `-o junit`
pub(crate) struct Junit;

impl ReportFormat for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn describe(&self) -> &'static str {
        "JUnit XML, for the test report of any CI system"
    }

    fn extension(&self) -> &'static str {
        "xml"
    }

    fn media_type(&self) -> &'static str {
        "application/xml"
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut suite = Suite::default();
        suite.verdict(report);
        let view = View::of(report);
        for gap in &view.gaps {
            // A gap that the policy accepts is no error of the build.
            let end = if report.verdict.result == Outcome::Pass { End::Skipped } else { End::Error };
            suite.case("portcullis.inventory", &gap.path, &end, &gap_words(gap));
        }
        for finding in view.worst_first().into_iter().chain(view.suppressed.iter().copied()) {
            suite.finding(report, finding, &view.commands);
        }
        out.write_all(suite.document(report, &view).as_bytes())?;
        Ok(())
    }
}

/// How many places of a package are told.
const MAX_PLACES: usize = 10;

/// How a case ends.
enum End {
    Passed,
    Failure,
    Error,
    Skipped,
}

#[derive(Default)]
struct Suite {
    cases: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Suite {
    fn verdict(&mut self, report: &Report) {
        let end = match (report.verdict.result, report.verdict.policy.audit) {
            (Outcome::Pass, _) => End::Passed,
            (Outcome::Unknown, _) => End::Error,
            (Outcome::Fail, false) => End::Failure,
            (Outcome::Fail, true) => End::Skipped,
        };
        let reasons: Vec<_> =
            report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)).collect();
        let name = format!("{} by policy {}", verdict_word(report), report.verdict.policy.name);
        self.lines("portcullis.verdict", &name, &end, &name, &reasons);
    }

    fn finding(&mut self, report: &Report, finding: &Finding, commands: &Commands<'_>) {
        let package = &finding.package;
        let name =
            format!("{} in {} {}", known_id(finding), limited(&package.name, 200), limited(&package.version, 100));
        let is_audit = report.verdict.policy.audit;
        let end = match report.verdict.result {
            _ if !finding.is_counting() => End::Skipped,
            Outcome::Fail if finding.denied && !is_audit => End::Failure,
            Outcome::Fail | Outcome::Pass | Outcome::Unknown => End::Passed,
        };
        let mut text = format!("{}: {}", finding.severity.level, fix_words(finding));
        if !finding.title.is_empty() {
            text.push_str(&format!(": {}", finding.title));
        }
        if finding.suppressed.is_some() {
            text.push_str(&format!(" ({})", suppression_words(finding)));
        }
        let mut lines: Vec<_> = places(report, package).iter().take(MAX_PLACES).map(|p| format!("in {p}")).collect();
        if finding.is_counting() {
            lines.extend(commands.fix(finding).map(|command| format!("to fix it: {command}")));
        }
        self.lines(&format!("portcullis.{}", package.kind), &name, &end, &text, &lines);
    }

    fn case(&mut self, class: &str, name: &str, end: &End, text: &str) {
        self.lines(class, name, end, text, &[]);
    }

    /// A case with a message, and further lines behind it.
    fn lines(&mut self, class: &str, name: &str, end: &End, text: &str, lines: &[String]) {
        let shown = |text: &str| markup(&limited(text, 1_000));
        let body: Vec<_> = std::iter::once(shown(text)).chain(lines.iter().map(|line| shown(line))).collect();
        let body = body.join("\n");
        self.tests += 1;
        let inner = match end {
            End::Passed => format!("<system-out>{body}</system-out>"),
            End::Failure => {
                self.failures += 1;
                format!("<failure message=\"{}\" type=\"fail\">{body}</failure>", shown(text))
            }
            End::Error => {
                self.errors += 1;
                format!("<error message=\"{}\" type=\"unknown\">{body}</error>", shown(text))
            }
            End::Skipped => {
                self.skipped += 1;
                format!("<skipped message=\"{}\"/><system-out>{body}</system-out>", shown(text))
            }
        };
        // Writing to a String cannot fail.
        _ = writeln!(
            self.cases,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"0\">{inner}</testcase>",
            shown(class),
            shown(name)
        );
    }

    fn document(self, report: &Report, view: &View<'_>) -> String {
        let Self { cases, tests, failures, errors, skipped } = self;
        let counts =
            format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"0\"");
        let mut properties = String::new();
        let mut property = |name: &str, value: &str| {
            let value = markup(&limited(value, 1_000));
            // Writing to a String cannot fail.
            _ = writeln!(properties, "      <property name=\"{name}\" value=\"{value}\"/>");
        };
        if let Some(digest) = report.target.digest {
            property("digest", &digest.to_string());
        }
        property("database", &database_words(report));
        property("summary", &view.summary());
        if let Some(base) = base_words(report, view) {
            property("base", &base);
        }
        if let Some(coverage) = coverage_words(report) {
            property("coverage", &coverage);
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"portcullis\" {counts}>\n  <testsuite \
             name=\"{}\" timestamp=\"{}\" {counts}>\n    <properties>\n{properties}    </properties>\n{cases}  \
             </testsuite>\n</testsuites>\n",
            markup(&limited(&target_words(report), 300)),
            report.created.to_string().trim_end_matches('Z'),
        )
    }
}
