//! Statements meet findings.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{
    CLOCK_SKEW_SECONDS, Digest, Distribution, Finding, Location, Package, PackageUrl, Suppression, Target, Timestamp,
    Warning,
};

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

/// The label of a bill of materials' target that holds the package URL of the image that the bill describes.
pub const IMAGE_LABEL: &str = "sbom.image";

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 400;

/// Suppresses the findings that `documents` rule out. Of several statements on one finding the latest counts, and of
/// equally late ones the worst; a statement without a time is older than any other, and one that is later than `now` rules
/// nothing out. What is suppressed already keeps its reason. Says of each document how much of it speaks of nothing that
/// was found, or comes from the future.
#[must_use]
pub fn apply(
    documents: &[Document],
    target: &Target,
    distribution: Option<&Distribution>,
    packages: &[Package],
    findings: &mut [Finding],
    now: Timestamp,
) -> Vec<Warning> {
    if documents.is_empty() {
        return Vec::new();
    }
    let Named { reference, digests, architecture } = Named::of(target);
    let image = Image { reference: &reference, digests: &digests, architecture: architecture.as_deref() };
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
            if statement.status.rules_out() && statement.is_after(now) {
                continue;
            }
            let is_later =
                latest.is_none_or(|(_, known)| (known.time, known.status) < (statement.time, statement.status));
            if is_later {
                latest = Some((document, statement));
            }
        }
        if let Some((document, statement)) = latest
            && finding.suppressed.is_none()
        {
            finding.suppressed = suppression(document, statement).map(Box::new);
        }
    }
    documents.iter().enumerate().flat_map(|(number, document)| notes(number, document, &used, now)).collect()
}

/// What a target is called.
struct Named {
    reference: String,
    digests: Vec<Digest>,
    architecture: Option<String>,
}

impl Named {
    fn of(target: &Target) -> Self {
        // An image's labels are its builder's to write: only a bill's target has ours.
        let described = target.labels.get(IMAGE_LABEL).filter(|_| !target.is_image());
        if let Some(purl) = described.and_then(|purl| PackageUrl::parse(purl).ok()) {
            return Self::described(&purl);
        }
        Self {
            reference: target.reference.clone(),
            digests: [target.digest, target.index_digest, target.config_digest].into_iter().flatten().collect(),
            architecture: target.platform.as_ref().map(|platform| platform.architecture.clone()),
        }
    }

    /// `pkg:oci/app@sha256:…?repository_url=registry.example/team/app&tag=v1`. The address may end with the name or not.
    fn described(purl: &PackageUrl<'_>) -> Self {
        let path = match &*purl.namespace {
            "" => purl.name.to_string(),
            namespace => format!("{namespace}/{}", purl.name),
        };
        let base = purl.qualifier("repository_url");
        let base = base.split_once("://").map_or(base, |(_, rest)| rest).trim_end_matches('/');
        let repository = match base {
            "" => path,
            base if base.ends_with(&format!("/{path}")) => base.to_owned(),
            base => format!("{base}/{path}"),
        };
        let digest: Option<Digest> = purl.version.parse().ok();
        let tag = match (purl.qualifier("tag"), digest) {
            ("", None) => &*purl.version,
            (tag, _) => tag,
        };
        let architecture = purl.qualifier("arch");
        Self {
            reference: if tag.is_empty() { repository } else { format!("{repository}:{tag}") },
            digests: digest.into_iter().collect(),
            architecture: (!architecture.is_empty()).then(|| architecture.to_owned()),
        }
    }
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
    if !statement.status.rules_out() {
        return None;
    }
    let word = if statement.status == Status::Fixed { "fixed" } else { "not affected" };
    let reason = match statement.reason.as_str() {
        "" => word.to_owned(),
        reason => format!("{word}: {}", reason.chars().take(MAX_REASON).collect::<String>()),
    };
    Some(Suppression { by: place(document), reason, expires: None })
}

impl Statement {
    /// Whether it was made after that moment, by more than clocks differ.
    fn is_after(&self, now: Timestamp) -> bool {
        self.time.is_some_and(|time| time.seconds_since(now) > CLOCK_SKEW_SECONDS)
    }
}

fn notes(number: usize, document: &Document, used: &BTreeSet<(usize, usize)>, now: Timestamp) -> Vec<Warning> {
    let spoken = used.iter().filter(|(of, _)| *of == number).count();
    let all = document.statements.len();
    let place = place(document);
    let mut notes: Vec<Warning> =
        document.problems.iter().map(|problem| Warning::note(&*place, problem.clone())).collect();
    let later = document.statements.iter().filter(|statement| statement.is_after(now));
    let (later, latest) =
        later.fold((0_usize, None), |(count, latest), statement| (count + 1, latest.max(statement.time)));
    if let Some(latest) = latest {
        let what =
            format!("{later} of its {all} statements are later than {now}, up to {latest}: they rule nothing out");
        notes.push(Warning::note(&*place, what));
    }
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
        let mut wholes = Vec::new();
        for Product { whole, parts } in &statement.products {
            let Some(whole) = document.components.get(*whole) else { continue };
            let mut named = parts.iter().filter_map(|part| document.components.get(*part));
            if parts.is_empty() {
                if whole.is_package(package, self.distribution) || whole.is_image(&self.image) {
                    return true;
                }
            } else if named.any(|part| part.is_package(package, self.distribution)) {
                if whole.is_image(&self.image) {
                    return true;
                }
                wholes.push(whole);
            }
        }
        !wholes.is_empty() && self.hold(&wholes, statement.status, package)
    }

    /// Whether the products are packages that `package` is part of: they depend on it, or lie in one file with it, as the
    /// modules of one binary and the libraries of one archive do. A finding is of all copies of a package: what rules it
    /// out must speak of whatever holds one, and one is enough for what does not.
    fn hold(&self, wholes: &[&Component], status: Status, package: &Package) -> bool {
        let is_whole = |other: &&Package| wholes.iter().any(|whole| whole.is_package(other, self.distribution));
        let others = || self.packages.iter().filter(|other| other.purl != package.purl);
        let mut dependents = others().filter(|other| other.depends_on.contains(&package.purl)).peekable();
        let mut places = package.locations.iter().peekable();
        let is_in_whole =
            |place: &Location| others().filter(|other| lies_at(other, place)).any(|other| is_whole(&other));
        if !status.rules_out() {
            return dependents.any(|other| is_whole(&other)) || places.any(is_in_whole);
        }
        (dependents.peek().is_some() && dependents.all(|other| is_whole(&other)))
            || (places.peek().is_some() && places.all(is_in_whole))
    }
}

/// Whether a package lies in the file of `place`, or in an archive that this is.
fn lies_at(package: &Package, place: &Location) -> bool {
    fn outer(location: &Location) -> &str {
        location.path.split("!/").next().unwrap_or_default()
    }
    package.locations.iter().any(|own| own.layer == place.layer && outer(own) == outer(place))
}
