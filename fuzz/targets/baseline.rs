//! Earlier reports: any bytes are a baseline or none, and what a report says of it is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_report::Baseline;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(baseline) = Baseline::read(bytes) {
        assert_eq!(Baseline::read(bytes).ok(), Some(baseline));
    }
});
