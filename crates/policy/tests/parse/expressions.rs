//! Expressions that are refused.

use expect_test::expect;
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
