//! containerd: its API says which digest a name means and where its content lies; the content is read from there.
//!
//! API: <https://github.com/containerd/containerd/blob/v2.0.0/api/services/images/v1/images.proto> and
//! `introspection/v1/introspection.proto`; the content store is an OCI layout's `blobs` folder.

mod images;

use std::{collections::HashMap, path::PathBuf};

use portcullis_model::{Digest, Platform};
use prost::Message;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

pub(super) use self::images::Images;
use super::{address, failure, found, http::Engine, known_as};
use crate::{Image, ImageError, layout, manifest::Descriptor, store::Store};

const ENGINE: &str = "containerd";

/// Namespaces looked into where none is named: `ctr` and nerdctl's, Kubernetes', Docker's.
const NAMESPACES: [&str; 3] = ["default", "k8s.io", "moby"];

/// The status of gRPC for what is not there.
const NOT_FOUND: &str = "5";

#[derive(Clone, PartialEq, Message)]
struct GetImageRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ListImagesRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ListImagesResponse {
    #[prost(message, repeated, tag = "1")]
    images: Vec<ImageMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    target: Option<DescriptorMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct DescriptorMessage {
    #[prost(string, tag = "1")]
    media_type: String,
    #[prost(string, tag = "2")]
    digest: String,
    #[prost(int64, tag = "3")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PluginsRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginsResponse {
    #[prost(message, repeated, tag = "1")]
    plugins: Vec<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(map = "string, string", tag = "5")]
    exports: HashMap<String, String>,
}

/// Opens an image of containerd.
pub(super) fn open(name: &str, namespace: Option<&str>, platform: Option<&Platform>) -> Result<Image, ImageError> {
    let engine = connect()?;
    let chosen = namespace.map(ToOwned::to_owned).or_else(|| address::variable("CONTAINERD_NAMESPACE"));
    let namespaces = chosen.map_or_else(|| NAMESPACES.map(ToOwned::to_owned).to_vec(), |namespace| vec![namespace]);
    for namespace in &namespaces {
        // Of a digest, by the first of the names that mean it.
        let names = if is_digest(name) {
            list(&engine, namespace, Some(of_digest(name)))?.into_iter().map(|image| image.name).take(1).collect()
        } else {
            known_as(name)
        };
        for known in names {
            if let Some(found) = get(&engine, namespace, &known)? {
                let store = Store::open(&content_root(&engine)?)?;
                return layout::open_descriptor(store, found, known, platform).map_err(explained);
            }
        }
    }
    let places = namespaces.join(", ");
    let hint = "see `ctr --namespace NAME images list`; a namespace is named as containerd:IMAGE@NAMESPACE";
    Err(failure(ENGINE, format!("it has no image {name} in the namespace {places}"), hint))
}

fn connect() -> Result<Engine, ImageError> {
    let hint = "start it, or set CONTAINERD_ADDRESS to the path of its socket";
    Engine::grpc(ENGINE, &found(ENGINE, address::containerd(), hint)?)
}

fn is_digest(text: &str) -> bool {
    text.parse::<Digest>().is_ok()
}

/// What a missing blob of its store means.
fn explained(error: ImageError) -> ImageError {
    let ImageError::Missing { what, .. } = &error else { return error };
    let why = format!("{what} is not in its content store");
    failure(
        ENGINE,
        why,
        "it may have been thrown away once it was unpacked (discard_unpacked_layers); pull the image again, or scan it at its registry",
    )
}

/// The filter for the images of a digest.
fn of_digest(digest: &str) -> String {
    format!("target.digest==\"{digest}\"")
}

/// The images of a namespace, or those that pass a filter.
fn list(engine: &Engine, namespace: &str, filter: Option<String>) -> Result<Vec<ImageMessage>, ImageError> {
    let request = ListImagesRequest { filters: filter.into_iter().collect() };
    let path = "/containerd.services.images.v1.Images/List";
    Ok(call::<ListImagesResponse>(engine, namespace, path, &request)?.unwrap_or_default().images)
}

/// The image of a name; none where there is none.
fn get(engine: &Engine, namespace: &str, name: &str) -> Result<Option<Descriptor>, ImageError> {
    let request = GetImageRequest { name: name.to_owned() };
    let path = "/containerd.services.images.v1.Images/Get";
    let Some(answer) = call::<GetImageResponse>(engine, namespace, path, &request)? else { return Ok(None) };
    let wrong = || failure(ENGINE, format!("what it says of {name} is not understood"), "");
    let target = answer.image.and_then(|image| image.target).ok_or_else(wrong)?;
    let digest = target.digest.parse().map_err(|_error| wrong())?;
    Ok(Some(Descriptor::of(digest, u64::try_from(target.size).ok())))
}

/// Where the content store lies.
fn content_root(engine: &Engine) -> Result<PathBuf, ImageError> {
    let request = PluginsRequest { filters: vec!["type==io.containerd.content.v1".to_owned()] };
    let path = "/containerd.services.introspection.v1.Introspection/Plugins";
    let answer = call::<PluginsResponse>(engine, "default", path, &request)?.unwrap_or_default();
    let root = answer.plugins.iter().find_map(|plugin| plugin.exports.get("root"));
    let usual = "/var/lib/containerd/io.containerd.content.v1.content";
    Ok(PathBuf::from(root.map_or(usual, String::as_str)))
}

/// One call; none where what is asked for is not there.
fn call<T: Message + Default>(
    engine: &Engine,
    namespace: &str,
    path: &str,
    request: &impl Message,
) -> Result<Option<T>, ImageError> {
    let wrong = |why: &str| failure(ENGINE, why, "");
    let (headers, body) = engine.call(path, headers(namespace)?, &request.encode_to_vec())?;
    // An answer without a message has its status in its headers.
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        NOT_FOUND => return Ok(None),
        "" | "0" => {}
        status => return Err(wrong(&format!("it answers with status {status}: {}", text("grpc-message")))),
    }
    let Some(([0, length @ ..], message)) = body.split_first_chunk::<5>() else {
        return Err(wrong("its answer has no message"));
    };
    let length = u32::from_be_bytes(*length) as usize;
    let message = message.get(..length).ok_or_else(|| wrong("its answer is cut short"))?;
    T::decode(message).map(Some).map_err(|_error| wrong("its answer is not understood"))
}

/// What every call says of itself.
fn headers(namespace: &str) -> Result<HeaderMap, ImageError> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    let value = HeaderValue::from_str(namespace).map_err(|_error| failure(ENGINE, "that is not a namespace", ""))?;
    headers.insert(HeaderName::from_static("containerd-namespace"), value);
    Ok(headers)
}
