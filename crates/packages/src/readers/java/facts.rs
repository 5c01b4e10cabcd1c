//! What an archive says of itself: its manifest, and what Maven left in it.
//!
//! Formats: <https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#jar-manifest>,
//! <https://maven.apache.org/shared/maven-archiver/#pom-properties-content>.

use std::collections::HashMap;

use portcullis_model::Warning;

use super::{limits::Shared, pom::Pom};
use crate::{fields, xml::XmlError};

/// Longest value taken, in bytes.
const MAX_VALUE: usize = 512;

/// A file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    PomProperties,
    PomXml,
}

impl Kind {
    /// What an entry of that name is.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let (folder, file) = match memchr::memrchr(b'/', name) {
            Some(at) => (name.get(..at)?, name.get(at + 1..)?),
            None => (&name[..0], name),
        };
        match file {
            b"pom.properties" => Some(Self::PomProperties),
            b"pom.xml" if folder.starts_with(b"META-INF/maven/") => Some(Self::PomXml),
            _ if name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF") => Some(Self::Manifest),
            _ => None,
        }
    }

    /// Most bytes read.
    pub(super) const fn limit(self) -> usize {
        match self {
            // The main section comes first; digests of signed entries follow it.
            Self::Manifest => 512 << 10,
            Self::PomProperties => 64 << 10,
            Self::PomXml => 4 << 20,
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) manifest: Manifest,
    pub(super) projects: Vec<Project>,
    /// Their places there, by folder.
    by_folder: HashMap<String, usize>,
    pub(super) has_classes: bool,
    pub(super) has_nested: bool,
}

/// A project whose `pom.properties` or `pom.xml` is in the archive.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// The folder in the archive that its files are in.
    pub(super) folder: String,
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
    pub(super) licenses: Vec<String>,
    /// What it needs, as `group:artifact`.
    pub(super) needs: Vec<String>,
    /// Whether its `pom.properties` was read.
    has_properties: bool,
    /// Why its `pom.xml` was not read.
    damage: Option<String>,
}

/// What is read of the manifest's main section, named as there; empty where it has no such attribute.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) implementation_title: String,
    pub(super) implementation_version: String,
    pub(super) implementation_vendor_id: String,
    pub(super) specification_version: String,
    pub(super) bundle_symbolic_name: String,
    pub(super) bundle_version: String,
    pub(super) bundle_license: String,
    pub(super) automatic_module_name: String,
    /// Of Jenkins plugins.
    pub(super) short_name: String,
    pub(super) group_id: String,
    pub(super) plugin_version: String,
}

impl Facts {
    /// Adds what a file says; `place` is the archive's.
    pub(super) fn add(&mut self, kind: Kind, name: &str, contents: &[u8], place: &str, shared: &mut Shared) {
        if contents.len() > kind.limit() && kind != Kind::Manifest {
            let what = format!("not read: it has more than {} bytes", kind.limit());
            shared.warn(Warning::gap(format!("{place}!/{name}"), what));
            return;
        }
        match kind {
            Kind::Manifest => self.manifest = Manifest::parse(contents),
            Kind::PomProperties => self.project(name, shared).properties(contents),
            Kind::PomXml => match Pom::parse(contents) {
                Ok(pom) => {
                    let project = self.project(name, shared);
                    project.pom(&pom);
                    let kept: usize = project.needs.iter().map(String::len).sum();
                    shared.count_kept(kept + size_of::<String>() * project.needs.len());
                }
                // Without `pom.properties` beside it, a package may be missing: see `identify`.
                Err(error) => self.project(name, shared).damage = Some(error.to_string()),
            },
        }
    }

    /// The project whose file `name` is.
    fn project(&mut self, name: &str, shared: &mut Shared) -> &mut Project {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let at = match self.by_folder.get(folder) {
            Some(known) => *known,
            None => {
                shared.count_kept(2 * folder.len() + size_of::<Project>());
                self.by_folder.insert(folder.to_owned(), self.projects.len());
                self.projects.push(Project::new(folder));
                self.projects.len() - 1
            }
        };
        &mut self.projects[at]
    }
}

impl Project {
    /// What to say of a `pom.xml` that was not read. `pom.properties`, which Maven writes beside it, says what matters.
    pub(super) fn damage(&self, place: &str) -> Option<Warning> {
        let warning = if self.has_properties { Warning::note } else { Warning::gap };
        let place = format!("{place}!/{}/pom.xml", self.folder);
        self.damage.as_ref().map(|damage| warning(place, format!("not read: {damage}")))
    }

    /// What one of Maven's files says by itself.
    pub(super) fn read(kind: Kind, path: &str, contents: &[u8]) -> Result<Self, XmlError> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = folder.rfind("META-INF/maven/").and_then(|at| folder.get(at..)).unwrap_or(folder);
        let mut project = Self::new(folder);
        match kind {
            Kind::PomXml => project.pom(&Pom::parse(contents)?),
            Kind::PomProperties => project.properties(contents),
            Kind::Manifest => {}
        }
        Ok(project)
    }

    fn new(folder: &str) -> Self {
        let mut project = Self { folder: folder.to_owned(), ..Self::default() };
        if let Some((group, artifact)) = folder.strip_prefix("META-INF/maven/").and_then(|rest| rest.split_once('/')) {
            project.group = value(group);
            project.artifact = value(artifact);
        }
        project
    }

    fn properties(&mut self, contents: &[u8]) {
        for line in fields::lines(contents).map(<[u8]>::trim_ascii).filter(|line| !line.starts_with(b"#")) {
            let Some(at) = line.iter().position(|byte| matches!(byte, b'=' | b':')) else { continue };
            let (key, rest) = line.split_at(at);
            let text = fields::text(rest.get(1..).unwrap_or_default());
            let slot = match key.trim_ascii() {
                b"groupId" => &mut self.group,
                b"artifactId" => &mut self.artifact,
                b"version" => &mut self.version,
                _ => continue,
            };
            let text = value(&text.replace('\\', ""));
            if !text.is_empty() {
                *slot = text;
            }
        }
        self.has_properties = true;
    }

    fn pom(&mut self, pom: &Pom) {
        self.licenses =
            pom.licenses.iter().map(|license| value(license)).filter(|license| !license.is_empty()).collect();
        let needed = pom.dependencies.iter().filter(|dependency| dependency.is_needed());
        let needed = needed.filter_map(|needed| Some((pom.resolve(&needed.group)?, pom.resolve(&needed.artifact)?)));
        self.needs = needed.map(|(group, artifact)| format!("{group}:{artifact}")).collect();
        let fill = |slot: &mut String, known: bool, text: Option<String>| {
            if let Some(text) =
                text.map(|text| value(&text)).filter(|text| !text.is_empty() && (!known || slot.is_empty()))
            {
                *slot = text;
            }
        };
        fill(&mut self.group, self.has_properties, pom.group());
        fill(&mut self.artifact, self.has_properties, pom.resolve(&pom.project.artifact));
        fill(&mut self.version, self.has_properties, pom.version());
    }
}

impl Manifest {
    fn parse(contents: &[u8]) -> Self {
        let mut manifest = Self::default();
        let mut attribute: Option<(&mut String, Vec<u8>)> = None;
        let close = |attribute: Option<(&mut String, Vec<u8>)>| {
            if let Some((slot, text)) = attribute {
                *slot = value(&fields::text(&text));
            }
        };
        let Self {
            implementation_title,
            implementation_version,
            implementation_vendor_id,
            specification_version,
            bundle_symbolic_name,
            bundle_version,
            bundle_license,
            automatic_module_name,
            short_name,
            group_id,
            plugin_version,
        } = &mut manifest;
        let mut slots: Vec<(&str, Option<&mut String>)> = vec![
            ("Implementation-Title", Some(implementation_title)),
            ("Implementation-Version", Some(implementation_version)),
            ("Implementation-Vendor-Id", Some(implementation_vendor_id)),
            ("Specification-Version", Some(specification_version)),
            ("Bundle-SymbolicName", Some(bundle_symbolic_name)),
            ("Bundle-Version", Some(bundle_version)),
            ("Bundle-License", Some(bundle_license)),
            ("Automatic-Module-Name", Some(automatic_module_name)),
            ("Short-Name", Some(short_name)),
            ("Group-Id", Some(group_id)),
            ("Plugin-Version", Some(plugin_version)),
        ];
        for line in fields::lines(contents).take_while(|line| !line.is_empty()) {
            // A line has 72 bytes at most; a longer value goes on behind a space.
            if let Some(more) = line.strip_prefix(b" ") {
                if let Some((_, text)) = attribute.as_mut().filter(|(_, text)| text.len() <= MAX_VALUE) {
                    text.extend_from_slice(more);
                }
                continue;
            }
            close(attribute.take());
            let Some(at) = memchr::memchr(b':', line) else { continue };
            let (name, rest) = line.split_at(at);
            let slot = slots.iter_mut().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
            attribute =
                slot.and_then(|(_, slot)| slot.take()).map(|slot| (slot, rest.get(1..).unwrap_or_default().to_vec()));
        }
        close(attribute);
        manifest
    }
}

/// A value worth keeping: short, filled in, and without what no name and no version has.
fn value(text: &str) -> String {
    let text = text.trim().trim_matches('"').trim();
    let is_odd = text.len() > MAX_VALUE || text.contains("${") || text.chars().any(char::is_control);
    if is_odd { String::new() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_to_its_first_blank_line_and_long_values_are_joined() {
        let manifest = Manifest::parse(
            b"Manifest-Version: 1.0\r\nBundle-SymbolicName: org.apache.commons.com\r\n press;singleton:=true\r\n\
              implementation-version: 1.2\r\n\r\nName: a\r\nImplementation-Title: b\r\n",
        );
        assert_eq!(manifest.bundle_symbolic_name, "org.apache.commons.compress;singleton:=true");
        assert_eq!((manifest.implementation_version.as_str(), manifest.implementation_title.as_str()), ("1.2", ""));
    }

    #[test]
    fn properties_win_over_the_model_and_the_model_over_the_folder() {
        let mut project = Project::new("META-INF/maven/g/a");
        project.pom(&Pom::parse(b"<project><artifactId>b</artifactId><version>${v}</version></project>").unwrap());
        assert_eq!((project.group.as_str(), project.artifact.as_str(), project.version.as_str()), ("g", "b", ""));
        project.properties(b"#x\nversion=1\\:2\ngroupId = h\nartifactId=${a}\n");
        assert_eq!((project.group.as_str(), project.artifact.as_str(), project.version.as_str()), ("h", "b", "1:2"));
        project.pom(&Pom::parse(b"<project><version>3</version></project>").unwrap());
        assert_eq!(project.version, "1:2");
    }
}
