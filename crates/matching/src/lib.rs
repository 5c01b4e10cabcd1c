//! Packages × advisories → findings.
//!
//! Pure: no clock, no file, no network. The same packages and the same database give the same findings, in the same
//! order. What cannot be decided is said: as a finding whose state is unknown, as a listed gap, or as something that
//! no advisory speaks of. What does not count is kept, with its reason.

mod distributions;
mod end_of_life;
mod explain;
mod merge;
mod modules;
mod plan;
mod range;
mod route;
mod suppress;
#[cfg(test)]
mod testing;
mod third_parties;
mod upgrade;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub use distributions::{DISTRIBUTIONS, Filed, Names, Rule};
pub use explain::{Explained, Explanation, Judged, explain, explain_in};
pub use plan::is_of_distribution;
pub use portcullis_model::DistributionCoverage;
use portcullis_model::{
    AdvisoryCoverage, AdvisoryLookup, Affected, Distribution, Finding, FindingPackage, LookupError, Package,
    PackageType, Uncovered, Warning, lookup_name,
};
use portcullis_versions::Scheme;
pub use range::Match;
pub use upgrade::upgrades;

use crate::{
    merge::{AskedPlace, Hit, Hits},
    plan::Plan,
    route::{Languages, Place, Route, Spoken, route},
};

/// The path of remarks that are about the image as a whole, not about one of its files.
pub const ADVISORIES: &str = "advisories";

/// Packages that are worth a thread of their own: matching them takes longer than starting it.
const PART: usize = 500;

/// Packages after which the database gives back the memory that they have taken. To read pages once more costs time: a
/// tenth of it, were it done four times as often.
const REST: usize = 2_000;

/// What matching found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// Sorted: the worst first, then by package and id.
    pub findings: Vec<Finding>,
    /// What could not be decided, and what must be known of the answer. Their paths are purls, or [`ADVISORIES`].
    pub warnings: Vec<Warning>,
    /// Of which packages advisories speak.
    pub coverage: AdvisoryCoverage,
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
    let plan = Plan::of(distribution, lookup);
    let languages = Languages::of(packages, lookup);
    // Over all parts, however many there are.
    let asked = AtomicUsize::new(0);
    let one = |packages: &[Package]| {
        let mut matcher = Matcher { lookup, found: Found::default(), hits: Hits::default() };
        for package in packages {
            if asked.fetch_add(1, Ordering::Relaxed) % REST == REST - 1 {
                lookup.rest();
            }
            match route(package, distribution, &plan, &languages, lookup)? {
                Route::Ask(places) => matcher.package(package, &places, plan.pro.as_deref())?,
                // Its owner is counted, or is what the distribution's advisories are asked about.
                Route::Uncovered(_) if package.kind == PackageType::Generic && package.owned_by.is_some() => {}
                Route::Uncovered(what) => *matcher.found.uncovered.entry(what).or_default() += 1,
                Route::OfUncoveredDistribution | Route::Own => {}
            }
        }
        Ok(matcher.found)
    };
    let Found { mut findings, mut warnings, uncovered } = by_parts(packages, &one)?;
    suppress::owned(&mut findings, packages, plan.end_of_life, |owner| {
        let Route::Ask(places) = route(owner, distribution, &plan, &languages, lookup)? else { return Ok(false) };
        // Debian's and Ubuntu's records name what is not fixed yet, too: of their own packages, silence says enough.
        let is_own = || distribution.is_some_and(|distribution| is_of_distribution(owner, distribution));
        if owner.kind == PackageType::Deb && is_own() {
            return Ok(true);
        }
        for place in places {
            if !lookup.affected(place.ecosystem, &lookup_name(place.ecosystem, place.name))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    sort(&mut findings);
    warnings.extend(plan.notes.iter().map(|note| Warning::note(ADVISORIES, note.clone())));
    warnings.sort();
    warnings.dedup();
    let mut ecosystems = plan.ecosystems.clone();
    ecosystems.extend(plan.pro.clone());
    ecosystems.sort();
    let coverage = AdvisoryCoverage {
        distribution: distribution_coverage(packages, distribution, &plan),
        ecosystems,
        end_of_life: plan.end_of_life,
        uncovered: uncovered.into_iter().map(|(what, packages)| Uncovered { what, packages }).collect(),
    };
    Ok(Matches { findings, warnings, coverage })
}

/// Matches parts of the packages at the same time; what comes of it is the same for any number of parts.
fn by_parts(
    packages: &[Package],
    one: &(dyn Fn(&[Package]) -> Result<Found, LookupError> + Sync),
) -> Result<Found, LookupError> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = processors.min(packages.len() / PART).max(1);
    let (first, rest) = packages.split_at(packages.len().div_ceil(parts));
    thread::scope(|scope| {
        let start = |part| (part, thread::Builder::new().spawn_scoped(scope, move || one(part)));
        let rest: Vec<_> = rest.chunks(first.len().max(1)).map(start).collect();
        let mut all = one(first);
        for (part, started) in rest {
            let part = match started {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // Where there may be no more threads, this one does it.
                Err(_) => one(part),
            };
            all = all.and_then(|all| Ok(all.and(part?)));
        }
        all
    })
}

/// Puts findings into the order of reports: the worst first, then by package, then by id. Each is moved once or twice,
/// and not for every comparison: they are large.
fn sort(findings: &mut [Finding]) {
    let score = |finding: &Finding| finding.severity.score.map_or(-1, |score| (score * 10.0).round() as i64);
    let key = |(place, (finding, package)): (usize, (&Finding, usize))| {
        ((Reverse((finding.severity.level, score(finding))), package), place)
    };
    let mut keys: Vec<_> = findings.iter().zip(package_places(findings)).enumerate().map(key).collect();
    let ids = |place: usize| findings.get(place).map(|finding| (&finding.id, &finding.cve));
    keys.sort_by(|(a, at_a), (b, at_b)| a.cmp(b).then_with(|| ids(*at_a).cmp(&ids(*at_b))));
    arrange(findings, keys.into_iter().map(|(_, place)| place).collect());
}

/// The place of each finding's package among all of them; equal ones have the same. Findings come package by package, so
/// that few packages are compared, and not those of every two findings.
fn package_places(findings: &[Finding]) -> Vec<usize> {
    let runs = || findings.chunk_by(|a, b| Arc::ptr_eq(&a.package, &b.package));
    let mut packages: Vec<&Arc<FindingPackage>> =
        runs().flat_map(<[Finding]>::first).map(|first| &first.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let place =
        |run: &[Finding]| packages.partition_point(|package| run.first().is_some_and(|it| **package < it.package));
    runs().flat_map(|run| std::iter::repeat_n(place(run), run.len())).collect()
}

/// Moves items to their places: `places` says of each place where what belongs there stands now, each number once.
fn arrange<T>(items: &mut [T], mut places: Vec<usize>) {
    for start in 0..places.len() {
        let mut at = start;
        // Once around the cycle: a place that has what belongs there is marked by its own number.
        while let Some(place) = places.get_mut(at) {
            let from = std::mem::replace(place, at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

fn distribution_coverage(
    packages: &[Package],
    distribution: Option<&Distribution>,
    plan: &Plan,
) -> DistributionCoverage {
    let has_packages = packages.iter().any(|package| package.kind.is_operating_system());
    match distribution {
        None if has_packages => DistributionCoverage::Unknown,
        None => DistributionCoverage::Absent,
        Some(_) if !plan.ecosystems.is_empty() => DistributionCoverage::Covered,
        Some(_) if has_packages => DistributionCoverage::Uncovered,
        // A name without packages: nothing that advisories could speak of.
        Some(_) => DistributionCoverage::Absent,
    }
}

/// What was found of some packages.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    warnings: Vec<Warning>,
    /// Packages that no advisory can speak of, counted by what they are.
    uncovered: BTreeMap<String, u64>,
}

impl Found {
    fn and(mut self, other: Self) -> Self {
        let Self { mut findings, mut warnings, uncovered } = other;
        self.findings.append(&mut findings);
        self.warnings.append(&mut warnings);
        for (what, count) in uncovered {
            *self.uncovered.entry(what).or_default() += count;
        }
        self
    }
}

struct Matcher<'a> {
    lookup: &'a dyn AdvisoryLookup,
    found: Found,
    /// Of one package at a time: the room that they take is used again.
    hits: Hits<'a>,
}

impl Matcher<'_> {
    fn package(&mut self, package: &Package, places: &[Place<'_>], pro: Option<&str>) -> Result<(), LookupError> {
        self.hits.clear();
        let mut spoken = Spoken::new(places, pro.is_some());
        for place in places {
            let mut entries = entries(place, package, self.lookup)?;
            spoken.add(place, entries.iter());
            entries.retain(|entry| !spoken.has(entry.advisory, place));
            if entries.is_empty() {
                continue;
            }
            let Some(scheme) = self.scheme(package, place, entries.len()) else { continue };
            let mut asked: Option<AskedPlace> = None;
            for entry in entries {
                let Some(decision) = range::evaluate(&entry, place, scheme) else { continue };
                let advisory = self.lookup.advisory(entry.advisory, false)?;
                if modules::is_of_stream(&entry, &advisory, package) && !modules::is_mere_update(&advisory) {
                    let place = asked.get_or_insert_with(|| place.into()).clone();
                    self.hits.add(Hit { entry, advisory, decision, place, scheme });
                }
            }
        }
        for mut finding in self.hits.findings(package) {
            suppress::kernel_files(&mut finding, package);
            self.found.findings.push(finding);
        }
        Ok(())
    }

    /// How the versions of a place are ordered; none, and a listed gap, where the package's version cannot be.
    fn scheme(&mut self, package: &Package, place: &Place<'_>, entries: usize) -> Option<Scheme> {
        let Some(scheme) = Scheme::of_ecosystem(place.ecosystem) else {
            let what = format!("the order of versions in {} is not known", place.ecosystem);
            self.found.warnings.push(Warning::gap(&*package.purl, what));
            return None;
        };
        if scheme.compare(place.version, place.version).is_err() {
            let why = match place.version {
                "" => "its version is not known".to_owned(),
                version => format!("its version `{version}` cannot be compared"),
            };
            let what = format!("{why}: {entries} advisories are undecided");
            self.found.warnings.push(Warning::gap(&*package.purl, what));
            return None;
        }
        Some(scheme)
    }
}

/// What the database holds at `place` of `package`.
fn entries<'a>(
    place: &Place<'_>,
    package: &Package,
    lookup: &'a dyn AdvisoryLookup,
) -> Result<Vec<Affected<'a>>, LookupError> {
    let mut entries = lookup.affected(place.ecosystem, &lookup_name(place.ecosystem, place.name))?;
    entries.retain(|entry| concerns(entry, package));
    Ok(entries)
}

/// Whether an entry that names binary packages names this one.
fn concerns(entry: &Affected<'_>, package: &Package) -> bool {
    entry.binaries.is_empty() || entry.binaries.contains(&package.name.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_model::SeverityLevel;
    use proptest::prelude::*;

    use super::*;

    fn finding((level, package, id): (u8, u8, u8)) -> Finding {
        let level = match level {
            0 => SeverityLevel::Low,
            1 => SeverityLevel::High,
            _ => SeverityLevel::Unknown,
        };
        let package = testing::package(PackageType::Npm, &package.to_string(), "1");
        let mut finding = merge::finding(&Arc::new((&package).into()), &mut [], &[]);
        finding.severity.level = level;
        finding.id = id.to_string().into();
        finding
    }

    /// A way that goes round a cycle anew for each of its places takes hours for this one.
    #[test]
    fn a_rotation_is_arranged_in_one_round() {
        const ITEMS: usize = 1 << 20;
        for first in [1, 20_000, ITEMS - 1] {
            let mut items: Vec<usize> = (0..ITEMS).collect();
            arrange(&mut items, (0..ITEMS).map(|place| (place + first) % ITEMS).collect());
            assert!(items.iter().enumerate().all(|(place, &item)| item == (place + first) % ITEMS));
        }
    }

    /// The order of findings in every report.
    fn order(a: &Finding, b: &Finding) -> std::cmp::Ordering {
        let rank = |finding: &Finding| {
            let score = finding.severity.score.map_or(-1, |score| (score * 10.0).round() as i64);
            Reverse((finding.severity.level, score))
        };
        rank(a)
            .cmp(&rank(b))
            .then_with(|| a.package.cmp(&b.package))
            .then_with(|| (&a.id, &a.cve).cmp(&(&b.id, &b.cve)))
    }

    proptest! {
        #[test]
        fn findings_are_sorted_as_by_comparison(parts in prop::collection::vec((0..3_u8, 0..3_u8, 0..3_u8), 0..12)) {
            let mut findings: Vec<Finding> = parts.into_iter().map(finding).collect();
            let mut expected = findings.clone();
            expected.sort_by(order);
            sort(&mut findings);
            prop_assert_eq!(findings, expected);
        }
    }
}
