//! Packages of an image, a finding of each, and what is said of them.

use std::sync::Arc;

use portcullis_model::{
    Digest, Distribution, Evidence, Finding, FixState, Location, Package, PackageUrl, Severity, SourcePackage, Target,
    Text, Timestamp, Warning,
};
use portcullis_vex::{Document, apply, read};
use serde_json::{Value, json};

pub(crate) const SSL: &str = "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl";
pub(crate) const LODASH: &str = "pkg:npm/lodash@4.17.20";
pub(crate) const BINARY: &str = "pkg:golang/example.com/app@v1.0.0";
pub(crate) const MODULE: &str = "pkg:golang/golang.org/x/net@v0.1.0";

pub(crate) fn package(purl: &str, path: &str) -> Package {
    let url = PackageUrl::parse(purl).unwrap();
    let source =
        (url.kind == "deb").then(|| SourcePackage { name: "openssl".into(), version: url.version.to_string() });
    let kind = url.package_type().unwrap();
    Package {
        purl: purl.to_owned(),
        source,
        locations: vec![Location { path: path.to_owned(), layer: None }],
        ..Package::new(kind, url.ecosystem_name(), url.version.to_string())
    }
}

pub(crate) fn packages() -> Vec<Package> {
    vec![
        package(SSL, "var/lib/dpkg/status"),
        package(LODASH, "app/node_modules/lodash/package.json"),
        package(BINARY, "usr/bin/app"),
        package(MODULE, "usr/bin/app"),
    ]
}

pub(crate) fn finding(package: &Package, id: &str, cve: Option<&str>) -> Finding {
    Finding {
        id: id.into(),
        aliases: Vec::new(),
        cve: cve.map(Text::from),
        title: Text::default(),
        package: Arc::new(package.into()),
        severity: Severity::default(),
        state: FixState::Affected,
        fixed_versions: Vec::new(),
        last_affected: None,
        kev: false,
        epss: None,
        published: None,
        cwes: Vec::new(),
        references: Vec::new(),
        denied: false,
        suppressed: None,
        evidence: Evidence {
            ecosystem: Text::default(),
            name: Text::default(),
            version: Text::default(),
            range: String::new(),
            sources: Vec::new(),
        },
    }
}

pub(crate) fn target() -> Target {
    Target { digest: Some(Digest::of(b"manifest")), ..Target::named("registry.example/team/app:v1") }
}

pub(crate) fn debian() -> Distribution {
    Distribution {
        id: "debian".into(),
        version_id: "12".into(),
        cpe: Some("cpe:/o:debian:debian_linux:12".into()),
        ..Distribution::default()
    }
}

/// The moment of the scan.
pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// One finding of each package, of `CVE-2024-1000`; what is said of each after the documents were applied.
pub(crate) fn applied(documents: &[Document]) -> (Vec<String>, Vec<Warning>) {
    applied_to(&packages(), documents)
}

/// The same of other packages.
pub(crate) fn applied_to(packages: &[Package], documents: &[Document]) -> (Vec<String>, Vec<Warning>) {
    applied_in(&target(), packages, documents)
}

/// The same of another target.
pub(crate) fn applied_in(target: &Target, packages: &[Package], documents: &[Document]) -> (Vec<String>, Vec<Warning>) {
    let mut findings: Vec<Finding> =
        packages.iter().map(|package| finding(package, "GHSA-1", Some("CVE-2024-1000"))).collect();
    let warnings = apply(documents, target, Some(&debian()), packages, &mut findings, now());
    let said = findings.into_iter().map(|finding| match finding.suppressed {
        Some(suppression) => format!("{}: {}: {}", finding.package.name, suppression.by, suppression.reason),
        None => format!("{}: counts", finding.package.name),
    });
    (said.collect(), warnings)
}

pub(crate) fn document(json: &Value) -> Document {
    read("a.json", json.to_string().as_bytes()).unwrap()
}

pub(crate) fn said(json: &Value) -> Vec<String> {
    applied(&[document(json)]).0
}

pub(crate) fn counts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}: counts")).collect()
}

pub(crate) const ALL: [&str; 4] = ["libssl3", "lodash", "example.com/app", "golang.org/x/net"];

pub(crate) fn openvex(statements: Value) -> Value {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://vex.example/1",
        "author": "someone",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": 1,
        "statements": statements,
    })
}

pub(crate) fn not_affected(product: &str) -> Value {
    json!({
        "vulnerability": {"name": "CVE-2024-1000"},
        "products": [{"@id": product}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "we call none of it",
    })
}
