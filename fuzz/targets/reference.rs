//! An image's name: what it is written as parses to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_registry::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse::<Reference>().expect("its own name"), reference);
});
