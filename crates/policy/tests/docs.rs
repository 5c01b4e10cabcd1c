//! `docs/policy.md` shows policies that can be asked, and describes every field.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_model::Timestamp;
use portcullis_policy::{Cases, Document, Exemption, ExemptionDocument, Policy};
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
        let parsed = match text.contains("kind: PolicyExemption") {
            true => Exemption::parse(&text, "docs/policy.md", now).map(|_| ()),
            false => Policy::parse(&text, "docs/policy.md", now).map(|_| ()),
        };
        if let Err(error) = parsed {
            panic!("{error}\n{block}");
        }
    }
}

#[test]
fn every_field_is_described() {
    let schemas: [Value; 2] = [schemars::schema_for!(Document).into(), schemars::schema_for!(ExemptionDocument).into()];
    for (name, definition) in schemas.iter().flat_map(|schema| schema["$defs"].as_object().unwrap()) {
        // Kubernetes describes its own metadata.
        if name == "Metadata" {
            continue;
        }
        for field in definition["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(PAGE.contains(&format!("`{field}`")), "{name}.{field} is not in docs/policy.md");
        }
    }
}
