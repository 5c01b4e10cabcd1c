//! A database and its signature in one file, for networks that are not connected: an OCI layout in a tar archive, which
//! other tools can carry to a registry as well.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use portcullis_advisories::{Database, replaceable};
use portcullis_attest::{BUNDLE_MEDIA_TYPE, StatementSigner, discover_in_layout};
use portcullis_model::Digest;
use portcullis_registry::{Descriptor, media_type};
use serde::Deserialize;
use serde_json::json;

use crate::{
    ArtifactOrigin, Event, Installed, Trust, Update, UpdateError,
    artifact::{self, ARTIFACT_TYPE, EMPTY_CONFIG, PREDICATE_TYPE},
    ecosystem::off_thread,
    files::{beside, read_bounded},
    install::{Origin, origin},
    publish::Packed,
    pull::{Taken, packed_path},
};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Entries of an archive that are looked at.
const MAX_ENTRIES: usize = 1000;
/// Largest entry beside the database, in bytes.
const MAX_SMALL: u64 = 32 << 20;
/// Bytes of an archive that are taken.
const MAX_ARCHIVE: u64 = 8 << 30;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The manifest's digest.
    pub manifest: Digest,
    /// The database's digest.
    pub database: Digest,
    /// Whose signature is in the file.
    pub signed_by: Option<String>,
}

/// The parts of an archive.
struct Parts {
    manifest: Bytes,
    packed: PathBuf,
    layer: Descriptor,
    bundle: Option<Bytes>,
    signed_by: Option<String>,
}

/// Writes the database of an update, with the signature that it came with, or with one of `signer`.
///
/// # Errors
/// When the database is damaged, the file cannot be written, or what was signed cannot be made again.
pub async fn export(
    update: &Update,
    to: &Path,
    signer: Option<&StatementSigner>,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Exported, UpdateError> {
    let _cache = update.hold_cache(tell)?;
    let database = Database::open(&update.path)?.digest();
    let artifact = origin(&update.path, database).and_then(|origin: Origin| origin.artifact);
    let signed = artifact.filter(|artifact| signer.is_none() && artifact.signature.is_some());
    let parts = match signed {
        Some(artifact) => as_signed(update, artifact)?,
        None => {
            let packed = Packed::make(&update.path, &update.cache)?;
            let bundle = match signer {
                Some(signer) => Some(packed.sign("portcullis.db", signer, update.now).await?.bytes().clone()),
                None => None,
            };
            let signed_by = signer.map(StatementSigner::describe);
            Parts { manifest: packed.manifest, packed: packed.path, layer: packed.layer, bundle, signed_by }
        }
    };
    let manifest = Digest::of(&parts.manifest);
    let next = beside(to, ".next");
    let written = replaceable(to).and_then(|()| write(&parts, &next)).and_then(|()| fs::rename(&next, to));
    if let Err(error) = written {
        // On a full disk the half of a file is in everyone's way.
        _ = fs::remove_file(&next);
        return Err(UpdateError::writing(to)(error));
    }
    Ok(Exported { manifest, database, signed_by: parts.signed_by })
}

/// The very artifact that was signed: its packed form from the cache, or packed again.
fn as_signed(update: &Update, artifact: ArtifactOrigin) -> Result<Parts, UpdateError> {
    let ArtifactOrigin { manifest, signature } = artifact;
    let layer = artifact::layer(manifest.as_bytes(), &update.path.display().to_string())?;
    let mut packed = packed_path(&update.cache, &layer);
    if !artifact::is_content(&packed, &layer) {
        let again = Packed::make(&update.path, &update.cache)?;
        if again.layer.digest != layer.digest {
            return Err(UpdateError::NotReproduced);
        }
        packed = again.path;
    }
    let (signed_by, bundle) = signature.map(|signature| (signature.by, Bytes::from(signature.bundle))).unzip();
    Ok(Parts { manifest: manifest.into(), packed, layer, bundle, signed_by })
}

fn write(parts: &Parts, path: &Path) -> io::Result<()> {
    let Parts { manifest, packed, layer, bundle, signed_by: _ } = parts;
    let mut subject = Descriptor::of(media_type::OCI_MANIFEST, manifest);
    subject.artifact_type = Some(ARTIFACT_TYPE.to_owned());
    let mut named = subject.clone();
    // By this name other tools find it beside its signature.
    named.annotations.insert("org.opencontainers.image.ref.name".to_owned(), "latest".to_owned());
    let mut entries = vec![serde_json::to_value(&named)?];
    let mut blobs: Vec<Bytes> = vec![Bytes::from_static(EMPTY_CONFIG), manifest.clone()];
    if let Some(bundle) = bundle {
        let refers = referrer(&subject, bundle);
        let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &refers);
        entry.artifact_type = Some(BUNDLE_MEDIA_TYPE.to_owned());
        entries.push(serde_json::to_value(entry)?);
        blobs.extend([bundle.clone(), refers]);
    }
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries}).to_string();
    let mut tar = tar::Builder::new(BufWriter::new(File::create(path)?));
    append(&mut tar, "oci-layout", LAYOUT.len() as u64, LAYOUT)?;
    append(&mut tar, "index.json", index.len() as u64, index.as_bytes())?;
    for blob in &blobs {
        append(&mut tar, &blob_name(&Digest::of(blob)), blob.len() as u64, &blob[..])?;
    }
    append(&mut tar, &blob_name(&layer.digest), layer.size, File::open(packed)?)?;
    let mut file = tar.into_inner()?;
    file.flush()?;
    file.get_ref().sync_all()
}

fn append<W: io::Write>(tar: &mut tar::Builder<W>, name: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    // The same database gives the same archive.
    header.set_mtime(0);
    tar.append_data(&mut header, name, content)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The manifest that hangs the bundle on the database.
fn referrer(subject: &Descriptor, bundle: &Bytes) -> Bytes {
    let plain = |of: &Descriptor| json!({"mediaType": of.media_type, "digest": of.digest, "size": of.size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": BUNDLE_MEDIA_TYPE,
        "config": plain(&Descriptor::of(media_type::OCI_EMPTY, EMPTY_CONFIG)),
        "layers": [plain(&Descriptor::of(BUNDLE_MEDIA_TYPE, bundle))],
        "subject": plain(subject),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": PREDICATE_TYPE,
        },
    });
    Bytes::from(manifest.to_string())
}

impl Update {
    /// Takes the database of a file that [`export`] wrote, and verifies it as one from a registry.
    ///
    /// # Errors
    /// Whatever keeps the new database from being used; the one in use then stays as it is.
    pub async fn from_archive(
        &self,
        file: &Path,
        trust: &Trust,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Installed, UpdateError> {
        let name = portcullis_errors::printable(&file.display().to_string(), 500);
        trust.require_any(&name)?;
        let _cache = self.hold_cache(tell)?;
        let place = self.hold_place(tell)?;
        let folder = place.staged().with_file_name("layout");
        let (from, into) = (file.to_owned(), folder.clone());
        let unpacked = off_thread(move || unpack(&from, &into)).await?;
        let refused = |reason: String| UpdateError::Artifact { place: name.clone(), reason };
        unpacked.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UpdateError::writing(&folder)(error),
            _ => refused(portcullis_errors::printable(&error.to_string(), 200)),
        })?;
        let manifest = database_manifest(&folder).map_err(refused)?;
        let digest = Digest::of(&manifest);
        let layer = artifact::layer(&manifest, &name)?;
        let discovery = discover_in_layout(&folder, &digest, &[PREDICATE_TYPE]);
        let discovery = discovery.map_err(|error| refused(portcullis_errors::chain(&error)))?;
        let accepted = trust.accept(&name, &digest, &discovery, self.now, tell)?;
        let blob = folder.join(blob_name(&layer.digest));
        if !artifact::is_content(&blob, &layer) {
            return Err(refused(format!("it does not hold what the digest {} names", layer.digest)));
        }
        let packed = packed_path(&self.cache, &layer);
        let kept = fs::create_dir_all(self.cache.join("oci"));
        let moved = kept.and_then(|()| fs::copy(blob, &packed));
        moved.map_err(UpdateError::writing(&packed))?;
        crate::pull::keep_only(&packed);
        self.use_artifact(place, Taken { name, manifest, layer, packed }, accepted, trust).await
    }
}

/// Unpacks what an OCI layout has, and nothing else: no other name, no link, no more than the bounds.
fn unpack(file: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("blobs/sha256"))?;
    let mut archive = tar::Archive::new(BufReader::new(File::open(file)?.take(MAX_ARCHIVE)));
    let mut count = 0;
    // Raw: no long name or other header that stands before an entry is read into memory. What we need has short names.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry.map_err(unquoted)?;
        count += 1;
        if count > MAX_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let is_blob =
            name.strip_prefix("blobs/sha256/").is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok());
        if !(entry.header().entry_type().is_file() && (is_blob || name == "index.json")) {
            continue;
        }
        let mut to = BufWriter::new(File::create(folder.join(&name))?);
        io::copy(&mut entry, &mut to)?;
        to.flush()?;
    }
    if folder.join("index.json").is_file() { Ok(()) } else { Err(io::Error::other("it is no OCI layout")) }
}

/// What `tar` says of a file that is no archive quotes its first bytes, which may be anything's.
fn unquoted(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData => io::Error::other("it is no tar archive"),
        io::ErrorKind::UnexpectedEof => io::Error::other("it is half a tar archive, or none"),
        _ => error,
    }
}

/// The one manifest of a database in a layout, checked against its digest.
fn database_manifest(folder: &Path) -> Result<Bytes, String> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Descriptor>,
    }
    let text = |error: &dyn std::error::Error| portcullis_errors::printable(&error.to_string(), 200);
    let read = |path: PathBuf| read_bounded(&path, MAX_SMALL).map_err(|error| text(&error));
    let index: Index = serde_json::from_slice(&read(folder.join("index.json"))?).map_err(|error| text(&error))?;
    let is_database = |entry: &&Descriptor| entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE);
    let found: Vec<&Descriptor> = index.manifests.iter().filter(is_database).collect();
    let [entry] = found[..] else { return Err(format!("it names {} databases", found.len())) };
    let bytes = read(folder.join(blob_name(&entry.digest)))?;
    if Digest::of(&bytes) == entry.digest {
        return Ok(Bytes::from(bytes));
    }
    Err(format!("the content is not that of the digest {}", entry.digest))
}
