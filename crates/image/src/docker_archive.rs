//! Archives as `docker save` writes them.
//!
//! Format: `manifest.json` as described at
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>.
//! Layers are plain tars whose digests the config names.

use std::sync::Arc;

use portcullis_model::Digest;
use serde::Deserialize;

use crate::{
    Image, ImageError, StoredLayer,
    error::offered,
    layout::check,
    manifest::{Config, MAX_DOCUMENT},
    store::Store,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Opens the image that `name` names, or the only one.
pub(crate) fn open(store: Store, name: Option<&str>) -> Result<Image, ImageError> {
    let place = store.place();
    let bytes = store.read("manifest.json", MAX_DOCUMENT)?;
    let what = format!("manifest.json of {place}");
    let entries: Vec<Entry> =
        serde_json::from_slice(&bytes).map_err(|cause| ImageError::Json { what: what.clone(), cause })?;
    let entry = select(&entries, name, &place)?;
    let config_bytes = store.read(&entry.config, MAX_DOCUMENT)?;
    let config_digest = config_digest(&entry.config, &config_bytes)?;
    let config = Config::parse(&config_bytes, &what)?;
    if config.rootfs.diff_ids.len() != entry.layers.len() {
        let why =
            format!("it has {} layers, but its config names {}", entry.layers.len(), config.rootfs.diff_ids.len());
        return Err(ImageError::unsupported(what, why));
    }
    let reference = entry.tags().first().cloned().unwrap_or_else(|| place.clone());
    let store = Arc::new(store);
    let layers = entry.layers.iter().zip(&config.rootfs.diff_ids);
    let layers = layers.map(|(path, &diff_id)| StoredLayer::unpacked(&store, path.clone(), diff_id)).collect();
    Image::new(reference, &config_bytes, config_digest, layers, &what)
}

impl Entry {
    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }
}

fn select<'a>(entries: &'a [Entry], name: Option<&str>, place: &str) -> Result<&'a Entry, ImageError> {
    let names = || entries.iter().flat_map(Entry::tags).map(String::as_str);
    match (entries, name) {
        ([only], None) => Ok(only),
        ([], _) => Err(ImageError::missing(place, "image")),
        (entries, Some(name)) => entries
            .iter()
            .find(|entry| entry.tags().iter().any(|tag| tag == name))
            .ok_or_else(|| ImageError::unnamed(place, name, names())),
        (entries, None) => {
            let (count, names) = (entries.len(), offered(names()));
            let why = format!("it holds {count} images; name one: docker-archive:{place}:NAME ({names})");
            Err(ImageError::unsupported(place, why))
        }
    }
}

/// The config's digest, which is its file's name: `<hex>.json`, or `blobs/sha256/<hex>` since Docker 25.
fn config_digest(path: &str, bytes: &[u8]) -> Result<Digest, ImageError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hex = name.strip_suffix(".json").unwrap_or(name);
    match format!("sha256:{hex}").parse() {
        Ok(expected) => check(bytes, expected, || format!("config {path}")).map(|()| expected),
        // Other writers name it as they like; the digest is then what it is.
        Err(_) => Ok(Digest::of(bytes)),
    }
}
