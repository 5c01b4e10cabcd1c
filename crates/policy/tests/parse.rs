//! What a policy file may say, and what is said of one that is wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use portcullis_errors::Hint as _;
use portcullis_model::Timestamp;
use portcullis_policy::{ExitStatus, MAX_POLICY_BYTES, Policy, Vouching};
use proptest::prelude::*;

const HEAD: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: baseline}\n";

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn check(spec: &str, expected: Expect) {
    check_file(&format!("{HEAD}{spec}"), expected);
}

fn check_file(text: &str, expected: Expect) {
    let mut said = String::new();
    match Policy::parse(text, "p.yaml", now()) {
        Ok(policies) => policies.iter().for_each(|policy| writeln!(said, "{}", policy.canonical_json()).unwrap()),
        Err(error) => {
            writeln!(said, "{error}").unwrap();
            if let Some(hint) = error.hint() {
                writeln!(said, "hint: {hint}").unwrap();
            }
        }
    }
    expected.assert_eq(&said);
}

#[test]
fn every_field_reads() {
    let text = r#"# comment
apiVersion: portcullis.dev/v1alpha1
kind: ClusterImagePolicy
metadata:
  name: baseline
  labels: {team: a}
spec:
  mode: audit
  images: ["registry.example/team/**", localhost:5000/*]
  evidence:
    authorities:
      - key: |
          -----BEGIN PUBLIC KEY-----
          AAAA
          -----END PUBLIC KEY-----
      - key: keys/ci.pub
      - identity: https://github.com/team/app/.github/workflows/*@refs/heads/main
        issuer: https://token.actions.githubusercontent.com
    require: [vulnerabilities, sbom]
    maxAge: 24h
    verifiers: [https://portcullis.dev/cli]
    policies: ["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]
  vulnerabilities: {failOn: high, onlyFixed: true, graceDays: 14, kev: deny, epssAbove: 0.5, unrated: medium, maxDatabaseAge: 7d, endOfLife: deny}
  secrets: deny
  licenses: {deny: [AGPL-3.0-only], undeclared: audit}
  unknown: audit
  exceptions:
    - {id: CVE-2026-1, package: openssl, reason: not reachable, owner: a@example.com, expires: 2026-12-01}
"#;
    check_file(
        text,
        expect![[r#"
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"evidence":{"authorities":[{"key":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},{"key":"keys/ci.pub"},{"identity":"https://github.com/team/app/.github/workflows/*@refs/heads/main","issuer":"https://token.actions.githubusercontent.com"}],"maxAge":"1d","policies":["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"],"require":["vulnerabilities","sbom"],"verifiers":["https://portcullis.dev/cli"]},"exceptions":[{"expires":"2026-12-01T00:00:00Z","id":"CVE-2026-1","owner":"a@example.com","package":"openssl","reason":"not reachable"}],"images":["registry.example/team/**","localhost:5000/*"],"licenses":{"deny":["AGPL-3.0-only"],"undeclared":"audit"},"mode":"audit","secrets":"deny","unknown":"audit","vulnerabilities":{"endOfLife":"deny","epssAbove":0.5,"failOn":"high","graceDays":14,"kev":"deny","maxDatabaseAge":"7d","onlyFixed":true,"unrated":"medium"}}}
    "#]],
    );
    let policy = Policy::parse(text, "p.yaml", now()).unwrap().remove(0);
    let evidence = policy.spec.evidence.as_ref().unwrap();
    let kinds: Vec<_> = evidence.authorities.iter().map(|authority| authority.vouching().unwrap()).collect();
    assert!(matches!(kinds[..], [Vouching::InlineKey(_), Vouching::KeyFile("keys/ci.pub"), Vouching::Identity { .. }]));
    // What is written down reads back the same.
    let again = serde_saphyr::to_string(&policy.document()).unwrap();
    assert_eq!(Policy::parse(&again, "again", now()).unwrap(), [policy]);
}

#[test]
fn order_and_layout_do_not_change_the_digest() {
    let digest = |text: &str| Policy::parse(text, "p", now()).unwrap()[0].digest();
    let short = format!("{HEAD}spec: {{vulnerabilities: {{failOn: high, onlyFixed: true}}, unknown: audit}}\n");
    let long = "spec:\n  unknown: audit # said\n  vulnerabilities:\n    onlyFixed: true\n    failOn: high\n";
    assert_eq!(digest(&short), digest(&format!("{long}{HEAD}")));
}

#[test]
fn several_documents() {
    check_file(
        &format!("---\n{HEAD}spec: {{}}\n---\n{}spec: {{unknown: audit}}\n", HEAD.replace("baseline", "b")),
        expect![[r#"
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","unknown":"deny"}}
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","unknown":"audit"}}
    "#]],
    );
    check_file(
        &format!("{HEAD}spec: {{}}\n---\n{HEAD}spec: {{}}\n"),
        expect![[r#"
        p.yaml:8: a second ImagePolicy `baseline`
        hint: rename one of them
    "#]],
    );
    check_file(
        "",
        expect![[r#"
        p.yaml: no policy in it
        hint: a policy starts with `apiVersion: portcullis.dev/v1alpha1`; see docs/policy.md
    "#]],
    );
    check_file(
        "# nothing\n",
        expect![[r#"
        p.yaml: no policy in it
        hint: a policy starts with `apiVersion: portcullis.dev/v1alpha1`; see docs/policy.md
    "#]],
    );
}

#[test]
fn unknown_fields_and_values() {
    check(
        "spec:\n  vulnerabilities:\n    failon: high\n",
        expect![[r#"
        p.yaml:6: unknown field `failon`
        hint: did you mean `failOn`?
    "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    failOn: higher\n",
        expect![[r#"
        p.yaml:6: unknown value `higher`
        hint: did you mean `high`?
    "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    failOn: unknown\n",
        expect![[r#"
        p.yaml:6: unknown value `unknown`
        hint: there are `none`, `low`, `medium`, `high` and `critical`
    "#]],
    );
    check(
        "spec:\n  frobnicate: 1\n",
        expect![[r#"
            p.yaml:5: unknown field `frobnicate`
            hint: there are `mode`, `images`, `namespaceSelector`, `evidence`, `vulnerabilities`, `secrets`, `licenses`, `workloads`, `unknown`, `exceptions` and `rules`
        "#]],
    );
    check(
        "spec:\n  mode: [enforce]\n",
        expect![[r#"
            p.yaml:5: one word is expected here
        "#]],
    );
    check(
        "spec:\n  exceptions: [{id: CVE-1, owner: me}]\n",
        expect![[r#"
        p.yaml:5: `reason` is missing
    "#]],
    );
    check(
        "spec: {unknown: deny, unknown: audit}\n",
        expect![[r#"
        p.yaml:4: duplicate mapping key `unknown` is not allowed here
    "#]],
    );
    check(
        "spec: {}\nspec: {}\n",
        expect![[r#"
        p.yaml:5: duplicate mapping key `spec` is not allowed here
    "#]],
    );
    check(
        "",
        expect![[r#"
        p.yaml:3: `spec` is missing
    "#]],
    );
    check_file(
        "apiVersion: v1\nkind: ConfigMap\n",
        expect![[r#"
        p.yaml:1: unknown value `v1`
        hint: there is only `portcullis.dev/v1alpha1`
    "#]],
    );
    check_file(
        &HEAD.replace("ImagePolicy", "ImagePolice"),
        expect![[r#"
        p.yaml:2: unknown value `ImagePolice`
        hint: did you mean `ImagePolicy`?
    "#]],
    );
    check_file(
        &HEAD.replace("v1alpha1", "v1"),
        expect![[r#"
        p.yaml:1: unknown value `portcullis.dev/v1`
        hint: there is only `portcullis.dev/v1alpha1`
    "#]],
    );
    check_file(
        "[]",
        expect![[r#"
            p.yaml:1: fields are expected here (`name: value`)
        "#]],
    );
    check_file(
        "a: b: c",
        expect![[r#"
        p.yaml:1: unknown field `a`
        hint: there are `apiVersion`, `kind`, `metadata` and `spec`
    "#]],
    );
    check_file(
        "{",
        expect![[r#"
        p.yaml:1: unclosed bracket '{'
    "#]],
    );
}

#[test]
fn expired_exceptions_are_refused_with_their_line() {
    let spec = "spec:
  exceptions:
    - {id: CVE-1, reason: r, owner: o, expires: 2027-01-01}
    - id: CVE-2
      reason: r
      owner: o
      expires: 2026-11-25
";
    check(
        spec,
        expect![[r#"
        p.yaml:10: the exception for CVE-2 has expired: 2026-11-25T00:00:00Z
        hint: remove it, or look at it again and give it a new date
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-2, reason: r, owner: o, expires: soon}\n",
        expect![[r#"
        p.yaml:6: `soon` is not a time as RFC 3339 writes it, such as 2026-11-25T12:00:00Z
    "#]],
    );
}

#[test]
fn exceptions_name_one_thing_and_say_why() {
    check(
        "spec:\n  exceptions:\n  - {id: '*', reason: r, owner: o}\n",
        expect![[r#"
        p.yaml:6: `*` is not an id
        hint: name one vulnerability, such as CVE-2026-1234: an exception is for what somebody looked at
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, package: '', reason: r, owner: o}\n",
        expect![[r#"
        p.yaml:6: a package without a name
        hint: name a package (`openssl`, `pkg:deb/debian/openssl`), or leave `package` out for any
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, reason: ' ', owner: o}\n",
        expect![[r#"
        p.yaml:6: an exception without a reason
        hint: say why it is accepted: whoever reads the report will ask
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, reason: r, owner: ''}\n",
        expect![[r#"
        p.yaml:6: an exception without an owner
        hint: say who accepted it
    "#]],
    );
}

#[test]
fn patterns_that_match_nothing() {
    for (pattern, expected) in [
        (
            "nginx",
            expect![[r#"
            p.yaml:7: `nginx` names no registry
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "team/app",
            expect![[r#"
            p.yaml:7: `team/app` names no registry
            hint: write `docker.io/team/app`
        "#]],
        ),
        (
            "docker.io/nginx",
            expect![[r#"
            p.yaml:7: `docker.io/nginx` matches nothing: official images are under `library/`
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "index.docker.io/library/nginx",
            expect![[r#"
            p.yaml:7: `index.docker.io` is not the canonical name
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "registry.example/team/app:1.2",
            expect![[r#"
            p.yaml:7: `registry.example/team/app:1.2` names a tag or digest: patterns are of repositories
            hint: write `registry.example/team/app`
        "#]],
        ),
        (
            "registry.example:5000/app@sha256:00",
            expect![[r#"
            p.yaml:7: `registry.example:5000/app@sha256:00` names a tag or digest: patterns are of repositories
            hint: write `registry.example:5000/app`
        "#]],
        ),
        (
            "registry.example/Team/*",
            expect![[r#"
            p.yaml:7: `registry.example/Team/*` matches nothing: names are in lower case
            hint: write `registry.example/team/*`
        "#]],
        ),
        (
            "registry.example/team/",
            expect![[r#"
            p.yaml:7: `registry.example/team/` holds an empty segment
            hint: write `registry.example/team/**` for all that is under `team`
        "#]],
        ),
        (
            "registry.example/a b",
            expect![[r#"
            p.yaml:7: `registry.example/a b` is not a pattern: it holds a space or a control character
        "#]],
        ),
        (
            "a***",
            expect![[r#"
            p.yaml:7: `a***` is not a pattern: `***` means nothing: `*` stays inside a segment, `**` crosses slashes
        "#]],
        ),
    ] {
        check(&format!("spec:\n  images:\n  - '**'\n  - '{pattern}'\n"), expected);
    }
    check(
        "spec:\n  images: []\n",
        expect![[r#"
        p.yaml:5: an empty list speaks of no image at all
        hint: leave `images` out to speak of every image, or name some: ["registry.example/team/**"]
    "#]],
    );
}

#[test]
fn other_refusals() {
    check(
        "spec:\n  vulnerabilities: {epssAbove: 50}\n",
        expect![[r#"
        p.yaml:5: 50 is not an EPSS score
        hint: EPSS scores are probabilities from 0.0 to 1.0: write 0.5 for 50 %
    "#]],
    );
    check(
        "spec:\n  vulnerabilities: {epssAbove: .nan}\n",
        expect![[r#"
            p.yaml:5: NaN is not an EPSS score
            hint: EPSS scores are probabilities from 0.0 to 1.0: write 0.5 for 50 %
        "#]],
    );
    check(
        "spec:\n  vulnerabilities: {graceDays: -1}\n",
        expect![[r#"
            p.yaml:5: not a value of the right kind
        "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    maxDatabaseAge: 7 days\n",
        expect![[r#"
        p.yaml:6: `7 days` is not a length of time such as 30m, 24h, 7d or 1d12h
    "#]],
    );
    check(
        "spec:\n  licenses: {deny: ['GPL v3']}\n",
        expect![[r#"
        p.yaml:5: `GPL v3` is not an SPDX id
        hint: name one SPDX id an entry, such as AGPL-3.0-only
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: []}\n",
        expect![[r#"
        p.yaml:5: nobody may vouch: the list is empty
        hint: name a `key`, or an `identity` with its `issuer`
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{identity: a@b.c}]}\n",
        expect![[r#"
        p.yaml:5: an identity without the issuer that vouches for it
        hint: add `issuer`, such as https://token.actions.githubusercontent.com
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{issuer: 'https://a'}]}\n",
        expect![[r#"
        p.yaml:5: an issuer without an identity would trust everyone it knows
        hint: add `identity`
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{key: k, issuer: 'https://a'}]}\n",
        expect![[r#"
        p.yaml:5: both a key and an identity
        hint: make two authorities of it: one of them is enough
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{}]}\n",
        expect![[r#"
        p.yaml:5: an authority that names nobody
        hint: name a `key`, or an `identity` with its `issuer`
    "#]],
    );
}

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

#[test]
fn bombs_are_refused_quickly() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in ('b'..='k').zip('a'..) {
        writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 10].join(",")).unwrap();
    }
    let started = std::time::Instant::now();
    for text in [
        bomb.clone(),
        format!("{HEAD}spec: {{}}\nx: &x [*x]\n{bomb}"),
        "[".repeat(100_000),
        "a:\n ".repeat(10_000),
        format!("{HEAD}spec: {}", "{exceptions: [".repeat(1_000)),
        "a".repeat(MAX_POLICY_BYTES + 1),
        "---\n".repeat(100_000),
        "&a ".repeat(10_000),
        "? ".repeat(10_000),
        "- ".repeat(10_000),
    ] {
        let error = Policy::parse(&text, "p.yaml", now()).unwrap_err();
        assert!(error.to_string().len() < 1_000, "{error}");
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(.|\n|: |- |spec|\\*|&|\\[|\\{){0,200}") {
        let _ = Policy::parse(&text, "p.yaml", now());
    }

    #[test]
    fn any_expression_is_answered(expression in "(findings|packages|gaps|\\.exists\\(f, |\\.map\\(|f\\.|\\)|\\[|\\]|\\{|\\}|==|&&|\\?|:|1|'a'|.){0,30}") {
        let spec = serde_json::json!({"rules": [{"name": "r", "expression": expression}]});
        let _ = Policy::parse(&format!("{HEAD}spec: {spec}"), "p.yaml", now());
    }

    #[test]
    fn any_spec_is_answered(spec in "(.|\n|: |- |vulnerabilities|failOn|high|images|exceptions|\\*|&|\\[|\\{|\\}){0,120}") {
        let _ = Policy::parse(&format!("{HEAD}spec: {{{spec}}}"), "p.yaml", now());
        let _ = Policy::parse(&format!("{HEAD}spec:\n  {spec}"), "p.yaml", now());
    }
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes: Vec<_> = ExitStatus::ALL.iter().map(|status| status.code()).collect();
    assert_eq!(codes, [0, 1, 2, 42, 43, 44]);
}
