//! What a record means: OSV's semantics, from JSON to what matching is given.
//!
//! (<https://ossf.github.io/osv-schema/#evaluation>)

use portcullis_advisories::Builder;
use portcullis_model::{AdvisoryLookup as _, FixState};
use portcullis_testkit::AdvisoryRecord;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{build, ranges, said};

#[test]
fn events_become_intervals() {
    let cases = [
        (json!([{"introduced": "0"}]), ">= 0", 0),
        (json!([{"introduced": "0"}, {"fixed": "1.2.0"}]), ">= 0, < 1.2.0", 0),
        (json!([{"introduced": "1.0.0"}, {"last_affected": "1.4.0"}]), ">= 1.0.0, <= 1.4.0", 0),
        (
            json!([{"introduced": "2.0.0"}, {"fixed": "2.1.0"}, {"introduced": "1.0.0"}, {"fixed": "1.9.0"}]),
            ">= 1.0.0, < 1.9.0 | >= 2.0.0, < 2.1.0",
            0,
        ),
        (json!([{"fixed": "1.10.0"}, {"introduced": "1.9.0"}]), ">= 1.9.0, < 1.10.0", 0),
        (
            json!([{"introduced": "1.0.0"}, {"fixed": "2.0.0"}, {"introduced": "2.0.0"}, {"fixed": "3.0.0"}]),
            ">= 1.0.0, < 2.0.0 | >= 2.0.0, < 3.0.0",
            0,
        ),
        (json!([{"introduced": "1.0.0"}, {"last_affected": "1.0.0"}]), ">= 1.0.0, <= 1.0.0", 0),
        (json!([{"introduced": "0"}, {"limit": "*"}]), ">= 0", 0),
        (json!([{"introduced": "0"}, {"introduced": "1.0.0"}, {"fixed": "2.0.0"}]), ">= 0, < 2.0.0", 0),
        (json!([{"introduced": "0", "fixed": "2.0.0"}]), ">= 0, < 2.0.0", 0),
        // What is wrong is said, and that nothing matches.
        (json!([{"fixed": "2.0.0"}]), "", 2),
        // Introduced and fixed at one version: by OSV's algorithm nothing is affected.
        (json!([{"introduced": "2.0.0"}, {"fixed": "2.0.0"}]), "", 2),
        (json!([{"fixed": "2.0"}, {"introduced": "2.0"}]), "", 2),
        (
            json!([{"introduced": "0"}, {"fixed": "1.0.0"}, {"introduced": "2.0.0"}, {"fixed": "2.0.0"}, {"introduced": "3.0.0"}]),
            ">= 0, < 1.0.0 | >= 3.0.0",
            1,
        ),
        // What cannot be compared is kept as it is: matching then says that it is undecided.
        (json!([{"introduced": "0"}, {"fixed": "the next one"}]), ">= 0, < the next one", 1),
        (json!([]), "", 1),
        (json!([{"introduced": "2.0.0"}, {"limit": "1.0.0"}]), "", 1),
    ];
    for (events, expected, warnings) in cases {
        assert_eq!(said(ranges("SEMVER", events.clone())), (expected.to_owned(), warnings), "{events}");
    }
}

#[test]
fn versions_count_where_no_range_holds_them() {
    let only = json!({"versions": ["1.0.0", "1.0.1"]});
    assert_eq!(said(only), ("= 1.0.0 | = 1.0.1".to_owned(), 0));
    let mut both = ranges("SEMVER", json!([{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]));
    both["versions"] = json!(["1.0.0", "1.5.0", "3.0.0"]);
    assert_eq!(said(both), (">= 1.0.0, < 2.0.0 | = 3.0.0".to_owned(), 0));
}

#[test]
fn commits_are_left_out_and_the_rest_is_kept() {
    let git =
        json!({"type": "GIT", "repo": "https://example.org/x", "events": [{"introduced": "0"}, {"fixed": "6b1f"}]});
    let semver = json!({"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.0"}]});
    assert_eq!(said(json!({"ranges": [git, semver]})), (">= 0, < 1.0.0".to_owned(), 0));
    assert_eq!(said(json!({"ranges": [git], "versions": ["1.0.0"]})), ("= 1.0.0".to_owned(), 0));
}

#[test]
fn withdrawn_records_say_nothing() {
    let record = AdvisoryRecord::new("TEST-1").affects("npm", "x", "0", None);
    let (database, summary) = build(&[record.field("withdrawn", json!("2026-01-01T00:00:00Z"))]);
    assert_eq!(database.affected("npm", "x").unwrap(), []);
    assert_eq!((summary.withdrawn, summary.advisories), (1, 1));
}

#[test]
fn names_are_looked_up_as_their_ecosystem_spells_them() {
    let record = AdvisoryRecord::new("TEST-1").affects("PyPI", "Flask_SQL.Alchemy", "0", None);
    let (database, _) = build(&[record.affects("npm", "Case", "0", None)]);
    assert_eq!(database.affected("PyPI", "flask-sql-alchemy").unwrap().len(), 1);
    assert_eq!(database.affected("npm", "case").unwrap(), []);
    assert_eq!(database.affected("npm", "Case").unwrap().len(), 1);
    assert!(database.covers("PyPI") && !database.covers("Debian:12"));
}

#[test]
fn the_word_of_the_source_on_missing_fixes() {
    let mut entry = ranges("ECOSYSTEM", json!([{"introduced": "0"}]));
    entry["ecosystem_specific"] = json!({"urgency": "end-of-life"});
    let (database, _) = build(&[AdvisoryRecord::new("DEBIAN-CVE-2024-1000").affected("Debian:12", "x", entry)]);
    assert_eq!(database.affected("Debian:12", "x").unwrap()[0].unfixed, Some(FixState::EndOfLife));
    let found = database.search("CVE-2024-1000").unwrap();
    assert_eq!(found[0].advisory.cves, ["CVE-2024-1000"]);
}

#[test]
fn aliases_are_followed_both_ways_and_in_circles() {
    let record = |id: &str, aliases: &[&str]| AdvisoryRecord::new(id).aliases(aliases).affects("npm", "x", "0", None);
    let (database, _) = build(&[
        record("GHSA-a", &["B-1", "CVE-2024-0001"]),
        record("B-1", &["C-1"]),
        record("C-1", &["GHSA-a", "C-1"]),
        record("D-1", &[]),
        // A distribution's record is about a CVE; it is no alias of it.
        record("E-1", &[]).field("upstream", json!(["CVE-2024-0001", "E-1"])),
    ]);
    for (id, cves) in [("GHSA-a", 1), ("B-1", 1), ("C-1", 1), ("D-1", 0), ("E-1", 1)] {
        let hit = database.search(id).unwrap().into_iter().find(|hit| hit.advisory.id == id).unwrap();
        assert_eq!(hit.advisory.cves.len(), cves, "{id}");
        let group = ["B-1", "C-1", "CVE-2024-0001", "GHSA-a"];
        let others: Vec<&str> = group.into_iter().filter(|other| *other != id).collect();
        let expected = if group.contains(&id) { others } else { Vec::new() };
        assert_eq!(hit.advisory.aliases, expected, "{id}");
    }
    assert_eq!(database.search("CVE-2024-0001").unwrap().len(), 4);
    assert_eq!(database.search("nothing").unwrap(), []);
}

#[test]
fn ids_that_are_no_cves_are_not_taken_for_them() {
    let record = |id: &str| AdvisoryRecord::new(id).affects("npm", "x", "0", None);
    let odd = ["CVE-+202-1234", "CVE-2024-00001234", "CVE-0024-1234", "CVE-2024-12", "CVE-2024-", "cve-2024-1234"];
    let (database, _) = build(&odd.map(record));
    for id in odd {
        let hits = database.search(id).unwrap();
        assert_eq!((hits.len(), &hits[0].advisory.id[..], hits[0].advisory.cves.len()), (1, id, 0));
    }
}

#[test]
fn what_is_no_record_is_a_warning_and_the_rest_is_used() {
    let mut builder = Builder::new();
    let good = AdvisoryRecord::new("TEST-1").affects("npm", "x", "0", None).json();
    let deep = format!(r#"{{"id": "DEEP-1", "database_specific": {}"#, "[".repeat(100_000));
    for bad in ["", "null", "[]", "{}", r#"{"id": 1}"#, "<html>", &deep, &good[..good.len() / 2], r#"{"id": ""}"#] {
        builder.add_record("osv/test", "bad", bad.as_bytes());
    }
    builder.add_record("osv/test", "good", good.as_bytes());
    let (_, summary) = builder.build().unwrap();
    assert_eq!((summary.advisories, summary.warnings.len()), (1, 9));
}

/// JSON of the shape of a record, with anything at all in its fields.
fn any_record() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-z.:~+-]{0,8}".prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")),
    ];
    let names = proptest::sample::select(vec![
        "id",
        "aliases",
        "upstream",
        "related",
        "severity",
        "type",
        "score",
        "affected",
        "package",
        "ecosystem",
        "name",
        "ranges",
        "events",
        "introduced",
        "fixed",
        "last_affected",
        "limit",
        "versions",
        "ecosystem_specific",
        "database_specific",
        "cwe_ids",
        "references",
        "url",
        "summary",
        "details",
        "modified",
        "published",
        "binaries",
    ]);
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..6)
                .prop_map(|fields| Value::from_iter(fields.into_iter().map(|(name, value)| (name.to_owned(), value)))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_record_makes_it_panic(
        fields in any_record(),
        events in proptest::collection::vec(
            (proptest::sample::select(vec!["introduced", "fixed", "last_affected", "limit"]), "[0-9]{1,2}(\\.[0-9a-z]{1,3}){0,2}|\\PC{0,5}"),
            0..8,
        ),
        ecosystem in proptest::sample::select(vec!["npm", "PyPI", "Debian:12", "Go", "Alpine:v3.18", "Maven", "Nothing"]),
    ) {
        let events: Vec<Value> = events.into_iter().map(|(kind, version)| json!({kind: version})).collect();
        let mut record = AdvisoryRecord::new("TEST-1").affected(ecosystem, "x", ranges("ECOSYSTEM", json!(events)));
        for (name, value) in fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "affected") {
            record = record.field(name, value.clone());
        }
        let (database, _) = build(&[record]);
        for affected in database.affected(ecosystem, "x").unwrap() {
            database.advisory(affected.advisory, true).unwrap();
            for interval in affected.intervals.iter() {
                prop_assert!(interval.fixed.is_none() || interval.last_affected.is_none());
            }
        }
        let mut builder = Builder::new();
        builder.add_record("osv/test", "any", fields.to_string().as_bytes());
        // Usable or not: it is one or the other.
        _ = builder.build();
    }
}
