//! The report: everything a scan has to say, version 1 of the JSON that `-o json` writes.

use serde::{Deserialize, Serialize};

use crate::{Digest, Distribution, Finding, Package, Timestamp, Upgrade, Verdict, Warning};

/// The version of the report's schema.
pub const SCHEMA_VERSION: u32 = 1;

/// A scan's whole result. Every output format is a view of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the scan was made; `SOURCE_DATE_EPOCH` where that is set.
    pub created: Timestamp,
    /// What made it.
    pub tool: Tool,
    /// What was scanned.
    pub target: Target,
    /// The distribution; null where there is none, as in images built from scratch.
    pub distribution: Option<Distribution>,
    /// What advisories could say of it, and what they could not. Absent in inventories, where none were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory_coverage: Option<AdvisoryCoverage>,
    /// What is in it.
    pub inventory: Inventory,
    /// What is wrong with it, sorted: the worst first, then by package and id.
    pub findings: Vec<Finding>,
    /// Where upgrades of the packages of languages lead to, by purl: of the fifty that matter most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<Upgrade>,
    /// What the policy says.
    pub verdict: Verdict,
    /// How much of the image the inventory explains; null where that was not measured.
    pub coverage: Option<Coverage>,
    /// Everything executable, sorted by path; only where it was asked for, since each file must be hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executables: Option<Vec<ExecutableFile>>,
    /// The advisories that were asked.
    pub database: DatabaseInfo,
}

impl Report {
    /// Whether advisories were asked. A mere inventory has no findings because nobody looked for any: what it says as a
    /// verdict counts for nothing.
    #[must_use]
    pub const fn is_matched(&self) -> bool {
        self.advisory_coverage.is_some()
    }
}

/// The program that made a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `portcullis`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// As the user named it, in its canonical form.
    pub reference: String,
    /// The manifest's digest; null where the target has none (a directory, a Docker archive).
    pub digest: Option<Digest>,
    /// The index that the manifest was chosen from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_digest: Option<Digest>,
    /// The config's digest: what engines call the image's id.
    pub config_digest: Option<Digest>,
    /// What it runs on.
    pub platform: Option<Platform>,
    /// When it was built, as its config says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Its layers, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerInfo>,
    /// The image that it was built on, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseImage>,
    /// Its labels, sorted.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
}

impl Target {
    /// Something of which nothing is known but its name.
    #[must_use]
    pub fn named(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            digest: None,
            index_digest: None,
            config_digest: None,
            platform: None,
            created: None,
            layers: Vec::new(),
            base: None,
            labels: std::collections::BTreeMap::new(),
        }
    }

    /// Whether it is an image: those have a config, which a directory and a bill of materials have not.
    #[must_use]
    pub const fn is_image(&self) -> bool {
        self.config_digest.is_some()
    }

    /// The layers of the image that it was built on.
    #[must_use]
    pub fn base_layers(&self) -> &[LayerInfo] {
        let count = self.base.as_ref().map_or(0, |base| base.layers);
        self.layers.get(..count).unwrap_or_default()
    }
}

/// The image that another one was built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BaseImage {
    /// Its name, as the builder or the user said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its manifest's digest, as the builder or the user said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How many of the lowest layers are its.
    pub layers: usize,
    /// How that is known.
    pub known_by: BaseEvidence,
}

/// How the layers of a base image are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BaseEvidence {
    /// The user named the image, and its layers are the lowest of this one.
    Layers,
    /// Its history has a command in the middle, where the base image ended: a guess.
    History,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LayerInfo {
    /// The digest of the layer as it is stored; null where it is stored unpacked.
    pub digest: Option<Digest>,
    /// The digest of its uncompressed tar, as the config says.
    pub diff_id: Digest,
    /// The instruction that made it, from the image's history.
    pub created_by: Option<String>,
}

/// Operating system and processor, as OCI names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// What is in an image, and what could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inventory {
    /// Sorted by type, name, version and place.
    pub packages: Vec<Package>,
    /// Sorted by kind and place.
    pub warnings: Vec<Warning>,
}

/// How much of an image's executable content belongs to known packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Executable files: ELF and PE objects, WebAssembly, Java archives, and scripts with a `#!` line.
    pub executable_files: u64,
    /// Their bytes.
    pub executable_bytes: u64,
    /// Those that a known package owns.
    pub known_files: u64,
    /// Their bytes.
    pub known_bytes: u64,
    /// The paths of those that none owns, sorted.
    pub unknown: Vec<String>,
}

/// Of which packages the database's advisories speak. No data is not "no vulnerabilities".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryCoverage {
    /// Whether advisories speak of the distribution.
    pub distribution: DistributionCoverage,
    /// The ecosystems that were asked about its packages, sorted: `Debian:12`.
    pub ecosystems: Vec<String>,
    /// The last day on which its release gets fixes, past or future; null where that is not known.
    pub end_of_life: Option<Timestamp>,
    /// What no advisory in the database speaks of, sorted.
    pub uncovered: Vec<Uncovered>,
}

impl AdvisoryCoverage {
    /// What no advisory speaks of, as policies name it.
    #[must_use]
    pub fn uncovered_names(&self) -> Vec<String> {
        self.uncovered.iter().map(|uncovered| uncovered.what.clone()).collect()
    }
}

/// Whether advisories speak of an image's distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DistributionCoverage {
    /// There is none, nor a package of one.
    #[default]
    Absent,
    /// They do.
    Covered,
    /// The distribution is named, and they do not.
    Uncovered,
    /// There are packages of a distribution, and nothing says which.
    Unknown,
}

/// Packages that no advisory in the database speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Uncovered {
    /// Which: an ecosystem (`PyPI`), a kind that has none (`conda packages`), or a third party's
    /// (`deb packages by Docker`).
    pub what: String,
    /// How many there are.
    pub packages: u64,
}

/// An executable file of an image: a line of the executable manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutableFile {
    /// Path from the root of the image, without a leading slash.
    pub path: String,
    /// SHA-256 of its contents.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Permission bits, in octal: `0755`.
    pub mode: String,
    /// The layer that brought it (`diff_id`); null outside images.
    pub layer: Option<Digest>,
    /// purl of the package that it belongs to; null where none is known.
    pub owner: Option<String>,
}

/// The advisory database that a scan used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseInfo {
    /// Its digest.
    pub digest: Digest,
    /// The moment that its advisories speak of: the newest change in any of them.
    pub built: Timestamp,
    /// Whether it is the small one that is compiled into the program.
    #[serde(default)]
    pub starter: bool,
    /// What went into it, sorted by name.
    pub sources: Vec<DatabaseSource>,
}

/// One source of a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseSource {
    /// Such as `osv/PyPI`, `kev`, `epss`.
    pub name: String,
    /// How many records it gave.
    pub records: u64,
    /// Its newest change; null where it does not say.
    pub newest: Option<Timestamp>,
}
