//! Rules about workloads in CEL, with the variables of a ValidatingAdmissionPolicy:
//! <https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>.
//!
//! The cost is bounded before anything is evaluated: what may take more than [`MAX_STEPS`] is not evaluated, and the
//! answer is unknown.

pub(super) mod quantity;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::{Context, Env, Value as Cel, common::ast::IdedExpr, objects::Key};
use portcullis_model::Outcome;
use serde_json::Value;

use super::{
    StepBudget, Variable, Violation, WorkloadFacts, WorkloadRule, WorkloadRules,
    cost::{Cost, Sizes},
};
use crate::{expression::parse, judge::shown, plain};

/// The steps that the expressions of one policy may take for one object.
const MAX_STEPS: u64 = 2_000_000;
/// What making one value of an object or of `params` ready takes.
const VALUE_STEPS: u64 = 2;
/// The name before those of variables.
const VARIABLES: &str = "variables";
/// What reading one byte of an expression takes.
const BYTE_STEPS: u64 = 8;

/// Why an expression is refused; none if it can be evaluated. `variables` are those that it may name.
pub(super) fn problem(expression: &str, variables: &[&str]) -> Option<String> {
    compile(expression, variables, &Sizes::default()).err()
}

/// What a rule gives that can never be true.
pub(super) fn never_boolean(expression: &str) -> Option<&'static str> {
    plain::never_boolean(&parse(expression).ok()?, &|_name| None)
}

/// An expression, and the steps that it may take on values of these sizes.
fn compile(expression: &str, variables: &[&str], sizes: &Sizes) -> Result<(IdedExpr, u64), String> {
    let parsed = parse(expression)?;
    Cost::of(&parsed, variables, sizes).map(|steps| (parsed, steps))
}

/// What expressions may name of an object, made once for the rules of all policies.
pub(super) struct Inputs {
    sizes: Sizes,
    /// With the inputs: binding a value copies it, and finding it again does not.
    context: Context<'static, 'static>,
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inputs").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl Inputs {
    /// None where that alone takes more steps than there are.
    pub(super) fn of(facts: &WorkloadFacts<'_>, budget: &mut StepBudget) -> Option<Self> {
        let null = Value::Null;
        let given = [
            ("object", facts.object),
            ("oldObject", facts.old_object.unwrap_or(&null)),
            ("request", facts.request.unwrap_or(&null)),
            ("namespaceObject", facts.namespace_object.unwrap_or(&null)),
        ];
        let mut sizes = Sizes::default();
        given.iter().for_each(|(_, value)| sizes.add(value));
        budget.take(sizes.values().saturating_mul(VALUE_STEPS)).then(|| {
            let mut context = Context::with_env(environment());
            for (name, value) in given {
                context.add_variable_from_value(name, cel(value));
            }
            Self { sizes, context }
        })
    }
}

/// Judges by every rule, in their order.
pub(super) fn judge(
    asked: &WorkloadRules,
    facts: &WorkloadFacts<'_>,
    inputs: Option<&Inputs>,
    budget: &mut StepBudget,
    violations: &mut Vec<Violation>,
) {
    let WorkloadRules { pod_security: _, except: _, params, variables, rules } = asked;
    let mut evaluation = Evaluation::new(params, facts, inputs, budget);
    for variable in variables {
        evaluation.define(variable);
    }
    for rule in rules {
        violations.extend(evaluation.violation(rule));
    }
}

/// Expressions of one policy about one object.
struct Evaluation<'a> {
    facts: &'a WorkloadFacts<'a>,
    /// With `params` and the variables; none where the object is too large.
    context: Option<Context<'a, 'static>>,
    sizes: Sizes,
    steps: u64,
    budget: &'a mut StepBudget,
    names: Vec<&'a str>,
}

impl<'a> Evaluation<'a> {
    fn new(
        params: &BTreeMap<String, Value>,
        facts: &'a WorkloadFacts<'a>,
        inputs: Option<&'a Inputs>,
        budget: &'a mut StepBudget,
    ) -> Self {
        let mut sizes = inputs.map_or_else(Sizes::default, |inputs| inputs.sizes);
        let before = sizes.values();
        sizes.add_params(params.len(), params);
        let is_paid = budget.take((sizes.values() - before).saturating_mul(VALUE_STEPS));
        let context = inputs.filter(|_| is_paid).map(|inputs| {
            let mut context = inputs.context.new_inner_scope();
            context.add_variable_from_value("params", cel_map(params));
            // What could not be evaluated is no key of it.
            context.add_variable_from_value(VARIABLES, Cel::Map(HashMap::<Key, Cel>::new().into()));
            context
        });
        Self { facts, context, sizes, steps: 0, budget, names: Vec::new() }
    }

    /// One that cannot be evaluated is not there: a rule that needs it is then unknown.
    fn define(&mut self, variable: &'a Variable) {
        let name = variable.name.as_str();
        if let Ok(value) = self.evaluate(&variable.expression)
            // What it holds counts for those that build upon it: else each could double the one before.
            && let Some(sizes) = self.sizes.with_computed(&value)
            && self.budget.take((sizes.values() - self.sizes.values()).saturating_mul(VALUE_STEPS))
            && let Some(context) = &mut self.context
        {
            self.sizes = sizes;
            // Each is found by its whole name, so that none is copied again.
            context.add_variable_from_value(format!("{VARIABLES}.{name}"), value);
        }
        self.names.push(name);
    }

    fn violation(&mut self, rule: &WorkloadRule) -> Option<Violation> {
        let WorkloadRule { name, expression, message, message_expression, field, fix } = rule;
        let place = field.as_ref().map_or_else(String::new, |field| format!("{}: ", shown(field)));
        let named = |result, message: String| Violation {
            result,
            rule: format!("rules.{}", shown(name)),
            message: format!("{place}{message}"),
            fix: fix.as_ref().map(|fix| shown(fix)),
        };
        match self.evaluate(expression) {
            Ok(Cel::Bool(true)) => None,
            Ok(Cel::Bool(false)) => {
                let said = message_expression.as_ref().and_then(|text| match self.evaluate(text) {
                    Ok(Cel::String(text)) if !text.trim().is_empty() => Some(shown(&text)),
                    _ => None,
                });
                Some(named(Outcome::Fail, said.unwrap_or_else(|| shown(message.as_ref().unwrap_or(expression)))))
            }
            Ok(other) => {
                Some(named(Outcome::Unknown, format!("the rule gives a {} in place of true or false", other.type_of())))
            }
            Err(why) => Some(named(Outcome::Unknown, format!("the rule could not be evaluated: {}", shown(&why)))),
        }
    }

    fn evaluate(&mut self, expression: &str) -> Result<Cel, String> {
        const TOO_MANY: &str = "the rules of all policies may take too many steps together";
        let reading = (expression.len() as u64).saturating_mul(BYTE_STEPS) + self.names.len() as u64;
        if self.context.is_none() || !self.budget.take(reading) {
            return Err(TOO_MANY.to_owned());
        }
        let (parsed, steps) = compile(expression, &self.names, &self.sizes)?;
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(format!("it may take more than {MAX_STEPS} steps: the object is too large for it"));
        }
        if !self.budget.take(steps) {
            return Err(TOO_MANY.to_owned());
        }
        let uses = |name: &str| parsed.references().has_variable(name);
        if uses("request") && self.facts.request.is_none() {
            return Err("there is no `request` outside a cluster".to_owned());
        }
        if uses("namespaceObject") && self.facts.namespace_object.is_none() {
            return Err("the namespace is not known".to_owned());
        }
        let context = self.context.as_ref().ok_or(TOO_MANY)?;
        Cel::resolve(&parsed, context).map_err(|error| error.to_string())
    }
}

/// CEL's own functions, those of its extension for texts, and quantities.
fn environment() -> Arc<Env> {
    static ENVIRONMENT: std::sync::OnceLock<Arc<Env>> = std::sync::OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let mut environment = Env::stdlib();
        // It can only fail where a name is there twice; then its functions are unknown when they are called.
        _ = cel::extensions::strings(&mut environment);
        _ = quantity::declare(&mut environment);
        Arc::new(environment)
    });
    Arc::clone(made)
}

/// Numbers are `int` where they fit, as Kubernetes has them.
fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Cel::Int(number),
            (None, Some(number)) => Cel::UInt(number),
            (None, None) => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(values) => Cel::List(Arc::new(values.iter().map(cel).collect())),
        Value::Object(fields) => cel_map(fields),
    }
}

fn cel_map<'a>(fields: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Cel {
    let fields = fields.into_iter().map(|(name, value)| (Key::from(name.as_str()), cel(value)));
    Cel::Map(fields.collect::<HashMap<Key, Cel>>().into())
}

#[cfg(test)]
mod tests;
