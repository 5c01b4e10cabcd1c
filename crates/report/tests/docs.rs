//! `docs/reports.md` lists the formats that exist, and describes every field of the report.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_model::Report;
use portcullis_report::FORMATS;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/reports.md");

#[test]
fn table_is_the_registry() {
    let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4).collect();
    let expected: Vec<_> = FORMATS
        .iter()
        .map(|format| format!("| `{}` | {} | `{}` |", format.name(), format.describe(), format.media_type()))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_field_of_a_report_and_a_finding_is_described() {
    let schema: Value = schemars::schema_for!(Report).into();
    let finding = &schema["$defs"]["Finding"]["properties"];
    for fields in [&schema["properties"], finding] {
        for field in fields.as_object().unwrap().keys() {
            assert!(PAGE.contains(&format!("`{field}`")), "{field} is not in docs/reports.md");
        }
    }
}
