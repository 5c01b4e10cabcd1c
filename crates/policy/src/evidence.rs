//! Whether what was attested is enough: the gate's half of a policy. Signatures were checked before; these are the
//! contents of statements that an authority signed.

use portcullis_model::{CLOCK_SKEW_SECONDS, Digest, Timestamp};

use crate::{
    EvidenceRules, Judgement, Policy, UnknownAction,
    judge::{Reasons, shown, some_of},
};

/// What a verification summary says, <https://slsa.dev/spec/v1.1/verification_summary>. Its signature, subject and
/// types are checked already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryFacts {
    /// `verificationResult`.
    pub result: SummaryResult,
    /// `timeVerified`.
    pub time_verified: Timestamp,
    /// The canonical repository of `resourceUri`: `registry.example/team/app`.
    pub resource_repository: String,
    /// `verifier.id`.
    pub verifier_id: String,
    /// `policy.digest.sha256`, if it is there.
    pub policy_digest: Option<Digest>,
    /// Which of the policy's authorities signed it, by its place in the list.
    pub authority: usize,
}

/// A summary's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SummaryResult {
    /// `PASSED`.
    Passed,
    /// `FAILED`.
    Failed,
}

/// Judges what was attested of an image of `repository` at `now`. `predicate_types` are those of all statements that
/// an authority signed.
///
/// Of several summaries the newest that counts decides, and a failure among equals: an old pass does not outlive a
/// new failure. A registry can still hide the newest, so freshness is what protects. Whatever is missing fails: a
/// policy that asks for evidence is not met without it.
#[must_use]
pub fn judge_evidence(
    policy: &Policy,
    repository: &str,
    summaries: &[SummaryFacts],
    predicate_types: &[String],
    now: Timestamp,
) -> Judgement {
    let mut reasons = Reasons::new(UnknownAction::Deny);
    let Some(rules) = &policy.spec.evidence else {
        reasons.note("evidence", "the policy asks for no evidence".to_owned());
        return reasons.finish();
    };
    judge_summaries(rules, repository, summaries, now, &mut reasons);
    for kind in &rules.require {
        if !predicate_types.iter().any(|predicate_type| kind.covers(predicate_type)) {
            reasons.fail("evidence.require", format!("no trusted attestation of its {}", kind.as_str()));
        }
    }
    reasons.finish()
}

fn judge_summaries(
    rules: &EvidenceRules,
    repository: &str,
    summaries: &[SummaryFacts],
    now: Timestamp,
    reasons: &mut Reasons,
) {
    let mut refusals = Vec::new();
    let mut counting = Vec::new();
    for summary in summaries {
        match refusal(rules, repository, summary, now) {
            Some(refusal) => refusals.push(refusal),
            None => counting.push(summary),
        }
    }
    if let Some(threshold) = rules.threshold.filter(|threshold| *threshold > 1) {
        judge_threshold(rules, threshold as usize, &counting, now, reasons);
        return;
    }
    let newest = counting.into_iter().max_by_key(|summary| (summary.time_verified, summary.result));
    let Some(summary) = newest else {
        refusals.sort();
        refusals.dedup();
        let (rule, message) = match refusals.first() {
            None => ("evidence", "no trusted verdict is attested: run `portcullis scan --attest`".to_owned()),
            Some((rule, _)) => {
                let messages: Vec<_> = refusals.iter().map(|(_, message)| message.clone()).collect();
                (*rule, format!("no attested verdict counts: {}", some_of(messages.into_iter())))
            }
        };
        reasons.fail(rule, message);
        return;
    };
    let SummaryFacts { result, time_verified, verifier_id, .. } = summary;
    let verifier_id = shown(verifier_id);
    match (result, rules.max_age) {
        (SummaryResult::Failed, _) => {
            reasons.fail("evidence", format!("the attested verdict is FAILED: {verifier_id} at {time_verified}"));
        }
        (SummaryResult::Passed, Some(limit)) if now.seconds_since(*time_verified) > limit.seconds() => {
            let message = format!("the attested verdict is of {time_verified}, older than {limit}: scan it again");
            reasons.fail("evidence.maxAge", message);
        }
        (SummaryResult::Passed, _) => {
            reasons.note("evidence", format!("PASSED by {verifier_id} at {time_verified}"));
        }
    }
}

/// Of each authority the newest summary counts. One that failed outweighs those of all others.
fn judge_threshold(
    rules: &EvidenceRules,
    threshold: usize,
    counting: &[&SummaryFacts],
    now: Timestamp,
    reasons: &mut Reasons,
) {
    let mut passed = 0;
    for authority in 0..rules.authorities.len() {
        let of_authority = counting.iter().filter(|summary| summary.authority == authority);
        let newest = of_authority.max_by_key(|summary| (summary.time_verified, summary.result));
        let Some(SummaryFacts { result, time_verified, .. }) = newest else { continue };
        let is_old = rules.max_age.is_some_and(|limit| now.seconds_since(*time_verified) > limit.seconds());
        match result {
            SummaryResult::Failed => {
                let message = format!("authority {} says FAILED at {time_verified}", authority + 1);
                reasons.fail("evidence", message);
            }
            SummaryResult::Passed if is_old => {}
            SummaryResult::Passed => passed += 1,
        }
    }
    let message =
        format!("{passed} of {} authorities vouch with a fresh PASSED; {threshold} must", rules.authorities.len());
    if passed < threshold {
        reasons.fail("evidence.threshold", message);
    } else {
        reasons.note("evidence", message);
    }
}

/// Why a summary does not count at all; none if it does.
fn refusal(
    rules: &EvidenceRules,
    repository: &str,
    summary: &SummaryFacts,
    now: Timestamp,
) -> Option<(&'static str, String)> {
    if summary.resource_repository != repository {
        return Some(("evidence", format!("one is of another repository, {}", shown(&summary.resource_repository))));
    }
    if summary.time_verified.seconds_since(now) > CLOCK_SKEW_SECONDS {
        return Some(("evidence.maxAge", format!("one is from the future, {}", summary.time_verified)));
    }
    if !rules.verifiers.is_empty() && !rules.verifiers.contains(&summary.verifier_id) {
        return Some(("evidence.verifiers", format!("one is by another verifier, {}", shown(&summary.verifier_id))));
    }
    let signer = rules.authorities.get(summary.authority);
    if signer.is_none_or(|signer| !signer.verifiers.is_empty() && !signer.verifiers.contains(&summary.verifier_id)) {
        let message = format!("one is signed by somebody who may not sign for {}", shown(&summary.verifier_id));
        return Some(("evidence.verifiers", message));
    }
    if !rules.policies.is_empty() && !summary.policy_digest.is_some_and(|digest| rules.policies.contains(&digest)) {
        let digest = summary.policy_digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
        return Some(("evidence.policies", format!("one is by another policy, {digest}")));
    }
    None
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use portcullis_model::{Outcome, SeverityLevel};

    use super::*;
    use crate::{Authority, EvidenceKind};

    const NOW: i64 = 1_800_000_000;

    fn summary(result: SummaryResult, age: i64) -> SummaryFacts {
        SummaryFacts {
            result,
            time_verified: Timestamp::from_unix(NOW - age),
            resource_repository: "registry.example/team/app".to_owned(),
            verifier_id: "https://ci.example/portcullis".to_owned(),
            policy_digest: Some(Digest::of(b"policy")),
            authority: 0,
        }
    }

    #[test]
    fn as_many_authorities_as_the_threshold_says_must_vouch() {
        let mut policy = Policy::default_with(SeverityLevel::High, false);
        let authority = |key: &str, verifiers: &[&str]| Authority {
            key: Some(key.to_owned()),
            verifiers: verifiers.iter().map(|id| (*id).to_owned()).collect(),
            ..Authority::default()
        };
        policy.spec.evidence = Some(EvidenceRules {
            authorities: vec![authority("a", &[]), authority("b", &[]), authority("c", &["https://other.example"])],
            threshold: Some(2),
            max_age: Some("24h".parse().unwrap()),
            ..EvidenceRules::default()
        });
        let by = |authority: usize, result: SummaryResult, age: i64| SummaryFacts { authority, ..summary(result, age) };
        let judged = |summaries: &[SummaryFacts]| {
            judge_evidence(&policy, "registry.example/team/app", summaries, &[], Timestamp::from_unix(NOW)).result
        };
        use SummaryResult::{Failed, Passed};
        assert_eq!(judged(&[by(0, Passed, 9), by(1, Passed, 9)]), Outcome::Pass);
        // One authority is one, however often it signs.
        assert_eq!(judged(&[by(0, Passed, 9), by(0, Passed, 8)]), Outcome::Fail);
        assert_eq!(judged(&[by(0, Passed, 9), by(1, Passed, 90_000)]), Outcome::Fail);
        assert_eq!(judged(&[by(0, Passed, 9), by(1, Failed, 9)]), Outcome::Fail);
        assert_eq!(judged(&[by(0, Passed, 9), by(1, Failed, 9), by(1, Passed, 8)]), Outcome::Pass);
        // The third may sign for another verifier alone, and a fourth is unknown.
        assert_eq!(judged(&[by(0, Passed, 9), by(2, Passed, 9)]), Outcome::Fail);
        assert_eq!(judged(&[by(0, Passed, 9), by(3, Passed, 9)]), Outcome::Fail);
        assert_eq!(judged(&[by(0, Passed, 9), by(1, Passed, 9), by(2, Failed, 1)]), Outcome::Pass);
    }

    fn check(summaries: &[SummaryFacts], predicate_types: &[&str], outcome: Outcome, expected: Expect) {
        let mut policy = Policy::default_with(SeverityLevel::High, false);
        policy.spec.evidence = Some(EvidenceRules {
            authorities: vec![Authority { key: Some("k.pub".to_owned()), ..Authority::default() }],
            threshold: None,
            platforms: Vec::new(),
            require: vec![EvidenceKind::Sbom],
            max_age: Some("24h".parse().unwrap()),
            verifiers: vec!["https://ci.example/portcullis".to_owned()],
            policies: vec![Digest::of(b"policy")],
        });
        let types: Vec<_> = predicate_types.iter().map(|text| (*text).to_owned()).collect();
        let judged = judge_evidence(&policy, "registry.example/team/app", summaries, &types, Timestamp::from_unix(NOW));
        assert_eq!(judged.result, outcome);
        let lines: Vec<_> =
            judged.reasons.iter().map(|r| format!("{} {}: {}\n", r.result, r.rule, r.message)).collect();
        expected.assert_eq(&lines.concat());
    }

    const SBOM: &[&str] = &["https://spdx.dev/Document"];

    #[test]
    fn fresh_pass_admits() {
        check(
            &[summary(SummaryResult::Passed, 60)],
            SBOM,
            Outcome::Pass,
            expect![[r#"
            pass evidence: PASSED by https://ci.example/portcullis at 2027-01-15T07:59:00Z
        "#]],
        );
        // A clock that is a little ahead is not the future.
        check(
            &[summary(SummaryResult::Passed, -200)],
            SBOM,
            Outcome::Pass,
            expect![[r#"
            pass evidence: PASSED by https://ci.example/portcullis at 2027-01-15T08:03:20Z
        "#]],
        );
    }

    #[test]
    fn newer_failure_outweighs_an_older_pass_and_the_other_way_round() {
        let [pass_old, pass_new] = [600, 60].map(|age| summary(SummaryResult::Passed, age));
        let [fail_old, fail_new] = [600, 60].map(|age| summary(SummaryResult::Failed, age));
        check(
            &[pass_old, fail_new.clone()],
            SBOM,
            Outcome::Fail,
            expect![[r#"
            fail evidence: the attested verdict is FAILED: https://ci.example/portcullis at 2027-01-15T07:59:00Z
        "#]],
        );
        check(
            &[pass_new.clone(), fail_new],
            SBOM,
            Outcome::Fail,
            expect![[r#"
            fail evidence: the attested verdict is FAILED: https://ci.example/portcullis at 2027-01-15T07:59:00Z
        "#]],
        );
        check(
            &[pass_new, fail_old],
            SBOM,
            Outcome::Pass,
            expect![[r#"
            pass evidence: PASSED by https://ci.example/portcullis at 2027-01-15T07:59:00Z
        "#]],
        );
    }

    #[test]
    fn what_does_not_count_is_named() {
        check(
            &[],
            &[],
            Outcome::Fail,
            expect![[r#"
            fail evidence: no trusted verdict is attested: run `portcullis scan --attest`
            fail evidence.require: no trusted attestation of its sbom
        "#]],
        );
        check(
            &[summary(SummaryResult::Passed, 86_401)],
            SBOM,
            Outcome::Fail,
            expect![[r#"
            fail evidence.maxAge: the attested verdict is of 2027-01-14T07:59:59Z, older than 1d: scan it again
        "#]],
        );
        let mut other = vec![summary(SummaryResult::Passed, -301); 4];
        other[1].resource_repository = "registry.example/other".to_owned();
        other[2] = SummaryFacts { verifier_id: "https://evil.example".to_owned(), ..summary(SummaryResult::Passed, 1) };
        other[3] = SummaryFacts { policy_digest: None, ..summary(SummaryResult::Passed, 1) };
        check(
            &other,
            SBOM,
            Outcome::Fail,
            expect![[r#"
            fail evidence: no attested verdict counts: one is of another repository, registry.example/other, one is from the future, 2027-01-15T08:05:01Z, one is by another policy, none and 1 more
        "#]],
        );
    }
}
