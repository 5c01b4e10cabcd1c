//! What the gate asks a registry: each thing once, and of a digest that it knows nothing.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use bytes::Bytes;
use portcullis_admission::{Gate, ImageDecision, Options};
use portcullis_attest::{Bundle, SigningKey, store, store_legacy};
use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Requests};
use portcullis_model::{Digest, Outcome, Timestamp};
use portcullis_registry::{Client, Credentials, Descriptor, Reference, media_type};
use serde_json::json;
use support::{NOW, client, policy, signed};

/// A registry that lists what it is asked, and who vouches for its images.
struct Setting {
    registry: Handle,
    requests: Requests,
    client: Client,
    key: SigningKey,
}

impl Setting {
    fn new(referrers: bool) -> Self {
        let requests = Requests::default();
        let options = portcullis_embedded_registry::Options {
            referrers,
            requests: Some(requests.clone()),
            ..portcullis_embedded_registry::Options::default()
        };
        let registry = EmbeddedRegistry::start(options).unwrap();
        let client = client(Credentials::anonymous());
        Self { registry, requests, client, key: SigningKey::generate().unwrap() }
    }

    fn named(&self, what: &str) -> Reference {
        format!("{}/app{what}", self.registry.address()).parse().unwrap()
    }

    /// Pushes an image, each number another.
    async fn image(&self, number: u32) -> Descriptor {
        let at = self.named(":v1");
        let config = Bytes::from(json!({"number": number}).to_string());
        self.client.push_blob(&at, config.clone()).await.unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
            "config": Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
        });
        self.push(&manifest.to_string(), media_type::OCI_MANIFEST).await
    }

    async fn push(&self, manifest: &str, kind: &str) -> Descriptor {
        let bytes = Bytes::from(manifest.to_owned());
        let descriptor = Descriptor::of(kind, &bytes);
        self.client.push_manifest(&self.named(":v1"), bytes, kind).await.unwrap();
        descriptor
    }

    fn bundle(&self, subject: &Descriptor, seconds_ago: i64) -> Bundle {
        signed(&self.key, &self.named(":v1"), subject.digest, Outcome::Pass, seconds_ago)
    }

    async fn attest(&self, subject: &Descriptor, seconds_ago: i64) {
        let bundle = self.bundle(subject, seconds_ago);
        store(&self.client, &self.named(":v1"), subject, &[bundle]).await.unwrap();
    }

    /// A gate of two policies that both speak of the image.
    fn gate(&self) -> Gate {
        let options = Options { now: Some(Timestamp::from_unix(NOW)), ..Options::default() };
        Gate::new(["one", "two"].map(|name| policy(name, &self.key, "24h")).concat(), self.client.clone(), options)
            .unwrap()
    }

    async fn decide(&self, gate: &Gate, what: &str) -> ImageDecision {
        gate.image(&self.named(what).to_string(), None).await
    }

    /// What the registry was asked, sorted, with names in place of digests.
    fn asked(&self, names: &[(&str, Digest)]) -> Vec<String> {
        let mut asked: Vec<String> = self.requests.take().iter().map(|request| readable(request, names)).collect();
        asked.sort_unstable();
        asked
    }
}

/// A request without the repository. A digest that has no name is that of evidence.
fn readable(request: &str, names: &[(&str, Digest)]) -> String {
    let mut text = request.replace("/v2/app/", "");
    for (name, digest) in names {
        text = text.replace(&digest.hex().to_string(), name);
    }
    match text.split_once("sha256:").or_else(|| text.split_once("sha256-")) {
        Some((before, hex)) if hex.len() == 64 => format!("{before}EVIDENCE"),
        _ => text,
    }
}

#[tokio::test]
async fn a_digest_that_is_not_known_takes_three_requests_and_two_for_each_piece_of_evidence() {
    let setting = Setting::new(true);
    let subject = setting.image(1).await;
    setting.attest(&subject, 3600).await;
    setting.attest(&subject, 60).await;
    _ = setting.requests.take();
    let gate = setting.gate();
    let (by_digest, names) = (format!("@{}", subject.digest), [("IMAGE", subject.digest)]);
    assert!(setting.decide(&gate, &by_digest).await.is_admitted());
    let expected = [
        // Each bundle, and the manifest that names it.
        "GET blobs/EVIDENCE",
        "GET blobs/EVIDENCE",
        "GET manifests/EVIDENCE",
        "GET manifests/EVIDENCE",
        // The tag of registries without the API: evidence may be from before this one had it.
        "GET manifests/sha256-IMAGE",
        // Cosign's older form.
        "GET manifests/sha256-IMAGE.att",
        // The list of what refers to the image.
        "GET referrers/sha256:IMAGE",
    ];
    assert_eq!(setting.asked(&names), expected);
    assert!(setting.decide(&gate, &by_digest).await.is_admitted());
    assert!(setting.asked(&names).is_empty(), "a known digest asks nothing");
    // A tag is asked what it means, each time: it may have moved.
    assert!(setting.decide(&gate, ":v1").await.is_admitted());
    assert_eq!(setting.asked(&names), ["GET manifests/v1"]);
}

#[tokio::test]
async fn older_registries_and_older_forms_take_no_request_more() {
    let setting = Setting::new(false);
    let subject = setting.image(1).await;
    let bundle = setting.bundle(&subject, 60);
    let at = setting.named(":v1");
    store(&setting.client, &at, &subject, std::slice::from_ref(&bundle)).await.unwrap();
    store_legacy(&setting.client, &at, &subject.digest, &[bundle]).await.unwrap();
    _ = setting.requests.take();
    assert!(setting.decide(&setting.gate(), &format!("@{}", subject.digest)).await.is_admitted());
    let expected = [
        // The bundle, and the envelope of the older form.
        "GET blobs/EVIDENCE",
        "GET blobs/EVIDENCE",
        "GET manifests/EVIDENCE",
        // Here is the list.
        "GET manifests/sha256-IMAGE",
        // Here is the older form: this manifest is its own.
        "GET manifests/sha256-IMAGE.att",
        // Not there.
        "GET referrers/sha256:IMAGE",
    ];
    assert_eq!(setting.asked(&[("IMAGE", subject.digest)]), expected);
}

#[tokio::test]
async fn an_index_of_which_nobody_speaks_is_read_once_for_all_policies() {
    let setting = Setting::new(true);
    let subject = setting.image(1).await;
    setting.attest(&subject, 60).await;
    let mut entry = serde_json::to_value(&subject).unwrap();
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]});
    let index = setting.push(&index.to_string(), media_type::OCI_INDEX).await;
    _ = setting.requests.take();
    let (by_digest, names) = (format!("@{}", index.digest), [("INDEX", index.digest), ("IMAGE", subject.digest)]);
    let gate = setting.gate();
    assert!(setting.decide(&gate, &by_digest).await.is_admitted());
    let expected = [
        "GET blobs/EVIDENCE",
        "GET manifests/EVIDENCE",
        "GET manifests/sha256-IMAGE",
        "GET manifests/sha256-IMAGE.att",
        "GET manifests/sha256-INDEX",
        "GET manifests/sha256-INDEX.att",
        // Nothing is said of this digest, so that it is asked what it is.
        "GET manifests/sha256:INDEX",
        "GET referrers/sha256:IMAGE",
        "GET referrers/sha256:INDEX",
    ];
    assert_eq!(setting.asked(&names), expected);
    assert!(setting.decide(&gate, &by_digest).await.is_admitted());
    assert!(setting.asked(&names).is_empty(), "a known index asks nothing");
}
