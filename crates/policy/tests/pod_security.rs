//! The checks of the Pod Security Standards decide as Kubernetes' own plugin does: on the fixtures that its tests use.
//!
//! They are in the Go module `k8s.io/pod-security-admission`; `tests/run` names a copy of them in
//! `PORTCULLIS_POD_SECURITY_FIXTURES`. Else they are looked for in Go's module cache, where the test API server's build
//! leaves them, and the test is skipped aloud if they are not there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")]

use std::path::{Path, PathBuf};

use portcullis_policy::{
    CHECKS, POD_SECURITY_VERSION, PodSecurityLevel, Violation, WorkloadFacts, WorkloadReview, WorkloadRules,
};
use serde_json::{Value, json};

fn judge(level: PodSecurityLevel, object: &Value, old: Option<&Value>, pod_spec: &str) -> Vec<Violation> {
    let rules = WorkloadRules { pod_security: Some(level), ..WorkloadRules::default() };
    let facts = WorkloadFacts { object, old_object: old, pod_spec, request: None, namespace_object: None };
    WorkloadReview::new(facts).judge(&rules)
}

/// The newest copy of the fixtures in Go's module cache, or what `PORTCULLIS_POD_SECURITY_FIXTURES` names.
fn fixtures() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_POD_SECURITY_FIXTURES") {
        return Some(path.into());
    }
    let cache = std::env::var_os("GOMODCACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join("go/pkg/mod")))?;
    let minor = POD_SECURITY_VERSION.strip_prefix("v1.")?;
    let wanted = format!("pod-security-admission@v0.{minor}.");
    let modules = std::fs::read_dir(cache.join("k8s.io")).ok()?;
    let mut found: Vec<PathBuf> = modules
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&wanted)))
        .collect();
    found.sort();
    found.pop().map(|path| path.join("test/testdata")).filter(|path| path.is_dir())
}

#[test]
fn fixtures_of_kubernetes_are_decided_as_kubernetes_does() {
    let Some(fixtures) = fixtures() else {
        eprintln!("skipped: the Go module k8s.io/pod-security-admission is not in the module cache");
        return;
    };
    let mut seen = 0;
    for (level, folder) in [(PodSecurityLevel::Baseline, "baseline"), (PodSecurityLevel::Restricted, "restricted")] {
        for (outcome, is_pass) in [("pass", true), ("fail", false)] {
            let folder = fixtures.join(folder).join(POD_SECURITY_VERSION).join(outcome);
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let pod: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                let violations = judge(level, &pod, None, "/spec");
                assert_eq!(violations.is_empty(), is_pass, "{}: {violations:?}", path.display());
                if !is_pass {
                    // A fixture is named for the check that it fails.
                    let stem =
                        path.file_stem().unwrap().to_string_lossy().trim_end_matches(char::is_numeric).to_owned();
                    let rules: Vec<String> = violations.iter().map(|one| one.rule.to_lowercase()).collect();
                    // A stricter check of `restricted` stands in for that of `baseline`.
                    let stricter = match stem.as_str() {
                        "capabilities_baseline" => "capabilities_restricted",
                        "hostpathvolumes" => "restrictedvolumes",
                        "procmount" => "procmount_restricted",
                        "seccompprofile_baseline" => "seccompprofile_restricted",
                        other => other,
                    };
                    let is_named =
                        [stem.as_str(), stricter].iter().any(|name| rules.contains(&format!("podsecurity.{name}")));
                    assert!(is_named, "{}: {rules:?}", path.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen} fixtures");
}

#[test]
fn a_refusal_names_the_field_and_the_fix() {
    let deployment = json!({"spec": {"template": {"metadata": {}, "spec": {"hostNetwork": true, "containers": [
        {"name": "a", "securityContext": {"privileged": true}}]}}}});
    let violations = judge(PodSecurityLevel::Baseline, &deployment, None, "/spec/template/spec");
    let told: Vec<(&str, &str)> =
        violations.iter().map(|one| (one.message.as_str(), one.fix.as_deref().unwrap())).collect();
    assert_eq!(
        told,
        [
            (
                "spec.template.spec.hostNetwork is true: hostNamespaces of the Pod Security Standards, baseline v1.37",
                "leave it out"
            ),
            (
                "spec.template.spec.containers[0].securityContext.privileged is true: privileged of the Pod Security \
                 Standards, baseline v1.37",
                "leave it out"
            ),
        ]
    );
}

#[test]
fn what_does_not_change_is_not_judged_again() {
    let pod = json!({"metadata": {"finalizers": ["x"]}, "spec": {"hostPID": true, "containers": []}});
    let mut other = pod.clone();
    other["metadata"]["finalizers"] = json!([]);
    assert!(judge(PodSecurityLevel::Baseline, &other, Some(&pod), "/spec").is_empty());
    other["spec"]["hostIPC"] = json!(true);
    assert_eq!(judge(PodSecurityLevel::Baseline, &other, Some(&pod), "/spec").len(), 2);
}

#[test]
fn checks_are_made_unless_they_are_left_out() {
    let pod = json!({"spec": {"hostNetwork": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}});
    let rules = WorkloadRules {
        pod_security: Some(PodSecurityLevel::Baseline),
        except: vec!["hostPathVolumes".to_owned()],
        ..WorkloadRules::default()
    };
    let facts =
        WorkloadFacts { object: &pod, old_object: None, pod_spec: "/spec", request: None, namespace_object: None };
    let found: Vec<String> = WorkloadReview::new(facts).judge(&rules).into_iter().map(|one| one.rule).collect();
    assert_eq!(found, ["podSecurity.hostNamespaces"]);
    let mut names: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}
