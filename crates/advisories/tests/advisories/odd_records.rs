//! What records say of each other, how bad things are, and what odd ones are made of.
//!
//! (<https://ossf.github.io/osv-schema/>)

use portcullis_model::{AdvisoryLookup as _, FixState};
use portcullis_testkit::AdvisoryRecord;
use serde_json::{Value, json};

use crate::support::{build, ranges, said};

#[test]
fn lists_without_end_are_cut_and_said() {
    let events: Vec<Value> = (0..1_000_000)
        .map(|number| {
            if number % 2 == 0 {
                json!({"introduced": format!("{number}")})
            } else {
                json!({"fixed": format!("{number}")})
            }
        })
        .collect();
    let versions: Vec<String> = (0..200_000).map(|number| format!("v{number}")).collect();
    let mut entry = ranges("ECOSYSTEM", json!(events));
    entry["versions"] = json!(versions);
    let aliases: Vec<String> = (0..150_000).map(|number| format!("X-{number}")).collect();
    let record = AdvisoryRecord::new("TEST-1").affected("npm", "x", entry).field("aliases", json!(aliases));
    let (database, summary) = build(&[record]);
    let affected = database.affected("npm", "x").unwrap();
    assert_eq!((affected[0].intervals.len(), affected[0].versions.len()), (50_000, 100_000));
    let said: Vec<&str> = summary.warnings.iter().map(|warning| warning.message.as_str()).collect();
    for what in ["1000000 events", "200000 versions", "150000 aliases", "more aliases or CVEs than are kept"] {
        assert!(said.iter().any(|text| text.contains(what)), "{what}: {said:?}");
    }
    assert!(summary.warnings.iter().all(|warning| warning.path == "TEST-1"));
    assert_eq!(database.search("TEST-1").unwrap()[0].advisory.aliases.len(), 2000);
}

#[test]
fn upstream_is_followed_one_way_through_chains_and_circles() {
    let record = |id: &str, upstream: &[&str]| {
        AdvisoryRecord::new(id).affects("npm", "x", "0", None).field("upstream", json!(upstream))
    };
    let (database, summary) = build(&[
        record("A-1", &["B-1"]),
        record("B-1", &["C-1", "CVE-2024-0001"]),
        record("C-1", &["A-1", "CVE-2024-0002"]),
        record("D-1", &[]).aliases(&["CVE-2024-0002"]),
        // What is upstream of it has other names, too.
        record("E-1", &["GHSA-x"]),
        record("GHSA-x", &[]).aliases(&["CVE-2024-0003"]),
    ]);
    for (id, cves) in [
        ("A-1", &["CVE-2024-0001", "CVE-2024-0002"][..]),
        ("B-1", &["CVE-2024-0001", "CVE-2024-0002"]),
        ("C-1", &["CVE-2024-0001", "CVE-2024-0002"]),
        ("D-1", &["CVE-2024-0002"]),
        ("E-1", &["CVE-2024-0003"]),
    ] {
        let hits = database.search(id).unwrap();
        let hit = hits.iter().find(|hit| hit.advisory.id == id).unwrap();
        assert_eq!(hit.advisory.cves, cves, "{id}");
    }
    assert_eq!(summary.warnings, []);
    assert_eq!(database.search("E-1").unwrap()[0].advisory.aliases, [""; 0]);
}

#[test]
fn a_chain_of_upstream_ids_is_followed_to_its_end_or_said_to_be_cut() {
    let chain = |length: usize| {
        let records: Vec<AdvisoryRecord> = (0..length)
            .map(|number| {
                let next = if number + 1 == length { "CVE-2024-0001".into() } else { format!("C-{}", number + 1) };
                AdvisoryRecord::new(&format!("C-{number}"))
                    .affects("npm", "x", "0", None)
                    .field("upstream", json!([next]))
            })
            .collect();
        let (database, summary) = build(&records);
        (database.search("C-0").unwrap()[0].advisory.cves.len(), summary.warnings.len())
    };
    assert_eq!(chain(500), (1, 0));
    let (cves, warnings) = chain(3000);
    assert!(cves == 0 && warnings > 0, "{cves} {warnings}");
}

#[test]
fn what_is_upstream_is_followed_as_far_as_there_is_time_and_said_to_be_cut() {
    let aliases: Vec<String> = (0..30_000).map(|number| format!("X-{number}")).collect();
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let hub = AdvisoryRecord::new("HUB-1").aliases(&aliases).affects("npm", "hub", "0", None);
    let other = AdvisoryRecord::new("A-1").affects("npm", "a", "0", None).field("upstream", json!(["HUB-1"]));
    let (_, summary) = build(&[hub, other]);
    let cut: Vec<&str> = summary.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(cut, ["A-1", "HUB-1"]);
}

#[test]
fn related_ids_count_for_the_distributions_that_name_their_cves_there() {
    let record = |id: &str| AdvisoryRecord::new(id).affects("npm", "x", "0", None);
    let related = json!(["CVE-2024-0001", "OTHER-1"]);
    let (database, _) = build(&[
        record("ALSA-2024:1").field("related", related.clone()),
        record("RHSA-2024:1").field("related", related.clone()).field("upstream", json!(["CVE-2024-0002"])),
        record("GHSA-r").field("related", related),
    ]);
    for (id, cves) in [("ALSA-2024:1", &["CVE-2024-0001"][..]), ("RHSA-2024:1", &["CVE-2024-0002"]), ("GHSA-r", &[])] {
        let hit = &database.search(id).unwrap()[0];
        assert_eq!(hit.advisory.cves, cves, "{id}");
        assert_eq!(hit.advisory.aliases.len(), 0, "{id}");
    }
}

#[test]
fn severities_come_from_the_distribution_the_record_github_then_nvd() {
    let cvss = |kind: &str, vector: &str| json!([{"type": kind, "score": vector}]);
    let (v2, v3, v4) = (
        cvss("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P"),
        cvss("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        cvss("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"),
    );
    let record = |id: &str, cve: &str| AdvisoryRecord::new(id).aliases(&[cve]).affects("npm", "x", "0", None);
    let about =
        |id: &str, cve: &str| AdvisoryRecord::new(id).affects("npm", "x", "0", None).field("upstream", json!([cve]));
    let (database, _) = build(&[
        record("X-2", "CVE-2024-0002").field("severity", v2.clone()),
        record("X-3", "CVE-2024-0003").field("severity", v3.clone()),
        record("X-4", "CVE-2024-0004").field("severity", v4.clone()),
        // GitHub's word stands beside its vector.
        record("GHSA-w", "CVE-2024-0005")
            .field("severity", v3.clone())
            .field("database_specific", json!({"severity": "MODERATE"})),
        // NVD's record names no package: it lends its severity all the same, unless GitHub has one.
        AdvisoryRecord::new("CVE-2024-0005").field("severity", v3.clone()),
        AdvisoryRecord::new("CVE-2024-0006").field("severity", v3.clone()),
        AdvisoryRecord::new("CVE-2024-0007").field("severity", v2),
        about("D-5", "CVE-2024-0005"),
        about("D-6", "CVE-2024-0006"),
        // Its own counts first.
        about("D-7", "CVE-2024-0007").field("severity", v4),
        // Of two CVEs neither speaks for the record.
        AdvisoryRecord::new("D-8")
            .affects("npm", "x", "0", None)
            .field("upstream", json!(["CVE-2024-0005", "CVE-2024-0006"])),
    ]);
    for (id, level, score, source) in [
        ("X-2", "high", Some(7.5), Some("X-2")),
        ("X-3", "critical", Some(9.8), Some("X-3")),
        ("X-4", "critical", Some(9.3), Some("X-4")),
        ("GHSA-w", "medium", Some(9.8), Some("GHSA-w")),
        ("D-5", "medium", Some(9.8), Some("GHSA-w")),
        ("D-6", "critical", Some(9.8), Some("CVE-2024-0006")),
        ("D-7", "critical", Some(9.3), Some("D-7")),
        ("D-8", "unknown", None, None),
    ] {
        let hits = database.search(id).unwrap();
        let severity = &hits.iter().find(|hit| hit.advisory.id == id).unwrap().advisory.severity;
        assert_eq!(
            (severity.level.as_str(), severity.score, severity.source.as_deref()),
            (level, score, source),
            "{id}"
        );
        assert_eq!(severity.vector.is_some(), score.is_some(), "{id}");
    }
}

#[test]
fn the_words_of_distributions_become_severities_and_states() {
    let said = |specific: (&str, Value)| {
        let mut entry = ranges("ECOSYSTEM", json!([{"introduced": "0"}]));
        entry[specific.0] = specific.1;
        let (database, _) = build(&[AdvisoryRecord::new("TEST-1").affected("Debian:12", "x", entry)]);
        let entry = database.affected("Debian:12", "x").unwrap().remove(0);
        (entry.severity.map(portcullis_model::SeverityLevel::as_str), entry.unfixed)
    };
    let (own, database) = ("ecosystem_specific", "database_specific");
    for (specific, expected) in [
        ((own, json!({"urgency": "unimportant"})), (Some("none"), None)),
        ((own, json!({"urgency": "not yet assigned"})), (None, None)),
        ((own, json!({"urgency": "end-of-life"})), (None, Some(FixState::EndOfLife))),
        ((own, json!({"ubuntu_priority": "negligible"})), (Some("low"), None)),
        ((database, json!({"severity": "Important"})), (Some("high"), None)),
        ((database, json!({"status": "ignored"})), (None, Some(FixState::WillNotFix))),
        ((database, json!({"status": "ignored", "note": "end-of-life"})), (None, Some(FixState::EndOfLife))),
        ((database, json!({"status": "deferred", "note": "2020-01-01"})), (None, Some(FixState::Deferred))),
        ((database, json!({"status": "needed"})), (None, None)),
        ((own, json!({"fix_state": "Will not fix"})), (None, Some(FixState::WillNotFix))),
        ((own, json!({"fix_state": "Fix deferred"})), (None, Some(FixState::Deferred))),
        ((own, json!({"fix_state": "Out of support scope"})), (None, Some(FixState::EndOfLife))),
        // Of another type than expected: as good as absent.
        ((own, json!({"urgency": 3, "severity": ["high"]})), (None, None)),
        ((database, json!("high")), (None, None)),
    ] {
        assert_eq!(said(specific.clone()), expected, "{specific:?}");
    }
}

#[test]
fn what_is_broken_beside_the_point_does_not_lose_the_record() {
    let record =
        |field: &str, value: Value| AdvisoryRecord::new("TEST-1").affects("npm", "x", "0", None).field(field, value);
    for (field, value) in [
        ("summary", json!(5)),
        ("details", json!(["a"])),
        ("severity", json!({"type": "CVSS_V3"})),
        ("severity", json!([5, null, {"type": 3, "score": "x"}])),
        ("references", json!([{"url": 5}, "x", null])),
        ("database_specific", json!([1, 2])),
        ("database_specific", json!({"cwe_ids": "CWE-79", "severity": {"a": 1}})),
        ("modified", json!(12)),
        ("modified", json!("yesterday")),
        ("aliases", Value::Null),
        ("related", Value::Null),
    ] {
        let (database, _) = build(&[record(field, value.clone())]);
        assert_eq!(database.affected("npm", "x").unwrap().len(), 1, "{field}: {value}");
    }
    // What decides whether it applies is another matter: that is said, and no half of it is used.
    for (field, value) in [("aliases", json!([1])), ("affected", json!({})), ("affected", json!([{"ranges": 5}]))] {
        let (database, summary) = build(&[record(field, value.clone())]);
        assert_eq!((database.affected("npm", "x").unwrap().len(), summary.warnings.len()), (0, 1), "{field}: {value}");
        assert_eq!(summary.warnings[0].path, "a place");
    }
}

#[test]
fn what_is_not_known_of_a_record_is_said() {
    let unknown = json!({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}], "versions": ["1.0"]});
    let (database, summary) = build(&[
        AdvisoryRecord::new("TEST-1").affected("Unheard of:1", "x", unknown.clone()).affects("npm", "y", "0", None),
        AdvisoryRecord::new("TEST-2").affected("npm\0x", "y", unknown.clone()),
        AdvisoryRecord::new("TEST-3").affects("npm", "z", "0", None).aliases(&["a\0b", ""]),
    ]);
    let known = database.affected("Unheard of:1", "x").unwrap();
    assert_eq!((&known[0].versions[..], known[0].intervals.len()), (&["1.0"][..], 0));
    assert_eq!(database.affected("npm", "y").unwrap().len(), 1);
    let places: Vec<&str> = summary.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(places, ["TEST-1", "TEST-2", "TEST-3"], "{:?}", summary.warnings);
    // What names no version that could be compared matches nothing: that is said.
    let git = json!({"type": "GIT", "repo": "https://git.example/x", "events": [{"introduced": "0"}]});
    for (entry, warned) in
        [(json!({"ranges": [git]}), 1), (json!({}), 1), (json!({"ranges": [git], "versions": ["1.0"]}), 0)]
    {
        assert_eq!(said(entry.clone()).1, warned, "{entry}");
    }
    assert_eq!(
        said(json!({"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"limit": "x y"}]}]})),
        (">= 0".to_owned(), 1)
    );
    // A type of range that nobody has heard of is compared as its ecosystem does.
    let mut odd = unknown;
    odd["ranges"][0]["type"] = json!("CALENDAR");
    assert_eq!(said(odd), (">= 0".to_owned(), 0));
}

/// Listed versions are left out where an interval holds them, as matching asks; else they would be lost.
#[test]
fn versions_that_no_interval_holds_stay() {
    let entry = json!({
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.5"}]}],
        "versions": ["1.0", "1.4.9", "1.x-dev", "dev-master"],
    });
    let (database, _) = build(&[AdvisoryRecord::new("TEST-1").affected("Packagist", "a/b", entry)]);
    assert_eq!(database.affected("Packagist", "a/b").unwrap()[0].versions, ["1.x-dev", "dev-master"]);
}

#[test]
fn limits_and_gaps_between_intervals() {
    let cases = [
        (json!([{"introduced": "0"}, {"limit": "2.0.0"}]), ">= 0, < 2.0.0"),
        // A version before one of several limits is before the limits, and a limit ends what begins behind it, too.
        (json!([{"introduced": "0"}, {"fixed": "3.0.0"}, {"limit": "2.0.0"}, {"limit": "5.0.0"}]), ">= 0, < 3.0.0"),
        (json!([{"introduced": "0"}, {"limit": "2.0.0"}, {"limit": "*"}]), ">= 0"),
        (json!([{"introduced": "0"}, {"limit": "2.0.0"}, {"introduced": "3.0.0"}]), ">= 0, < 2.0.0"),
        (json!([{"introduced": "0"}, {"last_affected": "2.0.0"}, {"limit": "2.0.0"}]), ">= 0, < 2.0.0"),
        (
            json!([{"introduced": "1.0.0"}, {"fixed": "1.5.0"}, {"introduced": "2.5.0"}, {"limit": "2.0.0"}]),
            ">= 1.0.0, < 1.5.0",
        ),
        (json!([{"introduced": "0"}, {"fixed": "0"}]), ">= 0, < 0"),
        // Two branches, each with its fix.
        (
            json!([{"introduced": "1.0.0"}, {"fixed": "1.0.5"}, {"introduced": "1.1.0"}, {"last_affected": "1.1.3"}]),
            ">= 1.0.0, < 1.0.5 | >= 1.1.0, <= 1.1.3",
        ),
        (json!([{"introduced": "1.0.0"}, {"fixed": "1.0.5"}, {"fixed": "1.2.0"}]), ">= 1.0.0, < 1.0.5"),
    ];
    for (events, expected) in cases {
        assert_eq!(said(ranges("SEMVER", events.clone())), (expected.to_owned(), 0), "{events}");
    }
}
