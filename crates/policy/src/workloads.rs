//! Rules about workloads: how a Pod is to run, whatever its images hold. Kubernetes' Pod Security Standards as built-in
//! rules, and further ones in CEL, with the variables of a ValidatingAdmissionPolicy.
//!
//! Objects are JSON values, so that a field which this version does not know is not lost.

mod cost;
mod expressions;
mod pod;
mod pod_security;

use std::collections::BTreeMap;

use portcullis_model::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Problem,
    absent::{Absent, absent},
    judge::shown,
};

pub use pod_security::{CHECKS, POD_SECURITY_VERSION, PodSecurityCheck};

/// What is asked of workloads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadRules {
    /// The level of the Pod Security Standards that Pods must keep to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurityLevel>,
    /// Checks of that level that are not made, by the names that Kubernetes gives them: `hostPorts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Values that expressions may use, as `params`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// Expressions with names, for `variables.name` in those that follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Further rules, as expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<WorkloadRule>,
}

/// A level of the Pod Security Standards, <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PodSecurityLevel {
    /// Known ways to more privileges are closed.
    Baseline,
    /// What is best practice for hardening is kept to, too.
    Restricted,
}

impl PodSecurityLevel {
    /// The word, as the policy writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// An expression with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub expression: String,
}

/// A rule about workloads as an expression in CEL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadRule {
    /// Its name.
    pub name: String,
    /// True where the object is acceptable.
    pub expression: String,
    /// What is said where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// An expression that gives what is said; in place of `message`, where it can be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_expression: Option<String>,
    /// The field that the rule is about: `spec.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do where it is not met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What is known of an object under review.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadFacts<'a> {
    /// The object.
    pub object: &'a Value,
    /// The object before an UPDATE.
    pub old_object: Option<&'a Value>,
    /// Where its Pod's specification stands, as a JSON pointer: `/spec/template/spec`.
    pub pod_spec: &'a str,
    /// What the API server says of the request; none on the desk.
    pub request: Option<&'a Value>,
    /// The Namespace that it is in; none where it is not known.
    pub namespace_object: Option<&'a Value>,
}

/// Something that stands against an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Fail, or unknown where a rule could not be evaluated.
    pub result: Outcome,
    /// The rule: `podSecurity.hostPorts`, or `rules.NAME`.
    pub rule: String,
    /// What is wrong, with the field.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

/// One object, judged by the rules of any number of policies. It is made ready once, and all expressions share their
/// steps: whoever may write policies in a namespace cannot keep the gate busy with them.
#[derive(Debug)]
pub struct WorkloadReview<'a> {
    facts: WorkloadFacts<'a>,
    /// None before a rule asks, and inside where the object is too large.
    inputs: Option<Option<expressions::Inputs>>,
    budget: StepBudget,
}

impl<'a> WorkloadReview<'a> {
    /// Of an object.
    #[must_use]
    pub fn new(facts: WorkloadFacts<'a>) -> Self {
        Self { facts, inputs: None, budget: StepBudget::default() }
    }

    /// Everything that stands against the object by the rules of one policy.
    #[must_use]
    pub fn judge(&mut self, rules: &WorkloadRules) -> Vec<Violation> {
        let Self { facts, inputs, budget } = self;
        let mut violations = Vec::new();
        // A Pod that changes in nothing that the standards speak of was judged when it was made.
        if let Some(level) = rules.pod_security.filter(|_| pod::is_changed(facts)) {
            pod_security::judge(level, &rules.except, facts, &mut violations);
        }
        if !rules.rules.is_empty() && pod::is_changed_for_rules(facts) {
            let inputs = inputs.get_or_insert_with(|| expressions::Inputs::of(facts, budget));
            expressions::judge(rules, facts, inputs.as_ref(), budget, &mut violations);
        }
        violations
    }
}

/// The steps that expressions may take for one object, over all policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StepBudget(u64);

impl Default for StepBudget {
    fn default() -> Self {
        Self(8_000_000)
    }
}

impl StepBudget {
    /// Takes so many steps; false where there are no more.
    const fn take(&mut self, steps: u64) -> bool {
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

impl WorkloadRules {
    /// Whether an expression asks for the Namespace.
    #[must_use]
    pub fn needs_namespace(&self) -> bool {
        let expressions = self.rules.iter().map(|rule| &rule.expression);
        let more = self.variables.iter().map(|variable| &variable.expression);
        let messages = self.rules.iter().filter_map(|rule| rule.message_expression.as_ref());
        expressions.chain(more).chain(messages).any(|expression| expression.contains("namespaceObject"))
    }
}

/// Whether `variables.NAME` is one variable, and no field of another.
fn is_identifier(name: &str) -> bool {
    let is_of_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    name.bytes().all(is_of_name) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The most variables of one policy.
const MAX_VARIABLES: usize = 64;

/// What is wrong with workload rules.
pub(crate) fn check(rules: &WorkloadRules, problems: &mut Vec<Problem>) {
    let WorkloadRules { pod_security, except, params: _, variables, rules } = rules;
    if pod_security.is_none() && rules.is_empty() {
        let hint = "name a level in `podSecurity`, or write `rules`";
        problems.push(Problem::new("spec.workloads", "rules about workloads that ask nothing", hint));
    }
    for (index, name) in except.iter().enumerate() {
        let field = format!("spec.workloads.except[{index}]");
        if !CHECKS.iter().any(|check| check.id == name) {
            let known: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
            let message = format!("there is no check `{}`", name.escape_default());
            problems.push(Problem::new(field, message, format!("there are {}", known.join(", "))));
        } else if pod_security.is_none() {
            problems.push(Problem::new(field, "an exception from no level", "name a level in `podSecurity`"));
        }
    }
    if variables.len() > MAX_VARIABLES {
        let message = format!("more than {MAX_VARIABLES} variables");
        problems.push(Problem::new("spec.workloads.variables", message, "write what is used once where it is used"));
    }
    let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    for (index, name) in names.iter().enumerate() {
        let field = format!("spec.workloads.variables[{index}].name");
        if !is_identifier(name) {
            let message = format!("`{}` is no name of a variable", shown(name));
            problems.push(Problem::new(field, message, "a letter or `_`, then letters, digits and `_`"));
        } else if names.iter().take(index).any(|earlier| earlier == name) {
            let message = format!("there is a variable `{name}` before this");
            problems.push(Problem::new(field, message, "give each a name of its own"));
        }
    }
    let mut wrong = |field: String, expression: &str, earlier: &[&str]| {
        if let Some(why) = expressions::problem(expression, earlier) {
            if let Some(Absent { name, hint }) = absent(expression, cost::LANGUAGE.functions) {
                return problems.push(Problem::new(field, format!("there is no `{name}` in expressions here"), hint));
            }
            let hint = "it is CEL, as in a ValidatingAdmissionPolicy: `object.spec.replicas <= params.most`; \
                        see docs/policy.md";
            problems.push(Problem::new(field, why, hint));
        }
    };
    for (index, variable) in variables.iter().enumerate() {
        let earlier = names.get(..index).unwrap_or_default();
        wrong(format!("spec.workloads.variables[{index}].expression"), &variable.expression, earlier);
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.workloads.rules[{index}]");
        wrong(format!("{field}.expression"), &rule.expression, &names);
        if let Some(message) = &rule.message_expression {
            wrong(format!("{field}.messageExpression"), message, &names);
        }
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.workloads.rules[{index}]");
        if let Some(what) = expressions::never_boolean(&rule.expression) {
            let message = format!("it gives {what}, and is never true or false");
            let hint = "a rule is true where the object is acceptable";
            problems.push(Problem::new(format!("{field}.expression"), message, hint));
        }
        if rule.name.trim().is_empty() {
            let hint = "reasons call it by its name";
            problems.push(Problem::new(format!("{field}.name"), "a rule without a name", hint));
        }
    }
}
