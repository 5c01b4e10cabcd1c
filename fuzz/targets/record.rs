//! An OSV record, to a database that opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_advisories::{Builder, Database};

fuzz_target!(|bytes: &[u8]| {
    let mut builder = Builder::new();
    builder.add_record("source", "record.json", bytes);
    if let Ok((database, _)) = builder.build() {
        Database::from_bytes(database).expect("what is built opens");
    }
});
