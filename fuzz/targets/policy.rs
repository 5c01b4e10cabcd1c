//! A policy file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_model::Timestamp;
use portcullis_policy::Policy;

fuzz_target!(|text: &str| {
    _ = Policy::parse(text, "policy.yaml", Timestamp::from_unix(1_790_000_000));
});
