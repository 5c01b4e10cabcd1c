//! What cases say of a policy.

use super::*;

const POLICY: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: baseline}\nspec:\n  \
    images: [registry.example/team/**]\n  vulnerabilities: {failOn: high, kev: deny, maxDatabaseAge: 7d}\n  \
    licenses: {deny: [AGPL-3.0-only]}\n  evidence: {authorities: [{key: a.pub}], maxAge: 24h, require: [sbom]}\n";

fn tried(case: &str) -> Result<Tried, CaseError> {
    let now = Timestamp::from_unix(1_800_000_000);
    let policies = Policy::parse(POLICY, "policy.yaml", now).unwrap();
    let cases = Cases::parse(&format!("cases:\n  - {case}\n"), "cases.yaml").unwrap();
    cases.cases[0].try_with(&policies, |path| Err(format!("there is no {path}")), now)
}

#[test]
fn a_case_that_is_met_says_nothing_and_one_that_is_not_says_what() {
    for (case, failure) in [
        ("{name: a, expect: pass}", None),
        ("{name: a, findings: [{id: CVE-2026-1, severity: medium}], expect: pass}", None),
        (
            "{name: a, findings: [{id: CVE-2026-1, severity: high}], expect: fail, because: [vulnerabilities.failOn]}",
            None,
        ),
        (
            "{name: a, findings: [{id: CVE-2026-1, severity: low, kev: true}], expect: fail, because: [vulnerabilities.kev]}",
            None,
        ),
        ("{name: a, findings: [{id: CVE-2026-1, severity: high}], expect: pass}", Some("expected pass, is fail")),
        (
            "{name: a, findings: [{id: CVE-2026-1, severity: high}], expect: fail, because: [licenses]}",
            Some("fail as expected, but not because of `licenses`"),
        ),
        ("{name: a, packages: [{name: x, licenses: [AGPL-3.0-only]}], expect: fail, because: [licenses.deny]}", None),
        ("{name: a, gaps: [usr/lib], expect: unknown, because: [inventory]}", None),
        ("{name: a, databaseAge: 8d, expect: unknown}", None),
        ("{name: a, uncoveredDistribution: true, expect: unknown}", None),
        ("{name: a, evidence: [{result: PASSED, age: 2h}], expect: pass}", None),
        ("{name: a, evidence: [{result: PASSED, age: 25h}], expect: fail, because: [evidence.maxAge]}", None),
        ("{name: a, evidence: [{result: PASSED}], statements: [], expect: fail, because: [evidence.require]}", None),
        ("{name: a, evidence: [{result: FAILED}], expect: fail}", None),
        ("{name: a, evidence: [], expect: fail, because: [evidence]}", None),
        ("{name: a, evidence: [{result: PASSED, authority: 2}], expect: fail}", None),
        ("{name: a, evidence: [{result: PASSED, authority: 0}], expect: fail}", None),
        ("{name: a, image: registry.example/team/app, expect: pass}", None),
        (
            "{name: a, image: registry.example/other/app, expect: pass}",
            Some("the policy does not speak of registry.example/other/app"),
        ),
    ] {
        assert_eq!(tried(case).unwrap().failure.as_deref(), failure, "{case}");
    }
}

#[test]
fn a_case_that_cannot_be_tried_is_an_error() {
    assert_eq!(
        tried("{name: a, report: old.json, expect: pass}").unwrap_err().to_string(),
        "case `a`: there is no old.json"
    );
    assert_eq!(tried("{name: a, policy: other, expect: pass}").unwrap_err(), CaseError::Policy { case: "a".into() });
    for (field, more) in [
        ("findings", "report: old.json, findings: [{id: CVE-2026-1, severity: high}]"),
        ("packages", "report: old.json, packages: [{name: x}]"),
        ("gaps", "report: old.json, gaps: [usr/lib]"),
        ("databaseAge", "report: old.json, databaseAge: 8d"),
        ("uncoveredDistribution", "report: old.json, uncoveredDistribution: true"),
        ("statements", "statements: [sbom]"),
    ] {
        let error = tried(&format!("{{name: a, {more}, expect: pass}}")).unwrap_err();
        assert!(matches!(&error, CaseError::Unused { field: named, .. } if *named == field), "{field}: {error}");
        assert!(error.to_string().starts_with(&format!("case `a`: `{field}` stands ")), "{error}");
    }
    let error = Cases::parse("cases:\n  - {name: a, expects: pass}\n", "cases.yaml").unwrap_err();
    assert_eq!(error.to_string(), "cases.yaml:2: unknown field `expects`");
    assert!(error.hint.unwrap().contains("expect"));
}
