//! Images in a registry: what the layer cache knows is not fetched, and mirrors are asked first.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use futures_util::{StreamExt as _, stream};
use portcullis_image::{Image, Limits, OpenOptions, RegistryAccess, Source, TIME_IS_OVER};
use portcullis_registry::{Client, Credentials, Options, PlainHttp};
use portcullis_scan::{InventoryOptions, LayerCache, ScanError, Taken, take_inventory};
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
        Self::start_with(runtime, name, image, None)
    }

    /// As [`Self::start`], but of one layer the second half never comes.
    fn start_with(runtime: &Runtime, name: &str, image: &BuiltImage, hanging: Option<usize>) -> Self {
        let blob = |digest: portcullis_model::Digest| format!("/v2/{name}/blobs/{digest}");
        let mut files: HashMap<String, Bytes> = HashMap::new();
        for at in ["v1".to_owned(), image.digest().to_string()] {
            files.insert(format!("/v2/{name}/manifests/{at}"), image.manifest.clone().into());
        }
        files.insert(blob(portcullis_model::Digest::of(&image.config)), image.config.clone().into());
        files.extend(image.layers.iter().map(|layer| (blob(layer.digest), layer.bytes.clone().into())));
        let hanging = hanging.map(|index| blob(image.layers[index].digest));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            let answer = files.get(&path).cloned();
            let hangs = hanging.as_ref() == Some(&path);
            record.lock().unwrap().push(path);
            async move {
                let kind = "application/vnd.oci.image.manifest.v1+json";
                if let Some(bytes) = answer.clone().filter(|_| hangs) {
                    let half = stream::iter([Ok::<_, std::io::Error>(bytes.slice(..bytes.len() / 2))]);
                    let headers = [(header::CONTENT_LENGTH, bytes.len().to_string())];
                    return (headers, Body::from_stream(half.chain(stream::pending()))).into_response();
                }
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

/// The image's inventory within these options' time, uncached.
fn take_in_time(runtime: &Runtime, name: &str, options: Options) -> Result<Taken, ScanError> {
    let limits = Limits { deadline: options.deadline, ..Limits::default() };
    let options = Options { plain_http: PlainHttp::Always, retries: 0, ..options };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let registry = Some(RegistryAccess { client, runtime: runtime.handle().clone(), mirrors: Vec::new() });
    let options = OpenOptions { registry, ..OpenOptions::default() };
    let image = Image::open(&Source::parse(name).unwrap(), &options).unwrap();
    take_inventory(&image, &InventoryOptions { jobs: 3, limits, ..InventoryOptions::default() })
}

#[test]
fn a_slow_layer_is_a_gap_and_no_forgery() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let one = image("one");
    let registry = Registry::start_with(&runtime, "team/one", &one, Some(2));
    let name = format!("{}/team/one:v1", registry.address);
    // The request's own limit is far away: only the deadline ends this test.
    let deadline = Some(Instant::now() + Duration::from_secs(3));
    let options = Options { timeout: Duration::from_secs(3600), deadline, ..Options::default() };
    let taken = take_in_time(&runtime, &name, options).unwrap();
    let place = format!("layer {}", one.layers[2].digest);
    let gap = taken.inventory.warnings.iter().find(|warning| warning.path == place).unwrap();
    assert!(gap.message.contains(TIME_IS_OVER), "{gap:?}");
    assert!(!taken.inventory.packages.iter().any(|package| package.name == "one"));
    // Where the command has time left, a request without an answer is an error, and none about digests.
    let options = Options { timeout: Duration::from_millis(500), ..Options::default() };
    let error = portcullis_errors::chain(&take_in_time(&runtime, &name, options).unwrap_err());
    assert!(error.contains("no answer within 0.5 s"), "{error}");
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
