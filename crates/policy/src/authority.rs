//! Who may vouch for an image: `evidence` of a policy.

use portcullis_model::Digest;
use serde::{Deserialize, Serialize};

use crate::{Age, Pattern};

/// Who may vouch, for what, and how fresh it must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceRules {
    /// Whose signature counts. One of them is enough, unless `threshold` says more.
    pub authorities: Vec<Authority>,
    /// How many of the authorities must each have signed a verdict that passed and is fresh. Left out: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub threshold: Option<u32>,
    /// What must be attested beside the verdict itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<EvidenceKind>,
    /// Of an index: the platforms whose images must be vouched for, such as `linux/amd64`. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// How old the verdict may be. Left out: any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Age>,
    /// The programs whose verdict counts (`verifier.id`). Left out: any that an authority signed for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifiers: Vec<String>,
    /// The policies whose verdict counts, by digest. Left out: any that an authority signed for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Digest>,
}

/// Someone whose signature counts: a `key`, or an `identity` with its `issuer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authority {
    /// A public key: PEM, or the path of a file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The subject of a certificate, exact or with `*` and `**`: an e-mail address or the URI of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Pattern>,
    /// The OIDC issuer that vouches for the identity, exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The programs for which this one may sign verdicts (`verifier.id`). Left out: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifiers: Vec<String>,
}

/// An [`Authority`], taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouching<'a> {
    /// A public key in PEM.
    InlineKey(&'a str),
    /// The path of a file that holds a public key in PEM.
    KeyFile(&'a str),
    /// Keyless.
    Identity {
        /// The subject of the certificate.
        identity: &'a Pattern,
        /// Its OIDC issuer.
        issuer: &'a str,
    },
}

impl Authority {
    /// What it vouches with; none where it is neither a key nor an identity with its issuer, which a checked policy
    /// does not hold.
    #[must_use]
    pub fn vouching(&self) -> Option<Vouching<'_>> {
        match (self.key.as_deref(), &self.identity, self.issuer.as_deref()) {
            (Some(key), None, None) if key.trim_start().starts_with("-----BEGIN ") => Some(Vouching::InlineKey(key)),
            (Some(key), None, None) if !key.trim().is_empty() => Some(Vouching::KeyFile(key)),
            (None, Some(identity), Some(issuer)) if !issuer.is_empty() => Some(Vouching::Identity { identity, issuer }),
            _ => None,
        }
    }
}

/// What can be attested of an image, beside the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Its findings.
    Vulnerabilities,
    /// Its inventory.
    Sbom,
}

impl EvidenceKind {
    /// The word, as the policy writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vulnerabilities => "vulnerabilities",
            Self::Sbom => "sbom",
        }
    }

    /// The type that `portcullis scan --attest` writes of this kind.
    #[must_use]
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::Vulnerabilities => "https://cosign.sigstore.dev/attestation/vuln/v1",
            Self::Sbom => "https://cyclonedx.org/bom",
        }
    }

    /// Whether an attestation of `predicate_type` is of this kind.
    ///
    /// Types: cosign's vulnerability record, in-toto's `vulns` in any 0.x version, SPDX and CycloneDX documents, with
    /// or without a version behind them.
    #[must_use]
    pub fn covers(self, predicate_type: &str) -> bool {
        let types: &[&str] = match self {
            Self::Vulnerabilities => {
                &["https://cosign.sigstore.dev/attestation/vuln/v1", "https://in-toto.io/attestation/vulns/"]
            }
            Self::Sbom => &["https://spdx.dev/Document", "https://cyclonedx.org/bom"],
        };
        types.iter().any(|known| {
            predicate_type.strip_prefix(known).is_some_and(|rest| {
                rest.is_empty() || (known.ends_with('/') && rest.starts_with('v')) || rest.starts_with("/v")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicate_types_are_not_prefixes_of_others() {
        for (kind, predicate_type, is_covered) in [
            (EvidenceKind::Vulnerabilities, "https://cosign.sigstore.dev/attestation/vuln/v1", true),
            (EvidenceKind::Vulnerabilities, "https://cosign.sigstore.dev/attestation/vuln/v12", false),
            (EvidenceKind::Vulnerabilities, "https://in-toto.io/attestation/vulns/v0.2", true),
            (EvidenceKind::Vulnerabilities, "https://in-toto.io/attestation/vulns/", true),
            (EvidenceKind::Sbom, "https://spdx.dev/Document/v2.3", true),
            (EvidenceKind::Sbom, "https://spdx.dev/Documents", false),
            (EvidenceKind::Sbom, "https://cyclonedx.org/bom", true),
            (EvidenceKind::Sbom, "https://in-toto.io/attestation/vulns/v0.2", false),
        ] {
            assert_eq!(kind.covers(predicate_type), is_covered, "{predicate_type}");
        }
    }
}
