//! A VEX document.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    _ = portcullis_vex::read("document.json", bytes);
});
