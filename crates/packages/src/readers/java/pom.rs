//! Maven's project model, `pom.xml`.
//!
//! Format: <https://maven.apache.org/ref/3.9.9/maven-model/maven.html>. Only what one file says: a parent is another
//! file, and may come over the network.

use std::collections::BTreeMap;

use crate::xml::{self, XmlError};

/// Longest value that properties may make, in bytes.
const MAX_VALUE: usize = 512;

/// How many times a property may name another.
const MAX_STEPS: usize = 16;

/// Most dependencies and properties kept.
const MAX_ITEMS: usize = 20_000;

/// What a project says of itself.
#[derive(Debug, Default)]
pub(in crate::readers) struct Pom {
    group: String,
    pub(in crate::readers) artifact: String,
    version: String,
    pub(in crate::readers) parent: Dependency,
    pub(in crate::readers) licenses: Vec<String>,
    properties: BTreeMap<String, String>,
    pub(in crate::readers) dependencies: Vec<Dependency>,
    /// What `dependencyManagement` says of versions.
    pub(in crate::readers) managed: Vec<Dependency>,
    /// How many dependencies there are; those beyond a limit are not kept.
    pub(in crate::readers) named: usize,
}

/// A dependency as written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::readers) struct Dependency {
    pub(in crate::readers) group: String,
    pub(in crate::readers) artifact: String,
    pub(in crate::readers) version: String,
    pub(in crate::readers) scope: String,
    is_optional: bool,
}

impl Dependency {
    /// Whether who uses the project gets it too.
    pub(in crate::readers) fn is_needed(&self) -> bool {
        matches!(self.scope.as_str(), "" | "compile" | "runtime") && !self.is_optional
    }
}

impl Pom {
    /// Reads a `pom.xml`.
    pub(in crate::readers) fn parse(contents: &[u8]) -> Result<Self, XmlError> {
        let mut pom = Self::default();
        let mut dependency = Dependency::default();
        xml::elements(contents, &mut |element| {
            let text = || element.text.to_owned();
            match element.path {
                "project/groupId" => pom.group = text(),
                "project/artifactId" => pom.artifact = text(),
                "project/version" => pom.version = text(),
                "project/parent/groupId" => pom.parent.group = text(),
                "project/parent/artifactId" => pom.parent.artifact = text(),
                "project/parent/version" => pom.parent.version = text(),
                "project/licenses/license/name" if pom.licenses.len() < MAX_ITEMS => pom.licenses.push(text()),
                "project/dependencies/dependency" => {
                    pom.named += 1;
                    let dependency = std::mem::take(&mut dependency);
                    pom.dependencies.extend(Some(dependency).filter(|_| pom.named <= MAX_ITEMS));
                }
                "project/dependencyManagement/dependencies/dependency" if pom.managed.len() < MAX_ITEMS => {
                    pom.managed.push(std::mem::take(&mut dependency));
                }
                path => {
                    let inner = path
                        .strip_prefix("project/dependencies/dependency/")
                        .or_else(|| path.strip_prefix("project/dependencyManagement/dependencies/dependency/"));
                    match inner {
                        Some("groupId") => dependency.group = text(),
                        Some("artifactId") => dependency.artifact = text(),
                        Some("version") => dependency.version = text(),
                        Some("scope") => dependency.scope = text(),
                        Some("optional") => dependency.is_optional = element.text == "true",
                        Some(_) => {}
                        None => {
                            let name = path.strip_prefix("project/properties/");
                            if let Some(name) = name.filter(|_| pom.properties.len() < MAX_ITEMS) {
                                pom.properties.insert(name.to_owned(), text());
                            }
                        }
                    }
                }
            }
        })?;
        pom.licenses.retain(|license| !license.is_empty());
        Ok(pom)
    }

    /// Its group, or its parent's.
    pub(in crate::readers) fn group(&self) -> Option<String> {
        self.resolve(if self.group.is_empty() { &self.parent.group } else { &self.group })
    }

    /// Its version, or its parent's.
    pub(in crate::readers) fn version(&self) -> Option<String> {
        self.resolve(if self.version.is_empty() { &self.parent.version } else { &self.version })
    }

    /// `text` with its `${…}` filled in; none where this file does not tell, or nothing is there.
    pub(in crate::readers) fn resolve(&self, text: &str) -> Option<String> {
        if text.len() > MAX_VALUE {
            return None;
        }
        let mut value = text.to_owned();
        for _ in 0..MAX_STEPS {
            let Some(start) = value.find("${") else {
                return Some(value).filter(|value| !value.is_empty() && value.len() <= MAX_VALUE);
            };
            let length = value.get(start..)?.find('}')?;
            let filled = self.property(value.get(start + 2..start + length)?)?;
            let filled = Some(filled).filter(|filled| filled.len() <= MAX_VALUE)?.to_owned();
            value.replace_range(start..=start + length, &filled);
            if value.len() > MAX_VALUE {
                return None;
            }
        }
        None
    }

    fn property(&self, name: &str) -> Option<&str> {
        let value = match name.trim() {
            "project.version" | "pom.version" | "version" if self.version.is_empty() => &self.parent.version,
            "project.version" | "pom.version" | "version" => &self.version,
            "project.groupId" | "pom.groupId" | "groupId" if self.group.is_empty() => &self.parent.group,
            "project.groupId" | "pom.groupId" | "groupId" => &self.group,
            "project.artifactId" | "pom.artifactId" | "artifactId" => &self.artifact,
            "project.parent.version" | "parent.version" => &self.parent.version,
            "project.parent.groupId" => &self.parent.group,
            name => self.properties.get(name)?,
        };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_filled_in_within_the_file() {
        let pom = Pom::parse(
            b"<project><parent><groupId>g</groupId><artifactId>p</artifactId><version>1.${minor}</version></parent>\
              <artifactId>a</artifactId><properties><minor>2</minor><loop>${loop}</loop></properties></project>",
        )
        .unwrap();
        assert_eq!((pom.group().as_deref(), pom.version().as_deref()), (Some("g"), Some("1.2")));
        assert_eq!(pom.resolve("${project.version}-x").as_deref(), Some("1.2-x"));
        for open in ["${loop}", "${revision}", "${", "", "${a"] {
            assert_eq!(pom.resolve(open), None, "{open}");
        }
    }
}
