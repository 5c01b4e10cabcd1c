//! What expressions about workloads say, and what they may not cost.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::WorkloadReview;

mod costs;

fn of_rule(rule: WorkloadRule) -> WorkloadRules {
    WorkloadRules { rules: vec![rule], ..WorkloadRules::default() }
}

#[test]
fn reading_expressions_and_objects_is_counted_too() {
    let expression = format!("'{}' == 'x' || true", "x".repeat(4000));
    let rule = WorkloadRule {
        name: "r".to_owned(),
        expression,
        message: None,
        message_expression: None,
        field: None,
        fix: None,
    };
    let small = json!({"spec": {}});
    let mut review = WorkloadReview::new(facts_of(&small));
    let many = WorkloadRules { rules: vec![rule.clone(); 30], ..WorkloadRules::default() };
    // Policies of so many rules each; what the expressions themselves take is far from the limit.
    let refused = (0..20).find_map(|_| review.judge(&many).pop()).unwrap();
    assert!(refused.message.contains("of all policies"), "{refused:?}");
    let large = json!({"spec": {"list": vec![0; 4_100_000]}});
    let refused = WorkloadReview::new(facts_of(&large)).judge(&of_rule(rule)).pop().unwrap();
    assert!(refused.result == Outcome::Unknown && refused.message.contains("of all policies"), "{refused:?}");
}

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
    let asked = WorkloadRules { params, variables: variables.into(), rules: vec![rule], ..WorkloadRules::default() };
    let violations = WorkloadReview::new(facts).judge(&asked);
    let said = violations.first().map_or_else(|| "true".to_owned(), |one| format!("{}: {}", one.result, one.message));
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
    check("variables.containers[0].image.split('/')[0] == 'registry.example'", expect!["true"]);
    check("variables.containers.map(c, c.name).join(', ') == 'a, b'", expect!["true"]);
    check("' Ab'.trim().lowerAscii() + 'c'.upperAscii() + 'xyz'.charAt(2) == 'abCz'", expect!["true"]);
}

#[test]
fn quantities_are_compared_as_amounts() {
    check(
        "variables.containers.all(c, !has(c.resources) || !quantity(c.resources.limits.memory).isGreaterThan(quantity('1024Mi')))",
        expect!["true"],
    );
    check("quantity(variables.containers[0].resources.limits.memory).isLessThan(quantity('1G'))", expect!["fail: no"]);
    check("quantity('1.5Gi') == quantity('1536Mi') && quantity('1') != quantity('1k')", expect!["true"]);
    check("quantity('500m').compareTo(quantity('0.5')) == 0 && sign(quantity('-1')) == -1", expect!["true"]);
    check("quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')", expect!["true"]);
    check("isQuantity('1Gi') && !isQuantity('1 Gi')", expect!["true"]);
    check("[quantity('1'), quantity('2')].exists(q, q == quantity('2000m'))", expect!["true"]);
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
        expect!["refused: it cannot be parsed: Syntax error: mismatched input '<EOF>' expecting expression (column 4)"],
    );
    check(
        "authorizer.group('apps').resource('deployments').check('get').allowed()",
        expect!["refused: there is no function `allowed`"],
    );
    check(
        "!has(variables.containers) || false",
        expect!["refused: a variable is always there: ask `has` for one of its fields"],
    );
    check("variables.later", expect!["refused: there is no variable `later` before this"]);
    check("quantity('1Gi').asInteger() == 1", expect!["refused: there is no function `asInteger`"]);
    check(
        "quantity('1 Gi').isGreaterThan(quantity('1Mi'))",
        expect!["unknown: the rule could not be evaluated: Error executing function 'quantity': `1 Gi` is none"],
    );
    check(
        "quantity('1Gi').add('1Gi') == quantity('2Gi')",
        expect![
            "unknown: the rule could not be evaluated: found no matching overload for 'add' applied to 'kubernetes.Quantity.(string)'"
        ],
    );
    check(
        "quantity(1) == quantity('1')",
        expect![
            "unknown: the rule could not be evaluated: found no matching overload for 'quantity' applied to '(int)'"
        ],
    );
    check(
        "object.metadata.name.split(1).size() > 0",
        expect![
            "unknown: the rule could not be evaluated: found no matching overload for 'split' applied to 'string.(int)'"
        ],
    );
    check(
        "object.metadata.name.matches(params.pattern)",
        expect!["refused: `matches` takes a literal of at most 256 bytes"],
    );
    check(
        "[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))",
        expect!["refused: more than 4 walks are inside one another"],
    );
    check("['a'].map(a, a + a + a + a + a + a).size() > 0", expect!["refused: more than 4 additions are inside walks"]);
}

/// As deep as expressions may be, on the stack of a test's thread, which is that of a worker.
#[test]
fn what_is_as_deep_as_can_be_is_evaluated() {
    check(&format!("{} > 0", vec!["1"; 31].join("+")), expect!["true"]);
    check(&format!("{} > 0", vec!["1"; 33].join("+")), expect!["refused: it is more than 32 levels deep"]);
    check(
        &format!("object{} == 1", ".a".repeat(30)),
        expect!["unknown: the rule could not be evaluated: No such key: a"],
    );
    // Walks take the most of the stack: with as much inside them as is not refused.
    let walks = |inner: &str| format!("[1].all(a, [1].all(b, {inner}))");
    let forms: [fn(usize) -> String; 3] = [
        |levels| format!("{} > 0", vec!["1"; levels].join("-") + "+" + &levels.to_string()),
        |levels| format!("{}true", "true ? true : ".repeat(levels)),
        |levels| format!("{}true{}", "!(false || ".repeat(2 * levels), ")".repeat(2 * levels)),
    ];
    for form in forms {
        let deepest = (1..32).rev().map(|levels| walks(&form(levels))).find(|text| problem(text, &[]).is_none());
        check(&deepest.unwrap(), expect!["true"]);
    }
}

#[test]
fn policies_share_their_steps() {
    let object = json!({"spec": {"list": vec![0; 1000]}});
    let facts = facts_of(&object);
    let rule = rule("object.spec.list.filter(x, x == 0).size() > 0");
    let mut review = WorkloadReview::new(facts);
    let asked = of_rule(rule);
    let mut judged = || review.judge(&asked);
    assert_eq!(judged(), []);
    let last = (0..1000).find_map(|_| judged().pop()).unwrap();
    assert!(last.result == Outcome::Unknown && last.message.contains("of all policies"), "{last:?}");
}

#[test]
fn variables_do_not_double_for_ever() {
    let object = json!({"spec": {"list": vec![0; 1000]}});
    let facts = facts_of(&object);
    let variables: Vec<Variable> = (0..64)
        .map(|number| Variable {
            name: format!("v{number}"),
            expression: match number {
                0 => "object.spec.list".to_owned(),
                _ => format!("variables.v{0} + variables.v{0}", number - 1),
            },
        })
        .collect();
    let rule = rule("size(variables.v63) > 0");
    let violations = WorkloadReview::new(facts).judge(&WorkloadRules { variables, ..of_rule(rule) });
    assert_eq!(violations[0].result, Outcome::Unknown, "{violations:?}");
}

fn facts_of(object: &Value) -> WorkloadFacts<'_> {
    WorkloadFacts { object, old_object: None, pod_spec: "/spec", request: None, namespace_object: None }
}

fn rule(expression: &str) -> WorkloadRule {
    WorkloadRule {
        name: "r".to_owned(),
        expression: expression.to_owned(),
        message: None,
        message_expression: None,
        field: None,
        fix: None,
    }
}

/// What is said of an object; none where all is well.
fn said(object: &Value, variables: &[&str], expression: &str) -> Option<String> {
    let facts = facts_of(object);
    let named =
        |(number, text): (usize, &&str)| Variable { name: format!("v{number}"), expression: (*text).to_owned() };
    let variables = variables.iter().enumerate().map(named).collect();
    let asked = WorkloadRules { variables, ..of_rule(rule(expression)) };
    WorkloadReview::new(facts).judge(&asked).pop().map(|one| one.message)
}

/// A name with a dot would hide the field of another variable, and of two with one name the first would stay where the
/// second cannot be evaluated.
#[test]
fn variables_have_names_of_their_own() {
    let named = |names: &[&str]| {
        let variable = |name: &&str| Variable { name: (*name).to_owned(), expression: "1".to_owned() };
        let asked = WorkloadRules { variables: names.iter().map(variable).collect(), ..of_rule(rule("true")) };
        let mut problems = Vec::new();
        crate::workloads::check(&asked, &mut problems);
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect::<Vec<_>>()
    };
    assert_eq!(named(&["a", "_b", "c1", "aB"]), Vec::<String>::new());
    for wrong in ["", "a.b", "1a", "a-b", " a", "é"] {
        let message = format!("spec.workloads.variables[0].name: `{wrong}` is no name of a variable");
        assert_eq!(named(&[wrong]), [message]);
    }
    assert_eq!(named(&["a", "b", "a"]), ["spec.workloads.variables[2].name: there is a variable `a` before this"]);
}

/// Else whoever makes the object too large for a variable would pass what asks whether it is there.
#[test]
fn a_variable_that_cannot_be_evaluated_is_no_absent_field() {
    let object = json!({"l": vec![1; 3_000], "m": {}});
    for expression in ["!has(variables.v0.x) || false", "variables.v0 == null || false"] {
        for variable in ["object.l.all(a, object.l.all(b, true)) ? object : object", "object.nothing"] {
            let said = said(&object, &[variable], expression);
            assert!(said.as_ref().is_some_and(|said| said.contains("not be evaluated")), "{said:?} of {expression}");
        }
    }
    assert_eq!(said(&object, &["object.m"], "!has(variables.v0.x) || false"), None);
}

/// A value within a value within a value: each variable adds the levels of its expression to those of the one before.
#[test]
fn values_do_not_get_deeper_for_ever() {
    let nested = |number: usize| format!("{}variables.v{}{}", "[".repeat(20), number - 1, "]".repeat(20));
    let texts: Vec<String> =
        (0..400).map(|number| if number == 0 { "[1]".to_owned() } else { nested(number) }).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let object = json!({});
    assert_eq!(said(&object, &texts, "size(variables.v3) == 1"), None);
    let deep = said(&object, &texts, "size(variables.v4) == 1").unwrap();
    assert!(deep.contains("No such key: v4"), "{deep}");
    let deepest = said(&object, &texts, "size(variables.v399) == 1").unwrap();
    assert!(deepest.contains("No such key: v399"), "{deepest}");
    let mut problems = Vec::new();
    let variable = |number| Variable { name: format!("v{number}"), expression: "1".to_owned() };
    let variables =
        |count: usize| WorkloadRules { variables: (0..count).map(variable).collect(), ..of_rule(rule("true")) };
    crate::workloads::check(&variables(64), &mut problems);
    assert_eq!(problems, []);
    crate::workloads::check(&variables(65), &mut problems);
    assert_eq!(problems[0].message, "more than 64 variables");
}
