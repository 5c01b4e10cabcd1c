//! Images in a registry: what the layer cache knows is not fetched, and mirrors are asked first.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use portcullis_image::{Image, OpenOptions, RegistryAccess, Source};
use portcullis_registry::{Client, Credentials, Options, PlainHttp};
use portcullis_scan::{InventoryOptions, LayerCache, Taken, take_inventory};
use portcullis_testkit::{BuiltImage, ImageBuilder, Layer};
use support::npm;
use tokio::runtime::Runtime;

/// A registry that counts what it is asked for.
struct Registry {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Serves an image under `NAME:v1`.
    fn start(runtime: &Runtime, name: &str, image: &BuiltImage) -> Self {
        let blob = |digest: portcullis_model::Digest| format!("/v2/{name}/blobs/{digest}");
        let mut files: HashMap<String, Bytes> = HashMap::new();
        for at in ["v1".to_owned(), image.digest().to_string()] {
            files.insert(format!("/v2/{name}/manifests/{at}"), image.manifest.clone().into());
        }
        files.insert(blob(portcullis_model::Digest::of(&image.config)), image.config.clone().into());
        files.extend(image.layers.iter().map(|layer| (blob(layer.digest), layer.bytes.clone().into())));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            let answer = files.get(&path).cloned();
            record.lock().unwrap().push(path);
            async move {
                let kind = "application/vnd.oci.image.manifest.v1+json";
                answer.map_or_else(
                    || StatusCode::NOT_FOUND.into_response(),
                    |bytes| ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
                )
            }
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// How many layers of the image it was asked for since the last time.
    fn layers_asked_for(&self, image: &BuiltImage) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let is_layer = |path: &&String| image.layers.iter().any(|layer| path.ends_with(&layer.digest.to_string()));
        asked.iter().filter(is_layer).count()
    }
}

fn take(runtime: &Runtime, name: &str, mirrors: &[&str], cache: Option<&LayerCache>) -> Taken {
    let options = Options { plain_http: PlainHttp::Always, retries: 0, ..Options::default() };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let mirrors = mirrors.iter().map(|mirror| mirror.parse().unwrap()).collect();
    let registry = Some(RegistryAccess { client, runtime: runtime.handle().clone(), mirrors });
    let options = OpenOptions { registry, ..OpenOptions::default() };
    let image = Image::open(&Source::parse(name).unwrap(), &options).unwrap();
    let options = InventoryOptions { jobs: 2, cache, ..InventoryOptions::default() };
    take_inventory(&image, &options).unwrap()
}

fn image(own: &str) -> BuiltImage {
    let package = |name: &str| Layer::new().file(&format!("app/node_modules/{name}/package.json"), npm(name, "1.0.0"));
    ImageBuilder::debian(12).package("base-files", "12.4").layer(package("shared")).layer(package(own)).build()
}

#[test]
fn layers_that_are_known_are_not_fetched() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = LayerCache::new(folder.path().join("cache"), LayerCache::DEFAULT_LIMIT);
    let (one, other) = (image("one"), image("other"));
    let first = Registry::start(&runtime, "team/one", &one);
    let second = Registry::start(&runtime, "team/other", &other);
    let name = format!("{}/team/one:v1", first.address);
    let uncached = take(&runtime, &name, &[], None);
    assert_eq!(first.layers_asked_for(&one), 3);
    assert_eq!(take(&runtime, &name, &[], Some(&cache)), uncached);
    assert_eq!(first.layers_asked_for(&one), 3);
    assert_eq!(take(&runtime, &name, &[], Some(&cache)), uncached);
    assert_eq!(first.layers_asked_for(&one), 0);
    let name = format!("{}/team/other:v1", second.address);
    assert_eq!(take(&runtime, &name, &[], Some(&cache)), take(&runtime, &name, &[], None));
    // One layer of its own, and then all three without a cache.
    assert_eq!(second.layers_asked_for(&other), 1 + 3);
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_last() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let one = image("one");
    let origin = Registry::start(&runtime, "team/one", &one);
    let mirror = Registry::start(&runtime, "hub/team/one", &one);
    let name = format!("{}/team/one:v1", origin.address);
    let expected = take(&runtime, &name, &[], None);
    assert_eq!(origin.layers_asked_for(&one), 3);
    let flag = format!("{}={}/hub", origin.address, mirror.address);
    assert_eq!(take(&runtime, &name, &[&flag], None), expected);
    assert_eq!((origin.layers_asked_for(&one), mirror.layers_asked_for(&one)), (0, 3));
    // One that does not have it, one that is not there, and one of another registry.
    let empty = format!("{}={}/nothing", origin.address, mirror.address);
    let dead = format!("{}=127.0.0.1:1", origin.address);
    let foreign = format!("other.example={}", mirror.address);
    assert_eq!(take(&runtime, &name, &[&empty, &dead, &foreign], None), expected);
    assert_eq!((origin.layers_asked_for(&one), mirror.layers_asked_for(&one)), (3, 0));
    for wrong in ["docker.io", "=x", "docker.io="] {
        assert!(wrong.parse::<portcullis_image::Mirror>().is_err());
    }
}
