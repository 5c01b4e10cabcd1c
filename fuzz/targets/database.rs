//! A database file that somebody built to harm: its digests are right, what it holds is not. Opened, and asked.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_advisories::{Builder, Database};
use portcullis_model::{AdvisoryKey, AdvisoryLookup as _};
use portcullis_testkit::{AdvisoryRecord, seal_database};

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut builder = Builder::new();
    for number in 0..40 {
        let record = AdvisoryRecord::new(&format!("GHSA-{number}"))
            .aliases(&[&format!("CVE-2024-{}", 1000 + number / 2)])
            .affects("npm", "lodash", "0", Some(&format!("{number}.0.0")))
            .affects("Debian:12", "openssl", "1.0", None);
        builder.add_record("source", "record.json", record.json().as_bytes());
    }
    builder.build().expect("it is a good one").0
});

// Every four bytes of the input change one byte of the file.
fuzz_target!(|bytes: &[u8]| {
    let mut file = GOOD.clone();
    for change in bytes.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % file.len();
        file[at] = change[3];
    }
    if !seal_database(&mut file) {
        return;
    }
    let Ok(database) = Database::from_bytes(file) else { return };
    for (ecosystem, name) in [("npm", "lodash"), ("Debian:12", "openssl"), ("", "")] {
        let Ok(found) = database.affected(ecosystem, name) else { continue };
        for affected in found {
            _ = database.advisory(affected.advisory, true);
        }
    }
    for number in 0..45 {
        _ = database.advisory(AdvisoryKey(number), true);
    }
    _ = database.search("CVE-2024-1003");
    _ = database.exploited("CVE-2024-1003");
});
