//! From the events of a range to the intervals of versions that are affected.
//!
//! Semantics: <https://ossf.github.io/osv-schema/#evaluation>.

use std::cmp::Ordering;

use portcullis_model::Interval;
use portcullis_versions::Scheme;

use crate::{
    normalise::bounded,
    osv::{EventRecord, RangeRecord},
};

/// The intervals of one range.
pub(crate) fn range_intervals(
    range: RangeRecord,
    scheme: Scheme,
    out: &mut Vec<Interval>,
    warn: &mut impl FnMut(String),
) {
    let records = bounded(range.events, "events", warn);
    let limit = highest_limit(&records, scheme, warn);
    let first = out.len();
    event_intervals(records.into_iter().flat_map(split_event).collect(), scheme, out, warn);
    if let Some(limit) = limit {
        let beyond = out.split_off(first).into_iter().filter_map(|interval| up_to(interval, &limit, scheme));
        out.extend(beyond);
    }
}

/// What a range is limited to: the highest of its limits, since a version before any of them is before the limits. None
/// where nothing is, and where one is `*`.
fn highest_limit(records: &[EventRecord], scheme: Scheme, warn: &mut impl FnMut(String)) -> Option<String> {
    let limits: Vec<&String> = records.iter().filter_map(|record| record.limit.as_ref()).collect();
    let is_version = |limit: &&&String| scheme.compare(limit, limit).is_ok();
    if limits.iter().any(|limit| *limit == "*") {
        return None;
    }
    let highest = limits.iter().filter(is_version).max_by(|a, b| scheme.compare(a, b).unwrap_or(Ordering::Equal));
    if limits.len() > limits.iter().filter(is_version).count() {
        warn(format!("one of its limits is not a version as {} orders them: it does not limit", scheme.name()));
        return None;
    }
    highest.map(|limit| (*limit).clone())
}

/// The part of an interval before `limit`; none if it begins there or later.
fn up_to(mut interval: Interval, limit: &str, scheme: Scheme) -> Option<Interval> {
    let is_to_limit = |bound: &str, order: fn(Ordering) -> bool| scheme.compare(bound, limit).is_ok_and(order);
    if interval.introduced.as_deref().is_some_and(|begin| is_to_limit(begin, Ordering::is_ge)) {
        return None;
    }
    let ends_before = interval.fixed.as_deref().is_some_and(|end| is_to_limit(end, Ordering::is_le))
        || interval.last_affected.as_deref().is_some_and(|end| is_to_limit(end, Ordering::is_lt));
    if !ends_before {
        interval.fixed = Some(limit.to_owned());
        interval.last_affected = None;
    }
    Some(interval)
}

/// The intervals of a range's events, without its limits.
fn event_intervals(mut events: Vec<Event>, scheme: Scheme, out: &mut Vec<Interval>, warn: &mut impl FnMut(String)) {
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

/// Events with several fields set are several events.
fn split_event(record: EventRecord) -> impl Iterator<Item = Event> {
    let EventRecord { introduced, fixed, last_affected, limit: _ } = record;
    [introduced.map(Event::Introduced), fixed.map(Event::Fixed), last_affected.map(Event::LastAffected)]
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
