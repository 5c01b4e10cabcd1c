//! Packages × advisories → findings.
//!
//! Pure: no clock, no file, no network. The same packages and the same database give the same findings, in the same
//! order. What cannot be decided is said: as a finding whose state is unknown, or as a listed gap.

mod ecosystem;
mod merge;
mod range;

use std::collections::BTreeSet;

use ecosystem::{Place, distribution_ecosystems, place};
use portcullis_model::{
    Advisory, AdvisoryKey, AdvisoryLookup, Affected, Distribution, Finding, LookupError, Package, PackageType, Warning,
    lookup_name,
};
use portcullis_versions::Scheme;
pub use range::Match;

/// What matching found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// Sorted: the worst first, then by package and id.
    pub findings: Vec<Finding>,
    /// What could not be decided.
    pub warnings: Vec<Warning>,
    /// Ecosystems of packages in the image of which the database knows nothing, sorted; distributions are told apart
    /// from these by [`Self::distribution`].
    pub uncovered: Vec<String>,
    /// Whether advisories speak of the distribution.
    pub distribution: DistributionCoverage,
}

/// Whether advisories speak of an image's distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DistributionCoverage {
    /// There is none, nor a package of one.
    #[default]
    Absent,
    /// They do.
    Covered,
    /// The distribution is named, and they do not.
    Uncovered,
    /// There are packages of a distribution, and nothing says which.
    Unknown,
}

/// Matches every package.
///
/// # Errors
/// When the database is damaged: then there is no answer at all.
pub fn match_all(
    packages: &[Package],
    distribution: Option<&Distribution>,
    lookup: &dyn AdvisoryLookup,
) -> Result<Matches, LookupError> {
    let mut matcher = Matcher {
        lookup,
        distribution,
        findings: Vec::new(),
        warnings: Vec::new(),
        uncovered: BTreeSet::new(),
        coverage: coverage(packages, distribution, lookup),
    };
    for package in packages {
        matcher.package(package)?;
    }
    let Matcher { mut findings, mut warnings, uncovered, coverage, .. } = matcher;
    findings.sort_by(order);
    warnings.sort();
    warnings.dedup();
    Ok(Matches { findings, warnings, uncovered: uncovered.into_iter().collect(), distribution: coverage })
}

/// The order of findings in every report.
fn order(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    let rank = |finding: &Finding| {
        let score = finding.severity.score.map_or(-1, |score| (score * 10.0).round() as i64);
        std::cmp::Reverse((finding.severity.level, score))
    };
    rank(a).cmp(&rank(b)).then_with(|| a.package.cmp(&b.package)).then_with(|| (&a.id, &a.cve).cmp(&(&b.id, &b.cve)))
}

fn coverage(
    packages: &[Package],
    distribution: Option<&Distribution>,
    lookup: &dyn AdvisoryLookup,
) -> DistributionCoverage {
    let has_packages = packages.iter().any(|package| package.kind.is_operating_system());
    match distribution {
        None if has_packages => DistributionCoverage::Unknown,
        None => DistributionCoverage::Absent,
        Some(distribution) if distribution_ecosystems(distribution).iter().any(|name| lookup.covers(name)) => {
            DistributionCoverage::Covered
        }
        Some(_) if has_packages => DistributionCoverage::Uncovered,
        // A name without packages: nothing that advisories could speak of.
        Some(_) => DistributionCoverage::Absent,
    }
}

struct Matcher<'a> {
    lookup: &'a dyn AdvisoryLookup,
    distribution: Option<&'a Distribution>,
    findings: Vec<Finding>,
    warnings: Vec<Warning>,
    uncovered: BTreeSet<String>,
    coverage: DistributionCoverage,
}

impl Matcher<'_> {
    fn package(&mut self, package: &Package) -> Result<(), LookupError> {
        let Some(place) = place(package, self.distribution) else { return Ok(()) };
        let Some(ecosystem) = place.ecosystems.iter().find(|name| self.lookup.covers(name)) else {
            if !package.kind.is_operating_system() {
                self.uncovered.extend(place.ecosystems);
            }
            return Ok(());
        };
        let Some(scheme) = Scheme::of_ecosystem(ecosystem) else {
            self.warnings
                .push(Warning::gap(&*package.purl, format!("the order of versions in {ecosystem} is not known")));
            return Ok(());
        };
        let entries = self.lookup.affected(ecosystem, &lookup_name(ecosystem, place.name))?;
        let entries: Vec<Affected> = entries.into_iter().filter(|entry| concerns(entry, package)).collect();
        if entries.is_empty() {
            return Ok(());
        }
        if is_kernel_without_kernel(package, &place) {
            let what = format!(
                "kernel headers are no running kernel: {} advisories of {} do not count",
                entries.len(),
                place.name
            );
            self.warnings.push(Warning::note(&*package.purl, what));
            return Ok(());
        }
        if scheme.compare(place.version, place.version).is_err() {
            let what = format!(
                "its version `{}` cannot be compared: {} advisories are undecided",
                place.version,
                entries.len()
            );
            self.warnings.push(Warning::gap(&*package.purl, what));
            return Ok(());
        }
        let mut hits = Vec::new();
        for entry in &entries {
            if let Some(hit) = range::evaluate(entry, place.version, scheme) {
                hits.push((entry, self.lookup.advisory(entry.advisory, false)?, hit));
            }
        }
        let is_distribution = self.coverage == DistributionCoverage::Covered;
        let findings = merge::findings(package, ecosystem, &place, scheme, &hits, is_distribution);
        for mut finding in findings {
            if let Some(cve) = &finding.cve {
                let exploited = self.lookup.exploited(cve)?;
                finding.kev = exploited.kev;
                finding.epss =
                    exploited.epss.map(|(score, percentile)| portcullis_model::ExploitPrediction { score, percentile });
            }
            self.findings.push(finding);
        }
        Ok(())
    }
}

/// Whether an entry that names binary packages names this one.
fn concerns(entry: &Affected, package: &Package) -> bool {
    entry.binaries.is_empty() || entry.binaries.contains(&package.name)
}

/// A kernel's advisories speak of the kernel that runs; headers, tools and documentation are built from the same
/// source.
fn is_kernel_without_kernel(package: &Package, place: &Place<'_>) -> bool {
    let is_kernel_source = place.name == "linux" || place.name.starts_with("linux-");
    let has_kernel = ["linux-image", "linux-modules", "kernel", "linux-lts", "linux-virt"]
        .iter()
        .any(|name| package.name.starts_with(name));
    matches!(package.kind, PackageType::Deb | PackageType::Apk) && is_kernel_source && !has_kernel
}

/// Why one advisory does, or does not, apply to a package: what `explain` shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The record.
    pub advisory: Advisory,
    /// The ecosystem that was asked.
    pub ecosystem: String,
    /// The name that was asked for.
    pub name: String,
    /// The version that was compared.
    pub version: String,
    /// What the record says of the package; none if it does not name it.
    pub affected: Option<Affected>,
    /// What follows; none for *not affected*.
    pub decision: Option<Match>,
}

/// Explains what each of `advisories` means for `package`.
///
/// # Errors
/// When the database is damaged.
pub fn explain(
    package: &Package,
    distribution: Option<&Distribution>,
    advisories: &[AdvisoryKey],
    lookup: &dyn AdvisoryLookup,
) -> Result<Vec<Explanation>, LookupError> {
    let Some(place) = place(package, distribution) else { return Ok(Vec::new()) };
    let mut explanations = Vec::new();
    for ecosystem in place.ecosystems.iter().filter(|name| lookup.covers(name)) {
        let entries = lookup.affected(ecosystem, &lookup_name(ecosystem, place.name))?;
        for &key in advisories {
            let affected = entries.iter().find(|entry| entry.advisory == key && concerns(entry, package)).cloned();
            let decision = affected
                .as_ref()
                .and_then(|entry| range::evaluate(entry, place.version, Scheme::of_ecosystem(ecosystem)?));
            explanations.push(Explanation {
                advisory: lookup.advisory(key, true)?,
                ecosystem: ecosystem.clone(),
                name: place.name.to_owned(),
                version: place.version.to_owned(),
                affected,
                decision,
            });
        }
    }
    Ok(explanations)
}
