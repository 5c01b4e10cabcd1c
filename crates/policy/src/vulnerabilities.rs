//! The rules of `vulnerabilities`: each finding counts for itself, so that one more can never make a verdict better.

use std::cmp::Reverse;

use portcullis_errors::count_of;
use portcullis_model::{CLOCK_SKEW_SECONDS, DatabaseInfo, Finding, FixState, SeverityLevel, Timestamp};

use crate::{
    Action, DistributionState, Facts, Policy, VulnerabilityRules,
    judge::{NAMED, Reasons, shown, some_of},
};

const DAY: i64 = 86_400;

/// The age from which a database is remarked on where the policy sets no limit.
const REMARKABLE_AGE: i64 = 7 * DAY;

pub(crate) fn judge(rules: &VulnerabilityRules, facts: &Facts<'_>, now: Timestamp, reasons: &mut Reasons) {
    let is_judged = rules.fail_on.threshold().is_some() || rules.kev.is_some() || rules.epss_above.is_some();
    judge_distribution(rules, facts, is_judged, reasons);
    judge_database(rules, facts.database, now, reasons);
    let mut classes = Classes::default();
    for finding in facts.findings {
        classify(rules, finding, now, &mut classes);
    }
    let clean_before = reasons.is_clean();
    classes.tell(rules, reasons);
    if !is_judged {
        reasons.note("vulnerabilities", "the policy lets every vulnerability pass".to_owned());
    } else if clean_before && reasons.is_clean() {
        let suppressed = facts.findings.iter().filter(|finding| finding.suppressed.is_some()).count();
        let total = facts.findings.len();
        let message = match (total, suppressed) {
            (0, _) => "no vulnerability was found".to_owned(),
            (_, 0) => format!("none counts of {}", count_of(total, "finding", "findings")),
            _ => format!("none counts of {}; suppressed: {suppressed}", count_of(total, "finding", "findings")),
        };
        reasons.note("vulnerabilities", message);
    }
}

/// Says of each finding whether the policy fails for it: by its severity, for being exploited, or for its score.
pub fn mark_denied(policy: &Policy, findings: &mut [Finding], now: Timestamp) {
    let Some(rules) = &policy.spec.vulnerabilities else { return };
    for finding in findings {
        let mut classes = Classes::default();
        classify(rules, finding, now, &mut classes);
        let Classes { severe, exploited, likely, .. } = classes;
        let is_exploited = !exploited.is_empty() && rules.kev == Some(Action::Deny);
        finding.denied = !severe.is_empty() || !likely.is_empty() || is_exploited;
    }
}

/// No data is not "no vulnerabilities".
fn judge_distribution(rules: &VulnerabilityRules, facts: &Facts<'_>, is_judged: bool, reasons: &mut Reasons) {
    // Whether a release has ended, or is spoken of, cannot be answered of one that cannot be told.
    let is_asked = is_judged || [rules.end_of_life, rules.uncovered].contains(&Some(Action::Deny));
    let mut missing = |rule: &str, message: String| {
        if is_asked { reasons.unknown(rule, message) } else { reasons.note(rule, message) }
    };
    match facts.distribution {
        DistributionState::Absent | DistributionState::Covered(_) => {}
        DistributionState::Unknown => {
            missing("distribution", "nothing says which distribution its packages are from".to_owned());
        }
        DistributionState::Uncovered(name) => {
            missing("distribution", format!("the database holds no advisories for {name}"));
        }
        DistributionState::EndOfLife { name, since } => {
            let date = since.date();
            let message = format!("{name} gets no fixes any more: end of life since {date}");
            let action = rules.end_of_life.unwrap_or(Action::Audit);
            reasons.act(action, "vulnerabilities.endOfLife", message);
        }
    }
    if !facts.uncovered.is_empty() {
        let mut names = facts.uncovered.to_vec();
        names.sort();
        names.dedup();
        let message = format!("the database holds no advisories for {}", some_of(names.into_iter()));
        match rules.uncovered {
            Some(action) => reasons.act(action, "vulnerabilities.uncovered", message),
            // The starter is a taste of the whole: what it lacks is said by naming it, not ecosystem by ecosystem.
            None if facts.database.starter => {}
            None if is_judged => reasons.unknown("database", message),
            None => reasons.note("database", message),
        }
    }
}

fn judge_database(rules: &VulnerabilityRules, database: &DatabaseInfo, now: Timestamp, reasons: &mut Reasons) {
    let age = now.seconds_since(database.built);
    let rule = "vulnerabilities.maxDatabaseAge";
    match rules.max_database_age {
        // Its age cannot be told.
        Some(_) if age < -DAY => {
            let built = database.built;
            let message = format!(
                "the advisory database is of {built}, which is after {now}, the moment of this judgement: a clock is wrong, \
                 or SOURCE_DATE_EPOCH"
            );
            reasons.unknown(rule, message);
        }
        Some(limit) if age > limit.seconds() => {
            let message = format!(
                "the advisory database is of {}, {} old; the limit is {limit}: run `portcullis db update`",
                database.built,
                days(age)
            );
            reasons.unknown(rule, message);
        }
        None if age > REMARKABLE_AGE => {
            let message = format!("the advisory database is {} old; the policy sets no limit", days(age));
            reasons.note(rule, message);
        }
        Some(_) | None => {}
    }
    let knows = |source: &str| database.sources.iter().any(|known| known.name == source);
    if rules.kev.is_some() && !knows("kev") {
        let message = "the database does not hold CISA's catalogue of exploited vulnerabilities";
        match rules.kev {
            Some(Action::Deny) => reasons.unknown("vulnerabilities.kev", message.to_owned()),
            _ => reasons.note("vulnerabilities.kev", message.to_owned()),
        }
    }
    if rules.epss_above.is_some() && !knows("epss") {
        let message = "the database does not hold EPSS scores".to_owned();
        reasons.unknown("vulnerabilities.epssAbove", message);
    }
}

/// Findings by what they lead to.
#[derive(Default)]
struct Classes<'a> {
    severe: Vec<&'a Finding>,
    exploited: Vec<&'a Finding>,
    likely: Vec<&'a Finding>,
    unrated: Vec<&'a Finding>,
    uncompared: Vec<&'a Finding>,
    unfixed: Vec<&'a Finding>,
    /// With the moment that their grace ends.
    graced: Vec<(Timestamp, &'a Finding)>,
}

fn classify<'a>(rules: &VulnerabilityRules, finding: &'a Finding, now: Timestamp, classes: &mut Classes<'a>) {
    if !finding.is_counting() {
        return;
    }
    let is_exploited = finding.kev && rules.kev.is_some();
    let is_likely = rules.epss_above.zip(finding.epss).is_some_and(|(limit, epss)| epss.score > limit);
    let level = match (finding.severity.level, rules.unrated) {
        (SeverityLevel::Unknown, unrated) => unrated.map(SeverityLevel::from),
        (level, _) => Some(level),
    };
    let threshold = rules.fail_on.threshold();
    // None where nobody has rated it, and the policy does not say what that counts as.
    let is_severe = threshold.map_or(Some(false), |threshold| level.map(|level| level >= threshold));
    if finding.state == FixState::Unknown {
        // It would count if it were affected, and that is not known.
        if is_severe != Some(false) || is_likely || (is_exploited && rules.kev == Some(Action::Deny)) {
            classes.uncompared.push(finding);
        }
        return;
    }
    if is_exploited {
        classes.exploited.push(finding);
    }
    if is_likely {
        classes.likely.push(finding);
    }
    if is_severe == Some(false) {
        return;
    }
    // Where a last affected version is named, a later one may be the fix: nobody says that there is none.
    if rules.only_fixed && finding.state != FixState::Fixed && finding.last_affected.is_none() {
        classes.unfixed.push(finding);
    } else if let Some(end) = grace_end(rules, finding, now).filter(|end| *end > now) {
        classes.graced.push((end, finding));
    } else if is_severe == Some(true) {
        classes.severe.push(finding);
    } else {
        classes.unrated.push(finding);
    }
}

/// When a finding's grace ends; none where it has none: without a day of publication nothing can be counted from it, and
/// from one that has not come yet the grace would have no end.
fn grace_end(rules: &VulnerabilityRules, finding: &Finding, now: Timestamp) -> Option<Timestamp> {
    let days = rules.grace_days?;
    let published = finding.published.filter(|day| day.seconds_since(now) <= CLOCK_SKEW_SECONDS)?;
    let end = published.unix().saturating_add(i64::from(days) * DAY);
    Some(Timestamp::from_unix(end))
}

impl Classes<'_> {
    fn tell(self, rules: &VulnerabilityRules, reasons: &mut Reasons) {
        let Self { severe, exploited, likely, unrated, uncompared, unfixed, graced } = self;
        if let Some(threshold) = rules.fail_on.threshold().filter(|_| !severe.is_empty()) {
            let worse = if threshold == SeverityLevel::Critical { "" } else { " or worse" };
            let message = format!("{} of severity {threshold}{worse}: {}", count(severe.len()), named(severe));
            reasons.fail("vulnerabilities.failOn", message);
        }
        if let Some(action) = rules.kev.filter(|_| !exploited.is_empty()) {
            let message = format!("{} known to be exploited: {}", count(exploited.len()), named(exploited));
            reasons.act(action, "vulnerabilities.kev", message);
        }
        if let Some(limit) = rules.epss_above.filter(|_| !likely.is_empty()) {
            let message = format!("{} with an EPSS score above {limit}: {}", count(likely.len()), named(likely));
            reasons.fail("vulnerabilities.epssAbove", message);
        }
        if !unrated.is_empty() {
            let message = format!("{} that nobody has rated: {}", count(unrated.len()), named(unrated));
            reasons.unknown("vulnerabilities.unrated", message);
        }
        if !uncompared.is_empty() {
            let message =
                format!("{} whose version could not be compared: {}", count(uncompared.len()), named(uncompared));
            reasons.unknown("vulnerabilities", message);
        }
        if !unfixed.is_empty() {
            let message = format!("{} without a fix, not counted", count(unfixed.len()));
            reasons.note("vulnerabilities.onlyFixed", message);
        }
        if let Some(first) = graced.iter().map(|(end, _)| *end).min() {
            let message = format!("{} in grace, the first until {first}", count(graced.len()));
            reasons.note("vulnerabilities.graceDays", message);
        }
    }
}

fn days(seconds: i64) -> String {
    let days = usize::try_from(seconds / DAY).unwrap_or(0);
    count_of(days, "day", "days")
}

fn count(number: usize) -> String {
    count_of(number, "vulnerability", "vulnerabilities")
}

/// The worst few by name, in an order that does not depend on the findings'.
fn named(mut findings: Vec<&Finding>) -> String {
    fn key(finding: &Finding) -> (Reverse<SeverityLevel>, &str, &str, &str) {
        let Finding { id, cve, package, severity, .. } = finding;
        (Reverse(severity.level), cve.as_ref().unwrap_or(id), &package.name, &package.version)
    }
    let order = |a: &&Finding, b: &&Finding| key(a).cmp(&key(b));
    // Of thousands, few are named: the others need no order.
    if findings.len() > NAMED {
        findings.select_nth_unstable_by(NAMED, order);
    }
    let few = findings.len().min(NAMED);
    if let Some(few) = findings.get_mut(..few) {
        few.sort_by(order);
    }
    some_of(findings.into_iter().map(|finding| {
        let id = finding.cve.as_ref().unwrap_or(&finding.id);
        format!("{} in {} {}", shown(id), shown(&finding.package.name), shown(&finding.package.version))
    }))
}
