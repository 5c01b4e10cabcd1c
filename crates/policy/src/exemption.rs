//! Exemptions: somebody with rights over the whole cluster lets something in for a while, and says why.
//!
//! They are documents of their own, apart from policies: so that whoever may grant them need not be who writes
//! policies, and so that a policy keeps its digest while one holds. Nothing in a namespace can grant one.

use portcullis_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ApiVersion, Metadata, Pattern, PolicyError, Problem};

/// The longest time that an exemption may hold from now: a year and a day.
const MAX_SECONDS: i64 = 366 * 86_400;
/// The longest time that breaking the glass may hold.
const MAX_BREAK_GLASS_SECONDS: i64 = 86_400;

/// An exemption as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExemptionDocument {
    /// The version of this schema.
    pub api_version: ApiVersion,
    /// What it is.
    pub kind: ExemptionKind,
    /// Its name, and what Kubernetes keeps beside it.
    pub metadata: Metadata,
    /// What is let in.
    pub spec: ExemptionSpec,
}

/// The one kind of document that grants an exemption.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExemptionKind {
    /// For a whole cluster.
    #[default]
    PolicyExemption,
}

/// What is let in, for how long, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExemptionSpec {
    /// The namespaces that it holds in, by name. Left out: all, which needs `images` or `breakGlass`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The images that it holds for, as patterns over canonical repository names. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Pattern>,
    /// The policies that it holds against, by name. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Why it is granted.
    pub reason: String,
    /// Who granted it.
    pub owner: String,
    /// The first moment at which it no longer holds.
    pub expires: Timestamp,
    /// An emergency: also what names no image and what no policy speaks of is let in. For a day at most.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

/// An exemption that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Its name.
    pub name: String,
    /// What is let in.
    pub spec: ExemptionSpec,
}

impl Exemption {
    /// Reads every exemption in `text`: YAML or JSON, several documents apart by `---`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and, where one is known, a hint. One that has expired is wrong.
    pub fn parse(text: &str, file: &str, now: Timestamp) -> Result<Vec<Self>, PolicyError> {
        crate::parse::exemptions(text, file, now)
    }

    /// Whether `text` holds one, so that [`Self::parse`] is meant for it and not [`crate::Policy::parse`].
    #[must_use]
    pub fn is_in(text: &str) -> bool {
        crate::parse::holds(text, &["PolicyExemption"])
    }

    /// What is wrong with it; empty for one that can be asked.
    #[must_use]
    pub fn check(&self, now: Timestamp) -> Vec<Problem> {
        let Self { name, spec } = self;
        let ExemptionSpec { namespaces, images, policies, reason, owner, expires, break_glass } = spec;
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: &str, hint: &str| problems.push(Problem::new(field, message, hint));
        if name.trim().is_empty() {
            wrong("metadata.name", "the exemption has no name", "the audit log calls it by its name");
        }
        if namespaces.is_empty() && images.is_empty() && !break_glass {
            let hint = "name some in `namespaces` or `images`; in an emergency say `breakGlass: true`";
            wrong("spec.namespaces", "an exemption from everything everywhere", hint);
        }
        for (field, names) in [("spec.namespaces", namespaces), ("spec.policies", policies)] {
            if names.iter().any(|name| name.trim().is_empty() || name.contains('*')) {
                wrong(field, "a name is empty or holds `*`", "name each one; there are no patterns here");
            }
        }
        if reason.trim().is_empty() {
            wrong("spec.reason", "an exemption without a reason", "say why: whoever reads the audit log will ask");
        }
        if owner.trim().is_empty() {
            wrong("spec.owner", "an exemption without an owner", "say who granted it");
        }
        let left = expires.seconds_since(now);
        if left > MAX_SECONDS {
            wrong("spec.expires", "an exemption for more than a year", "name a day within a year");
        }
        if *break_glass && left > MAX_BREAK_GLASS_SECONDS {
            wrong("spec.expires", "`breakGlass` for more than a day", "name a time within 24 hours, and renew it");
        }
        if left <= 0 {
            problems.push(Problem {
                field: "spec.expires".to_owned(),
                message: format!("the exemption has expired: {expires}"),
                hint: Some("remove it, or look at it again and give it a new date".to_owned()),
                expired: true,
            });
        }
        problems
    }

    /// Whether it holds at `now` for an image in a namespace against a policy. `image` is the canonical name of its
    /// repository; none where nothing names one. `policy` is none where no policy speaks.
    #[must_use]
    pub fn holds(&self, namespace: Option<&str>, image: Option<&str>, policy: Option<&str>, now: Timestamp) -> bool {
        let ExemptionSpec { namespaces, images, policies, reason: _, owner: _, expires, break_glass } = &self.spec;
        let in_namespace =
            namespaces.is_empty() || namespace.is_some_and(|name| namespaces.iter().any(|other| other == name));
        let of_image = match image {
            Some(name) => images.is_empty() || images.iter().any(|pattern| pattern.matches(name)),
            // What names no image is no image of a list.
            None => images.is_empty() && *break_glass,
        };
        let from_policy = match policy {
            Some(name) => policies.is_empty() || policies.iter().any(|other| other == name),
            None => *break_glass,
        };
        *expires > now && in_namespace && of_image && from_policy
    }

    /// As [`Self::holds`], for an object as a whole: its workload rules. One that names images holds if all of the
    /// object's are among them.
    #[must_use]
    pub fn holds_for_object(
        &self,
        namespace: Option<&str>,
        images: &[Option<String>],
        policy: &str,
        now: Timestamp,
    ) -> bool {
        if self.spec.images.is_empty() {
            return self.holds(namespace, Some(""), Some(policy), now);
        }
        !images.is_empty() && images.iter().all(|image| self.holds(namespace, image.as_deref(), Some(policy), now))
    }
}

impl From<ExemptionDocument> for Exemption {
    fn from(document: ExemptionDocument) -> Self {
        let ExemptionDocument { api_version: ApiVersion::V1Alpha1, kind: ExemptionKind::PolicyExemption, .. } =
            document;
        Self { name: document.metadata.name, spec: document.spec }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn exemption(spec: &str) -> Exemption {
        let text = format!("{{reason: a fix is under way, owner: security@team.example, {spec}}}");
        Exemption { name: "one".to_owned(), spec: serde_saphyr::from_str(&text).unwrap() }
    }

    fn problems(spec: &str) -> Vec<String> {
        exemption(spec).check(Timestamp::from_unix(NOW)).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn what_is_too_wide_or_too_long_is_refused() {
        let none: [&str; 0] = [];
        assert_eq!(problems("namespaces: [team], expires: 2027-02-01"), none);
        assert_eq!(problems("images: [registry.example/**], expires: 2027-02-01"), none);
        assert_eq!(problems("expires: 2027-02-01"), ["an exemption from everything everywhere"]);
        assert_eq!(problems("breakGlass: true, expires: 2027-01-16T07:00:00Z"), none);
        assert_eq!(problems("breakGlass: true, expires: 2027-01-16T09:00:00Z"), ["`breakGlass` for more than a day"]);
        assert_eq!(problems("namespaces: [team], expires: 2029-01-01"), ["an exemption for more than a year"]);
        assert_eq!(problems("namespaces: ['*'], expires: 2027-02-01"), ["a name is empty or holds `*`"]);
        let expired = exemption("namespaces: [team], expires: 2027-01-01").check(Timestamp::from_unix(NOW));
        assert!(expired.len() == 1 && expired[0].expired);
    }

    #[test]
    fn holds_for_what_it_names_until_it_ends() {
        let now = Timestamp::from_unix(NOW);
        let holds = |spec: &str, namespace, image, policy| exemption(spec).holds(namespace, image, policy, now);
        let (team, app, baseline) = (Some("team"), Some("registry.example/app"), Some("baseline"));
        let wide = "namespaces: [team], expires: 2027-02-01";
        assert!(holds(wide, team, app, baseline));
        assert!(!holds(wide, Some("other"), app, baseline));
        assert!(!holds(wide, None, app, baseline), "what has no namespace is in none of a list");
        assert!(!holds(wide, team, None, baseline), "a name that cannot be read needs breakGlass");
        assert!(!holds(wide, team, app, None), "what no policy speaks of needs breakGlass");
        assert!(!holds("namespaces: [team], expires: 2027-01-15T08:00:00Z", team, app, baseline));
        let narrow = "images: [registry.example/*], policies: [baseline], expires: 2027-02-01";
        assert!(holds(narrow, team, app, baseline));
        assert!(!holds(narrow, team, Some("registry.example/a/b"), baseline));
        assert!(!holds(narrow, team, app, Some("other")));
        assert!(holds("breakGlass: true, expires: 2027-01-16", team, None, None));
        let objects = |spec: &str, images: &[Option<&str>]| {
            let images: Vec<Option<String>> = images.iter().map(|image| image.map(ToOwned::to_owned)).collect();
            exemption(spec).holds_for_object(team, &images, "baseline", now)
        };
        assert!(objects(wide, &[app, None]));
        assert!(objects(narrow, &[app]));
        assert!(!objects(narrow, &[app, Some("other.example/x")]), "one image does not open the Pod of another");
        assert!(!objects(narrow, &[]));
    }
}
