//! Descriptors, as manifests and indexes hold them.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md>

use std::collections::BTreeMap;

use portcullis_model::{Digest, Platform};
use serde::{Deserialize, Deserializer, Serialize};

/// The media types that manifests have.
pub mod media_type {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker's image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The empty JSON object, as the config of an artifact.
    pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";

    /// Whether it names an index, by OCI's name or Docker's.
    #[must_use]
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, OCI_INDEX | DOCKER_LIST)
    }
}

/// Names content by type, size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What kind of artifact a manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What a manifest of an index runs on.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_platform")]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor of content that is at hand.
    #[must_use]
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// A platform that says nothing (`{}`, as some tools write for attachments) is none.
fn lenient_platform<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Platform>, D::Error> {
    #[derive(Deserialize)]
    struct Loose {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        variant: Option<String>,
    }
    let loose = Option::<Loose>::deserialize(deserializer)?;
    Ok(loose
        .filter(|loose| !(loose.os.is_empty() && loose.architecture.is_empty()))
        .map(|Loose { os, architecture, variant }| Platform { os, architecture, variant }))
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_write() {
        let digest = Digest::of(b"x");
        let text = format!(
            r#"{{"digest":"{digest}","size":3,"mediaType":"m","platform":{{}},"annotations":null,"data":"e30="}}"#
        );
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!((descriptor.platform, descriptor.annotations.len()), (None, 0));
        assert!(serde_json::from_str::<Descriptor>(&text.replace(":3,", ":-3,")).is_err());
    }
}
