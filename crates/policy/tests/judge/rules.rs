//! Rules in the policy's own words.

use expect_test::{Expect, expect};
use portcullis_model::Outcome;
use portcullis_policy::Policy;
use proptest::prelude::*;

use crate::support::{Image, finding, now, policy};

#[test]
fn expressions() {
    let image = Image::with(&["CVE-1 high fixed kev package=zlib", "CVE-2 low affected epss=0.3 alias=GHSA-1"]);
    let check = |expression: &str, expected: Expect| {
        let message = "message: 'not so'";
        image.check(&format!("rules: [{{name: mine, expression: \"{expression}\", {message}}}]"), expected);
    };
    check(
        "!findings.exists(f, f.kev)",
        expect![[r#"
        fail
        - fail rules.mine: not so
    "#]],
    );
    check(
        "findings.all(f, f.severity != 'critical' && f.epss < 0.5)",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "size(findings.filter(f, f.package.name == 'zlib')) == 1",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "findings.exists(f, f.aliases.exists(a, a == 'GHSA-1')) ? gaps > 0 : true",
        expect![[r#"
        fail
        - fail rules.mine: not so
    "#]],
    );
    check(
        "findings.exists(f, 'GHSA-1' in f.aliases)",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "[gaps][0]",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: it gives a int in place of true or false
    "#]],
    );
    check(
        "findings.all(f, f.nonsense == 1)",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: No such key: nonsense
    "#]],
    );
    check(
        "packages.all(p, p.name.startsWith('x')) && !starterDatabase",
        expect![[r#"
        pass
    "#]],
    );
    for expression in [
        "size(packages) >= 0",
        "findings.size() < 5 && 5 > findings.size()",
        "size(findings) > 5 ? false : true",
        "findings.size() - 2 == -size([])",
        "findings.filter(f, f.kev).size() <= size(findings) / 2",
    ] {
        check(
            expression,
            expect![[r#"
            pass
        "#]],
        );
    }
    check(
        "1 / 0 == 1",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: Division by zero of Int(1)
    "#]],
    );
}

#[test]
fn expressions_take_linear_time() {
    let mut image = Image::with(&[]);
    image.findings = (0..20_000).map(|number| finding(&format!("CVE-{number} high fixed"))).collect();
    let started = std::time::Instant::now();
    let walks = ["findings.all(f, f.severity == 'high' && !f.kev)"; 8].join(" && ");
    let judgement = image.judge(&policy(&format!("rules: [{{name: mine, expression: \"{walks}\"}}]")));
    assert_eq!(judgement.result, Outcome::Pass);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn texts_do_not_double_from_walk_to_walk() {
    let doubling = format!("size(['a']{}) == 1", ".map(x, x + x)".repeat(5));
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: t}}\n\
         spec: {{rules: [{{name: r, expression: \"{doubling}\"}}]}}\n"
    );
    let error = Policy::parse(&text, "t", now()).unwrap_err().to_string();
    assert!(error.contains("more than 4 additions are inside walks"), "{error}");
}

proptest! {
    #[test]
    fn any_expression_that_is_taken_can_be_evaluated(
        expression in "(!|size\\(|\\()?(findings|packages|gaps|starterDatabase|1|'a'|\\[1, 2\\])(\\.(exists|all|map|filter)\\(x, (x\\.kev|x\\.name|x|x == 1|x\\.epss > 0\\.1|x / 0 == 1)\\)|\\[0\\]|\\[-9\\])?( (\\+|-|\\*|/|%|==|<|in|&&|\\|\\|) (1|0|gaps|findings|'b'|9223372036854775807|\\{'a': 1\\}))?\\)?"
    ) {
        let spec = serde_json::json!({"rules": [{"name": "r", "expression": expression}]}).to_string();
        let text = format!("apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: t}}\nspec: {spec}\n");
        if let Ok(policies) = Policy::parse(&text, "t", now()) {
            Image::with(&["CVE-1 high fixed kev", "CVE-2 low affected epss=0.3"]).judge(&policies[0]);
        }
    }
}
