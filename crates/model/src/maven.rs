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
}

impl MavenProject {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let dependencies = self.open.iter().chain(&self.managed).chain([&self.parent]);
        let dependencies =
            dependencies.map(|it| it.group.len() + it.artifact.len() + it.version.len() + it.scope.len());
        let properties = self.properties.iter().map(|(name, value)| name.len() + value.len());
        self.group.len()
            + self.artifact.len()
            + self.version.len()
            + dependencies.sum::<usize>()
            + properties.sum::<usize>()
    }
}
