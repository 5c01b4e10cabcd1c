//! What the tests of this crate share: a key, a report, an image, a candidate.

#![allow(clippy::unwrap_used, dead_code, reason = "shared by several test programs, which fail by panicking")]

use bytes::Bytes;
use portcullis_attest::{Authority, Candidate, Format, SigningKey, Verifier};
use portcullis_model::{
    DatabaseInfo, Digest, Evidence, Finding, FindingPackage, FixState, Inputs, Inventory, Outcome, PackageType,
    PolicyRef, Reason, Report, SCHEMA_VERSION, Severity, SeverityLevel, Target, Text, Timestamp, Tool, Verdict,
};
use portcullis_registry::{Client, Descriptor, Reference, media_type};
use serde_json::json;

pub(crate) fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

pub(crate) fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(vec![Authority::Key { name: "release".into(), key: key.verifying_key().clone() }])
}

pub(crate) fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

pub(crate) fn candidate(json: String) -> Candidate {
    Candidate { bytes: json.into(), format: Format::Bundle, manifest: Digest::of(b"manifest"), claimed_type: None }
}

/// Stores a small image, which differs by `content`.
pub(crate) async fn push_image(client: &Client, at: &Reference, content: &'static str) -> Descriptor {
    client.push_blob(at, Bytes::from_static(b"{}")).await.unwrap();
    client.push_blob(at, Bytes::from_static(content.as_bytes())).await.unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [Descriptor::of("application/vnd.oci.image.layer.v1.tar", content.as_bytes())],
    });
    let bytes = Bytes::from(manifest.to_string());
    let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    client.push_manifest(at, bytes, media_type::OCI_MANIFEST).await.unwrap();
    descriptor
}

/// A report with one finding and a failed verdict.
pub(crate) fn report(image: Digest) -> Report {
    let package = FindingPackage {
        kind: PackageType::Deb,
        name: "openssl".into(),
        version: "3.0.11-1".into(),
        purl: "pkg:deb/debian/openssl@3.0.11-1".into(),
        locations: Vec::new(),
    };
    let evidence = Evidence {
        ecosystem: "Debian:12".into(),
        name: "openssl".into(),
        version: "3.0.11-1".into(),
        range: ">= 0, < 3.0.13-1".into(),
        sources: vec!["DEBIAN-CVE-2024-0727".into()],
    };
    let finding = Finding {
        id: "DEBIAN-CVE-2024-0727".into(),
        aliases: vec!["CVE-2024-0727".into()],
        cve: Some("CVE-2024-0727".into()),
        title: Text::default(),
        package: package.into(),
        severity: Severity { level: SeverityLevel::High, ..Severity::default() },
        state: FixState::Fixed,
        fixed_versions: vec!["3.0.13-1".into()],
        last_affected: None,
        kev: false,
        epss: None,
        published: None,
        cwes: Vec::new(),
        references: Vec::new(),
        denied: false,
        suppressed: None,
        evidence,
    };
    let digest = |text: &str| Digest::of(text.as_bytes());
    let inputs = Inputs {
        image: Some(image),
        inventory: digest("inventory"),
        database: digest("database"),
        policy: digest("policy"),
        vex: Vec::new(),
        engine: "0.1.0".into(),
    };
    let reason = Reason { result: Outcome::Fail, rule: "vulnerabilities.failOn".into(), message: "one high".into() };
    Report {
        schema_version: SCHEMA_VERSION,
        created: now(),
        tool: Tool { name: "portcullis".into(), version: "0.1.0".into() },
        target: Target { digest: Some(image), ..Target::named("registry.example/app:v1") },
        distribution: None,
        advisory_coverage: Some(portcullis_model::AdvisoryCoverage::default()),
        inventory: Inventory::default(),
        findings: vec![finding],
        upgrades: Vec::new(),
        verdict: Verdict {
            result: Outcome::Fail,
            policy: PolicyRef { name: "baseline".into(), digest: digest("policy"), audit: false },
            reasons: vec![reason],
            inputs,
            time: now(),
        },
        coverage: None,
        executables: None,
        database: DatabaseInfo { digest: digest("database"), built: now(), starter: false, sources: Vec::new() },
    }
}
