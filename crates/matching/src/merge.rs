//! One finding for each vulnerability of a package, however many records speak of it.

use std::{cmp::Ordering, fmt::Write, sync::Arc};

use portcullis_model::{
    Advisory, Affected, Evidence, ExploitPrediction, Exploited, Finding, FindingPackage, FixState, Interval, Package,
    Severity, SeverityLevel, Text, Texts,
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

/// The records that affect one package.
#[derive(Default)]
pub(crate) struct Hits<'a> {
    hits: Vec<Hit<'a>>,
    /// What each meets others by, and its place among them: a CVE, or for those without one the first name of their alias
    /// group.
    keys: Vec<Key>,
}

type Key = (Text, usize);

impl<'a> Hits<'a> {
    /// Forgets them. The room that they took is used again.
    pub(crate) fn clear(&mut self) {
        self.hits.clear();
        self.keys.clear();
    }

    /// Adds a record. One of several CVEs, as distributions' updates are, counts for each.
    pub(crate) fn add(&mut self, hit: Hit<'a>) {
        let Advisory { id, aliases, cves, .. } = &hit.advisory;
        let place = self.hits.len();
        if cves.is_empty() {
            let first = aliases.iter().fold(id, |first, alias| first.min(alias));
            self.keys.push((first.clone(), place));
        }
        self.keys.extend(cves.iter().map(|cve| (cve.clone(), place)));
        self.hits.push(hit);
    }

    /// The findings of `package`, one for each vulnerability.
    pub(crate) fn findings(&mut self, package: &Package) -> impl Iterator<Item = Finding> {
        let Self { hits, keys } = self;
        // The first of a group names it.
        let order = |place: usize| {
            let Hit { advisory, decision, .. } = hits.get(place)?;
            let is_undecided = matches!(decision, Match::Undecided(_));
            Some((is_undecided, rank(&advisory.id), advisory.cves.len(), &advisory.id, place))
        };
        keys.sort_unstable_by(|(a, at_a), (b, at_b)| a.cmp(b).then_with(|| order(*at_a).cmp(&order(*at_b))));
        // Made for the first finding: most packages have none.
        let mut shared = None;
        keys.chunk_by(|(key, _), (other, _)| key == other)
            .map(move |group| finding(shared.get_or_insert_with(|| Arc::new(package.into())), hits, group))
    }
}

/// What findings are told of an advisory: taken from it, or copied where it speaks of several vulnerabilities. Its other
/// CVEs are no aliases of one of them, nor is it known which of them its other names are of.
fn told(advisory: &mut Advisory) -> Advisory {
    if advisory.cves.len() == 1 {
        return std::mem::take(advisory);
    }
    let Advisory { id, aliases, cves, summary, cwes, references, .. } = &*advisory;
    Advisory {
        id: id.clone(),
        aliases: if cves.is_empty() { aliases.clone() } else { Vec::new() },
        summary: summary.clone(),
        cwes: cwes.clone(),
        references: references.iter().take(MAX_REFERENCES).cloned().collect(),
        ..Advisory::default()
    }
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

/// The finding that records of one vulnerability make; the first names it.
pub(crate) fn finding(package: &Arc<FindingPackage>, hits: &mut [Hit<'_>], group: &[Key]) -> Finding {
    let cve = group.first().map(|(key, _)| key.clone()).filter(|key| key.starts_with("CVE-"));
    let of_group: Vec<&Hit<'_>> = group.iter().filter_map(|(_, place)| hits.get(*place)).collect();
    let severity = severity(&of_group);
    let state = state(&of_group);
    let last_affected = last_affected(&of_group).filter(|_| state == FixState::Affected).map(Text::from);
    let published = of_group.iter().filter_map(|hit| hit.advisory.published).min();
    let exploited = cve.as_ref().and_then(|cve| exploited(&of_group, cve)).unwrap_or_default();
    let scheme = of_group.first().map(|hit| hit.scheme);
    // There are thousands of findings, and of lists that grow by themselves half is empty.
    let links: usize = of_group.iter().map(|hit| hit.advisory.references.len()).sum();
    let mut references: Vec<Text> = Vec::with_capacity(links.min(MAX_REFERENCES));
    let mut sources: Vec<Text> = Vec::with_capacity(group.len());
    let mut fixed_versions: Vec<String> = Vec::with_capacity(group.len());
    let (mut aliases, mut cwes): (Vec<Text>, Vec<Text>) = (Vec::new(), Vec::new());
    let mut evidence = Evidence::default();
    let mut title = Text::default();
    for (_, place) in group {
        let Some(Hit { advisory, decision, place, .. }) = hits.get_mut(*place) else { continue };
        let Advisory { id, aliases: mut others, summary, cwes: weaknesses, references: links, .. } = told(advisory);
        if sources.is_empty() {
            let AskedPlace { ecosystem, name, version } = place.clone();
            evidence = Evidence { range: describe(decision, &version), ecosystem, name, version, sources: Vec::new() };
        } else {
            others.push(id.clone());
        }
        if title.is_empty() {
            title = summary;
        }
        join(&mut aliases, others);
        join(&mut cwes, weaknesses);
        for link in links {
            if references.len() < MAX_REFERENCES && !references.contains(&link) {
                references.push(link);
            }
        }
        if let Match::Interval(interval) = decision {
            fixed_versions.extend(interval.fixed.map(str::to_owned));
        }
        sources.push(id);
    }
    let id = sources.first().cloned().unwrap_or_default();
    aliases.extend(cve.clone().filter(|cve| *cve != id && !aliases.contains(cve)));
    aliases.retain(|alias| *alias != id);
    for list in [&mut aliases, &mut sources, &mut cwes] {
        list.sort_unstable();
        list.dedup();
    }
    evidence.sources = sources;
    if let Some(scheme) = scheme {
        sort_versions(&mut fixed_versions, scheme);
    }
    Finding {
        severity,
        published,
        id,
        aliases,
        cve,
        title,
        package: Arc::clone(package),
        state,
        fixed_versions,
        last_affected,
        kev: exploited.kev,
        epss: exploited.epss.map(|(score, percentile)| ExploitPrediction { score, percentile }),
        cwes,
        references,
        denied: false,
        suppressed: None,
        evidence,
    }
}

/// Adds to a list; one that is empty becomes the other.
fn join<T>(all: &mut Vec<T>, more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend(more);
    }
}

/// Whether there is a fix, by what all of them say.
fn state(group: &[&Hit<'_>]) -> FixState {
    let decisions = || group.iter().map(|hit| &hit.decision);
    let is_fix = |decision: &Match<'_>| matches!(decision, Match::Interval(Interval { fixed: Some(_), .. }));
    match group.iter().find_map(|hit| hit.entry.unfixed) {
        _ if decisions().all(|decision| matches!(decision, Match::Undecided(_))) => FixState::Unknown,
        _ if decisions().any(is_fix) => FixState::Fixed,
        Some(state) => state,
        None => FixState::Affected,
    }
}

/// The highest version that one of them names as the last that is affected, or lists; none where another says that all
/// later ones are.
fn last_affected<'a>(group: &[&Hit<'a>]) -> Option<&'a str> {
    let is_open =
        |hit: &&Hit<'_>| matches!(hit.decision, Match::Interval(Interval { fixed: None, last_affected: None, .. }));
    if group.iter().any(is_open) {
        return None;
    }
    let named = group.iter().flat_map(|hit| {
        let versions: &[&str] = match &hit.decision {
            Match::Interval(interval) => interval.last_affected.as_slice(),
            Match::Listed => &hit.entry.versions,
            Match::Undecided(_) => &[],
        };
        versions.iter().map(|version| (hit.scheme, *version))
    });
    let highest = named.reduce(|best, other| match other.0.compare(other.1, best.1) {
        Ok(Ordering::Greater) => other,
        _ => best,
    });
    highest.map(|(_, version)| version)
}

/// What is known of exploitation of a CVE: every record that names it says the same.
fn exploited(group: &[&Hit<'_>], cve: &Text) -> Option<Exploited> {
    let advisory = &group.first()?.advisory;
    let place = advisory.cves.iter().position(|known| known == cve)?;
    advisory.exploited.get(place).copied()
}

fn describe(decision: &Match<'_>, version: &str) -> String {
    match decision {
        Match::Interval(interval) => {
            let Interval { introduced, fixed, last_affected } = interval;
            let bounds: usize = [introduced, fixed, last_affected].into_iter().flatten().map(|bound| bound.len()).sum();
            let mut text = String::with_capacity(">= 0, <= ".len() + bounds);
            // Into a text nothing can fail to be written.
            _ = write!(text, "{interval}");
            text
        }
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
        versions.sort_by(|a, b| scheme.compare(a, b).unwrap_or(Ordering::Equal).then_with(|| a.cmp(b)));
    } else {
        versions.sort();
    }
    versions.dedup();
}

/// The distribution's or ecosystem's own word first, then the first record that knows a severity.
fn severity(group: &[&Hit<'_>]) -> Severity {
    let rated = group.iter().map(|hit| &hit.advisory.severity);
    let mut severity = rated
        .clone()
        .find(|severity| severity.score.is_some_and(|score| score > 0.0))
        .or_else(|| rated.clone().find(|severity| severity.score.is_some()))
        .or_else(|| rated.clone().find(|severity| severity.level != SeverityLevel::Unknown))
        .cloned()
        .unwrap_or_default();
    if let Some(level) = group.iter().find_map(|hit| hit.entry.severity)
        && level != SeverityLevel::Unknown
        && level != severity.level
    {
        severity.level = level;
        severity.source = Some("distribution".into());
    }
    severity
}
