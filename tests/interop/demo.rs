//! The demo needs nothing: it runs where there is no network but loopback.

use crate::support::{is_on, portcullis, run};

#[test]
fn the_demo_runs_without_a_network() {
    if !is_on() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = portcullis();
    let script = format!(
        "ip link set lo up 2>/dev/null; exec '{}' demo --output '{}'",
        binary.get_program().to_string_lossy(),
        folder.path().display()
    );
    // Where namespaces are forbidden, it runs beside the network.
    let walled = std::process::Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|it| it.success());
    let (program, arguments): (_, &[&str]) = if walled { ("unshare", &["-rn", "sh"]) } else { ("sh", &[]) };
    let output = run(std::process::Command::new(program).args(arguments).args(["-c", &script]), &[0]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Pod healthy: admitted") && text.contains("Pod vulnerable: refused"), "{text}");
    assert_eq!(text.matches("Pod unsigned: refused").count(), 2, "{text}");
    assert!(text.contains("what is attached proves nothing") && text.contains("Pod healthy: refused"), "{text}");
    assert!(text.contains("changed since the first scan: database"), "{text}");
    for file in [
        "cosign.key",
        "cosign.pub",
        "policy.yaml",
        "demo.log",
        "pod-healthy.yaml",
        "healthy/report.json",
        "vulnerable/report.sarif",
        "vulnerable/report.html",
        "vulnerable/sbom.cdx.json",
    ] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    is_as_the_readme_shows(&std::fs::read_to_string(folder.path().join("vulnerable/report.txt")).unwrap());
}

/// Line by line, in the same order; `…` stands for what is left out.
fn is_as_the_readme_shows(report: &str) {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(shown.lines().count() > 5, "{shown}");
    let mut lines = report.lines();
    for line in shown.lines().filter(|line| line.trim() != "…") {
        assert!(lines.any(|found| found.trim_end() == line), "the README shows `{line}`, which is not in\n{report}");
    }
}
