//! `docs/policy.md` shows policies that can be asked, and describes every field.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_model::Timestamp;
use portcullis_policy::{Cases, Document, Policy};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/policy.md");

#[test]
fn every_example_parses() {
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let blocks: Vec<_> = PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6);
    for block in blocks {
        if block.starts_with("cases:") {
            assert!(Cases::parse(block, "docs/policy.md").is_ok_and(|parsed| parsed.cases.len() > 2), "{block}");
            continue;
        }
        let text = if block.starts_with("apiVersion") {
            block.to_owned()
        } else {
            let spec: String = block.lines().map(|line| format!("  {line}\n")).collect();
            format!(
                "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: example}}\nspec:\n{spec}"
            )
        };
        if let Err(error) = Policy::parse(&text, "docs/policy.md", now) {
            panic!("{error}\n{block}");
        }
    }
}

#[test]
fn every_field_is_described() {
    let schema: Value = schemars::schema_for!(Document).into();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        // Kubernetes describes its own metadata.
        if name == "Metadata" {
            continue;
        }
        for field in definition["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(PAGE.contains(&format!("`{field}`")), "{name}.{field} is not in docs/policy.md");
        }
    }
}
