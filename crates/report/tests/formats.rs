//! What holds for every format: the verdict, every gap and every finding are in it, whatever they are called.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use std::sync::Arc;

use portcullis_model::{Outcome, Reason, Report, Suppression, Warning};
use portcullis_report::{Baseline, FORMATS, RenderOptions, ReportFormat, format_named};

fn written(format: &dyn ReportFormat, report: &Report) -> String {
    let mut out = Vec::new();
    format.write(report, &RenderOptions::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The formats of findings and verdicts. The executable manifest is none: it is an inventory, with its gaps.
fn reports() -> impl Iterator<Item = &'static dyn ReportFormat> {
    FORMATS.iter().copied().filter(|format| format.name() != "executables")
}

/// Text without the line breaks and indentation that a narrow page adds.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_unique_and_described() {
    let mut names: Vec<_> = FORMATS.iter().map(|format| format.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FORMATS.len());
    for format in FORMATS {
        assert!(!format.describe().is_empty() && !format.extension().is_empty() && format.media_type().contains('/'));
        assert_eq!(format_named(format.name()).unwrap().describe(), format.describe());
    }
    assert!(format_named("xml").is_none());
}

#[test]
fn every_file_of_the_family_is_registered() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.filter_map(|name| name.strip_suffix(".rs").map(|name| name.replace('_', "-"))).collect();
    for name in &names {
        assert!(format_named(name).is_some(), "{name} is not in FORMATS");
    }
    assert_eq!(names.len(), FORMATS.len());
}

#[test]
fn gap_and_verdict_are_in_every_format() {
    let mut report = sample::report();
    // So that only the warning itself can be the source of the words.
    report.verdict.reasons.retain(|reason| reason.rule != "inventory");
    let without = Report { inventory: Default::default(), ..report.clone() };
    for format in FORMATS {
        let text = unwrapped(&written(*format, &report));
        let gap = ["opt/app/lib/huge.jar", "nested archives are deeper than 8"];
        for part in gap {
            assert!(text.contains(part), "{}: {part}", format.name());
            assert!(!unwrapped(&written(*format, &without)).contains(part), "{}", format.name());
        }
    }
    for format in reports() {
        let text = unwrapped(&written(format, &report));
        for reason in &report.verdict.reasons {
            assert!(text.contains(&reason.rule), "{}: {}", format.name(), reason.rule);
        }
        assert!(text.contains("baseline"), "{}", format.name());
    }
}

#[test]
fn three_verdicts_differ_in_every_format() {
    for format in reports() {
        let texts = [Outcome::Pass, Outcome::Unknown, Outcome::Fail].map(|outcome| {
            let mut report = sample::clean_report();
            report.verdict.result = outcome;
            written(format, &report)
        });
        assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2], "{}", format.name());
    }
}

#[test]
fn every_finding_is_in_every_format() {
    let report = sample::report();
    for format in reports() {
        let text = written(format, &report);
        for finding in report.findings.iter().filter(|finding| finding.suppressed.is_none()) {
            let id = finding.cve.as_ref().unwrap_or(&finding.id);
            assert!(text.contains(id.as_str()), "{}: {id}", format.name());
        }
    }
}

#[test]
fn same_report_same_bytes() {
    for format in FORMATS {
        assert_eq!(written(*format, &sample::report()), written(*format, &sample::report()), "{}", format.name());
    }
}

/// A report in which everything that comes from an image is as long as it can be, and takes most bytes when escaped.
fn endless_report() -> Report {
    let mut report = sample::report();
    let long = "&@".repeat(2_000);
    let finding = report.findings[0].clone();
    report.findings = (0..200)
        .map(|number| {
            let mut finding = finding.clone();
            let package = Arc::make_mut(&mut finding.package);
            (package.name, package.version) = (format!("{number}{long}"), format!("1{long}"));
            finding.fixed_versions = vec![format!("2{long}")];
            finding.title = long.as_str().into();
            finding
        })
        .collect();
    report.inventory.warnings = (0..200)
        .flat_map(|number| {
            let path = format!("{number}{long}");
            [Warning::gap(path.clone(), long.as_str()), Warning::note(path, long.as_str())]
        })
        .collect();
    let reason = report.verdict.reasons[0].clone();
    report.verdict.reasons = vec![Reason { message: long.clone(), ..reason }; 200];
    report.verdict.policy.name.clone_from(&long);
    report.target.reference.clone_from(&long);
    if let Some(base) = &mut report.target.base {
        base.reference = Some(long.clone());
    }
    if let Some(distribution) = &mut report.distribution {
        distribution.name = long;
    }
    report
}

#[test]
fn no_image_is_so_hostile_that_its_comment_is_too_long() {
    let report = endless_report();
    let mut suppressed = endless_report();
    for finding in &mut suppressed.findings {
        finding.suppressed =
            Some(Box::new(Suppression { by: "&".repeat(4_000), reason: "@".repeat(4_000), expires: None }));
    }
    let (before, after) = (Baseline::of(&report), Baseline::of(&sample::clean_report()));
    for (report, baseline) in [(&report, Some(after)), (&sample::clean_report(), Some(before)), (&suppressed, None)] {
        for (name, most) in [("github-summary", 8 << 10), ("github-summary", 60_000), ("markdown", 120_000)] {
            let options = RenderOptions {
                max_bytes: Some(most),
                show_suppressed: true,
                baseline: baseline.clone(),
                ..RenderOptions::default()
            };
            let mut page = Vec::new();
            format_named(name).unwrap().write(report, &options, &mut page).unwrap();
            assert!(page.len() <= most, "{name}: {} of {most} bytes", page.len());
            let page = String::from_utf8(page).unwrap();
            assert!(page.ends_with("</details>\n"), "{name} {most}");
            // Every list says how much of it is not there.
            for section in page.split("\n###").filter(|section| section.contains("&amp;") && most == 60_000) {
                let is_told = section.lines().any(|line| line.contains("and ") && line.contains(" more"));
                assert!(is_told, "{}", section.chars().take(200).collect::<String>());
            }
        }
        let summary = written(format_named("github-summary").unwrap(), report);
        assert!(summary.len() <= 900 << 10, "{}", summary.len());
    }
}

#[test]
fn notes_that_are_left_out_of_a_comment_are_counted() {
    let mut report = sample::report();
    report.inventory.warnings = (0..21).map(|number| Warning::note(format!("path{number}"), "odd")).collect();
    let page = written(format_named("github-summary").unwrap(), &report);
    assert_eq!(page.matches("note: path").count(), 20);
    assert!(page.contains("\n- and 1 more\n\n</details>"), "{page}");
    report.inventory.warnings.pop();
    let page = written(format_named("github-summary").unwrap(), &report);
    assert_eq!(page.matches("note: path").count(), 20);
    assert!(page.contains(": odd\n\n</details>"), "{page}");
}

/// What a terminal, an editor or the log of a pipeline would act on.
#[test]
fn hostile_names_stay_names() {
    let report = sample::hostile_report();
    for format in FORMATS {
        let name = format.name();
        let text = written(*format, &report);
        let bad = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
        };
        if let Some(at) = text.find(bad) {
            panic!("{name}: {:?}", text[at..].chars().take(40).collect::<String>());
        }
        for line in text.lines() {
            let start: String = line.chars().take(60).collect();
            assert!(!line.trim_start().starts_with("::"), "{name}: {start}");
            assert!(
                !line.contains("##[") && !line.contains("##vso[") && !line.contains("##teamcity["),
                "{name}: {start}"
            );
        }
        if matches!(
            format.media_type(),
            "text/html" | "text/markdown" | "application/xml" | "application/vnd.cyclonedx+xml"
        ) {
            for markup in ["<script", "<img", "<b>"] {
                // The page of HTML has one of its own, at its end.
                let own = usize::from(name == "html" && markup == "<script");
                assert_eq!(text.matches(markup).count(), own, "{name}: {markup}");
            }
        }
        if format.media_type().ends_with("json") {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}

#[test]
fn json_reads_back_as_the_same_report() {
    for report in [sample::report(), sample::clean_report(), sample::hostile_report()] {
        let text = written(format_named("json").unwrap(), &report);
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}

#[test]
fn output_that_breaks_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in FORMATS {
        assert!(format.write(&sample::report(), &RenderOptions::default(), &mut Full).is_err(), "{}", format.name());
    }
}

#[test]
fn sample_looks_as_committed() {
    for format in FORMATS {
        let name = format!("./snapshots/{}.{}", format.name(), format.extension());
        expect_test::expect_file![name].assert_eq(&written(*format, &sample::report()));
    }
}

#[test]
fn a_bill_of_materials_that_was_scanned_is_no_container() {
    let mut report = sample::report();
    let kinds = |report: &Report| {
        let document = |name| -> serde_json::Value {
            serde_json::from_str(&written(format_named(name).unwrap(), report)).unwrap()
        };
        let (cyclonedx, spdx) = (document("cyclonedx-json"), document("spdx-json"));
        [&cyclonedx["metadata"]["component"]["type"], &spdx["packages"][0]["primaryPackagePurpose"]]
            .map(|kind| kind.as_str().unwrap().to_owned())
    };
    assert_eq!(kinds(&report), ["container", "CONTAINER"]);
    // Its digest is that of the document's bytes; it has no config.
    report.target.config_digest = None;
    assert_eq!(kinds(&report), ["file", "FILE"]);
    report.target.digest = None;
    assert_eq!(kinds(&report), ["application", "FILE"]);
}

/// The names of the failed cases.
fn failed(report: &Report) -> Vec<String> {
    let text = written(format_named("junit").unwrap(), report);
    let cases = text.lines().filter(|line| line.contains("<failure") && !line.contains("portcullis.verdict"));
    let name = |line: &str| line.split_once(" name=\"").unwrap().1.split_once(" in ").unwrap().0.to_owned();
    cases.map(name).collect()
}

#[test]
fn junit_fails_what_the_policy_fails_for() {
    let mut report = sample::report();
    report.findings.iter_mut().for_each(|finding| finding.denied = finding.cve.as_deref() == Some("CVE-2024-0001"));
    assert_eq!(failed(&report), ["CVE-2024-0001", "CVE-2024-0001"]);
    report.verdict.policy.audit = true;
    assert!(failed(&report).is_empty());
    report.verdict.policy.audit = false;
    report.verdict.result = Outcome::Pass;
    assert!(failed(&report).is_empty());
}

#[test]
fn what_the_base_image_brings_is_told_and_every_place_in_html() {
    let report = sample::report();
    let base = "layer 1 of 2 (base image)";
    let places = [("table", 2), ("markdown", 4), ("github-summary", 4), ("html", 4), ("junit", 4)];
    for (name, times) in places {
        let text = written(format_named(name).unwrap(), &report);
        assert_eq!(text.matches(base).count(), times, "{name}: {text}");
    }
    let page = written(format_named("html").unwrap(), &report);
    for path in ["opt/app/node_modules/lodash", "opt/app/node_modules/x/node_modules/lodash"] {
        assert!(page.contains(&format!(">{path}/package.json (layer 2 of 2)</div>")), "{path}");
    }
    // Without a base image that is known, the instruction is told.
    let mut report = sample::report();
    report.target.base = None;
    let text = written(format_named("table").unwrap(), &report);
    assert!(text.contains("\n  in layer 1 of 2: ADD file:abc in /\n"), "{text}");
}

#[test]
fn a_suppression_says_until_when() {
    let report = sample::report();
    let options = RenderOptions { show_suppressed: true, ..RenderOptions::default() };
    for name in ["table", "junit", "html", "markdown", "sarif"] {
        let mut out = Vec::new();
        format_named(name).unwrap().write(&report, &options, &mut out).unwrap();
        let text = unwrapped(&String::from_utf8(out).unwrap());
        assert!(text.contains("(until 2027-01-01T00:00:00Z)"), "{name}: {text}");
    }
}
