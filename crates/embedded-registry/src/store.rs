//! What the registry holds: repositories with blobs, manifests, tags and open uploads, under one cap on bytes.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use portcullis_model::Digest;
use serde_json::Value;

use crate::answer::Refusal;

/// The most uploads that may be open at once.
const MAX_UPLOADS: usize = 256;
/// What an entry costs beside its bytes, so that countless empty ones do not fit either.
const ENTRY_COST: usize = 256;

#[derive(Debug)]
pub(crate) struct Store {
    max_bytes: usize,
    used: usize,
    repositories: BTreeMap<String, Repository>,
    uploads: HashMap<u64, Upload>,
    next_upload: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) blobs: HashMap<Digest, Bytes>,
    pub(crate) manifests: BTreeMap<Digest, Manifest>,
    pub(crate) tags: BTreeMap<String, Digest>,
}

#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    /// The manifest that this one speaks of.
    pub(crate) subject: Option<Digest>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Value>,
}

#[derive(Debug)]
struct Upload {
    repository: String,
    bytes: Vec<u8>,
}

impl Store {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, used: 0, repositories: BTreeMap::new(), uploads: HashMap::new(), next_upload: 1 }
    }

    pub(crate) fn repository(&self, name: &str) -> Result<&Repository, Refusal> {
        self.repositories.get(name).ok_or(Refusal::NameUnknown)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let used = self.used.saturating_add(bytes);
        if used > self.max_bytes {
            return Err(Refusal::Full);
        }
        self.used = used;
        Ok(())
    }

    const fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub(crate) fn open_upload(&mut self, repository: &str) -> Result<u64, Refusal> {
        if self.uploads.len() >= MAX_UPLOADS {
            return Err(Refusal::Full);
        }
        self.take(ENTRY_COST)?;
        let id = self.next_upload;
        self.next_upload += 1;
        self.uploads.insert(id, Upload { repository: repository.to_owned(), bytes: Vec::new() });
        Ok(id)
    }

    fn upload(&mut self, repository: &str, id: u64) -> Result<&mut Upload, Refusal> {
        self.uploads.get_mut(&id).filter(|upload| upload.repository == repository).ok_or(Refusal::UploadUnknown)
    }

    pub(crate) fn upload_length(&mut self, repository: &str, id: u64) -> Result<usize, Refusal> {
        Ok(self.upload(repository, id)?.bytes.len())
    }

    /// Adds a piece; `start` is where the client believes to be.
    pub(crate) fn append(
        &mut self,
        repository: &str,
        id: u64,
        start: Option<usize>,
        piece: &[u8],
    ) -> Result<usize, Refusal> {
        let length = self.upload_length(repository, id)?;
        if start.is_some_and(|start| start != length) {
            return Err(Refusal::RangeInvalid);
        }
        self.take(piece.len())?;
        let upload = self.upload(repository, id)?;
        upload.bytes.extend_from_slice(piece);
        Ok(upload.bytes.len())
    }

    pub(crate) fn cancel_upload(&mut self, repository: &str, id: u64) -> Result<Vec<u8>, Refusal> {
        self.upload(repository, id)?;
        let upload = self.uploads.remove(&id).ok_or(Refusal::UploadUnknown)?;
        self.give_back(upload.bytes.len() + ENTRY_COST);
        Ok(upload.bytes)
    }

    pub(crate) fn add_blob(&mut self, repository: &str, digest: Digest, bytes: Bytes) -> Result<(), Refusal> {
        if Digest::of(&bytes) != digest {
            return Err(Refusal::DigestInvalid);
        }
        if self.repositories.get(repository).is_some_and(|known| known.blobs.contains_key(&digest)) {
            return Ok(());
        }
        self.take(bytes.len() + ENTRY_COST)?;
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest, bytes);
        Ok(())
    }

    pub(crate) fn remove_blob(&mut self, repository: &str, digest: &Digest) -> Result<(), Refusal> {
        let known = self.repositories.get_mut(repository).ok_or(Refusal::NameUnknown)?;
        let bytes = known.blobs.remove(digest).ok_or(Refusal::BlobUnknown)?;
        self.give_back(bytes.len() + ENTRY_COST);
        Ok(())
    }

    pub(crate) fn add_manifest(
        &mut self,
        repository: &str,
        digest: Digest,
        tag: Option<&str>,
        manifest: Manifest,
    ) -> Result<(), Refusal> {
        let known = self.repositories.get(repository);
        if !known.is_some_and(|known| known.manifests.contains_key(&digest)) {
            self.take(manifest.bytes.len() + ENTRY_COST)?;
        }
        if tag.is_some_and(|tag| !self.repositories.get(repository).is_some_and(|known| known.tags.contains_key(tag))) {
            self.take(ENTRY_COST)?;
        }
        let known = self.repositories.entry(repository.to_owned()).or_default();
        known.manifests.insert(digest, manifest);
        if let Some(tag) = tag {
            known.tags.insert(tag.to_owned(), digest);
        }
        Ok(())
    }

    pub(crate) fn remove_manifest(&mut self, repository: &str, digest: &Digest) -> Result<(), Refusal> {
        let known = self.repositories.get_mut(repository).ok_or(Refusal::NameUnknown)?;
        let manifest = known.manifests.remove(digest).ok_or(Refusal::ManifestUnknown)?;
        let tags = known.tags.len();
        known.tags.retain(|_, target| target != digest);
        let freed = manifest.bytes.len() + ENTRY_COST * (1 + tags - known.tags.len());
        self.give_back(freed);
        Ok(())
    }

    pub(crate) fn remove_tag(&mut self, repository: &str, tag: &str) -> Result<(), Refusal> {
        let known = self.repositories.get_mut(repository).ok_or(Refusal::NameUnknown)?;
        known.tags.remove(tag).ok_or(Refusal::ManifestUnknown)?;
        self.give_back(ENTRY_COST);
        Ok(())
    }
}
