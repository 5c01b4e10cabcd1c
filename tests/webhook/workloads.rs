//! What makes Pods: Deployments and their like, and what becomes of their Pods.

use portcullis_tests::is_on;
use serde_json::{Value, json};

use crate::{
    cluster::eventually,
    gate::Guarded,
    images::{Image, policy, registry},
    kubectl::{Namespace, deployment},
};

const UNSIGNED: &str = "no trusted verdict is attested";

/// Waits until a Deployment has so many Pods, and gives their images.
#[track_caller]
fn images_of(namespace: &Namespace<'_>, app: &str, count: usize) -> Vec<String> {
    let pods = eventually(&format!("{app} has {count} Pods"), || {
        let pods = namespace.pods_of(app);
        (pods.len() == count).then_some(pods)
    });
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    pods.iter().map(image).collect()
}

#[test]
fn the_author_of_a_deployment_is_warned_and_its_events_say_why_no_pod_comes() {
    let Some(guarded) = Guarded::new("events") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, bad) = (Image::signed("events/good:v1"), Image::push("events/bad:v1"));
    namespace.create(&deployment("good", 2, &[&good.tagged])).ok();
    assert_eq!(images_of(namespace, "good", 2), [good.pinned.as_str(); 2]);
    // The template keeps its tag: what a person wrote is not changed under them.
    let template = "/spec/template/spec/containers/0/image";
    assert_eq!(namespace.field("deployment", "good", template), good.tagged.as_str());
    let pods_come_from = "system:serviceaccount:kube-system:replicaset-controller";
    let events = namespace.cluster.audited("events", "");
    assert!(events.iter().all(|event| event["objectRef"]["namespace"] == "events"));
    let text = std::fs::read_to_string(namespace.cluster.audit_log()).unwrap();
    assert!(
        text.lines()
            .any(|line| line.contains(r#""resource":"pods","namespace":"events""#) && line.contains(pods_come_from))
    );

    namespace.create(&deployment("bad", 1, &[&bad.tagged])).warned(UNSIGNED);
    let message = eventually("the refusal of its Pod is an event", || {
        let events = namespace.kubectl(&["get", "events", "--field-selector=reason=FailedCreate", "-o", "json"]).json();
        let event = events["items"].as_array()?.first()?.clone();
        assert_eq!(event["involvedObject"]["kind"], "ReplicaSet", "{event}");
        Some(event["message"].as_str()?.to_owned())
    });
    assert!(message.contains(&bad.pinned) && message.contains(UNSIGNED), "{message}");
    eventually("it is a condition of the Deployment", || {
        let conditions = namespace.field("deployment", "bad", "/status/conditions");
        conditions.as_array()?.iter().find(|condition| {
            condition["type"] == "ReplicaFailure"
                && condition["message"].as_str().is_some_and(|text| text.contains(UNSIGNED))
        })?;
        Some(())
    });
    assert!(namespace.pods_of("bad").is_empty());
    // Signed after all, its Pods come, of the old ReplicaSet or of the new one.
    bad.sign(crate::images::Keys::trusted());
    namespace.kubectl(&["rollout", "restart", "deployment/bad"]).ok();
    let pod = eventually("its Pod comes", || namespace.pods_of("bad").pop());
    assert_eq!(pod["spec"]["containers"][0]["image"], bad.pinned.as_str());
}

#[test]
fn every_maker_of_pods_is_warned_or_refused_where_that_is_asked() {
    let Some(warning) = Guarded::new("makers") else { return };
    let flags = ["--enforce-workloads"];
    let Some(strict) = Guarded::with("makers-strict", registry(), &policy(registry(), ""), &flags) else { return };
    let (good, bad) = (Image::signed("makers/good:v1"), Image::push("makers/bad:v1"));
    let makers = |image: &Image| -> Vec<Value> {
        let base = deployment("maker", 0, &[&image.tagged]);
        let (template, selector) = (base["spec"]["template"].clone(), base["spec"]["selector"].clone());
        let mut job = template.clone();
        job["spec"]["restartPolicy"] = "Never".into();
        let apps = |kind: &str, spec: Value| json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "maker"}, "spec": spec});
        let suspended = json!({"suspend": true, "template": job});
        vec![
            base.clone(),
            apps("StatefulSet", json!({"replicas": 0, "serviceName": "s", "selector": selector, "template": template})),
            apps("DaemonSet", json!({"selector": selector, "template": template})),
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "maker"}, "spec": suspended}),
            json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "maker"}, "spec":
                {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": job}}}}),
            json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "maker"},
                "spec": {"replicas": 0, "template": template}}),
            json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "maker"}, "template": template}),
        ]
    };
    for object in makers(&bad) {
        warning.namespace.create(&object).warned(UNSIGNED);
        let told = strict.namespace.create(&object).refused("admission webhook \"workloads.portcullis.dev\"");
        assert!(told.contains(UNSIGNED), "{told}");
    }
    for object in makers(&good) {
        let told = strict.namespace.create(&object);
        assert_eq!(told.stderr, "", "{}", object["kind"]);
        told.ok();
    }
}

#[test]
fn an_unsigned_replica_set_of_before_scales_down_and_a_rollout_leaves_it() {
    let Some(old) = is_on().then(|| Image::push("rollout/old:v1")) else { return };
    let fill = |namespace: &Namespace<'_>| {
        let mut object = deployment("app", 3, &[&old.tagged]);
        // No kubelet says that a Pod is ready: the old ones may go before the new ones are.
        object["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 1}});
        namespace.create(&object).ok();
        images_of(namespace, "app", 3);
    };
    let Some(guarded) = Guarded::after("rollout", fill) else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, bad) = (Image::signed("rollout/good:v1"), Image::push("rollout/bad:v1"));
    namespace.kubectl(&["scale", "deployment/app", "--replicas=1"]).ok();
    assert_eq!(images_of(namespace, "app", 1), [old.tagged.as_str()]);
    // Up again is another matter: those Pods are new.
    namespace.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    eventually("its new Pod is refused", || {
        let events = namespace.kubectl(&["get", "events", "--field-selector=reason=FailedCreate", "-o", "json"]).ok();
        events.contains(UNSIGNED).then_some(())
    });
    assert_eq!(namespace.pods_of("app").len(), 1);
    let set = |image: &Image| namespace.kubectl(&["set", "image", "deployment/app", &format!("c0={}", image.tagged)]);
    set(&good).ok();
    assert_eq!(images_of(namespace, "app", 2), [good.pinned.as_str(); 2]);
    set(&bad).warned(UNSIGNED);
    // Back to the first revision: a template that was there before the gate is judged as any other.
    namespace.kubectl(&["rollout", "undo", "deployment/app", "--to-revision=1"]).warned(UNSIGNED);
    for pod in namespace.pods_of("app") {
        assert_eq!(pod["spec"]["containers"][0]["image"], good.pinned.as_str());
    }
}

#[test]
fn many_replicas_are_one_look_at_the_registry() {
    let Some(_) = is_on().then_some(()) else { return };
    let front = portcullis_testkit::HttpServer::in_front_of(registry());
    let image = Image::push_to(front.address(), "replicas/app:v1", "replicas");
    image.sign(crate::images::Keys::trusted());
    let policy = policy(front.address(), "");
    let Some(guarded) = Guarded::with("replicas", front.address(), &policy, &[]) else { return };
    front.requests();
    guarded.namespace.create(&deployment("app", 50, &[&image.pinned])).ok();
    assert_eq!(images_of(&guarded.namespace, "app", 50), vec![image.pinned.clone(); 50]);
    let mut asked: Vec<String> = front.requests().into_iter().map(|request| request.path).collect();
    let count = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), count, "nothing is asked twice: {asked:?}");
}
