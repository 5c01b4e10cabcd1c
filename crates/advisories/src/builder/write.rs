//! Lays the sections out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use portcullis_model::{Digest, FixState, Hasher, Severity, SeverityLevel};

use super::{BuildError, groups::Groups};
use crate::{
    database::Meta,
    encode::Writer,
    format::{
        CVE_EPSS, CVE_KEV, CVE_RECORD, DIGEST, FORMAT_VERSION, HEADER_DIGEST, MAGIC, PAGE, PAGE_DIGEST, SECTION_TABLE,
        SECTIONS, Section, slot_count, slot_hash, write_cve,
    },
    normalise::{Normalised, NormalisedPackage},
};

/// Bytes of text that share a compressed frame: a lookup unpacks one frame for the advisories of a package.
const TEXT_BLOCK: usize = 32 * 1024;
/// The same for the long texts, which only `explain` and the reports with help texts read.
const LONG_TEXT_BLOCK: usize = 128 * 1024;

/// zstd's level: the highest whose cost a build of all advisories can bear.
const LEVEL: i32 = 15;
/// The same for the starter, which is built when the program starts.
const STARTER_LEVEL: i32 = 1;

/// The order of records in the file.
pub(super) fn place(record: &Normalised) -> (&str, &str, &str) {
    let first = record.affected.first();
    (first.map_or("", |package| &package.ecosystem), first.map_or("", |package| &package.name), &record.id)
}

type Cves = BTreeMap<(u16, u32), CveFacts>;

#[derive(Default)]
struct CveFacts {
    number: u32,
    /// The best severity that any record of this CVE carries, for records that carry none.
    severity: Option<Severity>,
}

/// The whole file, its digest and the number of packages.
pub(super) fn database(
    records: &[Normalised],
    groups: &Groups<'_>,
    mut meta: Meta,
    kev: &BTreeSet<(u16, u32)>,
    epss: &HashMap<(u16, u32), (u32, u32)>,
) -> Result<(Vec<u8>, Digest, u64), BuildError> {
    let record_cves: Vec<BTreeSet<(u16, u32)>> = records.iter().map(|record| groups.cves(record)).collect();
    let cves = number_cves(records, &record_cves);
    for package in records.iter().flat_map(|record| &record.affected) {
        *meta.ecosystems.entry(package.ecosystem.clone()).or_default() += 1;
    }
    let mut sections: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
    sections[Section::Meta as usize] = serde_json::to_vec(&meta).unwrap_or_default();
    let packages = write_packages(records, &mut sections)?;
    write_ids(records, groups, &record_cves, &mut sections)?;
    sections[Section::Cves as usize] = write_cves(&cves, kev, epss);
    let level = if meta.starter { STARTER_LEVEL } else { LEVEL };
    write_advisories(records, groups, &record_cves, &cves, level, &mut sections)?;
    let (bytes, digest) = assemble(&sections);
    Ok((bytes, digest, packages))
}

/// Every CVE that a record speaks of, numbered in order.
fn number_cves(records: &[Normalised], record_cves: &[BTreeSet<(u16, u32)>]) -> Cves {
    let mut cves = Cves::new();
    for (record, own) in records.iter().zip(record_cves) {
        for &cve in own {
            let facts: &mut CveFacts = cves.entry(cve).or_default();
            // A record of many CVEs has one severity for all of them: it says little of each.
            if own.len() == 1 && record.severity.level != SeverityLevel::Unknown {
                let rank = |severity: &Severity| {
                    (severity.score.is_some(), severity.source.as_ref().map(|id| std::cmp::Reverse(id.clone())))
                };
                if facts.severity.as_ref().is_none_or(|known| rank(known) < rank(&record.severity)) {
                    facts.severity = Some(record.severity.clone());
                }
            }
        }
    }
    for (number, facts) in cves.values_mut().enumerate() {
        facts.number = u32::try_from(number).unwrap_or(u32::MAX);
    }
    cves
}

fn write_packages(records: &[Normalised], sections: &mut [Vec<u8>; SECTIONS]) -> Result<u64, BuildError> {
    let mut packages: BTreeMap<(&str, &str), Vec<(usize, &NormalisedPackage)>> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        for package in &record.affected {
            packages.entry((&package.ecosystem, &package.name)).or_default().push((number, package));
        }
    }
    let mut data = Writer::default();
    let mut offsets = Vec::with_capacity(packages.len() + 1);
    for ((ecosystem, name), entries) in &packages {
        offsets.push(offset(data.bytes.len())?);
        data.text(ecosystem);
        data.text(name);
        data.number(entries.len() as u64);
        for (number, package) in entries {
            data.number(*number as u64);
            write_package(package, &mut data);
        }
    }
    offsets.push(offset(data.bytes.len())?);
    let keys: Vec<u64> =
        packages.keys().map(|(ecosystem, name)| slot_hash(&[ecosystem.as_bytes(), b"\0", name.as_bytes()])).collect();
    sections[Section::PackageSlots as usize] = slots(&keys);
    sections[Section::PackageOffsets as usize] = numbers(&offsets);
    sections[Section::Packages as usize] = data.bytes;
    Ok(packages.len() as u64)
}

/// The flags of a package entry, then what they announce.
fn write_package(package: &NormalisedPackage, out: &mut Writer) {
    let level = package.severity.map_or(0, |level| level as u8 + 1);
    let unfixed = match package.unfixed {
        None => 0,
        Some(FixState::WillNotFix) => 1,
        Some(FixState::Deferred) => 2,
        Some(FixState::EndOfLife) => 3,
        // No source says anything else.
        Some(_) => 0,
    };
    let lists = u8::from(!package.versions.is_empty()) | u8::from(!package.binaries.is_empty()) << 1;
    out.bytes.push(level | unfixed << 3 | lists << 5);
    out.number(package.intervals.len() as u64);
    for interval in &package.intervals {
        out.optional_text(interval.introduced.as_deref());
        out.optional_text(interval.fixed.as_deref());
        if interval.fixed.is_none() {
            out.optional_text(interval.last_affected.as_deref());
        }
    }
    for list in [&package.versions, &package.binaries] {
        if !list.is_empty() {
            out.texts(list.iter().map(String::as_str));
        }
    }
}

/// Every id by which a vulnerability can be looked up, with the records that speak of it.
fn write_ids(
    records: &[Normalised],
    groups: &Groups<'_>,
    record_cves: &[BTreeSet<(u16, u32)>],
    sections: &mut [Vec<u8>; SECTIONS],
) -> Result<(), BuildError> {
    let mut ids: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for ((number, record), cves) in records.iter().enumerate().zip(record_cves) {
        let names = groups.aliases(record).into_iter().map(str::to_owned);
        let names = names.chain(cves.iter().map(|&(year, number)| write_cve(year, number)));
        for name in names.chain([record.id.clone()]) {
            ids.entry(name).or_default().insert(number as u64);
        }
    }
    let mut data = Writer::default();
    let mut offsets = Vec::with_capacity(ids.len() + 1);
    for (id, numbers) in &ids {
        offsets.push(offset(data.bytes.len())?);
        data.text(id);
        data.number(numbers.len() as u64);
        numbers.iter().for_each(|&number| data.number(number));
    }
    offsets.push(offset(data.bytes.len())?);
    let keys: Vec<u64> = ids.keys().map(|id| slot_hash(&[id.as_bytes()])).collect();
    sections[Section::IdSlots as usize] = slots(&keys);
    sections[Section::IdOffsets as usize] = numbers(&offsets);
    sections[Section::Ids as usize] = data.bytes;
    Ok(())
}

fn write_cves(cves: &Cves, kev: &BTreeSet<(u16, u32)>, epss: &HashMap<(u16, u32), (u32, u32)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cves.len() * CVE_RECORD);
    for key @ (year, number) in cves.keys() {
        let prediction = epss.get(key);
        let flags = if kev.contains(key) { CVE_KEV } else { 0 } | if prediction.is_some() { CVE_EPSS } else { 0 };
        let (score, percentile) = prediction.copied().unwrap_or_default();
        bytes.extend_from_slice(&year.to_le_bytes());
        bytes.extend_from_slice(&[flags, 0]);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&score.to_le_bytes());
        bytes.extend_from_slice(&percentile.to_le_bytes());
    }
    bytes
}

fn write_advisories(
    records: &[Normalised],
    groups: &Groups<'_>,
    record_cves: &[BTreeSet<(u16, u32)>],
    cves: &Cves,
    level: i32,
    sections: &mut [Vec<u8>; SECTIONS],
) -> Result<(), BuildError> {
    let mut short = TextBlocks::new(TEXT_BLOCK);
    let mut long = TextBlocks::new(LONG_TEXT_BLOCK);
    let mut data = Writer::default();
    let mut offsets = Vec::with_capacity(records.len() + 1);
    for (record, own) in records.iter().zip(record_cves) {
        offsets.push(offset(data.bytes.len())?);
        let inherited = match own.first() {
            Some(cve) if own.len() == 1 => cves.get(cve).and_then(|facts| facts.severity.as_ref()),
            _ => None,
        };
        let severity = if record.severity.level == SeverityLevel::Unknown { inherited } else { None };
        let severity = severity.unwrap_or(&record.severity);
        data.text(&record.id);
        data.bytes.push(severity.level as u8);
        data.number(severity.score.map_or(0, |score| (score * 10.0).round() as u64 + 1));
        data.number(record.published.map_or(0, |time| time.unix().max(0) as u64));
        data.number(record.modified.map_or(0, |time| time.unix().max(0) as u64));
        data.number(own.len() as u64);
        own.iter().filter_map(|cve| cves.get(cve)).for_each(|facts| data.number(u64::from(facts.number)));
        let text = short_text(record, groups, severity);
        for (block, start) in [short.add(&text), long.add(record.details.as_bytes())] {
            data.number(block);
            data.number(start);
        }
        data.number(text.len() as u64);
        data.number(record.details.len() as u64);
    }
    offsets.push(offset(data.bytes.len())?);
    sections[Section::AdvisoryOffsets as usize] = numbers(&offsets);
    sections[Section::Advisories as usize] = data.bytes;
    // Long blocks follow the short ones; their numbers are counted from the first long one.
    let split = short.finish();
    let all = split.into_iter().chain(long.finish()).collect::<Vec<_>>();
    let short_count = short.blocks_made as u64;
    let compressed = compress(&all, level)?;
    let mut block_offsets = short_count.to_le_bytes().to_vec();
    let mut blocks = Vec::new();
    for block in &compressed {
        block_offsets.extend_from_slice(&(blocks.len() as u64).to_le_bytes());
        blocks.extend_from_slice(block);
    }
    block_offsets.extend_from_slice(&(blocks.len() as u64).to_le_bytes());
    sections[Section::TextOffsets as usize] = block_offsets;
    sections[Section::TextBlocks as usize] = blocks;
    Ok(())
}

/// What every finding shows: one frame holds those of a package's advisories.
fn short_text(record: &Normalised, groups: &Groups<'_>, severity: &Severity) -> Vec<u8> {
    let mut text = Writer::default();
    text.text(&record.summary);
    text.optional_text(severity.vector.as_deref());
    text.optional_text(severity.source.as_deref());
    text.texts(groups.aliases(record).into_iter().collect::<Vec<_>>().into_iter());
    text.texts(record.cwes.iter().map(String::as_str));
    text.number(record.references.len() as u64);
    for reference in &record.references {
        text.text(&reference.kind);
        text.text(&reference.url);
    }
    text.bytes
}

/// Gathers texts into blocks.
struct TextBlocks {
    size: usize,
    current: Vec<u8>,
    done: Vec<Vec<u8>>,
    blocks_made: usize,
}

impl TextBlocks {
    const fn new(size: usize) -> Self {
        Self { size, current: Vec::new(), done: Vec::new(), blocks_made: 0 }
    }

    /// Adds a text: its block's number, and where in it the text starts.
    fn add(&mut self, text: &[u8]) -> (u64, u64) {
        if !self.current.is_empty() && self.current.len() + text.len() > self.size {
            self.done.push(std::mem::take(&mut self.current));
        }
        let place = (self.done.len() as u64, self.current.len() as u64);
        self.current.extend_from_slice(text);
        place
    }

    fn finish(&mut self) -> Vec<Vec<u8>> {
        self.done.push(std::mem::take(&mut self.current));
        self.blocks_made = self.done.len();
        std::mem::take(&mut self.done)
    }
}

/// Compresses every block, on all cores; each block's bytes depend on nothing but the block.
fn compress(blocks: &[Vec<u8>], level: i32) -> Result<Vec<Vec<u8>>, BuildError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = blocks.len().div_ceil(threads).max(1);
    let work = |blocks: &[Vec<u8>]| -> std::io::Result<Vec<Vec<u8>>> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        blocks.iter().map(|block| compressor.compress(block)).collect()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = blocks.chunks(share).map(|blocks| scope.spawn(move || work(blocks))).collect();
        let mut all = Vec::with_capacity(blocks.len());
        for worker in workers {
            let compressed = worker.join().unwrap_or_else(|_panic| Err(std::io::Error::other("a worker failed")));
            all.extend(compressed.map_err(BuildError::Compress)?);
        }
        Ok(all)
    })
}

/// The slots of a hash table with linear probing.
fn slots(hashes: &[u64]) -> Vec<u8> {
    let count = slot_count(hashes.len());
    let mut slots = vec![0_u32; count];
    for (number, hash) in hashes.iter().enumerate() {
        let mut at = (*hash % count as u64) as usize;
        while slots[at] != 0 {
            at = (at + 1) % count;
        }
        slots[at] = u32::try_from(number + 1).unwrap_or(u32::MAX);
    }
    numbers(&slots)
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn offset(length: usize) -> Result<u32, BuildError> {
    u32::try_from(length).map_err(|_error| BuildError::TooLarge(u64::from(u32::MAX)))
}

/// Header, sections, page digests.
fn assemble(sections: &[Vec<u8>; SECTIONS]) -> (Vec<u8>, Digest) {
    let mut bytes = vec![0; PAGE];
    for (index, section) in sections.iter().enumerate() {
        let at = SECTION_TABLE + index * 16;
        let start = bytes.len() as u64;
        bytes[at..at + 8].copy_from_slice(&start.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&(section.len() as u64).to_le_bytes());
        bytes.extend_from_slice(section);
        // Fixed-size records must not straddle what they need not.
        bytes.resize(bytes.len().next_multiple_of(16), 0);
    }
    let table_start = bytes.len();
    let table: Vec<u8> =
        bytes[PAGE..].chunks(PAGE).flat_map(|page| Digest::of(page).as_bytes()[..PAGE_DIGEST].to_vec()).collect();
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(PAGE as u32).to_le_bytes());
    let length = (table_start + table.len()) as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[24..32].copy_from_slice(&(table_start as u64).to_le_bytes());
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..PAGE]);
    hasher.update(&table);
    let digest = hasher.finish();
    bytes[HEADER_DIGEST..HEADER_DIGEST + DIGEST].copy_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&table);
    (bytes, digest)
}
