//! The conformance suite of the distribution specification, on both kinds of the registry.
//!
//! <https://github.com/opencontainers/distribution-spec/tree/main/conformance>. The program is found by
//! PORTCULLIS_OCI_CONFORMANCE, or as `oci-conformance` in `~/.cache/portcullis-tests/bin`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and say what they skip")]

use std::{path::PathBuf, process::Command};

use portcullis_embedded_registry::{EmbeddedRegistry, Options};

fn program() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_OCI_CONFORMANCE").map(PathBuf::from);
    let kept =
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/portcullis-tests/bin/oci-conformance"));
    let found = named.or(kept).filter(|program| program.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "the OCI conformance suite is missing");
        println!("skipped: the OCI conformance suite is missing");
    }
    found
}

#[test]
fn every_part_of_the_specification_passes() {
    let Some(program) = program() else { return };
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let results = std::env::temp_dir().join(format!("oci-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&results).unwrap();
    let output = Command::new(program)
        .env_clear()
        .env("OCI_REGISTRY", registry.address().to_string())
        .env("OCI_TLS", "disabled")
        // One digest algorithm is kept: `portcullis_model::Digest` says why.
        .env("OCI_DATA_SHA512", "false")
        .env("OCI_RESULTS_DIR", &results)
        .current_dir(&results)
        .output();
    std::fs::remove_dir_all(&results).unwrap();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    // All of it was run, and not found to be absent.
    for line in ["Referrers", "Blob chunked", "Manifest put with subject", "Tag listing"] {
        let result = text.lines().find(|found| found.trim_start().starts_with(line));
        assert!(result.is_some_and(|found| found.ends_with("Pass")), "{line}: {result:?}");
    }
}
