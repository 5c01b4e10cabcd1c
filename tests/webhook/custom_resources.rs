//! Policies and exemptions as custom resources on the real API server: taken live, refused when bad, told in their
//! status; namespaces by their labels; nothing that a tenant may write opens the gate.

use std::{net::SocketAddr, path::Path, sync::OnceLock};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::{Configured, Replica},
    images::{Image, Keys, policy, registry},
    kubectl::{Namespace, Told, pod},
};

const UNSIGNED: &str = "no trusted verdict is attested";

/// The shared cluster with our definitions.
fn cluster() -> Option<&'static Cluster> {
    static APPLIED: OnceLock<()> = OnceLock::new();
    let cluster = portcullis_tests::is_on().then(Cluster::shared).flatten()?;
    APPLIED.get_or_init(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook/manifests/crds.yaml");
        cluster.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]).ok();
        for plural in ["imagepolicies", "clusterimagepolicies", "policyexemptions"] {
            let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd"];
            cluster.kubectl(&[&wait[..], &[&format!("{plural}.portcullis.dev")]].concat()).ok();
        }
        for definition in cluster.kubectl(&["get", "crd", "-o", "json"]).json()["items"].as_array().unwrap() {
            let conditions = definition["status"]["conditions"].as_array().unwrap();
            let violation = conditions.iter().find(|one| one["type"] == "NonStructuralSchema");
            assert!(violation.is_none(), "{violation:?}");
        }
    });
    Some(cluster)
}

/// A webhook that watches the cluster, with a file of policies that speaks of nothing here.
fn watching(cluster: &Cluster, more: &[&str]) -> Replica {
    let nobody: SocketAddr = "192.0.2.1:5000".parse().unwrap();
    let kubeconfig = format!("--kubeconfig={}", cluster.kubeconfig().display());
    let plain = format!("--plain-http={}", registry());
    let flags = [&["--policies-from-cluster", &kubeconfig, &plain][..], more].concat();
    let replica = Replica::start(cluster, &policy(nobody, ""), nobody, &flags);
    eventually("the cluster's policies are known", || {
        replica.log().contains("the cluster's policies are asked").then_some(())
    });
    replica
}

struct Setting {
    // Dropped first: else the API server would call a webhook that is gone.
    _configured: Configured<'static>,
    webhook: Replica,
    namespace: Namespace<'static>,
}

fn setting(name: &'static str) -> Option<Setting> {
    let cluster = cluster()?;
    let (webhook, namespace) = (watching(cluster, &[]), Namespace::new(cluster, name));
    Some(Setting { _configured: Configured::new(namespace, webhook.address), webhook, namespace })
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({
        "images": [format!("{}/**", registry())],
        "evidence": {"authorities": [{"key": Keys::trusted().public()}], "maxAge": "24h"},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn apply(namespace: &Namespace<'_>, object: &Value) -> Told {
    namespace.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], object)
}

/// The condition `Ready` of a policy, when it is of the newest generation.
fn ready(namespace: &Namespace<'_>, kind: &str, name: &str) -> Value {
    eventually("the status is written", || {
        let object = namespace.get(kind, name);
        let condition = object.pointer("/status/conditions/0")?.clone();
        (condition["observedGeneration"] == object["metadata"]["generation"]).then_some(condition)
    })
}

#[test]
fn a_policy_is_asked_as_soon_as_it_is_applied() {
    let Some(Setting { namespace, .. }) = &setting("crd-live") else { return };
    let (good, bad) = (Image::signed("crd-live/good:v1"), Image::push("crd-live/bad:v1"));
    namespace.create(&pod("early", &[&good.tagged])).refused("no policy speaks of this image");
    apply(namespace, &resource("ImagePolicy", "live", &spec(&json!({})))).ok();
    let condition = ready(namespace, "imagepolicy", "live");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Valid")), "{condition}");
    eventually("it is asked", || namespace.create(&pod("good", &[&good.tagged])).is_ok().then_some(()));
    assert_eq!(namespace.field("pod", "good", "/spec/containers/0/image"), good.pinned.as_str());
    namespace.create(&pod("bad", &[&bad.tagged])).refused(UNSIGNED);
    // `mode` is written out by the API server, and the table shows it.
    let shown = namespace.kubectl(&["get", "imagepolicy", "live"]).ok();
    assert!(shown.contains("enforce") && shown.contains("Valid"), "{shown}");
    namespace.kubectl(&["delete", "imagepolicy", "live"]).ok();
    eventually("it is gone", || (!namespace.create(&pod("late", &[&good.tagged])).is_ok()).then_some(()));
}

#[test]
fn a_bad_policy_is_refused_by_its_schema() {
    let Some(cluster) = cluster() else { return };
    let namespace = Namespace::new(cluster, "crd-schema");
    let mut unknown = spec(&json!({}));
    unknown["vulnerabilities"] = json!({"failon": "high"});
    for (kind, spec, said) in [
        ("ImagePolicy", unknown, "unknown field \"spec.vulnerabilities.failon\""),
        ("ImagePolicy", spec(&json!({"mode": "shout"})), "Unsupported value: \"shout\""),
        ("ImagePolicy", spec(&json!({"evidence": {"authorities": [{"identity": "x"}]}})), "with its `issuer`"),
        ("ImagePolicy", spec(&json!({"evidence": {"authorities": [{"key": "/etc/key"}]}})), "write the PEM itself"),
        (
            "ImagePolicy",
            spec(&json!({"namespaceSelector": {"matchLabels": {"a": "b"}}})),
            "make it a ClusterImagePolicy",
        ),
        (
            "ImagePolicy",
            spec(&json!({"exceptions": [{"id": "CVE-*", "reason": "r", "owner": "o"}]})),
            "name one vulner",
        ),
        ("PolicyExemption", json!({"reason": "r", "owner": "o", "expires": "2099-01-01"}), "breakGlass: true"),
        ("PolicyExemption", json!({"namespaces": ["a"], "reason": "r", "owner": "o"}), "expires: Required value"),
    ] {
        // Strict, as `kubectl` asks.
        let told = namespace.create(&resource(kind, "bad", &spec));
        assert!(!told.is_ok() && told.stderr.contains(said), "{said}: {told:?}");
    }
    let wide = json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}});
    let told = namespace.create(&resource("ClusterImagePolicy", "bad", &spec(&wide)));
    assert!(!told.is_ok() && told.stderr.contains("`In` and `NotIn` need `values`"), "{told:?}");
}

#[test]
fn a_bad_policy_never_replaces_one_that_works() {
    let Some(Setting { namespace, webhook, .. }) = &setting("crd-bad") else { return };
    let (good, bad) = (Image::signed("crd-bad/good:v1"), Image::push("crd-bad/bad:v1"));
    apply(namespace, &resource("ImagePolicy", "one", &spec(&json!({})))).ok();
    eventually("it is asked", || namespace.create(&pod("good", &[&good.tagged])).is_ok().then_some(()));
    // No schema can tell that this is no expression; no webhook for policies is registered here.
    let broken = json!({"workloads": {"rules": [{"name": "r", "expression": "object.spec +"}]}});
    apply(namespace, &resource("ImagePolicy", "one", &spec(&broken))).ok();
    let condition = ready(namespace, "imagepolicy", "one");
    assert_eq!(condition["status"], "False", "{condition}");
    let message = condition["message"].as_str().unwrap();
    assert!(message.starts_with("spec.workloads.rules[0].expression: it cannot be parsed"), "{message}");
    assert!(message.ends_with("what it said before goes on"), "{message}");
    assert!(webhook.log().contains("cannot use a policy"));
    namespace.create(&pod("still", &[&good.tagged])).ok();
    namespace.create(&pod("bad", &[&bad.tagged])).refused(UNSIGNED);
    // A webhook that never saw it work lets nothing through where it may speak.
    let fresh = watching(namespace.cluster, &[]);
    let other = Namespace::new(namespace.cluster, "crd-bad-other");
    apply(&other, &resource("ImagePolicy", "fine", &spec(&json!({})))).ok();
    let configured = [Configured::new(*namespace, fresh.address), Configured::new(other, fresh.address)];
    eventually("the fresh one lets nothing through", || {
        let told = namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("fresh", &[&good.tagged]));
        told.stderr.contains("the policy cannot be read, so what it asks is not known").then_some(())
    });
    eventually("elsewhere it does not speak", || other.create(&pod("good", &[&good.tagged])).is_ok().then_some(()));
    drop(configured);
}

#[test]
fn the_webhook_refuses_what_no_schema_can() {
    let Some(cluster) = cluster() else { return };
    let webhook = watching(cluster, &[]);
    let namespace = Namespace::new(cluster, "crd-webhook");
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "crd-webhook"},
        "webhooks": [{
            "name": "policies.portcullis.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {
                "url": format!("https://{}/policies", webhook.address),
                "caBundle": base64(&cluster.authority.certificate),
            },
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "crd-webhook"}},
            "rules": [{"apiGroups": ["portcullis.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["imagepolicies"]}],
        }],
    });
    cluster.kubectl_with(&["create", "-f", "-"], &configuration).ok();
    let broken = json!({"workloads": {"rules": [{"name": "r", "expression": "object.spec +"}]}});
    let broken = resource("ImagePolicy", "bad", &spec(&broken));
    let told = eventually("the webhook is called", || {
        let told = namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &broken);
        (!told.is_ok()).then_some(told)
    });
    let said =
        told.refused("admission webhook \"policies.portcullis.dev\" denied the request: [portcullis] spec.workloads");
    assert!(said.contains("(hint: it is CEL"), "{said}");
    namespace.create(&resource("ImagePolicy", "good", &spec(&json!({})))).ok();
    // Its status is written, and its labels may change, whatever the policy says.
    ready(&namespace, "imagepolicy", "good");
    namespace.kubectl(&["label", "imagepolicy", "good", "seen=yes"]).ok();
    cluster.kubectl(&["delete", "validatingwebhookconfiguration", "crd-webhook"]).ok();
}

#[test]
fn namespaces_are_selected_by_labels() {
    let Some(Setting { namespace, webhook, .. }) = &setting("crd-select") else { return };
    let cluster = namespace.cluster;
    let other = Namespace::new(cluster, "crd-select-not");
    let _configured = Configured::new(other, webhook.address);
    let bad = Image::push("crd-select/bad:v1");
    let selector = json!({"namespaceSelector": {"matchLabels": {"crd-select": "yes"}}});
    apply(namespace, &resource("ClusterImagePolicy", "crd-select", &spec(&selector))).ok();
    cluster.kubectl(&["label", "namespace", "crd-select", "crd-select=yes"]).ok();
    let refused = |namespace: &Namespace<'_>, said: &str| {
        eventually(said, || {
            let told = namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("bad", &[&bad.tagged]));
            (!told.is_ok() && told.stderr.contains(said)).then_some(())
        });
    };
    refused(namespace, UNSIGNED);
    refused(&other, "no policy speaks of this image");
    cluster.kubectl(&["label", "namespace", "crd-select-not", "crd-select=yes"]).ok();
    refused(&other, UNSIGNED);
    cluster.kubectl(&["label", "namespace", "crd-select-not", "crd-select-"]).ok();
    refused(&other, "no policy speaks of this image");
    cluster.kubectl(&["delete", "clusterimagepolicy", "crd-select"]).ok();
}

#[test]
fn an_exemption_opens_what_it_names_and_a_tenant_can_grant_none() {
    let Some(Setting { namespace, .. }) = &setting("crd-exempt") else { return };
    let cluster = namespace.cluster;
    let bad = Image::push("crd-exempt/bad:v1");
    apply(namespace, &resource("ImagePolicy", "one", &spec(&json!({})))).ok();
    eventually("it is asked", || namespace.create(&pod("bad", &[&bad.tagged])).stderr.contains(UNSIGNED).then_some(()));
    let expires = cluster.kubectl(&["get", "namespace", "default", "-o", "json"]).json();
    let year = expires["metadata"]["creationTimestamp"].as_str().unwrap().get(..4).unwrap().parse::<i32>().unwrap();
    let expires = format!("{}-01-01", year + 1);
    let grant = json!({"namespaces": ["crd-exempt"], "policies": ["one"], "reason": "a fix is under way",
        "owner": "security@team.example", "expires": expires});
    let grant = resource("PolicyExemption", "crd-exempt", &grant);

    // The owner of a namespace, by the role that Kubernetes ships.
    cluster.kubectl(&["create", "serviceaccount", "tenant", "-n", "crd-exempt"]).ok();
    let bind = ["create", "rolebinding", "tenant", "-n", "crd-exempt", "--clusterrole=admin"];
    cluster.kubectl(&[&bind[..], &["--serviceaccount=crd-exempt:tenant"]].concat()).ok();
    let token = namespace.kubectl(&["create", "token", "tenant"]).ok();
    let as_tenant = |arguments: &[&str], object: Option<&Value>| {
        let mut command = cluster.anonymous();
        command.args(["--token", token.trim(), "-n", "crd-exempt"]).args(arguments);
        Told::by(&mut command, object.map(Value::to_string).as_deref().map(str::as_bytes))
    };
    let told = as_tenant(&["create", "-f", "-"], Some(&grant));
    assert!(!told.is_ok() && told.stderr.contains("forbidden"), "{told:?}");
    let mut labelled = pod("labelled", &[&bad.tagged]);
    labelled["metadata"]["labels"] = json!({"portcullis.dev/exempt": "true", "policy": "none"});
    as_tenant(&["create", "-f", "-"], Some(&labelled)).refused(UNSIGNED);
    assert!(!as_tenant(&["label", "namespace", "crd-exempt", "portcullis.dev/exempt=true"], None).is_ok());

    namespace.create(&grant).ok();
    let warned = eventually("it is granted", || {
        let told = namespace.create(&pod("bad", &[&bad.tagged]));
        told.is_ok().then_some(told)
    });
    warned.warned("exempt by crd-exempt until");
    let events = eventually("the audit log has it", || {
        let events = cluster.audited("crd-exempt", "bad");
        events.iter().any(|event| event["responseStatus"]["code"] == 201).then_some(events)
    });
    let created = events.iter().find(|event| event["responseStatus"]["code"] == 201).unwrap();
    let told = created["annotations"]["verify.portcullis.dev/exemptions"].as_str().unwrap();
    assert!(
        told.contains("crd-exempt by security@team.example until") && told.contains("a fix is under way"),
        "{told}"
    );
    namespace.kubectl(&["delete", "policyexemption", "crd-exempt"]).ok();
    eventually("it is over", || {
        let told = namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("again", &[&bad.tagged]));
        (!told.is_ok() && told.stderr.contains(UNSIGNED)).then_some(())
    });
}

#[test]
fn rules_about_workloads_decide_as_the_api_server_s_own_plugin() {
    let Some(Setting { namespace, .. }) = &setting("crd-pods") else { return };
    let image = Image::signed("crd-pods/app:v1");
    let rules = json!({"workloads": {"podSecurity": "restricted"}});
    apply(namespace, &resource("ImagePolicy", "one", &spec(&rules))).ok();
    eventually("it is asked", || {
        namespace.create(&pod("probe", &[&image.pinned])).stderr.contains("allowPrivilegeEscalation").then_some(())
    });
    // Beside it, a namespace that Kubernetes' plugin guards.
    let plugin = Namespace::new(namespace.cluster, "crd-pods-plugin");
    plugin.kubectl(&["label", "namespace", plugin.name, "pod-security.kubernetes.io/enforce=restricted"]).ok();
    let mut hardened = pod("app", &[&image.pinned]);
    hardened["spec"]["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    hardened["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let changes = [
        ("", json!(null)),
        ("/spec/hostNetwork", json!(true)),
        ("/spec/hostPID", json!(true)),
        ("/spec/securityContext/runAsUser", json!(0)),
        ("/spec/securityContext/runAsUser", json!(1000)),
        ("/spec/securityContext/runAsNonRoot", json!(false)),
        ("/spec/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/spec/securityContext/seLinuxOptions", json!({"type": "spc_t"})),
        ("/spec/securityContext/sysctls", json!([{"name": "kernel.msgmax", "value": "1"}])),
        ("/spec/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])),
        ("/spec/volumes", json!([{"name": "v", "emptyDir": {}}])),
        ("/spec/containers/0/securityContext/privileged", json!(true)),
        ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(null)),
        ("/spec/containers/0/securityContext/capabilities/drop", json!(["NET_RAW"])),
        ("/spec/containers/0/securityContext/capabilities/add", json!(["NET_BIND_SERVICE"])),
        ("/spec/containers/0/securityContext/capabilities/add", json!(["SYS_ADMIN"])),
        ("/spec/containers/0/securityContext/procMount", json!("Unmasked")),
        ("/spec/containers/0/ports", json!([{"containerPort": 80, "hostPort": 80}])),
        ("/spec/containers/0/livenessProbe", json!({"httpGet": {"port": 80, "host": "192.0.2.1"}})),
        ("/spec/containers/0/livenessProbe", json!({"httpGet": {"port": 80}})),
    ];
    for (pointer, value) in changes {
        let mut changed = hardened.clone();
        if let Some((parent, field)) = pointer.rsplit_once('/') {
            changed.pointer_mut(parent).unwrap()[field] = value;
        }
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        let (ours, theirs) = (namespace.kubectl_with(&dry_run, &changed), plugin.kubectl_with(&dry_run, &changed));
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{pointer}: {ours:?} and {theirs:?}");
        // Some of them no Pod may have: the API server says so before anyone is asked.
        if ours.stderr.contains("verify.portcullis.dev") {
            assert!(ours.stderr.contains("; fix: "), "{ours:?}");
        }
    }
}

#[test]
fn owners_get_events_and_dry_runs_none() {
    let Some(cluster) = cluster() else { return };
    let (webhook, namespace) = (watching(cluster, &["--events"]), Namespace::new(cluster, "crd-events"));
    let bad = Image::push("crd-events/bad:v1");
    apply(&namespace, &resource("ImagePolicy", "one", &spec(&json!({})))).ok();
    let _configured = Configured::new(namespace, webhook.address);
    let events = || {
        let list = namespace.kubectl(&["get", "events.events.k8s.io", "-o", "json"]).json();
        let all = list["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|event| event["reportingController"] == "portcullis.dev/webhook").collect::<Vec<_>>()
    };
    eventually("it is asked", || {
        let told = namespace.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &pod("bad", &[&bad.tagged]));
        told.stderr.contains(UNSIGNED).then_some(())
    });
    namespace.kubectl_with(&["create", "-f", "-"], &crate::kubectl::deployment("app", 1, &[&bad.tagged])).ok();
    let event = eventually("the ReplicaSet hears of it", || {
        events().into_iter().find(|event| event["regarding"]["kind"] == "ReplicaSet")
    });
    assert_eq!((&event["reason"], &event["type"]), (&json!("Refused"), &json!("Warning")), "{event}");
    assert!(event["note"].as_str().unwrap().contains(UNSIGNED), "{event}");
    assert!(events().iter().all(|event| event["regarding"]["name"] != "bad"), "a dry run says nothing");
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}
