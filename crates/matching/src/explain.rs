//! Why one advisory does, or does not, apply to a package.

use std::cmp::Ordering;

use portcullis_model::{
    Advisory, AdvisoryKey, AdvisoryLookup, Affected, Distribution, Interval, LookupError, Package, Text, lookup_name,
};
use portcullis_versions::Scheme;

use crate::{
    Match, concerns, modules,
    plan::Plan,
    range,
    route::{Languages, Place, Route, Spoken, as_written, route},
};

/// What can be said of a package, advisory by advisory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explained<'a> {
    /// One for each advisory and place that was asked.
    pub explanations: Vec<Explanation<'a>>,
    /// Why no advisory can speak of the package, where that is so.
    pub uncovered: Option<String>,
    /// What must be known of the answer: whose advisories were asked, and why.
    pub notes: Vec<String>,
}

/// What one advisory means for a package.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation<'a> {
    /// The record.
    pub advisory: Advisory,
    /// The ecosystem that was asked.
    pub ecosystem: String,
    /// The name that was asked for.
    pub name: String,
    /// The version that was compared.
    pub version: String,
    /// The name of the order that it was compared by.
    pub order: &'static str,
    /// What the record says of the package; none if it does not name it.
    pub affected: Option<Affected<'a>>,
    /// The comparisons, such as `3.0.11-1 < 3.0.13-1`.
    pub comparisons: Vec<String>,
    /// What follows.
    pub judged: Judged<'a>,
}

/// What an advisory comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged<'a> {
    /// The record does not name the package in this ecosystem.
    NotNamed,
    /// The record names other binary packages of the same source.
    OtherBinaries,
    /// The version lies outside of all that is affected.
    NotAffected,
    /// The record is about another module stream, or about the plain package.
    OtherStream,
    /// It names no vulnerability.
    MereUpdate,
    /// It applies, or cannot be decided.
    Applies(Match<'a>),
}

/// Explains what each of `advisories` means for `package`.
///
/// # Errors
/// When the database is damaged.
pub fn explain<'a>(
    package: &Package,
    distribution: Option<&Distribution>,
    advisories: &[AdvisoryKey],
    lookup: &'a dyn AdvisoryLookup,
) -> Result<Explained<'a>, LookupError> {
    let plan = Plan::of(distribution, lookup);
    let languages = Languages::of(std::slice::from_ref(package), lookup);
    let mut explained = Explained { notes: plan.notes.clone(), ..Explained::default() };
    let places = match route(package, distribution, &plan, &languages, lookup)? {
        Route::Ask(places) => places,
        Route::Uncovered(what) => {
            explained.uncovered = Some(format!("the database holds no advisories for {what}"));
            return Ok(explained);
        }
        Route::Own => {
            explained.uncovered =
                Some("it is a folder of the project's own: nobody publishes advisories for it".into());
            return Ok(explained);
        }
        Route::OfUncoveredDistribution => {
            let name = distribution.map_or("an unknown distribution", crate::plan::label);
            explained.uncovered = Some(format!("the database holds no advisories for {name}"));
            return Ok(explained);
        }
    };
    at_places(package, &places, plan.pro.is_some(), advisories, lookup, &mut explained)?;
    Ok(explained)
}

/// Explains what each of `advisories` means for a package of `ecosystem`, as OSV writes that: by the package's own name
/// and version, wherever it comes from.
///
/// # Errors
/// When the database is damaged.
pub fn explain_in<'a>(
    ecosystem: &str,
    package: &Package,
    advisories: &[AdvisoryKey],
    lookup: &'a dyn AdvisoryLookup,
) -> Result<Explained<'a>, LookupError> {
    let mut explained = Explained::default();
    if !lookup.covers(ecosystem) {
        explained.uncovered = Some(format!("the database holds no advisories for {ecosystem}"));
        return Ok(explained);
    }
    let version = as_written(ecosystem, &package.version);
    let place = Place::only(ecosystem, &package.name, version);
    at_places(package, &[place], false, advisories, lookup, &mut explained)?;
    Ok(explained)
}

fn at_places<'a>(
    package: &Package,
    places: &[Place<'_>],
    has_pro: bool,
    advisories: &[AdvisoryKey],
    lookup: &'a dyn AdvisoryLookup,
    explained: &mut Explained<'a>,
) -> Result<(), LookupError> {
    let mut spoken = Spoken::new(places, has_pro);
    for place in places {
        let entries = lookup.affected(place.ecosystem, &lookup_name(place.ecosystem, place.name))?;
        spoken.add(place, entries.iter().filter(|entry| concerns(entry, package)));
        for &key in advisories.iter().filter(|key| !spoken.has(**key, place)) {
            let named: Vec<&Affected<'_>> = entries.iter().filter(|entry| entry.advisory == key).collect();
            explained.explanations.push(explanation(package, place, key, &named, lookup)?);
        }
    }
    // A record that names the package in one of the places says more than the places that it is absent from.
    let of_named: Vec<Text> = explained
        .explanations
        .iter()
        .filter(|explanation| explanation.judged != Judged::NotNamed)
        .map(|explanation| explanation.advisory.id.clone())
        .collect();
    let mut seen: Vec<Text> = Vec::new();
    explained.explanations.retain(|explanation| {
        if explanation.judged != Judged::NotNamed {
            return true;
        }
        let id = &explanation.advisory.id;
        let is_first = !of_named.contains(id) && !seen.contains(id);
        seen.push(id.clone());
        is_first
    });
    Ok(())
}

fn explanation<'a>(
    package: &Package,
    place: &Place<'_>,
    key: AdvisoryKey,
    named: &[&Affected<'a>],
    lookup: &dyn AdvisoryLookup,
) -> Result<Explanation<'a>, LookupError> {
    let advisory = lookup.advisory(key, true)?;
    let scheme = Scheme::of_ecosystem(place.ecosystem);
    let entry = named.iter().copied().find(|entry| concerns(entry, package));
    let decision = entry.zip(scheme).and_then(|(entry, scheme)| range::evaluate(entry, place, scheme));
    let judged = match (entry, decision) {
        (None, _) if named.is_empty() => Judged::NotNamed,
        (None, _) => Judged::OtherBinaries,
        (Some(_), None) => Judged::NotAffected,
        (Some(entry), Some(_)) if !modules::is_of_stream(entry, &advisory, package) => Judged::OtherStream,
        (Some(_), Some(_)) if modules::is_mere_update(&advisory) => Judged::MereUpdate,
        (Some(_), Some(decision)) => Judged::Applies(decision),
    };
    let affected = entry.or_else(|| named.first().copied()).cloned();
    let comparisons = affected.iter().flat_map(|entry| entry.intervals.iter()).take(50);
    let comparisons = comparisons.flat_map(|interval| compared(interval, place, scheme)).collect();
    Ok(Explanation {
        advisory,
        ecosystem: place.ecosystem.to_owned(),
        name: place.name.to_owned(),
        version: place.version.to_owned(),
        order: scheme.map_or("unknown", Scheme::name),
        affected,
        comparisons,
        judged,
    })
}

/// How the version of `place` stands to the bounds of an interval.
fn compared(interval: &Interval<&str>, place: &Place<'_>, scheme: Option<Scheme>) -> Vec<String> {
    let Interval { introduced, fixed, last_affected } = *interval;
    let version = place.version;
    let bounds = [introduced, fixed, last_affected].into_iter().flatten().map(|bound| place.bound(bound));
    let sign = |bound: &str| match scheme.and_then(|scheme| scheme.compare_to_bound(version, bound).ok()) {
        Some(Ordering::Less) => "<",
        Some(Ordering::Equal) => "=",
        Some(Ordering::Greater) => ">",
        None => "cannot be compared with",
    };
    bounds.map(|bound| format!("{version} {} {bound}", sign(bound))).collect()
}
