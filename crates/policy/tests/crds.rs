//! The committed custom resource definitions are those that the types give. `UPDATE_SCHEMA=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write as _, path::Path};

use portcullis_policy::custom_resource_definitions;
use serde_json::Value;

const HEAD: &str = "\
# The custom resources of Portcullis: policies, and exemptions from them. Made from the types of crates/policy;
# `portcullis policy schema --crd` prints them.
";

#[test]
fn committed_definitions_are_current() {
    let mut text = HEAD.to_owned();
    for (index, definition) in custom_resource_definitions().iter().enumerate() {
        let apart = if index == 0 { "" } else { "---\n" };
        write!(text, "{apart}{}", serde_saphyr::to_string(definition).unwrap()).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../webhook/manifests/crds.yaml");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, text, "run this test with UPDATE_SCHEMA=1, and look at what changed");
    let read: Vec<Value> = serde_saphyr::from_multiple(&committed).unwrap();
    assert_eq!(read, custom_resource_definitions(), "the text says what was meant");
}

/// What the API server demands of a structural schema, as far as it can be told without one.
#[test]
fn schemas_are_structural() {
    fn look(schema: &Value, path: &str) {
        let is_free = schema["x-kubernetes-preserve-unknown-fields"] == true;
        assert!(schema["type"].is_string() || is_free, "{path} has no type");
        for word in ["oneOf", "anyOf", "allOf", "$ref", "const", "nullable", "title"] {
            assert!(schema.get(word).is_none(), "{path} has {word}");
        }
        assert!(schema.get("additionalProperties").is_none() || schema.get("properties").is_none(), "{path}");
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            look(property, &format!("{path}.{name}"));
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                look(inner, &format!("{path}[]"));
            }
        }
    }
    for definition in custom_resource_definitions() {
        look(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "");
    }
}
