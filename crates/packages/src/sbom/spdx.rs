//! SPDX 2.2 and 2.3: packages, and how they relate.
//!
//! Format: <https://spdx.github.io/spdx-spec/v2.3/package-information/>. Tools put more than the format has fields for
//! into free text: Syft and Trivy say in `sourceInfo` where a package was found and what it was built from, ours both.

use std::borrow::Cow;

use portcullis_model::{Distribution, PackageType};
use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use super::{
    gather::{Found, Gathered},
    loose::{Each, Text, Texts},
};

/// A package; the tag-value format fills the same fields.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Package<'a> {
    #[serde(borrow, rename = "SPDXID")]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) version_info: Text<'a>,
    #[serde(borrow)]
    pub(super) package_file_name: Text<'a>,
    #[serde(borrow)]
    pub(super) supplier: Text<'a>,
    #[serde(borrow)]
    pub(super) originator: Text<'a>,
    #[serde(borrow)]
    pub(super) source_info: Text<'a>,
    #[serde(borrow)]
    pub(super) license_declared: Text<'a>,
    #[serde(borrow)]
    pub(super) license_concluded: Text<'a>,
    #[serde(borrow)]
    pub(super) description: Text<'a>,
    #[serde(borrow)]
    pub(super) primary_package_purpose: Text<'a>,
    #[serde(borrow)]
    pub(super) attribution_texts: Texts<'a>,
    #[serde(borrow)]
    pub(super) annotations: Comments<'a>,
    #[serde(borrow)]
    pub(super) external_refs: References<'a>,
}

/// The comments of annotations.
#[derive(Default)]
pub(super) struct Comments<'a>(pub(super) Vec<Cow<'a, str>>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotation<'a> {
    #[serde(borrow)]
    comment: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Comments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut comments = Vec::new();
        Each::new(|Annotation { comment }: Annotation<'de>| comments.push(comment.0)).deserialize(deserializer)?;
        Ok(Self(comments))
    }
}

/// The external references that count.
#[derive(Default)]
pub(super) struct References<'a> {
    purl: Cow<'a, str>,
    cpe: Cow<'a, str>,
    /// Claircore's words for a distribution.
    id: Cow<'a, str>,
    version_id: Cow<'a, str>,
    pretty_name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExternalRef<'a> {
    #[serde(borrow)]
    reference_type: Text<'a>,
    #[serde(borrow)]
    reference_locator: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for References<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut references = References::default();
        Each::new(|ExternalRef { reference_type, reference_locator }: ExternalRef<'de>| {
            references.add(&reference_type.0, reference_locator.0);
        })
        .deserialize(deserializer)?;
        Ok(references)
    }
}

impl<'a> References<'a> {
    /// Of several, the first counts.
    pub(super) fn add(&mut self, kind: &str, locator: Cow<'a, str>) {
        let field = match kind.rsplit('/').next().unwrap_or_default() {
            "purl" => &mut self.purl,
            "cpe23Type" | "cpe22Type" => &mut self.cpe,
            "did" => &mut self.id,
            "version_id" => &mut self.version_id,
            "pretty_name" => &mut self.pretty_name,
            _ => return,
        };
        if field.is_empty() {
            *field = locator;
        }
    }
}

impl Package<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        let id = &*self.id.0;
        let purpose = self.primary_package_purpose.0.replace('_', "-");
        let is = |prefix: &str| id.strip_prefix("SPDXRef-").is_some_and(|rest| rest.starts_with(prefix));
        if purpose == "OPERATING-SYSTEM" || is("OperatingSystem-") {
            gathered.distribution(self.distribution());
            return;
        }
        if self.external_refs.purl.is_empty() {
            // What only holds other packages: images, lockfiles, repositories, directories.
            let holds =
                ["ContainerImage-", "Image", "Application-", "Repository-", "Filesystem-", "DocumentRoot-", "File-"];
            let is_holder = holds.iter().any(|prefix| is(prefix));
            match purpose.as_str() {
                "SOURCE" => return gathered.source_package(id, &self.name.0, &self.version_info.0),
                "CONTAINER" => return gathered.subject(&self.name.0, &self.version_info.0),
                // With a version, it is something that was released.
                "FILE" | "OTHER" | "ARCHIVE" | "INSTALL" | "DEVICE" if self.version_info.0.is_empty() => return,
                _ if is_holder && self.version_info.0.is_empty() => return,
                _ => {}
            }
        }
        gathered.add(self.into_found());
    }

    fn distribution(&self) -> Distribution {
        let references = &self.external_refs;
        let version = if references.version_id.is_empty() { &self.version_info.0 } else { &references.version_id };
        let name = if references.id.is_empty() { &self.name.0 } else { &references.id };
        let mut distribution = Distribution::named(name, version);
        let pretty = if references.pretty_name.is_empty() { &self.description.0 } else { &references.pretty_name };
        distribution.name = pretty.to_string();
        distribution
    }
}

impl<'a> Package<'a> {
    fn into_found(self) -> Found<'a> {
        let mut found = Found {
            hint: hint_of_file(&self.package_file_name.0),
            reference: self.id.0,
            name: self.name.0,
            version: self.version_info.0,
            purl: self.external_refs.purl,
            cpe: self.external_refs.cpe,
            ..Found::default()
        };
        for text in self.attribution_texts.0.iter().chain(&self.annotations.0) {
            if let Some(layer) = text.strip_prefix("LayerDiffID: ") {
                found.layer = layer.trim().parse().ok();
            }
        }
        let license =
            if is_known(&self.license_declared.0) { self.license_declared.0 } else { self.license_concluded.0 };
        if is_known(&license) {
            found.licenses.push(license.into_owned());
        }
        let vendor = if is_known(&self.supplier.0) { &self.supplier.0 } else { &self.originator.0 };
        if is_known(vendor) {
            let name = vendor.split_once(": ").map_or(&**vendor, |(_, name)| name);
            found.vendor = name.to_owned().into();
        }
        if !self.package_file_name.0.is_empty() && found.purl.is_empty() {
            found.places.push((self.package_file_name.0, None));
        }
        source_info(&self.source_info.0, &mut found);
        found
    }
}

fn is_known(text: &str) -> bool {
    !matches!(text, "" | "NOASSERTION" | "NONE")
}

/// Claircore names the database that a package comes from, and no package URL.
fn hint_of_file(path: &str) -> Option<PackageType> {
    if path.contains("var/lib/dpkg") {
        Some(PackageType::Deb)
    } else if path.contains("lib/apk/db") {
        Some(PackageType::Apk)
    } else if path.contains("var/lib/rpm") || path.contains("sysimage/rpm") {
        Some(PackageType::Rpm)
    } else {
        None
    }
}

/// What tools write about where a package was found and what it was built from. Of what decides, the first counts:
/// ours stands before all paths, which can hold anything.
fn source_info(text: &str, found: &mut Found<'_>) {
    for part in text.split("; ") {
        if let Some(module) = part.strip_prefix("of module ")
            && found.places.is_empty()
        {
            found.module = module.to_owned().into();
        } else if let Some(place) = part.strip_prefix("found at ") {
            let (path, layer) = match place.rsplit_once(" in layer ") {
                Some((path, layer)) if layer.parse::<portcullis_model::Digest>().is_ok() => (path, layer.parse().ok()),
                _ => (place, None),
            };
            found.places.push((path.to_owned().into(), layer));
        } else if let Some(source) =
            part.strip_prefix("built from ").or_else(|| part.strip_prefix("built package from: "))
            && found.source_name.is_empty()
        {
            let (name, version) = source.split_once(' ').unwrap_or((source, ""));
            (found.source_name, found.source_version) = (name.to_owned().into(), version.to_owned().into());
        } else if let Some(acquired) = part.strip_prefix("acquired package info from ")
            && let Some((_, places)) = acquired.rsplit_once(": ")
        {
            found.places.extend(places.split(", ").map(|place| (place.trim().to_owned().into(), None)));
        }
    }
}

/// How two elements relate.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Relationship<'a> {
    #[serde(borrow)]
    pub(super) spdx_element_id: Text<'a>,
    #[serde(borrow)]
    pub(super) relationship_type: Text<'a>,
    #[serde(borrow)]
    pub(super) related_spdx_element: Text<'a>,
    #[serde(borrow)]
    pub(super) comment: Text<'a>,
}

impl Relationship<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        let (from, to) = (&*self.spdx_element_id.0, &*self.related_spdx_element.0);
        match &*self.relationship_type.0 {
            "DEPENDS_ON" => gathered.dependency(from, to),
            "DEPENDENCY_OF" | "RUNTIME_DEPENDENCY_OF" | "OPTIONAL_DEPENDENCY_OF" | "PROVIDED_DEPENDENCY_OF" => {
                gathered.dependency(to, from);
            }
            "GENERATED_FROM" => gathered.source(from, to),
            "DESCRIBES" => gathered.described(to),
            "DESCRIBED_BY" => gathered.described(from),
            // Syft's word for a distribution's package that installed another one.
            "OTHER" if self.comment.0.starts_with("ownership-by-file-overlap") => gathered.owner(to, from),
            _ => {}
        }
    }
}

/// A licence that is no licence of SPDX's list.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ExtractedLicense<'a> {
    #[serde(borrow)]
    pub(super) license_id: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

impl ExtractedLicense<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        gathered.extracted_license(&self.license_id.0, &self.name.0);
    }
}
