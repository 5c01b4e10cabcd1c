//! The judgement: facts against a policy, at a moment that the caller names.

use std::cmp::Reverse;

use portcullis_model::{
    AdvisoryCoverage, DatabaseInfo, Distribution, DistributionCoverage, Finding, Inputs, Outcome, Package, Reason,
    Timestamp, Verdict, Warning, WarningKind,
};

use crate::{Action, Policy, PolicySpec, UnknownAction, exceptions, licenses, rules, vulnerabilities};

/// What is known of an image.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is wrong with it; suppressed findings do not count.
    pub findings: &'a [Finding],
    /// What is in it.
    pub packages: &'a [Package],
    /// What could not be read of it.
    pub warnings: &'a [Warning],
    /// Whether advisories speak of its distribution.
    pub distribution: DistributionState<'a>,
    /// What the database knows nothing of: ecosystems such as `PyPI`, kinds such as `conda packages`, third parties'.
    pub uncovered: &'a [String],
    /// The advisories that were asked.
    pub database: &'a DatabaseInfo,
    /// How many secrets were found; none where nobody looked for any.
    pub secrets: Option<u64>,
}

/// Whether advisories speak of an image's distribution. The texts name it for people: `Debian GNU/Linux 12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DistributionState<'a> {
    /// There is none, nor any package of one: an image from scratch.
    Absent,
    /// Advisories speak of it.
    Covered(&'a str),
    /// Advisories speak of it, and its release gets no fixes any more.
    EndOfLife {
        /// Its name.
        name: &'a str,
        /// The day on which support ended.
        since: Timestamp,
    },
    /// It is known, and no advisory in the database speaks of it.
    Uncovered(&'a str),
    /// There are packages of a distribution, and nothing says which.
    Unknown,
}

impl<'a> DistributionState<'a> {
    /// The state at `now` of what a scan found. An older report that does not say what advisories covered proves
    /// nothing.
    #[must_use]
    pub fn of(distribution: Option<&'a Distribution>, coverage: Option<&AdvisoryCoverage>, now: Timestamp) -> Self {
        let name = distribution.map_or("its distribution", |distribution| match distribution.name.as_str() {
            "" => distribution.id.as_str(),
            name => name,
        });
        let Some(coverage) = coverage else { return Self::Unknown };
        let is_over = |end: &Timestamp| now.seconds_since(*end) >= DAY;
        match (coverage.distribution, coverage.end_of_life.filter(is_over)) {
            (DistributionCoverage::Absent, _) => Self::Absent,
            (DistributionCoverage::Unknown, _) => Self::Unknown,
            (DistributionCoverage::Uncovered, _) => Self::Uncovered(name),
            (DistributionCoverage::Covered, Some(since)) => Self::EndOfLife { name, since },
            (DistributionCoverage::Covered, None) => Self::Covered(name),
        }
    }
}

/// Seconds. The last day of support is one with support.
const DAY: i64 = 86_400;

/// An answer with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The answer: the worst of the reasons'.
    pub result: Outcome,
    /// Why, the worst first.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// The verdict that it makes together with what it rests on.
    #[must_use]
    pub fn into_verdict(self, policy: &Policy, inputs: Inputs, now: Timestamp) -> Verdict {
        Verdict { result: self.result, policy: policy.reference(), reasons: self.reasons, inputs, time: now }
    }

    /// Both judgements as one: the worse answer, every reason.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.reasons.extend(other.reasons);
        Self::from_reasons(self.reasons)
    }

    fn from_reasons(mut reasons: Vec<Reason>) -> Self {
        reasons.sort_by(|left, right| {
            (Reverse(left.result), &left.rule, &left.message).cmp(&(Reverse(right.result), &right.rule, &right.message))
        });
        reasons.dedup();
        let result = reasons.iter().map(|reason| reason.result).fold(Outcome::Pass, Outcome::and);
        Self { result, reasons }
    }
}

/// Judges `facts` by `policy` at `now`. Suppress first what is accepted, by [`crate::apply_exceptions`].
#[must_use]
pub fn judge(policy: &Policy, facts: &Facts<'_>, now: Timestamp) -> Judgement {
    let mut reasons = Reasons::new(policy.spec.unknown);
    let spec = &policy.spec;
    judge_gaps(facts.warnings, &mut reasons);
    if let Some(rules) = &spec.vulnerabilities {
        vulnerabilities::judge(rules, facts, now, &mut reasons);
    }
    if let Some(rules) = &spec.licenses {
        licenses::judge(rules, facts.packages, &mut reasons);
    }
    judge_secrets(spec.secrets, facts.secrets, &mut reasons);
    for exception in spec.exceptions.iter().filter(|exception| exception.expires.is_some_and(|end| end <= now)) {
        let message =
            format!("the exception for {} by {} has expired and does not count", exception.id, exception.owner);
        reasons.note("exceptions", message);
    }
    exceptions::tell_misses(policy, facts.findings, now, &mut reasons);
    rules::judge(&spec.rules, facts, &mut reasons);
    if facts.database.starter {
        let message = "judged by the starter database, which knows little: run `portcullis db update`";
        reasons.note("database", message.to_owned());
    }
    if is_empty(spec) {
        reasons.note("policy", "the policy has no rule: it accepts what could be read".to_owned());
    }
    reasons.finish()
}

/// Whether a policy judges nothing about an image's contents.
const fn is_empty(spec: &PolicySpec) -> bool {
    spec.vulnerabilities.is_none() && spec.licenses.is_none() && spec.secrets.is_none() && spec.rules.is_empty()
}

fn judge_gaps(warnings: &[Warning], reasons: &mut Reasons) {
    let mut gaps: Vec<_> = warnings.iter().filter(|warning| warning.kind == WarningKind::Gap).collect();
    gaps.sort();
    gaps.dedup();
    if gaps.is_empty() {
        return;
    }
    let named = some_of(gaps.iter().map(|gap| format!("`{}`: {}", shown(&gap.path), shown(&gap.message))));
    reasons.unknown("inventory", format!("not everything could be read: {named}"));
}

fn judge_secrets(action: Option<Action>, found: Option<u64>, reasons: &mut Reasons) {
    let Some(action) = action else { return };
    match found {
        Some(0) => reasons.note("secrets", "no secret was found".to_owned()),
        Some(count) => reasons.act(action, "secrets", format!("secrets that were found: {count}")),
        None if action == Action::Deny => {
            reasons.unknown("secrets", "the image was not searched for secrets".to_owned());
        }
        None => reasons.note("secrets", "the image was not searched for secrets".to_owned()),
    }
}

/// How many things a reason names.
pub(crate) const NAMED: usize = 3;

/// The first few of `items`, and how many more there are.
pub(crate) fn some_of(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(NAMED);
    let mut text = items.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Text of untrusted origin, as a reason shows it: escaped, and not endless.
pub(crate) fn shown(text: &str) -> String {
    portcullis_errors::printable(text, 120)
}

/// Gathers reasons.
pub(crate) struct Reasons {
    unknown: UnknownAction,
    reasons: Vec<Reason>,
}

impl Reasons {
    pub(crate) const fn new(unknown: UnknownAction) -> Self {
        Self { unknown, reasons: Vec::new() }
    }

    pub(crate) fn fail(&mut self, rule: &str, message: String) {
        self.push(Outcome::Fail, rule, message);
    }

    /// Something that the policy needs is not known.
    pub(crate) fn unknown(&mut self, rule: &str, message: String) {
        match self.unknown {
            UnknownAction::Deny => self.push(Outcome::Unknown, rule, message),
            UnknownAction::Audit => self.push(Outcome::Pass, rule, format!("{message} (accepted: `unknown: audit`)")),
        }
    }

    /// Told, and does not count.
    pub(crate) fn note(&mut self, rule: &str, message: String) {
        self.push(Outcome::Pass, rule, message);
    }

    pub(crate) fn act(&mut self, action: Action, rule: &str, message: String) {
        match action {
            Action::Deny => self.fail(rule, message),
            Action::Audit => self.note(rule, message),
        }
    }

    /// Whether nothing so far stands against a pass.
    pub(crate) fn is_clean(&self) -> bool {
        self.reasons.iter().all(|reason| reason.result == Outcome::Pass)
    }

    pub(crate) fn finish(self) -> Judgement {
        Judgement::from_reasons(self.reasons)
    }

    fn push(&mut self, result: Outcome, rule: &str, message: String) {
        self.reasons.push(Reason { result, rule: rule.to_owned(), message });
    }
}
