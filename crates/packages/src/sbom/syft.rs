//! Syft's own JSON.
//!
//! Format: <https://github.com/anchore/syft/tree/main/schema/json>, from version 1 of the schema on.

use std::borrow::Cow;

use portcullis_model::{Digest, Distribution};
use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use super::{
    gather::{Found, Gathered, package_type},
    loose::{Each, Loose, Text, Texts},
};

/// A package.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Artifact<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    purl: Text<'a>,
    #[serde(borrow)]
    locations: Locations<'a>,
    #[serde(borrow)]
    licenses: Licenses<'a>,
    #[serde(borrow)]
    metadata: Loose<Metadata<'a>>,
}

/// What the package manager says; the names are those of every package manager.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow)]
    source_version: Text<'a>,
    #[serde(borrow)]
    source_rpm: Text<'a>,
    #[serde(borrow)]
    origin_package: Text<'a>,
    #[serde(borrow)]
    architecture: Text<'a>,
    #[serde(borrow)]
    maintainer: Text<'a>,
    #[serde(borrow)]
    vendor: Text<'a>,
    #[serde(borrow)]
    modularity_label: Text<'a>,
    #[serde(borrow)]
    epoch: Text<'a>,
}

#[derive(Default)]
struct Locations<'a>(Vec<(Cow<'a, str>, Option<Digest>)>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(borrow, rename = "layerID")]
    layer: Text<'a>,
    #[serde(borrow)]
    annotations: Loose<Annotations<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations<'a> {
    #[serde(borrow)]
    evidence: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Locations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut places = Vec::new();
        Each::new(|Location { path, layer, annotations }: Location<'de>| {
            // Licence texts and file lists only support what the first place says.
            if annotations.0.evidence.0 != "supporting" {
                places.push((path.0, layer.0.parse().ok()));
            }
        })
        .deserialize(deserializer)?;
        Ok(Self(places))
    }
}

/// Strings in older schemas, objects in newer ones.
#[derive(Default)]
struct Licenses<'a>(Vec<Cow<'a, str>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum LicenseForm<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Object(#[serde(borrow)] License<'a>),
    Other(serde::de::IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct License<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    spdx_expression: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Licenses<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let forms = Option::<Vec<LicenseForm<'de>>>::deserialize(deserializer)?.unwrap_or_default();
        let texts = forms.into_iter().filter_map(|form| match form {
            LicenseForm::Text(text) => Some(text),
            LicenseForm::Object(license) if license.spdx_expression.is_empty() => Some(license.value),
            LicenseForm::Object(license) => Some(license.spdx_expression),
            LicenseForm::Other(_) => None,
        });
        Ok(Self(texts.filter(|text| !text.is_empty()).collect()))
    }
}

impl Artifact<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        let Metadata {
            source,
            source_version,
            source_rpm,
            origin_package,
            architecture,
            maintainer,
            vendor,
            modularity_label,
            epoch,
        } = self.metadata.0;
        let hint = package_type(&self.kind.0);
        let is_system = hint.is_some_and(portcullis_model::PackageType::is_operating_system);
        let text = |text: Cow<'_, str>| if is_system { text.into_owned() } else { String::new() };
        gathered.add(Found {
            reference: self.id.0,
            name: self.name.0,
            version: self.version.0,
            purl: self.purl.0,
            hint,
            licenses: self.licenses.0.into_iter().map(Cow::into_owned).collect(),
            source_name: text(if source.0.is_empty() { origin_package.0 } else { source.0 }).into(),
            source_version: text(source_version.0).into(),
            source_rpm: text(source_rpm.0).into(),
            architecture: text(architecture.0).into(),
            vendor: text(if maintainer.0.is_empty() { vendor.0 } else { maintainer.0 }).into(),
            module: text(modularity_label.0).into(),
            epoch: text(epoch.0).into(),
            places: self.locations.0,
            ..Found::default()
        });
    }
}

/// The distribution.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Distro<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "versionID")]
    version_id: Text<'a>,
    #[serde(borrow, rename = "prettyName")]
    pretty_name: Text<'a>,
    #[serde(borrow, rename = "versionCodename")]
    codename: Text<'a>,
    #[serde(borrow, rename = "idLike")]
    id_like: Texts<'a>,
    /// In older schemas: the id.
    #[serde(borrow)]
    name: Text<'a>,
    /// In older schemas: the release.
    #[serde(borrow)]
    version: Text<'a>,
}

impl Distro<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        let found = if self.id.0.is_empty() {
            Distribution::named(&self.name.0, &self.version.0)
        } else {
            Distribution {
                id: self.id.0.into_owned(),
                version_id: self.version_id.0.into_owned(),
                ..Distribution::default()
            }
        };
        if found.id.is_empty() {
            return;
        }
        let codename = (!self.codename.0.is_empty()).then(|| self.codename.0.into_owned());
        let id_like = self.id_like.0.iter().flat_map(|ids| ids.split_whitespace()).map(str::to_owned).collect();
        let name = self.pretty_name.0.into_owned();
        gathered.distribution(Distribution { name, codename, id_like, ..found });
    }
}

/// What was scanned.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Source<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    target: Loose<ImageTarget<'a>>,
}

/// What was scanned, in older schemas.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ImageTarget<'a> {
    #[serde(borrow, rename = "userInput")]
    user_input: Text<'a>,
}

impl Source<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        let name = if self.name.0.is_empty() { self.target.0.user_input.0 } else { self.name.0 };
        if !name.is_empty() {
            gathered.subject(&name, &self.version.0);
        }
    }
}

/// The version of the schema.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Schema<'a> {
    #[serde(borrow)]
    pub(super) version: Text<'a>,
}

/// How two packages relate.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Relationship<'a> {
    #[serde(borrow)]
    parent: Text<'a>,
    #[serde(borrow)]
    child: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

impl Relationship<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        match &*self.kind.0 {
            "dependency-of" => gathered.dependency(&self.child.0, &self.parent.0),
            "ownership-by-file-overlap" => gathered.owner(&self.child.0, &self.parent.0),
            _ => {}
        }
    }
}
