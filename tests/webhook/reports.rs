//! Reports of OpenReports on the real API server, by the definition that its makers give: written for the owners of Pods
//! with the rights of the chart, left alone where nothing changes, and removed with what they are about.

use portcullis_tests::{cache, is_on, skip};
use serde_json::{Value, json};

use crate::{
    chart::{has_helm, of_kind, rendered},
    cluster::{Cluster, eventually},
    gate::Replica,
    images::{Image, Keys, file, policy, registry},
    kubectl::{Namespace, deployment, pod},
};

/// A webhook that may do what the chart grants with these values, by an account in a namespace of its own.
fn replica(own: Namespace<'_>, values: &Value, policy: &str) -> Replica {
    let Namespace { cluster, name } = own;
    own.kubectl(&["create", "serviceaccount", "gate"]).ok();
    let objects = rendered(values);
    let subject = json!([{"kind": "ServiceAccount", "name": "gate", "namespace": name}]);
    for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
        let mut object = of_kind(&objects, kind).clone();
        object["metadata"] = json!({"name": name});
        if kind.ends_with("Binding") {
            object["roleRef"]["name"] = name.into();
            object["subjects"] = subject.clone();
        }
        own.create(&object).ok();
    }
    let token = own.kubectl(&["create", "token", "gate"]).ok();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = file(folder.path(), "kubeconfig", &cluster.kubeconfig_of(name, token.trim()));
    let policy = file(folder.path(), "policy.yaml", policy);
    let arguments = [
        "--listen=127.0.0.1:0".to_owned(),
        format!("--plain-http={}", registry()),
        format!("--policy={}", policy.display()),
        format!("--kubeconfig={}", kubeconfig.display()),
    ];
    // What the chart says of these two flags.
    let container = &of_kind(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let given = container["args"].as_array().unwrap().iter().filter_map(Value::as_str);
    let given = given.filter(|argument| argument.starts_with("--re")).map(ToOwned::to_owned);
    Replica::run(&arguments.into_iter().chain(given).collect::<Vec<_>>(), folder)
}

/// Two policies: one that refuses what nobody has signed, and one that only tells of what may run as root.
fn policies() -> String {
    let key = json!(Keys::trusted().public());
    let audit = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "told"},
        "spec": {"mode": "audit", "images": [format!("{}/reports/bad", registry())],
            "evidence": {"authorities": [{"key": key}]}, "workloads": {"podSecurity": "restricted"}},
    });
    format!("{}---\n{audit}\n", policy(registry(), ""))
}

/// The Reports of a namespace, by what they are about.
fn report(namespace: &Namespace<'_>, kind: &str, name: &str) -> Option<Value> {
    let list = namespace.kubectl(&["get", "reports", "-o", "json"]).json();
    let all = list["items"].as_array().unwrap();
    all.iter().find(|report| report["scope"]["kind"] == kind && report["scope"]["name"] == name).cloned()
}

fn rounds(webhook: &Replica) -> usize {
    webhook.log().matches("running Pods were looked at again").count()
}

/// Until every Pod that is there now was looked at, and what was found is written.
fn a_whole_round_is_over(webhook: &Replica) {
    let before = rounds(webhook);
    eventually("two rounds", || (rounds(webhook) >= before + 2).then_some(()));
}

fn installed() -> Option<&'static Cluster> {
    let cluster = is_on().then(Cluster::shared).flatten().filter(|_| has_helm())?;
    if cache().join("openreports/reports.yaml").is_file() {
        return Some(cluster);
    }
    skip("Reports: the definition of OpenReports is missing; tests/run fetches it");
    None
}

#[test]
fn reports_of_running_pods_are_written_where_something_changed_and_go_with_their_owners() {
    let Some(cluster) = installed() else { return };
    let (own, team) = (Namespace::new(cluster, "reports-gate"), Namespace::new(cluster, "reports"));
    let (good, bad) = (Image::signed("reports/good:v1"), Image::push("reports/bad:v1"));
    team.create(&deployment("good", 2, &[&good.pinned])).ok();
    team.create(&deployment("bad", 1, &[&bad.pinned])).ok();
    team.create(&pod("alone", &[&good.pinned])).ok();
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": good.pinned}]}});
    let nightly = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": template}}}});
    team.create(&nightly).ok();
    team.kubectl(&["create", "job", "now", "--from=cronjob/nightly"]).ok();
    eventually("the Pods are there", || {
        let of_job = team.kubectl(&["get", "pods", "-l", "job-name=now", "-o", "name"]).ok();
        (team.pods_of("good").len() == 2 && team.pods_of("bad").len() == 1 && !of_job.is_empty()).then_some(())
    });
    let values = json!({"recheck": "1s", "reports": true, "policiesFromCluster": false, "events": false});
    let mut webhook = replica(own, &values, &policies());

    // Without the definition there is one warning, and everything else goes on.
    a_whole_round_is_over(&webhook);
    assert_eq!(webhook.log().matches("Reports are not written").count(), 1, "{}", webhook.log());
    assert!(webhook.log().contains("the cluster has no definition of `reports.openreports.io`"), "{}", webhook.log());
    let definition = cache().join("openreports/reports.yaml").display().to_string();
    cluster.kubectl(&["apply", "--server-side", "-f", &definition]).ok();
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/reports.openreports.io", "--timeout=60s"]).ok();
    a_whole_round_is_over(&webhook);
    assert!(webhook.log().contains("Reports are written"), "{}", webhook.log());
    what_was_found_is_told(&team, &good, &bad);

    // Nothing is written where nothing changes, and what somebody writes over it is mended.
    let before = report(&team, "Deployment", "bad").unwrap();
    a_whole_round_is_over(&webhook);
    assert_eq!(report(&team, "Deployment", "bad").unwrap(), before);
    let name = before["metadata"]["name"].as_str().unwrap();
    let lie = r#"{"summary": {"fail": 0}, "results": []}"#;
    team.kubectl(&["patch", "report", name, "--type=merge", "-p", lie]).ok();
    a_whole_round_is_over(&webhook);
    assert_eq!(report(&team, "Deployment", "bad").unwrap()["summary"], before["summary"]);

    // What is answered for now, and what does not run any more.
    bad.sign(Keys::trusted());
    team.kubectl(&["delete", "pod", "alone"]).ok();
    eventually("the Report says so", || (report(&team, "Deployment", "bad")?["summary"]["fail"] == 0).then_some(()));
    eventually("the other one is removed", || report(&team, "Pod", "alone").is_none().then_some(()));

    // Without the webhook they go with their owners.
    webhook.signal("TERM");
    assert!(webhook.wait().success());
    assert!(report(&team, "Deployment", "good").is_some());
    team.kubectl(&["delete", "deployment", "good"]).ok();
    eventually("the garbage collector removes it", || report(&team, "Deployment", "good").is_none().then_some(()));
}

/// One Report for two Pods, one that fails under one policy and is told by the other, and one of a Pod without an owner.
fn what_was_found_is_told(team: &Namespace<'_>, good: &Image, bad: &Image) {
    let passing = report(team, "Deployment", "good").unwrap();
    assert_eq!(passing["metadata"]["labels"]["app.kubernetes.io/managed-by"], "portcullis-webhook");
    let owner = &passing["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], team.field("deployment", "good", "/metadata/uid"));
    assert_eq!(passing["summary"], json!({"pass": 1, "fail": 0, "warn": 0, "error": 0, "skip": 0}));
    let result = &passing["results"][0];
    assert_eq!((&result["policy"], &result["result"]), (&json!("baseline"), &json!("pass")));
    assert_eq!(result["properties"]["image"], good.pinned.as_str());
    assert!(result["timestamp"]["seconds"].as_i64().unwrap() > 1_700_000_000, "{result}");

    let failing = report(team, "Deployment", "bad").unwrap();
    let results = failing["results"].as_array().unwrap();
    let first = &results[0];
    assert_eq!(
        (&first["policy"], &first["result"], &first["rule"]),
        (&json!("baseline"), &json!("fail"), &json!("evidence"))
    );
    assert_eq!((&first["severity"], &first["scored"]), (&json!("high"), &json!(true)));
    assert!(first["message"].as_str().unwrap().contains("no trusted verdict is attested"), "{first}");
    assert_eq!(first["properties"]["image"], bad.pinned.as_str());
    let told: Vec<&Value> = results.iter().filter(|result| result["policy"] == "told").collect();
    assert!(told.iter().all(|result| result["result"] == "warn" && result["scored"] == false), "{told:?}");
    assert!(told.iter().any(|result| result["category"] == "workloads"), "{told:?}");
    assert!(report(team, "Pod", "alone").is_some() && report(team, "CronJob", "nightly").is_some());
    let list = team.kubectl(&["get", "reports", "-o", "name"]).ok();
    assert_eq!(list.lines().count(), 4, "{list}");
}
