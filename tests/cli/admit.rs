//! `portcullis admit`: rules about workloads, namespaces and exemptions, in the webhook's words; no registry is asked.

use std::path::Path;

use crate::{outcome, portcullis};

const POLICY: &str = "\
apiVersion: portcullis.dev/v1alpha1
kind: ClusterImagePolicy
metadata: {name: hardened}
spec:
  namespaceSelector: {matchLabels: {env: production}}
  workloads:
    podSecurity: baseline
    rules:
      - name: few-replicas
        expression: \"!has(object.spec.replicas) || object.spec.replicas <= 2\"
        message: more than two replicas
        field: spec.replicas
        fix: ask for more
";

const MANIFEST: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {env: production}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: team}
spec:
  replicas: 3
  template:
    spec:
      hostNetwork: true
      containers: [{name: c, image: not/AN/image}]
";

fn admit(folder: &Path, manifest: &str, more: &[&str], code: i32) -> String {
    std::fs::write(folder.join("policy.yaml"), POLICY).unwrap();
    std::fs::write(folder.join("manifest.yaml"), manifest).unwrap();
    let mut command = portcullis();
    // Exemptions end: the moment is that of the clock here.
    command.current_dir(folder).args(["admit", "-f", "manifest.yaml", "--policy", "policy.yaml"]).args(more);
    outcome(&mut command, code).0
}

#[test]
fn a_deployment_is_held_to_rules_about_workloads() {
    let folder = tempfile::tempdir().unwrap();
    let told = admit(folder.path(), MANIFEST, &[], 42);
    for line in [
        "  [hardened] Deployment team/web: spec.template.spec.hostNetwork is true: hostNamespaces of the Pod Security \
         Standards, baseline v1.37; fix: leave it out\n",
        "  [hardened] Deployment team/web: spec.replicas: more than two replicas; fix: ask for more\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    // In a namespace of other labels it does not speak; in one that is not in the manifest nobody knows.
    let elsewhere = admit(folder.path(), &MANIFEST.replace("env: production", "env: test"), &[], 42);
    assert!(!elsewhere.contains("[hardened]"), "{elsewhere}");
    let (_, unknown) = MANIFEST.split_once("---\n").unwrap();
    let unknown = admit(folder.path(), unknown, &[], 42);
    assert!(
        unknown.contains("[hardened] Deployment team/web: the labels of the namespace team are not known"),
        "{unknown}"
    );
}

#[test]
fn an_exemption_lets_in_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let year = |years: i64| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        portcullis_model::Timestamp::from_unix(i64::try_from(since).unwrap() + years * 300 * 86_400)
    };
    let exemption = |expires: &str| {
        format!(
            "apiVersion: portcullis.dev/v1alpha1\nkind: PolicyExemption\nmetadata: {{name: incident}}\nspec:\n  \
             {{namespaces: [team], policies: [hardened], reason: r, owner: o, expires: \"{expires}\"}}\n"
        )
    };
    let file = folder.path().join("exemption.yaml");
    // The image cannot be named, which no exemption without `breakGlass` is for.
    std::fs::write(&file, exemption(&year(1).to_string())).unwrap();
    let told = admit(folder.path(), MANIFEST, &["--exemption", "exemption.yaml"], 42);
    assert!(!told.contains("  [hardened]"), "{told}");
    assert!(told.contains("warning: [hardened] exempt by incident until"), "{told}");
    std::fs::write(&file, exemption("2020-01-01")).unwrap();
    let mut command = portcullis();
    command.current_dir(folder.path()).args(["admit", "-f", "manifest.yaml", "--policy", "policy.yaml"]);
    let (_, error) = outcome(command.args(["--exemption", "exemption.yaml"]), 1);
    assert!(error.contains("exemption.yaml:5: the exemption has expired"), "{error}");
}

/// Asks nothing of a registry: nobody is trusted, or nobody speaks.
fn asked(policy: &str, manifest: &str, more: &[&str], code: i32) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    let mut command = portcullis();
    command.current_dir(folder.path()).args(["admit", "-f", "manifest.yaml", "--policy", "policy.yaml"]).args(more);
    outcome(&mut command, code)
}

const PERMISSIVE: &str = "\
apiVersion: portcullis.dev/v1alpha1
kind: ClusterImagePolicy
metadata: {name: lenient}
spec: {mode: audit, vulnerabilities: {failOn: high}}
";

const GOOD: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: good}
spec: {template: {spec: {containers: [{name: c, image: \"registry.example/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"}]}}}
";

#[test]
fn what_is_not_looked_at_is_no_pass() {
    let more = "\
---
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: r}
spec: {replicatedJobs: [{template: {spec: {template: {spec: {containers: [{name: c, image: bad}]}}}}}]}
---
apiVersion: v1
kind: pod
metadata: {name: typo}
spec: {containers: [{name: c, image: bad}]}
---
apiVersion: v1
kind: Service
metadata: {name: s}
";
    let (told, notes) = asked(PERMISSIVE, &format!("{GOOD}{more}"), &[], 44);
    assert!(told.contains("Deployment good: admitted\n"), "{told}");
    let jobs = "JobSet r: not looked at\n  its kind is not known here, and it names an image: \
                /spec/replicatedJobs/0/template/spec/template/spec/containers/0/image\n";
    assert!(told.contains(jobs), "{told}");
    assert!(told.contains("pod typo: not looked at\n"), "{told}");
    assert!(told.ends_with("did you mean Pod?\n"), "{told}");
    assert!(notes.contains("note: passed over, as no container is in them: 1 Service\n"), "{notes}");
    let (_, silent) = asked(PERMISSIVE, &format!("{GOOD}{more}"), &["-q"], 44);
    assert_eq!(silent, "");
    let (_, error) = asked(PERMISSIVE, "apiVersion: v1\nkind: Service\n", &[], 1);
    assert!(error.contains("nothing in the manifest that runs an image"), "{error}");
}

#[test]
fn a_policy_of_a_namespace_is_asked_where_the_namespace_is_said() {
    let policies = format!(
        "{PERMISSIVE}---\napiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\n\
         metadata: {{name: strict, namespace: team}}\nspec: {{vulnerabilities: {{failOn: high}}}}\n"
    );
    let (told, hint) = asked(&policies, GOOD, &[], 44);
    let line = "  [strict] is of the namespace team, and was not asked: the object names none\n";
    assert!(told.starts_with("Deployment good: not known\n") && told.contains(line), "{told}");
    assert!(hint.contains("--namespace"), "{hint}");
    let (told, _) = asked(&policies, GOOD, &["-n", "team"], 42);
    assert!(told.starts_with("Deployment team/good: refused\n"), "{told}");
    let (told, notes) = asked(&policies, GOOD, &["--namespace", "other"], 0);
    assert!(told.starts_with("Deployment other/good: admitted\n") && notes.is_empty(), "{told}{notes}");
}

#[test]
fn the_definitions_are_those_that_are_shipped() {
    let (printed, _) = outcome(portcullis().args(["policy", "schema", "--crd"]), 0);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook/manifests/crds.yaml");
    assert_eq!(printed, std::fs::read_to_string(shipped).unwrap());
}
