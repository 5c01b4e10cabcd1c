//! Cosign's older form, for policy engines that do not read bundles yet: one image under the tag `sha256-<hex>.att`,
//! each of whose layers is a DSSE envelope.
//!
//! Format: <https://github.com/sigstore/cosign/blob/v3.0.6/specs/ATTESTATION_SPEC.md>

use bytes::Bytes;
use portcullis_model::Digest;
use portcullis_registry::{Client, Descriptor, Reference, RegistryError, fallback_tag, media_type};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Bundle, StoreError,
    artifact::ReferrerManifest,
    store::{ATTEMPTS, SETTLING, pause},
};

/// The layers that are envelopes.
pub(crate) const LEGACY_LAYER: &str = "application/vnd.dsse.envelope.v1+json";
/// Where a layer tells its predicate's type.
pub(crate) const LEGACY_PREDICATE_TYPE: &str = "predicateType";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A config with as many layers as are read is far smaller.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The tag of the older form.
pub(crate) fn legacy_tag(subject: &Digest) -> String {
    format!("{}.att", fallback_tag(subject))
}

/// Stores bundles in cosign's older form as well. Storing the same bundle again adds nothing; what others have stored
/// there stays. Returns the digest of the image that holds them all.
///
/// # Errors
/// When the registry fails, what is under the tag is something else, or others keep overwriting it.
pub async fn store_legacy(
    client: &Client,
    image: &Reference,
    subject: &Digest,
    bundles: &[Bundle],
) -> Result<Digest, StoreError> {
    let tag = legacy_tag(subject);
    let at = image
        .with_tag(&tag)
        .map_err(|error| RegistryError::Setup { what: "the tag of attestations".into(), source: error.into() })?;
    let envelopes: Vec<(Bytes, Descriptor)> =
        bundles.iter().map(envelope).collect::<Result<_, _>>().map_err(|source| unreadable(&tag, source))?;
    for (envelope, _) in &envelopes {
        client.push_blob(&at, envelope.clone()).await?;
    }
    let layers: Vec<Descriptor> = envelopes.into_iter().map(|(_, layer)| layer).collect();
    for attempt in 0..ATTEMPTS {
        let current = current(client, &at, &tag).await?;
        let Some(next) = current.grown(&layers) else { return Ok(current.digest) };
        let config = Bytes::from(next.config.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": Descriptor::of(CONFIG, &config),
            "layers": next.layers,
        });
        client.push_blob(&at, config).await?;
        let pushed = client.push_manifest(&at, Bytes::from(manifest.to_string()), media_type::OCI_MANIFEST).await?;
        tokio::time::sleep(SETTLING).await;
        if self::current(client, &at, &tag).await?.grown(&layers).is_none() {
            return Ok(pushed.digest);
        }
        tokio::time::sleep(pause(attempt, &layers)).await;
    }
    Err(StoreError::Contended { tag })
}

/// What is under the tag.
struct Attestations {
    digest: Digest,
    layers: Vec<Value>,
    config: Value,
}

impl Attestations {
    /// With these layers added; none where all are there.
    fn grown(&self, wanted: &[Descriptor]) -> Option<Self> {
        let mut layers = self.layers.clone();
        let mut config = self.config.clone();
        for layer in wanted {
            let digest = layer.digest.to_string();
            if layers.iter().any(|found| found.get("digest").and_then(Value::as_str) == Some(&digest)) {
                continue;
            }
            layers.push(json!(layer));
            // An image's config names each of its layers; an envelope is not compressed.
            if let Some(Value::Array(diff_ids)) = config.pointer_mut("/rootfs/diff_ids") {
                diff_ids.push(Value::String(digest));
            }
        }
        (layers.len() > self.layers.len()).then_some(Self { digest: self.digest, layers, config })
    }
}

async fn current(client: &Client, at: &Reference, tag: &str) -> Result<Attestations, StoreError> {
    #[derive(Deserialize)]
    struct Found {
        config: Descriptor,
        #[serde(default)]
        layers: Vec<Value>,
    }
    let manifest = match client.manifest(at).await {
        Ok(manifest) => manifest,
        Err(RegistryError::NotFound(_)) => {
            let config =
                json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}, "config": {}});
            return Ok(Attestations { digest: Digest::of(b""), layers: Vec::new(), config });
        }
        Err(error) => return Err(error.into()),
    };
    let found: Found = serde_json::from_slice(&manifest.bytes).map_err(|source| unreadable(tag, source))?;
    let config = client.blob(at, &found.config.digest, MAX_CONFIG_BYTES).await?;
    let config = serde_json::from_slice(&config).map_err(|source| unreadable(tag, source))?;
    Ok(Attestations { digest: manifest.digest, layers: found.layers, config })
}

/// A bundle's envelope alone, and the layer that names it.
fn envelope(bundle: &Bundle) -> Result<(Bytes, Descriptor), serde_json::Error> {
    let mut value: Value = serde_json::from_slice(bundle.bytes())?;
    let envelope = Bytes::from(value["dsseEnvelope"].take().to_string());
    let mut layer = Descriptor::of(LEGACY_LAYER, &envelope);
    layer.annotations.insert(SIGNATURE.to_owned(), String::new());
    layer.annotations.insert(LEGACY_PREDICATE_TYPE.to_owned(), bundle.predicate_type().to_owned());
    Ok((envelope, layer))
}

fn unreadable(tag: &str, source: serde_json::Error) -> StoreError {
    StoreError::Index { tag: tag.to_owned(), source }
}

/// The envelopes of an image of attestations.
pub(crate) fn envelopes(manifest: &[u8]) -> Result<Vec<Descriptor>, serde_json::Error> {
    let manifest: ReferrerManifest = serde_json::from_slice(manifest)?;
    Ok(manifest.layers.unwrap_or_default().into_iter().filter(|layer| layer.media_type == LEGACY_LAYER).collect())
}
