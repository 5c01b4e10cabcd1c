//! Maven's project model, `pom.xml`.
//!
//! Format: <https://maven.apache.org/ref/3.9.9/maven-model/maven.html>. Only what one file says: a parent is another
//! file (see `crate::maven`), and may come over the network.

use portcullis_model::{MavenDependency, MavenProject};

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
    /// All but what is resolved here, and no open dependency.
    pub(in crate::readers) project: MavenProject,
    pub(in crate::readers) licenses: Vec<String>,
    pub(in crate::readers) dependencies: Vec<MavenDependency>,
    /// How many dependencies there are; those beyond a limit are not kept.
    pub(in crate::readers) named: usize,
}

impl Pom {
    /// Reads a `pom.xml`.
    pub(in crate::readers) fn parse(contents: &[u8]) -> Result<Self, XmlError> {
        let mut pom = Self::default();
        let mut dependency = MavenDependency::default();
        xml::elements(contents, &mut |element| {
            let text = || element.text.to_owned();
            match element.path {
                "project/groupId" => pom.project.group = text(),
                "project/artifactId" => pom.project.artifact = text(),
                "project/version" => pom.project.version = text(),
                "project/parent/groupId" => pom.project.parent.group = text(),
                "project/parent/artifactId" => pom.project.parent.artifact = text(),
                "project/parent/version" => pom.project.parent.version = text(),
                "project/parent/relativePath" => pom.project.parent_path = Some(text()),
                "project/licenses/license/name" if pom.licenses.len() < MAX_ITEMS => pom.licenses.push(text()),
                "project/dependencies/dependency" => {
                    pom.named += 1;
                    let dependency = std::mem::take(&mut dependency);
                    pom.dependencies.extend(Some(dependency).filter(|_| pom.named <= MAX_ITEMS));
                }
                "project/dependencyManagement/dependencies/dependency" if pom.project.managed.len() < MAX_ITEMS => {
                    pom.project.managed.push(std::mem::take(&mut dependency));
                }
                path => {
                    let inner = path
                        .strip_prefix("project/dependencies/dependency/")
                        .or_else(|| path.strip_prefix("project/dependencyManagement/dependencies/dependency/"));
                    match inner {
                        Some("groupId") => dependency.group = text(),
                        Some("artifactId") => dependency.artifact = text(),
                        Some("version") => dependency.version = text(),
                        Some("type") => dependency.kind = text(),
                        Some("classifier") => dependency.classifier = text(),
                        Some("scope") => dependency.scope = text(),
                        Some("optional") => dependency.is_optional = element.text == "true",
                        Some(_) => {}
                        None => {
                            let name = path.strip_prefix("project/properties/");
                            if let Some(name) = name.filter(|_| pom.project.properties.len() < MAX_ITEMS) {
                                pom.project.properties.insert(name.to_owned(), text());
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
        self.resolve(first(&self.project.group, &self.project.parent.group))
    }

    /// Its version, or its parent's.
    pub(in crate::readers) fn version(&self) -> Option<String> {
        self.resolve(first(&self.project.version, &self.project.parent.version))
    }

    /// `text` with its `${…}` filled in; none where this file does not tell, or nothing is there.
    pub(in crate::readers) fn resolve(&self, text: &str) -> Option<String> {
        fill(text, &|name| own_property(&self.project, name).or_else(|| Some(self.project.properties.get(name)?)))
    }
}

/// The first text that is not empty.
fn first<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// `text` with its `${…}` filled in by `property`; none where one is not known, or nothing is there.
pub(crate) fn fill<'a>(text: &str, property: &dyn Fn(&str) -> Option<&'a str>) -> Option<String> {
    if text.len() > MAX_VALUE {
        return None;
    }
    let mut value = text.to_owned();
    for _ in 0..MAX_STEPS {
        let Some(start) = value.find("${") else {
            return Some(value).filter(|value| !value.is_empty() && value.len() <= MAX_VALUE);
        };
        let length = value.get(start..)?.find('}')?;
        let filled = property(value.get(start + 2..start + length)?.trim())?;
        let filled = Some(filled).filter(|filled| filled.len() <= MAX_VALUE)?;
        value.replace_range(start..=start + length, filled);
        if value.len() > MAX_VALUE {
            return None;
        }
    }
    None
}

/// A dependency's name, `group:artifact`, and what `dependencyManagement` goes by: `group:artifact:type:classifier`, as
/// Maven joins them. None where the name is not known. Machines differ by types and classifiers that properties tell, so
/// such a one stays as it is written.
pub(crate) fn name_and_key(
    dependency: &MavenDependency,
    fill: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let name = format!("{}:{}", fill(&dependency.group)?, fill(&dependency.artifact)?);
    let filled = |text: &str| fill(text).unwrap_or_else(|| text.to_owned());
    let key = format!("{name}:{}:{}", filled(first(&dependency.kind, "jar")), filled(&dependency.classifier));
    Some((name, key))
}

/// A property that says something of the project itself.
pub(crate) fn own_property<'a>(project: &'a MavenProject, name: &str) -> Option<&'a str> {
    Some(match name {
        "project.version" | "pom.version" | "version" => first(&project.version, &project.parent.version),
        "project.groupId" | "pom.groupId" | "groupId" => first(&project.group, &project.parent.group),
        "project.artifactId" | "pom.artifactId" | "artifactId" => &project.artifact,
        "project.parent.version" | "parent.version" => &project.parent.version,
        "project.parent.groupId" => &project.parent.group,
        _ => return None,
    })
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
