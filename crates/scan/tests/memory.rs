//! Small layers that unpack to a lot: bounded memory. One test, alone in its process, since it looks at
//! the peak of the process's memory.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use portcullis_testkit::{
    Compression, ImageBuilder, Layer,
    tar::{END, Header, entry},
};
use support::{npm, taken};

/// Peak memory of this process so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// A gzip layer of several members: a start, something often, an end.
fn repeated(start: &[u8], again: &[u8], times: usize, end: &[u8]) -> Layer {
    let gzip = |bytes: &[u8]| Compression::Gzip.apply(bytes);
    Layer::stored([gzip(start), gzip(again).repeat(times), gzip(end)].concat())
}

#[test]
fn layers_that_unpack_to_a_lot_cost_little() {
    const PATH: &str = "node_modules/x/package.json";
    let last = entry(b'0', PATH.as_bytes(), b"", 0o644, npm("x", "1.0.0").as_bytes());
    let end = [&last[..], &END].concat();

    // Half a gigabyte of zeros in one file, under a name that no reader wants, and under one that a reader does.
    let zeros = vec![0; 32 << 20];
    let huge = |name: &[u8]| repeated(&Header::new(b'0', name, 512 << 20).finish(), &zeros, 16, &end);
    let plain = huge(b"zeros");
    let wanted = huge(b"node_modules/zeros/package.json");
    drop(zeros);

    // A million empty files, and many whiteouts.
    let empty: Vec<u8> = (0..10_000).flat_map(|n| entry(b'0', format!("d/{n}").as_bytes(), b"", 0o644, b"")).collect();
    let empty = repeated(&[], &empty, 100, &end);
    let gone: Vec<u8> = (0..10_000).flat_map(|n| entry(b'0', format!(".wh.{n}").as_bytes(), b"", 0o644, b"")).collect();
    let gone = repeated(&[], &gone, 30, &end);

    // Links from a hundred thousand names to one package: each is a place of it. What is known of a file is kept for each
    // of its names until the layers are laid over one another, so this costs what as many files would: 0.9 KiB each.
    let links: Vec<u8> = (0..100_000)
        .flat_map(|n| entry(b'1', format!("{n}/node_modules/x/package.json").as_bytes(), PATH.as_bytes(), 0o644, b""))
        .collect();
    let links = repeated(&last, &links, 1, &END);

    let before = peak();
    // The last is the peak up to then, in MiB, with a third to spare.
    for (what, layer, warnings, places, most) in [
        ("zeros", plain, 0, 1, 24),
        ("zeros that a reader wants", wanted, 1, 1, 24),
        ("empty files", empty, 0, 1, 48),
        ("whiteouts", gone, 0, 1, 48),
        ("hard links", links, 0, 100_001, 160),
    ] {
        let taken = taken(&ImageBuilder::new().layer(layer).build());
        assert_eq!(taken.inventory.packages.len(), 1, "{what}");
        assert_eq!(taken.inventory.packages[0].locations.len(), places, "{what}");
        assert_eq!(taken.inventory.warnings.len(), warnings, "{what}: {:?}", taken.inventory.warnings);
        // What the tests themselves hold is counted in `before`.
        assert!(peak() < before + most, "{what}: {before} MiB, then {} MiB", peak());
    }
}
