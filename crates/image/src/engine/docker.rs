//! Docker: its API says which image a name means; its folders hold the layers, unpacked.
//!
//! API: <https://docs.docker.com/reference/api/engine/>. The folders of the `overlay2` driver are those of
//! <https://github.com/moby/moby/tree/v28.0.0/layer> and `image`: `imagedb/content` holds configs by digest,
//! `layerdb/sha256/<chain id>` names the folder of each layer.

use std::path::{Path, PathBuf};

use portcullis_model::Digest;
use portcullis_registry::Reference;
use reqwest::StatusCode;
use serde::Deserialize;

use super::{address, failure, found, http::Engine, is_name};
use crate::{
    Blob, Image, ImageError, OpenOptions, StoredLayer,
    manifest::{Config, MAX_DOCUMENT},
    spool,
};

/// What identifies an image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    graph_driver: Option<GraphDriver>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    docker_root_dir: PathBuf,
}

/// Opens an image of the Docker engine that the environment names.
pub(crate) fn open(name: &str, options: &OpenOptions) -> Result<Image, ImageError> {
    let hint = "start it, set DOCKER_HOST, or name the image without `docker:` to read it from its registry";
    let address = found("docker", address::docker(), hint)?;
    open_at("docker", &address, name, options)
}

/// Opens an image of an engine that speaks Docker's API.
pub(super) fn open_at(
    engine: &'static str,
    address: &str,
    name: &str,
    options: &OpenOptions,
) -> Result<Image, ImageError> {
    if !is_name(name) {
        return Err(failure(engine, format!("`{name}` is not the name of an image"), ""));
    }
    let engine = Engine::at(engine, address)?;
    let (status, body) = engine.get(&format!("/images/{name}/json"))?;
    if status == StatusCode::NOT_FOUND {
        let hint = format!("see `{0} images`; `{0} pull {name}` fetches it", engine.name);
        return Err(failure(engine.name, format!("it has no image {name}"), hint));
    }
    if !status.is_success() {
        return Err(engine.refused(status, &body));
    }
    let what = || format!("what {} says of {name}", engine.name);
    let image: Inspected = serde_json::from_slice(&body).map_err(|cause| ImageError::Json { what: what(), cause })?;
    let is_overlay = image.graph_driver.as_ref().is_some_and(|driver| driver.name == "overlay2");
    let in_place = if is_overlay { in_place(&engine, name, &image) } else { None };
    let mut opened = match in_place {
        Some(opened) => opened,
        None => exported(&engine, name, options)?,
    };
    opened.target.reference = canonical(name, &image);
    Ok(opened)
}

/// The name that a policy's scope is asked about. Of an id, it is the first name that the engine knows.
fn canonical(name: &str, image: &Inspected) -> String {
    let is_id = image.id.trim_start_matches("sha256:").starts_with(name.trim_start_matches("sha256:"));
    let known = image.repo_tags.iter().flatten().find(|tag| !tag.contains("<none>"));
    let name = if is_id { known.map_or(name, String::as_str) } else { name };
    name.parse::<Reference>().map_or_else(|_error| name.to_owned(), |reference| reference.to_string())
}

/// The image, with its layers where the engine keeps them; none if they cannot be read there. Another machine's engine
/// has folders of the same names: the config's digest tells them apart.
fn in_place(engine: &Engine, name: &str, image: &Inspected) -> Option<Image> {
    let id: Digest = image.id.parse().ok()?;
    let (_, body) = engine.get("/info").ok()?;
    let root = serde_json::from_slice::<Info>(&body).ok()?.docker_root_dir;
    let database = root.join("image/overlay2");
    let config = small(&database.join("imagedb/content/sha256").join(id.hex()))?;
    if Digest::of(&config) != id {
        return None;
    }
    let diff_ids = Config::parse(&config, name).ok()?.rootfs.diff_ids;
    let mut chain: Option<Digest> = None;
    let mut layers = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = chain.map_or(diff_id, |below| Digest::of(format!("{below} {diff_id}").as_bytes()));
        chain = Some(id);
        let layer = database.join("layerdb/sha256").join(id.hex());
        let says = String::from_utf8(small(&layer.join("diff"))?).ok()?;
        let folder = String::from_utf8(small(&layer.join("cache-id"))?).ok()?;
        if says.trim() != diff_id.to_string() || !folder.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let diff = root.join("overlay2").join(folder).join("diff");
        std::fs::read_dir(&diff).ok()?;
        layers.push(StoredLayer { digest: diff_id, size: None, unpacked: true, blob: Blob::Overlay(diff) });
    }
    Image::new(name.to_owned(), &config, id, layers, &format!("image {name}")).ok()
}

/// The image, by way of an archive that the engine makes.
fn exported(engine: &Engine, name: &str, options: &OpenOptions) -> Result<Image, ImageError> {
    let mut file = spool::create(options)?;
    engine.download(&format!("/images/{name}/get"), &mut file, options.spool_limit)?;
    spool::open(file, name, None, options.platform.as_ref())
}

/// A file of at most a config's size.
fn small(path: &Path) -> Option<Vec<u8>> {
    let size = std::fs::metadata(path).ok()?.len();
    if size > MAX_DOCUMENT { None } else { std::fs::read(path).ok() }
}
