//! The small database that is compiled into the program, so that a first run needs no download.
//!
//! `starter.tsv` beside this file is the table: one line for each package that a vulnerability affects. It holds
//! facts alone; the titles are made here, from the kind of weakness.

use std::collections::BTreeMap;

use portcullis_model::{DatabaseInfo, DatabaseSource, Digest, Timestamp};
use serde_json::{Value, json};

use crate::{
    builder::{BuildError, Builder},
    database::Database,
};

/// The table: `id, published, cvss, kev, cwe, ecosystem, package, introduced, fixed`, tab-separated.
pub const STARTER_TABLE: &str = include_str!("starter.tsv");

/// Builds the starter database; takes a few milliseconds.
///
/// # Errors
/// Never for the table that is compiled in: a test builds it.
pub fn build_starter() -> Result<Database, BuildError> {
    let mut builder = Builder::new().starter();
    for (id, rows) in rows() {
        if rows.iter().any(|row| row.exploited) {
            builder.add_exploited(id);
        }
        let record = record(id, &rows).to_string();
        builder.add_record("starter", id, record.as_bytes());
    }
    let (bytes, _) = builder.build()?;
    Database::from_bytes(bytes).map_err(|_error| BuildError::Empty)
}

/// What [`build_starter`]'s database says of itself, without building it; a test holds it against that.
#[must_use]
pub fn starter_info() -> DatabaseInfo {
    const DIGEST: [u8; 32] = [
        0xb7, 0xd5, 0x0c, 0xe5, 0x60, 0xb3, 0x96, 0xb7, 0xab, 0xaa, 0x91, 0xa2, 0x05, 0xa4, 0x61, 0x0b, 0x45, 0x01,
        0xad, 0xa4, 0x76, 0xb1, 0x64, 0xc3, 0xbf, 0x74, 0x89, 0x41, 0xc2, 0x59, 0x16, 0xf2,
    ];
    // 2026-07-13.
    let built = Timestamp::from_unix(1_783_900_800);
    let source = DatabaseSource { name: "starter".into(), records: 532, newest: Some(built) };
    DatabaseInfo { digest: Digest::from_bytes(DIGEST), built, starter: true, sources: vec![source] }
}

struct Row {
    published: &'static str,
    cvss: &'static str,
    exploited: bool,
    cwe: &'static str,
    ecosystem: &'static str,
    package: &'static str,
    introduced: &'static str,
    fixed: &'static str,
}

/// The table's rows by id. A line that has not all its fields is a comment.
fn rows() -> BTreeMap<&'static str, Vec<Row>> {
    let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for line in STARTER_TABLE.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, published, cvss, kev, cwe, ecosystem, package, introduced, fixed] = fields[..] else { continue };
        let row = Row { published, cvss, exploited: kev == "kev", cwe, ecosystem, package, introduced, fixed };
        rows.entry(id).or_default().push(row);
    }
    rows
}

/// The rows of one id as an OSV record.
fn record(id: &str, rows: &[Row]) -> Value {
    let first = rows.first();
    let (cwe, cvss) = first.map_or(("", ""), |row| (row.cwe, row.cvss));
    let affected: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut events = vec![json!({"introduced": if row.introduced.is_empty() { "0" } else { row.introduced }})];
            if !row.fixed.is_empty() {
                events.push(json!({"fixed": row.fixed}));
            }
            let ranges = json!([{"type": "ECOSYSTEM", "events": events}]);
            json!({"package": {"ecosystem": row.ecosystem, "name": row.package}, "ranges": ranges})
        })
        .collect();
    let kind = if cvss.starts_with("CVSS:4") { "CVSS_V4" } else { "CVSS_V3" };
    let severity = if cvss.is_empty() { json!([]) } else { json!([{"type": kind, "score": cvss}]) };
    let published = first.map_or("", |row| row.published);
    json!({
        "id": id,
        "published": published,
        "modified": published,
        "summary": title(cwe, first.map_or("", |row| row.package)),
        "severity": severity,
        "affected": affected,
        "references": [{"type": "ADVISORY", "url": format!("https://nvd.nist.gov/vuln/detail/{id}")}],
        "database_specific": {"cwe_ids": if cwe.is_empty() { vec![] } else { vec![cwe] }},
    })
}

/// What goes wrong, in a few words, by kind of weakness.
fn title(cwe: &str, package: &str) -> String {
    let what = match cwe {
        "CWE-20" => "Improper input validation",
        "CWE-22" | "CWE-23" | "CWE-36" | "CWE-59" => "Path traversal",
        "CWE-74" | "CWE-75" | "CWE-77" | "CWE-78" | "CWE-88" => "Command injection",
        "CWE-79" | "CWE-80" => "Cross-site scripting",
        "CWE-89" => "SQL injection",
        "CWE-94" | "CWE-95" => "Code injection",
        "CWE-113" | "CWE-93" => "Header injection",
        "CWE-119" | "CWE-120" | "CWE-121" | "CWE-122" | "CWE-787" => "Out-of-bounds write",
        "CWE-125" | "CWE-126" => "Out-of-bounds read",
        "CWE-190" | "CWE-191" => "Integer overflow",
        "CWE-200" | "CWE-201" | "CWE-522" => "Information leak",
        "CWE-269" | "CWE-284" | "CWE-285" | "CWE-862" | "CWE-863" => "Missing access control",
        "CWE-287" | "CWE-288" | "CWE-306" | "CWE-347" => "Authentication bypass",
        "CWE-295" => "Improper certificate validation",
        "CWE-352" => "Cross-site request forgery",
        "CWE-362" => "Race condition",
        "CWE-400" | "CWE-770" | "CWE-407" => "Resource exhaustion",
        "CWE-1333" => "Regular expression denial of service",
        "CWE-415" | "CWE-416" => "Use after free",
        "CWE-444" => "Request smuggling",
        "CWE-476" => "Null dereference",
        "CWE-502" => "Deserialization of untrusted data",
        "CWE-506" => "Embedded malicious code",
        "CWE-601" => "Open redirect",
        "CWE-611" => "XML external entity",
        "CWE-835" => "Endless loop",
        "CWE-843" => "Type confusion",
        "CWE-918" => "Server-side request forgery",
        "CWE-1321" => "Prototype pollution",
        _ => return format!("Vulnerability in {package}"),
    };
    format!("{what} in {package}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_used() {
        let mut builder = Builder::new();
        let mut count = 0;
        for (id, rows) in rows() {
            count += rows.len();
            assert!(crate::format::parse_cve(id).is_some(), "{id}");
            builder.add_record("starter", id, record(id, &rows).to_string().as_bytes());
        }
        let lines = STARTER_TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        assert_eq!(count, lines);
        let (_, summary) = builder.build().unwrap();
        assert_eq!(summary.warnings, []);
        assert!(summary.advisories >= 200, "{}", summary.advisories);
        assert_eq!(build_starter().unwrap().info(), starter_info());
    }
}
