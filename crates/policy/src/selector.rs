//! Label selectors, as Kubernetes writes them.
//!
//! Format: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which labels an object must have: all that is said here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What is required of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRequirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// With what: for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LabelOperator {
    /// It is there, with one of the values.
    In,
    /// It is not there, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether an object with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let Self { match_labels, match_expressions } = self;
        match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl LabelRequirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let is_one = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => is_one,
            LabelOperator::NotIn => !is_one,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }

    /// What is wrong with it, and what to do.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let takes_values = matches!(self.operator, LabelOperator::In | LabelOperator::NotIn);
        if self.key.trim().is_empty() {
            return Some(("a requirement of no label", "name a label in `key`"));
        }
        match (takes_values, self.values.is_empty()) {
            (true, true) => Some(("`In` and `NotIn` without values", "name some in `values`, or write `Exists`")),
            (false, false) => Some(("`Exists` and `DoesNotExist` take no values", "leave `values` out, or write `In`")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector: LabelSelector = serde_saphyr::from_str(selector).unwrap();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        selector.matches(&labels)
    }

    #[test]
    fn selects_as_kubernetes_does() {
        assert!(matches("{}", &[]), "an empty selector means all");
        assert!(matches("{matchLabels: {a: b}}", &[("a", "b"), ("c", "d")]));
        assert!(!matches("{matchLabels: {a: b}}", &[("a", "c")]));
        for (operator, values, yes, no) in [
            ("In", "[b, c]", &[("a", "c")][..], &[("a", "d")][..]),
            ("In", "[b]", &[("a", "b")], &[]),
            ("NotIn", "[b]", &[("a", "c")], &[("a", "b")]),
            // A label that is missing is in no list.
            ("NotIn", "[b]", &[], &[("a", "b")]),
            ("Exists", "[]", &[("a", "")], &[]),
            ("DoesNotExist", "[]", &[], &[("a", "")]),
        ] {
            let selector = format!("{{matchExpressions: [{{key: a, operator: {operator}, values: {values}}}]}}");
            assert!(matches(&selector, yes), "{selector}");
            assert!(!matches(&selector, no), "{selector}");
        }
        assert!(!matches("{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}", &[("a", "b")]));
    }
}
