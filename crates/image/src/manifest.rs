//! Manifests, indexes and configs, as OCI and Docker write them.
//!
//! Formats: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>, `image-index.md`, `config.md`, and
//! <https://distribution.github.io/distribution/spec/manifest-v2-2/>. All are untrusted: sizes are bounded before
//! parsing, and `serde_json` refuses deep nesting.

use std::collections::BTreeMap;

use portcullis_model::{BaseImage, Digest, LayerInfo, Platform, Timestamp};
use serde::Deserialize;

use crate::{ImageError, base};

/// Largest manifest, index or config taken, in bytes: what registries accept.
pub(crate) const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// Most layers taken. Engines stop at 127.
const MAX_LAYERS: usize = 4096;

/// A reference to content by digest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    #[serde(default)]
    pub(crate) size: Option<u64>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) platform: Option<PlatformRecord>,
    #[serde(default)]
    pub(crate) artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of what is known by its digest alone.
    pub(crate) const fn of(digest: Digest, size: Option<u64>) -> Self {
        Self { digest, size, annotations: BTreeMap::new(), platform: None, artifact_type: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PlatformRecord {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl PlatformRecord {
    fn matches(&self, wanted: &Platform) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

/// Either kind of document that a reference may lead to.
#[derive(Deserialize)]
pub(crate) struct ManifestDocument {
    #[serde(default)]
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    /// Where builders name the base image, too.
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default, rename = "schemaVersion")]
    schema_version: u32,
}

impl ManifestDocument {
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let document: Self = parse(bytes, what)?;
        if document.schema_version != 2 {
            return Err(ImageError::unsupported(what, "it is not a manifest of schema version 2"));
        }
        if document.layers.len() > MAX_LAYERS {
            let count = document.layers.len();
            return Err(ImageError::unsupported(
                what,
                format!("it has {count} layers; {MAX_LAYERS} are the most taken"),
            ));
        }
        Ok(document)
    }

    /// The manifests of an index, if it is one.
    pub(crate) fn index(&self) -> Option<&[Descriptor]> {
        self.manifests.as_deref()
    }
}

/// Chooses the manifest of an index for `wanted`, or for this machine's platform.
pub(crate) fn choose<'a>(
    manifests: &'a [Descriptor],
    wanted: Option<&Platform>,
    what: &str,
) -> Result<&'a Descriptor, ImageError> {
    let images: Vec<&Descriptor> = manifests.iter().filter(|manifest| is_image(manifest)).collect();
    let fallback = default_platform();
    let platform = wanted.unwrap_or(&fallback);
    let found = images.iter().find(|image| image.platform.as_ref().is_some_and(|record| record.matches(platform)));
    if let Some(found) = found {
        return Ok(found);
    }
    match (images.as_slice(), wanted) {
        // Nothing to choose from, and nobody asked for anything else.
        ([only], None) => Ok(only),
        _ => {
            let mut offered: Vec<String> = images
                .iter()
                .map(|image| image.platform.as_ref().map_or_else(|| "unnamed".to_owned(), PlatformRecord::to_string))
                .collect();
            offered.sort();
            Err(ImageError::Platform {
                what: what.to_owned(),
                wanted: platform.to_string(),
                offered: offered.join(", "),
            })
        }
    }
}

/// Whether an index entry is an image: attestations of build tools lie beside the images, with the platform
/// `unknown/unknown`.
fn is_image(descriptor: &Descriptor) -> bool {
    let unknown = descriptor.platform.as_ref().is_some_and(|record| record.os == "unknown");
    !unknown
        && descriptor.artifact_type.is_none()
        && !descriptor.annotations.contains_key("vnd.docker.reference.digest")
}

/// The platform whose images run here. Containers are Linux wherever they are scanned.
fn default_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
}

impl std::fmt::Display for PlatformRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// An image's config, as far as a scan needs it.
#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    config: Option<ContainerConfig>,
    #[serde(default)]
    pub(crate) rootfs: RootFs,
    #[serde(default)]
    history: Vec<History>,
}

#[derive(Deserialize)]
struct ContainerConfig {
    #[serde(default, rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct RootFs {
    #[serde(default)]
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
pub(crate) struct History {
    #[serde(default)]
    pub(crate) created_by: Option<String>,
    #[serde(default)]
    pub(crate) empty_layer: bool,
}

impl Config {
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let config: Self = parse(bytes, what)?;
        if config.rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(ImageError::unsupported(what, format!("more than {MAX_LAYERS} layers")));
        }
        Ok(config)
    }

    pub(crate) fn platform(&self) -> Option<Platform> {
        (!self.os.is_empty() && !self.architecture.is_empty()).then(|| Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        })
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.created.as_deref().and_then(|text| text.parse().ok())
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default()
    }

    /// The image that it was built on, as its labels and its history tell.
    pub(crate) fn base(&self) -> Option<BaseImage> {
        base::guess(&self.history, &self.labels())
    }

    /// Every layer with the instruction that made it: history entries that made no layer are skipped.
    pub(crate) fn layers(&self, stored: &[Option<Digest>]) -> Vec<LayerInfo> {
        let mut instructions =
            self.history.iter().filter(|entry| !entry.empty_layer).map(|entry| entry.created_by.clone());
        let layers = self.rootfs.diff_ids.iter().zip(stored);
        layers
            .map(|(&diff_id, &digest)| LayerInfo { digest, diff_id, created_by: instructions.next().flatten() })
            .collect()
    }
}

fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8], what: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|cause| ImageError::Json { what: what.to_owned(), cause })
}
