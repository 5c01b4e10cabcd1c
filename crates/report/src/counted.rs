//! Which findings a policy counts, as far as a report tells: the policy itself is not in it, its reasons are.
//!
//! Rules that speak of an image as a whole (licences, secrets, expressions) count no finding.

use std::{cmp::Reverse, collections::HashSet};

use portcullis_model::{Finding, FixState, Outcome, Reason, Report, SeverityLevel};

use crate::view::is_counting;

/// The findings that a failing verdict rests on.
pub(crate) struct Counted {
    findings: HashSet<*const Finding>,
}

impl Counted {
    /// Where the reasons do not add up to their own numbers, every finding that may be one of theirs is counted: none is
    /// left out because of what is not known here.
    pub(crate) fn of(report: &Report) -> Self {
        let mut findings = HashSet::new();
        let judged: Vec<_> =
            report.findings.iter().filter(|f| is_counting(f) && f.state != FixState::Unknown).collect();
        for reason in report.verdict.reasons.iter().filter(|reason| reason.result == Outcome::Fail) {
            let counted = match reason.rule.as_str() {
                "vulnerabilities.failOn" => severe(report, &judged, reason),
                "vulnerabilities.kev" => judged.iter().copied().filter(|finding| finding.kev).collect(),
                "vulnerabilities.epssAbove" => {
                    let limit = word_after(reason, "score above ").and_then(|word| word.parse::<f64>().ok());
                    let is_above = |finding: &Finding| finding.epss.is_some_and(|e| limit.is_none_or(|l| e.score > l));
                    judged.iter().copied().filter(|finding| is_above(finding)).collect()
                }
                _ => Vec::new(),
            };
            findings.extend(counted.into_iter().map(std::ptr::from_ref));
        }
        Self { findings }
    }

    /// Whether the policy counts a finding of that report.
    pub(crate) fn counts(&self, finding: &Finding) -> bool {
        self.findings.contains(&std::ptr::from_ref(finding))
    }
}

/// The findings behind `2 vulnerabilities of severity high or worse: …`.
fn severe<'a>(report: &Report, judged: &[&'a Finding], reason: &Reason) -> Vec<&'a Finding> {
    let threshold = word_after(reason, "of severity ").and_then(|word| word.parse::<SeverityLevel>().ok());
    let note = |rule: &str| report.verdict.reasons.iter().find(|reason| reason.rule == rule);
    let is_fixed = |finding: &&Finding| {
        note("vulnerabilities.onlyFixed").is_none()
            || finding.state == FixState::Fixed
            || finding.last_affected.is_some()
    };
    let (unrated, rated): (Vec<_>, Vec<_>) =
        judged.iter().copied().filter(is_fixed).partition(|finding| finding.severity.level == SeverityLevel::Unknown);
    let mut found: Vec<_> =
        rated.into_iter().filter(|finding| threshold.is_none_or(|least| finding.severity.level >= least)).collect();
    let told = number(reason);
    // A policy can say what unrated ones count as.
    if told.is_none_or(|told| told > found.len()) {
        found.extend(unrated);
    }
    // Grace is counted from the day of publication: the newest are in it, but none that is of the future.
    let graced = note("vulnerabilities.graceDays").and_then(number).unwrap_or(0);
    if told.is_some_and(|told| told.saturating_add(graced) == found.len()) {
        found.sort_by_key(|finding| Reverse(finding.published.filter(|day| *day <= report.verdict.time)));
        found.drain(..graced);
    }
    found
}

/// The number that a reason begins with.
fn number(reason: &Reason) -> Option<usize> {
    reason.message.split(' ').next()?.parse().ok()
}

fn word_after<'a>(reason: &'a Reason, words: &str) -> Option<&'a str> {
    let (_, rest) = reason.message.split_once(words)?;
    rest.split([' ', ':']).next()
}
