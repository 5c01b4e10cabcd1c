//! What a policy may say beyond its types: patterns that can match, exceptions that still hold, authorities that
//! name somebody.

use portcullis_errors::printable;
use portcullis_model::Timestamp;

use crate::{
    Authority, EvidenceRules, Exception, LabelSelector, LicenseRules, Pattern, Policy, PolicyKind, Rule,
    VulnerabilityRules, absent::absent, document::repository, rules, workloads,
};

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the field, such as `spec.exceptions[1].expires`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Whether time alone brought it about: an exception that has ended. Such a policy can still be asked, since
    /// [`crate::apply_exceptions`] leaves the exception out.
    pub expired: bool,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), hint: Some(hint.into()), expired: false }
    }

    /// On one line, whatever the policy holds: `spec.images[0]: what is wrong (hint: what to do)`.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { field, message, hint, expired: _ } = self;
        let hint = hint.as_ref().map_or_else(String::new, |hint| format!(" (hint: {})", printable(hint, 300)));
        format!("{}: {}{hint}", printable(field, 200), printable(message, 400))
    }
}

/// Most entries of any list: a policy is read by people.
const MAX_ENTRIES: usize = 10_000;

/// Everything that is wrong with `policy`, in the order of the document.
pub(crate) fn check(policy: &Policy, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    let spec = &policy.spec;
    if policy.name.trim().is_empty() {
        problems.push(Problem::new("metadata.name", "the policy has no name", "verdicts call it by its name"));
    }
    if policy.kind == PolicyKind::ClusterImagePolicy && policy.namespace.is_some() {
        let hint = "leave it out, or make it an `ImagePolicy`";
        problems.push(Problem::new("metadata.namespace", "a ClusterImagePolicy has no namespace", hint));
    }
    if let Some(selector) = &spec.namespace_selector {
        check_selector(policy.kind, selector, &mut problems);
    }
    if let Some(patterns) = &spec.images {
        check_images(patterns, &mut problems);
    }
    if let Some(evidence) = &spec.evidence {
        check_evidence(evidence, &mut problems);
    }
    if let Some(rules) = &spec.vulnerabilities {
        check_vulnerabilities(rules, &mut problems);
    }
    if let Some(rules) = &spec.licenses {
        check_licenses(rules, &mut problems);
    }
    if let Some(rules) = &spec.workloads {
        workloads::check(rules, &mut problems);
    }
    for (index, exception) in spec.exceptions.iter().enumerate() {
        check_exception(&format!("spec.exceptions[{index}]"), exception, now, &mut problems);
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        check_rule(&format!("spec.rules[{index}]"), rule, &mut problems);
    }
    let lists = [("exceptions", spec.exceptions.len()), ("rules", spec.rules.len())];
    for (name, _) in lists.into_iter().filter(|(_, length)| *length > MAX_ENTRIES) {
        let message = format!("more than {MAX_ENTRIES} entries");
        problems.push(Problem::new(format!("spec.{name}"), message, "split the policy by `images`"));
    }
    problems
}

fn check_selector(kind: PolicyKind, selector: &LabelSelector, problems: &mut Vec<Problem>) {
    if kind == PolicyKind::ImagePolicy {
        let hint = "name a namespace in `metadata.namespace`, or make it a `ClusterImagePolicy`";
        problems.push(Problem::new("spec.namespaceSelector", "an ImagePolicy selects no namespaces", hint));
    }
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        if let Some((message, hint)) = requirement.problem() {
            problems.push(Problem::new(format!("spec.namespaceSelector.matchExpressions[{index}]"), message, hint));
        }
    }
}

fn check_rule(field: &str, rule: &Rule, problems: &mut Vec<Problem>) {
    if rule.name.trim().is_empty() {
        problems.push(Problem::new(format!("{field}.name"), "a rule without a name", "reasons call it by its name"));
    }
    if let Some(why) = rules::problem(rule) {
        let missing =
            absent(&rule.expression, &[]).map(|absent| format!("there is no `{}` in expressions here", absent.name));
        let why = missing.unwrap_or(why);
        let hint = "it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md";
        problems.push(Problem::new(format!("{field}.expression"), format!("rule `{}`: {why}", rule.name), hint));
    }
}

fn check_images(patterns: &[Pattern], problems: &mut Vec<Problem>) {
    if patterns.is_empty() {
        let hint = "leave `images` out to speak of every image, or name some: [\"registry.example/team/**\"]";
        problems.push(Problem::new("spec.images", "an empty list speaks of no image at all", hint));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if let Some((message, hint)) = image_pattern_problem(pattern.as_str()) {
            problems.push(Problem::new(format!("spec.images[{index}]"), message, hint));
        }
    }
}

/// Why a pattern can match no canonical name, with what to write instead.
fn image_pattern_problem(text: &str) -> Option<(String, String)> {
    if text.starts_with("**") {
        return None;
    }
    let (host, path) = text.split_once('/').unwrap_or(("", text));
    if path.contains('@') || path.rsplit('/').next().is_some_and(|last| last.contains(':')) {
        let message = format!("`{text}` names a tag or digest: patterns are of repositories");
        return Some((message, format!("write `{}`", repository(text))));
    }
    let is_host = host == "localhost" || host.contains(['.', ':', '*']);
    if !is_host {
        let canonical =
            if text.contains('/') { format!("docker.io/{text}") } else { format!("docker.io/library/{text}") };
        return Some((format!("`{text}` names no registry"), format!("write `{canonical}`")));
    }
    if matches!(host, "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com") {
        return Some((format!("`{host}` is not the canonical name"), format!("write `docker.io/{path}`")));
    }
    if host == "docker.io" && !path.contains('/') && !path.contains("**") {
        let hint = format!("write `docker.io/library/{path}`");
        return Some((format!("`{text}` matches nothing: official images are under `library/`"), hint));
    }
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        let hint = format!("write `{}`", text.to_ascii_lowercase());
        return Some((format!("`{text}` matches nothing: names are in lower case"), hint));
    }
    if text.split('/').any(str::is_empty) {
        let hint = "write `registry.example/team/**` for all that is under `team`".to_owned();
        return Some((format!("`{text}` holds an empty segment"), hint));
    }
    None
}

fn check_evidence(evidence: &EvidenceRules, problems: &mut Vec<Problem>) {
    if evidence.authorities.is_empty() {
        let hint = "name a `key`, or an `identity` with its `issuer`";
        problems.push(Problem::new("spec.evidence.authorities", "nobody may vouch: the list is empty", hint));
    }
    if evidence.threshold.is_some_and(|threshold| threshold == 0 || threshold as usize > evidence.authorities.len()) {
        let message = format!("a threshold that {} authorities cannot meet", evidence.authorities.len());
        let hint = "between one and the number of authorities";
        problems.push(Problem::new("spec.evidence.threshold", message, hint));
    }
    for (index, platform) in evidence.platforms.iter().enumerate() {
        let is_part =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !(2..=3).contains(&platform.split('/').count()) || !platform.split('/').all(is_part) {
            let message = format!("`{}` is not a platform", platform.escape_default());
            let field = format!("spec.evidence.platforms[{index}]");
            problems.push(Problem::new(field, message, "write it as linux/amd64 or linux/arm/v7"));
        }
    }
    for (index, authority) in evidence.authorities.iter().enumerate() {
        let field = format!("spec.evidence.authorities[{index}]");
        let is_twin = |other: &&Authority| {
            (&other.key, &other.identity, &other.issuer) == (&authority.key, &authority.identity, &authority.issuer)
        };
        if evidence.authorities.iter().take(index).any(|other| is_twin(&other)) {
            problems.push(Problem::new(field, "the same authority a second time", "name each of them once"));
            continue;
        }
        if authority.vouching().is_some() {
            continue;
        }
        let (message, hint) = match authority {
            Authority { identity: Some(_), issuer: None, key: None, verifiers: _ } => (
                "an identity without the issuer that vouches for it",
                "add `issuer`, such as https://token.actions.githubusercontent.com",
            ),
            Authority { identity: None, issuer: Some(_), key: None, verifiers: _ } => {
                ("an issuer without an identity would trust everyone it knows", "add `identity`")
            }
            Authority { key: Some(_), .. } if authority.identity.is_some() || authority.issuer.is_some() => {
                ("both a key and an identity", "make two authorities of it: one of them is enough")
            }
            _ => ("an authority that names nobody", "name a `key`, or an `identity` with its `issuer`"),
        };
        problems.push(Problem::new(field, message, hint));
    }
}

fn check_vulnerabilities(rules: &VulnerabilityRules, problems: &mut Vec<Problem>) {
    if let Some(score) = rules.epss_above.filter(|score| !(0.0..=1.0).contains(score)) {
        let field = "spec.vulnerabilities.epssAbove";
        let hint = "EPSS scores are probabilities from 0.0 to 1.0: write 0.5 for 50 %";
        problems.push(Problem::new(field, format!("{score} is not an EPSS score"), hint));
    }
    if rules.grace_days.is_some_and(|days| days > 36_500) {
        let hint = "leave `graceDays` out, or set `failOn: none`";
        problems.push(Problem::new("spec.vulnerabilities.graceDays", "a grace of more than a hundred years", hint));
    }
}

fn check_licenses(rules: &LicenseRules, problems: &mut Vec<Problem>) {
    for (index, license) in rules.deny.iter().enumerate() {
        let is_id = !license.is_empty()
            && license.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | ':'));
        if !is_id {
            let hint = "name one SPDX id an entry, such as AGPL-3.0-only";
            let message = format!("`{}` is not an SPDX id", license.escape_default());
            problems.push(Problem::new(format!("spec.licenses.deny[{index}]"), message, hint));
        }
    }
}

fn check_exception(field: &str, exception: &Exception, now: Timestamp, problems: &mut Vec<Problem>) {
    let Exception { id, package, reason, owner, expires } = exception;
    let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_graphic() && c != '*');
    if !is_id {
        let hint = "name one vulnerability, such as CVE-2026-1234: an exception is for what somebody looked at";
        problems.push(Problem::new(format!("{field}.id"), format!("`{}` is not an id", id.escape_default()), hint));
    }
    if package.as_ref().is_some_and(|name| name.trim().is_empty() || name.contains('*')) {
        let hint = "name a package (`openssl`, `pkg:deb/debian/openssl`), or leave `package` out for any";
        problems.push(Problem::new(format!("{field}.package"), "a package without a name", hint));
    }
    if reason.trim().is_empty() {
        let hint = "say why it is accepted: whoever reads the report will ask";
        problems.push(Problem::new(format!("{field}.reason"), "an exception without a reason", hint));
    }
    if owner.trim().is_empty() {
        let hint = "say who accepted it";
        problems.push(Problem::new(format!("{field}.owner"), "an exception without an owner", hint));
    }
    if let Some(expires) = expires.filter(|expires| *expires <= now) {
        problems.push(Problem {
            field: format!("{field}.expires"),
            message: format!("the exception for {id} has expired: {expires}"),
            hint: Some("remove it, or look at it again and give it a new date".to_owned()),
            expired: true,
        });
    }
}
