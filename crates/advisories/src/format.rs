//! The layout of the file, version 5. All numbers are little-endian.
//!
//! ```text
//! header            one page of 1,024 bytes
//!   0    magic             "PORTCLDB"
//!   8    format version    u32
//!   12   page size         u32 = 1024
//!   16   file length       u64
//!   24   page digests      u64 offset of the table
//!   32   sections          SECTIONS × (u64 offset, u64 length)
//!   240  digest            32 bytes
//!   272  key of the hashes   16 bytes
//!   …    zeros
//! sections          one after another
//! page digests      for every page between the header and this table: the first 16 bytes of its SHA-256
//! ```
//! The database's digest is the SHA-256 of the header, with zeros in place of the digest, and of the table. It binds
//! every byte of the file, and costs little to compute: it is compared when the file is opened. A page is checked
//! against the table when it is first read.

use std::fmt;

use portcullis_model::Hasher;

/// The first bytes of every database.
pub(crate) const MAGIC: &[u8; 8] = b"PORTCLDB";

/// The version of the layout. A reader takes its own only.
pub const FORMAT_VERSION: u32 = 5;

/// The unit of checking, in bytes.
pub(crate) const PAGE: usize = 1024;

/// Bytes kept of a page's SHA-256.
pub(crate) const PAGE_DIGEST: usize = 16;

/// Where the section table starts in the header.
pub(crate) const SECTION_TABLE: usize = 32;

/// Where in the header the digest stands.
pub(crate) const HEADER_DIGEST: usize = SECTION_TABLE + SECTIONS * 16;

/// Bytes of the digest.
pub(crate) const DIGEST: usize = 32;

/// Where in the header the key of the slot tables stands.
pub(crate) const HEADER_KEY: usize = HEADER_DIGEST + DIGEST;

/// What the hashes of one database begin with. It follows from all records together: whoever names packages cannot
/// know it beforehand, and so cannot make names that fall into one slot.
pub(crate) type SlotKey = [u8; 16];

/// The sections, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// JSON: [`crate::database::Meta`].
    Meta,
    /// Hash table of packages: `u32` slots, 0 for empty, else a package's number plus one.
    PackageSlots,
    /// `u32` offset of each package in [`Self::Packages`], and one past the last.
    PackageOffsets,
    /// For each package: its key, then what each advisory says of it.
    Packages,
    /// `u32` offset of each advisory in [`Self::Advisories`], and one past the last.
    AdvisoryOffsets,
    /// For each advisory: its fixed facts.
    Advisories,
    /// Hash table of ids and aliases: `u32` slots, 0 for empty, else an entry's number plus one.
    IdSlots,
    /// `u32` offset of each id in [`Self::Ids`], and one past the last.
    IdOffsets,
    /// For each id: the text, then the advisories that carry it.
    Ids,
    /// CVEs, sorted, of fixed size: [`CVE_RECORD`].
    Cves,
    /// `u64` offset of each block in [`Self::TextBlocks`], and one past the last.
    TextOffsets,
    /// zstd frames of texts.
    TextBlocks,
    /// What the frames refer to: a zstd dictionary, or nothing.
    Dictionary,
}

/// How many sections there are.
pub(crate) const SECTIONS: usize = 13;

/// Bytes of a CVE: year u16, flags u8, zero u8, number u32, EPSS score and percentile as u32 in units of 1e-9.
pub(crate) const CVE_RECORD: usize = 16;

/// Flag of a CVE in CISA's catalogue.
pub(crate) const CVE_KEV: u8 = 1;
/// Flag of a CVE with an EPSS score.
pub(crate) const CVE_EPSS: u8 = 2;

/// The hash of the slot tables: the first eight bytes of SHA-256, over the table's key and what is looked up.
pub(crate) fn slot_hash(key: &SlotKey, parts: &[&[u8]]) -> u64 {
    let mut hasher = Hasher::new();
    hasher.update(key);
    parts.iter().for_each(|part| hasher.update(part));
    let digest = hasher.finish();
    digest.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The slots that a table of `entries` needs: a power of two, at most three quarters full.
pub(crate) fn slot_count(entries: usize) -> usize {
    (entries + entries / 3 + 1).next_power_of_two()
}

/// Splits `CVE-2024-1234` into year and number; none for anything else.
pub(crate) fn parse_cve(id: &str) -> Option<(u16, u32)> {
    let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
    // Neither a sign nor a zero before it: the id must come out as it went in.
    let is_padded = number.len() > 4 && number.starts_with('0');
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) || year.starts_with('0') || is_padded {
        return None;
    }
    if number.len() < 4 || number.len() > 9 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((year.parse().ok()?, number.parse().ok()?))
}

/// Writes what [`parse_cve`] took apart.
pub(crate) struct CveName {
    pub(crate) year: u16,
    pub(crate) number: u32,
}

impl fmt::Display for CveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{}-{:04}", self.year, self.number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_that_collide_in_one_database_do_not_in_another() {
        let names: Vec<String> = (0..20_000).map(|number| format!("name-{number}")).collect();
        let slot = |key: &SlotKey, name: &str| slot_hash(key, &[b"npm", b"\0", name.as_bytes()]) % 256;
        let same: Vec<&String> = names.iter().filter(|name| slot(&[1; 16], name) == 7).collect();
        assert!(same.len() > 40, "{}", same.len());
        let slots: HashSet<u64> = same.iter().map(|name| slot(&[2; 16], name)).collect();
        assert!(slots.len() > 30, "{} slots for {} names", slots.len(), same.len());
    }
}
