//! Rules about workloads in CEL, with the variables of a ValidatingAdmissionPolicy:
//! <https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>.
//!
//! The cost is bounded before anything is evaluated: what may take more than [`MAX_STEPS`] is not evaluated, and the
//! answer is unknown.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::{Context, Env, Value as Cel, common::ast::IdedExpr, objects::Key};
use portcullis_model::Outcome;
use serde_json::Value;

use super::{
    StepBudget, Variable, Violation, WorkloadFacts, WorkloadRule,
    cost::{Cost, Sizes},
};
use crate::{judge::shown, rules};

/// The steps that the expressions of one policy may take for one object.
const MAX_STEPS: u64 = 2_000_000;

/// Why an expression is refused; none if it can be evaluated. `variables` are those that it may name.
pub(super) fn problem(expression: &str, variables: &[&str]) -> Option<String> {
    compile(expression, variables).err()
}

fn compile(expression: &str, variables: &[&str]) -> Result<IdedExpr, String> {
    let parsed = rules::parse(expression)?;
    Cost::of(&parsed, variables, &Sizes::default()).map(|_steps| parsed)
}

/// Judges by every rule, in their order.
pub(super) fn judge(
    params: &BTreeMap<String, Value>,
    variables: &[Variable],
    rules: &[WorkloadRule],
    facts: &WorkloadFacts<'_>,
    budget: &mut StepBudget,
    violations: &mut Vec<Violation>,
) {
    let mut evaluation = Evaluation::new(params, facts, budget);
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
    sizes: Sizes,
    steps: u64,
    budget: &'a mut StepBudget,
    inputs: Vec<(&'static str, Cel)>,
    names: Vec<&'a str>,
    variables: HashMap<Key, Cel>,
}

impl<'a> Evaluation<'a> {
    fn new(params: &BTreeMap<String, Value>, facts: &'a WorkloadFacts<'a>, budget: &'a mut StepBudget) -> Self {
        let params: Value = params.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let null = Value::Null;
        let mut sizes = Sizes::default();
        let given = [
            ("object", facts.object),
            ("oldObject", facts.old_object.unwrap_or(&null)),
            ("request", facts.request.unwrap_or(&null)),
            ("namespaceObject", facts.namespace_object.unwrap_or(&null)),
            ("params", &params),
        ];
        let inputs = given.map(|(name, value)| {
            sizes.add(value);
            (name, cel(value))
        });
        Self { facts, sizes, steps: 0, budget, inputs: inputs.into(), names: Vec::new(), variables: HashMap::new() }
    }

    /// One that cannot be evaluated is not there: a rule that needs it is then unknown.
    fn define(&mut self, variable: &'a Variable) {
        if let Ok(value) = self.evaluate(&variable.expression) {
            // What it holds counts for those that build upon it: else each could double the one before.
            self.sizes.add_computed(&value);
            self.variables.insert(Key::from(variable.name.as_str()), value);
        }
        self.names.push(&variable.name);
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
        let parsed = rules::parse(expression)?;
        let steps = Cost::of(&parsed, &self.names, &self.sizes)?;
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(format!("it may take more than {MAX_STEPS} steps: the object is too large for it"));
        }
        if !self.budget.take(steps) {
            return Err("the rules of all policies may take too many steps together".to_owned());
        }
        let uses = |name: &str| parsed.references().has_variable(name);
        if uses("request") && self.facts.request.is_none() {
            return Err("there is no `request` outside a cluster".to_owned());
        }
        if uses("namespaceObject") && self.facts.namespace_object.is_none() {
            return Err("the namespace is not known".to_owned());
        }
        let mut context = Context::with_env(environment());
        for (name, value) in self.inputs.iter().filter(|(name, _)| uses(name)) {
            context.add_variable_from_value(*name, value.clone());
        }
        if uses("variables") {
            context.add_variable_from_value("variables", Cel::Map(self.variables.clone().into()));
        }
        Cel::resolve(&parsed, &context).map_err(|error| error.to_string())
    }
}

/// CEL's own functions, and those of its extension for texts. None of the latter that would be allowed here grows.
fn environment() -> Arc<Env> {
    static ENVIRONMENT: std::sync::OnceLock<Arc<Env>> = std::sync::OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let mut environment = Env::stdlib();
        // It can only fail where a name is there twice; then its functions are unknown when they are called.
        _ = cel::extensions::strings(&mut environment);
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
        Value::Object(fields) => {
            let fields: HashMap<Key, Cel> =
                fields.iter().map(|(name, value)| (Key::from(name.as_str()), cel(value))).collect();
            Cel::Map(fields.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(expression: &str, expected: Expect) {
        if let Some(why) = problem(expression, &["containers"]) {
            return expected.assert_eq(&format!("refused: {why}"));
        }
        let object = json!({"metadata": {"name": "d", "namespace": "team", "labels": {"app": "x"}},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [
                {"name": "a", "image": "registry.example/a:1", "resources": {"limits": {"memory": "1Gi"}}},
                {"name": "b", "image": "docker.io/b"}]}}}});
        let request = json!({"operation": "CREATE", "userInfo": {"username": "ann", "groups": ["devs"]}});
        let namespace = json!({"metadata": {"labels": {"env": "prod"}}});
        let facts = WorkloadFacts {
            object: &object,
            old_object: None,
            pod_spec: "/spec/template/spec",
            request: Some(&request),
            namespace_object: Some(&namespace),
        };
        let params = BTreeMap::from([("most".to_owned(), json!(2))]);
        let variables =
            [Variable { name: "containers".to_owned(), expression: "object.spec.template.spec.containers".to_owned() }];
        let rule = WorkloadRule {
            name: "r".to_owned(),
            expression: expression.to_owned(),
            message: Some("no".to_owned()),
            message_expression: None,
            field: None,
            fix: None,
        };
        let mut violations = Vec::new();
        judge(&params, &variables, &[rule], &facts, &mut StepBudget::default(), &mut violations);
        let said =
            violations.first().map_or_else(|| "true".to_owned(), |one| format!("{}: {}", one.result, one.message));
        expected.assert_eq(&said);
    }

    #[test]
    fn expressions_of_admission_policies_carry_over() {
        check("object.spec.replicas <= 5", expect!["true"]);
        check("object.spec.replicas <= params.most", expect!["fail: no"]);
        check("variables.containers.all(c, c.image.startsWith('registry.example/'))", expect!["fail: no"]);
        check("variables.containers.all(c, has(c.resources) && has(c.resources.limits))", expect!["fail: no"]);
        check("variables.containers.exists(c, c.image.matches('^registry[.]example/.*$'))", expect!["true"]);
        check("oldObject == null || object.spec.replicas >= oldObject.spec.replicas", expect!["true"]);
        check("request.operation == 'CREATE' && 'devs' in request.userInfo.groups", expect!["true"]);
        check("namespaceObject.metadata.labels['env'] == 'prod'", expect!["true"]);
        check("object.metadata.namespace == 'team'", expect!["true"]);
        check("has(object.metadata.labels) && 'app' in object.metadata.labels", expect!["true"]);
        check("object.metadata.name.indexOf('d') == 0", expect!["true"]);
    }

    #[test]
    fn what_goes_wrong_is_never_a_pass() {
        check("object.spec.nothing.here", expect!["unknown: the rule could not be evaluated: No such key: nothing"]);
        check("object.spec.replicas", expect!["unknown: the rule gives a int in place of true or false"]);
        check(
            "object.spec.replicas.startsWith('x')",
            expect![
                "unknown: the rule could not be evaluated: found no matching overload for 'startsWith' applied to 'int.(string)'"
            ],
        );
        check(
            "1 +",
            expect![
                "refused: it cannot be parsed: Syntax error: mismatched input '<EOF>' expecting expression (column 4)"
            ],
        );
        check(
            "authorizer.group('apps').resource('deployments').check('get').allowed()",
            expect!["refused: there is no function `allowed`"],
        );
        check("variables.later", expect!["refused: there is no variable `later` before this"]);
        check(
            "quantity('1Gi').isGreaterThan(quantity('1Mi'))",
            expect!["refused: there is no function `isGreaterThan`"],
        );
        check(
            "object.metadata.name.matches(params.pattern)",
            expect!["refused: `matches` takes a literal of at most 256 bytes"],
        );
        check(
            "[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))",
            expect!["refused: more than 4 walks are inside one another"],
        );
        check(
            "['a'].map(a, a + a + a + a + a + a).size() > 0",
            expect!["refused: more than 4 additions are inside walks"],
        );
    }

    #[test]
    fn policies_share_their_steps() {
        let object = json!({"spec": {"list": vec![0; 1000]}});
        let facts = WorkloadFacts {
            object: &object,
            old_object: None,
            pod_spec: "/spec",
            request: None,
            namespace_object: None,
        };
        let rule = WorkloadRule {
            name: "r".to_owned(),
            expression: "object.spec.list.filter(x, x == 0).size() > 0".to_owned(),
            message: None,
            message_expression: None,
            field: None,
            fix: None,
        };
        let mut budget = StepBudget::default();
        let mut judged = || {
            let mut violations = Vec::new();
            judge(&BTreeMap::new(), &[], std::slice::from_ref(&rule), &facts, &mut budget, &mut violations);
            violations
        };
        assert_eq!(judged(), []);
        let last = (0..1000).find_map(|_| judged().pop()).unwrap();
        assert!(last.result == Outcome::Unknown && last.message.contains("of all policies"), "{last:?}");
    }

    #[test]
    fn variables_do_not_double_for_ever() {
        let object = json!({"spec": {"list": vec![0; 1000]}});
        let facts = WorkloadFacts {
            object: &object,
            old_object: None,
            pod_spec: "/spec",
            request: None,
            namespace_object: None,
        };
        let variables: Vec<Variable> = (0..64)
            .map(|number| Variable {
                name: format!("v{number}"),
                expression: match number {
                    0 => "object.spec.list".to_owned(),
                    _ => format!("variables.v{0} + variables.v{0}", number - 1),
                },
            })
            .collect();
        let rule = WorkloadRule {
            name: "r".to_owned(),
            expression: "size(variables.v63) > 0".to_owned(),
            message: None,
            message_expression: None,
            field: None,
            fix: None,
        };
        let mut violations = Vec::new();
        judge(&BTreeMap::new(), &variables, &[rule], &facts, &mut StepBudget::default(), &mut violations);
        assert_eq!(violations[0].result, Outcome::Unknown, "{violations:?}");
    }

    #[test]
    fn large_objects_are_not_walked_for_ever() {
        let containers: Vec<Value> = (0..2000).map(|number| json!({"name": number.to_string()})).collect();
        let object = json!({"spec": {"containers": containers}});
        let facts = WorkloadFacts {
            object: &object,
            old_object: None,
            pod_spec: "/spec",
            request: None,
            namespace_object: None,
        };
        let rule = |expression: &str| WorkloadRule {
            name: "r".to_owned(),
            expression: expression.to_owned(),
            message: None,
            message_expression: None,
            field: None,
            fix: None,
        };
        let outcomes = |expression: &str| {
            let mut violations = Vec::new();
            judge(&BTreeMap::new(), &[], &[rule(expression)], &facts, &mut StepBudget::default(), &mut violations);
            violations.into_iter().map(|one| one.message).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(outcomes("object.spec.containers.all(a, a.name != 'x')"), none);
        let twice = outcomes("object.spec.containers.all(a, object.spec.containers.exists_one(b, a.name == b.name))");
        assert!(twice[0].contains("too large"), "{twice:?}");
    }

    #[test]
    fn what_an_expression_brings_itself_is_not_walked_for_ever() {
        let outcome = |length: usize, expression: &str| {
            let object = json!({"l": vec![1; length], "t": "x".repeat(length)});
            let facts = WorkloadFacts {
                object: &object,
                old_object: None,
                pod_spec: "/spec",
                request: None,
                namespace_object: None,
            };
            let rule = WorkloadRule {
                name: "r".to_owned(),
                expression: expression.to_owned(),
                message: None,
                message_expression: None,
                field: None,
                fix: None,
            };
            let mut violations = Vec::new();
            judge(&BTreeMap::new(), &[], &[rule], &facts, &mut StepBudget::default(), &mut violations);
            violations.pop().map(|one| one.message)
        };
        let list = |entries: usize| format!("[{}]", vec!["1"; entries].join(","));
        let sum = |part: &str, parts: usize| vec![part; parts].join("+");
        let map = format!("{{{}}}", (0..60).map(|number| format!("{number}:0")).collect::<Vec<_>>().join(","));
        let hostile = [
            (1, format!("{map}.all(a,{map}.all(b,{map}.all(c,{map}.all(d,true))))")),
            (200, format!("({}).all(a, object.l.all(b, true))", sum("object.l", 20))),
            (1, format!("({0}).all(a, {1}.all(b, {1}.all(c, true)))", sum(&list(20), 30), list(20))),
            (300, format!("object.l.all(a, !({}).contains('y'))", sum("object.t", 5))),
        ];
        let is_refused = |said: Option<String>| said.is_some_and(|said| said.contains("steps"));
        let evaluated: Vec<_> = hostile.iter().filter(|(length, text)| !is_refused(outcome(*length, text))).collect();
        assert!(evaluated.is_empty(), "{evaluated:#?}");
        // What people write is not taken for that.
        for meant in ["object.l.all(a, a in [1, 2])", "(object.l + [1]).all(a, a > 0)", "('a' + object.t).size() > 0"] {
            assert_eq!(outcome(1000, meant), None, "{meant}");
        }
    }
}
