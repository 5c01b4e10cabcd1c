//! Storing bundles beside an image: as referrers, and where the registry does not list those, in the index under the
//! fallback tag.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>

use std::time::Duration;

use bytes::Bytes;
use portcullis_errors::Hint;
use portcullis_model::Digest;
use portcullis_registry::{Client, Descriptor, Reference, RegistryError, fallback_tag, media_type};

use crate::{
    Bundle,
    artifact::{Artifact, EMPTY_CONFIG, with_entry, without_entries},
};

/// How often an update of the fallback index that others overwrote is made again.
pub(crate) const ATTEMPTS: u32 = 6;
/// How long another writer may take between reading the index and writing it.
pub(crate) const SETTLING: Duration = Duration::from_millis(150);

/// Where a bundle was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The manifest that refers to the image.
    pub manifest: Digest,
    /// The type of what is said.
    pub predicate_type: String,
    /// Whether the registry lists it by itself; else it is in the index under the fallback tag.
    pub listed_by_registry: bool,
}

/// Why bundles could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The registry does not do it.
    #[error("cannot store the evidence")]
    Registry(#[from] RegistryError),
    /// What is under a tag that holds evidence is something else.
    #[error("what is under {tag} cannot be read")]
    Index {
        /// The tag.
        tag: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Others kept writing there, so that the entry was lost again and again.
    #[error("what is under {tag} is being changed by others")]
    Contended {
        /// The tag.
        tag: String,
    },
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Index { .. } => Some("remove the tag, or store the evidence in another repository".into()),
            Self::Contended { .. } => Some("try again when other writers are done".into()),
        }
    }
}

/// Stores bundles beside `subject` in the repository of `image`. Storing the same bundle again adds nothing.
///
/// # Errors
/// When the registry fails, or others keep overwriting its index.
pub async fn store(
    client: &Client,
    image: &Reference,
    subject: &Descriptor,
    bundles: &[Bundle],
) -> Result<Vec<Stored>, StoreError> {
    if !bundles.is_empty() {
        client.push_blob(image, Bytes::from_static(EMPTY_CONFIG)).await?;
    }
    let mut stored = Vec::with_capacity(bundles.len());
    let mut unlisted = Vec::new();
    for bundle in bundles {
        let Artifact { manifest, descriptor } = Artifact::new(bundle, subject);
        client.push_blob(image, bundle.bytes().clone()).await?;
        let at = image.with_digest(descriptor.digest);
        let answer = client.push_manifest(&at, manifest, media_type::OCI_MANIFEST).await?;
        stored.push(Stored {
            manifest: answer.digest,
            predicate_type: bundle.predicate_type().to_owned(),
            listed_by_registry: answer.subject_acknowledged,
        });
        if !answer.subject_acknowledged {
            unlisted.push(descriptor);
        }
    }
    if !unlisted.is_empty() {
        add_to_fallback(client, image, &subject.digest, &unlisted).await?;
    }
    Ok(stored)
}

/// Adds entries to the index under the fallback tag. A registry knows no conditional write: so the index is read
/// right before it is written, read again afterwards, and once more when a writer that had read the old one is done.
async fn add_to_fallback(
    client: &Client,
    image: &Reference,
    subject: &Digest,
    entries: &[Descriptor],
) -> Result<(), StoreError> {
    let tag = fallback_tag(subject);
    let at = image
        .with_tag(&tag)
        .map_err(|error| RegistryError::Setup { what: "the fallback tag".into(), source: error.into() })?;
    for attempt in 0..ATTEMPTS {
        let current = client.fallback_index(image, subject).await?.map(|(bytes, _)| bytes);
        let mut grown = current;
        let mut changed = false;
        for entry in entries {
            let with = with_entry(grown.as_deref(), entry);
            if let Some(next) = with.map_err(|source| StoreError::Index { tag: tag.clone(), source })? {
                grown = Some(next);
                changed = true;
            }
        }
        match grown {
            Some(index) if changed => client.push_manifest(&at, index, media_type::OCI_INDEX).await?,
            _ => return Ok(()),
        };
        if is_kept(client, image, subject, entries).await? {
            tokio::time::sleep(SETTLING).await;
            if is_kept(client, image, subject, entries).await? {
                return Ok(());
            }
        }
        tokio::time::sleep(pause(attempt, entries)).await;
    }
    Err(StoreError::Contended { tag })
}

/// Removes evidence of `subject` by the digests of its manifests: from the index under the fallback tag first, so that
/// nobody is led to what is gone. What others have stored stays.
///
/// # Errors
/// When the registry does not allow it or fails, or others keep overwriting its index.
pub async fn remove(
    client: &Client,
    image: &Reference,
    subject: &Digest,
    manifests: &[Digest],
) -> Result<(), StoreError> {
    let tag = fallback_tag(subject);
    let at = image
        .with_tag(&tag)
        .map_err(|error| RegistryError::Setup { what: "the fallback tag".into(), source: error.into() })?;
    let mut attempt = 0;
    while let Some((index, _)) = client.fallback_index(image, subject).await? {
        let shrunk = without_entries(&index, manifests);
        let Some(shrunk) = shrunk.map_err(|source| StoreError::Index { tag: tag.clone(), source })? else { break };
        if attempt == ATTEMPTS {
            return Err(StoreError::Contended { tag });
        }
        client.push_manifest(&at, shrunk, media_type::OCI_INDEX).await?;
        // A writer that had read the old index may put the entries back: it is read once more when that one is done.
        tokio::time::sleep(SETTLING).await;
        attempt += 1;
    }
    for manifest in manifests {
        client.delete_manifest(image, manifest).await?;
    }
    Ok(())
}

async fn is_kept(
    client: &Client,
    image: &Reference,
    subject: &Digest,
    entries: &[Descriptor],
) -> Result<bool, RegistryError> {
    let found = client.tagged_referrers(image, subject).await?;
    Ok(entries.iter().all(|entry| found.iter().any(|other| other.digest == entry.digest)))
}

/// A wait that differs between writers, by what they write, so that they do not meet again and again.
pub(crate) fn pause(attempt: u32, entries: &[Descriptor]) -> Duration {
    let spread = entries.first().map_or(0, |entry| u64::from(entry.digest.as_bytes()[0]));
    Duration::from_millis((20 + spread) * u64::from(attempt + 1))
}
