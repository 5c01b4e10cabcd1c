//! Policies and exemptions as a cluster keeps them: objects, not text.
//!
//! What is wrong is told by the field, since there are no lines. An exception that has expired does not make a policy
//! of a cluster useless: [`crate::apply_exceptions`] leaves it out.

use portcullis_model::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Document, Exemption, ExemptionDocument, MAX_POLICY_BYTES, Policy, Problem, Vouching,
    locate::Node,
    parse::{from_yaml, options},
};

/// The group and version of the custom resources.
pub const GROUP_VERSION: &str = "portcullis.dev/v1alpha1";

impl Policy {
    /// Reads a custom resource. What Kubernetes keeps beside the policy (`status`, most of `metadata`) is passed over.
    ///
    /// # Errors
    /// Everything that is wrong with it but exceptions that time alone has ended.
    pub fn from_resource(object: &Value, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let policy = Self::from(read::<Document>(object).map_err(|problem| vec![problem])?);
        let mut problems: Vec<Problem> = policy.check(now).into_iter().filter(|problem| !problem.expired).collect();
        let authorities = policy.spec.evidence.iter().flat_map(|evidence| &evidence.authorities).enumerate();
        for (index, _) in authorities.filter(|(_, one)| matches!(one.vouching(), Some(Vouching::KeyFile(_)))) {
            let field = format!("spec.evidence.authorities[{index}].key");
            problems.push(Problem::new(field, "a path means nothing in a cluster", "write the PEM itself"));
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

impl Exemption {
    /// Reads a custom resource, as [`Policy::from_resource`] does. One that has expired is read: it never holds.
    ///
    /// # Errors
    /// Everything that is wrong with it but that it has expired.
    pub fn from_resource(object: &Value, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let exemption = Self::from(read::<ExemptionDocument>(object).map_err(|problem| vec![problem])?);
        let problems: Vec<Problem> = exemption.check(now).into_iter().filter(|problem| !problem.expired).collect();
        if problems.is_empty() { Ok(exemption) } else { Err(problems) }
    }
}

/// The objects in what `kubectl get -o yaml` or `-o json` wrote: a list, or single objects that the API server has stored.
/// None for what somebody wrote.
pub(crate) fn stored(text: &str) -> Option<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options()).ok()?;
    let mut objects = Vec::new();
    for mut document in documents {
        let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => objects.extend(items),
            _ if document.pointer("/metadata/uid").is_some() => objects.push(document),
            _ => return None,
        }
    }
    Some(objects).filter(|objects| !objects.is_empty())
}

/// Whether an object is of one of these kinds of ours.
pub(crate) fn is_of(object: &Value, kinds: &[&str]) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion") == GROUP_VERSION && kinds.contains(&text("kind"))
}

fn read<D: DeserializeOwned>(object: &Value) -> Result<D, Problem> {
    let field = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    let mut metadata = json!({"name": field("/metadata/name")});
    if let Some(namespace) = object.pointer("/metadata/namespace") {
        metadata["namespace"] = namespace.clone();
    }
    let mut document = json!({"apiVersion": field("/apiVersion"), "kind": field("/kind"), "metadata": metadata});
    if let Some(spec) = object.get("spec") {
        document["spec"] = spec.clone();
    }
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    if text.len() > MAX_POLICY_BYTES {
        let message = format!("a policy of {} bytes; the limit is {MAX_POLICY_BYTES}", text.len());
        return Err(Problem::new("spec", message, "split the policy by `images`"));
    }
    serde_json::from_value(document).map_err(|error| explained::<D>(&text, &error))
}

/// The same in the words that a file gets, which know what was meant. JSON is YAML, with a line for each field.
fn explained<D: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Problem {
    let Err(yaml) = serde_saphyr::from_str_with_options::<D>(text, options()) else {
        let field = "spec".to_owned();
        return Problem { field, message: error.to_string(), hint: None, expired: false };
    };
    let told = from_yaml(&yaml, "");
    let nodes = serde_saphyr::from_str_with_options::<Node>(text, options()).ok();
    let field = told.place.and_then(|(line, _)| nodes?.field_at(line)).unwrap_or_else(|| "spec".to_owned());
    Problem { field, message: told.message, hint: told.hint, expired: false }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(spec: Value, expected: Expect) {
        let object = json!({
            "apiVersion": GROUP_VERSION, "kind": "ClusterImagePolicy",
            "metadata": {"name": "baseline", "uid": "1", "resourceVersion": "7", "managedFields": []},
            "spec": spec, "status": {"conditions": []},
        });
        let text = match Policy::from_resource(&object, Timestamp::from_unix(1_800_000_000)) {
            Ok(policy) => policy.canonical_json(),
            Err(problems) => {
                let lines = problems.iter().map(|problem| {
                    format!("{}: {} ({})\n", problem.field, problem.message, problem.hint.as_deref().unwrap_or("-"))
                });
                lines.collect()
            }
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn what_a_cluster_has_stored_reads_as_a_file() {
        let object = |kind: &str, name: &str, spec: Value| {
            json!({"apiVersion": GROUP_VERSION, "kind": kind, "spec": spec, "status": {},
                "metadata": {"name": name, "uid": "1", "resourceVersion": "7", "generation": 1}})
        };
        let policy = object("ClusterImagePolicy", "one", json!({"mode": "audit"}));
        let grant = json!({"namespaces": ["a"], "reason": "r", "owner": "o", "expires": "2027-01-31"});
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""},
            "items": [policy, object("PolicyExemption", "two", grant)]});
        let now = Timestamp::from_unix(1_800_000_000);
        let text = serde_saphyr::to_string(&list).unwrap();
        let names = |policies: Vec<Policy>| policies.into_iter().map(|policy| policy.name).collect::<Vec<_>>();
        assert_eq!(names(Policy::parse(&text, "f", now).unwrap()), ["one"]);
        assert_eq!(names(Policy::parse(&list["items"][0].to_string(), "f", now).unwrap()), ["one"]);
        assert_eq!(Exemption::parse(&text, "f", now).unwrap()[0].name, "two");
        let bad = object("ClusterImagePolicy", "bad", json!({"mode": "shout"}));
        let error = Policy::parse(&json!({"kind": "List", "items": [bad]}).to_string(), "f", now).unwrap_err();
        assert_eq!(error.to_string(), "f: ClusterImagePolicy `bad`: spec.mode: unknown value `shout`");
    }

    #[test]
    fn problems_are_told_by_their_field() {
        check(
            json!({"vulnerabilities": {"failOn": "high"}, "namespaceSelector": {"matchLabels": {"a": "b"}}}),
            expect![[
                r#"{"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","namespaceSelector":{"matchLabels":{"a":"b"}},"unknown":"deny","vulnerabilities":{"failOn":"high"}}}"#
            ]],
        );
        check(
            json!({"exceptions": [{"id": "CVE-1", "reason": "r", "owner": "o", "expires": "2020-01-01"}]}),
            expect![[
                r#"{"apiVersion":"portcullis.dev/v1alpha1","spec":{"exceptions":[{"expires":"2020-01-01T00:00:00Z","id":"CVE-1","owner":"o","reason":"r"}],"mode":"enforce","unknown":"deny"}}"#
            ]],
        );
        check(
            json!({"mode": "audit", "vulnerabilities": {"failon": "high"}}),
            expect![[r#"
            spec.vulnerabilities.failon: unknown field `failon` (did you mean `failOn`?)
        "#]],
        );
        check(
            json!({"vulnerabilities": {"failOn": "hihg"}}),
            expect![[r#"
            spec.vulnerabilities.failOn: unknown value `hihg` (did you mean `high`?)
        "#]],
        );
        check(
            json!({"images": ["nginx"], "rules": [{"name": "r", "expression": "1 +"}]}),
            expect![[r#"
            spec.images[0]: `nginx` names no registry (write `docker.io/library/nginx`)
            spec.rules[0].expression: rule `r`: it cannot be parsed: Syntax error: mismatched input '<EOF>' expecting expression (column 4) (it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md)
        "#]],
        );
        check(
            json!({"exceptions": [{"id": "CVE-1", "reason": "r", "owner": 7}]}),
            expect![[r#"
            spec: invalid type: integer `7`, expected a string (-)
        "#]],
        );
        check(
            json!(7),
            expect![[r#"
            spec: fields are expected here (`name: value`) (-)
        "#]],
        );
        let requirement = json!({"key": "a", "operator": "In"});
        check(
            json!({"namespaceSelector": {"matchExpressions": [requirement]}}),
            expect![[r#"
            spec.namespaceSelector.matchExpressions[0]: `In` and `NotIn` without values (name some in `values`, or write `Exists`)
        "#]],
        );
        check(
            json!({"evidence": {"authorities": [{"key": "/etc/passwd"}]}}),
            expect![[r#"
            spec.evidence.authorities[0].key: a path means nothing in a cluster (write the PEM itself)
        "#]],
        );
    }
}
