//! An AdmissionReview: answered or refused, and nothing that names an image is allowed by a gate without policies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_admission::{Gate, Options, Path, PolicySet};
use portcullis_registry::{Client, Credentials};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).expect("a client");
    Gate::new(PolicySet::default(), client, Options::default()).expect("a gate")
});

fuzz_target!(|bytes: &[u8]| {
    for path in [Path::Mutate, Path::Validate] {
        let Ok(answer) = RUNTIME.block_on(GATE.review(bytes, path)) else { continue };
        assert!(answer["response"]["allowed"].is_boolean());
    }
});
