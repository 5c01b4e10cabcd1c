//! The file: the same input gives the same bytes, and no damage gives another answer.

use portcullis_advisories::{Builder, Database};
use portcullis_model::{AdvisoryKey, AdvisoryLookup};
use portcullis_testkit::AdvisoryRecord;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{answers, file, records};

#[test]
fn no_changed_byte_gives_another_answer() {
    let bytes = file(&records());
    let database = Database::from_bytes(bytes.clone()).unwrap();
    let right = answers(&database);
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
    assert!(caught_at_opening >= 1024, "{caught_at_opening}");
}

#[test]
fn a_cut_file_is_an_error() {
    let bytes = file(&records());
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        assert!(Database::from_bytes(bytes[..length].to_vec()).is_err(), "{length}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(Database::from_bytes(longer).is_err());
    assert!(Database::from_bytes(b"PK\x03\x04".repeat(2000)).is_err());
}

#[test]
fn a_key_that_is_none_is_an_error() {
    let database = Database::from_bytes(file(&records())).unwrap();
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
    assert_ne!(Database::from_bytes(file(&records()[..5])).unwrap().digest(), summary.digest);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    std::fs::write(&path, &bytes).unwrap();
    let mapped = Database::open(&path).unwrap();
    assert_eq!(answers(&mapped), answers(&database));
    // What was read before a rest is read again after it.
    [&mapped, &database].into_iter().for_each(AdvisoryLookup::rest);
    assert_eq!(answers(&mapped), answers(&database));
    mapped.verify().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_adding_does_not_matter(shuffled in Just(records()).prop_shuffle()) {
        prop_assert_eq!(file(&shuffled), file(&records()));
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

#[test]
fn a_device_is_not_replaced_by_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut builder = Builder::new();
    builder.add_record(
        "osv/test",
        "a place",
        AdvisoryRecord::new("GHSA-1").affects("npm", "x", "0", None).json().as_bytes(),
    );
    let error = builder.write(&socket).unwrap_err();
    assert!(matches!(error, portcullis_advisories::BuildError::Write { .. }));
    assert!(!socket.is_file() && socket.exists());
}
