//! Every format of ours is read back without loss of what matching needs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use portcullis_model::{
    Digest, Distribution, Location, Package, PackageType, Purl, Report, SCHEMA_VERSION, SourcePackage, application_cpe,
};
use portcullis_packages::read_sbom;
use portcullis_report::{RenderOptions, format_named};
use serde_json::json;

const FORMATS: [&str; 4] = ["cyclonedx-json", "cyclonedx-xml", "spdx-json", "spdx-tag-value"];

/// From JSON, so that what a report may also say needs no word here.
fn report(packages: Vec<Package>, distribution: Option<Distribution>) -> Report {
    let digest = Digest::of(b"x");
    let time = "2026-11-25T12:00:00Z";
    let inputs = json!({"image": null, "inventory": digest, "database": digest, "policy": digest, "engine": "e"});
    serde_json::from_value(json!({
        "schemaVersion": SCHEMA_VERSION,
        "created": time,
        "tool": {"name": "portcullis", "version": "0.1.0"},
        "target": {"reference": "registry.example/app:1", "digest": digest, "configDigest": null, "platform": null},
        "distribution": distribution,
        "inventory": {"packages": packages, "warnings": []},
        "findings": [],
        "verdict": {"result": "pass", "policy": {"name": "p", "digest": digest, "audit": false}, "reasons": [],
            "inputs": inputs, "time": time},
        "coverage": null,
        "database": {"digest": digest, "built": time, "starter": false, "sources": []},
    }))
    .unwrap()
}

/// What decides whether an advisory speaks of a package.
fn essence(packages: &[Package]) -> Vec<String> {
    let mut lines: Vec<String> = packages
        .iter()
        .map(|package| {
            let Package { kind, name, version, purl, source, module, owned_by, cpe, .. } = package;
            let source = source.as_ref().map(|source| format!("{} {}", source.name, source.version));
            format!("{kind} {name} {version} {purl} {source:?} {module:?} {owned_by:?} {cpe:?}")
        })
        .collect();
    lines.sort();
    lines
}

#[track_caller]
fn check(name: &str, packages: &[Package], distribution: Option<&Distribution>) {
    let report = report(packages.to_vec(), distribution.cloned());
    for format in FORMATS {
        let mut written = Vec::new();
        format_named(format).unwrap().write(&report, &RenderOptions::default(), &mut written).unwrap();
        let read = read_sbom(name, &written).unwrap_or_else(|error| panic!("{name} as {format}: {error}"));
        let is = essence(&read.reading.packages);
        let was = essence(packages);
        let lost: Vec<_> = was.iter().filter(|line| !is.contains(line)).take(5).collect();
        let new: Vec<_> = is.iter().filter(|line| !was.contains(line)).take(5).collect();
        assert!(lost.is_empty() && new.is_empty(), "{name} as {format}: lost {lost:#?}, new {new:#?}");
        let place = |found: Option<&Distribution>| found.map(|found| (found.id.clone(), found.version_id.clone()));
        assert_eq!(place(read.reading.distribution.as_deref()), place(distribution), "{name} as {format}");
    }
}

fn package(kind: PackageType, name: &str, version: &str, purl: String) -> Package {
    Package {
        purl,
        licenses: vec!["MIT".into(), "Own words; of someone".into()],
        locations: vec![Location { path: "a b/c; d".into(), layer: Some(Digest::of(b"layer")) }],
        ..Package::new(kind, name, version)
    }
}

#[test]
fn what_decides_survives_every_format() {
    let rpm = Purl::new(PackageType::Rpm, "redhat", "bind-libs", "9.11-1.el8").qualifier("epoch", "32").build();
    let rpm = Package {
        source: Some(SourcePackage { name: "bind".into(), version: "32:9.11-1.el8".into() }),
        architecture: Some("x86_64".into()),
        module: Some("idm:DL1".into()),
        ..package(PackageType::Rpm, "bind-libs", "32:9.11-1.el8", rpm)
    };
    let npm = Purl::new(PackageType::Npm, "@a", "b", "1.0.0-rc.1+x").build();
    let owner = rpm.purl.clone();
    let maven = Purl::new(PackageType::Maven, "org.a", "b", "1").build();
    let distribution =
        Distribution { id: "rhel".into(), version_id: "8.9".into(), name: "Red Hat".into(), ..Default::default() };
    let packages = [
        rpm,
        Package {
            owned_by: Some(owner),
            // Words of ours in a path change nothing.
            locations: vec![Location {
                path: "a; of module nodejs:18; built from openssl 1".into(),
                layer: Some(Digest::of(b"layer")),
            }],
            ..package(PackageType::Npm, "@a/b", "1.0.0-rc.1+x", npm)
        },
        package(PackageType::Maven, "org.a:b", "1", maven),
        Package {
            cpe: application_cpe("erlang", "erlang/otp", "25.2.3"),
            evidence: Some("known program `erlang`: 25.2.3".into()),
            ..package(PackageType::Generic, "erlang", "25.2.3", "pkg:generic/erlang@25.2.3".into())
        },
    ];
    check("made", &packages, Some(&distribution));
}

#[test]
fn real_documents_survive_every_format() {
    let root = std::env::var_os("PORTCULLIS_TEST_DATA").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        std::path::PathBuf::from,
    );
    let Ok(index) = std::fs::read_to_string(root.join("sboms/INDEX.tsv")) else {
        assert!(std::env::var_os("CI").is_none(), "the real documents are not there");
        println!("skipped: the real documents are not there");
        return;
    };
    for name in index.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let bytes = std::fs::read(root.join("sboms").join(name)).unwrap();
        let read = read_sbom(name, &bytes).unwrap().reading;
        check(name, &read.packages, read.distribution.as_deref());
    }
}
