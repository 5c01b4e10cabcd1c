//! Policies that are tried with their cases, and with scans that are recorded.

use portcullis_testkit::{ImageBuilder, Layer};

use crate::{outcome, portcullis};

const POLICY: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: baseline}\nspec:\n  \
                      vulnerabilities: {failOn: high}\n";

#[test]
fn cases_say_what_a_policy_is_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("baseline.yaml", POLICY);
    let run = |code| {
        let mut test = portcullis();
        outcome(test.current_dir(folder.path()).args(["policy", "test", "baseline.yaml"]), code)
    };
    assert!(run(1).1.contains("hint: cases for policy.yaml are in policy.test.yaml"));
    write("baseline.test.yaml", "cases: []\n");
    assert!(run(1).1.contains("there is no case in baseline.test.yaml"));
    let case = |expect: &str| {
        format!("cases:\n  - name: high\n    findings: [{{id: CVE-2026-1, severity: high}}]\n    expect: {expect}\n")
    };
    write("baseline.test.yaml", &case("fail"));
    assert_eq!(run(0).0, "baseline.yaml\n  ok      high\n1 cases, 0 failed\n");
    write("baseline.test.yaml", &case("pass"));
    assert!(run(1).0.contains("FAILED  high: expected pass, is fail"));
    write("baseline.test.yaml", &case("maybe"));
    assert!(run(1).1.contains("baseline.test.yaml:4: unknown value `maybe`"));
}

#[test]
fn recorded_scans_are_asked_of_another_policy() {
    let folder = tempfile::tempdir().unwrap();
    let lodash = r#"{"name": "lodash", "version": "4.17.15"}"#;
    let image = ImageBuilder::debian(12)
        .package("base-files", "12.4+deb12u5")
        .layer(Layer::new().file("app/node_modules/lodash/package.json", lodash))
        .build();
    image.write_oci_dir(&folder.path().join("layout")).unwrap();
    let mut scan = portcullis();
    scan.current_dir(folder.path()).args(["scan", "layout", "-q", "--fail-on", "none", "-o", "json=reports.json"]);
    outcome(&mut scan, 0);
    std::fs::write(folder.path().join("baseline.yaml"), POLICY).unwrap();
    std::fs::write(folder.path().join("lax.yaml"), POLICY.replace("high", "none")).unwrap();
    let backtest = |policy: &str, code| {
        let mut backtest = portcullis();
        outcome(backtest.current_dir(folder.path()).args(["policy", "backtest", policy, "reports.json"]), code).0
    };
    assert!(backtest("baseline.yaml", 42).contains("was pass, would be fail"));
    assert_eq!(backtest("lax.yaml", 0), "1 scans, 0 with another answer\n");
}

#[test]
fn policies_that_deny_nothing_and_exemptions_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let check = |spec: &str, more: &[&str]| {
        let head = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: lax}\n";
        std::fs::write(folder.path().join("p.yaml"), format!("{head}spec: {spec}\n")).unwrap();
        let mut check = portcullis();
        outcome(check.current_dir(folder.path()).args(["policy", "check", "p.yaml"]).args(more), 0).1
    };
    assert_eq!(
        check("{vulnerabilities: {onlyFixed: true, graceDays: 3}}", &[]),
        "warning: p.yaml: ImagePolicy lax: spec.vulnerabilities: this policy can deny nothing that is found in an image \
         (hint: add `failOn`, which these are about: `onlyFixed`, `graceDays`)\n"
    );
    for spec in ["{}", "{licenses: {}}", "{secrets: audit}", "{vulnerabilities: {kev: audit, endOfLife: audit}}"] {
        assert!(check(spec, &[]).contains("can deny nothing"), "{spec}");
    }
    assert_eq!(check("{}", &["-q"]), "");
    for spec in [
        "{vulnerabilities: {failOn: low}}",
        "{vulnerabilities: {kev: deny}}",
        "{vulnerabilities: {maxDatabaseAge: 1d}}",
        "{licenses: {undeclared: deny}}",
        "{workloads: {podSecurity: baseline}}",
        "{rules: [{name: r, expression: 'gaps == 0'}]}",
    ] {
        assert_eq!(check(spec, &[]), "", "{spec}");
    }
    let exemption = "apiVersion: portcullis.dev/v1alpha1\nkind: PolicyExemption\nmetadata: {name: one}\n\
                     spec: {namespaces: [team], reason: r, owner: o, expires: \"2026-12-31\"}\n";
    let from_input = |text: &str, code: i32| {
        std::fs::write(folder.path().join("input"), text).unwrap();
        let mut check = portcullis();
        check.args(["policy", "check", "-"]).stdin(std::fs::File::open(folder.path().join("input")).unwrap());
        outcome(&mut check, code)
    };
    assert_eq!(from_input(exemption, 0).0, "-: PolicyExemption one is good (until 2026-12-31T00:00:00Z)\n");
    let (_, refused) = from_input(&exemption.replace("reason: r", "reason: ''"), 1);
    assert!(refused.contains("-:4: an exemption without a reason"), "{refused}");
    assert!(from_input(POLICY, 0).0.starts_with("-: ImagePolicy baseline is good (sha256:"));
}

#[test]
fn a_policy_that_is_not_asked_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let image = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").build();
    image.write_oci_dir(&folder.path().join("layout")).unwrap();
    let scan = |policies: &str, more: &[&str]| {
        std::fs::write(folder.path().join("two.yaml"), policies).unwrap();
        let mut scan = portcullis();
        scan.current_dir(folder.path()).args(["scan", "layout", "--policy", "two.yaml", "-o", "json=report.json"]);
        outcome(scan.args(more), 0).1
    };
    let two = format!("{POLICY}---\n{}", POLICY.replace("baseline", "second"));
    let told = scan(&two, &[]);
    assert!(told.contains("note: 1 of 2 policies that speak of layout:latest was asked: baseline;"), "{told}");
    assert_eq!(scan(&two, &["-q"]), "");
    let other = POLICY.replace("baseline", "second").replace("spec:", "spec:\n  images: [\"registry.example/**\"]");
    assert!(!scan(&format!("{POLICY}---\n{other}"), &[]).contains("policies that speak"));
    assert!(!scan(POLICY, &[]).contains("policies that speak"));
}
