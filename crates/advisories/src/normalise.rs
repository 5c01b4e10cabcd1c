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
    osv::{AffectedRecord, EventRecord, RangeRecord, Record, ReferenceRecord, Specific},
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
fn bounded<T>(list: List<T>, what: &str, warn: &mut impl FnMut(String)) -> Vec<T> {
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
    for range in bounded(record.ranges, "ranges", warn) {
        if range.kind == "GIT" {
            continue;
        }
        match scheme {
            Some(scheme) => range_intervals(range, scheme, &mut intervals, warn),
            None => {
                warn(format!("the order of versions in {} is not known; its ranges are not used", package.ecosystem))
            }
        }
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

/// The intervals of one range.
fn range_intervals(range: RangeRecord, scheme: Scheme, out: &mut Vec<Interval>, warn: &mut impl FnMut(String)) {
    let mut events = bounded(range.events, "events", warn).into_iter().flat_map(split_event).collect::<Vec<_>>();
    // A sort may panic on an order that is none: only versions that compare at all are sorted.
    match events.iter().map(Event::version).find(|version| scheme.compare(version, version).is_err()) {
        None => events.sort_by(|a, b| compare_events(a, b, scheme)),
        Some(version) => warn(format!(
            "`{}` is not a version as {} orders them: its events are used in the order of the record",
            version.chars().take(80).collect::<String>(),
            scheme.name()
        )),
    }
    if let Some(interval) = up_to_a_forerunner(&events, scheme) {
        let end = interval.fixed.as_deref().or(interval.last_affected.as_deref()).unwrap_or_default();
        warn(format!("{end} comes before the release that introduces it: the range holds its forerunners alone"));
        out.push(interval);
        return;
    }
    let first = out.len();
    let mut open: Option<Interval> = None;
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        match (event, &mut open) {
            // Introduced and fixed at one version, which was not affected before: nothing is.
            (Event::Fixed(version), None)
                if events.next_if(|next| is_introduced_at(next, &version, scheme)).is_some() =>
            {
                warn(format!("{version} introduces what it fixes: no version is affected by that"));
            }
            (Event::Introduced(version), None) => {
                open = Some(Interval { introduced: (version != "0").then_some(version), ..Interval::default() });
            }
            // Introduced twice without an end between: affected all along.
            (Event::Introduced(_), Some(_)) => {}
            (Event::Fixed(version), Some(interval)) => {
                interval.fixed = Some(version);
                out.extend(open.take());
            }
            (Event::LastAffected(version), Some(interval)) => {
                interval.last_affected = Some(version);
                out.extend(open.take());
            }
            // A second fix of the same interval, on another branch.
            (Event::Fixed(_) | Event::LastAffected(_), None) if out.len() > first => {}
            (Event::Fixed(version) | Event::LastAffected(version), None) => {
                warn(format!("{version} ends a range that nothing opened"));
            }
        }
    }
    out.extend(open);
}

/// What a range of one pair means whose end is a forerunner of its beginning: from 4 to 4.0.0.M3, a milestone of it. Taken
/// by their order alone, the events would say that everything from 4 on is affected, for ever, and no milestone. Maven's
/// records have such pairs; of other ecosystems none is known, and what OSV says of events stands.
fn up_to_a_forerunner(events: &[Event], scheme: Scheme) -> Option<Interval> {
    let [end, Event::Introduced(begin)] = events else { return None };
    let is_before = scheme.compare(end.version(), begin) == Ok(Ordering::Less);
    if scheme != Scheme::Maven || !is_before || !end.version().starts_with(begin.as_str()) {
        return None;
    }
    // No qualifier comes before this one.
    let introduced = Some(format!("{begin}-alpha"));
    match end {
        Event::Fixed(version) => Some(Interval { introduced, fixed: Some(version.clone()), last_affected: None }),
        Event::LastAffected(version) => {
            Some(Interval { introduced, last_affected: Some(version.clone()), fixed: None })
        }
        Event::Introduced(_) => None,
    }
}

#[derive(Debug)]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
}

impl Event {
    fn version(&self) -> &str {
        match self {
            Self::Introduced(version) | Self::Fixed(version) | Self::LastAffected(version) => version,
        }
    }

    /// At one version: an interval ends before the next begins, but one that ends *with* it ends after.
    const fn rank(&self) -> u8 {
        match self {
            Self::Fixed(_) => 0,
            Self::Introduced(_) => 1,
            Self::LastAffected(_) => 2,
        }
    }
}

/// Events with several fields set are several events; a limit other than `*` ends what is affected as a fix would.
fn split_event(record: EventRecord) -> impl Iterator<Item = Event> {
    let EventRecord { introduced, fixed, last_affected, limit } = record;
    let limit = limit.filter(|limit| limit != "*");
    [
        introduced.map(Event::Introduced),
        fixed.map(Event::Fixed),
        last_affected.map(Event::LastAffected),
        limit.map(Event::Fixed),
    ]
    .into_iter()
    .flatten()
}

fn is_introduced_at(event: &Event, version: &str, scheme: Scheme) -> bool {
    matches!(event, Event::Introduced(introduced) if scheme.compare(introduced, version).is_ok_and(Ordering::is_eq))
}

fn compare_events(a: &Event, b: &Event, scheme: Scheme) -> Ordering {
    let zero = |event: &Event| matches!(event, Event::Introduced(version) if version == "0");
    match (zero(a), zero(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => {
            let order = scheme.compare(a.version(), b.version()).unwrap_or(Ordering::Equal);
            order.then(a.rank().cmp(&b.rank()))
        }
    }
}

/// Whether `version` lies in `interval`; false where it cannot be compared.
fn contains(interval: &Interval, version: &str, scheme: Scheme) -> bool {
    let at_least = |bound: &str| scheme.compare(version, bound).is_ok_and(Ordering::is_ge);
    let below = |bound: &str| scheme.compare(version, bound).is_ok_and(Ordering::is_lt);
    let at_most = |bound: &str| scheme.compare(version, bound).is_ok_and(Ordering::is_le);
    interval.introduced.as_deref().is_none_or(at_least)
        && interval.fixed.as_deref().is_none_or(below)
        && interval.last_affected.as_deref().is_none_or(at_most)
        // An open interval holds whatever can be compared at all.
        && scheme.compare(version, version).is_ok()
}
