//! Sections of records of variable length, and the tables that find them.

use std::io::{Seek, Write};

use super::{BuildError, output::Output};
use crate::{
    encode::Writer,
    format::{Section, slot_count},
};

/// A section of records, with their offsets and, if they are looked up by a key, its slots.
pub(super) struct Records {
    record: Writer,
    offsets: Vec<u32>,
    hashes: Vec<u64>,
    length: u64,
}

impl Records {
    pub(super) fn begin<W: Write + Seek>(section: Section, out: &mut Output<W>) -> Result<Self, BuildError> {
        out.begin(section).map_err(BuildError::Output)?;
        Ok(Self { record: Writer::default(), offsets: Vec::new(), hashes: Vec::new(), length: 0 })
    }

    /// The next record, still empty.
    pub(super) fn next(&mut self, hash: u64) -> Result<&mut Writer, BuildError> {
        self.offsets.push(offset(self.length)?);
        self.hashes.push(hash);
        self.record.bytes.clear();
        Ok(&mut self.record)
    }

    pub(super) fn write<W: Write + Seek>(&mut self, out: &mut Output<W>) -> Result<(), BuildError> {
        self.length += self.record.bytes.len() as u64;
        out.write(&self.record.bytes).map_err(BuildError::Output)
    }

    /// Writes what finds the records; says how many there are.
    pub(super) fn end<W: Write + Seek>(
        mut self,
        section: Section,
        offsets: Section,
        slots: Option<Section>,
        out: &mut Output<W>,
    ) -> Result<u64, BuildError> {
        out.end(section);
        self.offsets.push(offset(self.length)?);
        out.numbers(offsets, self.offsets.iter().map(|offset| offset.to_le_bytes())).map_err(BuildError::Output)?;
        if let Some(slots) = slots {
            let table = slot_table(&self.hashes);
            out.numbers(slots, table.iter().map(|slot| slot.to_le_bytes())).map_err(BuildError::Output)?;
        }
        Ok(self.hashes.len() as u64)
    }
}

/// The slots of a hash table with linear probing.
fn slot_table(hashes: &[u64]) -> Vec<u32> {
    let count = slot_count(hashes.len());
    let mut slots = vec![0_u32; count];
    for (number, hash) in hashes.iter().enumerate() {
        let mut at = (*hash % count as u64) as usize;
        while slots[at] != 0 {
            at = (at + 1) % count;
        }
        slots[at] = u32::try_from(number + 1).unwrap_or(u32::MAX);
    }
    slots
}

fn offset(length: u64) -> Result<u32, BuildError> {
    u32::try_from(length).map_err(|_error| BuildError::TooLarge(u64::from(u32::MAX)))
}
