//! Projects of Maven that lie beside one another: what a `pom.xml` leaves to its parents, and to lists of versions that
//! it imports, where these are in the same tree of sources.
//!
//! Rules: <https://maven.apache.org/guides/introduction/introduction-to-the-pom.html>,
//! <https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html>. A parent that is only in a
//! repository of Maven's stays unknown: no network is asked. What a project settles by its own properties is settled for
//! its children too, though Maven lets a child set them anew.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use portcullis_model::{MavenDependency, MavenProject, PackageType, Reading, Warning};

use crate::{
    complete::{language_package, language_purl},
    readers::{
        java::pom::{fill, name_and_key, own_property},
        java_lock::{exact, is_for_development},
    },
};

/// Most parents of a project, one above the other.
const MAX_PARENTS: usize = 16;

/// How deep lists of versions may import others.
const MAX_IMPORTS: usize = 8;

/// What is spent on all projects together.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How often a dependency is asked for, and looked for in a project. A tree of a thousand projects needs some hundred
    /// thousand.
    looks: usize,
    /// How often a property is looked for in a project.
    properties: usize,
    /// Most dependencies found.
    found: usize,
    /// Bytes of names, keys and versions: properties can make long ones of short ones.
    bytes: usize,
}

const LIMITS: Limits = Limits { looks: 1_000_000, properties: 20_000_000, found: 100_000, bytes: 128 << 20 };

/// Lists the dependencies of projects whose versions other projects of `readings` tell, and says of those that none tells.
/// Each reading comes with its path.
pub fn complete_maven(readings: &mut [(&str, &mut Reading)]) {
    complete_within(LIMITS, readings);
}

fn complete_within(limits: Limits, readings: &mut [(&str, &mut Reading)]) {
    let projects: Vec<(String, MavenProject)> =
        readings.iter_mut().filter_map(|(path, reading)| Some(((*path).to_owned(), *reading.maven.take()?))).collect();
    let mut tree = Tree::of(&projects, limits);
    let found: HashMap<&str, Found> =
        projects.iter().enumerate().map(|(index, (path, _))| (path.as_str(), tree.complete(index))).collect();
    let is_over = tree.is_over();
    for (path, reading) in readings.iter_mut() {
        let Some(Found { versions, left_out }) = found.get(path) else { continue };
        reading.packages.extend(versions.iter().map(|(name, version)| {
            let purl = language_purl(PackageType::Maven, name, version);
            language_package(PackageType::Maven, purl, (name.clone(), version.clone()), None, path)
        }));
        reading.warnings.extend(left_out.iter().map(|(reason, count)| {
            let packages = if *count == 1 { "1 package".to_owned() } else { format!("{count} packages") };
            Warning::note(*path, format!("{packages} left out: {reason}"))
        }));
        if is_over {
            reading
                .warnings
                .push(Warning::gap(*path, "its project has too many others around it: not all was looked for"));
        }
    }
}

/// What came of a project's open dependencies.
#[derive(Default)]
struct Found {
    /// Names and versions.
    versions: Vec<(String, String)>,
    left_out: BTreeMap<&'static str, usize>,
}

/// What a dependency comes to.
enum Answer {
    Version(String, String),
    LeftOut(&'static str),
    Unknown(&'static str),
}

/// All projects.
struct Tree<'a> {
    projects: Vec<&'a MavenProject>,
    by_path: HashMap<&'a str, usize>,
    /// By group, artifact and version, as they are written.
    by_name: HashMap<[&'a str; 3], usize>,
    /// A project and those above it, the nearest first.
    lineages: Vec<Rc<[usize]>>,
    /// What each project's own `dependencyManagement` names by keys, first ones first.
    managed: Vec<HashMap<String, &'a MavenDependency>>,
    imports: Vec<Rc<[&'a MavenDependency]>>,
    /// The keys of what each project settles itself.
    closed: Vec<HashSet<&'a str>>,
    left: Limits,
    /// As in `left`.
    properties_left: Cell<usize>,
    is_cut: bool,
}

impl<'a> Tree<'a> {
    fn of(projects: &'a [(String, MavenProject)], limits: Limits) -> Self {
        let keys = |(_, project): &'a (String, MavenProject)| project.closed.iter().map(String::as_str).collect();
        let mut tree = Self {
            projects: projects.iter().map(|(_, project)| project).collect(),
            by_path: projects.iter().enumerate().map(|(index, (path, _))| (path.as_str(), index)).collect(),
            by_name: HashMap::new(),
            lineages: Vec::new(),
            managed: Vec::new(),
            imports: Vec::new(),
            closed: projects.iter().map(keys).collect(),
            left: limits,
            properties_left: Cell::new(limits.properties),
            is_cut: false,
        };
        for (index, (_, project)) in projects.iter().enumerate() {
            let version = if project.version.is_empty() { &project.parent.version } else { &project.version };
            tree.by_name.entry([group(project), &project.artifact, version]).or_insert(index);
        }
        let parents: Vec<Option<usize>> = projects.iter().map(|(path, project)| tree.parent(project, path)).collect();
        tree.lineages = (0..projects.len()).map(|index| lineage(&parents, index)).collect();
        for index in 0..projects.len() {
            tree.add_managed(index);
        }
        tree
    }

    /// Reads what a project's `dependencyManagement` names.
    fn add_managed(&mut self, index: usize) {
        let lineage = self.lineage(index);
        let entries = self.projects.get(index).map_or(&[][..], |project| project.managed.as_slice());
        let mut managed = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.scope != "import") {
            let Some((_, key)) = name_and_key(entry, &|text| self.fill(&lineage, text)) else { continue };
            if self.spend(cost(&key)).is_none() {
                break;
            }
            managed.entry(key).or_insert(entry);
        }
        self.imports.push(entries.iter().filter(|entry| entry.scope == "import").collect());
        self.managed.push(managed);
    }

    /// Whether something was left undone.
    fn is_over(&self) -> bool {
        self.is_cut || self.left.looks == 0 || self.left.found == 0 || self.properties_left.get() == 0
    }

    fn lineage(&self, index: usize) -> Rc<[usize]> {
        self.lineages.get(index).map_or_else(|| Rc::new([]), Rc::clone)
    }

    /// By its place, if that is the one that is named; else by its name and version.
    fn parent(&self, project: &MavenProject, path: &str) -> Option<usize> {
        let named = &project.parent;
        if named.artifact.is_empty() {
            return None;
        }
        let place = project.parent_path.as_deref().unwrap_or("../pom.xml");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let place = Some(place).filter(|place| !place.is_empty()).and_then(|place| join(folder, place));
        let at_place = place.and_then(|place| {
            let inside = if place.is_empty() { "pom.xml".to_owned() } else { format!("{place}/pom.xml") };
            self.by_path.get(place.as_str()).or_else(|| self.by_path.get(inside.as_str())).copied()
        });
        let is_named = |index: &usize| {
            self.projects
                .get(*index)
                .is_some_and(|other| other.artifact == named.artifact && group(other) == named.group)
        };
        let by_name = || self.by_name.get(&[named.group.as_str(), &named.artifact, &named.version]).copied();
        at_place.filter(is_named).or_else(by_name)
    }

    /// `text` as the first project of a lineage understands it.
    fn fill(&self, lineage: &[usize], text: &str) -> Option<String> {
        let own = lineage.first().and_then(|index| self.projects.get(*index))?;
        fill(text, &|name| {
            let inherited = || {
                lineage.iter().filter_map(|index| self.projects.get(*index)).find_map(|project| {
                    self.properties_left.set(self.properties_left.get().checked_sub(1)?);
                    project.properties.get(name).map(String::as_str)
                })
            };
            own_property(own, name).or_else(inherited)
        })
    }

    fn complete(&mut self, index: usize) -> Found {
        let lineage = self.lineage(index);
        let mut found = Found::default();
        // What nearer projects name counts, and not what those above say of the same.
        let mut nearer: HashSet<String> = HashSet::new();
        for height in 0..lineage.len() {
            if self.inherit(&lineage, height, &mut nearer, &mut found).is_none() {
                break;
            }
        }
        // These are gone with the project.
        self.left.bytes += nearer.iter().map(|key| cost(key)).sum::<usize>();
        found.versions.sort_unstable();
        found.versions.dedup();
        found
    }

    /// What the first project of a lineage has from the one at `height`; none where all is spent.
    fn inherit(
        &mut self,
        lineage: &[usize],
        height: usize,
        nearer: &mut HashSet<String>,
        found: &mut Found,
    ) -> Option<()> {
        let below = lineage.get(..height)?;
        let project = self.projects.get(*lineage.get(height)?)?;
        let mut own = HashSet::new();
        for dependency in &project.open {
            let looks = self.left.looks.checked_sub(1 + height);
            self.left.looks = looks.unwrap_or_default();
            looks?;
            let named = name_and_key(dependency, &|text| self.fill(lineage, text));
            if let Some((_, key)) = &named {
                let is_closed = |at: &usize| self.closed.get(*at).is_some_and(|closed| closed.contains(key.as_str()));
                if nearer.contains(key) || below.iter().any(is_closed) {
                    continue;
                }
                if !own.contains(key) {
                    self.spend(cost(key))?;
                    own.insert(key.clone());
                }
            }
            match self.answer(lineage, dependency, named) {
                Answer::Version(name, version) => {
                    self.left.found = self.left.found.checked_sub(1)?;
                    // The name stands in the package twice, and so does the version.
                    self.spend(2 * (cost(&name) + cost(&version)))?;
                    found.versions.push((name, version));
                }
                Answer::LeftOut(reason) => *found.left_out.entry(reason).or_default() += 1,
                // What a parent leaves open is said at the parent.
                Answer::Unknown(reason) if height == 0 => *found.left_out.entry(reason).or_default() += 1,
                Answer::Unknown(_) => {}
            }
        }
        nearer.extend(own);
        Some(())
    }

    /// Takes what texts need of the memory that is left.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        let left = self.left.bytes.checked_sub(bytes);
        self.is_cut |= left.is_none();
        self.left.bytes = left?;
        Some(())
    }

    fn answer(&mut self, lineage: &[usize], dependency: &MavenDependency, named: Option<(String, String)>) -> Answer {
        let Some((name, key)) = named else {
            return Answer::Unknown("named by a property of a file that is not here");
        };
        let managed = self.managed(lineage, &key, 0);
        let scope = match &managed {
            Some((_, scope)) if dependency.scope.is_empty() => scope.as_str(),
            _ => &dependency.scope,
        };
        if is_for_development(scope) {
            return Answer::LeftOut(crate::lockfile::reasons::DEVELOPMENT);
        }
        let written = Some(dependency.version.as_str()).filter(|version| !version.is_empty());
        let version = match written {
            Some(version) => self.fill(lineage, version),
            None => managed.and_then(|(version, _)| version),
        };
        match version {
            Some(version) => match exact(&version) {
                Some(version) => Answer::Version(name, version.to_owned()),
                None => Answer::LeftOut(crate::lockfile::reasons::RANGE),
            },
            None => Answer::Unknown("the version is written in a file that is not here, such as the parent's"),
        }
    }

    /// Version and scope that are meant for a dependency: by the nearest project that manages it, or by what is imported.
    fn managed(&mut self, lineage: &[usize], key: &str, depth: usize) -> Option<(Option<String>, String)> {
        for index in lineage {
            self.left.looks = self.left.looks.checked_sub(1)?;
            if let Some(managed) = self.managed.get(*index).and_then(|managed| managed.get(key)) {
                return Some((self.fill(lineage, &managed.version), managed.scope.clone()));
            }
        }
        if depth >= MAX_IMPORTS {
            return None;
        }
        for index in lineage {
            let imports = self.imports.get(*index).map_or_else(|| Rc::new([]) as Rc<[_]>, Rc::clone);
            for import in imports.iter() {
                self.left.looks = self.left.looks.checked_sub(1)?;
                let coordinates = [&import.group, &import.artifact, &import.version];
                let [Some(group), Some(artifact), Some(version)] = coordinates.map(|text| self.fill(lineage, text))
                else {
                    continue;
                };
                let list = self.by_name.get(&[group.as_str(), &artifact, &version]).map(|index| self.lineage(*index));
                if let Some(found) = list.and_then(|list| self.managed(&list, key, depth + 1)) {
                    return Some(found);
                }
            }
        }
        None
    }
}

/// Bytes that a text takes in a table.
fn cost(text: &str) -> usize {
    text.len() + size_of::<(String, usize)>()
}

/// The project, its parent, and so on.
fn lineage(parents: &[Option<usize>], index: usize) -> Rc<[usize]> {
    let mut lineage = vec![index];
    let mut last = index;
    while lineage.len() <= MAX_PARENTS
        && let Some(Some(parent)) = parents.get(last)
        && !lineage.contains(parent)
    {
        lineage.push(*parent);
        last = *parent;
    }
    lineage.into()
}

/// A project's group, or its parent's, as written.
fn group(project: &MavenProject) -> &str {
    if project.group.is_empty() { &project.parent.group } else { &project.group }
}

/// `place` as seen from `folder`; none if that leads out of the tree.
fn join(folder: &str, place: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in place.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests;
