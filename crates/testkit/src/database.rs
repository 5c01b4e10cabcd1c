//! Databases that somebody built to harm: their digests are right, what they hold is not.
//!
//! Layout: `docs/database-format.md`

use portcullis_model::{Digest, Hasher};

/// Bytes of a page, and of the header.
const PAGE: usize = 2048;

/// Where in the header the file's digest stands.
const DIGEST: std::ops::Range<usize> = 240..272;

/// Makes the digests of a database right again after it was changed; false for what is too short to be one.
pub fn seal_database(file: &mut [u8]) -> bool {
    let table = file.get(24..32).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let table = usize::try_from(table).unwrap_or(usize::MAX);
    if table < PAGE || table > file.len() {
        return false;
    }
    let (content, digests) = file.split_at_mut(table);
    for (page, digest) in content[PAGE..].chunks(PAGE).zip(digests.chunks_mut(16)) {
        let length = digest.len();
        digest.copy_from_slice(&Digest::of(page).as_bytes()[..length]);
    }
    content[DIGEST].fill(0);
    let mut hasher = Hasher::new();
    hasher.update(&content[..PAGE]);
    hasher.update(digests);
    content[DIGEST].copy_from_slice(hasher.finish().as_bytes());
    true
}
