//! What is attested of an image, and what a policy says of it: candidates are verified, the verdict is judged, and the
//! findings of the attested scan are judged again, as of now.

use portcullis_attest::{
    Candidate, Problem, SummaryResult as Attested, VerificationSummary, Verified, Verifier, VerifyError, predicate_type,
};
use portcullis_errors::{Hint as _, chain, printable};
use portcullis_model::{CLOCK_SKEW_SECONDS, Digest, Outcome, Reason, Report, Timestamp};
use portcullis_policy::{Judgement, Policy, PolicySpec, SummaryFacts, SummaryResult, judge_evidence, rejudge};
use portcullis_registry::Reference;

use crate::authorities::ReadyPolicy;

/// What the authorities of one policy say of one image, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    summaries: Vec<SummaryFacts>,
    predicate_types: Vec<String>,
    /// The newest scan of ours.
    scan: Option<Report>,
    /// Why candidates prove nothing, each reason once.
    refusals: Vec<VerifyError>,
    /// What could not be read: then nobody knows what else there is.
    problems: Vec<String>,
    /// What to do about the first problem.
    problem_hint: Option<String>,
}

/// Verifies all that was found. `problems` say what could not be read; `now` is the moment of the decision.
pub(crate) fn verified(
    candidates: &[Candidate],
    problems: &[Problem],
    verifier: &Verifier,
    image: &Digest,
    now: Timestamp,
) -> Evidence {
    let mut evidence = Evidence::default();
    for problem in problems {
        evidence.problems.push(format!("{}: {}", problem.what, chain(&problem.error)));
        evidence.problem_hint = evidence.problem_hint.or_else(|| problem.hint());
    }
    for candidate in candidates {
        match verifier.verify(candidate, image, now) {
            Ok(statement) => {
                evidence.predicate_types.push(statement.predicate_type().to_owned());
                if let Err(refusal) = evidence.add(statement, image, now) {
                    evidence.refuse(refusal);
                }
            }
            Err(refusal) => evidence.refuse(refusal),
        }
    }
    evidence
}

impl Evidence {
    /// Whether no authority has given a verdict, and all that there is was read.
    pub(crate) fn is_silent(&self) -> bool {
        self.summaries.is_empty() && self.problems.is_empty()
    }

    /// Whether an authority has given a verdict, whatever it is.
    pub(crate) const fn is_spoken(&self) -> bool {
        !self.summaries.is_empty()
    }

    fn refuse(&mut self, refusal: VerifyError) {
        if !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }

    fn add(
        &mut self,
        statement: Verified<portcullis_attest::Statement>,
        image: &Digest,
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        match statement.predicate_type() {
            predicate_type::VERIFICATION_SUMMARY => self.summaries.push(facts(&statement.summary()?, image)),
            predicate_type::VULNERABILITIES => {
                let scan = statement.vulnerability_scan()?;
                // Another scanner's result is evidence that there was a scan; its findings are not ours to judge.
                if let Ok(report) = scan.report() {
                    let is_past = report.created.seconds_since(now) <= CLOCK_SKEW_SECONDS;
                    let is_newer = self.scan.as_ref().is_none_or(|known| known.created < report.created);
                    if is_past && is_newer {
                        self.scan = Some(report);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A summary as policies read it. One that speaks of another digest, or says two things at once, is no pass.
fn facts(summary: &Verified<VerificationSummary>, image: &Digest) -> SummaryFacts {
    let resource = summary.resource().filter(|resource| resource.digest().is_none_or(|digest| digest == *image));
    let is_pass = summary.verification_result == Attested::Passed
        && summary.outcome.is_none_or(|outcome| outcome == Outcome::Pass);
    SummaryFacts {
        result: if is_pass { SummaryResult::Passed } else { SummaryResult::Failed },
        time_verified: summary.time_verified,
        resource_repository: resource.map_or_else(|| summary.resource_uri.clone(), |resource| resource.name()),
        verifier_id: summary.verifier.id.clone(),
        policy_digest: summary.policy_digest(),
        authority: summary.authority_index(),
    }
}

/// The policy's answer, and what to do about one that is not a pass.
pub(crate) fn judged(
    ready: &ReadyPolicy,
    image: &Reference,
    evidence: &Evidence,
    now: Timestamp,
) -> (Judgement, Option<String>) {
    let policy = &ready.policy;
    let repository = image.name();
    let mut judgement = judge_evidence(policy, &repository, &evidence.summaries, &evidence.predicate_types, now);
    let is_attested = judgement.result == Outcome::Pass;
    if let Some(report) = &evidence.scan {
        judgement = judgement.and(judged_again(policy, report, now));
    }
    if is_attested {
        judgement = judgement.and(by_this_policy(ready, &repository, evidence, now));
    }
    if !is_attested && evidence.summaries.is_empty() && !evidence.refusals.is_empty() {
        let why: Vec<String> = evidence.refusals.iter().take(3).map(ToString::to_string).collect();
        let message = format!("what is attached proves nothing: {}", why.join(", "));
        judgement = judgement.and(alone(Outcome::Fail, "evidence.authorities", message));
    }
    if !evidence.problems.is_empty() {
        judgement = with_problems(judgement, evidence);
    }
    let fix = (judgement.result != Outcome::Pass).then(|| fix(&judgement, image, evidence));
    (judgement, fix)
}

/// An answer with one reason.
pub(crate) fn alone(result: Outcome, rule: &str, message: String) -> Judgement {
    let message = printable(&message, 400);
    Judgement { result, reasons: vec![Reason { result, rule: rule.to_owned(), message }] }
}

/// What could not be read may be a newer failure, or the verdict that is missing: both make the answer unknown. A
/// failure that was found stays one.
fn with_problems(judgement: Judgement, evidence: &Evidence) -> Judgement {
    let more = evidence.problems.len().saturating_sub(2);
    let first: Vec<&str> = evidence.problems.iter().take(2).map(String::as_str).collect();
    let mut message = format!("not all evidence could be read: {}", first.join(", "));
    if more > 0 {
        message.push_str(&format!(" and {more} more"));
    }
    let is_found_failure = evidence.summaries.iter().any(|summary| summary.result == SummaryResult::Failed);
    if judgement.result == Outcome::Fail && !is_found_failure {
        // What is missing may be among what could not be read.
        let reasons = judgement.reasons.into_iter().map(|reason| {
            let is_missing = reason.rule.starts_with("evidence") && reason.result == Outcome::Fail;
            Reason { result: if is_missing { Outcome::Unknown } else { reason.result }, ..reason }
        });
        let softened = Judgement { result: Outcome::Pass, reasons: reasons.collect() };
        return softened.and(alone(Outcome::Unknown, "registry", message));
    }
    judgement.and(alone(Outcome::Unknown, "registry", message))
}

/// The rules of `vulnerabilities` on the findings of the attested scan, as of now: a grace that has ended, an
/// exception that has expired and a database that has grown old count from that moment. Exceptions of the policy
/// that was asked at the scan do not hold here.
fn judged_again(policy: &Policy, report: &Report, now: Timestamp) -> Judgement {
    let Some(rules) = policy.spec.vulnerabilities.clone() else {
        return Judgement { result: Outcome::Pass, reasons: Vec::new() };
    };
    let spec = PolicySpec {
        vulnerabilities: Some(rules),
        unknown: policy.spec.unknown,
        exceptions: policy.spec.exceptions.clone(),
        ..PolicySpec::default()
    };
    rejudge(&Policy { spec, ..policy.clone() }, report, now)
}

/// Rules that need the image's packages, or a scan that is not at hand, rest on the attested verdict: so that one must
/// be by this very policy.
fn by_this_policy(ready: &ReadyPolicy, repository: &str, evidence: &Evidence, now: Timestamp) -> Judgement {
    let PolicySpec { vulnerabilities, secrets, licenses, rules, .. } = &ready.policy.spec;
    let mut sections = Vec::new();
    let mut need = |is_there: bool, name| {
        if is_there {
            sections.push(name);
        }
    };
    need(vulnerabilities.is_some() && evidence.scan.is_none(), "vulnerabilities");
    need(secrets.is_some(), "secrets");
    need(licenses.is_some(), "licenses");
    need(!rules.is_empty(), "rules");
    let digest = ready.reference.digest;
    let own: Vec<_> =
        evidence.summaries.iter().filter(|summary| summary.policy_digest == Some(digest)).cloned().collect();
    let own = judge_evidence(&ready.policy, repository, &own, &evidence.predicate_types, now);
    if sections.is_empty() || own.result == Outcome::Pass {
        return Judgement { result: Outcome::Pass, reasons: Vec::new() };
    }
    let sections = sections.join(", ");
    let message = format!("the attested verdict is by another policy, and does not answer for {sections}");
    alone(Outcome::Unknown, "evidence.policies", message)
}

/// One thing to do, as a command where there is one.
fn fix(judgement: &Judgement, image: &Reference, evidence: &Evidence) -> String {
    let worst = judgement.reasons.iter().filter(|reason| reason.result == judgement.result);
    let rules: Vec<&str> = worst.map(|reason| reason.rule.as_str()).collect();
    let has = |rule: &str| rules.contains(&rule);
    if has("registry") {
        return evidence.problem_hint.clone().unwrap_or_else(|| format!("portcullis verify {image}"));
    }
    let refusal_hint = evidence.refusals.iter().find_map(portcullis_errors::Hint::hint);
    if has("evidence.authorities")
        && let Some(hint) = refusal_hint
    {
        return hint;
    }
    if has("evidence.policies") {
        return format!("portcullis scan {image} --policy FILE --attest --key KEY");
    }
    let is_failed = evidence.summaries.iter().any(|summary| summary.result == SummaryResult::Failed);
    if rules.iter().any(|rule| !rule.starts_with("evidence")) || (has("evidence") && is_failed) {
        return format!("portcullis scan {image}, then mend what it lists");
    }
    format!("portcullis scan {image} --attest --key KEY")
}
