//! The committed JSON Schema of the report is the one that the types give. `UPDATE_SCHEMA=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use portcullis_model::Report;
use serde_json::{Value, json};

#[test]
fn committed_schema_is_current() {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".to_owned(), json!("https://portcullis.dev/schema/report-v1.json"));
    schema.insert("title".to_owned(), json!("A report of Portcullis, version 1"));
    let current: Value = schema.into();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/report-v1.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&current).unwrap())).unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(committed, current, "run this test with UPDATE_SCHEMA=1, and look at what changed");
}
