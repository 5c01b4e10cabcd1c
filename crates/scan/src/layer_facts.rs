//! What one layer says, independent of the layers below it.

use std::collections::BTreeMap;

use portcullis_filetree::{Contents, ContentsError, FileHeader, LayerVisitor, OtherEntry};
use portcullis_model::{PathHash, Reading, Warning};
use portcullis_packages::{PackageReader, READERS, Selection};

/// Most facts, executables and warnings of a layer kept. The largest real layer has some ten thousand.
const MAX_FACTS: usize = 500_000;

/// Most bytes held of one file in one piece, whatever its reader asks.
const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// Paths of one chunk of [`Paths`].
const CHUNK: usize = 64 * 1024;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) path: String,
    pub(crate) reading: Reading,
}

/// Executable content.
#[derive(Debug)]
pub(crate) struct Executable {
    pub(crate) path: String,
    pub(crate) size: u64,
}

/// The facts of a layer.
#[derive(Debug, Default)]
pub(crate) struct LayerFacts {
    pub(crate) facts: Vec<Fact>,
    pub(crate) executables: Vec<Executable>,
    pub(crate) removed: Vec<String>,
    pub(crate) opaque: Vec<String>,
    /// Entries that are no directories: they hide what lower layers have at and below their path.
    pub(crate) others: Paths,
    /// Directories: they hide what lower layers have *at* their path, if that is no directory.
    pub(crate) directories: Paths,
    pub(crate) warnings: Vec<Warning>,
    overflow: u64,
}

/// Hashes of paths, eight bytes each, in chunks that never move: a vector that doubles would need three times that.
#[derive(Debug, Default)]
pub(crate) struct Paths(Vec<Vec<PathHash>>);

impl Paths {
    fn push(&mut self, hash: PathHash) {
        match self.0.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(hash),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(hash);
                self.0.push(chunk);
            }
            None => self.0.push(vec![hash]),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PathHash> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// The exact hash of a path, without the merging of `/usr` that ownership needs.
pub(crate) fn exact(path: &str) -> PathHash {
    // A leading part that no path has keeps `lib/x` and `usr/lib/x` apart.
    let mut hash = PathHash::of(path).0;
    if path.starts_with("usr/") {
        hash = hash.rotate_left(17) ^ 0x5bd1_e995_9d1b_54a5;
    }
    PathHash(hash)
}

/// A hard link whose target must be read under the link's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    target: String,
    path: String,
}

/// For each target of a link, the names under which it is wanted.
#[derive(Debug, Default)]
pub(crate) struct LinkTargets(BTreeMap<String, Vec<String>>);

impl LinkTargets {
    pub(crate) fn of(links: &[Link]) -> Self {
        let mut targets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Link { target, path } in links {
            targets.entry(target.clone()).or_default().push(path.clone());
        }
        Self(targets)
    }
}

/// Gathers the facts of a layer.
#[derive(Default)]
pub(crate) struct FactGatherer {
    facts: LayerFacts,
    links: Vec<Link>,
    /// In a second pass: only these are read.
    targets: Option<LinkTargets>,
    buffer: Vec<u8>,
}

impl FactGatherer {
    /// A gatherer for a second pass, which reads the targets of hard links.
    pub(crate) fn looking_for(targets: LinkTargets) -> Self {
        Self { targets: Some(targets), ..Self::default() }
    }

    /// The facts, and the hard links whose targets were not read.
    pub(crate) fn finish(self) -> (LayerFacts, Vec<Link>) {
        let Self { mut facts, mut links, .. } = self;
        if facts.overflow > 0 {
            let what = format!("{} more files were not recorded: a layer may have {MAX_FACTS}", facts.overflow);
            facts.warnings.push(Warning::gap("", what));
        }
        links.sort();
        (facts, links)
    }

    fn read(&mut self, file: &FileHeader<'_>, contents: &mut dyn Contents) -> Result<(), ContentsError> {
        let mut wanted = READERS.iter().filter_map(|reader| Some((*reader, reader.select(file)?))).collect::<Vec<_>>();
        if wanted.is_empty() {
            return Ok(());
        }
        if self.facts.facts.len() >= MAX_FACTS {
            self.facts.overflow += 1;
            return Ok(());
        }
        let limit = wanted.iter().filter_map(|(_, selection)| match selection {
            Selection::Whole { limit } => Some((*limit).min(MAX_WHOLE)),
            Selection::Stream(_) => None,
        });
        let limit = limit.max();
        let outcome = pump(&mut wanted, limit, &mut self.buffer, contents);
        for (reader, selection) in wanted {
            let mut reading = match selection {
                // A stream that broke off gives what it had: the layer's own warning says that it broke off.
                Selection::Stream(stream) => stream.finish(),
                Selection::Whole { .. } if outcome.is_err() => Reading::default(),
                Selection::Whole { limit } if file.size > limit.min(MAX_WHOLE) as u64 => too_large(reader, file, limit),
                Selection::Whole { .. } => reader.read(file, &self.buffer),
            };
            self.facts.warnings.append(&mut reading.warnings);
            self.facts.facts.push(Fact { path: file.path.to_owned(), reading });
        }
        // One large file must not be held on to for the rest of the layer.
        self.buffer.clear();
        self.buffer.shrink_to(1 << 20);
        outcome
    }
}

/// Hands the contents to every stream, and keeps them for those who want them whole.
fn pump(
    wanted: &mut [(&dyn PackageReader, Selection)],
    limit: Option<usize>,
    buffer: &mut Vec<u8>,
    contents: &mut dyn Contents,
) -> Result<(), ContentsError> {
    buffer.clear();
    let mut is_open = vec![true; wanted.len()];
    loop {
        let piece = contents.next_piece()?;
        if piece.is_empty() {
            return Ok(());
        }
        let mut goes_on = false;
        for ((_, selection), open) in wanted.iter_mut().zip(&mut is_open) {
            if let Selection::Stream(stream) = selection
                && *open
            {
                *open = stream.feed(piece);
                goes_on |= *open;
            }
        }
        if let Some(limit) = limit
            && buffer.len() <= limit
        {
            let room = limit + 1 - buffer.len();
            buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            goes_on |= buffer.len() <= limit;
        }
        if !goes_on {
            return Ok(());
        }
    }
}

fn too_large(reader: &dyn PackageReader, file: &FileHeader<'_>, limit: usize) -> Reading {
    let what = format!("{} does not read a file of {} bytes (limit {limit})", reader.name(), file.size);
    Reading { warnings: vec![Warning::gap(file.path, what)], ..Reading::default() }
}

impl LayerVisitor for FactGatherer {
    fn file(&mut self, file: &FileHeader<'_>, contents: &mut dyn Contents) -> Result<(), ContentsError> {
        if let Some(targets) = &mut self.targets {
            let Some(names) = targets.0.remove(file.path) else { return Ok(()) };
            let mut outcome = Ok(());
            // Each name is read by its own readers; a body can be read once, so the first name takes it.
            if let Some(name) = names.first() {
                outcome = self.read(&FileHeader { path: name, ..*file }, contents);
            }
            let read = self.facts.facts.iter().rposition(|fact| Some(&fact.path) == names.first());
            for name in names.iter().skip(1) {
                if let Some(fact) = read.and_then(|at| self.facts.facts.get(at)) {
                    let mut reading = fact.reading.clone();
                    reading.packages.iter_mut().flat_map(|package| &mut package.locations).for_each(|location| {
                        location.path.clone_from(name);
                    });
                    self.facts.facts.push(Fact { path: name.clone(), reading });
                }
            }
            return outcome;
        }
        self.facts.others.push(exact(file.path));
        if is_executable(file) {
            if self.facts.executables.len() < MAX_FACTS {
                self.facts.executables.push(Executable { path: file.path.to_owned(), size: file.size });
            } else {
                self.facts.overflow += 1;
            }
        }
        self.read(file, contents)
    }

    fn other(&mut self, path: &str, entry: OtherEntry<'_>) {
        if self.targets.is_some() {
            return;
        }
        match entry {
            OtherEntry::Directory => self.facts.directories.push(exact(path)),
            OtherEntry::Removed => self.facts.removed.push(path.to_owned()),
            OtherEntry::Opaque => self.facts.opaque.push(path.to_owned()),
            OtherEntry::Symlink(_) | OtherEntry::Special => self.facts.others.push(exact(path)),
            OtherEntry::HardLink(target) => {
                self.facts.others.push(exact(path));
                // Would any reader want a file of this name? The contents decide, and they are the target's.
                let header = FileHeader { path, size: 1 << 20, mode: 0o755, head: &[] };
                let wanted = READERS.iter().any(|reader| reader.select(&header).is_some());
                let known = self.facts.facts.iter().any(|fact| fact.path == target);
                if wanted && !known && self.links.len() < MAX_FACTS {
                    self.links.push(Link { target: target.to_owned(), path: path.to_owned() });
                }
            }
        }
    }

    fn warning(&mut self, warning: Warning) {
        if self.facts.warnings.len() < MAX_FACTS {
            self.facts.warnings.push(warning);
        }
    }
}

/// ELF objects, and scripts that may be run.
fn is_executable(file: &FileHeader<'_>) -> bool {
    file.head.starts_with(b"\x7fELF") || file.is_executable() && file.head.starts_with(b"#!")
}

impl LayerFacts {
    /// Adds what a second pass has read.
    pub(crate) fn add_links(&mut self, second: Self) {
        self.facts.extend(second.facts);
        self.warnings.extend(second.warnings);
    }
}
