//! Statements meet findings.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{Digest, Distribution, Finding, Location, Package, Suppression, Target, Warning};

use crate::{Component, Document, Product, Statement, Status};

/// The image, as statements may name it.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Its reference, as users write it.
    pub reference: &'a str,
    /// Of its manifest, its index and its config.
    pub digests: &'a [Digest],
    /// What it runs on, where that is known.
    pub architecture: Option<&'a str>,
}

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 400;

/// Suppresses the findings that `documents` rule out. Of several statements on one finding the latest counts, and of
/// equally late ones the worst; a statement without a time is older than any other. What is suppressed already keeps its
/// reason. Says of each document how much of it speaks of nothing that was found.
#[must_use]
pub fn apply(
    documents: &[Document],
    target: &Target,
    distribution: Option<&Distribution>,
    packages: &[Package],
    findings: &mut [Finding],
) -> Vec<Warning> {
    let digests: Vec<Digest> =
        [target.digest, target.index_digest, target.config_digest].into_iter().flatten().collect();
    let architecture = target.platform.as_ref().map(|platform| platform.architecture.as_str());
    let image = Image { reference: &target.reference, digests: &digests, architecture };
    let by_purl: HashMap<&str, &Package> = packages.iter().map(|package| (package.purl.as_str(), package)).collect();
    let scene = Scene { image, distribution, packages };
    let mut by_id: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (number, document) in documents.iter().enumerate() {
        for (place, statement) in document.statements.iter().enumerate() {
            statement.ids.iter().for_each(|id| by_id.entry(id).or_default().push((number, place)));
        }
    }
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    for finding in findings {
        let Some(package) = by_purl.get(finding.package.purl.as_str()) else { continue };
        let mut latest: Option<(&Document, &Statement)> = None;
        let mut places: Vec<(usize, usize)> =
            ids(finding).filter_map(|id| by_id.get(id.as_str())).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let Some(document) = documents.get(place.0) else { continue };
            let Some(statement) = document.statements.get(place.1) else { continue };
            if !scene.speaks_of(document, statement, package) {
                continue;
            }
            used.insert(place);
            let is_later =
                latest.is_none_or(|(_, known)| (known.time, known.status) < (statement.time, statement.status));
            if is_later {
                latest = Some((document, statement));
            }
        }
        if let Some((document, statement)) = latest
            && finding.suppressed.is_none()
        {
            finding.suppressed = suppression(document, statement);
        }
    }
    documents.iter().enumerate().flat_map(|(number, document)| notes(number, document, &used)).collect()
}

/// Every id of a finding, as statements are indexed.
fn ids(finding: &Finding) -> impl Iterator<Item = String> + '_ {
    std::iter::once(&finding.id).chain(&finding.aliases).chain(&finding.cve).map(|id| id.to_ascii_uppercase())
}

/// How a document is named in reports.
fn place(document: &Document) -> String {
    let id: String = document.id.chars().filter(|character| !character.is_control()).take(200).collect();
    format!("vex:{id}")
}

fn suppression(document: &Document, statement: &Statement) -> Option<Suppression> {
    let word = match statement.status {
        Status::NotAffected => "not affected",
        Status::Fixed => "fixed",
        Status::UnderInvestigation | Status::Affected => return None,
    };
    let reason = match statement.reason.as_str() {
        "" => word.to_owned(),
        reason => format!("{word}: {}", reason.chars().take(MAX_REASON).collect::<String>()),
    };
    Some(Suppression { by: place(document), reason, expires: None })
}

fn notes(number: usize, document: &Document, used: &BTreeSet<(usize, usize)>) -> Vec<Warning> {
    let spoken = used.iter().filter(|(of, _)| *of == number).count();
    let all = document.statements.len();
    let place = place(document);
    let mut notes: Vec<Warning> =
        document.problems.iter().map(|problem| Warning::note(&*place, problem.clone())).collect();
    if spoken < all {
        let what = format!("{} of its {all} statements speak of nothing that was found", all - spoken);
        notes.push(Warning::note(&*place, what));
    }
    notes
}

/// What statements are held against.
struct Scene<'a> {
    image: Image<'a>,
    distribution: Option<&'a Distribution>,
    packages: &'a [Package],
}

impl Scene<'_> {
    fn speaks_of(&self, document: &Document, statement: &Statement, package: &Package) -> bool {
        statement.products.iter().any(|product| self.is_of(document, product, package))
    }

    fn is_of(&self, document: &Document, product: &Product, package: &Package) -> bool {
        let Product { whole, parts } = product;
        let Some(whole) = document.components.get(*whole) else { return false };
        let mut parts = parts.iter().filter_map(|part| document.components.get(*part)).peekable();
        if parts.peek().is_none() {
            return whole.is_package(package, self.distribution) || whole.is_image(&self.image);
        }
        let is_part = parts.any(|part| part.is_package(package, self.distribution));
        is_part && (whole.is_image(&self.image) || self.holds(whole, package))
    }

    /// Whether the product is a package that `package` is part of: it depends on it, or both lie in one file, as the
    /// modules of one binary and the libraries of one archive do.
    fn holds(&self, whole: &Component, package: &Package) -> bool {
        let wholes = self.packages.iter().filter(|other| whole.is_package(other, self.distribution));
        wholes.into_iter().any(|other| {
            other.depends_on.contains(&package.purl)
                || other.locations.iter().any(|place| package.locations.iter().any(|own| is_in_one_file(place, own)))
        })
    }
}

fn is_in_one_file(a: &Location, b: &Location) -> bool {
    let outer = |location: &Location| location.path.split("!/").next().unwrap_or_default().to_owned();
    a.layer == b.layer && outer(a) == outer(b)
}
