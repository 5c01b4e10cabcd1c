//! An image: layers, config and manifest.
//!
//! Formats: <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>, `manifest.md`

use portcullis_model::Digest;
use serde_json::{Value, json};

use crate::{Compression, DebianPackage, Layer, dpkg_status, os_release};

/// Puts an image together.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    debian: Option<(u32, Vec<DebianPackage>)>,
    layers: Vec<Layer>,
    name: String,
    architecture: String,
    labels: Vec<(String, String)>,
    empty_history: Vec<String>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image without layers, for this machine's processor.
    #[must_use]
    pub fn new() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            debian: None,
            layers: Vec::new(),
            name: "latest".to_owned(),
            architecture: architecture.to_owned(),
            labels: Vec::new(),
            empty_history: Vec::new(),
        }
    }

    /// An image whose first layer holds Debian's `os-release` and dpkg's database.
    #[must_use]
    pub fn debian(version: u32) -> Self {
        Self { debian: Some((version, Vec::new())), ..Self::new() }
    }

    /// A package of the first layer's dpkg database.
    #[must_use]
    pub fn package(self, name: &str, version: &str) -> Self {
        self.debian_package(DebianPackage::new(name, version))
    }

    /// The same, with its source package.
    #[must_use]
    pub fn package_of_source(self, name: &str, version: &str, source: &str) -> Self {
        self.debian_package(DebianPackage::new(name, version).source(source))
    }

    /// The same, put together by the caller.
    #[must_use]
    pub fn debian_package(mut self, package: DebianPackage) -> Self {
        self.debian.get_or_insert((12, Vec::new())).1.push(package);
        self
    }

    /// One more layer, on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The tag, or `repository:tag` in a Docker archive; `latest` by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The processor, as OCI names it.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.to_owned();
        self
    }

    /// A label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// An instruction that made no layer; it comes last in the history.
    #[must_use]
    pub fn empty_history(mut self, instruction: &str) -> Self {
        self.empty_history.push(instruction.to_owned());
        self
    }

    /// The finished image.
    #[must_use]
    pub fn build(&self) -> BuiltImage {
        let base = self.debian.as_ref().map(|(version, packages)| {
            Layer::new()
                .directory("etc")
                .file("etc/os-release", os_release(*version))
                .file("var/lib/dpkg/status", dpkg_status(packages))
                .created_by("FROM debian")
        });
        let layers: Vec<BuiltLayer> = base.iter().chain(&self.layers).map(BuiltLayer::of).collect();
        let config = serde_json::to_vec(&self.config(&layers)).expect("plain data");
        let descriptors: Vec<Value> = layers.iter().map(BuiltLayer::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": Digest::of(&config),
                "size": config.len(),
            },
            "layers": descriptors,
        });
        let manifest = serde_json::to_vec(&manifest).expect("plain data");
        BuiltImage { name: self.name.clone(), architecture: self.architecture.clone(), manifest, config, layers }
    }

    fn config(&self, layers: &[BuiltLayer]) -> Value {
        let made = layers.iter().map(|layer| json!({"created_by": layer.created_by}));
        let empty = self.empty_history.iter().map(|text| json!({"created_by": text, "empty_layer": true}));
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "created": "2026-01-02T03:04:05Z",
            "architecture": self.architecture,
            "os": "linux",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>()},
            "history": made.chain(empty).collect::<Vec<_>>(),
        })
    }
}

/// A finished image.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// Its tag or name.
    pub name: String,
    pub(crate) architecture: String,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The layers, lowest first.
    pub layers: Vec<BuiltLayer>,
}

impl BuiltImage {
    /// The manifest's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// The config's digest.
    #[must_use]
    pub fn config_digest(&self) -> Digest {
        Digest::of(&self.config)
    }
}

/// A finished layer.
#[derive(Debug, Clone)]
pub struct BuiltLayer {
    /// What is stored.
    pub bytes: Vec<u8>,
    /// The plain tar.
    pub tar: Vec<u8>,
    /// The digest that the manifest names.
    pub digest: Digest,
    /// The digest that the config names.
    pub diff_id: Digest,
    /// How it is stored.
    pub compression: Compression,
    created_by: String,
}

impl BuiltLayer {
    fn of(layer: &Layer) -> Self {
        let tar = layer.stored.clone().unwrap_or_else(|| layer.tar());
        let mut bytes = layer.stored.clone().unwrap_or_else(|| layer.compression.apply(&tar));
        bytes.extend_from_slice(&layer.trailer);
        let (digest, diff_id) = if layer.has_wrong_digest {
            (Digest::of(b"something else"), Digest::of(b"something else"))
        } else {
            (Digest::of(&bytes), Digest::of(&tar))
        };
        let created_by = layer.created_by.clone().unwrap_or_else(|| "RUN make".to_owned());
        Self { bytes, tar, digest, diff_id, compression: layer.compression, created_by }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.compression.media_type(), "digest": self.digest, "size": self.bytes.len()})
    }
}
