//! Pipelines are told as npm's `ci-info` tells them, a table that others wrote.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says what it skips")]

use std::path::PathBuf;

use portcullis_forge::pipelines::{detect, signs};
use serde_json::Value;

#[test]
fn systems_are_told_by_the_variables_that_others_tell_them_by() {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache =
        std::env::var_os("PORTCULLIS_CACHE").map_or_else(|| home.join(".cache/portcullis-tests"), PathBuf::from);
    let Ok(text) = std::fs::read(cache.join("npm/node_modules/ci-info/vendors.json")) else {
        assert!(std::env::var_os("CI").is_none(), "npm's ci-info is missing");
        println!("skipped: npm's ci-info is missing");
        return;
    };
    let vendors: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut compared = 0;
    for (name, _) in signs() {
        let Some(vendor) = vendors.iter().find(|vendor| vendor["name"] == name) else { continue };
        // One variable, several, or one with a value.
        let variables: Vec<(String, String)> = match &vendor["env"] {
            Value::String(variable) => vec![(variable.clone(), "true".into())],
            Value::Array(list) => list.iter().map(|name| (name.as_str().unwrap().to_owned(), "1".into())).collect(),
            Value::Object(map) => {
                map.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
            }
            other => panic!("{name}: {other}"),
        };
        let find = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        assert_eq!(detect(&find).map(|run| run.system).as_deref(), Some(name));
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn every_system_is_on_the_page() {
    let page = include_str!("../../../docs/ci.md");
    for (name, variable) in signs() {
        assert!(page.contains(&format!("| {name} | `{variable}`")), "{name} is not in docs/ci.md");
    }
}
