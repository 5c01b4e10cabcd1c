//! The policy document: `ImagePolicy` and `ClusterImagePolicy`, as a file or as a custom resource.

use std::collections::BTreeMap;

use portcullis_model::{Digest, PolicyRef, SeverityLevel, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{FailOn, Mode, PolicyError, PolicySpec, Problem, VulnerabilityRules, canonical::canonical_json};

/// A policy as it is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// The version of this schema.
    pub api_version: ApiVersion,
    /// Whether it speaks for a namespace or for a cluster.
    pub kind: PolicyKind,
    /// Its name, and what Kubernetes keeps beside it.
    pub metadata: Metadata,
    /// What is acceptable.
    pub spec: PolicySpec,
}

/// The versions of the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ApiVersion {
    /// The first.
    #[default]
    #[serde(rename = "portcullis.dev/v1alpha1")]
    V1Alpha1,
}

/// Whom a policy speaks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PolicyKind {
    /// A namespace, or a pipeline.
    #[default]
    ImagePolicy,
    /// A whole cluster.
    ClusterImagePolicy,
}

impl PolicyKind {
    /// The word, as the document writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImagePolicy => "ImagePolicy",
            Self::ClusterImagePolicy => "ClusterImagePolicy",
        }
    }
}

/// The part of Kubernetes' object metadata that a file may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The policy's name.
    pub name: String,
    /// The namespace that an `ImagePolicy` belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A policy that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Whom it speaks for.
    pub kind: PolicyKind,
    /// Its name.
    pub name: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// What is acceptable.
    pub spec: PolicySpec,
}

impl Policy {
    /// Reads every policy in `text`: YAML or JSON, several documents apart by `---`. `file` is what errors call it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and, where one is known, a hint: a field that does not exist, an
    /// exception that has expired by `now`, a pattern or an expression that cannot be read, no policy at all.
    pub fn parse(text: &str, file: &str, now: Timestamp) -> Result<Vec<Self>, PolicyError> {
        crate::parse::parse(text, file, now)
    }

    /// What is wrong with it; empty for one that can be asked. A [`Policy`] that was parsed is checked already; one
    /// that came as a custom resource is not.
    #[must_use]
    pub fn check(&self, now: Timestamp) -> Vec<Problem> {
        crate::check::check(self, now)
    }

    /// The policy of `--fail-on LEVEL` and `--ignore-unfixed`, where no file is given.
    #[must_use]
    pub fn default_with(fail_on: SeverityLevel, ignore_unfixed: bool) -> Self {
        let vulnerabilities = VulnerabilityRules {
            fail_on: FailOn::from(fail_on),
            only_fixed: ignore_unfixed,
            ..VulnerabilityRules::default()
        };
        Self {
            kind: PolicyKind::ImagePolicy,
            name: "command-line".to_owned(),
            namespace: None,
            spec: PolicySpec { vulnerabilities: Some(vulnerabilities), ..PolicySpec::default() },
        }
    }

    /// SHA-256 of [`Self::canonical_json`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical_json().as_bytes())
    }

    /// What the digest is made over: the version of the schema and the spec, keys sorted, no spaces, absent fields
    /// left out. The same rules have the same digest wherever they are kept and whatever they are called.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Judged<'a> {
            api_version: ApiVersion,
            spec: &'a PolicySpec,
        }
        canonical_json(&Judged { api_version: ApiVersion::V1Alpha1, spec: &self.spec })
    }

    /// Its name, digest and mode, as a verdict carries them.
    #[must_use]
    pub fn reference(&self) -> PolicyRef {
        PolicyRef { name: self.name.clone(), digest: self.digest(), audit: self.spec.mode == Mode::Audit }
    }

    /// Whether it speaks of the image `canonical_name`, such as `registry.example/team/app`; a tag or digest behind
    /// the name does not matter.
    #[must_use]
    pub fn applies_to(&self, canonical_name: &str) -> bool {
        let name = repository(canonical_name);
        self.spec.images.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }

    /// The document to write down.
    #[must_use]
    pub fn document(&self) -> Document {
        Document {
            api_version: ApiVersion::V1Alpha1,
            kind: self.kind,
            metadata: Metadata { name: self.name.clone(), namespace: self.namespace.clone(), ..Metadata::default() },
            spec: self.spec.clone(),
        }
    }
}

impl From<Document> for Policy {
    fn from(document: Document) -> Self {
        let Document { api_version: ApiVersion::V1Alpha1, kind, metadata, spec } = document;
        let Metadata { name, namespace, labels: _, annotations: _ } = metadata;
        Self { kind, name, namespace, spec }
    }
}

/// An image's name without its tag and digest.
pub(crate) fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((before, tag)) if !tag.contains('/') => before,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_is_the_repository_without_its_tag() {
        let mut policy = Policy::default_with(SeverityLevel::High, false);
        assert!(policy.applies_to("docker.io/library/nginx"));
        policy.spec.images = Some(vec!["localhost:5000/team/*".parse().unwrap()]);
        for name in ["localhost:5000/team/app", "localhost:5000/team/app:1.2", "localhost:5000/team/app:1@sha256:00"] {
            assert!(policy.applies_to(name), "{name}");
        }
        for name in ["localhost:5000/team", "localhost/team/app", "localhost:5000/team/a/b:1", ""] {
            assert!(!policy.applies_to(name), "{name}");
        }
    }

    #[test]
    fn digest_is_of_the_rules_alone() {
        let high = Policy::default_with(SeverityLevel::High, true);
        let mut renamed = high.clone();
        renamed.name = "other".to_owned();
        renamed.kind = PolicyKind::ClusterImagePolicy;
        assert_eq!(high.digest(), renamed.digest());
        assert_ne!(high.digest(), Policy::default_with(SeverityLevel::High, false).digest());
        expect_test::expect![[
            r#"{"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","unknown":"deny","vulnerabilities":{"failOn":"high","onlyFixed":true}}}"#
        ]]
        .assert_eq(&high.canonical_json());
    }
}
