//! Projects of Maven that lie beside one another: what a `pom.xml` leaves to its parents, and to lists of versions that
//! it imports, where these are in the same tree of sources.
//!
//! Rules: <https://maven.apache.org/guides/introduction/introduction-to-the-pom.html>,
//! <https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html>. A parent that is only in a
//! repository of Maven's stays unknown: no network is asked.

use std::collections::{BTreeMap, HashMap};

use portcullis_model::{MavenDependency, MavenProject, PackageType, Reading, Warning};

use crate::{
    complete::{language_package, language_purl},
    readers::{
        java::pom::{fill, own_property},
        java_lock::{RANGE, exact, is_for_development},
    },
};

/// Most parents of a project, one above the other.
const MAX_PARENTS: usize = 16;

/// How deep lists of versions may import others.
const MAX_IMPORTS: usize = 8;

/// How often a dependency is looked for in a project, in all. A tree of a thousand projects needs some hundred thousand.
const MAX_LOOKS: usize = 1_000_000;

/// Most dependencies found, in all.
const MAX_FOUND: usize = 100_000;

/// Lists the dependencies of projects whose versions other projects of `readings` tell, and says of those that none tells.
/// Each reading comes with its path.
pub fn complete_maven(readings: &mut [(&str, &mut Reading)]) {
    let projects: Vec<(String, MavenProject)> =
        readings.iter_mut().filter_map(|(path, reading)| Some(((*path).to_owned(), *reading.maven.take()?))).collect();
    let mut tree = Tree::of(&projects);
    let found: HashMap<&str, Found> =
        projects.iter().enumerate().map(|(index, (path, _))| (path.as_str(), tree.complete(index))).collect();
    let is_over = tree.looks_left == 0 || tree.found_left == 0;
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
    paths: Vec<&'a str>,
    by_path: HashMap<&'a str, usize>,
    by_name: HashMap<(&'a str, &'a str), Vec<usize>>,
    /// A project and those above it, the nearest first.
    lineages: Vec<Vec<usize>>,
    /// What each project's own `dependencyManagement` names, first ones first.
    managed: Vec<HashMap<(String, String), &'a MavenDependency>>,
    imports: Vec<Vec<&'a MavenDependency>>,
    looks_left: usize,
    found_left: usize,
}

impl<'a> Tree<'a> {
    fn of(projects: &'a [(String, MavenProject)]) -> Self {
        let mut tree = Self {
            projects: projects.iter().map(|(_, project)| project).collect(),
            paths: projects.iter().map(|(path, _)| path.as_str()).collect(),
            by_path: projects.iter().enumerate().map(|(index, (path, _))| (path.as_str(), index)).collect(),
            by_name: HashMap::new(),
            lineages: Vec::new(),
            managed: Vec::new(),
            imports: Vec::new(),
            looks_left: MAX_LOOKS,
            found_left: MAX_FOUND,
        };
        for (index, (_, project)) in projects.iter().enumerate() {
            tree.by_name.entry((group(project), &project.artifact)).or_default().push(index);
        }
        tree.lineages = (0..projects.len()).map(|index| tree.lineage(index)).collect();
        for (index, (_, project)) in projects.iter().enumerate() {
            let lineage = tree.lineages.get(index).map_or(&[][..], Vec::as_slice);
            let mut managed = HashMap::new();
            for entry in project.managed.iter().filter(|entry| entry.scope != "import") {
                if let Some(key) = tree.fill(lineage, &entry.group).zip(tree.fill(lineage, &entry.artifact)) {
                    managed.entry(key).or_insert(entry);
                }
            }
            tree.imports.push(project.managed.iter().filter(|entry| entry.scope == "import").collect());
            tree.managed.push(managed);
        }
        tree
    }

    /// The project, its parent, and so on.
    fn lineage(&self, index: usize) -> Vec<usize> {
        let mut lineage = vec![index];
        let mut last = index;
        while lineage.len() <= MAX_PARENTS
            && let Some((project, path)) = self.projects.get(last).zip(self.paths.get(last))
            && let Some(parent) = self.parent(project, path)
            && !lineage.contains(&parent)
        {
            lineage.push(parent);
            last = parent;
        }
        lineage
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
        at_place.filter(is_named).or_else(|| self.find(&named.group, &named.artifact, &named.version))
    }

    /// A project by its coordinates as they are written.
    fn find(&self, group: &str, artifact: &str, version: &str) -> Option<usize> {
        let named = self.by_name.get(&(group, artifact))?;
        let has_version = |index: &&usize| {
            self.projects.get(**index).is_some_and(|project| match project.version.as_str() {
                "" => project.parent.version == version,
                own => own == version,
            })
        };
        named.iter().find(has_version).copied()
    }

    /// `text` as the first project of a lineage understands it.
    fn fill(&self, lineage: &[usize], text: &str) -> Option<String> {
        let own = lineage.first().and_then(|index| self.projects.get(*index))?;
        fill(text, &|name| {
            let inherited = || {
                let mut projects = lineage.iter().filter_map(|index| self.projects.get(*index));
                projects.find_map(|project| project.properties.get(name)).map(String::as_str)
            };
            own_property(own, name).or_else(inherited)
        })
    }

    fn complete(&mut self, index: usize) -> Found {
        let lineage = self.lineages.get(index).cloned().unwrap_or_default();
        let mut found = Found::default();
        for at in &lineage {
            let open = self.projects.get(*at).map_or(&[][..], |project| project.open.as_slice());
            for dependency in open {
                match self.answer(&lineage, dependency) {
                    Answer::Version(name, version) if self.found_left > 0 => {
                        self.found_left -= 1;
                        found.versions.push((name, version));
                    }
                    Answer::Version(..) => {}
                    Answer::LeftOut(reason) => *found.left_out.entry(reason).or_default() += 1,
                    // What a parent leaves open is said at the parent.
                    Answer::Unknown(reason) if *at == index => *found.left_out.entry(reason).or_default() += 1,
                    Answer::Unknown(_) => {}
                }
            }
        }
        found.versions.sort_unstable();
        found.versions.dedup();
        found
    }

    fn answer(&mut self, lineage: &[usize], dependency: &MavenDependency) -> Answer {
        let key = self.fill(lineage, &dependency.group).zip(self.fill(lineage, &dependency.artifact));
        let Some(key) = key else { return Answer::Unknown("named by a property of a file that is not here") };
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
                Some(version) => Answer::Version(format!("{}:{}", key.0, key.1), version.to_owned()),
                None => Answer::LeftOut(RANGE),
            },
            None => Answer::Unknown("the version is written in a file that is not here, such as the parent's"),
        }
    }

    /// Version and scope that are meant for a dependency: by the nearest project that manages it, or by what is imported.
    fn managed(&mut self, lineage: &[usize], key: &(String, String), depth: usize) -> Option<(Option<String>, String)> {
        for index in lineage {
            self.looks_left = self.looks_left.checked_sub(1)?;
            if let Some(managed) = self.managed.get(*index).and_then(|managed| managed.get(key)) {
                return Some((self.fill(lineage, &managed.version), managed.scope.clone()));
            }
        }
        if depth >= MAX_IMPORTS {
            return None;
        }
        for index in lineage {
            for import in self.imports.get(*index).cloned().unwrap_or_default() {
                self.looks_left = self.looks_left.checked_sub(1)?;
                let coordinates = [&import.group, &import.artifact, &import.version];
                let [Some(group), Some(artifact), Some(version)] = coordinates.map(|text| self.fill(lineage, text))
                else {
                    continue;
                };
                let list = self.find(&group, &artifact, &version).and_then(|index| self.lineages.get(index)).cloned();
                if let Some(found) = list.and_then(|list| self.managed(&list, key, depth + 1)) {
                    return Some(found);
                }
            }
        }
        None
    }
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
