//! Helpers of the readers' tests.

use std::fmt::Write as _;

use expect_test::Expect;
use portcullis_filetree::{FileHeader, HEAD_BYTES};
use portcullis_model::{Awaited, Completion, Reading, WarningKind};

use crate::{PackageReader, Selection};

/// Checks what `reader` makes of a file: one line for each package, claim of files, distribution and warning.
#[track_caller]
pub(crate) fn check(reader: &dyn PackageReader, path: &str, contents: impl AsRef<[u8]>, expected: Expect) {
    let reading =
        read(reader, path, contents.as_ref()).unwrap_or_else(|| panic!("{} does not want {path}", reader.name()));
    expected.assert_eq(&render(&reading));
}

/// Reads a file as a scan would; none if the reader does not want it.
pub(crate) fn read(reader: &dyn PackageReader, path: &str, contents: &[u8]) -> Option<Reading> {
    read_in_pieces(reader, path, contents, contents.len().max(1))
}

/// Reads a file as a scan would, in pieces of `size` bytes where the reader takes pieces.
pub(crate) fn read_in_pieces(reader: &dyn PackageReader, path: &str, contents: &[u8], size: usize) -> Option<Reading> {
    let head = &contents[..contents.len().min(HEAD_BYTES)];
    let file = FileHeader { path, size: contents.len() as u64, mode: 0o755, head };
    match reader.select(&file)? {
        Selection::Whole { limit } => {
            assert!(contents.len() <= limit, "{path} is larger than {limit} bytes");
            Some(reader.read(&file, contents))
        }
        Selection::Stream(mut stream) => {
            for piece in contents.chunks(size) {
                if !stream.feed(piece) {
                    break;
                }
            }
            Some(stream.finish())
        }
    }
}

/// A reading as lines of text.
pub(crate) fn render(reading: &Reading) -> String {
    let mut text = String::new();
    if let Some(distribution) = &reading.distribution {
        writeln!(text, "{distribution:?}").unwrap();
    }
    for package in &reading.packages {
        write!(text, "{} {} {}", package.kind, package.name, package.version).unwrap();
        if let Some(source) = package.source.as_ref().filter(|s| s.name != package.name || s.version != package.version)
        {
            write!(text, " from {} {}", source.name, source.version).unwrap();
        }
        let note = |text: &mut String, label: &str, value: &str| {
            if !value.is_empty() {
                write!(text, ", {label} {value}").unwrap();
            }
        };
        note(&mut text, "for", package.architecture.as_deref().unwrap_or(""));
        note(&mut text, "by", package.vendor.as_deref().unwrap_or(""));
        note(&mut text, "under", &package.licenses.join(" | "));
        note(&mut text, "purl", &package.purl);
        note(&mut text, "needs", &package.depends_on.join(" "));
        text.push('\n');
    }
    for owned in &reading.owned {
        writeln!(text, "{} owns {} paths", owned.package, owned.paths.len()).unwrap();
    }
    if let Some(Completion::Awaited(all)) = reading.completion.as_deref() {
        for Awaited { files, is_above, is_gap, message } in all {
            let kind = if *is_gap { "gap" } else { "note" };
            let place = if *is_above { "here or above" } else { "here" };
            writeln!(text, "{kind} without {} {place}: {message}", files.join(", ")).unwrap();
        }
    }
    if let Some(why) = &reading.partial {
        writeln!(text, "partial: {why}").unwrap();
    }
    for warning in &reading.warnings {
        let kind = if warning.kind == WarningKind::Gap { "gap" } else { "note" };
        writeln!(text, "{kind} in {}: {}", warning.path, warning.message).unwrap();
    }
    text
}

/// A file of the folder of real data; none, with a word on it, where the folder is not there.
pub(crate) fn data(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("PORTCULLIS_TEST_DATA").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        std::path::PathBuf::from,
    );
    let path = root.join(file);
    match std::fs::read(&path) {
        Ok(contents) => Some(contents),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{}: {error}", path.display()),
        Err(_) => {
            println!("skipped: {} is not there", path.display());
            None
        }
    }
}
