//! The demo's images, built in memory: from this machine's own package database, or from a small one where there is
//! none that is well.

use std::{io::Write as _, path::Path};

use bytes::Bytes;
use portcullis_model::Digest;
use portcullis_registry::{Client, Descriptor, Reference, media_type};
use serde_json::json;

use crate::diagnostics::{Context as _, Failure};

/// Largest package database taken from this machine, in bytes.
const MAX_STATUS: u64 = 64 * 1024 * 1024;

/// The images, and where they come from.
pub(super) struct Made {
    pub(super) origin: &'static str,
    pub(super) images: Vec<Built>,
}

/// An image in memory.
pub(super) struct Built {
    pub(super) name: &'static str,
    layers: Vec<Layer>,
}

#[derive(Clone)]
struct Layer {
    created_by: &'static str,
    diff_id: Digest,
    packed: Bytes,
}

/// A file of a layer.
type Entry = (String, Vec<u8>);

/// Makes all three: healthy, vulnerable, and one that nobody signs.
pub(super) fn make() -> Made {
    let (origin, base) = match host() {
        Some(files) => ("this machine's own package database", files),
        None => ("a small package database", small()),
    };
    let base = Layer::new("base", &base);
    let old = Layer::new("npm install lodash@4.17.15 minimist@1.2.0 && pip install jinja2==2.11.2", &old_libraries());
    let good = Layer::new("npm install lodash@4.17.21", &[npm("lodash", "4.17.21")]);
    Made {
        origin,
        images: vec![
            Built { name: "healthy", layers: vec![base.clone(), good.clone()] },
            Built { name: "vulnerable", layers: vec![base.clone(), old] },
            Built { name: "unsigned", layers: vec![base, good] },
        ],
    }
}

/// This machine's os-release and dpkg database.
fn host() -> Option<Vec<Entry>> {
    let read = |path: &str| {
        let size = std::fs::metadata(Path::new("/").join(path)).ok()?.len();
        (size <= MAX_STATUS).then(|| std::fs::read(Path::new("/").join(path)).ok()).flatten()
    };
    let release = read("etc/os-release")?;
    let status = read("var/lib/dpkg/status")?;
    let is_debian = String::from_utf8_lossy(&release).lines().any(|line| line == "ID=debian");
    is_debian.then(|| vec![("etc/os-release".to_owned(), release), ("var/lib/dpkg/status".to_owned(), status)])
}

/// A small Debian.
fn small() -> Vec<Entry> {
    let release = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let packages = [("base-files", "12.4+deb12u12"), ("bash", "5.2.15-2+b8"), ("zlib1g", "1:1.2.13.dfsg-1")];
    let status: String = packages
        .iter()
        .map(|(name, version)| {
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
        })
        .collect();
    vec![("etc/os-release".to_owned(), release.into()), ("var/lib/dpkg/status".to_owned(), status.into())]
}

fn npm(name: &str, version: &str) -> Entry {
    let package = json!({"name": name, "version": version, "license": "MIT"}).to_string();
    (format!("srv/app/node_modules/{name}/package.json"), package.into_bytes())
}

fn old_libraries() -> Vec<Entry> {
    let metadata = "Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.11.2\n\n";
    let path = "usr/local/lib/python3.11/site-packages/Jinja2-2.11.2.dist-info/METADATA";
    vec![npm("lodash", "4.17.15"), npm("minimist", "1.2.0"), (path.to_owned(), metadata.into())]
}

impl Layer {
    fn new(created_by: &'static str, files: &[Entry]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, contents) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            // Writing into memory cannot fail.
            _ = tar.append_data(&mut header, path, contents.as_slice());
        }
        let tar = tar.into_inner().unwrap_or_default();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        _ = gzip.write_all(&tar);
        Self { created_by, diff_id: Digest::of(&tar), packed: gzip.finish().unwrap_or_default().into() }
    }
}

impl Built {
    /// Pushes layers, config and manifest; gives the manifest's digest.
    pub(super) async fn push(&self, client: &Client, reference: &Reference) -> Result<Digest, Failure> {
        let mut layers = Vec::new();
        for layer in &self.layers {
            client.push_blob(reference, layer.packed.clone()).await?;
            layers.push(Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", &layer.packed));
        }
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.title": self.name}},
            "rootfs": {"type": "layers", "diff_ids": self.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>()},
            "history": self.layers.iter().map(|layer| json!({"created_by": layer.created_by})).collect::<Vec<_>>(),
        });
        let config = Bytes::from(config.to_string());
        client.push_blob(reference, config.clone()).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        });
        let manifest = serde_json::to_vec(&manifest).context(|| "manifest".to_owned())?;
        Ok(client.push_manifest(reference, manifest.into(), media_type::OCI_MANIFEST).await?.digest)
    }
}
