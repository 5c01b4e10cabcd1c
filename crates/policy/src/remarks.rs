//! What is odd about a policy that can be asked: it may be meant so, and mostly is not.

use crate::{Action, LicenseRules, Policy, PolicySpec, Problem, VulnerabilityRules};

impl Policy {
    /// What is odd about it, though it can be asked: that nothing in an image can fail it. [`Policy::check`] has what is
    /// wrong.
    #[must_use]
    pub fn remarks(&self) -> Vec<Problem> {
        let PolicySpec { evidence, vulnerabilities, secrets, licenses, workloads, rules, .. } = &self.spec;
        let can_deny = evidence.is_some()
            || workloads.is_some()
            || !rules.is_empty()
            || *secrets == Some(Action::Deny)
            || licenses.as_ref().is_some_and(licenses_can_deny)
            || vulnerabilities.as_ref().is_some_and(vulnerabilities_can_deny);
        if can_deny {
            return Vec::new();
        }
        let needless = vulnerabilities.as_ref().map(about_severities).unwrap_or_default();
        let (field, hint) = match needless.as_slice() {
            [] => ("spec", "say what fails: `vulnerabilities: {failOn: high}`; see docs/policy.md".to_owned()),
            names => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let hint = format!("add `failOn`, which these are about: {}", names.join(", "));
                ("spec.vulnerabilities", hint)
            }
        };
        vec![Problem::new(field, "this policy can deny nothing that is found in an image", hint)]
    }
}

fn licenses_can_deny(rules: &LicenseRules) -> bool {
    let LicenseRules { deny, undeclared } = rules;
    !deny.is_empty() || *undeclared == Some(Action::Deny)
}

fn vulnerabilities_can_deny(rules: &VulnerabilityRules) -> bool {
    let VulnerabilityRules { fail_on, kev, epss_above, max_database_age, end_of_life, uncovered, .. } = rules;
    fail_on.threshold().is_some()
        || epss_above.is_some()
        || max_database_age.is_some()
        || [kev, end_of_life, uncovered].contains(&&Some(Action::Deny))
}

/// The fields that say something about `failOn` alone.
fn about_severities(rules: &VulnerabilityRules) -> Vec<&'static str> {
    let fields = [
        ("onlyFixed", rules.only_fixed),
        ("graceDays", rules.grace_days.is_some()),
        ("unrated", rules.unrated.is_some()),
    ];
    fields.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}
