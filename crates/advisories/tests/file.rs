//! The file: the same input gives the same bytes, and no damage gives another answer.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

use portcullis_advisories::{Builder, Database};
use portcullis_model::{Advisory, AdvisoryKey, AdvisoryLookup as _, Affected, Exploited, LookupError};
use portcullis_testkit::AdvisoryRecord;
use proptest::prelude::*;
use serde_json::json;

fn records() -> Vec<AdvisoryRecord> {
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

fn build(records: &[AdvisoryRecord]) -> Vec<u8> {
    let mut builder = Builder::new();
    for (number, record) in records.iter().enumerate() {
        builder.add_record("osv/test", &format!("{number}"), record.json().as_bytes());
    }
    builder.build().unwrap().0
}

/// Everything that a scan, `db search` and `explain` may ask.
type Answers = Vec<Result<(Vec<Affected>, Vec<Advisory>, Exploited, bool, usize), LookupError>>;

fn answers(database: &Database) -> Answers {
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

#[test]
fn no_changed_byte_gives_another_answer() {
    let bytes = build(&records());
    let right = answers(&Database::from_bytes(bytes.clone()).unwrap());
    assert!(right.iter().all(Result::is_ok));
    assert!(right.iter().flatten().any(|(affected, ..)| !affected.is_empty()));
    let mut caught_at_opening = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let Ok(database) = Database::from_bytes(changed) else {
            caught_at_opening += 1;
            continue;
        };
        for (answer, right) in answers(&database).iter().zip(&right) {
            assert!(answer.is_err() || answer == right, "byte {at}: {answer:?}");
        }
        assert!(database.verify().is_err(), "byte {at}");
    }
    // All of the header, at least.
    assert!(caught_at_opening >= 2048, "{caught_at_opening}");
}

#[test]
fn a_cut_file_is_an_error() {
    let bytes = build(&records());
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        assert!(Database::from_bytes(bytes[..length].to_vec()).is_err(), "{length}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(Database::from_bytes(longer).is_err());
    assert!(Database::from_bytes(b"PK\x03\x04".repeat(2000)).is_err());
}

#[test]
fn a_key_that_is_none_is_an_error() {
    let database = Database::from_bytes(build(&records())).unwrap();
    for key in [12, 1000, u32::MAX] {
        assert!(database.advisory(AdvisoryKey(key), true).is_err(), "{key}");
    }
}

#[test]
fn the_digest_names_the_bytes() {
    let mut builder = Builder::new();
    records().iter().for_each(|record| builder.add_record("osv/test", "", record.json().as_bytes()));
    let (bytes, summary) = builder.build().unwrap();
    let database = Database::from_bytes(bytes.clone()).unwrap();
    assert_eq!(database.digest(), summary.digest);
    assert_eq!(database.info().digest, summary.digest);
    assert_ne!(Database::from_bytes(build(&records()[..5])).unwrap().digest(), summary.digest);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    std::fs::write(&path, &bytes).unwrap();
    let mapped = Database::open(&path).unwrap();
    assert_eq!(answers(&mapped), answers(&database));
    mapped.verify().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_adding_does_not_matter(shuffled in Just(records()).prop_shuffle()) {
        prop_assert_eq!(build(&shuffled), build(&records()));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..9000), with_magic in any::<bool>()) {
        if with_magic && bytes.len() > 12 {
            bytes[..12].copy_from_slice(b"PORTCLDB\x02\0\0\0");
        }
        prop_assert!(Database::from_bytes(bytes).is_err());
    }
}

#[test]
fn a_record_of_the_future_does_not_make_the_database_newer() {
    let record = |id: &str, modified: &str| {
        AdvisoryRecord::new(id).affects("npm", "p", "0", None).field("modified", json!(modified)).json()
    };
    let mut builder = Builder::new().as_of("2026-06-01".parse().unwrap());
    builder.add_record("osv/test", "a", record("GHSA-1", "2026-05-05").as_bytes());
    builder.add_record("osv/test", "b", record("GHSA-2", "2027-07-09").as_bytes());
    let database = Database::from_bytes(builder.build().unwrap().0).unwrap();
    assert_eq!(database.info().built.date(), "2026-05-05");
    assert_eq!(database.affected("npm", "p").unwrap().len(), 2);
}
