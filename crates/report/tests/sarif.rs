//! What GitHub code scanning needs of SARIF, and its limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use std::{collections::HashSet, sync::Arc};

use portcullis_model::{Digest, Location, Report, SeverityLevel, Target};
use portcullis_report::{Dockerfile, RenderOptions, format_named};
use serde_json::Value;

fn run(report: &Report, options: &RenderOptions) -> Value {
    let mut out = Vec::new();
    format_named("sarif").unwrap().write(report, options, &mut out).unwrap();
    let log: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    log["runs"][0].clone()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// What the documentation of code scanning asks for.
fn check_requirements(run: &Value) {
    let rules = list(&run["tool"]["driver"]["rules"]);
    let ids: HashSet<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "duplicate rules");
    for rule in rules {
        for text in ["shortDescription", "fullDescription"] {
            let length = rule[text]["text"].as_str().unwrap().chars().count();
            assert!((1..=1024).contains(&length), "{text} of {length}");
        }
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty() && rule["help"]["markdown"].is_string());
        assert!(list(&rule["properties"]["tags"]).len() <= 10);
        if let Some(score) = rule["properties"].get("security-severity") {
            assert!((0.0..=10.0).contains(&score.as_str().unwrap().parse::<f64>().unwrap()));
        }
    }
    let mut prints = HashSet::new();
    for result in list(&run["results"]) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(!uri.is_empty() && !uri.contains(':') && !uri.starts_with('/') && uri.len() < 1_000, "{uri}");
        for field in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(place["region"][field].as_u64().unwrap() >= 1);
        }
        let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(prints.insert(print.to_owned()), "{print} twice");
    }
}

#[test]
fn requirements_hold_for_every_sample() {
    for report in [sample::report(), sample::clean_report(), sample::hostile_report()] {
        check_requirements(&run(&report, &RenderOptions::default()));
    }
}

#[test]
fn one_vulnerability_in_two_packages_is_two_alerts_of_one_rule() {
    let run = run(&sample::report(), &RenderOptions::default());
    let of_rule = |result: &&Value| result["ruleId"] == "CVE-2024-0001";
    let results: Vec<_> = list(&run["results"]).iter().filter(of_rule).collect();
    let uris: HashSet<_> =
        results.iter().map(|r| r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].to_string()).collect();
    assert_eq!((results.len(), uris.len()), (2, 2));
}

#[test]
fn alerts_survive_a_new_tag_version_and_layer() {
    let before = run(&sample::report(), &RenderOptions::default());
    let mut report = sample::report();
    report.target.reference = "registry.example/team/app:2.0@sha256:00".to_owned();
    for finding in &mut report.findings {
        let package = Arc::make_mut(&mut finding.package);
        package.version.push_str("+1");
        package.locations.iter_mut().for_each(|location| location.layer = Some(Digest::of(b"rebuilt")));
    }
    let after = run(&report, &RenderOptions::default());
    let key = |run: &Value| {
        let results = list(&run["results"]).iter();
        results
            .map(|r| {
                (r["ruleId"].clone(), r["partialFingerprints"].clone(), r["locations"][0]["physicalLocation"].clone())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(key(&before), key(&after));
    assert_eq!(before["automationDetails"]["id"], "portcullis/registry.example/team/app/linux-amd64/");
    assert_eq!(before["automationDetails"], after["automationDetails"]);
}

#[test]
fn what_is_beyond_the_limit_is_said_and_the_worst_is_kept() {
    let mut report = sample::report();
    let package = report.inventory.packages[0].clone();
    for number in 0..6_000 {
        let mut finding = sample::finding(&package, &format!("CVE-2020-{number}"), SeverityLevel::Low, "low");
        Arc::make_mut(&mut finding.package).locations[0].path = format!("place/{number}");
        report.findings.push(finding);
    }
    report.findings.reverse();
    let run = run(&report, &RenderOptions::default());
    check_requirements(&run);
    let results = list(&run["results"]);
    assert_eq!(results.len(), 5_000);
    assert_eq!(results[0]["ruleId"], "CVE-2024-0001");
    let notifications = run["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(notifications.contains("5000 of 6008 results"), "{notifications}");
}

#[test]
fn distribution_severity_and_number_agree() {
    let mut report = sample::report();
    report.findings.truncate(1);
    report.findings[0].severity.level = SeverityLevel::Low;
    let run = run(&report, &RenderOptions::default());
    // The score is 9.8, but the distribution says low.
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "2.0");
    assert_eq!(run["results"][0]["level"], "note");
}

#[test]
fn accepted_findings_are_suppressed_with_their_reason() {
    let run = run(&sample::report(), &RenderOptions::default());
    let results = list(&run["results"]);
    let suppressed: Vec<_> = results.iter().filter(|result| !result["suppressions"].is_null()).collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["ruleId"], "CVE-2023-0004");
    let why = suppressed[0]["suppressions"][0]["justification"].as_str().unwrap();
    assert!(why.contains("no redirects are followed") && why.contains("2027-01-01"), "{why}");
}

#[test]
fn dockerfile_lines() {
    let text = "FROM debian:12\nRUN true\nCOPY app /opt/app\n".to_owned();
    let dockerfile = Some(Dockerfile { path: "services/api/Dockerfile".to_owned(), text });
    let run = run(&sample::report(), &RenderOptions { dockerfile, ..RenderOptions::default() });
    check_requirements(&run);
    for result in list(&run["results"]) {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "services/api/Dockerfile");
        let package = result["properties"]["portcullis/package"].as_str().unwrap();
        let (line, column) = if package.starts_with("pkg:deb") { (1, 15) } else { (3, 18) };
        assert_eq!(
            (&place["region"]["startLine"], &place["region"]["endColumn"]),
            (&line.into(), &column.into()),
            "{package}"
        );
    }
}

/// The sample's packages of npm and Go, as a directory of sources has them.
fn directory(reference: &str) -> Report {
    let mut report = sample::report();
    report.target = Target::named(reference);
    report.findings.retain(|finding| ["lodash", "golang.org/x/net"].contains(&finding.package.name.as_str()));
    for finding in &mut report.findings {
        let path = if finding.package.name == "lodash" { "web app/package-lock.json" } else { "go.mod" };
        Arc::make_mut(&mut finding.package).locations = vec![Location { path: path.to_owned(), layer: None }];
    }
    report
}

#[test]
fn a_directory_points_to_files_of_the_repository() {
    for (reference, folder, category) in [
        (".", "", "portcullis/directory/any/"),
        ("services/a", "services/a/", "portcullis/services/a/any/"),
        ("services/b/", "services/b/", "portcullis/services/b/any/"),
        ("/srv/app", "", "portcullis/app/any/"),
    ] {
        let report = directory(reference);
        let run = run(&report, &RenderOptions::default());
        check_requirements(&run);
        let places: Vec<_> = list(&run["results"]).iter().map(|r| &r["locations"][0]["physicalLocation"]).collect();
        let uris: Vec<_> = places.iter().map(|p| p["artifactLocation"]["uri"].as_str().unwrap()).collect();
        assert_eq!(uris, [format!("{folder}web%20app/package-lock.json"), format!("{folder}go.mod")]);
        assert_eq!(run["automationDetails"]["id"], category, "{reference}");
    }
}

fn issues(report: &Report, options: &RenderOptions) -> Vec<Value> {
    let mut out = Vec::new();
    format_named("gitlab-codequality").unwrap().write(report, options, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn code_quality_points_to_the_same_files_and_lines() {
    let place = |issue: &Value| {
        let location = &issue["location"];
        (location["path"].as_str().unwrap().to_owned(), location["lines"]["begin"].as_u64().unwrap())
    };
    let mut report = directory("services/a");
    report.inventory.warnings[0].path = "b.lock".to_owned();
    let of_a = issues(&report, &RenderOptions::default());
    let places: Vec<_> = of_a.iter().map(place).collect();
    // The verdict has no place: it has that of the worst.
    let expected = ["web app/package-lock.json", "b.lock", "web app/package-lock.json", "go.mod"];
    assert_eq!(places, expected.map(|path| (format!("services/a/{path}"), 1)));
    // Two directories' jobs in one pipeline have issues of their own.
    report.target.reference = "services/b".to_owned();
    let prints = |issues: &[Value]| issues.iter().map(|issue| issue["fingerprint"].to_string()).collect::<HashSet<_>>();
    assert!(prints(&of_a).is_disjoint(&prints(&issues(&report, &RenderOptions::default()))));

    let text = "FROM debian:12\nRUN true\nCOPY app /opt/app\n".to_owned();
    let dockerfile = Some(Dockerfile { path: "services/api/Dockerfile".to_owned(), text });
    let options = RenderOptions { dockerfile, ..RenderOptions::default() };
    for issue in issues(&sample::report(), &options) {
        let is_of_npm = issue["description"].as_str().unwrap().contains("in lodash 4.17.20: ");
        let is_of_go = issue["description"].as_str().unwrap().contains("in golang.org/x/net");
        let line = if is_of_npm || is_of_go { 3 } else { 1 };
        assert_eq!(place(&issue), ("services/api/Dockerfile".to_owned(), line), "{issue}");
    }
}
