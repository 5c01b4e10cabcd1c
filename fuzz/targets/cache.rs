//! An entry of the layer cache: whoever can write one must not be able to do more than be ignored.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    _ = portcullis_scan::is_entry(bytes);
});
