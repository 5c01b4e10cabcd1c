//! The storage that Podman, Buildah and CRI-O share: images and layers as folders and JSON, with no daemon to ask.
//!
//! Layout: <https://github.com/containers/storage/blob/v1.58.0/docs/containers-storage.md>; its place:
//! <https://github.com/containers/storage/blob/v1.58.0/docs/containers-storage.conf.5.md>.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_model::Digest;
use serde::Deserialize;

use super::{
    address::{folder, read, variable},
    failure, known_as,
};
use crate::{
    Blob, Image, ImageError, StoredLayer,
    manifest::{Config, MAX_DOCUMENT},
};

/// Largest list of images or layers read, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// Most layers below one another followed.
const MAX_LAYERS: usize = 4096;

#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    storage: Section,
}

#[derive(Default, Deserialize)]
struct Section {
    #[serde(default)]
    graphroot: Option<String>,
    #[serde(default)]
    rootless_storage_path: Option<String>,
    #[serde(default)]
    options: Options,
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    additionalimagestores: Vec<PathBuf>,
}

/// An entry of `images.json`.
#[derive(Deserialize)]
struct StoredImage {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    layer: String,
    #[serde(default)]
    digest: Option<Digest>,
}

/// An entry of `layers.json`.
#[derive(Deserialize)]
struct LayerRecord {
    id: String,
    #[serde(default)]
    parent: String,
    #[serde(default, rename = "diff-digest")]
    diff_digest: Option<Digest>,
}

/// Opens an image of the storage.
pub(super) fn open(name: &str) -> Result<Image, ImageError> {
    let roots = roots();
    let mut unreadable = None;
    for root in &roots {
        match find(root, name) {
            Ok(Some(image)) => return image_of(root, &image, name),
            Ok(None) => {}
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    let places: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    let places = places.join(", ");
    Err(unreadable.unwrap_or_else(|| {
        let hint = format!("see `podman images`; `podman pull {name}` fetches it. Root has images of its own");
        failure("podman", format!("there is no image {name} in {places}"), hint)
    }))
}

/// Where images are: the storage itself, then further ones that may only be read.
fn roots() -> Vec<PathBuf> {
    let is_root = rustix::process::geteuid().is_root();
    let home = folder("HOME");
    let own = folder("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut files =
        vec![PathBuf::from("/etc/containers/storage.conf"), PathBuf::from("/usr/share/containers/storage.conf")];
    if let Some(own) = own.filter(|_| !is_root) {
        files.insert(0, own.join("containers/storage.conf"));
    }
    if let Some(named) = variable("CONTAINERS_STORAGE_CONF") {
        files = vec![PathBuf::from(named)];
    }
    let parse = |path: &PathBuf| {
        let text = String::from_utf8(read(path)?).ok()?;
        toml::from_str::<Configuration>(&text).ok().map(|configuration| (path.clone(), configuration.storage))
    };
    let (path, section) = files.iter().find_map(parse).unwrap_or_default();
    let Section { graphroot, rootless_storage_path, options } = section;
    // The system's `graphroot` is root's; a user's own file means the user's.
    let is_system = path.starts_with("/etc") || path.starts_with("/usr");
    let chosen = if is_root || !is_system { graphroot } else { rootless_storage_path };
    let chosen = chosen.filter(|path| !path.is_empty() && !path.contains('$')).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local/share")));
    let usual = if is_root { Some(PathBuf::from("/var/lib")) } else { data };
    let root = chosen.or_else(|| usual.map(|data| data.join("containers/storage")));
    root.into_iter().chain(options.additionalimagestores).collect()
}

/// The image that `name` means; none if it is not there.
fn find(root: &Path, name: &str) -> Result<Option<StoredImage>, ImageError> {
    let path = root.join("overlay-images/images.json");
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let images: Vec<StoredImage> = list(&path)?;
    let known = known_as(name);
    let is_meant = |image: &StoredImage| {
        let mut names = image.names.iter().flatten();
        let by_digest = || {
            let (name, digest) = name.split_once('@')?;
            Some(
                image.digest?.to_string() == digest
                    && image.names.iter().flatten().any(|known| known.starts_with(name)),
            )
        };
        let is_id = name.len() >= 12 && image.id.starts_with(name.strip_prefix("sha256:").unwrap_or(name));
        names.any(|name| known.contains(name)) || is_id || by_digest().unwrap_or(false)
    };
    Ok(images.into_iter().find(is_meant))
}

fn image_of(root: &Path, image: &StoredImage, name: &str) -> Result<Image, ImageError> {
    let folder = root.join("overlay-images").join(&image.id);
    let what = format!("image {name}");
    let broken = |why: &str| ImageError::unsupported(&what, format!("its storage in {}: {why}", root.display()));
    // The id is the config's digest.
    let id: Digest = format!("sha256:{}", image.id).parse().map_err(|_error| broken("its id is no digest"))?;
    let config = blob(&folder, &id.to_string())?;
    if Digest::of(&config) != id {
        return Err(ImageError::Digest {
            what: format!("config of {what}"),
            expected: id,
            actual: Digest::of(&config),
        });
    }
    let diff_ids = Config::parse(&config, &what)?.rootfs.diff_ids;
    let mut records: HashMap<String, LayerRecord> = HashMap::new();
    for file in ["overlay-layers/layers.json", "overlay-layers/volatile-layers.json"] {
        let path = root.join(file);
        if path.exists() {
            let known: Vec<LayerRecord> = list(&path)?;
            records.extend(known.into_iter().map(|record| (record.id.clone(), record)));
        }
    }
    let mut chain = Vec::new();
    let mut next = image.layer.as_str();
    while let Some(record) = records.get(next).filter(|_| chain.len() < MAX_LAYERS) {
        chain.push(record);
        next = &record.parent;
    }
    chain.reverse();
    let says: Vec<Option<Digest>> = chain.iter().map(|record| record.diff_digest).collect();
    if says != diff_ids.iter().copied().map(Some).collect::<Vec<_>>() {
        return Err(broken("its layers are not those that its config names"));
    }
    let layers = chain.iter().zip(diff_ids).map(|(record, diff_id)| {
        let diff = root.join("overlay").join(&record.id).join("diff");
        std::fs::read_dir(&diff).map_err(|cause| ImageError::File { path: diff.clone(), cause })?;
        Ok(StoredLayer { digest: diff_id, size: None, unpacked: true, blob: Blob::Overlay(diff) })
    });
    let layers = layers.collect::<Result<Vec<_>, ImageError>>()?;
    let reference = image.names.iter().flatten().next().cloned().unwrap_or_else(|| name.to_owned());
    let mut image_ = Image::new(reference, &config, id, layers, &what)?;
    image_.target.digest = blob(&folder, "manifest").ok().map(|manifest| Digest::of(&manifest));
    Ok(image_)
}

/// A document of an image: its file is named by its key, in base64 unless it is plain.
fn blob(folder: &Path, key: &str) -> Result<Vec<u8>, ImageError> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.');
    let name = if is_plain { key.to_owned() } else { format!("={}", STANDARD.encode(key)) };
    bounded(&folder.join(name), MAX_DOCUMENT)
}

fn list<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, ImageError> {
    let bytes = bounded(path, MAX_LIST)?;
    serde_json::from_slice(&bytes).map_err(|cause| ImageError::Json { what: path.display().to_string(), cause })
}

fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ImageError> {
    let unreadable = |cause| ImageError::File { path: path.to_owned(), cause };
    if std::fs::metadata(path).map_err(unreadable)?.len() > limit {
        return Err(ImageError::TooLarge { what: path.display().to_string(), limit });
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_that_cannot_be_looked_into_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path(), "a").unwrap().is_none());
        assert!(find(&folder.path().join("absent"), "a").unwrap().is_none());
        std::fs::write(folder.path().join("overlay-images"), "").unwrap();
        assert!(matches!(find(folder.path(), "a"), Err(ImageError::File { .. })));
    }
}
