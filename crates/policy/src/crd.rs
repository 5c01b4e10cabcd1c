//! The custom resource definitions, made of the same types as the file's schema.
//!
//! A structural schema: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>.
//! What a schema cannot say is said in CEL; what neither can (that an expression parses, that an exception has not
//! expired) is said by the webhook when the object is written.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{ExemptionSpec, PolicySpec};

const GROUP: &str = "portcullis.dev";
const VERSION: &str = "v1alpha1";

/// Most entries of a list, and of a map. The API server bounds the cost of CEL rules by them.
const MAX_ITEMS: u64 = 1000;
const MAX_AUTHORITIES: u64 = 64;

/// The definitions of `ImagePolicy`, `ClusterImagePolicy` and `PolicyExemption`, in this order.
#[must_use]
pub fn custom_resource_definitions() -> Vec<Value> {
    let mut policy = structural(&schema_of::<PolicySpec>());
    let mut namespaced = policy.clone();
    rule(
        &mut namespaced,
        "",
        "!has(self.namespaceSelector)",
        "an ImagePolicy speaks of its own namespace: make it a ClusterImagePolicy to select namespaces",
    );
    policy_rules(&mut policy);
    policy_rules(&mut namespaced);
    let mut exemption = structural(&schema_of::<ExemptionSpec>());
    exemption_rules(&mut exemption);
    vec![
        definition("ImagePolicy", "imagepolicies", "Namespaced", &["imgpol"], namespaced, POLICY_COLUMNS),
        definition("ClusterImagePolicy", "clusterimagepolicies", "Cluster", &["cimgpol"], policy, POLICY_COLUMNS),
        definition("PolicyExemption", "policyexemptions", "Cluster", &["polex"], exemption, EXEMPTION_COLUMNS),
    ]
}

type Column = (&'static str, &'static str, &'static str);

const POLICY_COLUMNS: &[Column] = &[
    ("Mode", "string", ".spec.mode"),
    ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
    ("Reason", "string", ".status.conditions[?(@.type==\"Ready\")].reason"),
    ("Age", "date", ".metadata.creationTimestamp"),
];

const EXEMPTION_COLUMNS: &[Column] = &[
    ("Owner", "string", ".spec.owner"),
    ("Expires", "string", ".spec.expires"),
    ("Break glass", "boolean", ".spec.breakGlass"),
    ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
    ("Age", "date", ".metadata.creationTimestamp"),
];

fn definition(kind: &str, plural: &str, scope: &str, short: &[&str], spec: Value, columns: &[Column]) -> Value {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind, path)| json!({"name": name, "type": kind, "jsonPath": path})).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                "singular": kind.to_lowercase(), "shortNames": short, "categories": ["portcullis"],
            },
            "scope": scope,
            // One version is no conversion; a second one is added beside it, with a strategy.
            "conversion": {"strategy": "None"},
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": spec,
                        "status": status(),
                    },
                }},
            }],
        },
    })
}

/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>
fn status() -> Value {
    json!({
        "type": "object",
        "description": "What the webhook makes of it.",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "digest": {"type": "string", "description": "The digest of the rules, as verdicts carry it."},
            "conditions": {
                "type": "array",
                "maxItems": 8,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                    "properties": {
                        "type": {"type": "string", "maxLength": 316},
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                        "observedGeneration": {"type": "integer", "format": "int64"},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                        "reason": {"type": "string", "maxLength": 1024},
                        "message": {"type": "string", "maxLength": 32768},
                    },
                },
            },
        },
    })
}

fn policy_rules(schema: &mut Value) {
    // Written out, so that `kubectl get` shows it.
    if let Some(mode) = at(schema, "mode") {
        mode["default"] = "enforce".into();
    }
    rule(
        schema,
        "evidence.authorities[]",
        "(has(self.key) && !has(self.identity) && !has(self.issuer)) || \
         (!has(self.key) && has(self.identity) && has(self.issuer))",
        "name a `key`, or an `identity` with its `issuer`",
    );
    rule(
        schema,
        "evidence.authorities[]",
        "!has(self.key) || self.key.contains('-----BEGIN ')",
        "write the PEM itself in `key`: a path means nothing in a cluster",
    );
    bound(schema, "evidence.authorities", "minItems", 1);
    bound(schema, "evidence.authorities", "maxItems", MAX_AUTHORITIES);
    bound(schema, "images", "minItems", 1);
    rule(
        schema,
        "exceptions[]",
        "!self.id.contains('*') && self.id != ''",
        "name one vulnerability in `id`, such as CVE-2026-1234: an exception is for what somebody looked at",
    );
    for field in ["exceptions[].reason", "exceptions[].owner", "rules[].name"] {
        bound(schema, field, "minLength", 1);
    }
    rule(
        schema,
        "namespaceSelector.matchExpressions[]",
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "`In` and `NotIn` need `values`; `Exists` and `DoesNotExist` take none",
    );
}

fn exemption_rules(schema: &mut Value) {
    for field in ["reason", "owner"] {
        bound(schema, field, "minLength", 1);
    }
    rule(
        schema,
        "",
        "(has(self.namespaces) && size(self.namespaces) > 0) || (has(self.images) && size(self.images) > 0) || \
         (has(self.breakGlass) && self.breakGlass)",
        "name some in `namespaces` or `images`; in an emergency say `breakGlass: true`",
    );
}

/// The part of a schema that describes `path`: fields apart by dots, `[]` for the entries of a list.
fn at<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut here = schema;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, is_entry) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        here = here.get_mut("properties")?.get_mut(name)?;
        if is_entry {
            here = here.get_mut("items")?;
        }
    }
    Some(here)
}

fn rule(schema: &mut Value, path: &str, expression: &str, message: &str) {
    let Some(Value::Object(here)) = at(schema, path) else { return };
    let rules = here.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(json!({"rule": expression, "message": message}));
    }
}

fn bound(schema: &mut Value, path: &str, word: &str, value: u64) {
    if let Some(Value::Object(here)) = at(schema, path) {
        here.insert(word.to_owned(), value.into());
    }
}

fn schema_of<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// A JSON Schema as a structural schema: one type a value, no alternatives, words of an enum as `enum`, and bounds.
fn structural(schema: &Value) -> Value {
    let mut out = Map::new();
    let words = |value: &Value| value.get("oneOf").or_else(|| value.get("anyOf")).and_then(Value::as_array).cloned();
    if let Some(alternatives) = words(schema) {
        let mut constants = Vec::new();
        let mut others = Vec::new();
        for alternative in &alternatives {
            match (alternative.get("const"), alternative.get("enum").and_then(Value::as_array)) {
                (Some(word), _) => constants.push(word.clone()),
                (None, Some(words)) if words.iter().all(Value::is_string) => constants.extend(words.iter().cloned()),
                // `null` beside a type: the field is left out then.
                (None, Some(_)) => {}
                (None, None) => others.push(alternative),
            }
        }
        if let [only] = others.as_slice() {
            return described(structural(only), schema);
        }
        out.insert("type".into(), "string".into());
        out.insert("enum".into(), constants.into());
        return described(Value::Object(out), schema);
    }
    if let Some(only) = schema.get("allOf").and_then(Value::as_array).and_then(|all| all.first()) {
        return described(structural(only), schema);
    }
    for word in ["description", "pattern", "minLength", "maxLength", "minimum", "maximum", "enum", "minItems"] {
        if let Some(value) = schema.get(word) {
            out.insert(word.into(), value.clone());
        }
    }
    // A default of the type holds where the field is left out; `null` is none.
    if let Some(value) = schema.get("default").filter(|value| value.is_string() || value.is_boolean()) {
        out.insert("default".into(), value.clone());
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().find(|kind| **kind != "null").cloned(),
        other => other.cloned(),
    };
    match kind.as_ref().and_then(Value::as_str) {
        Some("object") => object(schema, &mut out),
        Some("array") => {
            out.insert("items".into(), schema.get("items").map_or_else(|| json!({"type": "string"}), structural));
            out.insert("maxItems".into(), MAX_ITEMS.into());
        }
        Some("integer") => {
            out.insert("format".into(), "int64".into());
        }
        Some("string") => {
            if schema.get("format").is_some_and(|format| format == "date-time") {
                // `2027-01-31` is a time, too.
                out.insert("pattern".into(), r"^\d{4}-\d{2}-\d{2}([Tt ].+)?$".into());
                out.insert("maxLength".into(), 64.into());
            }
            out.entry("maxLength").or_insert_with(|| 16_384.into());
        }
        Some(_) => {}
        // Anything at all: parameters of rules.
        None => {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
    }
    if let Some(kind) = kind {
        out.insert("type".into(), kind);
    }
    Value::Object(out)
}

fn object(schema: &Value, out: &mut Map<String, Value>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let properties: Map<String, Value> =
            properties.iter().map(|(name, value)| (name.clone(), structural(value))).collect();
        out.insert("properties".into(), properties.into());
        if let Some(required) = schema.get("required").filter(|names| names.as_array().is_some_and(|n| !n.is_empty())) {
            out.insert("required".into(), required.clone());
        }
        return;
    }
    match schema.get("additionalProperties") {
        Some(values) if values.is_object() && values.as_object().is_some_and(|values| !values.is_empty()) => {
            out.insert("additionalProperties".into(), structural(values));
            out.insert("maxProperties".into(), MAX_ITEMS.into());
        }
        _ => {
            out.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
    }
}

/// `schema` with the outer description and default, which speak of this very field.
fn described(mut schema: Value, outer: &Value) -> Value {
    for word in ["description", "default"] {
        if let Some(text) = outer.get(word).filter(|value| value.is_string()) {
            schema[word] = text.clone();
        }
    }
    schema
}
