//! The files through which a step speaks to its job: its summary and its outputs.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#environment-files>

use std::{fs::OpenOptions, io::Write as _, path::Path};

use crate::ForgeError;

/// Appends to such a file; other commands of the step write to it, too.
///
/// # Errors
/// When it cannot be written.
pub fn append(path: &Path, text: &str) -> Result<(), ForgeError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| ForgeError::File { path: path.to_owned(), source })
}
