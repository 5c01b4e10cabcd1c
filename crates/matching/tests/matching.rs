//! Packages × advisories, by way of a real database: what is found, what is not, and what is said of the rest.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

use std::sync::Arc;

use portcullis_advisories::{Builder, Database};
use portcullis_matching::{DistributionCoverage, Matches, match_all};
use portcullis_model::{
    Distribution, Finding, FixState, Package, PackageType, SeverityLevel, SourcePackage, Suppression, Uncovered,
    Upgrade,
};
use portcullis_testkit::AdvisoryRecord;
use proptest::prelude::*;
use serde_json::{Value, json};

fn database(records: &[AdvisoryRecord]) -> Database {
    let mut builder = Builder::new();
    for record in records {
        builder.add_record("osv/test", "a place", record.json().as_bytes());
    }
    Database::from_bytes(builder.build().unwrap().0).unwrap()
}

fn package(kind: PackageType, name: &str, version: &str) -> Package {
    Package { purl: format!("pkg:{kind}/{name}@{version}"), ..Package::new(kind, name, version) }
}

fn debian() -> Distribution {
    Distribution { id: "debian".into(), version_id: "12".into(), ..Distribution::default() }
}

fn matched(packages: &[Package], records: &[AdvisoryRecord]) -> Matches {
    match_all(packages, Some(&debian()), &database(records)).unwrap()
}

/// The findings, each as `id state fixed-versions`.
fn findings(packages: &[Package], records: &[AdvisoryRecord]) -> Vec<String> {
    let line = |finding: &portcullis_model::Finding| {
        format!("{} {} {}", finding.id, finding.state.as_str(), finding.fixed_versions.join(",")).trim_end().to_owned()
    };
    matched(packages, records).findings.iter().map(line).collect()
}

fn npm(version: &str) -> [Package; 1] {
    [package(PackageType::Npm, "x", version)]
}

fn affects(events: Value) -> [AdvisoryRecord; 1] {
    let entry = json!({"ranges": [{"type": "SEMVER", "events": events}]});
    [AdvisoryRecord::new("GHSA-1").affected("npm", "x", entry)]
}

#[test]
fn the_evaluation_of_osv() {
    let fixed = json!([{"introduced": "1.0.0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}, {"fixed": "2.5.0"}]);
    let last = json!([{"introduced": "0"}, {"last_affected": "1.5.0"}]);
    let open = json!([{"introduced": "1.0.0"}]);
    let cases = [
        (&fixed, "0.9.9", ""),
        (&fixed, "1.0.0", "GHSA-1 fixed 1.5.0"),
        (&fixed, "1.10.0", ""),
        (&fixed, "1.5.0", ""),
        (&fixed, "2.4.9", "GHSA-1 fixed 2.5.0"),
        (&fixed, "2.5.0-rc.1", "GHSA-1 fixed 2.5.0"),
        (&last, "0.0.1", "GHSA-1 affected"),
        (&last, "1.5.0", "GHSA-1 affected"),
        (&last, "1.5.1", ""),
        (&open, "99.0.0", "GHSA-1 affected"),
    ];
    for (events, version, expected) in cases {
        assert_eq!(findings(&npm(version), &affects(events.clone())).join(" | "), expected, "{version} {events}");
    }
    let listed = [AdvisoryRecord::new("GHSA-1").affected("npm", "x", json!({"versions": ["1.0.0", "3.0.0"]}))];
    assert_eq!(findings(&npm("3.0.0"), &listed), ["GHSA-1 affected"]);
    assert_eq!(findings(&npm("2.0.0"), &listed), [""; 0]);
}

/// As Grype finds it, and Trivy does not: package URLs write the names of Go modules in lower case.
#[test]
fn the_last_affected_version_is_told_where_no_fix_is_named() {
    let told = |version: &str, records: &[AdvisoryRecord]| {
        let finding = matched(&npm(version), records).findings.remove(0);
        finding.last_affected.map(String::from)
    };
    let until = |last: &str| json!([{"introduced": "0"}, {"last_affected": last}]);
    assert_eq!(told("1.0.0", &affects(until("1.5.0"))).as_deref(), Some("1.5.0"));
    assert_eq!(told("1.0.0", &affects(json!([{"introduced": "0"}]))), None);
    let listed = AdvisoryRecord::new("GHSA-1").affected("npm", "x", json!({"versions": ["1.0.0", "1.10.0", "1.9.0"]}));
    assert_eq!(told("1.0.0", &[listed]).as_deref(), Some("1.10.0"));
    // Of two records of one vulnerability, the one that goes further; and none where one of them names a fix.
    let range = |events| json!({"ranges": [{"type": "SEMVER", "events": events}]});
    let record = |id: &str, events| AdvisoryRecord::new(id).aliases(&["CVE-1"]).affected("npm", "x", range(events));
    let [first, second] = [record("GHSA-1", until("1.5.0")), record("GHSA-2", until("1.10.0"))];
    assert_eq!(told("1.0.0", &[first.clone(), second]).as_deref(), Some("1.10.0"));
    let fixed = record("GHSA-2", json!([{"introduced": "0"}, {"fixed": "1.6.0"}]));
    assert_eq!(told("1.0.0", &[first.clone(), fixed]), None);
    let open = record("GHSA-2", json!([{"introduced": "0"}]));
    assert_eq!(told("1.0.0", &[first, open]), None);
}

#[test]
fn an_upgrade_is_looked_up_in_its_turn() {
    let range = |events| json!({"ranges": [{"type": "SEMVER", "events": events}]});
    let record = |id: &str, events| AdvisoryRecord::new(id).affected("npm", "x", range(events));
    let records = [
        record("GHSA-1", json!([{"introduced": "0"}, {"fixed": "1.5.0"}])),
        // Came with the fix, and was fixed in its turn, for both branches.
        record("GHSA-2", json!([{"introduced": "1.5.0"}, {"fixed": "1.6.0"}])),
        record(
            "GHSA-3",
            json!([{"introduced": "1.6.0"}, {"fixed": "1.6.1"}, {"introduced": "2.0.0"}, {"fixed": "2.1.0"}]),
        ),
        // Nothing fixes it.
        record("GHSA-4", json!([{"introduced": "1.6.1"}])),
    ];
    let packages = npm("1.0.0");
    let upgrades = |findings: &[Finding], records: &[AdvisoryRecord]| {
        portcullis_matching::upgrades(findings, &packages, None, &database(records)).unwrap()
    };
    let purl = "pkg:npm/x@1.0.0".to_owned();
    let mut findings = matched(&packages, &records).findings;
    let expected = Upgrade {
        purl,
        version: "1.6.1".into(),
        fixes: 1,
        remaining: 1,
        worst_remaining: Some(SeverityLevel::Unknown),
    };
    assert_eq!(upgrades(&findings, &records), std::slice::from_ref(&expected));
    let expected = Upgrade { remaining: 0, worst_remaining: None, ..expected };
    assert_eq!(upgrades(&findings, &records[..3]), [expected]);
    // What does not count is not to be fixed.
    findings[0].suppressed = Some(Box::new(Suppression { by: "vex:a".into(), reason: String::new(), expires: None }));
    assert_eq!(upgrades(&findings, &records), []);
    // Another record says that the fix is none.
    let records = [
        AdvisoryRecord::new("GHSA-1").aliases(&["CVE-1"]).affected(
            "npm",
            "x",
            range(json!([{"introduced": "0"}, {"fixed": "1.5.0"}])),
        ),
        AdvisoryRecord::new("GHSA-2").aliases(&["CVE-1"]).affected(
            "npm",
            "x",
            range(json!([{"introduced": "0"}, {"last_affected": "1.5.0"}])),
        ),
    ];
    let upgrade = upgrades(&matched(&packages, &records).findings, &records).remove(0);
    assert_eq!((upgrade.fixes, upgrade.remaining), (0, 1));
}

#[test]
fn the_case_of_a_go_module_says_nothing() {
    let records = [AdvisoryRecord::new("GO-2026-1").affects("Go", "github.com/0xJacky/Nginx-UI", "0", Some("2.0.0"))];
    for name in ["github.com/0xJacky/Nginx-UI", "github.com/0xjacky/nginx-ui"] {
        assert_eq!(
            findings(&[package(PackageType::Golang, name, "v1.9.0")], &records),
            ["GO-2026-1 fixed 2.0.0"],
            "{name}"
        );
    }
}

/// Each is left out by Trivy or by Grype, on the same advisories (docs/benchmarks.md).
#[test]
fn what_others_leave_out_is_found() {
    let open = |ecosystem: &str, name: &str| [AdvisoryRecord::new("X-1").affects(ecosystem, name, "0", None)];
    let go = package(PackageType::Golang, "github.com/dexidp/dex", "v0.0.0-20090101000000-000000000000");
    assert_eq!(findings(&[go], &open("Go", "github.com/dexidp/dex")), ["X-1 affected"], "a pseudo-version");
    let python = package(PackageType::Pypi, "chuanhuchatgpt", "2024-09-25");
    assert_eq!(findings(&[python], &open("PyPI", "chuanhuchatgpt")), ["X-1 affected"], "no version of PEP 440");
    let debian = package(PackageType::Deb, "libwebp", "0~0");
    assert_eq!(findings(&[debian], &open("Debian:12", "libwebp")), ["X-1 affected"], "what is before zero");
    // And jQuery, with a capital, is another package of npm than jquery.
    let npm = package(PackageType::Npm, "jquery", "0.0.1");
    assert_eq!(findings(&[npm], &open("npm", "jQuery")), [""; 0]);
}

/// Real records of Maven say so, of milestones that come before the release that they lead to.
#[test]
fn a_range_that_ends_before_it_begins_holds_the_forerunners_up_to_its_end() {
    let versions = ["3.9", "4.0.0.M1", "4.0.0-M2", "4.0.0.M3", "4.0.0.M4", "4.0.0", "4.0.1", "998.0.0"];
    let affected = |ecosystem: &str, kind, begin: &str, end: Value| {
        let range = json!({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": begin}, end]}]});
        let records = [AdvisoryRecord::new("GHSA-1").affected(ecosystem, "x", range)];
        let found = versions.iter().filter(|version| !findings(&[package(kind, "x", version)], &records).is_empty());
        found.copied().collect::<Vec<_>>()
    };
    let maven = |end| affected("Maven", PackageType::Maven, "4", end);
    assert_eq!(maven(json!({"last_affected": "4.0.0.M3"})), ["4.0.0.M1", "4.0.0-M2", "4.0.0.M3"]);
    assert_eq!(maven(json!({"fixed": "4.0.0.M3"})), ["4.0.0.M1", "4.0.0-M2"]);
    // Elsewhere events are taken in their order, as OSV has it.
    let npm = affected("npm", PackageType::Npm, "4.0.0", json!({"fixed": "4.0.0-M2"}));
    assert_eq!(npm, ["4.0.0", "4.0.1", "998.0.0"]);
}

#[test]
fn what_cannot_be_compared_is_unknown_and_never_clean() {
    let bound = affects(json!([{"introduced": "0"}, {"fixed": "the next one"}]));
    assert_eq!(findings(&npm("1.0.0"), &bound), ["GHSA-1 unknown"]);
    let matches = matched(&npm("no version"), &affects(json!([{"introduced": "0"}])));
    assert_eq!((matches.findings.len(), matches.warnings.len()), (0, 1));
    assert_eq!(matches.warnings[0].kind, portcullis_model::WarningKind::Gap);
}

/// A large report is mostly this: that it is in memory once is what keeps scans small.
#[test]
fn an_installed_version_of_python_that_is_none_is_unknown() {
    let entry = json!({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0"}, {"fixed": "1.2.1"}]}]});
    let records = [AdvisoryRecord::new("PYSEC-1").affected("PyPI", "x", entry)];
    for version in ["1.1.0-dirty", "latest", "1.1.*"] {
        assert_eq!(findings(&[package(PackageType::Pypi, "x", version)], &records), ["PYSEC-1 unknown"], "{version}");
    }
    assert_eq!(findings(&[package(PackageType::Pypi, "x", "1.1.0+cu118")], &records), ["PYSEC-1 fixed 1.2.1"]);
}

#[test]
fn what_findings_have_in_common_is_in_memory_once() {
    let x = [package(PackageType::Pypi, "x", "1.0"), package(PackageType::Pypi, "y", "1.0")];
    let record = |id: &str| AdvisoryRecord::new(id).affects("PyPI", "x", "0", None).affects("PyPI", "y", "0", None);
    let matches = matched(&x, &[record("GHSA-1"), record("GHSA-2")]);
    let [first, second, other, _] = &matches.findings[..] else { panic!("four findings") };
    assert!(Arc::ptr_eq(&first.package, &second.package) && !Arc::ptr_eq(&first.package, &other.package));
    assert_eq!(first.evidence.ecosystem.as_ptr(), second.evidence.ecosystem.as_ptr());
    assert_eq!(first.id.as_ptr(), first.evidence.sources[0].as_ptr());
    // An advisory's texts lie behind one another: its id, then its title.
    assert_eq!(first.id.as_ptr().wrapping_add(first.id.len()), first.title.as_ptr());
}

#[test]
fn records_of_one_vulnerability_are_one_finding() {
    let record = |id: &str, aliases: &[&str], fixed: &str| {
        AdvisoryRecord::new(id).aliases(aliases).affects("PyPI", "x", "0", Some(fixed))
    };
    let x = [package(PackageType::Pypi, "x", "1.0")];
    let records = [
        record("PYSEC-2024-1", &["CVE-2024-1000", "GHSA-1"], "1.10"),
        record("GHSA-1", &["CVE-2024-1000"], "1.9"),
        record("GHSA-2", &[], "2.0"),
        record("PYSEC-2024-2", &["GHSA-2"], "2.0"),
    ];
    let matches = matched(&x, &records);
    assert_eq!(findings(&x, &records), ["GHSA-1 fixed 1.9,1.10", "GHSA-2 fixed 2.0"]);
    let cves: Vec<Option<&str>> = matches.findings.iter().map(|finding| finding.cve.as_deref()).collect();
    assert_eq!(cves, [Some("CVE-2024-1000"), None]);
    assert_eq!(matches.findings[0].aliases, ["CVE-2024-1000", "PYSEC-2024-1"]);
    assert_eq!(matches.findings[0].evidence.sources, ["GHSA-1", "PYSEC-2024-1"]);
    // An update of a distribution is about several.
    let update = AdvisoryRecord::new("DSA-1").field("upstream", json!(["CVE-2024-1000", "CVE-2024-1001"])).affects(
        "Debian:12",
        "y",
        "0",
        Some("2"),
    );
    let found = matched(&[package(PackageType::Deb, "y", "1")], &[update]).findings;
    assert_eq!(
        found.iter().map(|finding| finding.cve.clone().unwrap()).collect::<Vec<_>>(),
        ["CVE-2024-1000", "CVE-2024-1001"]
    );
}

#[test]
fn a_record_of_several_vulnerabilities_does_not_make_them_one() {
    let record = |id: &str, aliases: &[&str], fixed: &str| {
        AdvisoryRecord::new(id).aliases(aliases).affects("npm", "x", "0", Some(fixed))
    };
    let names = ["CVE-2020-0001", "CVE-2020-0002", "GHSA-1", "GHSA-2", "GHSA-3"];
    let records = [
        record("RUSTSEC-1", &names, "1.2.0"),
        record("GHSA-1", &["CVE-2020-0001"], "1.1.0"),
        record("GHSA-2", &["CVE-2020-0002"], "1.2.0"),
    ];
    let told: Vec<String> = matched(&npm("1.0.0"), &records)
        .findings
        .iter()
        .map(|finding| format!("{} {:?} {:?}", finding.id, finding.aliases, finding.fixed_versions))
        .collect();
    assert_eq!(
        told,
        [
            r#"GHSA-1 ["CVE-2020-0001", "RUSTSEC-1"] ["1.1.0", "1.2.0"]"#,
            r#"GHSA-2 ["CVE-2020-0002", "RUSTSEC-1"] ["1.2.0"]"#,
        ]
    );
}

#[test]
fn distributions_speak_of_source_packages() {
    let mut ssl = package(PackageType::Deb, "libssl3", "3.0.11-1+b1");
    ssl.source = Some(SourcePackage { name: "openssl".into(), version: "3.0.11-1".into() });
    let record =
        |fixed| [AdvisoryRecord::new("DEBIAN-CVE-2024-1000").affects("Debian:12", "openssl", "0", Some(fixed))];
    assert_eq!(findings(&[ssl.clone()], &record("3.0.13-1")), ["DEBIAN-CVE-2024-1000 fixed 3.0.13-1"]);
    // The source's version counts: the binary's is later for a rebuild alone.
    assert_eq!(findings(&[ssl.clone()], &record("3.0.11-1")), [""; 0]);
    let other = [AdvisoryRecord::new("DEBIAN-CVE-2024-1000").affects("Debian:11", "openssl", "0", None)];
    let matches = matched(&[ssl], &other);
    assert_eq!((matches.findings.len(), matches.coverage.distribution), (0, DistributionCoverage::Uncovered));
}

#[test]
fn what_the_distribution_installed_is_suppressed_where_it_speaks_of_that() {
    let mut yaml = package(PackageType::Pypi, "yaml", "1.0");
    yaml.owned_by = Some("pkg:deb/python3-yaml@1.0-1".into());
    let without_cve = AdvisoryRecord::new("GHSA-1").affects("PyPI", "yaml", "0", Some("2.0"));
    let record = without_cve.clone().aliases(&["CVE-2024-1"]);
    let packages = [yaml, package(PackageType::Deb, "python3-yaml", "1.0-1")];
    let known = record.clone().affects("Debian:12", "python3-yaml", "0", Some("0.9-1"));
    assert_eq!(
        matched(&packages, std::slice::from_ref(&known)).findings[0].suppressed.as_ref().unwrap().by,
        "distribution"
    );
    // Of a package that the distribution has never spoken of, as one's own are, its silence says nothing.
    let unknown = record.clone().affects("Debian:12", "other", "0", None);
    assert_eq!(matched(&packages, std::slice::from_ref(&unknown)).findings[0].suppressed, None);
    // Of its own packages it speaks where there is something to say.
    let mut own = packages.clone();
    own[1].vendor = Some("Debian Python Team <team+python@tracker.debian.org>".into());
    assert_eq!(matched(&own, &[unknown]).findings[0].suppressed.as_ref().unwrap().by, "distribution");
    assert_eq!(matched(&own, std::slice::from_ref(&record)).findings[0].suppressed, None);
    // It lists vulnerabilities by their CVEs.
    let unlisted = without_cve.affects("Debian:12", "python3-yaml", "0", Some("0.9-1"));
    assert_eq!(matched(&own, &[unlisted]).findings[0].suppressed, None);
    // Debian 12 ends in 2028.
    let later = known.clone().field("published", json!("2028-07-01T00:00:00Z"));
    assert_eq!(matched(&own, &[later]).findings[0].suppressed, None);
    let uncovered = matched(&packages, &[record]);
    assert_eq!(uncovered.findings[0].suppressed, None);
}

/// Bitnami's advisories are about upstream's releases: a third party builds those, and a distribution mends its own.
#[test]
fn a_known_program_is_upstream_s_where_a_third_party_installed_it() {
    let mut nginx = package(PackageType::Generic, "nginx", "1.25.3");
    let mut owner = package(PackageType::Deb, "nginx", "1.25.3-1~bookworm");
    nginx.owned_by = Some(owner.purl.clone());
    let debian_s = AdvisoryRecord::new("DEBIAN-CVE-2024-1").affects("Debian:12", "nginx", "0", Some("1.0-1"));
    let bitnami_s = AdvisoryRecord::new("BIT-nginx-2024-2").aliases(&["CVE-2024-2000"]).affects(
        "Bitnami",
        "nginx",
        "0",
        Some("1.25.4"),
    );
    let suppressed = |owner: &Package, records: &[AdvisoryRecord]| {
        let matches = matched(&[nginx.clone(), owner.clone()], records);
        let by = |finding: &portcullis_model::Finding| finding.suppressed.as_ref().map(|by| by.by.clone());
        matches.findings.iter().map(|finding| (finding.id.to_string(), by(finding))).collect::<Vec<_>>()
    };
    let bitnami = |by: Option<&str>| vec![("BIT-nginx-2024-2".to_owned(), by.map(str::to_owned))];
    let both = [debian_s.clone(), bitnami_s.clone()];
    assert_eq!(suppressed(&owner, &both), bitnami(Some("distribution")));
    // A distribution without advisories decides nothing.
    assert_eq!(suppressed(&owner, std::slice::from_ref(&bitnami_s)), bitnami(None));
    owner.vendor = Some("NGINX Packaging <nginx-packaging@f5.com>".into());
    assert_eq!(suppressed(&owner, &both), bitnami(None));
    // Where nothing is known of upstream, the owner is what advisories speak of, and what is counted.
    let uncovered = |packages: &[Package]| {
        let uncovered = matched(packages, std::slice::from_ref(&debian_s)).coverage.uncovered;
        uncovered.into_iter().map(|Uncovered { what, packages }| format!("{packages} {what}")).collect::<Vec<_>>()
    };
    let nobody_s = Package { owned_by: None, ..nginx.clone() };
    assert_eq!(uncovered(&[nginx.clone(), owner]), ["1 deb packages by NGINX"]);
    assert_eq!(uncovered(&[nginx.clone(), package(PackageType::Deb, "nginx", "1.22.1-9")]), [""; 0]);
    assert_eq!(uncovered(&[nobody_s]), ["1 generic packages"]);
}

#[test]
fn what_nothing_is_known_of_is_said() {
    let record = [AdvisoryRecord::new("GHSA-1").affects("npm", "x", "0", None)];
    let packages = [package(PackageType::Cargo, "serde", "1.0.0"), package(PackageType::Deb, "curl", "1")];
    let matches = matched(&packages, &record);
    assert_eq!(matches.coverage.uncovered, [Uncovered { what: "crates.io".into(), packages: 1 }]);
    assert_eq!(matches.coverage.distribution, DistributionCoverage::Uncovered);
    let nameless = match_all(&packages, None, &database(&record)).unwrap();
    assert_eq!(nameless.coverage.distribution, DistributionCoverage::Unknown);
    assert_eq!(
        match_all(&packages[..1], None, &database(&record)).unwrap().coverage.distribution,
        DistributionCoverage::Absent
    );
}

type Number = (u8, u8);

#[derive(Debug, Clone)]
enum Event {
    Introduced(Number),
    Fixed(Number),
    LastAffected(Number),
}

fn text((major, minor): Number) -> String {
    format!("{major}.{minor}.0")
}

fn any_event() -> impl Strategy<Value = Event> {
    let number = (0..4_u8, 0..4_u8);
    prop_oneof![
        number.clone().prop_map(Event::Introduced),
        number.clone().prop_map(Event::Fixed),
        number.prop_map(Event::LastAffected),
    ]
}

/// The schema's own algorithm: walk the events in order, and remember whether the version is affected. What is introduced
/// and fixed at one version, while nothing else is affected, affects nothing.
fn is_affected(version: Number, events: &[Event]) -> bool {
    let mut sorted: Vec<(Number, u8)> = events
        .iter()
        .map(|event| match *event {
            Event::Fixed(at) => (at, 0),
            Event::Introduced(at) => (at, 1),
            Event::LastAffected(at) => (at, 2),
        })
        .collect();
    sorted.sort_unstable();
    let (mut affected, mut is_open) = (false, false);
    let mut events = sorted.into_iter().peekable();
    while let Some((at, kind)) = events.next() {
        if kind == 0 && !is_open && events.next_if_eq(&(at, 1)).is_some() {
            continue;
        }
        is_open = kind == 1;
        match kind {
            1 if version >= at => affected = true,
            0 if version >= at => affected = false,
            2 if version > at => affected = false,
            _ => {}
        }
    }
    affected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_algorithm_of_the_schema(
        events in proptest::collection::vec(any_event(), 1..7),
        listed in proptest::collection::vec((0..4_u8, 0..4_u8), 0..3),
    ) {
        let json: Vec<Value> = events
            .iter()
            .map(|event| match *event {
                Event::Introduced(at) => json!({"introduced": text(at)}),
                Event::Fixed(at) => json!({"fixed": text(at)}),
                Event::LastAffected(at) => json!({"last_affected": text(at)}),
            })
            .collect();
        let versions: Vec<String> = listed.iter().copied().map(text).collect();
        let entry = json!({"ranges": [{"type": "SEMVER", "events": json}], "versions": versions});
        let database = database(&[AdvisoryRecord::new("GHSA-1").affected("npm", "x", entry)]);
        for version in (0..4).flat_map(|major| (0..4).map(move |minor| (major, minor))) {
            let found = match_all(&npm(&text(version)), None, &database).unwrap().findings;
            let expected = is_affected(version, &events) || listed.contains(&version);
            prop_assert_eq!(!found.is_empty(), expected, "{:?} of {:?}", version, events);
            prop_assert!(found.iter().all(|finding| finding.state != FixState::Unknown));
        }
    }
}

/// Bitnami's advisories are about upstream's releases; without one of a name, nothing is known of it.
#[test]
fn programs_outside_of_package_managers_are_never_taken_for_safe() {
    let packages = [package(PackageType::Generic, "node", "20.1.0"), package(PackageType::Generic, "haproxy", "2.8.5")];
    let entry = json!({"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "20.1.1"}]}]});
    let record = AdvisoryRecord::new("BIT-node-1").affected("Bitnami", "node", entry);
    let matches = matched(&packages, &[record]);
    assert_eq!(matches.findings.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["BIT-node-1"]);
    assert_eq!(matches.coverage.uncovered, [Uncovered { what: "generic packages".into(), packages: 1 }]);
    let matches = matched(&packages, &affects(json!([{"introduced": "0"}])));
    assert_eq!(matches.coverage.uncovered, [Uncovered { what: "generic packages".into(), packages: 2 }]);
}

/// Large inventories are matched in parts, at the same time.
#[test]
fn many_packages_are_matched_as_each_alone() {
    let records: Vec<AdvisoryRecord> = (0..40)
        .map(|number| {
            let record = AdvisoryRecord::new(&format!("GHSA-{number}"));
            record.affects("npm", &format!("p{}", number % 20), "0", Some(&format!("1.{number}")))
        })
        .collect();
    let packages: Vec<Package> = (0..3_000)
        .map(|number| match number % 3 {
            0 => package(PackageType::Npm, &format!("p{}", number % 60), &format!("1.{}", number % 50)),
            1 => package(PackageType::Npm, &format!("p{}", number % 25), &format!("no version {number}")),
            _ => package(PackageType::Generic, &format!("q{number}"), "1"),
        })
        .collect();
    let together = matched(&packages, &records);
    let alone = packages.chunks(100).map(|packages| matched(packages, &records));
    let (mut findings, mut warnings, mut uncovered) = (Vec::new(), Vec::new(), 0);
    for matches in alone {
        findings.extend(matches.findings.into_iter().map(|finding| format!("{finding:?}")));
        warnings.extend(matches.warnings);
        uncovered += matches.coverage.uncovered.iter().map(|uncovered| uncovered.packages).sum::<u64>();
    }
    let mut found: Vec<String> = together.findings.iter().map(|finding| format!("{finding:?}")).collect();
    assert!(
        found.len() > 100 && together.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity.level))
    );
    findings.sort();
    found.sort();
    assert_eq!(found, findings);
    warnings.sort();
    warnings.dedup();
    assert_eq!(together.warnings, warnings);
    assert_eq!((together.coverage.uncovered[0].packages, uncovered), (1_000, 1_000));
}
