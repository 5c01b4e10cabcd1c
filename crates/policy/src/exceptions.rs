//! Exceptions: findings that somebody looked at and accepted. They stay in the report, with the reason.

use portcullis_model::{Finding, Suppression, Timestamp};

use crate::{Exception, Policy};

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

fn speaks_of(exception: &Exception, finding: &Finding) -> bool {
    let Finding { id, aliases, cve, package, evidence, .. } = finding;
    let mut ids = std::iter::once(id).chain(aliases).chain(cve);
    if !ids.any(|id| id.eq_ignore_ascii_case(&exception.id)) {
        return false;
    }
    match exception.package.as_deref() {
        None => true,
        Some(purl) if purl.starts_with("pkg:") => {
            package.purl.strip_prefix(purl).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', '?', '#']))
        }
        Some(name) => package.name == name || evidence.name == name,
    }
}
