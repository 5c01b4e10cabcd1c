//! The client against three real registries: the embedded one and CUE Labs' (OCI 1.1), and Debian's `docker-registry` (2.8).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::{CueRegistry, DockerRegistry, client, image, quick_options};
use futures_util::TryStreamExt as _;
use portcullis_embedded_registry::{EmbeddedRegistry, Options as Embedded};
use portcullis_errors::Secret;
use portcullis_model::Digest;
use portcullis_registry::{
    Client, Credential, Credentials, Descriptor, Reference, RegistryError, fallback_tag, media_type,
};
use serde_json::json;

async fn push_image(client: &Client, at: &Reference, layer: &'static [u8], subject: Option<&Descriptor>) -> Descriptor {
    let config = Descriptor::of(media_type::OCI_EMPTY, b"{}");
    client.push_blob(at, Bytes::from_static(b"{}")).await.unwrap();
    client.push_blob(at, Bytes::from_static(layer)).await.unwrap();
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config,
        "layers": [Descriptor::of("application/octet-stream", layer)],
    });
    if let Some(subject) = subject {
        manifest["subject"] = json!(subject);
    }
    let bytes = Bytes::from(manifest.to_string());
    let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    let answer = client.push_manifest(at, bytes, media_type::OCI_MANIFEST).await.unwrap();
    assert_eq!(answer.digest, descriptor.digest);
    descriptor
}

async fn whole_life(address: SocketAddr, acknowledges: bool) {
    let client = client();
    let tag = image(address, "team/app:v1");
    assert!(client.resolve(&tag).await.unwrap_err().is_not_found());
    let pushed = push_image(&client, &tag, b"a layer", None).await;

    assert_eq!(client.resolve(&tag).await.unwrap(), pushed);
    assert_eq!(client.tags(&tag).await.unwrap(), ["v1"]);
    assert_eq!(client.tags(&image(address, "team/other")).await.unwrap(), [""; 0]);
    let manifest = client.manifest(&tag).await.unwrap();
    assert_eq!(manifest.descriptor(), pushed);
    assert_eq!(client.manifest(&tag.with_digest(pushed.digest)).await.unwrap(), manifest);
    let other = tag.with_digest(Digest::of(b"other"));
    assert!(client.manifest(&other).await.unwrap_err().is_not_found());

    let layer = Digest::of(b"a layer");
    assert_eq!(client.blob(&tag, &layer, 7).await.unwrap(), &b"a layer"[..]);
    assert!(matches!(client.blob(&tag, &layer, 6).await, Err(RegistryError::TooLarge { limit: 6, .. })));
    let stream = client.blob_stream(&tag, &layer, 7).await.unwrap();
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"a layer");
    for wrong in [6, 8] {
        let stream = client.blob_stream(&tag, &layer, wrong).await;
        assert!(matches!(stream, Err(RegistryError::Malformed { .. })), "{wrong}");
    }
    assert!(client.blob(&tag, &Digest::of(b"none"), 7).await.unwrap_err().is_not_found());

    assert_eq!(client.referrers(&tag, &pushed.digest).await.unwrap(), []);
    let bytes = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": "x/y", "layers": [],
        "config": Descriptor::of(media_type::OCI_EMPTY, b"{}"), "subject": pushed, "annotations": {"k": "v"},
    });
    let bytes = Bytes::from(bytes.to_string());
    let by_digest = tag.with_digest(Digest::of(&bytes));
    let answer = client.push_manifest(&by_digest, bytes.clone(), media_type::OCI_MANIFEST).await.unwrap();
    assert_eq!(answer.subject_acknowledged, acknowledges);
    if !acknowledges {
        assert_eq!(client.referrers(&tag, &pushed.digest).await.unwrap(), []);
        let entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]});
        let at = tag.with_tag(&fallback_tag(&pushed.digest)).unwrap();
        client.push_manifest(&at, Bytes::from(index.to_string()), media_type::OCI_INDEX).await.unwrap();
    }
    let found = client.referrers(&tag, &pushed.digest).await.unwrap();
    assert_eq!(found.iter().map(|found| found.digest).collect::<Vec<_>>(), [Digest::of(&bytes)]);
}

#[tokio::test]
async fn embedded_registry() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    whole_life(registry.address(), true).await;
}

#[tokio::test]
async fn embedded_registry_without_referrers() {
    let registry = EmbeddedRegistry::start(Embedded { referrers: false, ..Embedded::default() }).unwrap();
    whole_life(registry.address(), false).await;
}

#[tokio::test]
async fn docker_registry() {
    let Some(registry) = DockerRegistry::start() else { return };
    whole_life(registry.address(), false).await;
}

#[tokio::test]
async fn cue_labs_registry() {
    let Some(registry) = CueRegistry::start() else { return };
    whole_life(registry.address(), true).await;
}

#[tokio::test]
async fn every_page_of_referrers_is_read_and_the_tag_is_merged() {
    let registry = EmbeddedRegistry::start(Embedded { referrers_page: 2, ..Embedded::default() }).unwrap();
    let client = client();
    let tag = image(registry.address(), "app:v1");
    let subject = push_image(&client, &tag, b"layer", None).await;
    let mut wanted = Vec::new();
    for layer in [&b"1"[..], b"2", b"3", b"4", b"5"] {
        let at = image(registry.address(), &format!("app:r{}", layer[0]));
        wanted.push(push_image(&client, &at, layer, Some(&subject)).await.digest);
    }
    // One that only the tag knows, and one that both know.
    let tagged = push_image(&client, &image(registry.address(), "app:t"), b"tagged", None).await;
    wanted.push(tagged.digest);
    let both = Descriptor { digest: wanted[0], ..tagged.clone() };
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [tagged, both]});
    let at = tag.with_tag(&fallback_tag(&subject.digest)).unwrap();
    client.push_manifest(&at, Bytes::from(index.to_string()), media_type::OCI_INDEX).await.unwrap();

    wanted.sort();
    let found: Vec<Digest> =
        client.referrers(&tag, &subject.digest).await.unwrap().into_iter().map(|found| found.digest).collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn basic_credentials_are_sent_when_asked_for() {
    let credentials = Some(("me".to_owned(), "secret".to_owned()));
    let registry = EmbeddedRegistry::start(Embedded { credentials, ..Embedded::default() }).unwrap();
    let tag = image(registry.address(), "app:v1");
    let refused = client().resolve(&tag).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Unauthorized { status: 401, with_credentials: false, .. }), "{refused:?}");

    let fixed = |password: &str| {
        let password = Secret::new(password.to_owned());
        Credentials::fixed(Credential::Basic { user: "me".into(), password })
    };
    let wrong = Client::new(quick_options(), fixed("wrong")).unwrap().resolve(&tag).await.unwrap_err();
    assert!(matches!(wrong, RegistryError::Unauthorized { status: 401, with_credentials: true, .. }), "{wrong:?}");
    let right = Client::new(quick_options(), fixed("secret")).unwrap();
    push_image(&right, &tag, b"layer", None).await;
    assert!(right.resolve(&tag).await.is_ok());
}

#[tokio::test]
async fn loopback_is_not_plain_http_by_itself() {
    let registry = EmbeddedRegistry::start(Embedded::default()).unwrap();
    let options = portcullis_registry::Options { retries: 0, ..portcullis_registry::Options::default() };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let error = client.resolve(&image(registry.address(), "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    let hint = portcullis_errors::Hint::hint(&error).unwrap();
    assert!(hint.contains("--plain-http"), "{hint} {}", portcullis_errors::chain(&error));
}
