//! SPDX 2.3 as JSON: the inventory, with the advisories of each package as its security references.
//!
//! Format: <https://spdx.github.io/spdx-spec/v2.3/>. The verdict and every gap are annotations of the document.

use std::{collections::BTreeMap, io};

use portcullis_model::{Digest, Finding, Package, Report, is_cpe};
use serde_json::{Map, Value, json};

use super::cyclonedx_json::{References, uuid};
use crate::{
    RenderOptions, ReportError, ReportFormat,
    json_text::write_json,
    links::page,
    spdx_ids::{License, OWN, license, own_names},
    text::limited,
    view::{View, base_words, coverage_words, distribution_words, fix_words, gap_words, known_id, verdict_word},
};

/// `-o spdx-json`
pub(crate) struct SpdxJson;

/// The longest text of any kind.
const MAX_TEXT: usize = 2_000;

const IMAGE: &str = "SPDXRef-Image";
const DISTRIBUTION: &str = "SPDXRef-OperatingSystem";
/// Syft's word, and ours.
const OWNERSHIP: &str = "ownership-by-file-overlap: the files of the second are files of the first";
const NO_ASSERTION: &str = "NOASSERTION";

impl ReportFormat for SpdxJson {
    fn name(&self) -> &'static str {
        "spdx-json"
    }

    fn describe(&self) -> &'static str {
        "SPDX 2.3 as JSON"
    }

    fn extension(&self) -> &'static str {
        "spdx.json"
    }

    fn media_type(&self) -> &'static str {
        "application/spdx+json"
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        write_json(&document(report), out)
    }
}

/// The document; the tag-value format is another spelling of it.
pub(crate) fn document(report: &Report) -> Value {
    let view = View::of(report);
    let references = References::of(&report.inventory.packages);
    let mut extracted = BTreeMap::new();
    let mut packages = vec![image(report)];
    packages.extend(distribution(report));
    let mut advisories: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in view.worst_first().into_iter().chain(view.suppressed.iter().copied()) {
        advisories.entry(references.of_finding(finding)).or_default().push(finding);
    }
    for (package, reference) in report.inventory.packages.iter().zip(&references.in_order) {
        let findings = advisories.remove(reference).unwrap_or_default();
        packages.push(component(package, reference, &findings, &mut extracted));
    }
    let relationship = |from: &str, kind: &str, to: &Value| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", &json!(IMAGE))];
    let contained = packages.iter().skip(1).filter_map(|package| package.get("SPDXID"));
    relationships.extend(contained.map(|id| relationship(IMAGE, "CONTAINS", id)));
    for (reference, needed) in references.dependencies(&report.inventory.packages) {
        let from = id_of(reference);
        relationships.extend(needed.iter().map(|other| relationship(&from, "DEPENDS_ON", &json!(id_of(other)))));
    }
    relationships.extend(owners(&report.inventory.packages, &references));
    let licenses: Vec<_> =
        extracted.into_iter().map(|(id, text)| json!({"licenseId": id, "name": text, "extractedText": text})).collect();
    let mut document = Map::new();
    let mut insert = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    insert("spdxVersion", json!("SPDX-2.3"));
    insert("dataLicense", json!("CC0-1.0"));
    insert("SPDXID", json!("SPDXRef-DOCUMENT"));
    insert("name", json!(text_of(&report.target.reference)));
    insert("documentNamespace", json!(format!("https://portcullis.dev/spdx/{}", uuid(report))));
    insert("creationInfo", json!({"created": report.created, "creators": [creator(report)]}));
    insert("packages", json!(packages));
    if !licenses.is_empty() {
        insert("hasExtractedLicensingInfos", json!(licenses));
    }
    insert("relationships", json!(relationships));
    insert("annotations", json!(annotations(report, &view)));
    Value::Object(document)
}

/// Which package's files are those of another one: as Syft says it, since the format has no word for it.
fn owners(packages: &[Package], references: &References) -> Vec<Value> {
    let by_purl: BTreeMap<&str, &String> =
        packages.iter().map(|package| package.purl.as_str()).zip(&references.in_order).collect();
    let owned = packages.iter().zip(&references.in_order).filter_map(|(package, reference)| {
        let owner = by_purl.get(package.owned_by.as_deref()?)?;
        Some(json!({
            "spdxElementId": id_of(owner),
            "relationshipType": "OTHER",
            "relatedSpdxElement": id_of(reference),
            "comment": OWNERSHIP,
        }))
    });
    owned.collect()
}

fn creator(report: &Report) -> String {
    format!("Tool: portcullis-{}", text_of(&report.tool.version))
}

/// Text that is not empty: the format has no use for an empty name.
fn text_of(text: &str) -> String {
    if text.trim().is_empty() { "unknown".to_owned() } else { limited(text, MAX_TEXT) }
}

fn annotations(report: &Report, view: &View<'_>) -> Vec<Value> {
    let annotation = |comment: String| {
        json!({
            "annotationDate": report.created,
            "annotationType": "OTHER",
            "annotator": creator(report),
            "comment": limited(&comment, MAX_TEXT),
        })
    };
    let mut comments = vec![format!("verdict: {} by policy {}", verdict_word(report), report.verdict.policy.name)];
    comments.extend(report.verdict.reasons.iter().map(|r| format!("{} {}: {}", r.result, r.rule, r.message)));
    comments.extend(view.gaps.iter().map(|gap| gap_words(gap)));
    comments.extend(view.notes.iter().map(|note| format!("note: {}: {}", note.path, note.message)));
    comments.extend(base_words(report, view).map(|base| format!("base image {base}")));
    comments.extend(coverage_words(report).map(|coverage| format!("coverage: {coverage}")));
    let unexplained = report.coverage.iter().flat_map(|coverage| &coverage.unknown);
    comments.extend(unexplained.map(|path| format!("of no known package: {path}")));
    comments.into_iter().map(annotation).collect()
}

fn image(report: &Report) -> Value {
    let target = &report.target;
    let mut package = package_of(IMAGE, &target.reference, if target.is_image() { "CONTAINER" } else { "FILE" });
    if let Some(digest) = target.digest {
        package.insert("versionInfo".to_owned(), json!(digest));
        package.insert("checksums".to_owned(), json!([{"algorithm": "SHA256", "checksumValue": digest.hex()}]));
    }
    Value::Object(package)
}

fn distribution(report: &Report) -> Option<Value> {
    let distribution = report.distribution.as_ref()?;
    let mut package = package_of(DISTRIBUTION, &distribution.id, "OPERATING-SYSTEM");
    if !distribution.version_id.is_empty() {
        package.insert("versionInfo".to_owned(), json!(text_of(&distribution.version_id)));
    }
    package.insert("description".to_owned(), json!(text_of(&distribution_words(report))));
    Some(Value::Object(package))
}

/// The fields that every package has.
fn package_of(id: &str, name: &str, purpose: &str) -> Map<String, Value> {
    [
        ("SPDXID", id),
        ("name", &text_of(name)),
        ("downloadLocation", NO_ASSERTION),
        ("licenseConcluded", NO_ASSERTION),
        ("licenseDeclared", NO_ASSERTION),
        ("copyrightText", NO_ASSERTION),
        ("primaryPackagePurpose", purpose),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), json!(value)))
    .chain([("filesAnalyzed".to_owned(), json!(false))])
    .collect()
}

/// References hold characters that an SPDX id cannot.
fn id_of(reference: &str) -> String {
    let hash = Digest::of(reference.as_bytes()).hex();
    format!("SPDXRef-Package-{}", hash.get(..24).unwrap_or_default())
}

fn component(
    package: &Package,
    reference: &str,
    findings: &[&Finding],
    extracted: &mut BTreeMap<String, String>,
) -> Value {
    let mut component = package_of(&id_of(reference), &package.name, "LIBRARY");
    let mut insert = |name: &str, value: Value| {
        component.insert(name.to_owned(), value);
    };
    if !package.version.is_empty() {
        insert("versionInfo", json!(text_of(&package.version)));
    }
    if let Some(vendor) = package.vendor.as_ref().filter(|vendor| !vendor.trim().is_empty()) {
        insert("supplier", json!(format!("Organization: {}", text_of(vendor))));
    }
    if !package.licenses.is_empty() {
        insert("licenseDeclared", json!(declared(&package.licenses, extracted)));
    }
    if let Some(evidence) = &package.evidence {
        insert("comment", json!(text_of(evidence)));
    }
    if let Some(source) = source_info(package) {
        insert("sourceInfo", json!(limited(&source, MAX_TEXT)));
    }
    let mut external = Vec::new();
    // A locator holds no space, and a package URL has none.
    if !package.purl.is_empty() && package.purl.len() <= 4_096 && package.purl.chars().all(|c| c.is_ascii_graphic()) {
        external.push(json!({
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": package.purl,
        }));
    }
    external.extend(
        package
            .cpe
            .as_ref()
            .filter(|cpe| is_cpe(cpe))
            .map(|cpe| json!({"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": cpe})),
    );
    external.extend(findings.iter().map(|finding| {
        let words = format!("{}: {}, {}", known_id(finding), finding.severity.level, fix_words(finding));
        let why =
            finding.suppressed.as_ref().map_or_else(String::new, |s| format!("; suppressed by {}: {}", s.by, s.reason));
        json!({
            "referenceCategory": "SECURITY",
            "referenceType": "advisory",
            "referenceLocator": page(finding),
            "comment": limited(&format!("{words}{why}"), MAX_TEXT),
        })
    }));
    if !external.is_empty() {
        insert("externalRefs", json!(external));
    }
    Value::Object(component)
}

/// What it was built from, the module that it is of, and where it was found. What advisories go by comes first: paths
/// can be long, and hold any words.
fn source_info(package: &Package) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(package.source.as_ref().map(|source| format!("built from {} {}", source.name, source.version)));
    parts.extend(package.module.as_ref().map(|module| format!("of module {module}")));
    parts.extend(package.locations.iter().take(20).map(|location| {
        let layer = location.layer.map_or_else(String::new, |layer| format!(" in layer {layer}"));
        format!("found at {}{layer}", location.path)
    }));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The declared licences as one expression; texts that are none become references to extracted texts.
fn declared(licenses: &[String], extracted: &mut BTreeMap<String, String>) -> String {
    let mut parts: Vec<_> = licenses
        .iter()
        .map(|text| match license(text) {
            License::Id(id) => id.to_owned(),
            License::Expression(expression) => {
                for id in own_names(&expression) {
                    extracted.insert(id.to_owned(), id.strip_prefix(OWN).unwrap_or(id).to_owned());
                }
                if licenses.len() > 1 { format!("({expression})") } else { expression }
            }
            License::Name(name) => {
                let hash = Digest::of(name.as_bytes()).hex();
                let id = format!("{OWN}{}", hash.get(..16).unwrap_or_default());
                extracted.insert(id.clone(), text_of(name));
                id
            }
        })
        .collect();
    parts.sort();
    parts.dedup();
    parts.join(" AND ")
}
