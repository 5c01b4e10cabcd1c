//! Container engines on this machine. Where the layers of an image lie readable on this host, they are read in place;
//! else the engine is asked for an archive of it.

mod address;
mod containerd;
mod docker;
mod http;
mod images;
mod storage;

use portcullis_model::Platform;
use portcullis_registry::Reference;

pub(crate) use self::docker::open as open_docker;
pub use self::images::{EngineImage, EngineImages, EngineKind, Untagged};
use crate::{Image, ImageError, OpenOptions};

/// An engine that does not do what it is asked for.
fn failure(engine: &'static str, why: impl Into<String>, hint: impl Into<String>) -> ImageError {
    ImageError::Engine { engine, why: why.into(), hint: hint.into() }
}

/// Where an engine listens. One whose socket is gone may be starting again: it is silent, as one that does not answer.
fn found<T>(engine: &'static str, place: Option<T>, hint: &str) -> Result<T, ImageError> {
    place.ok_or_else(|| ImageError::Silent { engine, why: "no socket of it is there".into(), hint: hint.into() })
}

/// Opens an image of Podman, Buildah or CRI-O: from the storage that they share, or through Podman's socket.
pub(crate) fn open_podman(name: &str, options: &OpenOptions) -> Result<Image, ImageError> {
    let from_storage = storage::open(name);
    match from_storage {
        Ok(image) => Ok(image),
        Err(error) => match address::podman() {
            // What the engine says comes last: the storage is where it would have been read in place.
            Some(socket) => docker::open_at("podman", &socket, name, options),
            None => Err(error),
        },
    }
}

/// Opens an image of containerd.
pub(crate) fn open_containerd(
    name: &str,
    namespace: Option<&str>,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    containerd::open(name, namespace, platform)
}

/// Opens an image that the kubelet's engine has: containerd, or CRI-O.
pub(crate) fn open_cri(name: &str, options: &OpenOptions) -> Result<Image, ImageError> {
    containerd::open(name, Some("k8s.io"), options.platform.as_ref())
        .or_else(|error| storage::open(name).map_err(|_other| error))
}

/// Names under which an engine may know the image that a user calls `name`.
fn known_as(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if let Ok(reference) = name.parse::<Reference>() {
        names.push(reference.to_string());
    }
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let tagged = if has_tag { name.to_owned() } else { format!("{name}:latest") };
    // Where Podman and Buildah put what has no registry.
    names.push(format!("localhost/{tagged}"));
    names.push(tagged);
    names
}

/// Whether `name` may stand in an address: engines take more than names there.
fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    !name.is_empty() && name.bytes().all(is_fine) && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use portcullis_errors::Hint;

    use super::*;

    #[test]
    fn an_engine_without_a_socket_is_silent() {
        let error = found("docker", None::<String>, "start it").unwrap_err();
        assert!(matches!(error, ImageError::Silent { .. }), "{error:?}");
        assert_eq!(error.to_string(), "docker: it does not answer: no socket of it is there");
        assert_eq!(error.hint().as_deref(), Some("start it"));
    }
}
