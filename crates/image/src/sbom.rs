//! Bills of materials as targets: a file, or standard input. What they say is read elsewhere.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use portcullis_model::{Digest, Target};

use crate::{Image, ImageError, patient};

/// Largest document taken, in bytes, as it is stored.
const MAX_BYTES: u64 = 256 << 20;

/// Standard input.
const STDIN: &str = "-";

/// Opens a document; `-` is standard input. A pipe is read until the deadline.
pub(crate) fn open(path: &Path, deadline: Option<Instant>) -> Result<Image, ImageError> {
    let unreadable = |cause| ImageError::File { path: path.to_owned(), cause };
    if path == Path::new(STDIN) {
        let name = "standard input";
        let mut source = patient::reader(deadline, || Ok(io::stdin()))
            .map_err(|cause| ImageError::File { path: name.into(), cause })?;
        return read(name.to_owned(), &mut source);
    }
    let opened = path.to_owned();
    // A file has no need of another thread.
    let deadline = deadline.filter(|_| !path.is_file());
    let mut source = patient::reader(deadline, || File::open(opened)).map_err(unreadable)?;
    read(path.display().to_string(), &mut source)
}

/// Reads a document to its end.
pub(crate) fn read(name: String, source: &mut dyn Read) -> Result<Image, ImageError> {
    let mut bytes = Vec::new();
    let outcome = source.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    outcome.map_err(|cause| ImageError::File { path: PathBuf::from(&name), cause })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ImageError::TooLarge { what: name, limit: MAX_BYTES });
    }
    let target = Target { digest: Some(Digest::of(&bytes)), ..Target::named(name) };
    Ok(Image { target, is_sources: false, sbom: Some(bytes), layers: Vec::new() })
}

/// Whether a file is one, by its first bytes; what is compressed, by its name.
pub(crate) fn is_sbom(path: &Path) -> bool {
    // Opening a pipe waits for whoever writes into it, and what is read of it is gone.
    if !path.is_file() {
        return false;
    }
    let mut head = [0; 256];
    let Ok(length) = File::open(path).and_then(|mut file| file.read(&mut head)) else { return false };
    let head = head.get(..length).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_named = [".json.gz", ".jsonl.gz", ".xml.gz", ".spdx.gz"].iter().any(|ending| name.ends_with(ending));
    head.first() == Some(&0x1f) && is_named || starts(head)
}

/// Whether a document begins like this.
pub(crate) fn starts(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    matches!(text.first(), Some(b'{' | b'<')) || text.starts_with(b"SPDXVersion:")
}
