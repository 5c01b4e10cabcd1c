//! What properties of Portcullis, Syft and Trivy say of a component.

use std::borrow::Cow;

use portcullis_model::{Digest, Distribution, PackageType};

use crate::sbom::gather::{Found, Gathered, MAX_PLACES, package_type};

/// The properties that count.
#[derive(Default)]
pub(in crate::sbom) struct Facts<'a> {
    kind: Option<PackageType>,
    version: Cow<'a, str>,
    source_name: Cow<'a, str>,
    source_version: Cow<'a, str>,
    source_release: Cow<'a, str>,
    source_epoch: Cow<'a, str>,
    source_rpm: Cow<'a, str>,
    architecture: Cow<'a, str>,
    module: Cow<'a, str>,
    vendor: Cow<'a, str>,
    owned_by: Cow<'a, str>,
    evidence: Cow<'a, str>,
    layer: Option<Digest>,
    places: Vec<(Cow<'a, str>, Option<Digest>)>,
    distribution: Distribution,
}

impl<'a> Facts<'a> {
    pub(in crate::sbom) fn add(&mut self, name: &str, value: Cow<'a, str>) {
        if let Some(name) = name.strip_prefix("portcullis:") {
            self.add_own(name, value);
        } else if let Some(name) = name.strip_prefix("aquasecurity:trivy:") {
            self.add_trivy(name, value);
        } else if let Some(name) = name.strip_prefix("syft:") {
            self.add_syft(name, value);
        }
    }

    fn add_own(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "type" => self.kind = PackageType::of_purl(&value),
            "version" => self.version = value,
            "source" => {
                // A source's name has no space, and its version may be empty.
                let (name, version) = value.split_once(' ').unwrap_or((&value, ""));
                (self.source_name, self.source_version) = (name.to_owned().into(), version.to_owned().into());
            }
            "architecture" => self.architecture = value,
            "module" => self.module = value,
            "ownedBy" => self.owned_by = value,
            "evidence" => self.evidence = value,
            "path" if self.places.len() < MAX_PLACES => self.places.push((value, None)),
            "layer" => {
                if let (Some(place), Ok(layer)) = (self.places.last_mut(), value.parse()) {
                    place.1 = Some(layer);
                }
            }
            "codename" => self.distribution.codename = Some(value.into_owned()),
            "idLike" => self.distribution.id_like.push(value.into_owned()),
            _ => {}
        }
    }

    fn add_trivy(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "PkgType" => self.kind = package_type(&value),
            "SrcName" => self.source_name = value,
            "SrcVersion" => self.source_version = value,
            "SrcRelease" => self.source_release = value,
            "SrcEpoch" => self.source_epoch = value,
            "Modularitylabel" | "ModularityLabel" => self.module = value,
            "LayerDiffID" => self.layer = value.parse().ok(),
            "FilePath" if self.places.len() < MAX_PLACES => self.places.push((value, None)),
            _ => {}
        }
    }

    fn add_syft(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "package:type" => self.kind = package_type(&value),
            "metadata:source" | "metadata:originPackage" => self.source_name = value,
            "metadata:sourceVersion" => self.source_version = value,
            "metadata:sourceRpm" => self.source_rpm = value,
            "metadata:architecture" => self.architecture = value,
            "metadata:modularityLabel" => self.module = value,
            "metadata:maintainer" | "metadata:vendor" => self.vendor = value,
            "distro:id" => self.distribution.id = value.into_owned(),
            "distro:versionID" => self.distribution.version_id = value.into_owned(),
            "distro:prettyName" => self.distribution.name = value.into_owned(),
            "distro:versionCodename" => self.distribution.codename = Some(value.into_owned()),
            name if name.starts_with("distro:idLike:") => self.distribution.id_like.push(value.into_owned()),
            name => {
                if let Some((index, field)) = name.strip_prefix("location:").and_then(|rest| rest.split_once(':'))
                    && let Ok(index) = index.parse::<usize>()
                    && index < MAX_PLACES
                {
                    if self.places.len() <= index {
                        self.places.resize(index + 1, (Cow::Borrowed(""), None));
                    }
                    match (self.places.get_mut(index), field) {
                        (Some(place), "path") => place.0 = value,
                        (Some(place), "layerID") => place.1 = value.parse().ok(),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Adds what is known to a component.
    pub(in crate::sbom) fn complete(self, found: &mut Found<'a>) {
        found.hint = self.kind;
        if !self.version.is_empty() {
            found.version = self.version;
        }
        if found.vendor.is_empty() {
            found.vendor = self.vendor;
        }
        found.source_name = self.source_name;
        let mut version = self.source_version;
        if !self.source_release.is_empty() {
            version = format!("{version}-{}", self.source_release).into();
        }
        if !matches!(&*self.source_epoch, "" | "0") {
            version = format!("{}:{version}", self.source_epoch).into();
        }
        found.source_version = version;
        found.source_rpm = self.source_rpm;
        found.architecture = self.architecture;
        found.module = self.module;
        found.owned_by = self.owned_by;
        found.evidence = self.evidence;
        found.layer = self.layer;
        found.places.extend(self.places.into_iter().filter(|(path, _)| !path.is_empty()));
    }

    /// What a component of the type `operating-system` says.
    pub(super) fn gather_system(mut self, gathered: &mut Gathered, found: &Found<'_>, description: &str) {
        if self.distribution.id.is_empty() {
            let identified = Distribution::named(&found.name, &found.version);
            (self.distribution.id, self.distribution.version_id) = (identified.id, identified.version_id);
        }
        if self.distribution.name.is_empty() {
            self.distribution.name = description.to_owned();
        }
        gathered.distribution(self.distribution);
    }

    /// What the document's own properties say of the distribution.
    pub(in crate::sbom) fn gather_distribution(self, gathered: &mut Gathered) {
        if !self.distribution.id.is_empty() {
            gathered.distribution(self.distribution);
        }
    }
}
