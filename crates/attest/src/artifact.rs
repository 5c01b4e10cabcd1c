//! The manifest that hangs a bundle on an image.
//!
//! Format: <https://github.com/sigstore/cosign/blob/v3.0.6/specs/BUNDLE_SPEC.md> and
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>

use std::collections::BTreeMap;

use bytes::Bytes;
use portcullis_model::Digest;
use portcullis_registry::{Descriptor, media_type};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{BUNDLE_MEDIA_TYPE, Bundle};

/// The content of the empty config.
pub(crate) const EMPTY_CONFIG: &[u8] = b"{}";
pub(crate) const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
const CONTENT: &str = "dev.sigstore.bundle.content";
const CREATED: &str = "org.opencontainers.image.created";

/// A bundle with the manifest that refers to its subject.
pub(crate) struct Artifact {
    pub(crate) manifest: Bytes,
    /// The manifest's, as lists of referrers show it: with type and annotations.
    pub(crate) descriptor: Descriptor,
}

impl Artifact {
    /// The same bundle and subject always give the same manifest: storing it twice adds nothing.
    pub(crate) fn new(bundle: &Bundle, subject: &Descriptor) -> Self {
        let annotations = BTreeMap::from([
            (CONTENT.to_owned(), "dsse-envelope".to_owned()),
            (PREDICATE_TYPE.to_owned(), bundle.predicate_type().to_owned()),
            (CREATED.to_owned(), bundle.created().to_string()),
        ]);
        let plain = |media_type: &str, content: &[u8]| {
            let Descriptor { media_type, digest, size, .. } = Descriptor::of(media_type, content);
            json!({"mediaType": media_type, "digest": digest, "size": size})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": BUNDLE_MEDIA_TYPE,
            "config": plain(media_type::OCI_EMPTY, EMPTY_CONFIG),
            "layers": [plain(BUNDLE_MEDIA_TYPE, bundle.bytes())],
            "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size},
            "annotations": annotations,
        });
        let manifest = Bytes::from(manifest.to_string());
        let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
        descriptor.artifact_type = Some(BUNDLE_MEDIA_TYPE.to_owned());
        descriptor.annotations = annotations;
        Self { manifest, descriptor }
    }
}

/// What is read of any referrer's manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct ReferrerManifest {
    #[serde(default)]
    pub(crate) layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// Whether a layer is a bundle, by any of the names of the format's versions.
pub(crate) fn is_bundle(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence == "application/vnd.dev.sigstore.bundle+json"
        || (essence.starts_with("application/vnd.dev.sigstore.bundle.v") && essence.ends_with("+json"))
}

/// Adds an entry to an index, whose other entries and fields stay as they are. None where it is there already.
pub(crate) fn with_entry(index: Option<&[u8]>, entry: &Descriptor) -> Result<Option<Bytes>, serde_json::Error> {
    let mut index: Value = match index {
        Some(bytes) => serde_json::from_slice(bytes)?,
        None => json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}),
    };
    let entry_value = serde_json::to_value(entry)?;
    let wanted = entry.digest.to_string();
    let is_same = |found: &Value| found.get("digest").and_then(Value::as_str) == Some(wanted.as_str());
    let index_fields = index.as_object_mut().ok_or_else(|| serde::de::Error::custom("an index is a JSON object"))?;
    match index_fields.get_mut("manifests") {
        Some(Value::Array(entries)) => {
            if entries.iter().any(is_same) {
                return Ok(None);
            }
            entries.push(entry_value);
        }
        _ => {
            index_fields.insert("manifests".to_owned(), Value::Array(vec![entry_value]));
        }
    }
    Ok(Some(Bytes::from(index.to_string())))
}

/// Takes entries out of an index, whose other entries and fields stay as they are. None where none of them is there.
pub(crate) fn without_entries(index: &[u8], digests: &[Digest]) -> Result<Option<Bytes>, serde_json::Error> {
    let mut index: Value = serde_json::from_slice(index)?;
    let Some(Value::Array(entries)) = index.get_mut("manifests") else { return Ok(None) };
    let unwanted: Vec<String> = digests.iter().map(ToString::to_string).collect();
    let before = entries.len();
    entries.retain(|entry| {
        let digest = entry.get("digest").and_then(Value::as_str);
        !digest.is_some_and(|digest| unwanted.iter().any(|unwanted| unwanted == digest))
    });
    Ok((entries.len() != before).then(|| Bytes::from(index.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_bundle_is_known() {
        for name in [
            BUNDLE_MEDIA_TYPE,
            "application/vnd.dev.sigstore.bundle+json;version=0.3",
            "application/vnd.dev.sigstore.bundle+json; version=0.2",
            "application/vnd.dev.sigstore.bundle.v0.4+json",
        ] {
            assert!(is_bundle(name), "{name}");
        }
        for other in ["", "application/json", "application/vnd.oci.empty.v1+json", "application/spdx+json"] {
            assert!(!is_bundle(other), "{other}");
        }
    }

    #[test]
    fn entries_of_others_stay() {
        let mine = Descriptor::of(media_type::OCI_MANIFEST, b"mine");
        let other = r#"{"mediaType":"m","digest":"sha512:abc","size":1,"x":[1]}"#;
        let index = format!(r#"{{"schemaVersion":2,"y":1,"manifests":[{other}]}}"#);
        let grown = with_entry(Some(index.as_bytes()), &mine).unwrap().unwrap();
        assert!(std::str::from_utf8(&grown).unwrap().contains(other));
        assert!(std::str::from_utf8(&grown).unwrap().contains(r#""y":1"#));
        assert_eq!(with_entry(Some(&grown), &mine).unwrap(), None);
        assert!(with_entry(Some(br#"{"manifests":null}"#), &mine).unwrap().is_some());
        assert!(with_entry(Some(b"<html>"), &mine).is_err());
        assert!(with_entry(Some(b"[]"), &mine).is_err());
        let shrunk = without_entries(&grown, &[mine.digest]).unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&shrunk).unwrap(), serde_json::from_str::<Value>(&index).unwrap());
        assert_eq!(without_entries(&shrunk, &[mine.digest]).unwrap(), None);
    }
}
