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
