//! An image in each of the forms that are stored in files.
//!
//! Formats: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md> and
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>

use std::{fs, io, path::Path};

use serde_json::json;

use crate::{BuiltImage, tar};

impl BuiltImage {
    /// The files of an OCI layout, in the order of an archive.
    #[must_use]
    pub fn layout(&self) -> Vec<(String, Vec<u8>)> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": self.digest(),
                "size": self.manifest.len(),
                "platform": {"os": "linux", "architecture": self.architecture},
                "annotations": {"org.opencontainers.image.ref.name": self.name},
            }],
        });
        let blob = |digest: portcullis_model::Digest| format!("blobs/sha256/{}", digest.hex());
        let mut files = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
            (blob(self.digest()), self.manifest.clone()),
            (blob(self.config_digest()), self.config.clone()),
        ];
        files.extend(self.layers.iter().map(|layer| (blob(layer.digest), layer.bytes.clone())));
        files
    }

    /// The files of a Docker archive; layers are plain tars, or as they are stored where `packed`.
    #[must_use]
    pub fn docker_files(&self, packed: bool) -> Vec<(String, Vec<u8>)> {
        let config = format!("{}.json", self.config_digest().hex());
        let names: Vec<String> = (0..self.layers.len()).map(|index| format!("layer-{index}/layer.tar")).collect();
        let manifest = json!([{"Config": config, "RepoTags": [self.name], "Layers": names}]);
        let bodies = self.layers.iter().map(|layer| if packed { &layer.bytes } else { &layer.tar }.clone());
        let mut files: Vec<(String, Vec<u8>)> = names.into_iter().zip(bodies).collect();
        files.push((config, self.config.clone()));
        files.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
        files
    }

    /// Writes an OCI layout into the directory `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_oci_dir(&self, path: &Path) -> io::Result<()> {
        for (name, bytes) in self.layout() {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap_or(path))?;
            fs::write(file, bytes)?;
        }
        Ok(())
    }

    /// Writes a tar archive of an OCI layout.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_oci_archive(&self, path: &Path) -> io::Result<()> {
        fs::write(path, archive(&self.layout()))
    }

    /// Writes an archive as `docker save` does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_docker_archive(&self, path: &Path) -> io::Result<()> {
        fs::write(path, archive(&self.docker_files(false)))
    }

    /// Writes an archive in Docker's form whose layers are compressed, as `crane pull` does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_packed_docker_archive(&self, path: &Path) -> io::Result<()> {
        fs::write(path, archive(&self.docker_files(true)))
    }
}

/// A tar of files.
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, body) in files {
        bytes.extend(tar::entry(b'0', name.as_bytes(), b"", 0o644, body));
    }
    bytes.extend_from_slice(&tar::END);
    bytes
}
