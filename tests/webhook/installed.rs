//! The chart on a cluster of its own, as an administrator installs it, and what a tenant can do against it.

use std::{fs, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_tests::{is_on, run};
use serde_json::{Value, json};

use crate::{
    chart::{of_kind, rendered, write_files},
    cluster::{Cluster, eventually},
    front::Front,
    gate::Replica,
    images::{Image, Keys, registry},
    kubectl::{Namespace, Told, deployment, pod},
};

/// The cluster, with what the kubelet and kube-proxy would run: two replicas with the arguments and the files of the
/// Deployment, behind the address of the Service.
struct Installed {
    cluster: Cluster,
    replicas: Vec<Replica>,
    front: Front,
    hooks: Vec<Value>,
}

impl Installed {
    fn new() -> Option<Self> {
        if !is_on() || !crate::chart::has_helm() {
            return None;
        }
        let cluster = Cluster::start("installed", &[], true)?;
        let at = registry();
        let evidence = json!({"authorities": [{"key": Keys::trusted().public()}], "maxAge": "24h"});
        let policy = json!({"name": "baseline", "spec": {"images": [format!("{at}/**")], "evidence": evidence}});
        let objects = rendered(&json!({"policies": [policy], "registries": {"plainHttp": [at.to_string()]}}));
        let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/../webhook/chart/crds");
        cluster.kubectl(&["apply", "--server-side", "-f", definitions]).ok();
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).ok();
        cluster.kubectl(&["create", "namespace", "portcullis"]).ok();
        cluster.kubectl(&["label", "namespace", "portcullis", "pod-security.kubernetes.io/enforce=restricted"]).ok();
        let (hooks, objects): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_hook);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &list).ok();
        let namespace = Namespace { cluster: &cluster, name: "portcullis" };
        let service = namespace.field("service", "portcullis-webhook", "/spec/clusterIP");
        let address: SocketAddr = format!("{}:443", service.as_str().unwrap()).parse().unwrap();
        let front = Front::at(address);
        let replicas: Vec<Replica> = (0..2).map(|_| replica(&namespace, &objects)).collect();
        front.lead_to(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>());
        Some(Self { cluster, replicas, front, hooks })
    }
}

fn is_hook(object: &Value) -> bool {
    !object["metadata"]["annotations"]["helm.sh/hook"].is_null()
}

/// Runs the program with the container's arguments, its volumes in a folder.
fn replica(namespace: &Namespace<'_>, objects: &[Value]) -> Replica {
    let folder = tempfile::tempdir().unwrap();
    let spec = &of_kind(objects, "Deployment")["spec"]["template"]["spec"];
    for volume in spec["volumes"].as_array().unwrap() {
        let named = [("configmap", &volume["configMap"]["name"]), ("secret", &volume["secret"]["secretName"])];
        let (kind, name) = named.into_iter().find_map(|(kind, name)| Some((kind, name.as_str()?))).unwrap();
        write_files(&namespace.get(kind, name), &folder.path().join(volume["name"].as_str().unwrap()));
    }
    let container = &spec["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let place = folder.path().display().to_string();
    let mut arguments: Vec<String> =
        arguments.map(|text| text.replace("/etc/portcullis", &place).replace("0.0.0.0:8443", "127.0.0.1:0")).collect();
    if spec["automountServiceAccountToken"] == true {
        // What it may do is what the chart gives to its account.
        let account = spec["serviceAccountName"].as_str().unwrap();
        let token = namespace.kubectl(&["create", "token", account]).ok();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, namespace.cluster.kubeconfig_of(namespace.name, token.trim())).unwrap();
        arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
    }
    Replica::run(&arguments, folder)
}

#[test]
fn the_chart_guards_a_cluster_and_its_tenants_cannot_get_round_it() {
    let Some(installed) = Installed::new() else { return };
    let Installed { cluster, replicas, front, hooks } = installed;
    let (good, bad) = (Image::signed("installed/good:v1"), Image::push("installed/bad:v1"));
    let team = Namespace::new(&cluster, "team");
    eventually("the webhooks are called", || {
        let told = team.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("probe", &["///"]));
        told.stderr.contains("pin.portcullis.dev").then_some(())
    });
    team.create(&pod("good", &[&good.tagged])).ok();
    assert_eq!(team.field("pod", "good", "/spec/containers/0/image"), good.pinned.as_str());
    team.create(&pod("bad", &[&bad.tagged])).refused("no trusted verdict is attested");
    team.create(&deployment("bad", 1, &[&bad.tagged])).warned("no trusted verdict is attested");
    policies_of_the_cluster_count(&cluster, &good);
    own_pods_come(&cluster);
    the_test_of_the_chart_passes(&cluster, &front, &hooks[0]);
    tenants_stay_in(&cluster, &bad);

    // All replicas gone: what the cluster needs in order to start is not held up, and the rest is.
    drop(replicas);
    front.lead_to(&[]);
    team.create(&pod("closed", &[&good.tagged])).refused("failed calling webhook");
    let system = Namespace { cluster: &cluster, name: "kube-system" };
    system.create(&pod("dns", &["registry.k8s.io/coredns/coredns:v1.12.4"])).ok();
    let own = Namespace { cluster: &cluster, name: "portcullis" };
    own.kubectl(&["rollout", "restart", "deployment/portcullis-webhook"]).ok();
    // The way out that the guide names, and the way back.
    let kinds = "mutatingwebhookconfiguration,validatingwebhookconfiguration";
    cluster.kubectl(&["delete", kinds, "portcullis-webhook"]).ok();
    eventually("Pods start again", || team.create(&pod("open", &[&bad.tagged])).is_ok().then_some(()));
}

/// Custom resources: watched with the rights of the chart's account, refused when they cannot be used.
fn policies_of_the_cluster_count(cluster: &Cluster, good: &Image) {
    let policy = |name: &str, spec: Value| json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": name}, "spec": spec});
    let strict = Namespace::new(cluster, "strict");
    // The structural schema lets it by, and the webhook at /policies does not.
    let wrong = json!({"rules": [{"name": "wrong", "expression": "1 +", "message": "m"}]});
    strict.create(&policy("wrong", wrong)).refused("policies.portcullis.dev");
    let never = json!({"rules": [{"name": "never", "expression": "false", "message": "nothing runs here"}]});
    let evidence = json!({"authorities": [{"key": Keys::trusted().public()}]});
    let mut spec = json!({"evidence": evidence});
    spec.as_object_mut().unwrap().extend(never.as_object().unwrap().clone());
    strict.create(&policy("never", spec)).ok();
    eventually("it is said to be valid", || {
        let conditions = strict.field("imagepolicy", "never", "/status/conditions");
        conditions.as_array()?.iter().find(|found| found["type"] == "Ready" && found["status"] == "True").map(drop)
    });
    let told = strict.create(&pod("app", &[&good.tagged])).refused("[never]");
    assert!(!told.contains("[baseline]"), "{told}");
    eventually("the refusal is an Event", || {
        let events = strict.kubectl(&["get", "events", "-o", "json"]).ok();
        events.contains("[never]").then_some(())
    });
    // It speaks of its own namespace alone, and no longer than it is there.
    strict.kubectl(&["delete", "imagepolicy", "never"]).ok();
    eventually("it is gone", || strict.create(&pod("app", &[&good.tagged])).is_ok().then_some(()));
}

/// The chart's Pods meet the `restricted` level, which the namespace enforces, and come without the webhook.
fn own_pods_come(cluster: &Cluster) {
    let own = Namespace { cluster, name: "portcullis" };
    let label = "app.kubernetes.io/name=portcullis-webhook";
    eventually("the controller makes the webhook's Pods", || {
        let list = own.kubectl(&["get", "pods", "-l", label, "-o", "json"]).json();
        (list["items"].as_array()?.len() == 2).then_some(())
    });
    let budget = own.field("poddisruptionbudget", "portcullis-webhook", "/spec/minAvailable");
    assert_eq!(budget, 1);
    own.kubectl(&["get", "networkpolicy", "portcullis-webhook"]).ok();
}

/// What `helm test` runs, from where the Service's name leads to its address.
fn the_test_of_the_chart_passes(cluster: &Cluster, front: &Front, hook: &Value) {
    let own = Namespace { cluster, name: "portcullis" };
    own.kubectl_with(&["create", "--dry-run=server", "-f", "-"], hook).ok();
    let container = &hook["spec"]["containers"][0];
    let secret = own.field("secret", "portcullis-webhook-tls", "/data/ca.crt");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), STANDARD.decode(secret.as_str().unwrap()).unwrap()).unwrap();
    let texts = |field: &str| -> Vec<String> {
        let place = folder.path().display().to_string();
        let texts = container[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        texts.map(|text| text.replace("/etc/portcullis/tls", &place)).collect()
    };
    let mut curl = std::process::Command::new(&texts("command")[0]);
    curl.args(texts("args")).args(["--noproxy", "*", "--connect-to", &format!("::{}", front.address)]);
    assert_eq!(run(&mut curl, &[0]).stdout, b"ok\n");
}

/// A tenant who may do everything in one namespace, and even change that namespace's labels.
fn tenants_stay_in(cluster: &Cluster, bad: &Image) {
    let team = Namespace { cluster, name: "team" };
    team.kubectl(&["create", "serviceaccount", "tenant"]).ok();
    team.kubectl(&["create", "rolebinding", "tenant", "--clusterrole=admin", "--serviceaccount=team:tenant"]).ok();
    let own_namespace = ["create", "clusterrole", "own-namespace", "--verb=get,update,patch", "--resource=namespaces"];
    cluster.kubectl(&[&own_namespace[..], &["--resource-name=team"]].concat()).ok();
    let account = "--serviceaccount=team:tenant";
    cluster.kubectl(&["create", "clusterrolebinding", "own-namespace", "--clusterrole=own-namespace", account]).ok();
    let token = team.kubectl(&["create", "token", "tenant"]).ok();
    let tenant = |arguments: &[&str], input: Option<&Value>| {
        let mut command = cluster.anonymous();
        command.args(["--token", token.trim(), "-n", "team"]).args(arguments);
        Told::by(&mut command, input.map(|value| value.to_string().into_bytes()).as_deref())
    };
    let unsigned = pod("unsigned", &[&bad.tagged]);
    let refused = || tenant(&["create", "-f", "-"], Some(&unsigned)).refused("no trusted verdict is attested");
    refused();
    // The label that the exclusions go by is the API server's: it is written back, or the change is refused.
    _ = tenant(&["label", "namespace", "team", "--overwrite", "kubernetes.io/metadata.name=kube-system"], None);
    refused();
    _ = tenant(&["label", "namespace", "team", "kubernetes.io/metadata.name-"], None);
    refused();
    // Labels that other gates take for an exemption.
    for label in ["admission.portcullis.dev/ignore=true", "policy.sigstore.dev/include=false", "control-plane=true"] {
        tenant(&["label", "namespace", "team", "--overwrite", label], None).ok();
        let mut labelled = unsigned.clone();
        let (key, value) = label.split_once('=').unwrap();
        labelled["metadata"]["labels"] = json!({key: value});
        tenant(&["create", "-f", "-"], Some(&labelled)).refused("no trusted verdict is attested");
    }
    refused();
    let configurations = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    let forbidden: Vec<Vec<&str>> = vec![
        vec!["delete", configurations[0], "portcullis-webhook"],
        vec!["patch", configurations[1], "portcullis-webhook", "-p", "{}"],
        vec!["-n", "portcullis", "delete", "configmap", "portcullis-webhook-policies"],
        vec!["-n", "portcullis", "get", "secrets"],
        vec!["-n", "kube-system", "run", "pod", "--image=example.org/x"],
        vec!["-n", "portcullis", "run", "pod", "--image=example.org/x"],
        vec!["create", "namespace", "portcullis-other"],
        vec!["delete", "namespace", "portcullis"],
    ];
    for arguments in forbidden {
        tenant(&arguments, None).refused("is forbidden");
    }
    // The webhook's own account reads nothing that it is not given.
    let account = "--as=system:serviceaccount:portcullis:portcullis-webhook";
    for (verb, resource) in [("get", "secrets"), ("list", "secrets"), ("list", "pods"), ("update", "nodes")] {
        let told = cluster.kubectl(&["auth", "can-i", verb, resource, "--all-namespaces", account]);
        assert_eq!(told.stdout.trim(), "no", "{verb} {resource}");
    }
}
