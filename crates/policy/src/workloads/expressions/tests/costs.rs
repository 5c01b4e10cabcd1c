//! What expressions may cost: what is walked, copied and compared counts, and what people write is far from the bound.

use super::*;

#[track_caller]
fn takes_too_many_steps(object: &Value, hostile: &str) {
    let said = said(object, &[], hostile);
    assert!(said.as_ref().is_some_and(|said| said.contains("steps")), "{said:?} of {hostile}");
}

#[test]
fn what_is_copied_is_counted() {
    let object = json!({"l": vec![1; 100], "m": {"args": vec![1; 20_000]}, "e": [{"n": 1}, {"n": 2}]});
    let many = |part: &str| vec![part; 400].join(",");
    let keys = (0..300).map(|number| format!("{number}:object")).collect::<Vec<_>>().join(",");
    for hostile in [
        format!("size([{}]) > 0", many("object")),
        format!("size([{}]) > 0", many("object.m")),
        format!("size({{{keys}}}) > 0"),
        "object.l.map(x, object).size() > 0".to_owned(),
        "object.l.map(x, {1: object.m}).size() > 0".to_owned(),
        "object.l.map(x, true ? object.m : x).size() > 0".to_owned(),
        "object.l.map(x, object.l.map(y, x)).map(z, object.l.map(a, z)).size() > 0".to_owned(),
        "object.l.all(x, [object].all(y, true))".to_owned(),
        "object.l.all(x, object.m in [object.m])".to_owned(),
        format!("[1].map(x, [{}])[0].size() > 0", many("object.m")),
        // An error holds both sides, and what comes after `||` hides it.
        "object.l.all(x, object - 1 == 0 || true)".to_owned(),
        "object.l.all(x, 1 * object.m == 0 || true)".to_owned(),
        "object.l.all(x, object / object == 0 || true)".to_owned(),
        "object.l.all(x, object % 2 == 0 || true)".to_owned(),
        "object.l.all(x, object + 1 == 0 || true)".to_owned(),
        "object.l.all(x, 'a' + object.m == 'a' || true)".to_owned(),
        "object.l.all(x, object.m.args + 1 == 0 || true)".to_owned(),
        "object.l.all(x, 1 < object || true)".to_owned(),
        "object.l.all(x, x >= object.m.args || true)".to_owned(),
        "object.l.all(x, {1: 2}[object] == 1 || true)".to_owned(),
        "object.l.all(x, object.m.args[0.5] == 1 || true)".to_owned(),
        "object.l.all(x, object.m.args[double(x) / 2.0] == 1 || true)".to_owned(),
        "object.l.all(x, object in {1: 2} || true)".to_owned(),
    ] {
        takes_too_many_steps(&object, &hostile);
    }
    let object = json!({"l": vec![1; 100], "m": {"args": vec![1; 300]}, "e": [{"n": 1}, {"n": 2}]});
    for meant in [
        "object.e.map(x, x.n).size() == 2",
        "object.e.filter(x, x.n > 1).map(x, [x.n, x.n]).size() == 1",
        "[object.e[0].n, object.e[1].n] == [1, 2]",
        "{'first': object.e[0].n}['first'] == 1",
        "object.m.args.all(x, x == 1)",
        "object.m.args.all(x, x - 1 < 1 && x <= 1 && x + 1 == 2)",
        "object.m.args.all(x, x < object.m.args[0] + 1)",
        "object.l.all(x, object.m.args[x] == 1)",
    ] {
        assert_eq!(said(&object, &[], meant), None, "{meant}");
    }
    assert_eq!(said(&object, &["object.m.args", "variables.v0"], "size(variables.v1) > 1"), None);
}

/// A text is copied with the value that holds it: few values can be much.
#[test]
fn texts_that_are_copied_are_counted() {
    let texts: BTreeMap<String, String> = (0..500).map(|number| (number.to_string(), "x".repeat(4_000))).collect();
    let object = json!({"l": vec![1; 400], "t": texts});
    for hostile in [
        "object.l.map(x, object.t).size() > 0",
        "object.l.all(x, object.t == object.t)",
        "object.l.all(x, [object.t].all(y, true))",
        "object.l.all(x, object.t - 1 == 0 || true)",
    ] {
        takes_too_many_steps(&object, hostile);
    }
}

/// Texts that are taken apart and put together again, and sought in one another.
#[test]
fn what_is_made_of_texts_is_counted() {
    let uneven = [vec![String::new(); 400], vec!["a".repeat(200_000)]].concat();
    let object = json!({"l": vec![1; 500], "t": "a".repeat(200_000), "s": "a".repeat(100_000) + "b",
        "w": vec!["a".repeat(1_000); 200], "u": uneven});
    for hostile in [
        "object.t.indexOf(object.s) < 0",
        "object.t.lastIndexOf(object.s) < 0",
        "object.l.all(x, object.t.split('').size() > 0)",
        "object.l.map(x, object.t.split('')).size() > 0",
        "object.t.split('').map(x, object.t.split('')).size() > 0",
        "object.l.map(x, object.w.join(object.s)).size() > 0",
        "object.l.map(x, object.w.join('')).size() > 0",
        "object.t.split('').join(object.t).size() > 0",
        "object.l.map(x, object.t.upperAscii()).map(y, object.l.map(z, y)).size() > 0",
        "object.t.split('').map(x, object.w.join('')).join('').size() > 0",
        // One of many is long: what the others lack, it has.
        "object.u.all(x, x.indexOf(x) == 0)",
        "object.u.all(x, object.t.split('').size() > 0 && x.split('').map(y, y + y).size() >= 0)",
    ] {
        takes_too_many_steps(&object, hostile);
    }
    for meant in
        ["object.t.split('a').size() == 200001", "object.w.join(',').size() == 200199", "object.s.indexOf('b') > 0"]
    {
        assert_eq!(said(&object, &[], meant), None, "{meant}");
    }
}

/// What people write about a Pod of ordinary size takes a small part of what one policy may take.
#[test]
fn ordinary_rules_are_far_from_the_bound() {
    let container = json!({"name": "main", "image": "registry.example/team/app@sha256:0123456789abcdef",
        "args": vec!["--flag=value"; 20], "ports": [{"containerPort": 8080, "hostPort": 8080}],
        "env": vec![json!({"name": "NAME", "value": "some value of an ordinary length"}); 30],
        "resources": {"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": 1, "memory": "1Gi"}}});
    let object = json!({"metadata": {"name": "app", "namespace": "team", "labels": {"app": "app", "team": "team"},
        "annotations": {"last-applied": "x".repeat(10_000)}}, "spec": {"containers": vec![container; 5]}});
    let facts = facts_of(&object);
    let params = BTreeMap::from([("most".to_owned(), json!(4)), ("registry".to_owned(), json!("registry.example"))]);
    for expression in [
        "object.spec.containers.all(c, c.resources.limits.cpu <= params.most)",
        "object.spec.containers.all(c, c.image.startsWith(params.registry + '/'))",
        "object.spec.containers.all(c, c.ports.all(p, p.hostPort >= 1024 && p.hostPort <= 65535))",
        "object.spec.containers.all(c, c.resources.limits.cpu / c.resources.requests.cpu <= 2)",
        "object.metadata.labels.all(k, object.metadata.labels[k].size() <= 63)",
        "size(object.spec.containers) - 1 < params.most + 1",
        "variables.limits.all(l, l.cpu * 2 <= params.most)",
        "variables.limits.all(l, !quantity(l.memory).isGreaterThan(quantity('2Gi')))",
        "object.spec.containers.all(c, c.image.split('/')[0] == params.registry)",
        "object.spec.containers.all(c, c.image.lowerAscii().split('@')[1].indexOf('sha256:') == 0)",
        "object.spec.containers.map(c, c.name).join(', ').size() < 100",
    ] {
        let variables = vec![Variable {
            name: "limits".to_owned(),
            expression: "object.spec.containers.map(c, c.resources.limits)".to_owned(),
        }];
        let rules = vec![rule(expression); 5];
        let asked = WorkloadRules { params: params.clone(), variables, rules, ..WorkloadRules::default() };
        assert_eq!(WorkloadReview::new(facts).judge(&asked), [], "{expression}");
    }
}

/// What an expression gives is converted as a whole, and so it counts even where it is no answer.
#[test]
fn answers_are_counted() {
    let object = json!({"m": {"args": vec![1; 20_000]}});
    let facts = facts_of(&object);
    let asked = WorkloadRules { rules: vec![rule("object.m"); 1000], ..WorkloadRules::default() };
    let said = WorkloadReview::new(facts).judge(&asked);
    assert!(said[0].message.contains("gives a map"), "{:?}", said[0]);
    assert!(said[999].message.contains("steps"), "{:?}", said[999]);
}

/// The inputs are bound once: rules that look at one field of a large object do not copy it each.
#[test]
fn many_rules_share_what_they_look_at() {
    let object = json!({"metadata": {"name": "p"}, "l": vec![1; 20_000]});
    let facts = facts_of(&object);
    let variables = vec![Variable { name: "l".to_owned(), expression: "object.l".to_owned() }];
    let params = BTreeMap::from([("most".to_owned(), json!(vec![1; 20_000]))]);
    let text = "object.metadata.name.startsWith('p') && size(variables.l) > size(params.most) - 1";
    let asked = WorkloadRules { rules: vec![rule(text); 1000], variables, params, ..WorkloadRules::default() };
    assert_eq!(WorkloadReview::new(facts).judge(&asked), []);
}

#[test]
fn large_objects_are_not_walked_for_ever() {
    let containers: Vec<Value> = (0..2000).map(|number| json!({"name": number.to_string()})).collect();
    let object = json!({"spec": {"containers": containers}});
    let facts = facts_of(&object);
    let outcomes = |expression: &str| {
        let violations = WorkloadReview::new(facts).judge(&of_rule(rule(expression)));
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
        let facts = facts_of(&object);
        WorkloadReview::new(facts).judge(&of_rule(rule(expression))).pop().map(|one| one.message)
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
