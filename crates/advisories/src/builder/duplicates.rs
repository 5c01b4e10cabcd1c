//! Ids that several records have. The one that was changed last counts; what another says of ecosystems that it does
//! not name is kept, since sources of one vulnerability may each speak of their own releases.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
};

use portcullis_model::Warning;

use super::{
    names::Names,
    record::{Encoded, Head, Piece, Rank},
    spool::Spool,
};

/// Ids named in a note.
const NAMED: usize = 3;

/// Records that came after another of the same id, and are not the same.
#[derive(Default)]
pub(super) struct Duplicates {
    /// Records by what they share their id with, and by rank.
    others: BTreeMap<u32, BTreeMap<Rank, Head>>,
    /// How many there were, equal ones among them.
    pub(super) count: u64,
    sources: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Head {
    /// Whether a record says the same as this one.
    pub(super) fn is_same(&self, other: &Encoded) -> bool {
        self.fingerprint == other.fingerprint && self.modified == other.modified
    }
}

impl Duplicates {
    /// A number for the name of a source.
    pub(super) fn source(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.sources.len() as u32;
        self.sources.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Adds a record with the id of another one, whose number is given.
    pub(super) fn add(&mut self, head: Head, number: u32) {
        self.count += 1;
        self.others.entry(number).or_default().entry(head.rank()).or_insert(head);
    }

    /// Makes one record of all that share an id; says of which sources that was.
    pub(super) fn settle(
        &mut self,
        heads: &mut [Head],
        entries: &mut Spool,
        packages: &Names,
        ids: &Names,
    ) -> io::Result<Vec<Warning>> {
        let mut notes: BTreeMap<(u32, u32), BTreeSet<&str>> = BTreeMap::new();
        for (number, others) in std::mem::take(&mut self.others) {
            let Some(first) = heads.get_mut(number as usize) else { continue };
            let mut all: Vec<Head> = others.into_values().collect();
            let id = ids.get(first.id);
            all.push(*first);
            all.sort_by_key(|head| std::cmp::Reverse(head.rank()));
            for other in all.iter().skip(1) {
                notes.entry((all[0].source, other.source)).or_default().insert(id);
            }
            *first = merged(all, entries, packages)?;
        }
        Ok(notes.into_iter().map(|((winner, other), ids)| self.note(winner, other, &ids)).collect())
    }

    fn note(&self, winner: u32, other: u32, ids: &BTreeSet<&str>) -> Warning {
        let name = |number: u32| self.sources.get(number as usize).map_or("", String::as_str);
        let named: Vec<&str> = ids.iter().copied().take(NAMED).collect();
        let what = format!(
            "{} of its ids have a record in {}, too, which was changed later or says more, and counts; such as {}. Of \
             these here, what they say of ecosystems that those there do not name is kept",
            ids.len(),
            name(winner),
            named.join(", ")
        );
        Warning::note(name(other), what)
    }
}

/// The first record, with what the others say of ecosystems that those before them do not name.
fn merged(all: Vec<Head>, entries: &mut Spool, packages: &Names) -> io::Result<Head> {
    let ecosystem = |package: u32| packages.get(package).split('\0').next().unwrap_or_default();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    // Package and bytes of each entry.
    let mut kept: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut buffer = Vec::new();
    for head in &all {
        let bytes = entries.read(head.entries.start, head.entries.length as usize, &mut buffer)?;
        let mut new = BTreeSet::new();
        for (package, entry) in split(bytes) {
            if !named.contains(ecosystem(package)) {
                new.insert(ecosystem(package));
                kept.push((package, entry.to_owned()));
            }
        }
        named.extend(new);
    }
    // As they stand in a record that names them all.
    kept.sort_by(|a, b| packages.bytes(a.0).cmp(packages.bytes(b.0)));
    let mut bytes = Vec::new();
    for (package, entry) in &kept {
        bytes.extend_from_slice(&package.to_le_bytes());
        bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        bytes.extend_from_slice(entry);
    }
    let Some(mut head) = all.into_iter().next() else { return Err(io::ErrorKind::NotFound.into()) };
    head.first_package = kept.first().map_or(0, |(package, _)| *package);
    head.packages = kept.len() as u32;
    head.entries = Piece { start: entries.add(&[&bytes])?, length: bytes.len() as u32 };
    Ok(head)
}

/// The entries of one record: each with its package.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (&package, rest) = bytes.split_first_chunk()?;
        let (&length, rest) = rest.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
        bytes = rest;
        Some((u32::from_le_bytes(package), entry))
    })
}
