//! Evidence in an OCI layout, so that it travels with an image that never sees a registry.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use portcullis_errors::Hint;
use portcullis_model::Digest;
use portcullis_registry::{Descriptor, media_type};
use serde::Deserialize;

use crate::{
    Bundle, Candidate, Discovery, Problem, Stored,
    artifact::{Artifact, EMPTY_CONFIG, with_entry},
    discover::{Budget, Layer, ProblemError, evidence_layers},
};

/// The limits of a registry's manifests hold here as well.
const MAX_INDEX_BYTES: u64 = portcullis_registry::MAX_MANIFEST_BYTES;
/// Entries of the index that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The index is none.
    #[error("{} is not the index of an OCI layout", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The image is not in the layout.
    #[error("the layout has no manifest {0}")]
    NoSubject(Digest),
}

impl Hint for LayoutError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSubject(_) => Some("store the evidence in the layout that holds the image".into()),
            Self::Index { .. } | Self::File { .. } => None,
        }
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Descriptor>>,
}

/// Adds bundles about the manifest `subject` to a layout. Storing the same bundle again adds nothing.
///
/// # Errors
/// When the layout does not hold the subject, or a file cannot be read or written.
pub fn store_in_layout(layout: &Path, subject: &Digest, bundles: &[Bundle]) -> Result<Vec<Stored>, LayoutError> {
    let index_path = layout.join("index.json");
    let mut index = read(&index_path, MAX_INDEX_BYTES)?;
    let subject = subject_descriptor(layout, subject)?;
    let mut stored = Vec::with_capacity(bundles.len());
    let mut changed = false;
    for bundle in bundles {
        let Artifact { manifest, descriptor } = Artifact::new(bundle, &subject);
        for content in [EMPTY_CONFIG, bundle.bytes(), &manifest] {
            write_blob(layout, content)?;
        }
        let grown = with_entry(Some(&index), &descriptor)
            .map_err(|source| LayoutError::Index { path: index_path.clone(), source })?;
        if let Some(grown) = grown {
            index = grown.to_vec();
            changed = true;
        }
        stored.push(Stored {
            manifest: descriptor.digest,
            predicate_type: bundle.predicate_type().to_owned(),
            listed_by_registry: false,
        });
    }
    if changed {
        write(&index_path, &index)?;
    }
    Ok(stored)
}

/// Lists what may be evidence about `digest` in a layout; `wanted` as for [`crate::discover`].
///
/// # Errors
/// When the layout's index cannot be read.
pub fn discover_in_layout(layout: &Path, digest: &Digest, wanted: &[&str]) -> Result<Discovery, LayoutError> {
    let index_path = layout.join("index.json");
    let bytes = read(&index_path, MAX_INDEX_BYTES)?;
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|source| LayoutError::Index { path: index_path, source })?;
    let entries = index.manifests.unwrap_or_default();
    let mut discovery = Discovery::default();
    if entries.len() > MAX_ENTRIES {
        let error = ProblemError::TooMuch { limit: MAX_ENTRIES as u64, unit: "entries" };
        discovery.problems.push(Problem { what: "index.json".into(), error });
    }
    let budget = Budget::new();
    for entry in entries.iter().take(MAX_ENTRIES).filter(|entry| entry.media_type == media_type::OCI_MANIFEST) {
        let found = candidates(layout, entry, digest, wanted, &budget);
        discovery.add(found.map_err(|error| Problem { what: format!("manifest {}", entry.digest), error }));
    }
    Ok(discovery.sorted())
}

fn candidates(
    layout: &Path,
    entry: &Descriptor,
    subject: &Digest,
    wanted: &[&str],
    budget: &Budget,
) -> Result<Vec<Candidate>, ProblemError> {
    #[derive(Deserialize)]
    struct Refers {
        subject: Option<Descriptor>,
    }
    let manifest = checked_blob(layout, &entry.digest, MAX_INDEX_BYTES)?;
    let refers: Refers =
        serde_json::from_slice(&manifest).map_err(|error| ProblemError::Manifest(error.to_string()))?;
    if refers.subject.is_none_or(|found| found.digest != *subject) {
        return Ok(Vec::new());
    }
    let mut candidates = Vec::new();
    for Layer { descriptor, format, claimed_type } in evidence_layers(&manifest, subject, wanted)? {
        budget.take(descriptor.size)?;
        let bytes = checked_blob(layout, &descriptor.digest, descriptor.size)?.into();
        candidates.push(Candidate { bytes, format, manifest: entry.digest, claimed_type });
    }
    Ok(candidates)
}

fn subject_descriptor(layout: &Path, subject: &Digest) -> Result<Descriptor, LayoutError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let path = blob_path(layout, subject);
    let bytes = match checked_blob(layout, subject, MAX_INDEX_BYTES) {
        Ok(bytes) => bytes,
        Err(ProblemError::File(source)) if source.kind() != io::ErrorKind::NotFound => {
            return Err(LayoutError::File { action: "read", path, source });
        }
        Err(_) => return Err(LayoutError::NoSubject(*subject)),
    };
    let typed: Typed = serde_json::from_slice(&bytes).map_err(|source| LayoutError::Index { path, source })?;
    let guess = if typed.manifests.is_some() { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
    Ok(Descriptor::of(typed.media_type.as_deref().unwrap_or(guess), &bytes))
}

fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

/// A blob that is what its digest says.
fn checked_blob(layout: &Path, digest: &Digest, limit: u64) -> Result<Vec<u8>, ProblemError> {
    let bytes = read_file(&blob_path(layout, digest), limit)?;
    if Digest::of(&bytes) != *digest {
        return Err(ProblemError::Manifest("the content is not that of its digest".into()));
    }
    Ok(bytes)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, LayoutError> {
    read_file(path, limit).map_err(|source| LayoutError::File { action: "read", path: path.to_owned(), source })
}

fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

fn write_blob(layout: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let path = blob_path(layout, &Digest::of(content));
    if path.exists() {
        return Ok(());
    }
    write(&path, content)
}

/// Writes a file whole or not at all.
fn write(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let failed = |source| LayoutError::File { action: "write", path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".portcullis-").tempfile_in(folder).map_err(failed)?;
    io::Write::write_all(&mut file, content).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
