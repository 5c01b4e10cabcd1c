//! What a `pom.xml` says that only other files make whole.
//!
//! Format: <https://maven.apache.org/ref/3.9.9/maven-model/maven.html>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A project of Maven, as far as others may need it. Texts are as written, and empty where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MavenProject {
    /// Its group; its parent's if there is none.
    pub group: String,
    /// Its artifact.
    pub artifact: String,
    /// Its version; its parent's if there is none.
    pub version: String,
    /// Its parent.
    pub parent: MavenDependency,
    /// Where the parent's file lies, from this file's folder; none for the usual place. Empty: in no folder.
    pub parent_path: Option<String>,
    /// What `${…}` stands for.
    pub properties: BTreeMap<String, String>,
    /// Dependencies whose version the file itself does not tell.
    pub open: Vec<MavenDependency>,
    /// The keys of the other dependencies, as Maven joins them: `group:artifact:type:classifier`. A parent's dependency of
    /// the same key does not count here.
    pub closed: Vec<String>,
    /// What `dependencyManagement` says of versions.
    pub managed: Vec<MavenDependency>,
}

/// A dependency as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MavenDependency {
    /// Its group.
    pub group: String,
    /// Its artifact.
    pub artifact: String,
    /// Its version.
    pub version: String,
    /// Its type; empty for `jar`.
    pub kind: String,
    /// Its classifier.
    pub classifier: String,
    /// Its scope; empty for `compile`.
    pub scope: String,
    /// Whether who uses the project does not get it.
    pub is_optional: bool,
}

impl MavenDependency {
    /// Whether who uses the project gets it too.
    pub fn is_needed(&self) -> bool {
        matches!(self.scope.as_str(), "" | "compile" | "runtime") && !self.is_optional
    }

    /// Bytes that it takes in memory.
    fn bytes(&self) -> usize {
        let Self { group, artifact, version, kind, classifier, scope, is_optional: _ } = self;
        let texts = [group, artifact, version, kind, classifier, scope];
        size_of::<Self>() + texts.into_iter().map(String::len).sum::<usize>()
    }
}

impl MavenProject {
    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let Self { group, artifact, version, parent, parent_path, properties, open, closed, managed } = self;
        let texts = [group, artifact, version].into_iter().chain(parent_path).chain(closed);
        let texts = texts.chain(properties.iter().flat_map(|(name, value)| [name, value]));
        let dependencies = open.iter().chain(managed).chain([parent]);
        size_of::<Self>()
            + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>()
            + dependencies.map(MavenDependency::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_takes_memory_too() {
        let empty = MavenProject::default().bytes();
        let nothing = vec![MavenDependency::default(); 100];
        let project = MavenProject { open: nothing.clone(), managed: nothing, ..MavenProject::default() };
        assert!(project.bytes() - empty >= 200 * size_of::<MavenDependency>());
        let properties = (0..100).map(|index| (index.to_string(), String::new())).collect();
        let closed = vec![String::new(); 100];
        let project =
            MavenProject { properties, closed, parent_path: Some("x".repeat(1000)), ..MavenProject::default() };
        assert!(project.bytes() - empty >= 300 * size_of::<String>() + 1000);
    }
}
