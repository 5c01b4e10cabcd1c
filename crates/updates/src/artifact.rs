//! A database as an OCI artifact, and what is said of it when it is signed.
//!
//! ```text
//! manifest   artifactType application/vnd.portcullis.database.v1, one layer:
//! layer      application/vnd.portcullis.database.v1+zstd: the file, packed with zstd
//! statement  about the manifest, with a predicate that names the database's own digest
//! ```
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>;
//! for people: `docs/database.md`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use bytes::Bytes;
use portcullis_advisories::{Database, FORMAT_VERSION};
use portcullis_attest::Statement;
use portcullis_model::{Digest, Hasher, Timestamp};
use portcullis_registry::{Descriptor, media_type};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::UpdateError;

/// What kind of artifact it is.
pub(crate) const ARTIFACT_TYPE: &str = "application/vnd.portcullis.database.v1";
/// The layer: a database, packed with zstd.
pub(crate) const LAYER_TYPE: &str = "application/vnd.portcullis.database.v1+zstd";
/// The type of what is signed.
pub(crate) const PREDICATE_TYPE: &str = "https://portcullis.dev/database/v1";
/// The content of the empty config.
pub(crate) const EMPTY_CONFIG: &[u8] = b"{}";
/// Largest packed database taken, in bytes.
const MAX_PACKED: u64 = 8 << 30;
/// Largest database taken, in bytes.
const MAX_DATABASE: u64 = 32 << 30;
/// zstd's level: the texts are packed already, and the rest is packed once and fetched often.
const LEVEL: i32 = 12;

/// What a signer says of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claim {
    /// The database's own digest, which binds every byte of it.
    pub(crate) digest: Digest,
    /// The moment that it speaks of.
    pub(crate) built: Timestamp,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Claim {
    pub(crate) fn of(database: &Database, size: u64) -> Self {
        Self { digest: database.digest(), built: database.info().built, size }
    }

    /// What is signed.
    pub(crate) fn statement(&self, name: &str, manifest: &Digest) -> Statement {
        let predicate = json!({"database": self});
        Statement::new(name, manifest, PREDICATE_TYPE, predicate)
    }

    /// Reads what was signed.
    pub(crate) fn read(statement: &Statement) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Predicate {
            database: Claim,
        }
        let predicate: Predicate =
            serde_json::from_value(statement.predicate().clone()).map_err(|error| error.to_string())?;
        Ok(predicate.database)
    }
}

/// The manifest of a database. The same one always has the same.
pub(crate) fn manifest(claim: &Claim, layer: &Descriptor) -> Bytes {
    let annotations = BTreeMap::from([
        ("org.opencontainers.image.created", claim.built.to_string()),
        ("org.opencontainers.image.title", "portcullis.db".to_owned()),
        ("dev.portcullis.database.digest", claim.digest.to_string()),
        ("dev.portcullis.database.built", claim.built.to_string()),
        ("dev.portcullis.database.format", FORMAT_VERSION.to_string()),
        ("dev.portcullis.database.size", claim.size.to_string()),
    ]);
    let config = Descriptor::of(media_type::OCI_EMPTY, EMPTY_CONFIG);
    let plain = |of: &Descriptor| json!({"mediaType": of.media_type, "digest": of.digest, "size": of.size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": plain(&config),
        "layers": [plain(layer)],
        "annotations": annotations,
    });
    Bytes::from(manifest.to_string())
}

/// The layer that a manifest names.
pub(crate) fn layer(manifest: &[u8], place: &str) -> Result<Descriptor, UpdateError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest {
        artifact_type: Option<String>,
        #[serde(default)]
        layers: Vec<Descriptor>,
    }
    let refused = |reason: String| UpdateError::Artifact { place: place.to_owned(), reason };
    let Manifest { artifact_type, layers } =
        serde_json::from_slice(manifest).map_err(|error| refused(error.to_string()))?;
    if artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
        let found = portcullis_errors::printable(&artifact_type.unwrap_or_else(|| "nothing".into()), 100);
        return Err(refused(format!("it says to be {found}")));
    }
    match <[Descriptor; 1]>::try_from(layers) {
        Ok([layer]) if layer.media_type == LAYER_TYPE && layer.size <= MAX_PACKED => Ok(layer),
        Ok([layer]) => Err(refused(format!("its layer is {}", portcullis_errors::printable(&layer.media_type, 100)))),
        Err(layers) => Err(refused(format!("it has {} layers", layers.len()))),
    }
}

/// Packs a database into a file; the same one gives the same bytes, as long as zstd is the same.
pub(crate) fn pack(database: &Path, packed: &Path) -> io::Result<Descriptor> {
    let mut from = BufReader::new(File::open(database)?);
    let to = Hashing { inner: BufWriter::new(File::create(packed)?), hasher: Hasher::new(), length: 0 };
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut from, &mut encoder)?;
    let Hashing { mut inner, hasher, length } = encoder.finish()?;
    inner.flush()?;
    inner.get_ref().sync_all()?;
    let mut layer = Descriptor::of(LAYER_TYPE, b"");
    layer.digest = hasher.finish();
    layer.size = length;
    Ok(layer)
}

/// Unpacks a database, and checks the packed bytes against their digest as they are read.
pub(crate) fn unpack(packed: &Path, layer: &Descriptor, database: &Path) -> io::Result<()> {
    let from = Checking { inner: File::open(packed)?.take(layer.size), hasher: Hasher::new() };
    let mut decoder = zstd::Decoder::new(from)?.single_frame();
    let mut to = BufWriter::new(File::create(database)?);
    let length = io::copy(&mut decoder.by_ref().take(MAX_DATABASE + 1), &mut to)?;
    if length > MAX_DATABASE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_DATABASE} bytes")));
    }
    let mut rest = decoder.finish();
    // What stands behind the frame belongs to the digest as well.
    io::copy(&mut rest, &mut io::sink())?;
    let actual = rest.into_inner().hasher.finish();
    if actual != layer.digest {
        return Err(io::Error::other(format!("it has the digest {actual}, not {}", layer.digest)));
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Whether a file is what a descriptor names.
pub(crate) fn is_content(path: &Path, layer: &Descriptor) -> bool {
    let has_size = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == layer.size);
    has_size && digest_of(path).is_ok_and(|digest| digest == layer.digest)
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut reader = Checking { inner: File::open(path)?, hasher: Hasher::new() };
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.hasher.finish())
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Checking<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Checking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(folder: &Path, content: &[u8]) -> (std::path::PathBuf, Descriptor) {
        std::fs::write(folder.join("db"), content).unwrap();
        let path = folder.join("packed");
        let layer = pack(&folder.join("db"), &path).unwrap();
        (path, layer)
    }

    #[test]
    fn what_was_packed_is_unpacked_and_every_change_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (path, layer) = packed(folder.path(), &content);
        let out = folder.path().join("out");
        unpack(&path, &layer, &out).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), content);
        assert!(is_content(&path, &layer));
        let whole = std::fs::read(&path).unwrap();
        for place in [0, 5, whole.len() / 2, whole.len() - 1] {
            let mut other = whole.clone();
            other[place] ^= 1;
            std::fs::write(&path, &other).unwrap();
            assert!(unpack(&path, &layer, &out).is_err() && !is_content(&path, &layer), "{place}");
        }
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(unpack(&path, &layer, &out).is_err());
    }

    #[test]
    fn other_artifacts_are_refused() {
        let claim = Claim { digest: Digest::of(b"x"), built: Timestamp::from_unix(0), size: 3 };
        let right = manifest(&claim, &Descriptor::of(LAYER_TYPE, b"abc"));
        let text = std::str::from_utf8(&right).unwrap();
        assert_eq!(layer(&right, "x").unwrap().size, 3);
        for wrong in [
            text.replace(ARTIFACT_TYPE, "application/other"),
            text.replace("+zstd", ""),
            text.replace(r#""size":3"#, r#""size":99999999999999"#),
            text.replace(r#""layers":["#, r#""layers":[{"mediaType":"m","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":1},"#),
            "[]".into(),
        ] {
            assert!(layer(wrong.as_bytes(), "x").is_err(), "{wrong}");
        }
        let statement = claim.statement("name", &Digest::of(b"m"));
        assert_eq!(Claim::read(&statement).unwrap(), claim);
    }

    proptest! {
        #[test]
        fn no_manifest_or_layer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = layer(&bytes, "x");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("packed");
            std::fs::write(&path, &bytes).unwrap();
            let named = Descriptor::of(LAYER_TYPE, &bytes);
            prop_assert!(unpack(&path, &named, &folder.path().join("out")).is_err() || !bytes.is_empty());
        }
    }
}
