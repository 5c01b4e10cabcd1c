//! Bills of materials of every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_packages::read_sbom;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = read_sbom("sbom", bytes) {
        assert!(read.reading.packages.iter().all(|package| !package.name.is_empty() && !package.purl.is_empty()));
    }
});
