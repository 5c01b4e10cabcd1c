//! Folders of exports: what can be read is used, what cannot is named.

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
};

use portcullis_advisories::{BuildSummary, Builder, Database, SourceError, add_directory};
use portcullis_model::{AdvisoryLookup as _, WarningKind};
use portcullis_testkit::AdvisoryRecord;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

fn export(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn record(id: &str, ecosystem: &str, name: &str) -> AdvisoryRecord {
    AdvisoryRecord::new(id).affects(ecosystem, name, "0", Some("1.0.0"))
}

fn member(record: &AdvisoryRecord) -> Vec<u8> {
    record.json().into_bytes()
}

fn build(files: &[(&str, Vec<u8>)]) -> (Vec<u8>, BuildSummary) {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut builder = Builder::new();
    add_directory(&mut builder, folder.path()).unwrap();
    builder.build().unwrap()
}

fn said(summary: &BuildSummary) -> Vec<String> {
    summary.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
}

#[test]
fn a_member_that_is_no_record_is_named_and_the_rest_is_used() {
    let (bytes, summary) = build(&[(
        "npm/all.zip",
        export(&[
            ("A-1.json", member(&record("A-1", "npm", "a"))),
            ("html.json", b"<html>".to_vec()),
            ("half.json", member(&record("A-2", "npm", "a"))[..40].to_vec()),
            ("empty.json", Vec::new()),
            ("A-3.json", member(&record("A-3", "npm", "b"))),
        ]),
    )]);
    let database = Database::from_bytes(bytes).unwrap();
    assert_eq!(database.affected("npm", "a").unwrap().len(), 1);
    assert_eq!(database.affected("npm", "b").unwrap().len(), 1);
    let said = said(&summary);
    assert_eq!(said.len(), 3, "{said:?}");
    for name in ["html.json", "half.json", "empty.json"] {
        assert!(said.iter().any(|text| text.starts_with(&format!("{name}: not an OSV record"))), "{said:?}");
    }
}

#[test]
fn a_member_that_unpacks_without_end_is_left_out_and_named() {
    let mut bomb = br#"{"id": "BOMB-1", "details": ""#.to_vec();
    bomb.resize(40 * 1024 * 1024, b' ');
    let good = member(&record("A-1", "npm", "a"));
    let (bytes, summary) = build(&[("npm/all.zip", export(&[("bomb.json", bomb), ("A-1.json", good)]))]);
    assert_eq!(Database::from_bytes(bytes).unwrap().affected("npm", "a").unwrap().len(), 1);
    let said = said(&summary);
    assert!(matches!(&said[..], [one] if one.starts_with("bomb.json: cannot be unpacked: larger than")), "{said:?}");
}

#[test]
fn an_export_that_is_cut_is_a_gap_and_others_are_used() {
    let names: Vec<String> = (0..40).map(|number| format!("A-{number}")).collect();
    let members: Vec<_> = names.iter().map(|id| (id.as_str(), member(&record(id, "npm", "a")))).collect();
    let whole = export(&members);
    let good = export(&[("B-1.json", member(&record("B-1", "PyPI", "b")))]);
    for length in [0, 1, 30, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        let (bytes, summary) = build(&[("PyPI/all.zip", good.clone()), ("npm/all.zip", whole[..length].to_vec())]);
        let database = Database::from_bytes(bytes).unwrap();
        assert_eq!(database.affected("PyPI", "b").unwrap().len(), 1);
        let gaps = summary.warnings.iter().filter(|warning| warning.kind == WarningKind::Gap);
        assert_eq!(gaps.map(|gap| gap.path.as_str()).collect::<Vec<_>>(), ["osv/npm"], "{length}");
    }
}

#[test]
fn a_damaged_byte_of_an_export_loses_nothing_without_a_word() {
    let ids: Vec<String> = (0..8).map(|number| format!("A-{number}")).collect();
    let names: Vec<String> = ids.iter().map(|id| format!("{id}.json")).collect();
    let members: Vec<(&str, Vec<u8>)> =
        names.iter().zip(&ids).map(|(name, id)| (name.as_str(), member(&record(id, "npm", "a")))).collect();
    let whole = export(&members);
    let good = export(&[("B-1.json", member(&record("B-1", "PyPI", "b")))]);
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        let (bytes, summary) = build(&[("PyPI/all.zip", good.clone()), ("npm/all.zip", damaged)]);
        let found = Database::from_bytes(bytes).unwrap().affected("npm", "a").unwrap().len();
        let is_said = summary.warnings.iter().any(|warning| warning.kind == WarningKind::Gap);
        assert!(found == ids.len() || is_said, "byte {at}: {found} and nothing said");
    }
}

#[test]
fn links_and_catalogues_without_anything_of_use_are_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let good = export(&[("B-1.json", member(&record("B-1", "PyPI", "b")))]);
    fs::create_dir_all(folder.path().join("from/PyPI")).unwrap();
    fs::create_dir_all(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("from/PyPI/all.zip"), &good).unwrap();
    fs::write(folder.path().join("elsewhere/all.zip"), good).unwrap();
    std::os::unix::fs::symlink("../elsewhere", folder.path().join("from/npm")).unwrap();
    fs::write(
        folder.path().join("from/known_exploited_vulnerabilities.json"),
        r#"{"vulnerabilities": [{"cveID": "none"}]}"#,
    )
    .unwrap();
    let mut scores = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    scores
        .write_all(
            b"#model_version:v1,score_date:2026-01-01T00:00:00Z
cve,epss,percentile
CVE-2024-1000,1,x
",
        )
        .unwrap();
    fs::write(folder.path().join("from/epss_scores-current.csv.gz"), scores.finish().unwrap()).unwrap();
    let mut builder = Builder::new();
    add_directory(&mut builder, &folder.path().join("from")).unwrap();
    let (bytes, summary) = builder.build().unwrap();
    let gaps = summary.warnings.iter().filter(|warning| warning.kind == WarningKind::Gap).count();
    assert_eq!(gaps, 3, "{:?}", said(&summary));
    // A policy that needs a catalogue must not take an empty one for it.
    let sources = Database::from_bytes(bytes).unwrap().info().sources;
    assert_eq!(sources.into_iter().map(|source| source.name).collect::<Vec<_>>(), ["osv/PyPI"]);
}

#[test]
fn of_records_of_one_id_the_newest_counts_whatever_the_order() {
    let at = |record: AdvisoryRecord, day: &str| record.field("modified", json!(format!("{day}T00:00:00Z")));
    let old = at(record("A-1", "Alpine:v3.18", "a").affects("npm", "old", "0", None), "2025-01-01");
    let new = at(record("A-1", "npm", "new"), "2026-01-01");
    let oldest = at(record("A-1", "npm", "oldest").affects("PyPI", "only-here", "0", None), "2024-01-01");
    let equal = record("A-2", "npm", "equal");
    let exports = [
        export(&[("A-1.json", member(&old)), ("A-2.json", member(&equal))]),
        export(&[("A-1.json", member(&new)), ("A-2.json", member(&equal))]),
        export(&[("A-1.json", member(&oldest)), ("A-2.json", member(&equal))]),
    ];
    let mut digests = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut builder = Builder::new();
        let folders: Vec<_> = exports.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        for number in order {
            let path = folders[number].path().join(format!("source{number}/all.zip"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &exports[number]).unwrap();
            add_directory(&mut builder, folders[number].path()).unwrap();
        }
        let (bytes, summary) = builder.build().unwrap();
        let database = Database::from_bytes(bytes).unwrap();
        let count = |ecosystem: &str, name: &str| database.affected(ecosystem, name).unwrap().len();
        assert_eq!([count("npm", "new"), count("npm", "old"), count("npm", "oldest")], [1, 0, 0]);
        // What only an older record speaks of is not lost.
        assert_eq!([count("Alpine:v3.18", "a"), count("PyPI", "only-here"), count("npm", "equal")], [1, 1, 1]);
        assert_eq!((summary.advisories, summary.duplicates), (2, 4));
        let said = said(&summary);
        assert!(said.len() == 2 && said.iter().all(|text| text.contains("A-1") && !text.contains("A-2")), "{said:?}");
        assert!(said[0].starts_with("osv/source0: ") && said[0].contains("osv/source1"), "{said:?}");
        digests.push(summary.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_folder_without_sources_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("readme.txt"), "nothing").unwrap();
    let outcome = add_directory(&mut Builder::new(), folder.path());
    assert!(matches!(outcome, Err(SourceError::Nothing { .. })), "{outcome:?}");
    let outcome = add_directory(&mut Builder::new(), &folder.path().join("absent"));
    assert!(matches!(outcome, Err(SourceError::Read { .. })), "{outcome:?}");
}

/// Every member of real exports, odd ones among them, is in the database or accounted for.
#[test]
fn of_real_exports_nothing_is_lost_without_a_word() {
    let Some(data) = real_exports() else { return };
    for name in ["fixtures-mixed", "CRAN", "Hackage", "Hex", "npm", "NuGet", "PSF-CPython"] {
        let path = data.join(name).join("all.zip");
        let mut archive = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
        let mut builder = Builder::new();
        // So that there is something to build.
        builder.add_record("test", "own", &member(&record("OWN-1", "npm", "own-package")));
        add_directory(&mut builder, path.parent().unwrap()).unwrap();
        let (bytes, summary) = builder.build().unwrap();
        let no_records = summary.warnings.iter().filter(|warning| is_refusal(&warning.message)).count() as u64;
        let BuildSummary { advisories, withdrawn, without_packages, duplicates, .. } = summary;
        let sum = advisories - 1 + withdrawn + without_packages + duplicates + no_records;
        assert_eq!(sum, archive.len() as u64, "{name}: {summary:?}");
        assert!(summary.warnings.iter().all(|warning| !warning.path.is_empty()), "{summary:?}");
        let database = Database::from_bytes(bytes).unwrap();
        database.verify().unwrap();
        check_ids(&mut archive, &database, name.as_ref());
    }
}

/// The folder of real exports; absent only where nobody relies on the test.
fn real_exports() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("PORTCULLIS_TEST_DATA").map_or(default, PathBuf::from).join("osv");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", folder.display());
    _ = writeln!(std::io::stderr(), "skipped: {} is missing", folder.display());
    None
}

fn is_refusal(message: &str) -> bool {
    message.starts_with("not an OSV record") || message.contains("no usable id")
}

/// Whatever names a package and is not withdrawn is found by its id.
fn check_ids(archive: &mut zip::ZipArchive<fs::File>, database: &Database, name: &Path) {
    for index in 0..archive.len() {
        let mut json = Vec::new();
        archive.by_index(index).unwrap().read_to_end(&mut json).unwrap();
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(&json) else { continue };
        let names_package = |affected: &serde_json::Value| {
            let package = &affected["package"];
            package["name"].as_str().is_some_and(|name| !name.is_empty())
                && package["ecosystem"].as_str().is_some_and(|ecosystem| !ecosystem.is_empty())
        };
        let counts = record["affected"].as_array().is_some_and(|affected| affected.iter().any(names_package));
        if let (Some(id), true, true) = (record["id"].as_str(), counts, record["withdrawn"].is_null()) {
            let hits = database.search(id).unwrap();
            assert!(hits.iter().any(|hit| hit.advisory.id == id), "{}: {id}", name.display());
        }
    }
}
