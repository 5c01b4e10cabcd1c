//! One finding for each vulnerability of a package, however many records speak of it.

use std::{collections::BTreeMap, sync::Arc};

use portcullis_model::{
    Advisory, Affected, Evidence, ExploitPrediction, Exploited, Finding, FindingPackage, FixState, Package, Severity,
    SeverityLevel, Text, Texts,
};
use portcullis_versions::Scheme;

use crate::{range::Match, route::Place};

/// A record that affects a package.
pub(crate) struct Hit<'a> {
    pub(crate) entry: Affected<'a>,
    pub(crate) advisory: Advisory,
    pub(crate) decision: Match<'a>,
    /// Where it was found.
    pub(crate) place: AskedPlace,
    pub(crate) scheme: Scheme,
}

/// A place that was asked, as findings name it: what several of them say is in memory once.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskedPlace {
    ecosystem: Text,
    name: Text,
    version: Text,
}

impl From<&Place<'_>> for AskedPlace {
    fn from(place: &Place<'_>) -> Self {
        let Place { ecosystem, name, version, any_epoch: _, turn: _ } = *place;
        let mut texts = Texts::default();
        [ecosystem, name, version].into_iter().for_each(|text| texts.add(text));
        let mut texts = texts.share();
        let mut next = || texts.next().unwrap_or_default();
        Self { ecosystem: next(), name: next(), version: next() }
    }
}

/// Most links of a finding.
const MAX_REFERENCES: usize = 10;

/// The findings of one package from the records that affect it.
///
/// Records meet by CVE; those without one meet by their alias group. A record of several CVEs, as distributions'
/// updates are, gives one finding for each.
pub(crate) fn findings<'a>(package: &'a Package, hits: &'a [Hit<'_>]) -> impl Iterator<Item = Finding> + 'a {
    let mut groups: BTreeMap<&Text, Vec<&Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        let advisory = &hit.advisory;
        if advisory.cves.is_empty() {
            let first = advisory.aliases.iter().fold(&advisory.id, |first, alias| first.min(alias));
            groups.entry(first).or_default().push(hit);
        }
        for cve in &advisory.cves {
            groups.entry(cve).or_default().push(hit);
        }
    }
    // Made for the first finding: most packages have none.
    let mut shared = None;
    groups.into_iter().map(move |(key, mut hits)| {
        hits.sort_by_cached_key(|hit| {
            let Hit { advisory, decision, .. } = hit;
            (matches!(decision, Match::Undecided(_)), rank(&advisory.id), advisory.cves.len(), &advisory.id)
        });
        let cve = key.starts_with("CVE-").then_some(key);
        finding(shared.get_or_insert_with(|| Arc::new(package.into())), &hits, cve)
    })
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
pub(crate) fn finding(package: &Arc<FindingPackage>, hits: &[&Hit<'_>], cve: Option<&Text>) -> Finding {
    // A group has a hit, or there is no group.
    let first = hits.first().copied();
    let AskedPlace { ecosystem, name, version } = first.map(|hit| hit.place.clone()).unwrap_or_default();
    // There are thousands of findings, and of lists that grow by themselves half is empty.
    let most = |count: fn(&Advisory) -> usize| hits.iter().map(|hit| count(&hit.advisory)).sum::<usize>();
    let mut aliases: Vec<Text> = Vec::with_capacity(most(|advisory| advisory.aliases.len() + 1) + 1);
    let mut sources: Vec<Text> = Vec::with_capacity(hits.len());
    let mut fixed_versions: Vec<String> = Vec::with_capacity(hits.len());
    let mut references: Vec<Text> = Vec::with_capacity(most(|advisory| advisory.references.len()).min(MAX_REFERENCES));
    let mut cwes: Vec<Text> = Vec::new();
    let mut range = String::new();
    let mut id = Text::default();
    let mut title = Text::default();
    let mut unfixed = None;
    for Hit { entry, advisory, decision, place, .. } in hits.iter().copied() {
        if id.is_empty() {
            id.clone_from(&advisory.id);
            range = describe(decision, &place.version);
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
            fixed_versions.extend(interval.fixed.map(str::to_owned));
        }
        unfixed = unfixed.or(entry.unfixed);
        for reference in &advisory.references {
            if references.len() < MAX_REFERENCES && !references.contains(reference) {
                references.push(reference.clone());
            }
        }
        cwes.extend(advisory.cwes.iter().cloned());
    }
    aliases.extend(cve.cloned());
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
    let exploited = cve.and_then(|cve| exploited(hits, cve)).unwrap_or_default();
    Finding {
        severity: severity(hits),
        published: hits.iter().filter_map(|hit| hit.advisory.published).min(),
        id,
        aliases,
        cve: cve.cloned(),
        title,
        package: Arc::clone(package),
        state,
        fixed_versions,
        kev: exploited.kev,
        epss: exploited.epss.map(|(score, percentile)| ExploitPrediction { score, percentile }),
        cwes,
        references,
        suppressed: None,
        evidence: Evidence { ecosystem, name, version, range, sources },
    }
}

/// What is known of exploitation of a CVE: every record that names it says the same.
fn exploited(hits: &[&Hit<'_>], cve: &Text) -> Option<Exploited> {
    let advisory = &hits.first()?.advisory;
    let place = advisory.cves.iter().position(|known| known == cve)?;
    advisory.exploited.get(place).copied()
}

fn describe(decision: &Match<'_>, version: &str) -> String {
    match decision {
        Match::Interval(interval) => interval.to_string(),
        Match::Listed => format!("= {version}"),
        Match::Undecided(interval) => format!("{interval} (cannot be compared)"),
    }
}

fn sort_versions(versions: &mut Vec<String>, scheme: Scheme) {
    if versions.len() < 2 {
        return;
    }
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
