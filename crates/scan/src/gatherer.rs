//! Gathers the facts of a layer, entry by entry, as it streams by.

use std::collections::HashMap;

use portcullis_filetree::{Contents, ContentsError, FileHeader, LayerVisitor, OtherEntry};
use portcullis_model::{Package, PathHash, Reading, Warning};
use portcullis_packages::{PackageReader, READERS, Scope, Selection};

use crate::{
    executables::{Executable, Hashing, is_executable},
    layer_facts::{Fact, LayerFacts, MAX_WARNINGS, exact},
    links::{LinkTargets, Links},
    symlinks::Symlink,
};

/// Most facts, executables and links of a layer kept. The largest real layer has some ten thousand.
const MAX_FACTS: usize = 500_000;

/// Most streams that read one file at a time, for its names: each of an archive holds some forty kilobytes.
const MAX_STREAMS: usize = 256;

/// Most bytes held of one file in one piece, whatever its reader asks.
const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// Most packages and owned paths of a layer kept, a package counted as [`PACKAGE_WEIGHT`] paths.
const MAX_WEIGHT: usize = 40_000_000;

/// The memory of a package without its texts, in owned paths.
const PACKAGE_WEIGHT: usize = 60;

/// Gathers the facts of a layer.
#[derive(Default)]
pub(crate) struct FactGatherer {
    facts: LayerFacts,
    links: Links,
    /// The facts of each path.
    by_path: HashMap<PathHash, Vec<usize>>,
    weight: usize,
    /// Warnings that readings hold.
    reading_warnings: usize,
    /// Entries seen.
    entries: u64,
    /// In a second pass: only these are read.
    targets: Option<LinkTargets>,
    buffer: Vec<u8>,
    options: GatherOptions,
    /// The executables of each path.
    executables: HashMap<PathHash, usize>,
    /// The symbolic links of each path.
    symlinks: HashMap<PathHash, Symlink>,
    /// The bytes that they take, or would.
    symlink_bytes: usize,
    /// Symbolic links that there was no room for.
    symlinks_left_out: u64,
    /// Files that there was no room for.
    overflow: u64,
}

/// What is gathered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GatherOptions {
    /// Whether lockfiles count.
    pub(crate) is_sources: bool,
    /// Whether executables are hashed.
    pub(crate) hashes_executables: bool,
    /// Whether archives that do not say what they are are known by their digests.
    pub(crate) hashes_archives: bool,
}

impl FactGatherer {
    pub(crate) fn new(options: GatherOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// A gatherer for a second pass, which reads the targets of hard links.
    pub(crate) fn looking_for(targets: LinkTargets, options: GatherOptions) -> Self {
        Self { targets: Some(targets), ..Self::new(options) }
    }

    /// The readers that count here.
    fn readers(&self) -> impl Iterator<Item = &'static dyn PackageReader> + use<> {
        let is_sources = self.options.is_sources;
        READERS.iter().copied().filter(move |reader| is_sources || reader.scope() == Scope::Installed)
    }

    /// The facts, and the hard links whose targets were not read.
    pub(crate) fn finish(self) -> (LayerFacts, Links) {
        let Self { mut facts, links, targets, symlinks, symlinks_left_out, overflow, .. } = self;
        facts.symlinks = symlinks.into_values().collect();
        facts.symlinks.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for (name, target) in targets.iter().flat_map(LinkTargets::unread) {
            let what = format!("a hard link was not read: this layer has no file {target}");
            facts.warn(Warning::gap(name, what));
        }
        if symlinks_left_out > 0 {
            let what =
                format!("{symlinks_left_out} more symbolic links of this layer are not followed to who owns what");
            facts.warn(Warning::note("", what));
        }
        if overflow > 0 {
            let what = format!("{overflow} more files were not recorded: a layer may have {MAX_FACTS}");
            facts.warnings.push(Warning::gap("", what));
        }
        (facts, links)
    }

    /// Reads a file under each of its `names`.
    fn read(
        &mut self,
        names: &[&str],
        file: &FileHeader<'_>,
        contents: &mut dyn Contents,
    ) -> Result<(), ContentsError> {
        let mut wanted = Vec::new();
        let (mut streams, mut left_out) = (0, 0_usize);
        for &path in names {
            let header = FileHeader { path, ..*file };
            let has_digests = self.options.hashes_archives;
            let select = |reader: &dyn PackageReader| match has_digests {
                true => reader.select_with_digests(&header),
                false => reader.select(&header),
            };
            for reader in self.readers() {
                let Some(selection) = select(reader) else { continue };
                let is_stream = matches!(selection, Selection::Stream(_));
                if is_stream && streams == MAX_STREAMS {
                    left_out += 1;
                    continue;
                }
                streams += usize::from(is_stream);
                wanted.push(Wanted { path, reader, selection });
            }
        }
        if left_out > 0 {
            let what = format!("{left_out} more hard links to this file are not read");
            self.facts.warn(Warning::gap(file.path, what));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if self.is_full() {
            self.overflow += 1;
            return Ok(());
        }
        let limit = wanted.iter().filter_map(|wanted| match &wanted.selection {
            Selection::Whole { limit } => Some((*limit).min(MAX_WHOLE)),
            Selection::Stream(_) => None,
        });
        let limit = limit.max();
        let outcome = pump(&mut wanted, limit, &mut self.buffer, contents);
        for Wanted { path, reader, selection } in wanted {
            let header = FileHeader { path, ..*file };
            let reading = match selection {
                // A stream that broke off gives what it had: the layer's own warning says that it broke off.
                Selection::Stream(stream) => stream.finish(),
                Selection::Whole { .. } if outcome.is_err() => Reading::default(),
                Selection::Whole { limit } if file.size > limit.min(MAX_WHOLE) as u64 => {
                    too_large(reader, &header, limit)
                }
                Selection::Whole { .. } => reader.read(&header, &self.buffer),
            };
            self.add(path, reader.name(), reading);
        }
        // One large file must not be held on to for the rest of the layer.
        self.buffer.clear();
        self.buffer.shrink_to(1 << 20);
        outcome
    }

    fn is_full(&self) -> bool {
        self.facts.facts.len() >= MAX_FACTS || self.weight > MAX_WEIGHT
    }

    fn add(&mut self, path: &str, reader: &'static str, mut reading: Reading) {
        // What a file's reader has to say counts as long as the file does: a later layer may remove it.
        let room = MAX_WARNINGS.saturating_sub(self.reading_warnings);
        if reading.warnings.len() > room {
            self.facts.warn(Warning::gap(path, format!("the files of a layer gave more than {MAX_WARNINGS} warnings")));
            reading.warnings.truncate(room);
        }
        self.reading_warnings += reading.warnings.len();
        let paths: usize = reading.owned.iter().map(|owned| owned.paths.len()).sum();
        let licensed = reading.licensed.iter().flat_map(|licensed| &licensed.licenses);
        let licensed: usize = licensed.map(|license| (size_of::<String>() + license.len()) / 8).sum();
        let maven = reading.maven.as_ref().map_or(0, |project| project.bytes());
        let others = (maven + reading.completion.as_ref().map_or(0, |completion| completion.bytes())) / 8;
        self.weight += paths + licensed + others + reading.packages.iter().map(weight).sum::<usize>();
        // Most files have one package, and a list that grows has room for four.
        reading.packages.shrink_to_fit();
        reading.warnings.shrink_to_fit();
        self.by_path.entry(exact(path)).or_default().push(self.facts.facts.len());
        self.facts.facts.push(Fact { path: path.to_owned(), reader, reading });
    }

    /// An entry stands where an earlier one of the same layer stood: of two, engines keep the later.
    fn replace(&mut self, path: &str, hash: PathHash) {
        self.links.remove(path);
        self.symlinks.remove(&hash);
        if let Some(executable) = self.executables.remove(&hash).and_then(|at| self.facts.executables.get_mut(at))
            && executable.path == path
        {
            executable.path.clear();
        }
        for index in self.by_path.remove(&hash).unwrap_or_default() {
            if let Some(fact) = self.facts.facts.get_mut(index)
                && fact.path == path
            {
                fact.reading = Reading::default();
            }
        }
    }

    fn add_executable(&mut self, hash: PathHash, executable: Executable) {
        if self.facts.executables.len() < MAX_FACTS {
            self.executables.insert(hash, self.facts.executables.len());
            self.facts.executables.push(executable);
        } else {
            self.overflow += 1;
        }
    }

    /// The executable at `path`.
    fn executable(&self, path: &str) -> Option<&Executable> {
        let known = self.executables.get(&exact(path)).and_then(|&index| self.facts.executables.get(index));
        known.filter(|known| known.path == path)
    }

    /// A second name of an executable is one, too.
    fn link_executable(&mut self, path: &str, target: &str) {
        if let Some(known) = self.executable(target) {
            let executable = Executable { path: path.to_owned(), is_link: true, ..known.clone() };
            self.add_executable(exact(path), executable);
        }
    }

    /// A second name of a file: what is known of the file is known of it under this name too.
    fn link(&mut self, path: &str, target: &str) {
        // The contents are the target's, and may have passed by: a name is all there is to choose by.
        let header = FileHeader { path, size: 1 << 20, mode: 0o755, head: &[] };
        let program = FileHeader { head: b"\x7fELF", ..header };
        // Who knows programs by their names did not look into this one, if it is called otherwise.
        let is_executable = self.executable(target).is_some();
        let target_program = FileHeader { path: target, ..program };
        let is_by_name = |reader: &&dyn PackageReader| {
            let is_renamed = || reader.select(&program).is_some() && reader.select(&target_program).is_none();
            reader.select(&header).is_some() || is_executable && is_renamed()
        };
        let by_name: Vec<&dyn PackageReader> = self.readers().filter(is_by_name).collect();
        let is_by_name = |fact: &Fact| by_name.iter().any(|reader| reader.name() == fact.reader);
        let known = self.by_path.get(&exact(target)).map_or(&[][..], Vec::as_slice);
        let known: Vec<&Fact> =
            known.iter().filter_map(|&index| self.facts.facts.get(index)).filter(|fact| fact.path == target).collect();
        let parts = by_name.iter().map(|reader| reader.path_parts()).max().unwrap_or_default();
        let is_known = last_parts(path, parts) == last_parts(target, parts)
            && by_name.iter().all(|reader| known.iter().any(|fact| fact.reader == reader.name()));
        let copies: Vec<(&'static str, Reading)> = known
            .into_iter()
            .filter(|fact| is_known || !is_by_name(fact))
            .filter(|fact| self.readers().any(|r| r.name() == fact.reader && r.select(&program).is_some()))
            .map(|fact| (fact.reader, fact.reading.clone()))
            .collect();
        for (reader, reading) in copies {
            if self.is_full() {
                self.overflow += 1;
            } else {
                self.add(path, reader, reading);
            }
        }
        if !by_name.is_empty() {
            if self.links.len() < MAX_FACTS {
                self.links.insert(path, target, self.entries, is_known);
            } else if !is_known {
                self.overflow += 1;
            }
        }
    }
}

/// The memory of a package, in owned paths: eight bytes each.
fn weight(package: &Package) -> usize {
    let Package { name, version, purl, vendor, licenses, depends_on, cpe, evidence, .. } = package;
    let vendor: usize = [vendor, cpe, evidence].into_iter().flatten().map(String::len).sum();
    let lists = licenses.iter().chain(depends_on).map(|text| size_of::<String>() + text.len());
    PACKAGE_WEIGHT + (name.len() + version.len() + purl.len() + vendor + lists.sum::<usize>()) / 8
}

/// The last parts of a path.
fn last_parts(path: &str, parts: usize) -> &str {
    let Some(before) = parts.checked_sub(1) else { return "" };
    path.rmatch_indices('/').nth(before).map_or(path, |(at, _)| &path[at + 1..])
}

/// A reader that wants a file under one of its names.
struct Wanted<'a> {
    path: &'a str,
    reader: &'static dyn PackageReader,
    selection: Selection,
}

/// Hands the contents to every stream, and keeps them for those who want them whole.
fn pump(
    wanted: &mut [Wanted<'_>],
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
        for (wanted, open) in wanted.iter_mut().zip(&mut is_open) {
            if let Selection::Stream(stream) = &mut wanted.selection
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
        self.entries += 1;
        if let Some(targets) = &mut self.targets {
            let names = targets.names(file.path, self.entries);
            names.iter().for_each(|name| self.replace(name, exact(name)));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return self.read(&names, file, contents);
        }
        let hash = exact(file.path);
        self.replace(file.path, hash);
        self.facts.others.push(hash);
        if !is_executable(file) {
            return self.read(&[file.path], file, contents);
        }
        let (path, size, mode) = (file.path.to_owned(), file.size, file.mode);
        let mut executable = Executable { path, size, mode, digest: None, is_link: false };
        let outcome = if self.options.hashes_executables {
            let mut contents = Hashing::new(contents);
            let outcome = self.read(&[file.path], file, &mut contents);
            outcome.and_then(|()| contents.finish()).map(|digest| executable.digest = Some(digest))
        } else {
            self.read(&[file.path], file, contents)
        };
        self.add_executable(hash, executable);
        outcome
    }

    fn other(&mut self, path: &str, entry: OtherEntry<'_>) {
        self.entries += 1;
        if self.targets.is_some() {
            return;
        }
        let hash = exact(path);
        match entry {
            OtherEntry::Removed => return self.facts.removed.push(hash),
            OtherEntry::Opaque if path.is_empty() => return self.facts.is_root_opaque = true,
            OtherEntry::Opaque => return self.facts.opaque.push(hash),
            OtherEntry::Directory => self.facts.directories.push(hash),
            OtherEntry::Symlink(_) | OtherEntry::Special | OtherEntry::HardLink(_) => self.facts.others.push(hash),
        }
        match entry {
            // A link to itself changes nothing.
            OtherEntry::HardLink(target) if target == path => {}
            OtherEntry::HardLink(target) => {
                self.replace(path, hash);
                self.link(path, target);
                self.link_executable(path, target);
            }
            OtherEntry::Symlink(target) => {
                self.replace(path, hash);
                match Symlink::within(path, target, &mut self.symlink_bytes) {
                    Some(link) => _ = self.symlinks.insert(hash, link),
                    None => self.symlinks_left_out += 1,
                }
            }
            _ => self.replace(path, hash),
        }
    }

    fn warning(&mut self, warning: Warning) {
        self.facts.warn(warning);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::{Awaited, Completion, MavenProject};

    use super::*;

    fn weight_of(reading: Reading) -> usize {
        let mut gatherer = FactGatherer::default();
        gatherer.add("a", "any", reading);
        gatherer.weight
    }

    #[test]
    fn links_without_room_are_told() {
        let mut gatherer = FactGatherer::default();
        let target = "t".repeat(1000);
        (0..9000).for_each(|link| gatherer.other(&format!("l{link}"), OtherEntry::Symlink(&target)));
        let (facts, _) = gatherer.finish();
        let kept = facts.symlinks.len();
        assert!((7000..8400).contains(&kept), "{kept}");
        assert!(facts.warnings[0].message.starts_with(&format!("{} more symbolic links", 9000 - kept)));
    }

    #[test]
    fn what_is_left_to_other_files_has_a_weight() {
        let settled = vec![String::new(); 800];
        let needed = Completion::Needed { by: String::new(), settled, note: String::new(), gap: String::new() };
        let needed = Reading { completion: Some(Box::new(needed)), ..Reading::default() };
        assert!(weight_of(needed) >= 100 * size_of::<String>());
        let files = vec![String::new(); 800];
        let awaited = Awaited { files, is_above: true, is_gap: true, message: String::new() };
        let completion = Some(Box::new(Completion::Awaited(vec![awaited])));
        assert!(weight_of(Reading { completion, ..Reading::default() }) >= 100 * size_of::<String>());
        let project = MavenProject { open: vec![Default::default(); 800], ..MavenProject::default() };
        let project = Reading { maven: Some(Box::new(project)), ..Reading::default() };
        assert!(weight_of(project) >= 100 * size_of::<portcullis_model::MavenDependency>());
    }
}
