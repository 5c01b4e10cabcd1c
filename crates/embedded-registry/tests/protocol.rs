//! The registry as a client sees it, over HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Options};
use portcullis_model::Digest;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn start(options: Options) -> Handle {
    EmbeddedRegistry::start(options).unwrap()
}

fn url(registry: &Handle, path: &str) -> String {
    format!("http://{}/v2/{path}", registry.address())
}

async fn push_blob(registry: &Handle, bytes: &'static [u8]) -> Digest {
    let digest = Digest::of(bytes);
    let to = url(registry, &format!("team/app/blobs/uploads/?digest={digest}"));
    let answer = Client::new().post(to).body(bytes).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    digest
}

async fn push_manifest(registry: &Handle, name: &str, value: &Value) -> (Digest, Response) {
    let bytes = serde_json::to_vec(value).unwrap();
    let digest = Digest::of(&bytes);
    let name = if name.is_empty() { digest.to_string() } else { name.to_owned() };
    let request = Client::new().put(url(registry, &format!("team/app/manifests/{name}")));
    (digest, request.header("content-type", MANIFEST).body(bytes).send().await.unwrap())
}

fn manifest(config: Digest, subject: Option<Digest>, artifact_type: &str) -> Value {
    let mut value = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [], "annotations": {"a": artifact_type},
    });
    if let Some(subject) = subject {
        value["subject"] = json!({"mediaType": MANIFEST, "digest": subject, "size": 1});
    }
    value
}

#[tokio::test]
async fn blobs_arrive_in_pieces_and_are_checked() {
    let registry = start(Options::default());
    let client = Client::new();
    let begun = client.post(url(&registry, "a/blobs/uploads/?mount=sha256:x&from=b")).send().await.unwrap();
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let at = format!("http://{}{location}", registry.address());

    let piece =
        |range: &'static str, body: &'static str| client.patch(&at).header("content-range", range).body(body).send();
    assert_eq!(piece("0-2", "abc").await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(piece("7-9", "xyz").await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(piece("3-5", "def").await.unwrap().headers()["range"], "0-5");
    assert_eq!(client.get(&at).send().await.unwrap().status(), StatusCode::NO_CONTENT);

    let digest = Digest::of(b"abcdefg");
    let ended = client.put(format!("{at}?digest={digest}")).body("g").send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::CREATED);
    let blob = url(&registry, &format!("a/blobs/{digest}"));
    let head = client.head(&blob).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "7");
    assert_eq!(client.get(&blob).send().await.unwrap().text().await.unwrap(), "abcdefg");
    let part = client.get(&blob).header("range", "bytes=2-3").send().await.unwrap();
    assert_eq!((part.status(), part.text().await.unwrap().as_str()), (StatusCode::PARTIAL_CONTENT, "cd"));

    let wrong = url(&registry, &format!("a/blobs/uploads/?digest={digest}"));
    assert_eq!(client.post(wrong).body("other").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(client.delete(&blob).send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(client.get(&blob).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn manifests_by_tag_and_digest() {
    let registry = start(Options::default());
    let client = Client::new();
    let missing = manifest(Digest::of(b"{}"), None, "t");
    assert_eq!(push_manifest(&registry, "v1", &missing).await.1.status(), StatusCode::BAD_REQUEST);

    let config = push_blob(&registry, b"{}").await;
    let (digest, answer) = push_manifest(&registry, "v1", &manifest(config, None, "t")).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(answer.headers().get("oci-subject").is_none());
    push_manifest(&registry, "v2", &manifest(config, None, "u")).await;

    let got = client.get(url(&registry, "team/app/manifests/v1")).send().await.unwrap();
    assert_eq!(got.headers()["docker-content-digest"], digest.to_string().as_str());
    assert_eq!(got.headers()["content-type"], MANIFEST);
    assert_eq!(Digest::of(&got.bytes().await.unwrap()), digest);
    let page = client.get(url(&registry, "team/app/tags/list?n=1")).send().await.unwrap();
    assert_eq!(page.headers()["link"], "</v2/team/app/tags/list?n=1&last=v1>; rel=\"next\"");
    assert_eq!(page.json::<Value>().await.unwrap()["tags"], json!(["v1"]));

    let by_digest = url(&registry, &format!("team/app/manifests/{digest}"));
    assert_eq!(client.delete(by_digest).send().await.unwrap().status(), StatusCode::ACCEPTED);
    let gone = client.head(url(&registry, "team/app/manifests/v1")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn referrers_are_filtered_and_paged() {
    let registry = start(Options { referrers_page: 1, ..Options::default() });
    let client = Client::new();
    let config = push_blob(&registry, b"{}").await;
    let (subject, _) = push_manifest(&registry, "v1", &manifest(config, None, "image")).await;
    for artifact_type in ["x/one", "x/two"] {
        let (_, answer) = push_manifest(&registry, "", &manifest(config, Some(subject), artifact_type)).await;
        assert_eq!(answer.headers()["oci-subject"], subject.to_string().as_str());
    }
    let at = url(&registry, &format!("team/app/referrers/{subject}"));
    let first = client.get(&at).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    let next = link.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
    let second = client.get(format!("http://{}{next}", registry.address())).send().await.unwrap();
    assert!(second.headers().get("link").is_none());
    let mut types = Vec::new();
    for page in [first, second] {
        let page: Value = page.json().await.unwrap();
        types.push(page["manifests"][0]["artifactType"].as_str().unwrap().to_owned());
        assert_eq!(page["manifests"][0]["annotations"]["a"], page["manifests"][0]["artifactType"]);
    }
    types.sort();
    assert_eq!(types, ["x/one", "x/two"]);

    let filtered = client.get(format!("{at}?artifactType=x%2Ftwo")).send().await.unwrap();
    assert_eq!(filtered.headers()["oci-filters-applied"], "artifactType");
    assert_eq!(filtered.json::<Value>().await.unwrap()["manifests"].as_array().unwrap().len(), 1);
    let none = client.get(url(&registry, &format!("other/referrers/{subject}"))).send().await.unwrap();
    assert_eq!(none.json::<Value>().await.unwrap()["manifests"], json!([]));
}

#[tokio::test]
async fn without_referrers_it_is_an_old_registry() {
    let registry = start(Options { referrers: false, ..Options::default() });
    let config = push_blob(&registry, b"{}").await;
    let subject = Digest::of(b"x");
    let (_, answer) = push_manifest(&registry, "", &manifest(config, Some(subject), "t")).await;
    assert_eq!((answer.status(), answer.headers().get("oci-subject")), (StatusCode::CREATED, None));
    let at = url(&registry, &format!("team/app/referrers/{subject}"));
    assert_eq!(Client::new().get(at).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn credentials_are_asked_for() {
    let registry = start(Options { credentials: Some(("me".into(), "secret".into())), ..Options::default() });
    let refused = Client::new().get(url(&registry, "")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let admitted = Client::new().get(url(&registry, "")).basic_auth("me", Some("secret")).send().await.unwrap();
    assert_eq!(admitted.status(), StatusCode::OK);
}

#[tokio::test]
async fn it_is_full_at_its_cap_and_bad_requests_are_refused() {
    let registry = start(Options { max_bytes: 2000, ..Options::default() });
    let client = Client::new();
    let big = vec![7; 3000];
    let to = url(&registry, &format!("a/blobs/uploads/?digest={}", Digest::of(&big)));
    let answer = client.post(to).body(big).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for (path, body) in [("a/manifests/v1", "[]"), ("a/manifests/v1", "{"), ("a/manifests/sha256:00", "{}")] {
        let request = client.put(url(&registry, path)).header("content-type", MANIFEST).body(body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{path} {body}");
    }
    for path in ["a/blobs/uploads/99", "a/blobs/uploads/%00", "a/what/is", "%ff/tags/list"] {
        assert!(client.get(url(&registry, path)).send().await.unwrap().status().is_client_error(), "{path}");
    }
    let closed = client.post(url(&registry, "a/tags/list")).send().await.unwrap();
    assert_eq!(closed.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn it_stops_on_drop() {
    let registry = start(Options::default());
    let address = registry.address();
    drop(registry);
    assert!(std::net::TcpStream::connect(address).is_err());
}
