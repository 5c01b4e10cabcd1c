//! A recorded scan under a policy: what this one says as of now, or what another one would have said.

use portcullis_model::{AdvisoryCoverage, Finding, Report, Timestamp};

use crate::{DistributionState, Facts, Judgement, Policy, apply_exceptions, judge};

/// Judges what a scan has recorded, at `now`. Nothing is matched anew: the findings are those of the scan. Exceptions of
/// the policy that was asked then do not hold; what VEX and the distribution say does, until it ends.
#[must_use]
pub fn rejudge(policy: &Policy, report: &Report, now: Timestamp) -> Judgement {
    let mut findings: Vec<Finding> = report.findings.clone();
    for finding in &mut findings {
        let is_over = finding.suppressed.as_ref().is_some_and(|suppression| {
            suppression.by == "policy-exception" || suppression.expires.is_some_and(|end| end <= now)
        });
        if is_over {
            finding.suppressed = None;
        }
    }
    apply_exceptions(policy, &mut findings, now);
    let uncovered = report.advisory_coverage.as_ref().map(AdvisoryCoverage::uncovered_names).unwrap_or_default();
    let facts = Facts {
        findings: &findings,
        packages: &report.inventory.packages,
        warnings: &report.inventory.warnings,
        distribution: DistributionState::of(report.distribution.as_ref(), report.advisory_coverage.as_ref(), now),
        uncovered: &uncovered,
        database: &report.database,
        secrets: None,
    };
    judge(policy, &facts, now)
}
