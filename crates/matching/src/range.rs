//! Whether a version is affected: OSV's evaluation, over intervals that were sorted when the database was built.
//! (<https://ossf.github.io/osv-schema/#evaluation>)

use std::cmp::Ordering;

use portcullis_model::{Affected, Interval};
use portcullis_versions::{Scheme, VersionError};

use crate::route::Place;

/// What matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match<'a> {
    /// The version lies in this interval.
    Interval(Interval<&'a str>),
    /// The version is listed.
    Listed,
    /// A bound of this interval cannot be compared: the record cannot be decided.
    Undecided(Interval<&'a str>),
}

/// What `entry` says of the version of `place`; none if it is not affected.
pub(crate) fn evaluate<'a>(entry: &Affected<'a>, place: &Place<'_>, scheme: Scheme) -> Option<Match<'a>> {
    let same = |listed: &&str| {
        let listed = place.bound(listed);
        listed == place.version || scheme.compare(place.version, listed) == Ok(Ordering::Equal)
    };
    if entry.versions.iter().any(same) {
        return Some(Match::Listed);
    }
    let mut undecided = None;
    for interval in entry.intervals.iter() {
        match contains(interval, place, scheme) {
            Ok(true) => return Some(Match::Interval(*interval)),
            Ok(false) => {}
            Err(_) => undecided = Some(Match::Undecided(*interval)),
        }
    }
    undecided
}

fn contains(interval: &Interval<&str>, place: &Place<'_>, scheme: Scheme) -> Result<bool, VersionError> {
    let Interval { introduced, fixed, last_affected } = *interval;
    let compare = |bound| scheme.compare_to_bound(place.version, place.bound(bound));
    if let Some(introduced) = introduced
        && compare(introduced)?.is_lt()
    {
        return Ok(false);
    }
    if let Some(fixed) = fixed {
        return Ok(compare(fixed)?.is_lt());
    }
    match last_affected {
        Some(last) => Ok(compare(last)?.is_le()),
        None => Ok(true),
    }
}
