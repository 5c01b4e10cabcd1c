//! A recorded scan under a policy: what this one says as of now, or what another one would have said.

use portcullis_model::{AdvisoryCoverage, Finding, Outcome, Reason, Report, Timestamp};

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
    let judgement = judge(policy, &facts, now);
    if report.is_matched() {
        return judgement;
    }
    let unmatched = Reason {
        result: Outcome::Unknown,
        rule: "vulnerabilities".to_owned(),
        message: "the report is an inventory: no advisory was asked, so that it has no findings says nothing"
            .to_owned(),
    };
    judgement.and(Judgement { result: Outcome::Unknown, reasons: vec![unmatched] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    /// As an inventory was signed once: with a verdict that passes.
    #[test]
    fn what_was_matched_with_nothing_passes_no_policy() {
        let (digest, now) = (portcullis_model::Digest::of(b""), Timestamp::from_unix(1_790_000_000));
        let report = |coverage| {
            let inputs = json!({
                "image": null, "inventory": digest, "database": digest, "policy": digest, "engine": "1",
            });
            let report = json!({
                "schemaVersion": 1,
                "created": now,
                "tool": {"name": "portcullis", "version": "1"},
                "target": {"reference": "app", "digest": null, "configDigest": null, "platform": null},
                "distribution": null,
                "advisoryCoverage": coverage,
                "inventory": {"packages": [], "warnings": []},
                "findings": [],
                "verdict": {
                    "result": "pass", "policy": {"name": "p", "digest": digest}, "reasons": [], "inputs": inputs, "time": now,
                },
                "coverage": null,
                "database": {"digest": digest, "built": now, "sources": []},
            });
            serde_json::from_value::<Report>(report).unwrap()
        };
        let policy = Policy::default_with(portcullis_model::SeverityLevel::High, false);
        let answer = |coverage| rejudge(&policy, &report(coverage), now).result;
        let covered = json!({"distribution": "absent", "ecosystems": [], "endOfLife": null, "uncovered": []});
        assert_eq!(answer(covered), Outcome::Pass);
        assert_eq!(answer(json!(null)), Outcome::Unknown);
    }
}
