//! Annotations as GitHub's runner reads them: whatever something is called, a command stays one command.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use std::{collections::BTreeMap, sync::Arc};

use portcullis_model::{Location, Report, SeverityLevel, Target, Warning};
use portcullis_report::{Baseline, Dockerfile, RenderOptions, annotations};

/// A command, read as the runner reads it
/// (<https://github.com/actions/runner/blob/v2.320.0/src/Runner.Common/ActionCommand.cs>).
struct Command {
    level: String,
    properties: BTreeMap<String, String>,
    message: String,
}

fn read(line: &str) -> Command {
    let rest = line.strip_prefix("::").unwrap();
    let (head, message) = rest.split_once("::").unwrap();
    let (level, properties) = head.split_once(' ').unwrap_or((head, ""));
    let unescaped = |text: &str| {
        text.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
    };
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), unescaped(value))).unwrap();
    Command {
        level: level.to_owned(),
        properties: properties.split(',').map(pair).collect(),
        message: unescaped(message),
    }
}

fn commands(report: &Report, options: &RenderOptions) -> Vec<Command> {
    let text = annotations(report, options);
    assert!(text.ends_with('\n'));
    text.lines().map(read).collect()
}

#[test]
fn hostile_names_end_no_command_and_begin_none() {
    let text = "FROM debian:12\nRUN make\n".to_owned();
    let dockerfile = Some(Dockerfile { path: "a,b::c\nd%/Dockerfile".to_owned(), text });
    for report in [sample::hostile_report(), sample::report(), sample::clean_report()] {
        let options = RenderOptions { dockerfile: dockerfile.clone(), ..RenderOptions::default() };
        let commands = commands(&report, &options);
        for Command { level, properties, message } in &commands {
            assert!(["error", "warning", "notice"].contains(&level.as_str()), "{level}");
            let known = ["title", "file", "line", "endLine"];
            assert!(properties.keys().all(|name| known.contains(&name.as_str())), "{properties:?}");
            assert!(properties["title"].chars().all(|c| !c.is_control()), "{properties:?}");
            for line in message.lines() {
                assert!(!line.starts_with("::") && !line.contains("##["), "{line}");
                assert!(line.chars().all(|c| !c.is_control()), "{line}");
            }
        }
        for level in ["error", "warning", "notice"] {
            assert!(commands.iter().filter(|command| command.level == level).count() <= 10);
        }
    }
}

#[test]
fn the_verdict_comes_first_and_what_is_new_is_said() {
    let report = sample::report();
    let clean = RenderOptions { baseline: Some(Baseline::of(&sample::clean_report())), ..RenderOptions::default() };
    let told = commands(&report, &clean);
    assert!(told[0].properties["title"].starts_with("FAIL: ") && told[0].level == "error");
    assert!(told[0].message.contains("new, 0 gone since the baseline"), "{}", told[0].message);
    assert!(told[1].message.starts_with("new: critical "), "{}", told[1].message);
    assert!(told[1].message.contains("\nto fix it: apt-get install --only-upgrade "), "{}", told[1].message);
    let same = RenderOptions { baseline: Some(Baseline::of(&report)), ..RenderOptions::default() };
    assert!(commands(&report, &same).iter().all(|command| !command.message.starts_with("new: ")));
    let passing = commands(&sample::clean_report(), &RenderOptions::default());
    assert_eq!(passing[0].level, "notice");
}

#[test]
fn a_directory_is_annotated_in_its_files() {
    let mut report = sample::report();
    report.target = Target::named("./services/a");
    report.findings.retain(|finding| finding.package.name == "lodash");
    Arc::make_mut(&mut report.findings[0].package).locations =
        vec![Location { path: "package-lock.json".to_owned(), layer: None }];
    let told = commands(&report, &RenderOptions::default());
    assert_eq!((&*told[1].properties["file"], &*told[1].properties["line"]), ("services/a/package-lock.json", "1"));
}

#[test]
fn more_than_github_shows_is_counted() {
    let mut report = sample::report();
    let finding = report.findings[0].clone();
    for number in 0..100 {
        let mut more = finding.clone();
        Arc::make_mut(&mut more.package).name = format!("package-{number}");
        report.findings.push(more);
    }
    let told = commands(&report, &RenderOptions::default());
    assert_eq!(told.iter().filter(|command| command.level == "error").count(), 10);
    let last = told.iter().rfind(|command| command.level == "error").unwrap();
    assert!(last.message.contains("more packages have findings"), "{}", last.message);
}

#[test]
fn gaps_are_told_before_packages_and_what_is_left_out_is_counted() {
    let mut report = sample::clean_report();
    let medium = |number: usize| {
        let mut finding = sample::report().findings[0].clone();
        finding.severity.level = SeverityLevel::Medium;
        Arc::make_mut(&mut finding.package).name = format!("package-{number}");
        finding
    };
    let gap = |number: usize| Warning::gap(format!("opt/app-{number}.jar"), "it is no archive");
    for (packages, gaps, told_gaps, last) in [
        (10, 1, 1, "2 more packages have findings: the report lists them"),
        (9, 0, 0, ""),
        (1, 1, 1, ""),
        (0, 9, 9, ""),
        (0, 10, 9, "1 more place is not known: the report lists them"),
        (3, 30, 9, "3 more packages have findings, 21 more places are not known: the report lists them"),
    ] {
        report.findings = (0..packages).map(medium).collect();
        report.inventory.warnings = (0..gaps).map(gap).collect();
        let told = commands(&report, &RenderOptions::default());
        let warnings: Vec<_> = told.iter().filter(|command| command.level == "warning").collect();
        let of_gaps = warnings.iter().filter(|command| command.properties["title"] == "Not known").count();
        assert!(warnings.len() <= 10, "{packages} packages, {gaps} gaps");
        assert_eq!(of_gaps, told_gaps, "{packages} packages, {gaps} gaps");
        let more = warnings.iter().find(|command| command.properties["title"] == "Portcullis");
        assert_eq!(more.map_or("", |command| &command.message), last, "{packages} packages, {gaps} gaps");
    }
}
