//! CycloneDX 1.6 as JSON: the inventory, and what is wrong with it.
//!
//! Format: <https://cyclonedx.org/docs/1.6/json/>. Written by hand, since the crate for it stops at 1.5.

mod vulnerabilities;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
};

use portcullis_model::{Digest, Finding, Location, Package, PackageType, Report, is_cpe};
use serde::{Serialize, ser::SerializeMap as _};
use serde_json::{Map, Value, json};

use crate::{
    RenderOptions, ReportError, ReportFormat,
    json_text::{Each, write_json},
    spdx_ids::{License, license},
    text::head,
    view::{View, base_words, coverage_words, verdict_word},
};

/// `-o cyclonedx-json`
pub(crate) struct CycloneDxJson;

/// The reference of the image itself.
const ROOT: &str = "portcullis:target";

/// The reference of its distribution.
const DISTRIBUTION: &str = "portcullis:distribution";

/// The longest version, in bytes; the schema's limit is in characters.
const MAX_VERSION: usize = 1024;

impl ReportFormat for CycloneDxJson {
    fn name(&self) -> &'static str {
        "cyclonedx-json"
    }

    fn describe(&self) -> &'static str {
        "CycloneDX 1.6 with vulnerabilities"
    }

    fn extension(&self) -> &'static str {
        "cdx.json"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.cyclonedx+json"
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, options: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let is_for_gitlab = options.run.as_ref().is_some_and(|run| run.system == "GitLab CI");
        write_json(&Document { is_for_gitlab, ..Document::of(report) }, out)
    }
}

/// A document whose long lists are made one entry at a time, while it is written.
pub(crate) struct Document<'a> {
    report: &'a Report,
    view: View<'a>,
    references: References,
    is_for_gitlab: bool,
}

impl<'a> Document<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        Self {
            report,
            view: View::of(report),
            references: References::of(&report.inventory.packages),
            is_for_gitlab: false,
        }
    }

    /// All that comes before the components.
    pub(crate) fn head(&self) -> Vec<(&'static str, Value)> {
        let mut metadata = metadata(self.report, &self.view);
        if let (true, Some(properties)) = (self.is_for_gitlab, metadata["properties"].as_array_mut()) {
            properties.extend(for_gitlab(self.report));
        }
        vec![
            ("$schema", json!("http://cyclonedx.org/schema/bom-1.6.schema.json")),
            ("bomFormat", json!("CycloneDX")),
            ("specVersion", json!("1.6")),
            ("serialNumber", json!(format!("urn:uuid:{}", uuid(self.report)))),
            ("version", json!(1)),
            ("metadata", metadata),
        ]
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = Value> {
        let packages = self.report.inventory.packages.iter().zip(&self.references.in_order);
        distribution(self.report).into_iter().chain(packages.map(|(package, r)| component(package, r)))
    }

    /// Between the components and the vulnerabilities.
    pub(crate) fn middle(&self) -> Vec<(&'static str, Value)> {
        let mut depends_on = self.references.in_order.clone();
        depends_on.extend(self.report.distribution.as_ref().map(|_| DISTRIBUTION.to_owned()));
        depends_on.sort();
        let mut dependencies = vec![json!({"ref": ROOT, "dependsOn": depends_on})];
        dependencies.extend(
            self.references
                .dependencies(&self.report.inventory.packages)
                .map(|(reference, needed)| json!({"ref": reference, "dependsOn": needed})),
        );
        // Not to know of everything is said in the words of the format, too.
        let aggregate = if self.view.gaps.is_empty() { "unknown" } else { "incomplete" };
        vec![
            ("dependencies", json!(dependencies)),
            ("compositions", json!([{"aggregate": aggregate, "assemblies": [ROOT]}])),
        ]
    }

    pub(crate) fn vulnerabilities(&self) -> impl Iterator<Item = Value> {
        vulnerabilities::vulnerabilities(&self.view, &self.references)
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.head() {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("components", &Each(|| self.components()))?;
        for (name, value) in self.middle() {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("vulnerabilities", &Each(|| self.vulnerabilities()))?;
        map.end()
    }
}

/// The same inventory of the same image has the same number: a UUID of version 8, <https://www.rfc-editor.org/rfc/rfc9562#section-5.8>.
pub(crate) fn uuid(report: &Report) -> String {
    let image = report.target.digest.or(report.target.config_digest);
    let text = format!(
        "{}\0{}\0{}\0{}",
        report.verdict.inputs.inventory,
        image.map_or_else(String::new, |digest| digest.to_string()),
        report.target.reference,
        report.created
    );
    let mut hex: Vec<char> = Digest::of(text.as_bytes()).hex().chars().take(32).collect();
    for (index, digit) in [(12, '8'), (16, '8')] {
        if let Some(place) = hex.get_mut(index) {
            *place = digit;
        }
    }
    let part = |from: usize, length: usize| hex.iter().skip(from).take(length).collect::<String>();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 4), part(12, 4), part(16, 4), part(20, 12))
}

fn property(name: &str, value: impl Into<String>) -> Value {
    json!({"name": format!("portcullis:{name}"), "value": value.into()})
}

fn metadata(report: &Report, view: &View<'_>) -> Value {
    let verdict = &report.verdict;
    let mut properties = vec![property("verdict", verdict_word(report))];
    if report.is_matched() {
        properties.push(property("policy", format!("{} {}", verdict.policy.name, verdict.policy.digest)));
        properties.push(property("database", format!("{} of {}", report.database.digest, report.database.built)));
    }
    let reason = |reason: &portcullis_model::Reason| format!("{} {}: {}", reason.result, reason.rule, reason.message);
    properties.extend(verdict.reasons.iter().map(|r| property("reason", reason(r))));
    properties.extend(view.gaps.iter().map(|gap| property("gap", format!("{}: {}", gap.path, gap.message))));
    properties.extend(view.notes.iter().map(|note| property("note", format!("{}: {}", note.path, note.message))));
    properties.extend(base_words(report, view).map(|base| property("baseImage", base)));
    properties.extend(coverage_words(report).map(|coverage| property("coverage", coverage)));
    let unexplained = report.coverage.iter().flat_map(|coverage| &coverage.unknown);
    properties.extend(unexplained.map(|path| property("unexplained", path)));
    if report.is_matched() && report.database.starter {
        properties.push(property("starterDatabase", "true"));
    }
    json!({
        "timestamp": report.created,
        "tools": {"components": [{
            "type": "application",
            "name": report.tool.name,
            "version": report.tool.version,
        }]},
        "component": target(report),
        "properties": properties,
    })
}

/// What GitLab's dependency list reads of a bill of materials
/// (<https://docs.gitlab.com/development/sec/cyclonedx_property_taxonomy/>).
fn for_gitlab(report: &Report) -> Vec<Value> {
    let property = |name: &str, value: &str| json!({"name": format!("gitlab:{name}"), "value": value});
    let mut properties = vec![property("meta:schema_version", "1")];
    if report.target.is_image() {
        let name = report.target.reference.split_once('@').map_or(report.target.reference.as_str(), |(name, _)| name);
        let tag = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (name, tag) = tag.unwrap_or((name, "latest"));
        properties.push(property("container_scanning:image:name", name));
        properties.push(property("container_scanning:image:tag", tag));
    }
    if let Some(distribution) = &report.distribution {
        properties.push(property("container_scanning:operating_system:name", &distribution.id));
        properties.push(property("container_scanning:operating_system:version", &distribution.version_id));
    }
    properties
}

fn target(report: &Report) -> Value {
    let target = &report.target;
    let mut component = Map::new();
    let kind = match target.digest {
        _ if target.is_image() => "container",
        // A document, of which nothing but its bytes is known.
        Some(_) => "file",
        None => "application",
    };
    component.insert("type".to_owned(), json!(kind));
    component.insert("bom-ref".to_owned(), json!(ROOT));
    component.insert("name".to_owned(), json!(target.reference));
    if let Some(digest) = &target.digest {
        component.insert("version".to_owned(), json!(digest));
        component.insert("hashes".to_owned(), json!([{"alg": "SHA-256", "content": digest.hex()}]));
    }
    let mut properties = Vec::new();
    for (name, digest) in [("indexDigest", &target.index_digest), ("configDigest", &target.config_digest)] {
        properties.extend(digest.map(|digest| property(name, digest.to_string())));
    }
    properties.extend(target.platform.as_ref().map(|platform| property("platform", platform.to_string())));
    properties.extend(target.layers.iter().map(|layer| property("layer", layer.diff_id.to_string())));
    properties.extend(target.labels.iter().map(|(name, value)| property("label", format!("{name}={value}"))));
    if !properties.is_empty() {
        component.insert("properties".to_owned(), json!(properties));
    }
    Value::Object(component)
}

fn distribution(report: &Report) -> Option<Value> {
    let distribution = report.distribution.as_ref()?;
    let name = if distribution.id.is_empty() { "unknown" } else { &distribution.id };
    Some(json!({
        "type": "operating-system",
        "bom-ref": DISTRIBUTION,
        "name": name,
        "version": distribution.version_id,
        "description": distribution.name,
    }))
}

/// The references of components: package URLs, with a number behind those that several share.
pub(crate) struct References {
    /// In the order of the packages.
    pub(crate) in_order: Vec<String>,
    by_place: BTreeMap<(PackageType, String, String, Option<Location>), String>,
}

impl References {
    pub(crate) fn of(packages: &[Package]) -> Self {
        let mut used: HashSet<String> = HashSet::from([ROOT.to_owned(), DISTRIBUTION.to_owned()]);
        let mut references = Self { in_order: Vec::with_capacity(packages.len()), by_place: BTreeMap::new() };
        let mut next: BTreeMap<&str, usize> = BTreeMap::new();
        for package in packages {
            let wanted = if package.purl.is_empty() { package.name.as_str() } else { package.purl.as_str() };
            let number = next.entry(wanted).or_insert(0);
            let reference = loop {
                *number += 1;
                let name = if *number == 1 { wanted.to_owned() } else { format!("{wanted}#{number}") };
                if !name.is_empty() && used.insert(name.clone()) {
                    break name;
                }
            };
            references
                .by_place
                .insert(place(package.kind, &package.name, &package.version, &package.locations), reference.clone());
            references.in_order.push(reference);
        }
        references
    }

    /// The components that need others, in the order of the packages, each with what it needs, sorted.
    pub(crate) fn dependencies<'a>(&'a self, packages: &'a [Package]) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> {
        let mut by_purl: HashMap<&str, Vec<&str>> = HashMap::new();
        for (package, reference) in packages.iter().zip(&self.in_order) {
            by_purl.entry(&package.purl).or_default().push(reference);
        }
        packages.iter().zip(&self.in_order).filter_map(move |(package, reference)| {
            let needed = package.depends_on.iter().filter_map(|purl| by_purl.get(purl.as_str())).flatten();
            let mut needed: Vec<&str> = needed.copied().filter(|needed| needed != reference).collect();
            needed.sort_unstable();
            needed.dedup();
            (!needed.is_empty()).then_some((reference.as_str(), needed))
        })
    }

    /// The component that a finding is in; the finding's package URL where there is none.
    pub(crate) fn of_finding(&self, finding: &Finding) -> String {
        let package = &finding.package;
        let place = place(package.kind, &package.name, &package.version, &package.locations);
        self.by_place.get(&place).cloned().unwrap_or_else(|| ROOT.to_owned())
    }
}

fn place(
    kind: PackageType,
    name: &str,
    version: &str,
    locations: &[Location],
) -> (PackageType, String, String, Option<Location>) {
    (kind, name.to_owned(), version.to_owned(), locations.first().cloned())
}

fn component(package: &Package, reference: &str) -> Value {
    let mut component = Map::new();
    component.insert("type".to_owned(), json!("library"));
    component.insert("bom-ref".to_owned(), json!(reference));
    if let Some(vendor) = &package.vendor {
        component.insert("publisher".to_owned(), json!(vendor));
    }
    component.insert("name".to_owned(), json!(package.name));
    // The schema takes no more characters than this; the whole is then among the properties.
    let version = head(&package.version, MAX_VERSION);
    component.insert("version".to_owned(), json!(version));
    if !package.licenses.is_empty() {
        component.insert("licenses".to_owned(), licenses(&package.licenses));
    }
    // The schema takes nothing else, and inventories of other tools are passed on.
    if let Some(cpe) = package.cpe.as_ref().filter(|cpe| is_cpe(cpe)) {
        component.insert("cpe".to_owned(), json!(cpe));
    }
    if !package.purl.is_empty() {
        component.insert("purl".to_owned(), json!(package.purl));
    }
    let mut properties = vec![property("type", package.kind.as_str())];
    if version.len() < package.version.len() {
        properties.push(property("version", &package.version));
    }
    if let Some(source) = &package.source {
        properties.push(property("source", format!("{} {}", source.name, source.version)));
    }
    properties.extend(package.architecture.as_ref().map(|architecture| property("architecture", architecture)));
    properties.extend(package.module.as_ref().map(|module| property("module", module)));
    properties.extend(package.owned_by.as_ref().map(|owner| property("ownedBy", owner)));
    properties.extend(package.evidence.as_ref().map(|evidence| property("evidence", evidence)));
    for location in &package.locations {
        properties.push(property("path", &location.path));
        properties.extend(location.layer.map(|layer| property("layer", layer.to_string())));
    }
    component.insert("properties".to_owned(), json!(properties));
    Value::Object(component)
}

/// One expression, or any number of single licences: never both.
fn licenses(declared: &[String]) -> Value {
    if let [only] = declared
        && let License::Expression(expression) = license(only)
    {
        return json!([{"expression": expression}]);
    }
    let mut licenses: Vec<_> = declared
        .iter()
        .map(|text| match license(text) {
            License::Id(id) => json!({"license": {"id": id}}),
            License::Expression(expression) => json!({"license": {"name": expression}}),
            License::Name(name) => json!({"license": {"name": name}}),
        })
        .collect();
    licenses.sort_by_key(Value::to_string);
    licenses.dedup();
    json!(licenses)
}
