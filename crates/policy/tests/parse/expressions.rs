//! Expressions that are refused.

use expect_test::expect;
use portcullis_errors::Hint as _;
use portcullis_policy::Policy;

use crate::{HEAD, check, now};

#[test]
fn expressions_that_are_refused() {
    for (expression, expected) in [
        (
            "findings.exists(f, f.kev",
            expect![[r#"
                p.yaml:7: rule `r`: it cannot be parsed: Syntax error: mismatched input <EOF> expecting ')' (column 25)
                hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
            "#]],
        ),
        (
            "",
            expect![[r#"
                p.yaml:7: rule `r`: it cannot be parsed: Syntax error: mismatched input '<EOF>' expecting expression (column 1)
                hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
            "#]],
        ),
        (
            "finding.kev",
            expect![[r#"
            p.yaml:7: rule `r`: there is no `finding`; there are `findings`, `packages`, `gaps`, `starterDatabase`
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "findings.all(f, f.title.matches('x'))",
            expect![[r#"
            p.yaml:7: rule `r`: there is no function `matches`
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "findings.all(f, findings.all(g, f.id == g.id))",
            expect![[r#"
            p.yaml:7: rule `r`: `findings` may be walked on its own, not inside another list or walk
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "[findings].all(f, f.all(g, f.all(h, true)))",
            expect![[r#"
            p.yaml:7: rule `r`: `findings` may be walked on its own, not inside another list or walk
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "packages.all(packages, true)",
            expect![[r#"
            p.yaml:7: rule `r`: `packages` is a name already
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))",
            expect![[r#"
            p.yaml:7: rule `r`: more than 3 walks are inside one another
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
        (
            "Type{a: 1}.a",
            expect![[r#"
            p.yaml:7: rule `r`: there are no types of one's own
            hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
        "#]],
        ),
    ] {
        check(&format!("spec:\n  rules:\n  - name: r\n    expression: \"{expression}\"\n"), expected);
    }
    for expression in ["1", "'a'", "gaps", "findings", "size(findings)", "findings.filter(f, f.kev)", "gaps + 1"] {
        let text = format!("{HEAD}spec: {{rules: [{{name: r, expression: \"{expression}\"}}]}}\n");
        let refused = Policy::parse(&text, "p.yaml", now()).unwrap_err().to_string();
        assert!(refused.ends_with(", and is never true or false"), "{refused}");
        let text = format!("{HEAD}spec: {{workloads: {{rules: [{{name: r, expression: \"{expression}\"}}]}}}}\n");
        assert!(Policy::parse(&text, "p.yaml", now()).is_err(), "{expression}");
    }
    // Inside a walk, even a size would be counted once for each entry.
    for expression in ["findings.all(f, size(packages) > 1)", "size([findings]) > 0", "findings - 1 > 0"] {
        let text = format!("{HEAD}spec: {{rules: [{{name: r, expression: \"{expression}\"}}]}}\n");
        let refused = Policy::parse(&text, "p.yaml", now()).unwrap_err().to_string();
        assert!(refused.contains("may be walked on its own"), "{refused}");
    }
    check(
        &format!("spec:\n  rules: [{{name: r, expression: \"{}true\"}}]\n", "true && ".repeat(400)),
        expect![[r#"
        p.yaml:5: rule `r`: it has more than 500 parts
        hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
    "#]],
    );
    check(
        &format!("spec:\n  rules: [{{name: r, expression: \"{}\"}}]\n", "(".repeat(4_000)),
        expect![[r#"
        p.yaml:5: rule `r`: it cannot be parsed: expression recursion limit exceeded: 48 (column 0)
        hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
    "#]],
    );
    check(
        &format!("spec:\n  rules: [{{name: r, expression: \"{}\"}}]\n", "1".repeat(5_000)),
        expect![[r#"
        p.yaml:5: rule `r`: an expression of 5000 bytes; the limit is 4096
        hint: it is CEL, true where the image is acceptable: `!findings.exists(f, f.kev)`; see docs/policy.md
    "#]],
    );
    for deep in ["[", "{1:", "!", "-", "1+", "a.", "a[", "f(", "a?b:", "a?", "[1].all(x,", "1<", "a in ", "has(a.b)&&"]
    {
        let text =
            format!("{HEAD}spec: {{rules: [{{name: r, expression: \"{}1\"}}]}}\n", deep.repeat(4_000 / deep.len()));
        // Signs before a number cancel out; everything else is too deep.
        let is_refused = Policy::parse(&text, "p.yaml", now()).is_err();
        assert!(is_refused || matches!(deep, "!" | "-"), "{deep}");
    }
    check(
        "spec:\n  rules: [{name: ' ', expression: 'true'}]\n",
        expect![[r#"
        p.yaml:5: a rule without a name
        hint: reasons call it by its name
    "#]],
    );
}

#[test]
fn what_only_kubernetes_has_is_refused_when_the_policy_is_read() {
    for (expression, name) in [
        ("authorizer.group('apps').resource('deployments').check('get').allowed()", "authorizer"),
        ("authorizer.requestResource.check('get').errored()", "authorizer"),
        ("authorizer.serviceAccount('a', 'b').path('/healthz').check('get').reason() == ''", "authorizer"),
        ("url(object.a).getHost() == 'example.com'", "url"),
        ("isURL(object.a)", "isURL"),
        ("ip(object.a).family() == 4", "ip"),
        ("ip.isCanonical(object.a)", "ip"),
        ("isIP(object.a)", "isIP"),
        ("cidr('10.0.0.0/8').containsIP(object.a)", "cidr"),
        ("cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))", "cidr"),
        ("isCIDR(object.a)", "isCIDR"),
        ("semver(object.a).isLessThan(semver('1.2.3'))", "semver"),
        ("isSemver(object.a)", "isSemver"),
        ("'%s'.format([object.a]) == ''", "format"),
        ("!format.dns1123Label().validate(object.a).hasValue()", "format"),
        ("!format.named('dns1123Label').value().validate(object.a).hasValue()", "format"),
        ("optional.of(1).orValue(2) == 1", "optional"),
        ("object.?a.orValue(1) == 1", "optional"),
        ("object.a[?0].hasValue()", "optional"),
        ("object.a.find('[0-9]+') == ''", "find"),
        ("object.a.replace('a', 'b') == ''", "replace"),
        ("object.a.isSorted()", "isSorted"),
        ("sets.contains([1], [1])", "sets"),
        ("math.greatest(1, 2) == 2", "math"),
        ("duration('1h') > duration('1m')", "duration"),
    ] {
        for place in [
            "variables: [{name: v, expression: \"@\"}]\n    rules: [{name: r, expression: 'true'}]",
            "rules: [{name: r, expression: \"@\"}]",
            "rules: [{name: r, expression: 'true', messageExpression: \"@\"}]",
        ] {
            let text = format!("{HEAD}spec:\n  workloads:\n    {}\n", place.replace('@', expression));
            let error = Policy::parse(&text, "p.yaml", now()).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("p.yaml:6: ") && said.contains(&format!("there is no `{name}` in")), "{said}");
            let hint = error.hint().unwrap();
            assert!(hint.contains(" here"), "{expression}: {hint}");
        }
        let text = format!("{HEAD}spec:\n  rules:\n  - {{name: r, expression: \"{expression}\"}}\n");
        let said = Policy::parse(&text, "p.yaml", now()).unwrap_err().to_string();
        assert!(said.starts_with("p.yaml:6: ") && said.contains(&format!("there is no `{name}` in")), "{said}");
    }
}

#[test]
fn optional_values_are_refused_as_they_are_written() {
    check(
        "spec: {workloads: {rules: [{name: r, expression: \"object.?spec.orValue(1) == 1\"}]}}\n",
        expect![[r#"
            p.yaml:4: there is no `optional` in expressions here
            hint: there are no optional values here: use `has(…) ? … : …`
        "#]],
    );
    check(
        "spec: {workloads: {rules: [{name: r, expression: \"quantity('1Gi').asInteger() > 1\"}]}}\n",
        expect![[r#"
            p.yaml:4: there is no `asInteger` in expressions here
            hint: quantities do not become numbers here: use `isLessThan`, `isGreaterThan` or `compareTo`
        "#]],
    );
    // What rules about workloads have, those about images have not.
    for (expression, name) in [
        ("quantity('1Gi').isGreaterThan(quantity('1Mi'))", "quantity"),
        ("isQuantity(image.name)", "isQuantity"),
        ("image.name.split('/').size() > 1", "split"),
        ("image.name.lowerAscii() == ''", "lowerAscii"),
        ("true || quantity('1') == quantity('1')", "quantity"),
    ] {
        let text = format!("{HEAD}spec:\n  rules:\n  - {{name: r, expression: \"{expression}\"}}\n");
        let said = Policy::parse(&text, "p.yaml", now()).unwrap_err().to_string();
        assert!(said.starts_with("p.yaml:6: ") && said.contains(&format!("there is no `{name}` in")), "{said}");
    }
    // A name of the author's own is none that is missing.
    check(
        "spec: {workloads: {rules: [{name: r, expression: \"object.l.all(url, url.nothing(1))\"}]}}\n",
        expect![[r#"
            p.yaml:4: there is no function `nothing`
            hint: it is CEL, as in a ValidatingAdmissionPolicy: `object.spec.replicas <= params.most`; see docs/policy.md
        "#]],
    );
}

#[test]
fn what_is_deep_without_parentheses_is_refused_too() {
    for (start, more) in [("object", ".a"), ("1", "+1"), ("object", "[0]"), ("object", ".a()"), ("1", "==1")] {
        for places in ["rules: [{name: r, expression: '@'}]", "workloads: {rules: [{name: r, expression: '@'}]}"] {
            let deep = format!("{start}{}", more.repeat(4_000 / more.len()));
            let text = format!("{HEAD}spec: {{{}}}\n", places.replace('@', &deep));
            let said = Policy::parse(&text, "p.yaml", now()).unwrap_err().to_string();
            assert!(said.contains("more than 32 levels deep"), "{said}");
        }
    }
}
