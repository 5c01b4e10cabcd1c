//! SPDX 2.3 as JSON: the inventory, with the advisories of each package as its security references.
//!
//! Format: <https://spdx.github.io/spdx-spec/v2.3/>. The verdict and every gap are annotations of the document.

use std::{collections::BTreeMap, io};

use portcullis_model::{Digest, Finding, Package, Report, is_cpe};
use serde::{Serialize, ser::SerializeMap as _};
use serde_json::{Map, Value, json};

use super::cyclonedx_json::{References, uuid};
use crate::{
    RenderOptions, ReportError, ReportFormat,
    json_text::{Each, write_json},
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

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        write_json(&Document::of(report), out)
    }
}

/// A document whose long lists are made one entry at a time, while it is written; the tag-value format is another spelling
/// of it.
pub(crate) struct Document<'a> {
    report: &'a Report,
    view: View<'a>,
    references: References,
    /// By the reference of the package.
    advisories: BTreeMap<String, Vec<&'a Finding>>,
}

impl<'a> Document<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let view = View::of(report);
        let references = References::of(&report.inventory.packages);
        let mut advisories: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
        for finding in view.worst_first().into_iter().chain(view.suppressed.iter().copied()) {
            advisories.entry(references.of_finding(finding)).or_default().push(finding);
        }
        Self { report, view, references, advisories }
    }

    /// All that comes before the packages.
    pub(crate) fn head(&self) -> [(&'static str, Value); 6] {
        let report = self.report;
        [
            ("spdxVersion", json!("SPDX-2.3")),
            ("dataLicense", json!("CC0-1.0")),
            ("SPDXID", json!("SPDXRef-DOCUMENT")),
            ("name", json!(text_of(&report.target.reference))),
            ("documentNamespace", json!(format!("https://portcullis.dev/spdx/{}", uuid(report)))),
            ("creationInfo", json!({"created": report.created, "creators": [creator(report)]})),
        ]
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = Value> {
        let image = std::iter::once_with(|| image(self.report));
        let components = self.report.inventory.packages.iter().zip(&self.references.in_order);
        let components = components.map(|(package, reference)| {
            component(package, reference, self.advisories.get(reference).map_or(&[], Vec::as_slice))
        });
        image.chain(distribution(self.report)).chain(components)
    }

    /// The texts of licences that SPDX has no id for.
    pub(crate) fn licenses(&self) -> Vec<Value> {
        let mut extracted = BTreeMap::new();
        for package in self.report.inventory.packages.iter().filter(|package| !package.licenses.is_empty()) {
            declared(&package.licenses, &mut extracted);
        }
        let license = |(id, text): (String, String)| json!({"licenseId": id, "name": text, "extractedText": text});
        extracted.into_iter().map(license).collect()
    }

    pub(crate) fn relationships(&self) -> impl Iterator<Item = Value> {
        let Self { report, references, .. } = self;
        let packages = &report.inventory.packages;
        let relationship = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
        let contained = report.distribution.iter().map(|_| DISTRIBUTION.to_owned());
        let contained = contained.chain(references.in_order.iter().map(|reference| id_of(reference)));
        std::iter::once(relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE))
            .chain(contained.map(move |id| relationship(IMAGE, "CONTAINS", &id)))
            .chain(references.dependencies(packages).flat_map(move |(reference, needed)| {
                let from = id_of(reference);
                needed.into_iter().map(move |other| relationship(&from, "DEPENDS_ON", &id_of(other)))
            }))
            .chain(owners(packages, references))
    }

    pub(crate) fn annotations(&self) -> Vec<Value> {
        annotations(self.report, &self.view)
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.head() {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("packages", &Each(|| self.packages()))?;
        let licenses = self.licenses();
        if !licenses.is_empty() {
            map.serialize_entry("hasExtractedLicensingInfos", &licenses)?;
        }
        map.serialize_entry("relationships", &Each(|| self.relationships()))?;
        map.serialize_entry("annotations", &self.annotations())?;
        map.end()
    }
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
    let by = if report.is_matched() { format!(" by policy {}", report.verdict.policy.name) } else { String::new() };
    let mut comments = vec![format!("verdict: {}{by}", verdict_word(report))];
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

fn component(package: &Package, reference: &str, findings: &[&Finding]) -> Value {
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
        insert("licenseDeclared", json!(declared(&package.licenses, &mut BTreeMap::new())));
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
