//! What every format's reader hands its components to: they become packages, one at a time.

mod links;
mod package;
mod problems;
mod types;

use std::{borrow::Cow, collections::BTreeMap};

use links::Links;
use package::{SourceNames, fill, identified, is_same_version, merge_equal};
use portcullis_model::{Digest, Distribution, Package, PackageType, PackageUrl, Purl, Reading};
use problems::{Problem, Problems};

use super::Sbom;
use crate::complete;
pub(super) use types::{cpe_product, package_type};

/// Most packages kept of one document.
const MAX_PACKAGES: usize = 400_000;

/// Most places kept of one package.
pub(super) const MAX_PLACES: usize = 1000;

/// Most spellings of distributions looked at.
const MAX_DISTROS: usize = 64;

/// Longest package URL of an image that is kept, in bytes.
const MAX_IMAGE_BYTES: usize = 2000;

/// A component, as its format describes it; empty is unknown.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// What other parts of the document call it.
    pub(super) reference: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) group: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    pub(super) purl: Cow<'a, str>,
    pub(super) cpe: Cow<'a, str>,
    /// The kind that the document gives in words of its own.
    pub(super) hint: Option<PackageType>,
    pub(super) licenses: Vec<String>,
    pub(super) source_name: Cow<'a, str>,
    pub(super) source_version: Cow<'a, str>,
    pub(super) source_rpm: Cow<'a, str>,
    pub(super) architecture: Cow<'a, str>,
    pub(super) vendor: Cow<'a, str>,
    pub(super) module: Cow<'a, str>,
    pub(super) epoch: Cow<'a, str>,
    pub(super) owned_by: Cow<'a, str>,
    pub(super) evidence: Cow<'a, str>,
    pub(super) layer: Option<Digest>,
    pub(super) places: Vec<(Cow<'a, str>, Option<Digest>)>,
}

/// The packages of one document, as they come.
pub(super) struct Gathered {
    format: String,
    format_version: String,
    document_name: String,
    subject: String,
    image: String,
    packages: Vec<Package>,
    /// Packages that nothing but their name tells of: what the document describes is among them.
    unidentified: Vec<usize>,
    links: Links,
    distribution: Option<Distribution>,
    /// The qualifiers that were met, so that each is read once.
    distros: Vec<(String, String, usize)>,
    licenses: BTreeMap<String, String>,
    problems: Problems,
    sources: SourceNames,
    images: usize,
    /// Whether it is all that is known of what it describes.
    is_alone: bool,
}

impl Gathered {
    pub(super) fn new(name: &str, is_alone: bool) -> Self {
        Self {
            format: String::new(),
            format_version: String::new(),
            document_name: String::new(),
            subject: String::new(),
            image: String::new(),
            packages: Vec::new(),
            unidentified: Vec::new(),
            links: Links::default(),
            distribution: None,
            distros: Vec::new(),
            licenses: BTreeMap::new(),
            problems: Problems::new(name),
            sources: SourceNames::default(),
            images: 0,
            is_alone,
        }
    }

    /// The document is of this format.
    pub(super) fn format(&mut self, format: &str) {
        if self.format.is_empty() {
            self.format = format.to_owned();
        }
    }

    pub(super) fn format_version(&mut self, version: &str) {
        if self.format_version.is_empty() {
            self.format_version = short(version).to_owned();
        }
    }

    pub(super) fn document_name(&mut self, name: &str) {
        self.document_name = short(name).to_owned();
    }

    /// What the document describes.
    pub(super) fn subject(&mut self, name: &str, version: &str) {
        if self.subject.is_empty() {
            let between = if version.is_empty() { "" } else { " " };
            self.subject = format!("{}{between}{}", short(name), short(version));
        }
    }

    /// The image that the document describes, by its package URL.
    pub(super) fn image(&mut self, purl: &str) {
        if self.image.is_empty() && purl.len() <= MAX_IMAGE_BYTES {
            self.image = purl.to_owned();
        }
    }

    /// A distribution; of several, the first counts.
    pub(super) fn distribution(&mut self, found: Distribution) {
        match &self.distribution {
            None => self.distribution = Some(found),
            Some(known) if known.id == found.id && is_within(&known.version_id, &found.version_id) => {}
            Some(known) => {
                let what = format!(
                    "it names several distributions: advisories of {} {} are asked, not those of {} {}",
                    known.id, known.version_id, found.id, found.version_id
                );
                self.problems.add(Problem::Distribution, what);
            }
        }
    }

    /// `from` needs `to` at run time.
    pub(super) fn dependency(&mut self, from: &str, to: &str) {
        self.links.dependency(from, to);
    }

    /// The files of `child` are those of `owner`.
    pub(super) fn owner(&mut self, child: &str, owner: &str) {
        self.links.owner(child, owner);
    }

    /// `binary` was built from `source`.
    pub(super) fn source(&mut self, binary: &str, source: &str) {
        self.links.source(binary, source);
    }

    /// A source package, which is not installed itself.
    pub(super) fn source_package(&mut self, reference: &str, name: &str, version: &str) {
        self.links.source_package(reference, name, version);
    }

    /// What the document describes, by its reference.
    pub(super) fn described(&mut self, reference: &str) {
        self.links.described(reference);
    }

    /// A component that the document itself says is not there at run time.
    pub(super) fn left_out(&mut self, name: &str) {
        self.problems.add(Problem::Excluded, format!("`{}` is not installed, as the document says", short(name)));
    }

    /// A text that does not end: what follows it was taken for a part of it.
    pub(super) fn cut(&mut self, field: &str) {
        let what = format!("the text of `{}` does not end: packages that follow it are not seen", short(field));
        self.problems.add(Problem::Cut, what);
    }

    /// Documents in documents that are not opened.
    pub(super) fn too_deep(&mut self) {
        self.problems.add(Problem::Cut, "it holds documents inside of documents, too deep to be read".to_owned());
    }

    /// The name of a licence that the document calls by a reference of its own.
    pub(super) fn extracted_license(&mut self, id: &str, name: &str) {
        if !id.is_empty() && !name.is_empty() && self.licenses.len() < 10_000 {
            self.licenses.insert(id.to_owned(), short(name).to_owned());
        }
    }

    /// A component.
    pub(super) fn add(&mut self, found: Found<'_>) {
        if self.packages.len() >= MAX_PACKAGES {
            self.problems.add(Problem::TooMany, format!("it lists more than {MAX_PACKAGES} packages"));
            return;
        }
        let url = if found.purl.is_empty() { None } else { self.url(&found) };
        let package = match &url {
            Some(url) if matches!(&*url.kind, "oci" | "docker") => {
                self.images += 1;
                let what =
                    format!("`{}` is an image: what is in it counts only where it is listed", short(&found.name));
                self.problems.add(Problem::Image, what);
                return;
            }
            Some(url) if url.qualifier("arch") == "src" => {
                self.left_out(&found.name);
                return;
            }
            Some(url) => {
                self.note_distribution(url);
                self.note_versions(&found, url);
                identified(&found, url)
            }
            None => self.guessed(&found),
        };
        let Some(mut package) = package else {
            self.problems.add(Problem::Nameless, format!("a component has no name: `{}`", short(&found.reference)));
            return;
        };
        fill(&mut package, &found, url.as_ref());
        self.sources.met(&found, url.as_ref());
        self.links.package(&found.reference, self.packages.len());
        self.packages.push(package);
    }

    /// The package URL, if it is one.
    fn url<'a>(&mut self, found: &'a Found<'_>) -> Option<PackageUrl<'a>> {
        match PackageUrl::parse(&found.purl) {
            Ok(url) => Some(url),
            Err(error) => {
                let what = format!("`{}` has the package URL `{}`: {error}", short(&found.name), short(&found.purl));
                self.problems.add(Problem::Purl, what);
                None
            }
        }
    }

    /// The package URL is the identity: what else the component says of its version is passed over aloud.
    fn note_versions(&mut self, found: &Found<'_>, url: &PackageUrl<'_>) {
        if self.is_alone && !is_same_version(&found.version, url) {
            let (name, version, other) = (short(&found.name), short(&found.version), short(&url.version));
            let what =
                format!("`{name}` has the version `{version}`, and `{other}` in its package URL: that was taken");
            self.problems.add(Problem::Versions, what);
        }
    }

    fn note_distribution(&mut self, url: &PackageUrl<'_>) {
        if !url.package_type().is_some_and(PackageType::is_operating_system) {
            return;
        }
        let distro = url.distro();
        let has_room = self.distros.len() < MAX_DISTROS;
        let known =
            self.distros.iter_mut().find(|(namespace, known, _)| *known == distro && *namespace == url.namespace);
        match known {
            Some((_, _, count)) => *count += 1,
            None if has_room => self.distros.push((url.namespace.to_string(), distro.into_owned(), 1)),
            None => {}
        }
    }

    /// A package without a package URL: by the kind that the document gives, by the form of its name, by its CPE.
    fn guessed(&mut self, found: &Found<'_>) -> Option<Package> {
        let (vendor, product, version) = cpe_product(&found.cpe).unwrap_or_default();
        let name = if found.name.trim().is_empty() { product.as_str() } else { &found.name };
        if name.trim().is_empty() {
            return None;
        }
        let version = if found.version.is_empty() { version.as_str() } else { &found.version };
        let is_module = || types::is_go_module(name, version);
        let kind = found.hint.or_else(|| is_module().then_some(PackageType::Golang));
        let separator = if kind == Some(PackageType::Maven) { ':' } else { '/' };
        let name = match &*found.group {
            "" => name.to_owned(),
            group => format!("{group}{separator}{name}"),
        };
        let (namespace, last) = name.rsplit_once(separator).unwrap_or(("", &name));
        let read_as = kind.unwrap_or(PackageType::Generic);
        let purl = if read_as.is_operating_system() {
            String::new()
        } else {
            Purl::new(read_as, namespace, last, version).build()
        };
        let mut package = Package { purl, ..Package::new(read_as, name.as_str(), version) };
        if kind.is_none() {
            self.unidentified.push(self.packages.len());
            package.vendor = (!vendor.is_empty()).then_some(vendor);
        } else if found.hint.is_none() {
            let what =
                format!("`{}` has no package URL: it is taken for a Go module by its form", short(&package.name));
            self.problems.add(Problem::Guessed, what);
        }
        Some(package)
    }

    /// The document as a whole; none if it is of no format.
    pub(super) fn finish(mut self) -> Option<Sbom> {
        if self.format.is_empty() {
            return None;
        }
        self.links.sources(&mut self.packages);
        self.settle_distribution();
        self.complete();
        self.links.connect(&mut self.packages);
        let gone = self.drop_described();
        let mut index = 0;
        self.packages.retain(|_| {
            index += 1;
            gone.binary_search(&(index - 1)).is_err()
        });
        for package in self.packages.iter().filter(|package| package.version.is_empty()) {
            self.problems.add(Problem::Versionless, format!("`{}` has no version", short(&package.name)));
        }
        let packages = merge_equal(self.packages);
        if let Some((problem, what)) = self.sources.missing(&packages).filter(|_| self.is_alone) {
            self.problems.add(problem, what);
        }
        if packages.is_empty() && self.images > 0 {
            self.problems.add(Problem::OnlyImages, "it names images, and no package of them".to_owned());
        }
        let subject = if self.subject.is_empty() { self.document_name } else { self.subject };
        Some(Sbom {
            is_cut: self.problems.is_cut(),
            format: format!("{} {}", self.format, self.format_version).trim_end().to_owned(),
            subject,
            image: self.image,
            reading: Reading {
                packages,
                distribution: self.distribution.map(Box::new),
                owned: Vec::new(),
                licensed: Vec::new(),
                warnings: self.problems.into_warnings(),
                completion: None,
                partial: None,
                maven: None,
            },
        })
    }

    /// Without a component that names it, the distribution is that of most packages.
    fn settle_distribution(&mut self) {
        let mut counted = std::mem::take(&mut self.distros);
        // A namespace alone says less than any qualifier.
        counted.sort_by_key(|(_, distro, count)| (distro.is_empty(), std::cmp::Reverse(*count)));
        for (namespace, distro, _) in counted {
            if distro.is_empty() && (self.distribution.is_some() || !self.is_alone) {
                break;
            }
            if let Some(found) = Distribution::of_purl(&namespace, &distro) {
                self.distribution(found);
            }
        }
    }

    fn complete(&mut self) {
        if let Some(distribution) = self.distribution.as_mut().filter(|distribution| distribution.name.is_empty()) {
            distribution.name = format!("{} {}", distribution.id, distribution.version_id).trim_end().to_owned();
        }
        for package in &mut self.packages {
            // Those that had one keep it: it is the identity that others know.
            if package.purl.is_empty() {
                complete::identify(package, self.distribution.as_ref());
            }
            for license in &mut package.licenses {
                if let Some(name) = self.licenses.get(license) {
                    license.clone_from(name);
                }
            }
        }
    }

    /// What the document describes is no package in it; of the rest, none is known to any advisory.
    fn drop_described(&mut self) -> Vec<usize> {
        let mut gone = Vec::new();
        for &index in &self.unidentified {
            let Some(package) = self.packages.get(index) else { continue };
            if package.owned_by.is_some() {
                continue;
            }
            if self.links.is_described(index) || package.name == self.document_name {
                gone.push(index);
                continue;
            }
            let what = format!("`{}` has no package URL: no advisory can be found for it", short(&package.name));
            self.problems.add(Problem::Unidentified, what);
        }
        gone
    }
}

/// Whether one release is the other, told more closely: `22.04` and `22.04.2`.
fn is_within(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short.is_empty() || long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Text of bounded length, for messages.
pub(super) fn short(text: &str) -> &str {
    let end = text.char_indices().nth(200).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}
