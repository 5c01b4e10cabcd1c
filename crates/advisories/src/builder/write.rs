//! Lays the sections out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Seek, Write},
};

use portcullis_model::Hasher;

use super::{
    BuildError, duplicates,
    names::Names,
    output::Output,
    plan::Plan,
    record::{Head, ShortText, StoredEntry},
    records::Records,
    spool::Spool,
    texts,
    texts::{Compressors, Places},
};
use crate::{
    encode::Writer,
    format::{CVE_EPSS, CVE_KEV, CVE_RECORD, Section, SlotKey, parse_cve, slot_hash},
};

/// Bytes of text that share a compressed frame: a lookup unpacks one frame for the advisories of a package.
const TEXT_BLOCK: usize = 4 * 1024;
/// The same for the long texts, which only `explain` and the reports with help texts read.
const LONG_TEXT_BLOCK: usize = 128 * 1024;

/// Advisories whose short texts the dictionary is made of.
const SAMPLES: usize = 10_000;

/// What was gathered.
pub(super) struct Gathered<'a> {
    pub(super) heads: &'a [Head],
    pub(super) ids: &'a Names,
    pub(super) packages: &'a Names,
    pub(super) entries: &'a Spool,
    pub(super) texts: &'a Spool,
    pub(super) kev: &'a BTreeSet<(u16, u32)>,
    pub(super) epss: &'a HashMap<(u16, u32), (u32, u32)>,
}

/// What one advisory says of one package.
struct Entry {
    package: u32,
    advisory: u32,
    start: u64,
    length: u32,
}

impl Gathered<'_> {
    fn advisories<'b>(&'b self, plan: &'b Plan<'_>) -> impl Iterator<Item = &'b Head> {
        plan.order.iter().map(|&number| &self.heads[number as usize])
    }

    /// What the hashes begin with: it follows from everything that the records say.
    pub(super) fn key(&self, plan: &Plan<'_>) -> SlotKey {
        let mut hasher = Hasher::new();
        self.advisories(plan).for_each(|head| hasher.update(&head.fingerprint.to_le_bytes()));
        hasher.finish().as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// Every entry, by package, then by advisory, then in the order of the record.
    fn entries(&self, plan: &Plan<'_>) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(self.heads.iter().map(|head| head.packages as usize).sum());
        let mut buffer = Vec::new();
        for (advisory, head) in self.advisories(plan).enumerate() {
            let bytes = self.entries.read(head.entries.start, head.entries.length as usize, &mut buffer)?;
            let mut start = head.entries.start;
            for (package, entry) in duplicates::split(bytes) {
                start += 8;
                let (package, length) = (plan.packages.places[package as usize], entry.len() as u32);
                entries.push(Entry { package, advisory: advisory as u32, start, length });
                start += u64::from(length);
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.package, entry.advisory, entry.start));
        Ok(entries)
    }

    /// Writes the packages: how many there are, and how many entries each ecosystem has.
    pub(super) fn write_packages<W: Write + Seek>(
        &self,
        plan: &Plan<'_>,
        out: &mut Output<W>,
    ) -> Result<(u64, BTreeMap<String, u64>), BuildError> {
        let entries = self.entries(plan).map_err(BuildError::Spool)?;
        let mut ecosystems: BTreeMap<String, u64> = BTreeMap::new();
        let mut section = Records::begin(Section::Packages, out)?;
        let mut buffer = Vec::new();
        for entries in entries.chunk_by(|a, b| a.package == b.package) {
            let place = entries.first().map_or(0, |entry| entry.package as usize);
            let (ecosystem, name) = split_key(self.packages.get(plan.packages.order[place]));
            match ecosystems.get_mut(ecosystem) {
                Some(count) => *count += entries.len() as u64,
                None => _ = ecosystems.insert(ecosystem.to_owned(), entries.len() as u64),
            }
            let record = section.next(slot_hash(&out.key, &[ecosystem.as_bytes(), b"\0", name.as_bytes()]))?;
            record.text(ecosystem);
            record.text(name);
            let mut said = SaidOfPackage::default();
            for entry in entries {
                let bytes = self.entries.read(entry.start, entry.length as usize, &mut buffer);
                said.add(entry.advisory, StoredEntry::read(bytes.map_err(BuildError::Spool)?).map_err(spoiled)?);
            }
            record.number(said.known.len() as u64);
            record.bytes.extend_from_slice(&said.intervals);
            record.number(entries.len() as u64);
            record.bytes.extend_from_slice(&said.entries.bytes);
            section.write(out)?;
        }
        let count = section.end(Section::Packages, Section::PackageOffsets, Some(Section::PackageSlots), out)?;
        Ok((count, ecosystems))
    }

    /// Every id by which a vulnerability can be looked up, with the records that speak of it.
    pub(super) fn write_ids<W: Write + Seek>(&self, plan: &Plan<'_>, out: &mut Output<W>) -> Result<(), BuildError> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (advisory, head) in self.advisories(plan).enumerate() {
            let cves = plan.groups.cves(head.id).iter().copied();
            let names = plan.groups.aliases(head.id).chain(cves).chain([head.id]);
            pairs.extend(names.map(|id| (plan.ids.places[id as usize], advisory as u32)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut section = Records::begin(Section::Ids, out)?;
        for pairs in pairs.chunk_by(|a, b| a.0 == b.0) {
            let place = pairs.first().map_or(0, |pair| pair.0 as usize);
            let id = self.ids.get(plan.ids.order[place]);
            let record = section.next(slot_hash(&out.key, &[id.as_bytes()]))?;
            record.text(id);
            record.number(pairs.len() as u64);
            pairs.iter().for_each(|pair| record.number(u64::from(pair.1)));
            section.write(out)?;
        }
        section.end(Section::Ids, Section::IdOffsets, Some(Section::IdSlots), out)?;
        Ok(())
    }

    pub(super) fn write_cves<W: Write + Seek>(&self, plan: &Plan<'_>, out: &mut Output<W>) -> Result<(), BuildError> {
        let records = plan.cves.iter().map(|&id| {
            let key = parse_cve(self.ids.get(id)).unwrap_or_default();
            let prediction = self.epss.get(&key);
            let is_known = if self.kev.contains(&key) { CVE_KEV } else { 0 };
            let flags = is_known | if prediction.is_some() { CVE_EPSS } else { 0 };
            let (score, percentile) = prediction.copied().unwrap_or_default();
            let mut record = [0; CVE_RECORD];
            record[..2].copy_from_slice(&key.0.to_le_bytes());
            record[2] = flags;
            record[4..8].copy_from_slice(&key.1.to_le_bytes());
            record[8..12].copy_from_slice(&score.to_le_bytes());
            record[12..].copy_from_slice(&percentile.to_le_bytes());
            record
        });
        out.numbers(Section::Cves, records).map_err(BuildError::Output)
    }

    /// The advisories, and their texts in compressed blocks: all short ones, then all long ones.
    pub(super) fn write_advisories<W: Write + Seek>(
        &self,
        plan: &Plan<'_>,
        level: i32,
        out: &mut Output<W>,
    ) -> Result<(), BuildError> {
        let dictionary = self.dictionary(plan)?;
        out.section(Section::Dictionary, &dictionary).map_err(BuildError::Output)?;
        let facts = std::thread::scope(|scope| {
            let mut blocks = Blocks::begin(Compressors::start(scope, level, &dictionary), out)?;
            let facts = self.short_texts(plan, &mut blocks, out)?;
            blocks.end_block(out)?;
            let short_blocks = blocks.count;
            let mut places = Places::new(LONG_TEXT_BLOCK);
            let mut buffer = Vec::new();
            for head in self.advisories(plan) {
                if places.next(head.details as usize).is_new {
                    blocks.end_block(out)?;
                }
                let start = head.text.start + u64::from(head.text.length);
                let details = self.texts.read(start, head.details as usize, &mut buffer);
                blocks.current.extend_from_slice(details.map_err(BuildError::Spool)?);
            }
            blocks.end_block(out)?;
            blocks.finish(short_blocks, out)?;
            Ok::<_, BuildError>(facts)
        })?;
        let mut section = Records::begin(Section::Advisories, out)?;
        let mut start = 0;
        for (head, end) in self.advisories(plan).zip(facts.ends) {
            let rated = plan.rated(head);
            let record = section.next(0)?;
            record.text(self.ids.get(head.id));
            record.bytes.extend_from_slice(&[rated.level as u8]);
            record.number(u64::from(rated.score));
            for time in [head.published, head.modified] {
                record.number(time.map_or(0, |time| time.unix().max(0).cast_unsigned()));
            }
            record.number(plan.groups.cves(head.id).len() as u64);
            plan.cves_of(head).for_each(|place| record.number(u64::from(place)));
            record.bytes.extend_from_slice(&facts.bytes[start..end]);
            start = end;
            section.write(out)?;
        }
        section.end(Section::Advisories, Section::AdvisoryOffsets, None, out)?;
        Ok(())
    }

    fn dictionary(&self, plan: &Plan<'_>) -> Result<Vec<u8>, BuildError> {
        let mut samples = Writer::default();
        let mut sizes = Vec::new();
        let step = plan.order.len().div_ceil(SAMPLES).max(1);
        for head in self.advisories(plan).step_by(step) {
            let start = samples.bytes.len();
            self.short_text(plan, head, &mut samples)?;
            samples.bytes.truncate(start + TEXT_BLOCK);
            sizes.push(samples.bytes.len() - start);
        }
        texts::dictionary(&samples.bytes, &sizes).map_err(BuildError::Compress)
    }

    /// Puts the short texts into blocks; says where each advisory's texts are.
    fn short_texts<W: Write + Seek>(
        &self,
        plan: &Plan<'_>,
        blocks: &mut Blocks,
        out: &mut Output<W>,
    ) -> Result<TextFacts, BuildError> {
        let (mut short, mut long) = (Places::new(TEXT_BLOCK), Places::new(LONG_TEXT_BLOCK));
        let mut facts = Writer::default();
        let mut ends = Vec::with_capacity(plan.order.len());
        let mut text = Writer::default();
        for head in self.advisories(plan) {
            text.bytes.clear();
            self.short_text(plan, head, &mut text)?;
            let place = short.next(text.bytes.len());
            if place.is_new {
                blocks.end_block(out)?;
            }
            blocks.current.extend_from_slice(&text.bytes);
            for place in [place, long.next(head.details as usize)] {
                facts.number(place.block);
                facts.number(place.start);
            }
            facts.number(text.bytes.len() as u64);
            facts.number(u64::from(head.details));
            ends.push(facts.bytes.len());
        }
        Ok(TextFacts { bytes: facts.bytes, ends })
    }

    /// What every finding shows: one frame holds those of a package's advisories.
    fn short_text(&self, plan: &Plan<'_>, head: &Head, out: &mut Writer) -> Result<(), BuildError> {
        let rated = plan.rated(head);
        fn read<'a>(texts: &'a Spool, head: &Head, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], BuildError> {
            texts.read(head.text.start, head.text.length as usize, buffer).map_err(BuildError::Spool)
        }
        let (mut own, mut lent) = (Vec::new(), Vec::new());
        let own = ShortText::read(read(self.texts, head, &mut own)?).map_err(spoiled)?;
        let vector = match rated.id == head.id {
            true => own.vector,
            false => ShortText::read(read(self.texts, rated, &mut lent)?).map_err(spoiled)?.vector,
        };
        let is_rated = rated.level != portcullis_model::SeverityLevel::Unknown;
        out.text(own.title);
        out.optional_text(vector);
        out.optional_text(is_rated.then(|| self.ids.get(rated.id)));
        let aliases: Vec<&str> = plan.groups.aliases(head.id).map(|id| self.ids.get(id)).collect();
        out.texts(aliases.into_iter());
        out.bytes.extend_from_slice(own.rest);
        Ok(())
    }
}

/// What a package's record holds beside its key.
#[derive(Default)]
struct SaidOfPackage {
    /// Different lists of intervals, and the number of each.
    known: HashMap<Vec<u8>, u64>,
    intervals: Vec<u8>,
    entries: Writer,
    last: u32,
}

impl SaidOfPackage {
    fn add(&mut self, advisory: u32, entry: StoredEntry<'_>) {
        // Sorted, most numbers are near the one before.
        self.entries.number(u64::from(advisory - self.last));
        self.last = advisory;
        let number = match self.known.get(entry.intervals) {
            Some(&number) => number,
            None => {
                let number = self.known.len() as u64;
                self.known.insert(entry.intervals.to_owned(), number);
                self.intervals.extend_from_slice(entry.intervals);
                number
            }
        };
        self.entries.number(number);
        self.entries.bytes.extend_from_slice(entry.rest);
    }
}

/// Where each advisory's texts are, as its record holds it.
struct TextFacts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// What was put aside does not come back as it was.
fn spoiled(error: portcullis_model::LookupError) -> BuildError {
    BuildError::Spool(io::Error::other(error))
}

fn split_key(key: &str) -> (&str, &str) {
    key.split_once('\0').unwrap_or((key, ""))
}

/// The section of text blocks.
struct Blocks {
    compressors: Compressors,
    current: Vec<u8>,
    /// Blocks that were made.
    count: u64,
    /// Where each frame starts, and one past the last.
    starts: Vec<u64>,
}

impl Blocks {
    fn begin<W: Write + Seek>(compressors: Compressors, out: &mut Output<W>) -> Result<Self, BuildError> {
        out.begin(Section::TextBlocks).map_err(BuildError::Output)?;
        Ok(Self { compressors, current: Vec::new(), count: 0, starts: vec![0] })
    }

    fn end_block<W: Write + Seek>(&mut self, out: &mut Output<W>) -> Result<(), BuildError> {
        self.count += 1;
        let block = std::mem::take(&mut self.current);
        match self.compressors.send(block).map_err(BuildError::Compress)? {
            Some(frame) => self.write(&frame, out),
            None => Ok(()),
        }
    }

    fn write<W: Write + Seek>(&mut self, frame: &[u8], out: &mut Output<W>) -> Result<(), BuildError> {
        let start = self.starts.last().copied().unwrap_or_default();
        self.starts.push(start + frame.len() as u64);
        out.write(frame).map_err(BuildError::Output)
    }

    /// Writes what is still on its way, then the offsets.
    fn finish<W: Write + Seek>(mut self, short_blocks: u64, out: &mut Output<W>) -> Result<(), BuildError> {
        while let Some(frame) = self.compressors.receive().map_err(BuildError::Compress)? {
            self.write(&frame, out)?;
        }
        out.end(Section::TextBlocks);
        let numbers = std::iter::once(short_blocks).chain(self.starts);
        out.numbers(Section::TextOffsets, numbers.map(u64::to_le_bytes)).map_err(BuildError::Output)
    }
}
