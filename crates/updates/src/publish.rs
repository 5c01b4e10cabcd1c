//! Putting a database into a registry: content first, then the signature, and the name at last, so that nobody who
//! asks for the name finds what is not signed yet.

use std::{fs, path::Path};

use bytes::Bytes;
use portcullis_advisories::Database;
use portcullis_attest::{Bundle, StatementSigner, store};
use portcullis_model::{Digest, Timestamp};
use portcullis_registry::{Client, Descriptor, Reference, media_type};

use crate::{
    Event, Update, UpdateError,
    artifact::{self, Claim, EMPTY_CONFIG},
    ecosystem::off_thread,
    files::read_bounded,
    pull::{keep_only, packed_path},
};

/// Largest packed database published, in bytes: it is held in memory while it is sent. That of all of OSV has some 25 MB.
const MAX_PUBLISHED: u64 = 2 << 30;

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The manifest's digest.
    pub manifest: Digest,
    /// The database's digest.
    pub database: Digest,
    /// Bytes of the packed database.
    pub size: u64,
}

/// A database in its packed form, with all that is said of it.
pub(crate) struct Packed {
    pub(crate) claim: Claim,
    pub(crate) layer: Descriptor,
    pub(crate) manifest: Bytes,
    /// The file of the layer.
    pub(crate) path: std::path::PathBuf,
}

impl Packed {
    /// Checks every page of a database, and packs it into the cache.
    pub(crate) fn make(database: &Path, cache: &Path) -> Result<Self, UpdateError> {
        let open = Database::open(database)?;
        open.verify()?;
        let size = fs::metadata(database).map_err(UpdateError::reading(database))?.len();
        let claim = Claim::of(&open, size);
        let new = cache.join("oci/packed.next");
        let writing = UpdateError::writing(&new);
        fs::create_dir_all(cache.join("oci")).map_err(&writing)?;
        let layer = artifact::pack(database, &new).map_err(&writing)?;
        let path = packed_path(cache, &layer);
        fs::rename(&new, &path).map_err(&writing)?;
        keep_only(&path);
        let manifest = artifact::manifest(&claim, &layer);
        Ok(Self { claim, layer, manifest, path })
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, &self.manifest)
    }

    /// Signs what is said of it.
    pub(crate) async fn sign(
        &self,
        name: &str,
        signer: &StatementSigner,
        now: Timestamp,
    ) -> Result<Bundle, UpdateError> {
        Ok(signer.sign(&self.claim.statement(name, &self.descriptor().digest), now).await?)
    }
}

/// Publishes the database of an update under a name, signed.
///
/// # Errors
/// When the database is damaged, or the registry does not take it.
pub async fn publish(
    update: &Update,
    client: &Client,
    reference: &Reference,
    signer: Option<&StatementSigner>,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Published, UpdateError> {
    update.within_time(push(update, client, reference, signer, tell)).await
}

async fn push(
    update: &Update,
    client: &Client,
    reference: &Reference,
    signer: Option<&StatementSigner>,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Published, UpdateError> {
    let _cache = update.hold_cache(tell)?;
    let (database, cache) = (update.path.clone(), update.cache.clone());
    let packed = off_thread(move || Packed::make(&database, &cache)).await??;
    let content = read_bounded(&packed.path, MAX_PUBLISHED).map_err(UpdateError::reading(&packed.path))?;
    client.push_blob(reference, Bytes::from_static(EMPTY_CONFIG)).await?;
    client.push_blob(reference, Bytes::from(content)).await?;
    let subject = packed.descriptor();
    let by_digest = reference.with_digest(subject.digest);
    client.push_manifest(&by_digest, packed.manifest.clone(), media_type::OCI_MANIFEST).await?;
    if let Some(signer) = signer {
        let bundle = packed.sign(&reference.name(), signer, update.now).await?;
        store(client, reference, &subject, &[bundle]).await?;
    }
    if reference.digest().is_none() {
        client.push_manifest(reference, packed.manifest.clone(), media_type::OCI_MANIFEST).await?;
    }
    Ok(Published { manifest: subject.digest, database: packed.claim.digest, size: packed.layer.size })
}
