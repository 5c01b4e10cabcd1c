//! The layer cache: what was read of a layer once is not read again, whichever image it turns up in.
//!
//! An entry is a file of its own, named by all that its content follows from: the layer's digest, the limits, and the
//! sources of this program that read layers. Its format: [`MAGIC`], the key, the SHA-256 of the rest, and the facts
//! as MessagePack (<https://github.com/msgpack/msgpack/blob/master/spec.md>) packed with zstd. What is damaged,
//! foreign or from another version is no entry; nothing of it is believed.
//!
//! A cache is never a reason to fail. Processes share it without locks: entries are written beside their place and
//! renamed, and whoever reads one that is being removed reads it to its end, or not at all.

mod files;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use portcullis_image::{LayerIdentity, Limits};
use portcullis_model::Digest;
use portcullis_packages::READERS;
use serde::{Serialize, de::DeserializeOwned};

use self::files::CacheFile;
use crate::layer_facts::LayerFacts;

/// The first bytes of every entry, with the version of the format.
const MAGIC: &[u8; 8] = b"PCULLAY1";

/// Before the packed facts: the magic, the key and the digest.
const HEADER: usize = MAGIC.len() + 32 + 32;

/// Largest packed entry, in bytes. A layer of a million files has some ten megabytes.
const MAX_PACKED: u64 = 256 << 20;

/// Largest unpacked entry, in bytes.
const MAX_UNPACKED: u64 = 1 << 30;

/// zstd's fastest ordinary level: hashes do not shrink, and names shrink enough.
const LEVEL: i32 = 1;

/// An entry's moment of last use is written anew when it is older than this.
const USED_AGAIN: Duration = Duration::from_secs(3600);

/// What names the code that reads layers: facts of other code are other facts.
const CODE: &str = env!("PORTCULLIS_LAYER_CODE");

/// A folder of entries.
#[derive(Debug)]
pub struct LayerCache {
    folder: PathBuf,
    /// Most bytes kept.
    limit: u64,
    notes: Mutex<Vec<String>>,
    /// Whether something was stored, so that it may have grown too large.
    grown: Mutex<bool>,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Entries.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl LayerCache {
    /// Most bytes kept by default: 2 GiB.
    pub const DEFAULT_LIMIT: u64 = 2 << 30;

    /// The cache in `folder`, which is made when something is stored; it keeps at most `limit` bytes.
    #[must_use]
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, notes: Mutex::default(), grown: Mutex::default() }
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What did not work, for those who want to know: nothing depends on it. Each is told once.
    #[must_use]
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How much it holds.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        files::list(&self.folder).into_iter().fold(CacheStatus::default(), |status, CacheFile { bytes, .. }| {
            CacheStatus { entries: status.entries + 1, bytes: status.bytes + bytes }
        })
    }

    /// Removes every entry, and tells what was removed.
    ///
    /// # Errors
    /// When an entry cannot be removed.
    pub fn clean(&self) -> std::io::Result<CacheStatus> {
        let status = self.status();
        files::remove_all(&self.folder)?;
        Ok(status)
    }

    /// The facts of a layer, or what was made of all of an image's, if they are known.
    pub(crate) fn load<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        let path = self.path(key);
        let (bytes, used) = files::read(&path, HEADER as u64 + MAX_PACKED).ok()??;
        let facts = unpack(&bytes, key);
        match facts {
            // Whoever trims the cache looks at the time.
            Some(_) if used.elapsed().is_ok_and(|since| since > USED_AGAIN) => files::touch(&path, SystemTime::now()),
            Some(_) => {}
            None => self.note(format!("what the layer cache holds is damaged, and made anew ({})", path.display())),
        }
        facts
    }

    /// Keeps facts.
    pub(crate) fn store(&self, key: &Digest, facts: &impl Serialize) {
        let Some(bytes) = pack(key, facts) else { return };
        if bytes.len() as u64 > self.limit.min(MAX_PACKED) {
            return;
        }
        match files::write(&self.folder, &self.path(key), &bytes) {
            Ok(()) => *self.grown.lock().unwrap_or_else(PoisonError::into_inner) = true,
            Err(error) => self.note(format!("the layer cache is not used: {}: {error}", self.folder.display())),
        }
    }

    /// Removes the entries that were not used for longest, until the rest is within the limit.
    pub(crate) fn trim(&self) {
        if std::mem::take(&mut *self.grown.lock().unwrap_or_else(PoisonError::into_inner)) {
            files::trim(&self.folder, self.limit);
        }
    }

    fn path(&self, key: &Digest) -> PathBuf {
        let hex = key.hex();
        self.folder.join(hex.get(..2).unwrap_or_default()).join(hex)
    }

    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// The name of an entry: all that the facts of a layer follow from. `reading` names what else was asked for.
pub(crate) fn key(layer: LayerIdentity, limits: Limits, reading: &str) -> Digest {
    let LayerIdentity { digest, size, unpacked, overlay } = layer;
    let Limits { entries, unpacked_bytes, deadline: _ } = limits;
    let readers: Vec<&str> = READERS.iter().map(|reader| reader.name()).collect();
    let engine = crate::ENGINE;
    let text = format!(
        "{engine} {CODE} {readers:?} {digest} {size:?} {unpacked} {overlay} {entries} {unpacked_bytes} {reading}"
    );
    Digest::of(text.as_bytes())
}

/// The name of what is made of all layers of an image, whose names are `layers`. Locations name `diff_ids`.
pub(crate) fn image_key(layers: &[Digest], diff_ids: &[Option<Digest>]) -> Digest {
    Digest::of(format!("image {layers:?} {diff_ids:?}").as_bytes())
}

fn pack(key: &Digest, facts: &impl Serialize) -> Option<Vec<u8>> {
    // Named fields: a reading leaves out what is empty.
    let plain = rmp_serde::to_vec_named(facts).ok()?;
    if plain.len() as u64 > MAX_UNPACKED {
        return None;
    }
    let packed = zstd::bulk::compress(&plain, LEVEL).ok()?;
    let mut bytes = Vec::with_capacity(HEADER + packed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(Digest::of(&packed).as_bytes());
    bytes.extend_from_slice(&packed);
    Some(bytes)
}

/// The facts of an entry; none where a single byte of it is not as it was written.
fn unpack<T: DeserializeOwned>(bytes: &[u8], key: &Digest) -> Option<T> {
    let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(key.as_bytes().as_slice())?;
    let (digest, packed) = rest.split_first_chunk::<32>()?;
    if Digest::of(packed).as_bytes() != digest {
        return None;
    }
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    if size > MAX_UNPACKED {
        return None;
    }
    let plain = zstd::bulk::decompress(packed, usize::try_from(size).ok()?).ok()?;
    rmp_serde::from_slice(&plain).ok()
}

/// For fuzzing: whether bytes are an entry.
#[doc(hidden)]
#[must_use]
pub fn is_entry(bytes: &[u8]) -> bool {
    // The digest keeps every changed byte away from what lies behind it, so both are tried.
    let key = Digest::of(b"fuzz");
    unpack::<LayerFacts>(bytes, &key).is_some() || rmp_serde::from_slice::<LayerFacts>(bytes).is_ok()
}
