//! Tar streams as programs write them, and as programs that mean harm write them.
//!
//! Where readers differ, engines unpack what Go's `archive/tar` reads: so what it reads must be seen.
//! (<https://pkg.go.dev/archive/tar>)

mod support;

use portcullis_testkit::{
    Compression, Layer,
    tar::{Header, entry, pax, with_body},
};
use proptest::prelude::*;
use support::{entries, gap, read};

fn file(name: &[u8], body: &[u8]) -> Vec<u8> {
    entry(b'0', name, b"", 0o644, body)
}

fn layer(parts: &[&[u8]]) -> Layer {
    Layer::new().raw(&parts.concat())
}

#[test]
fn every_kind_of_entry() {
    let layer = Layer::new()
        .directory("etc")
        .file("etc/passwd", "root")
        .symlink("etc/link", "../usr")
        .hard_link("etc/hard", "./etc/passwd")
        .raw(&entry(b'6', b"run/fifo", b"", 0o644, b""))
        .raw(&entry(b'7', b"contiguous", b"", 0o644, b"abc"))
        .whiteout("etc/gone")
        .opaque("usr")
        .opaque("")
        .file(".wh..wh.plnk/1.2", "bookkeeping")
        .file("empty", "");
    let expected = [
        "directory etc",
        "file etc/passwd 4 root",
        "symlink etc/link ../usr",
        "link etc/hard etc/passwd",
        "special run/fifo",
        "file contiguous 3 abc",
        "removed etc/gone",
        "opaque usr",
        "opaque ",
        "file .wh..wh.plnk/1.2 11 bookkeepin",
        "file empty 0",
    ];
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        assert_eq!(entries(layer.clone().compression(compression)), expected);
    }
}

#[test]
fn long_names_in_every_form() {
    let long = format!("a/{}/end", "long/".repeat(40));
    let clean = long.replace("//", "/");
    let expected = [format!("file {clean} 3 abc")];
    assert_eq!(entries(layer(&[&file(long.as_bytes(), b"abc")])), expected, "GNU");
    assert_eq!(entries(layer(&[&pax(&[("path", &long)]), &file(b"short", b"abc")])), expected, "pax");
    let (prefix, name) = long.split_at(152);
    let ustar = Header::new(b'0', name.as_bytes(), 3).bytes(345, prefix.trim_end_matches('/').as_bytes());
    assert_eq!(entries(layer(&[&with_body(ustar, b"abc")])), expected, "ustar");
    let target = "t/".repeat(100);
    let link = entry(b'2', b"link", target.as_bytes(), 0o777, b"");
    assert_eq!(entries(layer(&[&link])), [format!("symlink link {target}")]);
}

#[test]
fn what_engines_would_unpack_is_what_is_read() {
    let gnu_long = with_body(Header::new(b'L', b"././@LongLink", 5), b"gnu1\0");
    let next = file(b"next", b"");
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("GNU's name over pax's", [gnu_long, pax(&[("path", "pax")]), file(b"name", b"")].concat(), "file gnu1 0"),
        (
            "the last pax header alone",
            [pax(&[("path", "one")]), pax(&[("mtime", "1")]), file(b"name", b"")].concat(),
            "file name 0",
        ),
        ("an empty pax value", [pax(&[("path", "")]), file(b"name", b"")].concat(), "file name 0"),
        (
            "pax's size",
            [pax(&[("size", "3")]), Header::new(b'0', b"name", 0).finish().to_vec(), file_body(b"abc")].concat(),
            "file name 3 abc",
        ),
        ("a slash does not make a file a directory", file(b"name/", b"abc"), "file name 3 abc"),
        ("but it did before POSIX", entry(0, b"name/", b"", 0o644, b""), "directory name"),
        ("the listing of an incremental directory", entry(b'D', b"name", b"", 0o755, b"Ya\0\0"), "directory name"),
        (
            "a size in base 256",
            with_body(Header::new(b'0', b"name", 3).bytes(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]), b"abc"),
            "file name 3 abc",
        ),
        (
            "a size after NULs",
            with_body(Header::new(b'0', b"name", 3).bytes(124, b"\0\0 3\0\0\0\0\0\0\0\0"), b"abc"),
            "file name 3 abc",
        ),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(entries(layer(&[&bytes, &next])), [expected, "file next 0"], "{what}");
    }
}

/// A padded body without a header.
fn file_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    bytes.resize(512, 0);
    bytes
}

#[test]
fn sparse_files_are_skipped_and_said() {
    let next = file(b"next", b"abc");
    // GNU's old format: the map goes on in two further blocks, then the data.
    let mut old = Header::new(b'S', b"sparse", 5).bytes(257, b"ustar  \0").bytes(482, &[1]).finish().to_vec();
    let mut map = [0; 512];
    map[504] = 1;
    old.extend([map, [0; 512]].concat());
    old.extend(file_body(b"hello"));
    let new = [pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.name", "sparse")]), file(b"GNUSparseFile.0/x", b"hello")];
    for bytes in [old, new.concat()] {
        let (message, read) = gap(layer(&[&bytes, &next]));
        assert_eq!(message, "a sparse file was not read");
        assert_eq!(read, ["special sparse", "file next 3 abc"]);
    }
}

#[test]
fn paths_that_lead_out_are_skipped_and_said() {
    let next = file(b"next", b"");
    let (message, read) = gap(layer(&[&file(b"../../etc/passwd", b"root"), &next]));
    assert!(message.contains("`..`"), "{message}");
    assert_eq!(read, ["file next 0"]);
    let (_, read) = gap(layer(&[&entry(b'1', b"name", b"../etc/passwd", 0o644, b""), &next]));
    assert_eq!(read, ["file next 0"]);
    let (_, read) = gap(layer(&[&file(&[b'a'; 5000], b""), &next]));
    assert_eq!(read, ["file next 0"]);
    let (_, read) = gap(layer(&[&pax(&[("path", "a\0b")]), &file(b"name", b""), &next]));
    assert_eq!(read, ["file next 0"]);
    // From the root of the image, as everything is.
    assert_eq!(entries(layer(&[&file(b"/etc/passwd", b"root")])), ["file etc/passwd 4 root"]);
    assert_eq!(entries(layer(&[&entry(b'1', b"name", b"/etc/passwd", 0o644, b"")])), ["link name etc/passwd"]);
}

#[test]
fn names_that_are_no_text_stay_apart() {
    let bytes = [file(b"a\xff", b""), file(b"a\xfe", b"")].concat();
    assert_eq!(entries(layer(&[&bytes])), ["file a\\xff 0", "file a\\xfe 0"]);
}

#[test]
fn damage_is_a_listed_gap() {
    let good = file(b"good", b"abc");
    let half = &file(b"half", &[b'x'; 4000])[..2000];
    let mut wrong_sum = file(b"bad", b"");
    wrong_sum[0] ^= 1;
    let no_size = with_body(Header::new(b'0', b"bad", 0).bytes(124, b"9"), b"");
    let huge = Header::new(b'0', b"bad", u64::MAX >> 1).finish();
    let long = with_body(Header::new(b'L', b"bad", 2 << 20), &vec![b'a'; 2 << 20]);
    let lone = [vec![0; 512], file(b"behind a lone zero block", b"")].concat();
    for (what, bytes) in [
        ("cut in a body", half),
        ("cut in a header", &half[..300]),
        ("checksum", &wrong_sum),
        ("size", &no_size),
        ("size without end", &huge),
        ("extension without end", &long),
        ("lone zero block", &lone),
    ] {
        for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
            let (message, read) = gap(layer(&[&good, bytes]).cut().compression(compression));
            assert!(message.starts_with("the rest of it was not read: "), "{what}: {message}");
            assert_eq!(read, ["file good 3 abc"], "{what}");
        }
    }
    let (message, _) = gap(Layer::stored("<html>not found</html>"));
    assert!(message.starts_with("it is not a tar archive"), "{message}");
}

#[test]
fn a_stream_may_end_without_the_marker() {
    assert_eq!(entries(Layer::new().file("a", "abc").cut()), ["file a 3 abc"]);
    assert_eq!(entries(Layer::stored("")), [""; 0]);
    assert_eq!(entries(layer(&[&file(b"a", b""), &[0; 512]]).cut()), ["file a 0"]);
    assert_eq!(entries(layer(&[&file(b"a", b""), &[0; 10240], b"rubbish"])), ["file a 0"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4000), packed in 0..3_u8) {
        let compression = [Compression::Plain, Compression::Gzip, Compression::Zstd][usize::from(packed)];
        read(Layer::stored(compression.apply(&bytes)));
    }

    #[test]
    fn no_change_to_an_archive_makes_it_panic(
        changes in proptest::collection::vec((0..8000_usize, any::<u8>()), 1..6),
        summed in any::<bool>(),
        packed in any::<bool>(),
    ) {
        let mut bytes = Layer::new()
            .directory("a")
            .file("a/b", "x".repeat(700))
            .raw(&pax(&[("path", "from/pax"), ("size", "5"), ("GNU.sparse.major", "1")]))
            .file("c", "hello")
            .file(&"long/".repeat(40), "y")
            .hard_link("d", "c")
            .tar();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        if summed {
            // Right checksums let the changes through to what is behind them.
            for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let bytes = if packed { Compression::Gzip.apply(&bytes) } else { bytes };
        read(Layer::stored(bytes));
    }
}
