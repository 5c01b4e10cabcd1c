//! CycloneDX, JSON, 1.4 and later: <https://cyclonedx.org/docs/1.6/json/#vulnerabilities>. What a vulnerability affects
//! is named by a component's `bom-ref`, here or in another document (a BOM-Link, `urn:cdx:serial/version#ref`), whose
//! components are known only where the reference itself is a package URL.

use std::collections::HashMap;

use portcullis_model::PackageUrl;
use serde::Deserialize;

use super::{Draft, joined, time};
use crate::{Component, Product, Status};

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "serialNumber", default)]
    serial_number: Option<String>,
    #[serde(default)]
    metadata: Option<MetadataRecord>,
    #[serde(default)]
    components: Option<Vec<ComponentRecord>>,
    #[serde(default)]
    vulnerabilities: Option<Vec<VulnerabilityRecord>>,
}

#[derive(Deserialize)]
struct MetadataRecord {
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    component: Option<ComponentRecord>,
}

#[derive(Deserialize)]
struct ComponentRecord {
    #[serde(rename = "bom-ref", default)]
    bom_ref: Option<String>,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    hashes: Option<Vec<HashRecord>>,
    #[serde(default)]
    components: Option<Vec<Self>>,
}

#[derive(Deserialize)]
struct HashRecord {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    content: String,
}

#[derive(Deserialize)]
struct VulnerabilityRecord {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    references: Option<Vec<ReferenceRecord>>,
    #[serde(default)]
    updated: Option<String>,
    #[serde(default)]
    analysis: Option<AnalysisRecord>,
    #[serde(default)]
    affects: Option<Vec<AffectsRecord>>,
}

#[derive(Deserialize)]
struct ReferenceRecord {
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct AnalysisRecord {
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(rename = "firstIssued", default)]
    first_issued: Option<String>,
    #[serde(rename = "lastUpdated", default)]
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct AffectsRecord {
    #[serde(rename = "ref", default)]
    reference: String,
    #[serde(default)]
    versions: Option<Vec<VersionRecord>>,
}

/// One version, or a range of them, which is not read.
#[derive(Deserialize)]
struct VersionRecord {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), serde_json::Error> {
    let Record { serial_number, metadata, components, vulnerabilities } = serde_json::from_slice(bytes)?;
    let serial = serial_number.unwrap_or_default();
    draft.id.clone_from(&serial);
    let serial = serial.trim_start_matches("urn:uuid:");
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut document_time = None;
    // The image is the root; what is said of it is said of all its packages.
    if let Some(MetadataRecord { timestamp, component }) = metadata {
        document_time = timestamp;
        component.into_iter().for_each(|component| index(component, &mut places, draft));
    }
    components.into_iter().flatten().for_each(|component| index(component, &mut places, draft));
    for record in vulnerabilities.into_iter().flatten() {
        let VulnerabilityRecord { id, references, updated, analysis, affects } = record;
        // A vulnerability without an analysis is a finding of somebody's scanner, not a statement.
        let Some(AnalysisRecord { state: Some(state), justification, detail, first_issued, last_updated }) = analysis
        else {
            continue;
        };
        let status = match state.as_str() {
            "not_affected" | "false_positive" => Status::NotAffected,
            "resolved" | "resolved_with_pedigree" => Status::Fixed,
            "exploitable" => Status::Affected,
            "in_triage" => Status::UnderInvestigation,
            other => {
                let other: String = other.chars().take(60).collect();
                draft.problem(format!("`{other}` is no state of CycloneDX: the analysis is left out"));
                continue;
            }
        };
        let mut products = Vec::new();
        for AffectsRecord { reference, versions } in affects.into_iter().flatten() {
            let whole = place(&reference, serial, &mut places, draft);
            let versions = versions.unwrap_or_default();
            if status.rules_out()
                && !versions.is_empty()
                && !draft.components.get(whole).is_some_and(|component| is_of_version(component, &versions))
            {
                draft.problem("a statement is limited to other versions than its component's: it is left out".into());
                continue;
            }
            products.push(Product { whole, parts: Vec::new() });
        }
        let ids = id.into_iter().chain(references.into_iter().flatten().filter_map(|reference| reference.id));
        let word = if state == "false_positive" { Some("false_positive") } else { justification.as_deref() };
        let times = [last_updated, first_issued, updated, document_time.clone()];
        let made = times.iter().find_map(|text| time(text.as_deref()));
        draft.statement(ids.collect::<Vec<_>>(), products, status, joined(word, detail.as_deref()), made);
    }
    Ok(())
}

fn index(record: ComponentRecord, places: &mut HashMap<String, usize>, draft: &mut Draft) {
    let ComponentRecord { bom_ref, purl, hashes, components } = record;
    if let Some(reference) = bom_ref {
        let mut component = Component::default();
        purl.iter().for_each(|purl| component.add(purl));
        let hashes = hashes.iter().flatten().filter(|hash| hash.alg == "SHA-256");
        hashes.for_each(|hash| component.add(&format!("sha256:{}", hash.content.to_ascii_lowercase())));
        if component.is_nameless() {
            component = named(&reference);
        }
        let place = draft.component(component);
        places.insert(reference, place);
    }
    components.into_iter().flatten().for_each(|component| index(component, places, draft));
}

/// The component of a reference: one of this document, or what the reference itself names, as many tools write package
/// URLs there.
fn place(reference: &str, serial: &str, places: &mut HashMap<String, usize>, draft: &mut Draft) -> usize {
    let link = reference.strip_prefix("urn:cdx:").and_then(|rest| rest.split_once('#'));
    let is_own = |document: &str| !serial.is_empty() && document.split('/').next() == Some(serial);
    let local = match link {
        Some((document, local)) if is_own(document) => local,
        _ => reference,
    };
    if let Some(&place) = places.get(local) {
        return place;
    }
    let place = draft.component(named(link.map_or(reference, |(_, local)| local)));
    places.insert(local.to_owned(), place);
    place
}

/// What a reference names by itself: a package URL or a digest. Any other text is a label within its document, and not
/// the name of an image.
fn named(reference: &str) -> Component {
    // In a fragment of a link the reference is encoded.
    let decoded = reference.replace("%3A", ":").replace("%2F", "/").replace("%40", "@");
    let is_encoded = !reference.contains(':') && reference.contains("%3A");
    let mut component = Component::named(if is_encoded { &decoded } else { reference });
    component.names.clear();
    component
}

/// Whether a component is of one of the versions that are called unaffected.
fn is_of_version(component: &Component, versions: &[VersionRecord]) -> bool {
    let is_listed = |purl: &String| {
        PackageUrl::parse(purl).is_ok_and(|purl| {
            versions.iter().any(|record| {
                record.status.as_deref() == Some("unaffected") && record.version.as_deref() == Some(&*purl.version)
            })
        })
    };
    component.purls.iter().any(is_listed)
}
