//! `docs/matching.md` lists the distributions that are known; `UPDATE_DOCS=1` writes the table anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis_matching::{DISTRIBUTIONS, Filed, Names};

const BEGIN: &str = "<!-- distributions -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_table_of_distributions_is_the_code_s() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/matching.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let mut expected = "| `ID` | packages | for `VERSION_ID` | ecosystem | by the name of | support ends |\n|---|---|---|---|---|---|\n".to_owned();
    for rule in DISTRIBUTIONS {
        let ids: Vec<_> = rule.ids.iter().map(|id| format!("`{id}`")).collect();
        let (version, ecosystem) = rule.example;
        let many = if matches!(rule.filed, Filed::Family(..)) { " and others" } else { "" };
        let names = match rule.names {
            Names::Source => "the source",
            Names::Either => "the source, or the package",
        };
        let version = if version.is_empty() { "any".to_owned() } else { format!("`{version}`") };
        let ends = if rule.ends.is_empty() { "not known" } else { "known" };
        expected.push_str(&format!(
            "| {} | {} | {version} | `{ecosystem}`{many} | {names} | {ends} |\n",
            ids.join(", "),
            rule.kind
        ));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, expected, "run the test with UPDATE_DOCS=1");
}
