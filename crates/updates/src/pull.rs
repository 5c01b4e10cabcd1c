//! Taking a database from a registry: resolved once, verified, then fetched, then checked against what was signed.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use portcullis_attest::discover;
use portcullis_errors::printable;
use portcullis_registry::{Client, Descriptor, Reference};

use crate::{
    Event, Installed, Trust, Update, UpdateError,
    artifact::{self, PREDICATE_TYPE},
    ecosystem::off_thread_waited,
    files::beside,
    install::{ArtifactOrigin, Origin, Place, origin},
    trust::Accepted,
};

impl Update {
    /// Takes the database that a registry has under a name. Where the name still means what is in use, nothing is
    /// downloaded.
    ///
    /// # Errors
    /// Whatever keeps the new database from being used; the one in use then stays as it is.
    pub async fn from_registry(
        &self,
        client: &Client,
        reference: &Reference,
        trust: &Trust,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Installed, UpdateError> {
        self.within_time(self.pull(client, reference, trust, tell)).await
    }

    async fn pull(
        &self,
        client: &Client,
        reference: &Reference,
        trust: &Trust,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Installed, UpdateError> {
        let name = format!("oci://{reference}");
        trust.require_any(&name)?;
        let _cache = self.hold_cache(tell)?;
        let place = self.hold_place(tell)?;
        let current = place.current();
        let digest = client.resolve(reference).await?.digest;
        if let Some(current) = &current
            && let Some(artifact) = origin(&self.path, current.digest()).and_then(|origin| origin.artifact)
            && artifact.digest() == digest
            && trust.covers(artifact.signature.as_ref())
        {
            return Ok(Installed::of(current, false));
        }
        // From here on by its digest: the name may change its meaning meanwhile.
        let manifest = client.manifest(&reference.with_digest(digest)).await?.bytes;
        let layer = artifact::layer(&manifest, &name)?;
        let discovery = discover(client, reference, &digest, &[PREDICATE_TYPE]).await;
        let accepted = trust.accept(&name, &digest, &discovery, self.now, tell)?;
        if let Some((claim, _)) = &accepted.signed {
            trust.require_newer(claim.built, current.map(|current| current.info().built))?;
        }
        let packed = packed_path(&self.cache, &layer);
        fetch_layer(client, reference, &layer, &packed, tell).await?;
        keep_only(&packed);
        let taken = Taken { name, manifest, layer, packed };
        self.use_artifact(place, taken, accepted, trust).await
    }

    /// Unpacks an accepted artifact, compares it with what was signed, and puts it in place.
    pub(crate) async fn use_artifact(
        &self,
        place: Place,
        taken: Taken,
        accepted: Accepted,
        trust: &Trust,
    ) -> Result<Installed, UpdateError> {
        let (trust, now) = (trust.clone(), self.now);
        off_thread_waited(move |waited| {
            let Taken { name, manifest, layer, packed } = taken;
            let staged = place.staged();
            artifact::unpack(&packed, &layer, &staged).map_err(UpdateError::writing(&staged))?;
            let offered = portcullis_advisories::Database::open(&staged)?;
            let current = place.current().map(|current| current.info());
            trust.require_newer(offered.info().built, current.as_ref().map(|info| info.built))?;
            let (claim, signature) = accepted.signed.unzip();
            let origin = Origin {
                // What was signed is what must be there; without a signature it is what is there.
                digest: claim.map_or_else(|| offered.digest(), |claim| claim.digest),
                from: name,
                installed: now,
                inputs: None,
                artifact: Some(ArtifactOrigin { manifest: String::from_utf8_lossy(&manifest).into_owned(), signature }),
            };
            drop(offered);
            let database = place.install(origin, &waited)?;
            let has_changed = current.is_none_or(|info| info.digest != database.digest());
            Ok(Installed::of(&database, has_changed))
        })
        .await?
    }
}

/// An artifact that lies on this machine.
pub(crate) struct Taken {
    /// Where it came from.
    pub(crate) name: String,
    pub(crate) manifest: Bytes,
    pub(crate) layer: Descriptor,
    /// The file of the layer.
    pub(crate) packed: PathBuf,
}

/// Where the packed form of a database is kept, so that it can be exported with its signature.
pub(crate) fn packed_path(cache: &Path, layer: &Descriptor) -> PathBuf {
    cache.join("oci").join(format!("{}.zst", layer.digest.hex()))
}

/// Removes the packed forms of older databases.
pub(crate) fn keep_only(packed: &Path) {
    let Some(folder) = packed.parent() else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path != packed && path.is_file() {
            // What cannot be removed takes room, and does no harm.
            _ = fs::remove_file(path);
        }
    }
}

/// Downloads a layer, from where an earlier attempt ended.
async fn fetch_layer(
    client: &Client,
    reference: &Reference,
    layer: &Descriptor,
    to: &Path,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<(), UpdateError> {
    if artifact::is_content(to, layer) {
        return Ok(());
    }
    let part = beside(to, ".part");
    let writing = UpdateError::writing(&part);
    fs::create_dir_all(part.parent().unwrap_or(Path::new("."))).map_err(&writing)?;
    // A second time from the start: what was taken up may have been damaged on the disk.
    for _ in 0..2 {
        let begun = fs::metadata(&part).map_or(0, |metadata| metadata.len());
        tell(Event::Downloading { bytes: layer.size.saturating_sub(begun) });
        if begun != layer.size {
            let written = append(client, reference, layer, &part, begun).await;
            if let Err(error @ UpdateError::File { .. }) = written {
                // On a full disk the half of a file is in everyone's way.
                _ = fs::remove_file(&part);
                return Err(error);
            }
            written?;
        }
        if artifact::is_content(&part, layer) {
            return fs::rename(&part, to).map_err(writing);
        }
        fs::remove_file(&part).map_err(&writing)?;
    }
    let reason = format!("its layer is not what the digest {} names", layer.digest);
    Err(UpdateError::Artifact { place: printable(&reference.to_string(), 200), reason })
}

async fn append(
    client: &Client,
    reference: &Reference,
    layer: &Descriptor,
    part: &Path,
    begun: u64,
) -> Result<(), UpdateError> {
    let writing = UpdateError::writing(part);
    let (start, mut stream) = client.blob_stream_from(reference, &layer.digest, layer.size, begun).await?;
    let file = OpenOptions::new().create(true).append(start > 0).write(true).truncate(start == 0).open(part);
    let mut file = file.map_err(&writing)?;
    while let Some(chunk) = stream.try_next().await? {
        file.write_all(&chunk).map_err(&writing)?;
    }
    file.sync_all().map_err(&writing)
}
