//! Exceptions: findings that somebody looked at and accepted. They stay in the report, with the reason.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_model::{Finding, Suppression, Timestamp, lookup_name};

use crate::{
    Exception, Policy,
    judge::{Reasons, shown, some_of},
};

/// So many exceptions that miss are told one by one.
const MISSES_TOLD: usize = 20;

/// Suppresses the findings that an exception of `policy` speaks of and that still holds at `now`. What is suppressed
/// already keeps its reason. Call it before [`crate::judge`].
pub fn apply_exceptions(policy: &Policy, findings: &mut [Finding], now: Timestamp) {
    let holding: Vec<_> =
        policy.spec.exceptions.iter().filter(|exception| exception.expires.is_none_or(|end| end > now)).collect();
    if holding.is_empty() {
        return;
    }
    for finding in findings.iter_mut().filter(|finding| finding.suppressed.is_none()) {
        if let Some(exception) = holding.iter().find(|exception| speaks_of(exception, finding)) {
            finding.suppressed = Some(Box::new(Suppression {
                by: "policy-exception".to_owned(),
                reason: format!("{} ({})", exception.reason.trim(), exception.owner.trim()),
                expires: exception.expires,
            }));
        }
    }
}

/// Tells exceptions whose vulnerability was found, but in no package that they name: a name may be written wrong. One
/// whose vulnerability is not here at all is often for another image.
pub(crate) fn tell_misses(policy: &Policy, findings: &[Finding], now: Timestamp, reasons: &mut Reasons) {
    let exceptions = &policy.spec.exceptions;
    let mut by_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, exception) in exceptions.iter().enumerate() {
        if exception.package.is_some() && exception.expires.is_none_or(|end| end > now) {
            by_id.entry(exception.id.to_ascii_lowercase()).or_default().push(index);
        }
    }
    if by_id.is_empty() {
        return;
    }
    let mut met = BTreeSet::new();
    let mut missed: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for finding in findings {
        for index in ids(finding).filter_map(|id| by_id.get(&id.to_ascii_lowercase())).flatten() {
            let Some(exception) = exceptions.get(*index).filter(|_| !met.contains(index)) else { continue };
            if names(exception, finding) {
                met.insert(*index);
            } else {
                let is_purl = exception.package.as_ref().is_some_and(|package| package.starts_with("pkg:"));
                let package = &finding.package;
                missed.entry(*index).or_default().insert(if is_purl { &package.purl } else { &package.name });
            }
        }
    }
    missed.retain(|index, _| !met.contains(index));
    let more = missed.len().saturating_sub(MISSES_TOLD);
    for (index, packages) in missed.into_iter().take(MISSES_TOLD) {
        let Some(Exception { id, package: Some(package), .. }) = exceptions.get(index) else { continue };
        let found = some_of(packages.into_iter().map(shown));
        let message = format!(
            "the exception for {} in {} matches nothing here: it was found in {found}",
            shown(id),
            shown(package)
        );
        reasons.note("exceptions", message);
    }
    if more > 0 {
        reasons
            .note("exceptions", format!("{more} more exceptions match nothing, though their vulnerabilities are here"));
    }
}

/// All that a finding's vulnerability is called.
fn ids(finding: &Finding) -> impl Iterator<Item = &str> {
    let Finding { id, aliases, cve, .. } = finding;
    std::iter::once(id).chain(aliases).chain(cve).map(|id| &**id)
}

fn speaks_of(exception: &Exception, finding: &Finding) -> bool {
    ids(finding).any(|id| id.eq_ignore_ascii_case(&exception.id)) && names(exception, finding)
}

/// Whether an exception names the package of a finding, as its ecosystem takes names.
fn names(exception: &Exception, finding: &Finding) -> bool {
    let Finding { package, evidence, .. } = finding;
    match exception.package.as_deref() {
        None => true,
        Some(purl) if purl.starts_with("pkg:") => {
            package.purl.strip_prefix(purl).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '?', '#']))
        }
        Some(name) => {
            let same = |other: &str| {
                other == name || lookup_name(&evidence.ecosystem, other) == lookup_name(&evidence.ecosystem, name)
            };
            same(&package.name) || same(&evidence.name)
        }
    }
}
