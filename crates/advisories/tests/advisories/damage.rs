//! Damaged, cut and replaced files: an error with a hint, or the identical answer; never another one.

use portcullis_advisories::{BuildError, Builder, Database, FORMAT_VERSION, OpenError};
use portcullis_errors::Hint as _;
use portcullis_model::{AdvisoryKey, AdvisoryLookup as _};
use portcullis_testkit::{AdvisoryRecord, seal_database};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Answers, answers, file, records};

/// What somebody made of the file: it is an error with a hint, or every answer is as it was.
fn is_error_or_the_same(bytes: Vec<u8>, right: &Answers<'_>) -> Result<(), String> {
    match Database::from_bytes(bytes) {
        Err(error) => match error.hint() {
            Some(hint) if hint.contains("portcullis db build") => Ok(()),
            hint => Err(format!("{error}: {hint:?}")),
        },
        Ok(database) => {
            let answers = answers(&database);
            let other = answers.iter().zip(right).find(|(answer, right)| answer.is_ok() && answer != right);
            other.map_or(Ok(()), |(answer, _)| Err(format!("{answer:?}")))
        }
    }
}

#[test]
fn a_database_of_a_newer_or_older_format_is_named_as_such() {
    for version in [0_u32, 1, FORMAT_VERSION - 1, FORMAT_VERSION + 1, u32::MAX] {
        let mut bytes = file(&records());
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        match Database::from_bytes(bytes) {
            Err(error @ OpenError::Version { found, readable: FORMAT_VERSION }) if found == version => {
                assert!(error.to_string().contains(&version.to_string()), "{error}");
                assert!(error.hint().unwrap().contains("portcullis db build"));
            }
            other => panic!("{version}: {:?}", other.map(|database| database.digest())),
        }
    }
}

#[test]
fn a_file_that_ends_at_a_boundary_is_an_error() {
    let bytes = file(&records());
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    // Ends of sections, the table of page digests, pages, the header.
    let mut boundaries: Vec<usize> =
        (0..13).flat_map(|section| [number(32 + section * 16), number(40 + section * 16)]).collect();
    let ends: Vec<usize> = boundaries.chunks(2).map(|section| section[0] + section[1]).collect();
    boundaries.extend(ends);
    boundaries.extend([0, 8, 12, 32, 240, 272, number(24)]);
    boundaries.extend((0..bytes.len()).step_by(1024));
    for end in boundaries.into_iter().filter(|&end| end < bytes.len()) {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes[..end]).unwrap();
        let error = Database::open(path.path()).err().unwrap_or_else(|| panic!("{end}"));
        assert!(error.hint().is_some(), "{end}: {error}");
        // As long as its header says, but empty from there on.
        if end >= 1024 {
            let mut blank = bytes.clone();
            blank[end..].fill(0);
            is_error_or_the_same(blank, &answers(&Database::from_bytes(bytes.clone()).unwrap())).unwrap();
        }
    }
}

#[test]
fn an_open_database_keeps_its_file_when_another_takes_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    let write = |records: &[AdvisoryRecord]| {
        let mut builder = Builder::new().temporary_files_in(folder.path());
        records.iter().for_each(|record| builder.add_record("osv/test", "", record.json().as_bytes()));
        builder.write(&path).unwrap().digest
    };
    let first = write(&records());
    let old = Database::open(&path).unwrap();
    let second = write(&records()[..5]);
    assert_ne!(first, second);
    // Nothing of the old one was read before it lost its name.
    assert_eq!(answers(&old), answers(&Database::from_bytes(file(&records())).unwrap()));
    old.verify().unwrap();
    assert_eq!((old.digest(), Database::open(&path).unwrap().digest()), (first, second));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(answers(&old).len(), 8);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_build_that_fails_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    std::fs::write(&path, "old").unwrap();
    assert!(matches!(Builder::new().write(&path), Err(BuildError::Empty)));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Enough records that texts have a dictionary, and sections many pages.
fn large() -> &'static (Vec<u8>, Answers<'static>) {
    static LARGE: std::sync::LazyLock<(Vec<u8>, Answers<'_>)> = std::sync::LazyLock::new(|| {
        let more = (0..3000).map(|number| {
            AdvisoryRecord::new(&format!("L-{number}"))
                .aliases(&[&format!("CVE-2023-{}", 1000 + number % 700)])
                .affects("npm", &format!("p{}", number % 90), "0", Some(&format!("{}.1.{number}", number % 7)))
                .field("details", json!(format!("the details of {number}, {}", number * 7919)))
                .field(
                    "summary",
                    json!(format!("{} in the {}th of {}", number * 104_729 % 1013, number, "x".repeat(number % 500))),
                )
        });
        let bytes = file(&records().into_iter().chain(more).collect::<Vec<_>>());
        static RIGHT: std::sync::OnceLock<Database> = std::sync::OnceLock::new();
        let right = answers(RIGHT.get_or_init(|| Database::from_bytes(bytes.clone()).unwrap()));
        assert!(right.iter().all(Result::is_ok));
        // The dictionary is there.
        assert!(u64::from_le_bytes(bytes[232..240].try_into().unwrap()) > 1000);
        (bytes, right)
    });
    &LARGE
}

/// Asks everything; what comes is an answer or an error.
fn ask_all(database: &Database) {
    _ = answers(database);
    _ = database.info();
    for number in [0, 1, 5, 3000, u32::MAX] {
        _ = database.advisory(AdvisoryKey(number), true);
    }
    assert!(database.verify().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_bits_give_another_answer(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..12)) {
        let (bytes, right) = large();
        let mut changed = bytes.clone();
        for (at, bit) in flips {
            changed[at.index(bytes.len())] ^= 1 << bit;
        }
        prop_assert!(is_error_or_the_same(changed, right).is_ok());
    }

    #[test]
    fn a_file_that_was_built_to_harm_gives_an_answer_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        is_small in any::<bool>(),
    ) {
        let mut changed = if is_small { file(&records()) } else { large().0.clone() };
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        if seal_database(&mut changed) && let Ok(database) = Database::from_bytes(changed) {
            ask_all(&database);
        }
    }
}
