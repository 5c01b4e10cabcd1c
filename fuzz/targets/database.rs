//! A database file that somebody else wrote: opened, and asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_advisories::Database;
use portcullis_model::AdvisoryLookup as _;

fuzz_target!(|bytes: &[u8]| {
    let Ok(database) = Database::from_bytes(bytes.to_vec()) else { return };
    for (ecosystem, name) in [("npm", "lodash"), ("Debian:12", "openssl"), ("", "")] {
        let Ok(found) = database.affected(ecosystem, name) else { continue };
        for affected in found {
            _ = database.advisory(affected.advisory, true);
        }
    }
});
