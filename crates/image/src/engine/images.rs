//! What an engine holds, as whoever watches it sees it: its images and their tags, and the moment when that changes.
//!
//! API: <https://docs.docker.com/reference/api/engine/>, which Podman speaks too; containerd has its own. No image is
//! made, changed or removed; a tag alone is, and never the last one of an image.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::{address, containerd, failure, found, http::Engine, is_name};
use crate::ImageError;

/// Most images of an engine that are looked at.
const MAX_IMAGES: usize = 100_000;

/// The engines that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman, through its socket.
    Podman,
    /// containerd: one namespace of it, that of `CONTAINERD_NAMESPACE` or else `default`.
    Containerd,
}

impl EngineKind {
    /// Its name, which is also the scheme of its targets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
        }
    }
}

/// An image of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EngineImage {
    /// `sha256:…`
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its names, `repository:tag`, as the engine writes them.
    #[serde(rename = "RepoTags", default, deserialize_with = "tags")]
    pub tags: Vec<String>,
}

/// Podman writes the digest without its kind.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(if text.contains(':') { text } else { format!("sha256:{text}") })
}

/// An image without a name has null, or `<none>:<none>`.
fn tags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let tags = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(tags.into_iter().filter(|tag| !tag.contains("<none>")).collect())
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untagged {
    /// It is gone, and the image is there.
    Removed,
    /// It is the last one: the engine would remove the image with it.
    Last,
    /// There was no such tag, or it was given to another image, which keeps it.
    Absent,
}

/// The images of an engine.
pub struct EngineImages(Api);

enum Api {
    /// That of Docker.
    Docker(Engine),
    Containerd(containerd::Images),
}

impl EngineImages {
    /// Finds the engine as its own command line does. It is not asked yet.
    ///
    /// # Errors
    /// When nothing says where it listens.
    pub fn find(kind: EngineKind) -> Result<Self, ImageError> {
        let (address, variable) = match kind {
            EngineKind::Docker => (address::docker(), "DOCKER_HOST"),
            EngineKind::Podman => (address::podman(), "CONTAINER_HOST"),
            EngineKind::Containerd => return Ok(Self(Api::Containerd(containerd::Images::find()?))),
        };
        let address = found(kind.name(), address, &format!("start it, or set {variable}"))?;
        Ok(Self(Api::Docker(Engine::at(kind.name(), &address)?)))
    }

    /// What a scan calls an image of this engine.
    #[must_use]
    pub fn target(&self, name: &str) -> String {
        match &self.0 {
            Api::Docker(engine) => format!("{}:{name}", engine.name),
            Api::Containerd(images) => images.target(name),
        }
    }

    /// Every image with a name.
    ///
    /// # Errors
    /// When the engine does not answer, or not as its API says.
    pub fn list(&self) -> Result<Vec<EngineImage>, ImageError> {
        let mut images = match &self.0 {
            Api::Containerd(images) => images.list()?,
            Api::Docker(engine) => {
                let (status, body) = engine.get_list("/images/json")?;
                if !status.is_success() {
                    return Err(engine.refused(status, &body));
                }
                read(engine, "its images", &body)?
            }
        };
        images.truncate(MAX_IMAGES);
        Ok(images)
    }

    /// The image of a name or an id; none where there is none.
    ///
    /// # Errors
    /// As for `list`; and when it is no name.
    pub fn inspect(&self, name: &str) -> Result<Option<EngineImage>, ImageError> {
        let engine = match &self.0 {
            Api::Containerd(images) => return images.inspect(name),
            Api::Docker(engine) => engine,
        };
        if !is_name(name) {
            return Err(failure(engine.name, format!("`{name}` is not the name of an image"), ""));
        }
        let (status, body) = engine.get(&format!("/images/{name}/json"))?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => read(engine, name, &body).map(Some),
            status => Err(engine.refused(status, &body)),
        }
    }

    /// Removes a tag of the image with this id, unless it is the last one. Docker and Podman remove by name alone: between
    /// the question whose it is and the removal, a moment is left in which it can still be moved.
    ///
    /// # Errors
    /// As for `inspect`.
    pub fn untag(&self, id: &str, tag: &str) -> Result<Untagged, ImageError> {
        let Some(image) = self.inspect(tag)?.filter(|image| image.id == id) else { return Ok(Untagged::Absent) };
        // With a digest of a registry left, Docker keeps the image; Podman does not. Tags alone count.
        if image.tags.len() < 2 {
            return Ok(Untagged::Last);
        }
        let engine = match &self.0 {
            Api::Containerd(images) => return images.remove(id, tag),
            Api::Docker(engine) => engine,
        };
        let (status, body) = engine.delete(&format!("/images/{tag}?noprune=true&force=false"))?;
        match status {
            StatusCode::NOT_FOUND => Ok(Untagged::Absent),
            status if status.is_success() => Ok(Untagged::Removed),
            status => Err(engine.refused(status, &body)),
        }
    }

    /// Calls `changed` whenever something happens to an image, and at least once in `tick`; until it says no, or the
    /// engine ends the stream.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn watch(&self, tick: Duration, changed: &mut dyn FnMut() -> bool) -> Result<(), ImageError> {
        match &self.0 {
            Api::Docker(engine) => engine.stream("/events?filters=%7B%22type%22%3A%5B%22image%22%5D%7D", tick, changed),
            Api::Containerd(images) => images.watch(tick, changed),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(engine: &Engine, what: &str, body: &[u8]) -> Result<T, ImageError> {
    let what = || format!("what {} says of {what}", engine.name);
    serde_json::from_slice(body).map_err(|cause| ImageError::Json { what: what(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_say_it_in_their_own_way() {
        let read = |text: &str| serde_json::from_str::<EngineImage>(text).unwrap();
        let docker = read(r#"{"Id": "sha256:ab", "RepoTags": ["a:1", "<none>:<none>"], "Size": 1}"#);
        assert_eq!(docker, EngineImage { id: "sha256:ab".into(), tags: vec!["a:1".into()] });
        assert_eq!(read(r#"{"Id": "ab", "RepoTags": null}"#), EngineImage { id: "sha256:ab".into(), tags: vec![] });
        assert_eq!(read(r#"{"Id": "ab"}"#).tags, Vec::<String>::new());
    }
}
