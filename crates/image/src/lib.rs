//! Where images come from, and the one streaming pass over their layers.
//!
//! ```text
//! Source ── open ──→ Image ── visit_layers ──→ one LayerVisitor a layer, in parallel
//! ```
//! No file of an image is ever written to disk, and no memory grows with the size of a layer: a layer is inflated
//! into a small buffer, and what no visitor wants is skipped there.

mod base;
mod decode;
mod directory;
mod docker_archive;
mod engine;
mod error;
mod gzip;
#[cfg(feature = "isal")]
mod isal;
mod layer;
mod layout;
mod manifest;
mod patient;
mod registry;
mod sbom;
mod source;
mod spool;
mod store;
mod tar;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

pub use engine::{EngineImage, EngineImages, EngineKind, Untagged};
pub use error::ImageError;
pub use layer::{LayerError, Limits, TIME_IS_OVER};
use portcullis_filetree::LayerVisitor;
use portcullis_model::{Digest, Platform, Target};
pub use registry::{Mirror, RegistryAccess};
pub use source::Source;

use crate::{
    directory::Form,
    layer::Named,
    manifest::{Config, Descriptor},
    registry::RemoteBlob,
    store::Store,
};

/// How sources are opened.
pub struct OpenOptions {
    /// The platform to choose from an index; this machine's by default.
    pub platform: Option<Platform>,
    /// How registries are reached; without it they are not.
    pub registry: Option<RegistryAccess>,
    /// Where an archive that comes as a stream is kept while it is read; the system's folder by default.
    pub spool: Option<PathBuf>,
    /// The largest such archive, in bytes.
    pub spool_limit: u64,
    /// The moment at which pipes and standard input are no longer waited for.
    pub deadline: Option<Instant>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { platform: None, registry: None, spool: None, spool_limit: 16 << 30, deadline: None }
    }
}

/// An image whose manifest and config were read and checked. Its layers are read when they are visited.
pub struct Image {
    /// What it is.
    pub target: Target,
    /// Whether it is a directory of sources: what its lockfiles declare counts as well as what is installed.
    pub is_sources: bool,
    /// A bill of materials, as it is stored: what is in the image is then what it says, and there are no layers.
    pub sbom: Option<Vec<u8>>,
    layers: Vec<StoredLayer>,
}

/// What names the content of a layer: what was read of one holds for every other with the same identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerIdentity {
    /// The digest of the stored bytes, or of the plain tar.
    pub digest: Digest,
    /// The number of stored bytes that the manifest names.
    pub size: Option<u64>,
    /// Whether the digest is that of the plain tar, however it is stored.
    pub unpacked: bool,
    /// Whether it was unpacked by an engine: its word is taken for what the digest is of.
    pub overlay: bool,
}

/// A layer, as it is stored.
pub(crate) struct StoredLayer {
    /// The digest of the stored bytes.
    digest: Digest,
    /// Their number, where it is known.
    size: Option<u64>,
    /// Whether they are the plain tar, so that `digest` is its diff id.
    unpacked: bool,
    blob: Blob,
}

enum Blob {
    File {
        store: Arc<Store>,
        path: String,
    },
    Remote(RemoteBlob),
    /// A directory on this host: no digest names it.
    Directory(PathBuf),
    /// A layer of overlayfs on this host, which whoever keeps it says is that of the digest.
    Overlay(PathBuf),
}

impl StoredLayer {
    fn file(store: &Arc<Store>, path: String, descriptor: &Descriptor) -> Self {
        let blob = Blob::File { store: Arc::clone(store), path };
        Self { digest: descriptor.digest, size: descriptor.size, unpacked: false, blob }
    }

    fn unpacked(store: &Arc<Store>, path: String, diff_id: Digest) -> Self {
        Self { digest: diff_id, size: None, unpacked: true, blob: Blob::File { store: Arc::clone(store), path } }
    }
}

impl Image {
    /// Opens what `source` names: reads and checks manifest and config, not the layers.
    ///
    /// # Errors
    /// When it is not there, is damaged, or is of a form that is not read.
    pub fn open(source: &Source, options: &OpenOptions) -> Result<Self, ImageError> {
        let platform = options.platform.as_ref();
        match source {
            Source::Registry(reference) => {
                let access = options.registry.as_ref().ok_or_else(|| ImageError::Offline(reference.clone()))?;
                registry::open(reference, access, platform)
            }
            Source::OciDirectory { path, name } => layout::open(Store::open(path)?, name.as_deref(), platform),
            Source::OciArchive { path, name } => layout::open(Store::open(path)?, name.as_deref(), platform),
            Source::DockerArchive { path, name } => docker_archive::open(Store::open(path)?, name.as_deref()),
            Source::Docker(name) => engine::open_docker(name, options),
            Source::Podman(name) => engine::open_podman(name, options),
            Source::Containerd { name, namespace } => engine::open_containerd(name, namespace.as_deref(), platform),
            Source::Cri(name) => engine::open_cri(name, options),
            Source::StandardInput { name } => {
                let place = "standard input";
                let source = patient::reader(options.deadline, || Ok(std::io::stdin()))
                    .map_err(|cause| ImageError::File { path: place.into(), cause })?;
                spool::open_stream(source, place, name.as_deref(), options)
            }
            Source::RootFs(path) => Ok(Self::directory(path.clone(), false)),
            Source::Directory(path) => Ok(Self::directory(path.clone(), true)),
            Source::Sbom(path) => sbom::open(path, options.deadline),
        }
    }

    fn directory(path: PathBuf, is_sources: bool) -> Self {
        let target = Target::named(path.display().to_string());
        let layer = StoredLayer { digest: Digest::of(&[]), size: None, unpacked: true, blob: Blob::Directory(path) };
        Self { target, is_sources, sbom: None, layers: vec![layer] }
    }

    /// An image from its checked config and its stored layers.
    fn new(
        reference: String,
        config: &[u8],
        config_digest: Digest,
        layers: Vec<StoredLayer>,
        what: &str,
    ) -> Result<Self, ImageError> {
        let config = Config::parse(config, &format!("config of {what}"))?;
        let named = config.rootfs.diff_ids.len();
        if named != layers.len() {
            let why = format!("it has {} layers, but its config names {named}", layers.len());
            return Err(ImageError::unsupported(what, why));
        }
        let stored: Vec<Option<Digest>> =
            layers.iter().map(|layer| (!layer.unpacked).then_some(layer.digest)).collect();
        let target = Target {
            reference,
            digest: None,
            index_digest: None,
            config_digest: Some(config_digest),
            platform: config.platform(),
            created: config.created(),
            layers: config.layers(&stored),
            base: config.base(),
            labels: config.labels(),
        };
        Ok(Self { target, is_sources: false, sbom: None, layers })
    }

    /// How many layers there are.
    #[must_use]
    pub fn layer_count(&self) -> usize {
        self.layers.len()
    }

    /// What names a layer's content: the digest that its stored bytes must have. None where no digest names it, as a
    /// directory's, which may change at any time.
    #[must_use]
    pub fn layer_identity(&self, index: usize) -> Option<LayerIdentity> {
        let StoredLayer { digest, size, unpacked, blob } = self.layers.get(index)?;
        match blob {
            Blob::File { .. } | Blob::Remote(_) => {
                Some(LayerIdentity { digest: *digest, size: *size, unpacked: *unpacked, overlay: false })
            }
            Blob::Overlay(_) => Some(LayerIdentity { digest: *digest, size: None, unpacked: true, overlay: true }),
            Blob::Directory(_) => None,
        }
    }

    /// Reads every layer once, `jobs` of them at a time, each with a visitor of its own; gives the visitors back,
    /// lowest layer first.
    ///
    /// # Errors
    /// When a layer cannot be read or is not what its digest names: then there is no answer at all.
    pub fn visit_layers<V: LayerVisitor + Send>(
        &self,
        jobs: usize,
        limits: Limits,
        make_visitor: impl Fn(usize) -> V + Sync,
    ) -> Result<Vec<V>, ImageError> {
        self.each_layer(jobs, |index| {
            let mut visitor = make_visitor(index);
            self.visit_layer(index, limits, &mut visitor).map(|()| visitor)
        })
    }

    /// Calls `read` with the number of every layer, `jobs` at a time; gives the answers, lowest layer first.
    ///
    /// # Errors
    /// The lowest of those layers that failed: then there is no answer at all, and layers not begun are left out.
    pub fn each_layer<T: Send, E: Send>(
        &self,
        jobs: usize,
        read: impl Fn(usize) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        // The largest first: a big layer that starts last would leave the other workers idle.
        let mut order: Vec<usize> = (0..self.layers.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.layers[index].size));
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let done = Mutex::new(Vec::with_capacity(order.len()));
        std::thread::scope(|scope| {
            for _ in 0..jobs.clamp(1, order.len().max(1)) {
                scope.spawn(|| {
                    while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let outcome = read(index);
                        stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        // With several failures, the lowest layer's is told: the same one every time.
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Reads one layer.
    ///
    /// # Errors
    /// As [`Self::visit_layers`].
    pub fn visit_layer(&self, index: usize, limits: Limits, visitor: &mut dyn LayerVisitor) -> Result<(), ImageError> {
        let Some(StoredLayer { digest, size, unpacked, blob }) = self.layers.get(index) else { return Ok(()) };
        let named = Named { digest: *digest, size: *size, unpacked: *unpacked };
        match blob {
            Blob::File { store, path } => {
                let (source, stored) = store.stream(path)?;
                layer::visit(source, Named { size: size.or(Some(stored)), ..named }, limits, visitor)?;
            }
            Blob::Remote(remote) => {
                let opened = remote.open(digest, size.unwrap_or_default());
                let source = opened.map_err(|error| limits.failure(*digest, |_| ImageError::from(error)))?;
                layer::visit(source, named, limits, visitor)?;
            }
            Blob::Directory(path) => {
                let form = if self.is_sources { Form::Sources } else { Form::RootFs };
                directory::visit(path, form, limits, visitor)?;
            }
            Blob::Overlay(path) => directory::visit(path, Form::Overlay, limits, visitor)?,
        }
        Ok(())
    }
}
