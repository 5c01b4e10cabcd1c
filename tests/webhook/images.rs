//! Images and their evidence, at a registry on loopback: pushed, scanned and signed as a pipeline does it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use bytes::Bytes;
use portcullis_embedded_registry::{EmbeddedRegistry, Handle};
use portcullis_model::Digest;
use portcullis_registry::{Client, Credentials, Options, PlainHttp, Reference, media_type};
use portcullis_testkit::{ImageBuilder, Layer};
use portcullis_tests::{portcullis, run};
use serde_json::Value;

/// A pair of keys, as files.
pub struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    /// Those that the tests' policies trust.
    pub fn trusted() -> &'static Self {
        static TRUSTED: OnceLock<Keys> = OnceLock::new();
        TRUSTED.get_or_init(Self::generate)
    }

    pub fn generate() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut generate = portcullis();
        generate.args(["key", "generate", "--output-prefix"]).arg(folder.path().join("cosign"));
        run(generate.env("COSIGN_PASSWORD", "test"), &[0]);
        Self { folder }
    }

    pub fn private(&self) -> PathBuf {
        self.folder.path().join("cosign.key")
    }

    /// The public key, PEM.
    pub fn public(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("cosign.pub")).unwrap()
    }
}

/// The registry that tests share.
pub fn registry() -> SocketAddr {
    static REGISTRY: OnceLock<Handle> = OnceLock::new();
    REGISTRY.get_or_init(|| EmbeddedRegistry::start(Default::default()).unwrap()).address()
}

/// An image at a registry.
#[derive(Clone)]
pub struct Image {
    /// By tag, as people write it.
    pub tagged: String,
    /// By the digest of what was pushed.
    pub pinned: String,
}

impl Image {
    /// Pushes an image under a name such as `app:v1` to the shared registry. Others have other bytes.
    pub fn push(name: &str) -> Self {
        Self::push_to(registry(), name, name)
    }

    /// Pushes an image that differs by `content`.
    pub fn push_to(registry: SocketAddr, name: &str, content: &str) -> Self {
        let layer = Layer::new().file("app/content", content);
        let built = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").layer(layer).build();
        let at: Reference = format!("{registry}/{name}").parse().unwrap();
        let options = Options { plain_http: PlainHttp::Always, timeout: Duration::from_secs(10), ..Options::default() };
        let client = Client::new(options, Credentials::anonymous()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let digest = built.digest();
        runtime.block_on(async {
            for blob in built.layers.into_iter().map(|layer| layer.bytes).chain([built.config]) {
                client.push_blob(&at, Bytes::from(blob)).await.unwrap();
            }
            client.push_manifest(&at, Bytes::from(built.manifest), media_type::OCI_MANIFEST).await.unwrap();
        });
        Self::of(format!("{registry}/{name}"), digest)
    }

    fn of(tagged: String, digest: Digest) -> Self {
        let (repository, _) = tagged.rsplit_once(':').unwrap();
        let pinned = format!("{repository}@{digest}");
        Self { tagged, pinned }
    }

    /// Pushes one and signs what a scan says of it, with the keys that policies trust.
    pub fn signed(name: &str) -> Self {
        let image = Self::push(name);
        image.sign(Keys::trusted());
        image
    }

    /// Scans it, and stores what the scan says beside it.
    pub fn sign(&self, keys: &Keys) {
        let mut scan = portcullis();
        // Freshness is counted from the clock, so this scan is of now.
        scan.env_remove("SOURCE_DATE_EPOCH").env("COSIGN_PASSWORD", "test").env("PORTCULLIS_NO_CACHE", "true");
        scan.args(["scan", &self.tagged, "--plain-http", "--attest", "-q", "--key"]).arg(keys.private());
        run(&mut scan, &[0]);
    }
}

/// A policy that trusts the tests' keys, for the images of a registry; `more` is the rest of its spec, a line each.
pub fn policy(registry: SocketAddr, more: &str) -> String {
    let key = Value::from(Keys::trusted().public());
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {{name: baseline}}\nspec:\n  \
         images: [\"{registry}/**\"]\n  evidence: {{authorities: [{{key: {key}}}], maxAge: 24h}}\n{more}"
    )
}

/// Writes a file into a folder and gives its path.
pub fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}
