//! What to upgrade to. The version that fixes what was found may be affected by something else: it is asked about, too.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use portcullis_model::{AdvisoryLookup, Distribution, Finding, FixState, LookupError, Package, Text, Upgrade};
use portcullis_versions::Scheme;

use crate::match_all;

/// Most packages asked about: those that matter most.
const MAX_PACKAGES: usize = 50;

/// Most versions asked about of each. Each fixes what the one before is affected by.
const MAX_VERSIONS: usize = 10;

/// The versions to which packages of languages are to be upgraded, by purl. A distribution's packages have no choice of
/// versions: whoever upgrades gets the newest.
///
/// `findings` are those of `packages`, the worst first. What is suppressed of a package is not to be fixed.
///
/// # Errors
/// When the database is damaged.
pub fn upgrades(
    findings: &[Finding],
    packages: &[Package],
    distribution: Option<&Distribution>,
    lookup: &dyn AdvisoryLookup,
) -> Result<Vec<Upgrade>, LookupError> {
    let mut attempts = attempts(findings, packages);
    for _ in 0..MAX_VERSIONS {
        let asked = attempts.iter_mut().filter_map(Attempt::next).collect::<Vec<Package>>();
        if asked.is_empty() {
            break;
        }
        let mut left: HashMap<String, Vec<Finding>> = HashMap::new();
        for finding in match_all(&asked, distribution, lookup)?.findings {
            left.entry(finding.package.purl.clone()).or_default().push(finding);
        }
        for Package { purl, version, .. } in asked {
            let left = left.remove(&purl).unwrap_or_default();
            if let Some(attempt) = attempts.iter_mut().find(|attempt| attempt.package.purl == purl) {
                attempt.answer(version, left);
            }
        }
    }
    let mut upgrades: Vec<Upgrade> = attempts.into_iter().filter_map(Attempt::upgrade).collect();
    upgrades.sort_unstable_by(|a, b| a.purl.cmp(&b.purl));
    Ok(upgrades)
}

/// A package that is to be upgraded.
struct Attempt<'a> {
    package: &'a Package,
    /// What counts of it.
    present: Vec<&'a Finding>,
    /// The vulnerabilities that do not count.
    accepted: HashSet<&'a Text>,
    /// The last version that was asked about, and what was found of it.
    reached: Option<(String, Vec<Finding>)>,
    is_done: bool,
}

fn attempts<'a>(findings: &'a [Finding], packages: &'a [Package]) -> Vec<Attempt<'a>> {
    let mut by_purl: HashMap<&str, (Vec<&Finding>, HashSet<&Text>)> = HashMap::new();
    for finding in findings.iter().filter(|finding| !finding.package.kind.is_operating_system()) {
        let (present, accepted) = by_purl.entry(&finding.package.purl).or_default();
        if finding.is_counting() {
            present.push(finding);
        } else {
            accepted.extend([&finding.id].into_iter().chain(&finding.cve));
        }
    }
    let mut attempts: Vec<Attempt<'_>> = packages
        .iter()
        .filter_map(|package| {
            let (present, accepted) = by_purl.remove(package.purl.as_str())?;
            let attempt = Attempt { package, present, accepted, reached: None, is_done: false };
            attempt.present.iter().any(|finding| finding.state == FixState::Fixed).then_some(attempt)
        })
        .collect();
    let worst = |attempt: &Attempt<'_>| attempt.present.iter().map(|finding| finding.severity.level).max();
    attempts.sort_by_key(|attempt| (Reverse(worst(attempt)), Reverse(attempt.present.len())));
    attempts.truncate(MAX_PACKAGES);
    attempts
}

impl Attempt<'_> {
    /// The package as it would be, if there is a version to ask about.
    fn next(&mut self) -> Option<Package> {
        let version = match &self.reached {
            _ if self.is_done => None,
            None => fixing_all(self.present.iter().copied()),
            Some((_, left)) => fixing_all(left.iter()),
        };
        self.is_done = version.is_none();
        Some(Package { version: version?.to_owned(), owned_by: None, ..self.package.clone() })
    }

    fn answer(&mut self, version: String, mut left: Vec<Finding>) {
        let is_accepted = |finding: &Finding| {
            self.accepted.contains(&finding.id) || finding.cve.as_ref().is_some_and(|cve| self.accepted.contains(cve))
        };
        left.retain(|finding| finding.is_counting() && !is_accepted(finding));
        self.is_done = self.reached.as_ref().is_some_and(|(before, _)| *before == version);
        self.reached = Some((version, left));
    }

    fn upgrade(self) -> Option<Upgrade> {
        let (version, left) = self.reached?;
        let is_left = |finding: &&&Finding| {
            left.iter().any(|other| other.id == finding.id || other.cve.is_some() && other.cve == finding.cve)
        };
        let still = self.present.iter().filter(is_left).count();
        Some(Upgrade {
            purl: self.package.purl.clone(),
            version,
            fixes: (self.present.len() - still) as u64,
            remaining: left.len() as u64,
            worst_remaining: left.iter().map(|finding| finding.severity.level).max(),
        })
    }
}

/// The lowest version that fixes all of them that have a fix; none where two cannot be compared.
fn fixing_all<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<&'a str> {
    let fixed = findings.filter(|finding| finding.state == FixState::Fixed);
    portcullis_versions::highest(fixed.filter_map(|finding| {
        let scheme = Scheme::of_ecosystem(&finding.evidence.ecosystem);
        let version = scheme?.first_after(&finding.fixed_versions, &finding.evidence.version)?;
        Some((scheme?, version))
    }))
}
