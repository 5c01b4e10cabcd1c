//! From an OSV record to what the database holds: events become intervals, listed versions that an interval covers
//! are dropped, words of the sources become states.
//!
//! Semantics: <https://ossf.github.io/osv-schema/#evaluation>. What a record has that cannot be used is a warning with
//! its id; the rest of it is kept.

use std::cmp::Ordering;

use portcullis_model::{FixState, Interval, Severity, SeverityLevel, Timestamp, Warning};
use portcullis_versions::Scheme;

use crate::{
    lenient::{List, MAX_ITEMS, Text},
    osv::{AffectedRecord, Record, ReferenceRecord, Specific},
    ranges::range_intervals,
    severity,
};

/// Longest id, ecosystem or name of a package taken, in bytes.
const MAX_NAME: usize = 2000;

/// Most comparisons made to leave out the listed versions that an interval holds.
const MAX_COMPARISONS: usize = 4_000_000;

/// A record, ready for the builder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normalised {
    pub(crate) id: String,
    pub(crate) aliases: Vec<String>,
    /// Ids of what this record is about: `upstream`, and `related` where distributions used that.
    pub(crate) upstream: Vec<String>,
    pub(crate) summary: String,
    pub(crate) details: String,
    pub(crate) severity: Severity,
    pub(crate) published: Option<Timestamp>,
    pub(crate) modified: Option<Timestamp>,
    pub(crate) cwes: Vec<String>,
    pub(crate) references: Vec<Reference>,
    pub(crate) affected: Vec<NormalisedPackage>,
}

/// A link of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// OSV's type in lower case: `advisory`, `fix`, `web`, …
    pub(crate) kind: String,
    pub(crate) url: String,
}

/// What a record says of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NormalisedPackage {
    pub(crate) ecosystem: String,
    pub(crate) name: String,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) versions: Vec<String>,
    pub(crate) severity: Option<SeverityLevel>,
    pub(crate) unfixed: Option<FixState>,
    pub(crate) binaries: Vec<String>,
}

/// Normalises a record; none if it is withdrawn or names nothing.
pub(crate) fn normalise(record: Record, warnings: &mut Vec<Warning>) -> Option<Normalised> {
    if record.withdrawn.is_some() {
        return None;
    }
    let id = record.id.clone();
    let mut warn = |message: String| warnings.push(Warning::note(id.clone(), message));
    if record.id.is_empty() || record.id.len() > 200 {
        warn("the record has no usable id; it is left out".into());
        return None;
    }
    let mut problems = Vec::new();
    let mut severity = severity::of_records(&record.severity.0.0, &mut problems);
    problems.drain(..).for_each(&mut warn);
    let titled = || severity::titled(&record.id, record.summary.0.0.as_deref().unwrap_or_default());
    if let Some(level) = severity::word(&record.database_specific.0).or_else(titled) {
        severity.level = level;
    }
    if severity.level != SeverityLevel::Unknown {
        severity.source = Some(record.id.as_str().into());
    }
    let affected = bounded(record.affected, "affected packages", &mut warn);
    let affected =
        affected.into_iter().filter_map(|package| normalise_package(package, &mut severity, &record.id, &mut warn));
    let affected = merge(affected.collect());
    Some(Normalised {
        affected,
        aliases: usable_ids(bounded(record.aliases, "aliases", &mut warn), &mut warn),
        upstream: upstream(record.upstream, record.related, &record.id, &mut warn),
        summary: record.summary.0.0.unwrap_or_default(),
        details: record.details.0.0.unwrap_or_default(),
        severity,
        published: record.published.0.0.as_deref().and_then(parse_time),
        modified: record.modified.0.0.as_deref().and_then(parse_time),
        cwes: cwes(&record.database_specific.0),
        references: references(record.references.0.0),
        id: record.id,
    })
}

/// A list, cut where no real record ends.
pub(crate) fn bounded<T>(list: List<T>, what: &str, warn: &mut impl FnMut(String)) -> Vec<T> {
    if list.total > list.items.len() {
        warn(format!("it has {} {what}; the first {MAX_ITEMS} are used", list.total));
    }
    list.items
}

fn usable_ids(mut ids: Vec<String>, warn: &mut impl FnMut(String)) -> Vec<String> {
    let before = ids.len();
    ids.retain(|id| is_usable(id));
    if ids.len() < before {
        warn(format!("{} ids that it names are no ids and are not used", before - ids.len()));
    }
    ids
}

fn is_usable(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\0')
}

/// Go's records carry year 1 where the time is not known.
fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time: &Timestamp| time.unix() > 0)
}

/// What the record is about. `related` is no alias, but some distributions name the CVEs that an update fixes there.
fn upstream(upstream: List<String>, related: List<String>, id: &str, warn: &mut impl FnMut(String)) -> Vec<String> {
    const NAME_CVES_AS_RELATED: [&str; 9] =
        ["ALSA-", "ALBA-", "ALEA-", "RHSA-", "RLSA-", "ELSA-", "SUSE-", "openSUSE-", "DSA-"];
    let mut ids = usable_ids(bounded(upstream, "ids upstream", warn), warn);
    if ids.is_empty() && NAME_CVES_AS_RELATED.iter().any(|prefix| id.starts_with(prefix)) {
        ids.extend(bounded(related, "related ids", warn).into_iter().filter(|id| id.starts_with("CVE-")));
        ids = usable_ids(ids, warn);
    }
    // `DEBIAN-CVE-2024-1`, `UBUNTU-CVE-…`, `ALPINE-CVE-…`: the name says it.
    if let Some(at) = id.find("-CVE-") {
        ids.push(id[at + 1..].to_owned());
    }
    ids
}

fn cwes(specific: &Specific) -> Vec<String> {
    let mut ids: Vec<String> = specific.cwe_ids.0.iter().filter_map(|id| id.0.clone()).take(100).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn references(records: Vec<ReferenceRecord>) -> Vec<Reference> {
    let is_link = |url: &str| url.len() <= 2000 && (url.starts_with("https://") || url.starts_with("http://"));
    let usable = |ReferenceRecord { kind, url }: ReferenceRecord| {
        is_link(&url).then(|| Reference { kind: kind.to_ascii_lowercase(), url })
    };
    records.into_iter().filter_map(usable).take(200).collect()
}

fn normalise_package(
    record: AffectedRecord,
    severity: &mut Severity,
    id: &str,
    warn: &mut impl FnMut(String),
) -> Option<NormalisedPackage> {
    let package = record.package.filter(|package| !package.ecosystem.is_empty() && !package.name.is_empty())?;
    if !is_usable(&package.ecosystem) || !is_usable(&package.name) {
        warn("the name of a package or of its ecosystem is not usable; what is said of it is not used".into());
        return None;
    }
    let scheme = Scheme::of_ecosystem(&package.ecosystem);
    let mut intervals = Vec::new();
    let (of_git, ranges): (Vec<_>, Vec<_>) =
        bounded(record.ranges, "ranges", warn).into_iter().partition(|range| range.kind == "GIT");
    let of_commits = ranges.is_empty() && !of_git.is_empty();
    for range in ranges {
        match scheme {
            Some(scheme) => range_intervals(range, scheme, &mut intervals, warn),
            None => {
                warn(format!("the order of versions in {} is not known; its ranges are not used", package.ecosystem))
            }
        }
    }
    if intervals.is_empty() && record.versions.total == 0 && scheme.is_some() {
        let what = if of_commits { "commits alone" } else { "no version" };
        warn(format!("it names {what} of {} in {}: nothing can match it", package.name, package.ecosystem));
    }
    let mut versions = bounded(record.versions, "versions", warn);
    // Those that an interval holds are left out to keep the database small: nothing is wrong with them.
    if let Some(scheme) = scheme.filter(|_| versions.len().saturating_mul(intervals.len()) <= MAX_COMPARISONS) {
        versions.retain(|version| !intervals.iter().any(|interval| contains(interval, version, scheme)));
    }
    versions.sort();
    versions.dedup();
    let mut problems = Vec::new();
    let own = severity::of_records(&record.severity.0.0, &mut problems);
    problems.drain(..).for_each(&mut *warn);
    if severity.vector.is_none() && own.vector.is_some() {
        *severity = Severity { source: Some(id.into()), ..own.clone() };
    }
    let specific = &record.ecosystem_specific.0;
    let database = &record.database_specific.0;
    let level = severity::word(specific).or_else(|| severity::word(database));
    Some(NormalisedPackage {
        name: portcullis_model::lookup_name(&package.ecosystem, &package.name).into_owned(),
        ecosystem: package.ecosystem,
        intervals,
        versions,
        severity: level.or((own.level != SeverityLevel::Unknown).then_some(own.level)),
        unfixed: unfixed(specific, database),
        binaries: binaries(specific),
    })
}

/// Joins what one record says of the same package in several places.
fn merge(mut packages: Vec<NormalisedPackage>) -> Vec<NormalisedPackage> {
    packages.sort_by(|a, b| (&a.ecosystem, &a.name, &a.binaries).cmp(&(&b.ecosystem, &b.name, &b.binaries)));
    let mut merged: Vec<NormalisedPackage> = Vec::with_capacity(packages.len());
    for package in packages {
        match merged.last_mut() {
            Some(last)
                if last.ecosystem == package.ecosystem
                    && last.name == package.name
                    && last.binaries == package.binaries =>
            {
                last.intervals.extend(package.intervals);
                last.versions.extend(package.versions);
                last.versions.sort();
                last.versions.dedup();
                last.severity = last.severity.max(package.severity);
                last.unfixed = last.unfixed.or(package.unfixed);
            }
            _ => merged.push(package),
        }
    }
    merged
}

/// The binary packages of a source package that a record is limited to.
fn binaries(specific: &Specific) -> Vec<String> {
    let mut names: Vec<String> = specific.binaries.0.iter().flat_map(|keys| keys.0.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Why there is no fix, in the sources' own words.
fn unfixed(ecosystem: &Specific, database: &Specific) -> Option<FixState> {
    let word = |word: &Text| word.0.as_deref().map(str::to_ascii_lowercase);
    if word(&ecosystem.urgency).is_some_and(|urgency| urgency == "end-of-life") {
        return Some(FixState::EndOfLife);
    }
    let note = word(&database.note).unwrap_or_default();
    match word(&database.status).or_else(|| word(&ecosystem.fix_state))?.as_str() {
        "ignored" | "wont-fix" | "will not fix" if note.contains("end-of-life") || note.contains("end of") => {
            Some(FixState::EndOfLife)
        }
        "ignored" | "wont-fix" | "will not fix" => Some(FixState::WillNotFix),
        "deferred" | "postponed" | "fix deferred" => Some(FixState::Deferred),
        "end-of-life" | "out of support scope" => Some(FixState::EndOfLife),
        _ => None,
    }
}

/// Whether `version` lies in `interval`, as matching asks; false where it cannot be compared.
fn contains(interval: &Interval, version: &str, scheme: Scheme) -> bool {
    let at_least = |bound: &str| scheme.compare_to_bound(version, bound).is_ok_and(Ordering::is_ge);
    let below = |bound: &str| scheme.compare_to_bound(version, bound).is_ok_and(Ordering::is_lt);
    let at_most = |bound: &str| scheme.compare_to_bound(version, bound).is_ok_and(Ordering::is_le);
    interval.introduced.as_deref().is_none_or(at_least)
        && interval.fixed.as_deref().is_none_or(below)
        && interval.last_affected.as_deref().is_none_or(at_most)
        // An open interval holds whatever can be compared at all.
        && scheme.compare(version, version).is_ok()
}
