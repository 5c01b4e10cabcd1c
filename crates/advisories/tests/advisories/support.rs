//! What the tests share: the answers of a small database, and what a record says when it is built.

use portcullis_advisories::{BuildSummary, Builder, Database};
use portcullis_model::{Advisory, AdvisoryLookup as _, Affected, Exploited, LookupError};
use portcullis_testkit::AdvisoryRecord;
use serde_json::{Value, json};

pub(crate) fn records() -> Vec<AdvisoryRecord> {
    let cvss = json!([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    let mut records: Vec<AdvisoryRecord> = (0..12)
        .map(|number| {
            AdvisoryRecord::new(&format!("GHSA-{number}"))
                .aliases(&[&format!("CVE-2024-{:04}", 1000 + number / 2)])
                .affects("npm", &format!("p{}", number % 5), "0", Some(&format!("{number}.0.0")))
                .affects("PyPI", "q", "1.0", None)
                .field("details", json!("why ".repeat(number)))
                .field("severity", cvss.clone())
        })
        .collect();
    // The same record, from another source, changed later.
    records.push(AdvisoryRecord::new("GHSA-3").affects("npm", "p1", "0", None).field("modified", json!("2026-05-05")));
    records.push(AdvisoryRecord::new("GHSA-4").affects("npm", "p1", "0", None));
    records
}

pub(crate) fn file(records: &[AdvisoryRecord]) -> Vec<u8> {
    let mut builder = Builder::new();
    for (number, record) in records.iter().enumerate() {
        builder.add_record("osv/test", &format!("{number}"), record.json().as_bytes());
    }
    builder.build().unwrap().0
}

/// Everything that a scan, `db search` and `explain` may ask.
pub(crate) type Answers<'a> = Vec<Result<(Vec<Affected<'a>>, Vec<Advisory>, Exploited, bool, usize), LookupError>>;

pub(crate) fn answers(database: &Database) -> Answers<'_> {
    let ask = |ecosystem: &str, name: &str| {
        let affected = database.affected(ecosystem, name)?;
        let advisories = affected.iter().map(|entry| database.advisory(entry.advisory, true));
        let advisories = advisories.collect::<Result<Vec<_>, _>>()?;
        let exploited = database.exploited("CVE-2024-1002")?;
        let found = database.search("CVE-2024-1003")?;
        Ok((affected, advisories, exploited, database.covers(ecosystem), found.len()))
    };
    let names = ["p0", "p1", "p2", "p3", "p4", "none"];
    names.iter().map(|name| ask("npm", name)).chain([ask("PyPI", "q"), ask("Debian:12", "q")]).collect()
}

pub(crate) fn build(records: &[AdvisoryRecord]) -> (Database, BuildSummary) {
    let mut builder = Builder::new();
    for record in records {
        builder.add_record("osv/test", "a place", record.json().as_bytes());
    }
    // So that there is something to build.
    let other = AdvisoryRecord::new("OTHER-1").affects("npm", "other", "0", None);
    builder.add_record("osv/test", "other", other.json().as_bytes());
    let (bytes, summary) = builder.build().unwrap();
    (Database::from_bytes(bytes).unwrap(), summary)
}

/// What a record with this `affected` entry says of the npm package `x`, and how many warnings it gave.
pub(crate) fn said(entry: Value) -> (String, usize) {
    let (database, summary) = build(&[AdvisoryRecord::new("TEST-1").affected("npm", "x", entry)]);
    let affected = database.affected("npm", "x").unwrap();
    let text = affected.iter().flat_map(|Affected { intervals, versions, .. }| {
        let intervals = intervals.iter().map(ToString::to_string);
        intervals.chain(versions.iter().map(|version| format!("= {version}"))).collect::<Vec<_>>()
    });
    (text.collect::<Vec<_>>().join(" | "), summary.warnings.len())
}

pub(crate) fn ranges(kind: &str, events: Value) -> Value {
    json!({"ranges": [{"type": kind, "events": events}]})
}
