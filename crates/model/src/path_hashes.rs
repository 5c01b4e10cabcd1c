//! Many path hashes in one piece for binary formats: eight bytes each, little endian. A list of numbers would cost
//! more to read than all the rest of a layer's facts.

use std::fmt;

use serde::{Deserializer, Serializer, de};

use crate::PathHash;

/// Writes the hashes as one run of bytes.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(hashes: &[PathHash], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0.to_le_bytes()).collect();
    serializer.serialize_bytes(&bytes)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// When there is anything but a run of bytes whose length is a multiple of eight.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathHash>, D::Error> {
    deserializer.deserialize_bytes(Hashes)
}

struct Hashes;

impl de::Visitor<'_> for Hashes {
    type Value = Vec<PathHash>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hashes of eight bytes each")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let (hashes, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        Ok(hashes.iter().map(|hash| PathHash(u64::from_le_bytes(*hash))).collect())
    }
}
