//! One finding for each vulnerability of a package, however many records speak of it.

use std::collections::BTreeMap;

use portcullis_model::{
    Advisory, Affected, Evidence, Finding, FindingPackage, FixState, Package, Severity, SeverityLevel,
};
use portcullis_versions::Scheme;

use crate::{range::Match, route::Place};

/// A record that affects a package.
pub(crate) struct Hit<'a> {
    pub(crate) entry: Affected,
    pub(crate) advisory: Advisory,
    pub(crate) decision: Match,
    /// Where it was found.
    pub(crate) place: Place<'a>,
    pub(crate) scheme: Scheme,
}

/// Most links of a finding.
const MAX_REFERENCES: usize = 10;

/// The findings of one package from the records that affect it.
///
/// Records meet by CVE; those without one meet by their alias group. A record of several CVEs, as distributions'
/// updates are, gives one finding for each.
pub(crate) fn findings(package: &Package, hits: &[Hit<'_>]) -> Vec<Finding> {
    let mut groups: BTreeMap<String, Vec<&Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        let advisory = &hit.advisory;
        if advisory.cves.is_empty() {
            let first = advisory.aliases.iter().chain([&advisory.id]).min().cloned().unwrap_or_default();
            groups.entry(first).or_default().push(hit);
        }
        for cve in &advisory.cves {
            groups.entry(cve.clone()).or_default().push(hit);
        }
    }
    let merged = groups.into_iter().map(|(key, mut hits)| {
        hits.sort_by_key(|hit| {
            let Hit { advisory, decision, .. } = hit;
            (matches!(decision, Match::Undecided(_)), rank(&advisory.id), advisory.cves.len(), advisory.id.clone())
        });
        let cve = key.starts_with("CVE-").then_some(key);
        finding(package, &hits, cve)
    });
    merged.collect()
}

/// Which of several records names the finding: the one that people of the ecosystem know it by.
fn rank(id: &str) -> u8 {
    match id {
        id if id.starts_with("DEBIAN-") || id.starts_with("UBUNTU-") || id.starts_with("ALPINE-") => 0,
        id if id.starts_with("GHSA-") => 1,
        id if id.starts_with("CVE-") => 2,
        id if id.starts_with("x_") => 4,
        _ => 3,
    }
}

/// The finding that records of one vulnerability make.
pub(crate) fn finding(package: &Package, hits: &[&Hit<'_>], cve: Option<String>) -> Finding {
    // A group has a hit, or there is no group.
    let first = hits.first().copied();
    let place = first.map(|hit| &hit.place);
    let mut aliases: Vec<String> = Vec::new();
    let mut sources: Vec<String> = Vec::new();
    let mut fixed_versions: Vec<String> = Vec::new();
    let mut references: Vec<String> = Vec::new();
    let mut cwes: Vec<String> = Vec::new();
    let mut range = String::new();
    let mut id = String::new();
    let mut title = String::new();
    let mut unfixed = None;
    for Hit { entry, advisory, decision, place, .. } in hits.iter().copied() {
        if id.is_empty() {
            id.clone_from(&advisory.id);
            range = describe(decision, place.version);
        }
        if title.is_empty() {
            title.clone_from(&advisory.summary);
        }
        sources.push(advisory.id.clone());
        // A record of many CVEs lends its name to each; its other CVEs are no aliases of this one.
        aliases.extend(
            advisory.aliases.iter().filter(|alias| !alias.starts_with("CVE-") || advisory.cves.len() == 1).cloned(),
        );
        aliases.push(advisory.id.clone());
        if let Match::Interval(interval) = decision {
            fixed_versions.extend(interval.fixed.clone());
        }
        unfixed = unfixed.or(entry.unfixed);
        for reference in &advisory.references {
            if references.len() < MAX_REFERENCES && !references.contains(&reference.url) {
                references.push(reference.url.clone());
            }
        }
        cwes.extend(advisory.cwes.iter().cloned());
    }
    aliases.extend(cve.clone());
    for list in [&mut aliases, &mut sources, &mut cwes] {
        list.sort();
        list.dedup();
    }
    aliases.retain(|alias| *alias != id);
    if let Some(hit) = first {
        sort_versions(&mut fixed_versions, hit.scheme);
    }
    let undecided = hits.iter().all(|hit| matches!(hit.decision, Match::Undecided(_)));
    let state = match unfixed {
        _ if undecided => FixState::Unknown,
        _ if !fixed_versions.is_empty() => FixState::Fixed,
        Some(state) => state,
        None => FixState::Affected,
    };
    Finding {
        severity: severity(hits),
        published: hits.iter().filter_map(|hit| hit.advisory.published).min(),
        id,
        aliases,
        cve,
        title,
        package: FindingPackage {
            kind: package.kind,
            name: package.name.clone(),
            version: package.version.clone(),
            purl: package.purl.clone(),
            locations: package.locations.clone(),
        },
        state,
        fixed_versions,
        kev: false,
        epss: None,
        cwes,
        references,
        suppressed: None,
        evidence: Evidence {
            ecosystem: place.map(|place| place.ecosystem.to_owned()).unwrap_or_default(),
            name: place.map(|place| place.name.to_owned()).unwrap_or_default(),
            version: place.map(|place| place.version.to_owned()).unwrap_or_default(),
            range,
            sources,
        },
    }
}

fn describe(decision: &Match, version: &str) -> String {
    match decision {
        Match::Interval(interval) => interval.to_string(),
        Match::Listed => format!("= {version}"),
        Match::Undecided(interval) => format!("{interval} (cannot be compared)"),
    }
}

fn sort_versions(versions: &mut Vec<String>, scheme: Scheme) {
    // A sort may panic on an order that is none: what cannot be compared goes by its text.
    if versions.iter().all(|version| scheme.compare(version, version).is_ok()) {
        versions.sort_by(|a, b| scheme.compare(a, b).unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.cmp(b)));
    } else {
        versions.sort();
    }
    versions.dedup();
}

/// The distribution's or ecosystem's own word first, then the first record that knows a severity.
fn severity(hits: &[&Hit<'_>]) -> Severity {
    let rated = hits.iter().map(|hit| &hit.advisory.severity);
    let mut severity = rated
        .clone()
        .find(|severity| severity.score.is_some())
        .or_else(|| rated.clone().find(|severity| severity.level != SeverityLevel::Unknown))
        .cloned()
        .unwrap_or_default();
    if let Some(level) = hits.iter().find_map(|hit| hit.entry.severity)
        && level != SeverityLevel::Unknown
        && level != severity.level
    {
        severity.level = level;
        severity.source = Some("distribution".into());
    }
    severity
}
