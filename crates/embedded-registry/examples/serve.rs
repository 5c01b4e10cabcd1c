//! Runs the embedded registry until it is killed, for trying other clients and the OCI conformance suite on it.

#![allow(clippy::print_stdout, reason = "the address is the output")]

use portcullis_embedded_registry::{EmbeddedRegistry, Options};

fn main() -> std::io::Result<()> {
    let referrers = std::env::args().nth(1).as_deref() != Some("--no-referrers");
    let registry = EmbeddedRegistry::start(Options { referrers, ..Options::default() })?;
    println!("{}", registry.address());
    loop {
        std::thread::park();
    }
}
