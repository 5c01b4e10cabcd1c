//! rpm's own database format, NDB, as SUSE has it: `Packages.db`.
//!
//! Format: <https://github.com/rpm-software-management/rpm/blob/rpm-4.20.0-release/lib/backend/ndb/rpmpkg.c>. Pages of
//! slots name the blocks that each package's header lies in.

use super::{
    bytes::Order::Little,
    damage::{Damage, Each},
};

const MAGIC: &[u8] = b"RpmP";
const VERSION: u32 = 0;
const SLOT_MAGIC: &[u8] = b"Slot";
const BLOB_START: &[u8] = b"BlbS";
const BLOB_END: &[u8] = b"BlbE";

/// Bytes of a page of slots.
const PAGE: usize = 4096;
/// Bytes of a slot, of a block, and of what stands before a header.
const BLOCK: usize = 16;
/// Bytes of what stands after a header: checksum, length, magic.
const TAIL: usize = 12;

/// Hands each package's header to `each`, and whatever is wrong.
pub(super) fn headers(contents: &[u8], each: &mut Each<'_>) {
    let is_known = contents.starts_with(MAGIC) && Little.u32(contents, 4) == Some(VERSION);
    // Even a database without packages has a page of slots.
    let Some(pages) = Little.u32(contents, 12).filter(|pages| is_known && *pages > 0) else {
        return each(Err(Damage::Unknown("rpm's own")));
    };
    let claimed = u64::from(pages) * PAGE as u64;
    if claimed > contents.len() as u64 {
        each(Err(Damage::Short { len: contents.len(), claimed }));
    }
    let slots = contents.get(..usize::try_from(claimed).unwrap_or(usize::MAX)).unwrap_or(contents);
    let mut left = contents.len();
    // The file's own header is as large as two slots.
    for (index, slot) in slots.chunks_exact(BLOCK).enumerate().skip(2) {
        let fields = || Some((Little.u32(slot, 4)?, Little.u32(slot, 8)?));
        // One that is not in use has its magic too.
        let Some((number, offset)) = fields().filter(|_| slot.starts_with(SLOT_MAGIC)) else {
            each(Err(Damage::Slot { index }));
            continue;
        };
        // A slot that is not in use names no block.
        if offset == 0 {
            continue;
        }
        match blob(contents, number, offset) {
            Ok(blob) => match left.checked_sub(blob.len()) {
                Some(rest) => {
                    left = rest;
                    each(Ok(blob));
                }
                None => return each(Err(Damage::Overlap)),
            },
            Err(damage) => each(Err(damage)),
        }
    }
}

/// The header of package `number`, which starts at block `offset`.
fn blob(contents: &[u8], number: u32, offset: u32) -> Result<&[u8], Damage> {
    let whole = || {
        let start = (offset as usize).checked_mul(BLOCK)?;
        let bytes = contents.get(start..)?;
        let is_its = bytes.starts_with(BLOB_START) && Little.u32(bytes, 4)? == number;
        let length = Little.u32(bytes, 12)?;
        let blob = bytes.get(BLOCK..)?.get(..length as usize)?;
        // The tail comes at the end of the last block.
        let end = (BLOCK + blob.len() + TAIL).next_multiple_of(BLOCK);
        let tail = bytes.get(end - TAIL..end)?;
        (is_its && tail.ends_with(BLOB_END) && Little.u32(tail, 4)? == length).then_some(blob)
    };
    whole().ok_or(Damage::Blob { number })
}
