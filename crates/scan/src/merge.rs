//! From the facts of each layer to what the image holds: what a later layer hides is gone, and each package belongs
//! to the layer that brought it.

use std::collections::{BTreeMap, HashMap, HashSet};

use portcullis_model::{
    Coverage, Digest, Distribution, ExecutableFile, Licensed, Location, Package, PackageType, PathHash, Reading,
    Warning,
};

use serde::{Deserialize, Serialize};

use crate::{
    completions, coverage, dependencies,
    executables::Executable,
    layer_facts::{Fact, LayerFacts, Paths, exact},
    owners,
    packages::Packages,
    symlinks::{Standing, Symlink, Symlinks},
};

/// An image's inventory. It is kept in the layer cache.
#[derive(Serialize, Deserialize)]
pub(crate) struct Merged {
    pub(crate) packages: Vec<Package>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) distribution: Option<Distribution>,
    pub(crate) coverage: Coverage,
    /// Those that were hashed.
    pub(crate) executables: Vec<ExecutableFile>,
}

/// What each layer has at a path, lowest first.
type History<T = Vec<Reading>> = Vec<(usize, T)>;

/// Lays the layers over one another, lowest first.
pub(crate) fn merge(mut layers: Vec<LayerFacts>, diff_ids: &[Option<Digest>]) -> Merged {
    let interesting = interesting(&layers);
    let hides: Vec<Hidden> = layers.iter_mut().map(|layer| Hidden::of(layer, &interesting)).collect();
    let mut warnings: Vec<Warning> = layers.iter_mut().flat_map(|layer| std::mem::take(&mut layer.warnings)).collect();
    let mut histories: BTreeMap<String, History> = BTreeMap::new();
    let mut executables: BTreeMap<String, (usize, Executable)> = BTreeMap::new();
    let mut symlinks: BTreeMap<String, History<String>> = BTreeMap::new();
    for (index, layer) in layers.into_iter().enumerate() {
        let is_gone = |path: &str| hides[index + 1..].iter().any(|above| above.hides(path));
        for mut executable in layer.executables {
            if !executable.path.is_empty() && !is_gone(&executable.path) {
                executables.insert(std::mem::take(&mut executable.path), (index, executable));
            }
        }
        for Symlink { path, target } in layer.symlinks {
            symlinks.entry(path).or_default().push((index, target));
        }
        // A path's history ends where something that is not the file itself took its place.
        for Fact { path, reading, .. } in layer.facts {
            let history = histories.entry(path).or_default();
            match history.last_mut() {
                // Several readers of one file.
                Some((layer, readings)) if *layer == index => readings.push(reading),
                _ => history.push((index, vec![reading])),
            }
        }
    }
    let survivors = histories.into_iter().filter_map(|(path, history)| Survivor::of(path, history, &hides));
    let mut survivors: Vec<Survivor> = survivors.collect();
    completions::settle(survivors.iter_mut().map(|survivor| (survivor.path.as_str(), &mut survivor.current)));
    complete_projects(&mut survivors);
    let readings = survivors.iter_mut().flat_map(|survivor| &mut survivor.current);
    warnings.extend(readings.flat_map(|reading| std::mem::take(&mut reading.warnings)));
    warnings.extend(leave_to_databases(&mut survivors));
    let distribution = distribution(&survivors);
    let symlinks = Symlinks::of(&standing_links(symlinks, &hides));
    if symlinks.is_cut {
        let what = "too many symbolic links: not all are followed to who owns what";
        warnings.push(Warning::note("", what));
    }
    let lists = survivors.iter().map(|survivor| (survivor.path.as_str(), survivor.top, survivor.current.as_slice()));
    let owners = owners::find(lists, executables.keys().map(String::as_str), &symlinks, &brought(&survivors));
    let mut packages = Packages::default();
    for survivor in &mut survivors {
        let owner = owners.get(&PathHash::of(&survivor.path));
        survivor.take_packages(diff_ids, |package, brought| {
            // A file that came after its owner, or after the list that names it, is not what the owner installed.
            let owner = owner.filter(|owner| brought <= owner.recorded && owner.kind.is_operating_system());
            let owner = owner.map(|owner| owner.name.as_str()).filter(|_| !package.kind.is_operating_system());
            packages.add(package, distribution.as_ref(), owner);
        });
    }
    let mut packages = packages.finish();
    name_licenses(&mut packages, &survivors);
    // What is left of the files is their names.
    let partial = partial(survivors);
    for package in &mut packages {
        package.locations.sort();
        package.locations.dedup();
    }
    packages.sort_unstable();
    warnings.extend(dependencies::resolve(&mut packages));
    if let Some(distribution) = &distribution
        && !packages.iter().any(|package| package.kind.is_operating_system())
    {
        let what =
            format!("none of its packages was found: their list was removed, or is not read ({})", distribution.id);
        warnings.push(Warning::gap("etc/os-release", what));
    }
    let known = coverage::Known::of(&packages, &owners, &partial);
    warnings.extend(unexplained(&partial, &known));
    warnings.sort();
    warnings.dedup();
    let (coverage, executables) = known.measure(executables, diff_ids);
    Merged { packages, warnings, distribution, coverage, executables }
}

/// The layer that brought each package of the distribution; of several of one name the last.
fn brought(survivors: &[Survivor]) -> HashMap<(PackageType, &str), usize> {
    let is_systems = |package: &Package| package.kind.is_operating_system();
    let mut all = HashMap::new();
    let lists = survivors.iter().filter(|survivor| survivor.packages().any(is_systems));
    for (package, layer) in lists.flat_map(|survivor| survivor.packages().zip(survivor.brought())) {
        let last = all.entry((package.kind, package.name.as_str())).or_insert(layer);
        *last = layer.max(*last);
    }
    all
}

/// What files of one project say together.
fn complete_projects(survivors: &mut [Survivor]) {
    let mut readings: Vec<(&str, &mut Reading)> = survivors
        .iter_mut()
        .flat_map(|Survivor { path, current, .. }| current.iter_mut().map(|reading| (path.as_str(), reading)))
        .filter(|(_, reading)| reading.maven.is_some())
        .collect();
    portcullis_packages::complete_maven(&mut readings);
}

/// The files whose packages are only some of those in them, each with the reason.
fn partial(survivors: Vec<Survivor>) -> BTreeMap<String, String> {
    let partial = survivors.into_iter().filter_map(|survivor| {
        let why = survivor.current.into_iter().find_map(|reading| reading.partial)?;
        Some((survivor.path, why))
    });
    partial.collect()
}

/// One note for each reason: hundreds of files can have the same. What a known package brought is that package's.
fn unexplained(partial: &BTreeMap<String, String>, known: &coverage::Known<'_>) -> Vec<Warning> {
    let mut by_reason: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (path, why) in partial.iter().filter(|(path, _)| !known.explains(path)) {
        by_reason.entry(why).or_insert((path, 0)).1 += 1;
    }
    let notes = by_reason.into_iter().map(|(why, (path, files))| match files {
        1 => Warning::note(path, why),
        2 => Warning::note(path, format!("{why} (the same holds for 1 more file)")),
        _ => Warning::note(path, format!("{why} (the same holds for {} more files)", files - 1)),
    });
    notes.collect()
}

/// Every path that may have to be asked about, and its ancestors.
fn interesting(layers: &[LayerFacts]) -> HashSet<PathHash> {
    let facts = layers.iter().flat_map(|layer| layer.facts.iter().map(|fact| fact.path.as_str()));
    let executables = layers.iter().flat_map(|layer| layer.executables.iter().map(|file| file.path.as_str()));
    let symlinks = layers.iter().flat_map(|layer| layer.symlinks.iter().map(|link| link.path.as_str()));
    let mut hashes = HashSet::new();
    for path in facts.chain(executables).chain(symlinks) {
        hashes.insert(exact(path));
        // Once a directory is known, so are those above it.
        let _known = ancestors(path).all(|ancestor| hashes.insert(exact(ancestor)));
    }
    hashes
}

/// The directories that a path lies in, the nearest first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
}

/// What one layer hides of those below it.
struct Hidden {
    /// Whatever lies at these paths, or below them.
    trees: HashSet<PathHash>,
    /// Whatever lies below these paths.
    below: HashSet<PathHash>,
    /// What lies at these paths, if it is no directory.
    at: HashSet<PathHash>,
    /// The whole image.
    everything: bool,
}

impl Hidden {
    fn of(layer: &mut LayerFacts, interesting: &HashSet<PathHash>) -> Self {
        let others = std::mem::take(&mut layer.others);
        let directories = std::mem::take(&mut layer.directories);
        let removed = std::mem::take(&mut layer.removed);
        let opaque = std::mem::take(&mut layer.opaque);
        let that_matter = |paths: Paths| paths.iter().filter(|hash| interesting.contains(hash)).collect::<HashSet<_>>();
        let mut trees = that_matter(others);
        trees.extend(that_matter(removed));
        Self { trees, below: that_matter(opaque), at: that_matter(directories), everything: layer.is_root_opaque }
    }

    fn hides(&self, path: &str) -> bool {
        let own = exact(path);
        self.everything || self.trees.contains(&own) || self.at.contains(&own) || self.hides_ancestor(path)
    }

    /// Whether the place of the file is gone, apart from the file itself.
    fn hides_ancestor(&self, path: &str) -> bool {
        self.everything
            || ancestors(path).map(exact).any(|hash| self.trees.contains(&hash) || self.below.contains(&hash))
    }
}

/// A file that the image holds, with what earlier layers had in its place.
struct Survivor {
    path: String,
    /// The layer and the readings of what the image holds.
    top: usize,
    current: Vec<Reading>,
    /// Layers and readings of what lay just below it, one below the other.
    below: History,
}

/// What the image holds at a path, with its layer, and what lay just below it, one below the other.
fn standing<T>(path: &str, mut history: History<T>, hides: &[Hidden]) -> Option<(usize, T, History<T>)> {
    let (top, current) = history.pop()?;
    if hides[top + 1..].iter().any(|above| above.hides(path)) {
        return None;
    }
    let mut above = top;
    let mut below = History::new();
    for (layer, found) in history.into_iter().rev() {
        // Removed between the two, or its directory replaced in the upper one's own layer: a new file. In
        // the upper layer itself the file stands at the path, so only its directory is asked about.
        if hides[layer + 1..above].iter().any(|between| between.hides(path)) || hides[above].hides_ancestor(path) {
            break;
        }
        above = layer;
        below.push((layer, found));
    }
    Some((top, current, below))
}

/// The symbolic links that the image holds, each with the layer that brought it as it is.
fn standing_links(symlinks: BTreeMap<String, History<String>>, hides: &[Hidden]) -> BTreeMap<String, Standing> {
    let links = symlinks.into_iter().filter_map(|(path, history)| {
        let (top, target, below) = standing(&path, history, hides)?;
        let same = below.iter().take_while(|(_, lower)| *lower == target);
        let brought = same.last().map_or(top, |(layer, _)| *layer);
        Some((path, Standing { target, brought }))
    });
    links.collect()
}

impl Survivor {
    fn of(path: String, history: History, hides: &[Hidden]) -> Option<Self> {
        let (top, current, below) = standing(&path, history, hides)?;
        Some(Self { path, top, current, below })
    }

    fn packages(&self) -> impl Iterator<Item = &Package> {
        self.current.iter().flat_map(|reading| &reading.packages)
    }

    /// The layers that brought its packages, one for each.
    fn brought(&self) -> Vec<usize> {
        let Self { path, top, below, .. } = self;
        let mut lower: Vec<(usize, HashSet<Same<'_>>)> = Vec::with_capacity(below.len());
        for (layer, readings) in below {
            let packages = readings.iter().flat_map(|reading| &reading.packages);
            lower.push((*layer, packages.map(|package| same(package, path)).collect()));
        }
        let brought = self.packages().map(|package| {
            let is_there = |(_, packages): &&(usize, HashSet<Same<'_>>)| packages.contains(&same(package, path));
            // From the top down, for as long as the package is there.
            lower.iter().take_while(is_there).last().map_or(*top, |(layer, _)| *layer)
        });
        brought.collect()
    }

    /// Gives its packages away, each with the layer that brought it. They are not kept twice.
    fn take_packages(&mut self, diff_ids: &[Option<Digest>], mut take: impl FnMut(Package, usize)) {
        let brought = self.brought();
        let Self { path, current, below, .. } = self;
        let packages = current.iter_mut().flat_map(|reading| std::mem::take(&mut reading.packages));
        for (mut package, brought) in packages.zip(brought) {
            let layer = diff_ids.get(brought).copied().flatten();
            let location = Location { path: format!("{path}{}", inner(&package, path)), layer };
            package.locations = vec![location];
            take(package, brought);
        }
        below.clear();
        below.shrink_to_fit();
    }
}

/// What makes a package of a file the one that an earlier layer's file had.
type Same<'a> = (PackageType, &'a str, &'a str, Option<&'a str>, &'a str);

fn same<'a>(package: &'a Package, path: &str) -> Same<'a> {
    let Package { kind, name, version, architecture, .. } = package;
    (*kind, name, version, architecture.as_deref(), inner(package, path))
}

/// Where in the archive `path` a package lies: `!/…`, or nothing for the file itself.
fn inner<'a>(package: &'a Package, path: &str) -> &'a str {
    let place = package.locations.first().and_then(|location| location.path.strip_prefix(path));
    place.filter(|rest| rest.starts_with("!/")).unwrap_or("")
}

/// `etc/os-release` comes before `usr/lib/os-release`, as the paths are sorted. Of bills of materials those are left that
/// count.
fn distribution(survivors: &[Survivor]) -> Option<Distribution> {
    let mut readings = survivors.iter().flat_map(|survivor| &survivor.current);
    readings.find_map(|reading| reading.distribution.as_deref().cloned())
}

/// Packages of a distribution that bills of materials name count only where nothing else says which distribution it is,
/// nor what of it is there: a bill is no proof that the list is whole. One bill counts, and those of the same release;
/// what the others name is a gap.
fn leave_to_databases(survivors: &mut [Survivor]) -> Vec<Warning> {
    let is_of_database = |package: &Package| package.kind.is_operating_system() && !is_of_bill(package);
    let readings = || survivors.iter().flat_map(|survivor| &survivor.current);
    let is_known = |reading: &Reading| match reading.packages.as_slice() {
        [] => reading.distribution.is_some(),
        packages => packages.iter().any(is_of_database),
    };
    let has_known = readings().any(is_known);
    let release = |reading: &Reading| {
        let distribution = reading.distribution.as_deref()?;
        Some((distribution.id.clone(), distribution.version_id.clone()))
    };
    let told = readings().find_map(release).filter(|_| !has_known);
    let mut warnings = Vec::new();
    for Survivor { path, current, .. } in survivors {
        for reading in current.iter_mut().filter(|reading| reading.packages.iter().any(is_of_bill)) {
            if told.is_some() && release(reading) == told {
                continue;
            }
            if !has_known {
                let which = if reading.distribution.is_none() { "names no release" } else { "names another release" };
                let what = format!("packages of a distribution do not count: this bill of materials {which}");
                warnings.push(Warning::gap(path.as_str(), what));
            }
            reading.packages.retain(|package| !is_of_bill(package));
            reading.distribution = None;
        }
    }
    warnings
}

/// Whether a bill of materials names this package of a distribution, and no database.
pub(crate) fn is_of_bill(package: &Package) -> bool {
    package.kind.is_operating_system() && package.evidence.as_deref() == Some(portcullis_packages::OF_SBOM)
}

/// A package whose own record names no licence has those that another file names for it.
fn name_licenses(packages: &mut [Package], survivors: &[Survivor]) {
    let readings = survivors.iter().flat_map(|survivor| &survivor.current);
    let licensed: HashMap<(PackageType, &str), &Licensed> = readings
        .flat_map(|reading| &reading.licensed)
        .map(|licensed| ((licensed.kind, licensed.package.as_str()), licensed))
        .collect();
    for package in packages.iter_mut().filter(|package| package.licenses.is_empty()) {
        if let Some(licensed) = licensed.get(&(package.kind, package.name.as_str())) {
            package.licenses.clone_from(&licensed.licenses);
        }
    }
}
