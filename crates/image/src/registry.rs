//! Images in registries: manifest and config are fetched and checked, layers are streamed when they are visited.

use std::{
    io::{self, Read},
    str::FromStr,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use portcullis_model::{Digest, Platform};
use portcullis_registry::{Client, Reference, RegistryError};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    Blob, Image, ImageError, StoredLayer, base,
    layout::check,
    manifest::{MAX_DOCUMENT, ManifestDocument, choose},
};

/// Pieces of a blob that may wait to be decoded; each has at most some tens of kilobytes.
const PIECES: usize = 64;

/// How registries are reached.
#[derive(Clone)]
pub struct RegistryAccess {
    /// The client.
    pub client: Client,
    /// The runtime that its requests run on; this crate's callers are ordinary threads.
    pub runtime: Handle,
    /// Where images of a registry are looked for before the registry itself is asked.
    pub mirrors: Vec<Mirror>,
}

/// A place that holds what a registry holds, or fetches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry, as it stands in canonical image names: `docker.io`.
    pub registry: String,
    /// What takes its place in names: `mirror.example:5000`, `mirror.example/hub`.
    pub place: String,
}

impl FromStr for Mirror {
    type Err = String;

    /// Reads `REGISTRY=PLACE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(registry, place)| !registry.is_empty() && !place.is_empty());
        let (registry, place) = parts.ok_or_else(|| format!("`{text}` is not REGISTRY=MIRROR"))?;
        Ok(Self { registry: registry.to_owned(), place: place.trim_end_matches('/').to_owned() })
    }
}

impl Mirror {
    /// The name under which the mirror has an image; none if the image is of another registry.
    fn name_of(&self, reference: &Reference) -> Option<Reference> {
        if reference.registry() != self.registry {
            return None;
        }
        let version = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => format!("@{digest}"),
            (None, Some(tag)) => format!(":{tag}"),
            (None, None) => String::new(),
        };
        format!("{}/{}{version}", self.place, reference.repository()).parse().ok()
    }
}

/// A layer in a registry.
pub(crate) struct RemoteBlob {
    access: RegistryAccess,
    reference: Arc<Reference>,
}

impl RemoteBlob {
    /// Starts fetching; the bytes are read as they arrive.
    pub(crate) fn open(&self, digest: &Digest, size: u64) -> Result<BlobReader, RegistryError> {
        let RegistryAccess { client, runtime, mirrors: _ } = &self.access;
        let mut stream = runtime.block_on(client.blob_stream(&self.reference, digest, size))?;
        let (sender, receiver) = mpsc::channel(PIECES);
        runtime.spawn(async move {
            while let Some(piece) = stream.next().await {
                // Nobody reads on: the scan ended early.
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Ok(BlobReader { receiver, piece: Bytes::new() })
    }
}

/// A blob's bytes, as a blocking reader.
pub(crate) struct BlobReader {
    receiver: mpsc::Receiver<Result<Bytes, RegistryError>>,
    piece: Bytes,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Opens the image that `reference` names, for the platform if it is an index: from the first mirror that has it, or
/// from its registry.
pub(crate) fn open(
    reference: &Reference,
    access: &RegistryAccess,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    for place in access.mirrors.iter().filter_map(|mirror| mirror.name_of(reference)) {
        // A mirror that fails is no reason to fail: the registry itself has the last word.
        if let Ok(mut image) = open_at(&place, access, platform) {
            image.target.reference = reference.to_string();
            return Ok(image);
        }
    }
    open_at(reference, access, platform)
}

fn open_at(reference: &Reference, access: &RegistryAccess, platform: Option<&Platform>) -> Result<Image, ImageError> {
    let RegistryAccess { client, runtime, mirrors: _ } = access;
    let mut manifest = runtime.block_on(client.manifest(reference))?;
    let mut document = ManifestDocument::parse(&manifest.bytes, &reference.to_string())?;
    let mut index_digest = None;
    if let Some(manifests) = document.index() {
        index_digest = Some(manifest.digest);
        let chosen = choose(manifests, platform, &reference.to_string())?.digest;
        manifest = runtime.block_on(client.manifest(&reference.with_digest(chosen)))?;
        document = ManifestDocument::parse(&manifest.bytes, &format!("manifest {chosen}"))?;
    }
    let what = format!("manifest {}", manifest.digest);
    if document.index().is_some() {
        return Err(ImageError::unsupported(what, "an index lies inside another"));
    }
    let config = document.config.as_ref().ok_or_else(|| ImageError::missing(&what, "config"))?;
    let config_bytes = runtime.block_on(client.blob(reference, &config.digest, MAX_DOCUMENT))?;
    check(&config_bytes, config.digest, || format!("config {}", config.digest))?;
    if document.layers.iter().any(|layer| layer.size.is_none()) {
        return Err(ImageError::missing(what, "size for each of its layers"));
    }
    let shared = Arc::new(reference.clone());
    let layers = document.layers.iter().map(|layer| StoredLayer {
        digest: layer.digest,
        size: layer.size,
        unpacked: false,
        blob: Blob::Remote(RemoteBlob { access: access.clone(), reference: Arc::clone(&shared) }),
    });
    let mut image = Image::new(reference.to_string(), &config_bytes, config.digest, layers.collect(), &what)?;
    image.target.digest = Some(manifest.digest);
    image.target.index_digest = index_digest;
    base::annotate(&mut image.target, document.annotations.as_ref());
    Ok(image)
}
