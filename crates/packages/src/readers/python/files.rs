//! The files that a Python package has installed.
//!
//! Formats: <https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>, lines
//! of path, hash and size, relative to the folder of the `*.dist-info`; and `installed-files.txt`, which old pip wrote,
//! lines of paths relative to the `*.egg-info`.

use portcullis_model::{OwnedPaths, PackageType, PathHash, lookup_name};

use crate::fields;

/// The package that a list at `path` is of, and what it claims. A line that leads out of the image is left out.
pub(super) fn owned(path: &str, contents: &[u8]) -> Option<OwnedPaths> {
    let (folder, list) = path.rsplit_once('/')?;
    let (above, name) = folder.rsplit_once('/').unwrap_or(("", folder));
    let stem = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info"))?;
    // Installers write `-` in a name as `_`.
    let package = stem.split('-').next().filter(|name| !name.is_empty())?;
    let is_record = list == "RECORD";
    let base = if is_record { above } else { folder };
    let mut joined = String::new();
    let paths = fields::lines(contents).filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let file = if is_record { first_cell(line) } else { line.trim() };
        join(base, file, &mut joined).then(|| PathHash::of(&joined))
    });
    let paths = paths.collect();
    Some(OwnedPaths { kind: PackageType::Pypi, package: lookup_name("PyPI", package).into_owned(), paths })
}

/// The path of a line: what stands before the first comma, or in quotes.
fn first_cell(line: &str) -> &str {
    match line.strip_prefix('"') {
        Some(rest) => rest.split('"').next().unwrap_or(rest),
        None => line.split(',').next().unwrap_or(line),
    }
}

/// Writes the path of `file`, seen from `base`, to `joined`; false if there is none.
fn join(base: &str, file: &str, joined: &mut String) -> bool {
    joined.clear();
    if file.is_empty() {
        return false;
    }
    if !file.starts_with('/') {
        joined.push_str(base);
    }
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." if joined.is_empty() => return false,
            ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
            part => {
                if !joined.is_empty() {
                    joined.push('/');
                }
                joined.push_str(part);
            }
        }
    }
    !joined.is_empty()
}
