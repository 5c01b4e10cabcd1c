//! One finding for each vulnerability of a package, however many records speak of it.

use std::collections::BTreeMap;

use portcullis_model::{
    Advisory, Affected, Evidence, Finding, FindingPackage, FixState, Package, Severity, SeverityLevel, Suppression,
};
use portcullis_versions::Scheme;

use crate::{ecosystem::Place, range::Match};

type Hit<'a> = (&'a Affected, Advisory, Match);

/// Most links of a finding.
const MAX_REFERENCES: usize = 10;

/// The findings of one package from the records that affect it.
///
/// Records meet by CVE; those without one meet by their alias group. A record of several CVEs, as distributions'
/// updates are, gives one finding for each.
pub(crate) fn findings(
    package: &Package,
    ecosystem: &str,
    place: &Place<'_>,
    scheme: Scheme,
    hits: &[Hit<'_>],
    is_distribution_covered: bool,
) -> Vec<Finding> {
    let mut groups: BTreeMap<String, Vec<&Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        let advisory = &hit.1;
        if advisory.cves.is_empty() {
            let first = advisory.aliases.iter().chain([&advisory.id]).min().cloned().unwrap_or_default();
            groups.entry(first).or_default().push(hit);
        }
        for cve in &advisory.cves {
            groups.entry(cve.clone()).or_default().push(hit);
        }
    }
    let merged = groups.into_iter().map(|(key, mut hits)| {
        hits.sort_by_key(|(_, advisory, decision)| {
            (matches!(decision, Match::Undecided(_)), rank(&advisory.id), advisory.cves.len(), advisory.id.clone())
        });
        let cve = key.starts_with("CVE-").then_some(key);
        let mut finding = finding(package, ecosystem, place, scheme, &hits, cve);
        if let (Some(owner), true) = (&package.owned_by, is_distribution_covered) {
            finding.suppressed = Some(Suppression {
                by: "distribution".into(),
                reason: format!("its files belong to {owner}, of which the distribution's own advisories speak"),
                expires: None,
            });
        }
        finding
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

fn finding(
    package: &Package,
    ecosystem: &str,
    place: &Place<'_>,
    scheme: Scheme,
    hits: &[&Hit<'_>],
    cve: Option<String>,
) -> Finding {
    let mut aliases: Vec<String> = Vec::new();
    let mut sources: Vec<String> = Vec::new();
    let mut fixed_versions: Vec<String> = Vec::new();
    let mut references: Vec<String> = Vec::new();
    let mut cwes: Vec<String> = Vec::new();
    let mut range = String::new();
    let mut id = String::new();
    let mut title = String::new();
    let mut unfixed = None;
    for (entry, advisory, decision) in hits {
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
        references.extend(advisory.references.iter().map(|reference| reference.url.clone()));
        cwes.extend(advisory.cwes.iter().cloned());
    }
    aliases.extend(cve.clone());
    for list in [&mut aliases, &mut sources, &mut cwes] {
        list.sort();
        list.dedup();
    }
    aliases.retain(|alias| *alias != id);
    let mut seen = std::collections::BTreeSet::new();
    references.retain(|url| seen.insert(url.clone()));
    references.truncate(MAX_REFERENCES);
    sort_versions(&mut fixed_versions, scheme);
    let undecided = hits.iter().all(|(_, _, decision)| matches!(decision, Match::Undecided(_)));
    let state = match unfixed {
        _ if undecided => FixState::Unknown,
        _ if !fixed_versions.is_empty() => FixState::Fixed,
        Some(state) => state,
        None => FixState::Affected,
    };
    Finding {
        severity: severity(hits),
        published: hits.iter().filter_map(|(_, advisory, _)| advisory.published).min(),
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
            ecosystem: ecosystem.to_owned(),
            name: place.name.to_owned(),
            version: place.version.to_owned(),
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
    let rated = hits.iter().map(|(_, advisory, _)| &advisory.severity);
    let mut severity = rated
        .clone()
        .find(|severity| severity.score.is_some())
        .or_else(|| rated.clone().find(|severity| severity.level != SeverityLevel::Unknown))
        .cloned()
        .unwrap_or_default();
    if let Some(level) = hits.iter().find_map(|(entry, _, _)| entry.severity)
        && level != SeverityLevel::Unknown
        && level != severity.level
    {
        severity.level = level;
        severity.source = Some("distribution".into());
    }
    severity
}
