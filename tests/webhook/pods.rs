//! Pods, and every way by which an image gets into one.

use portcullis_tests::is_on;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    gate::Guarded,
    images::{Image, Keys},
    kubectl::{Namespace, pod},
};

const IMAGE: &str = "/spec/containers/0/image";
/// What a refusal for want of evidence says.
const UNSIGNED: &str = "no trusted verdict is attested";

#[test]
fn a_signed_image_is_admitted_and_held_to_its_digest() {
    let Some(guarded) = Guarded::new("signed") else { return };
    let Guarded { namespace, .. } = &guarded;
    let image = Image::signed("signed/app:v1");
    namespace.create(&pod("app", &[&image.tagged])).ok();
    assert_eq!(namespace.field("pod", "app", IMAGE), image.pinned.as_str());
    // What was decided stands in the audit log, for both calls.
    let annotations = eventually("the event is written", || {
        let mut events = namespace.cluster.audited("signed", "app");
        events.retain(|event| event["verb"] == "create");
        Some(events.pop()?["annotations"].clone())
    });
    for webhook in ["pin", "verify"] {
        assert_eq!(annotations[format!("{webhook}.portcullis.dev/decision")], "allow", "{annotations}");
        let images = annotations[format!("{webhook}.portcullis.dev/images")].as_str().unwrap();
        assert_eq!(images, format!("{} pass [baseline: pass]", image.pinned));
    }
}

#[test]
fn an_unsigned_image_is_refused_in_the_documented_words() {
    let Some(guarded) = Guarded::new("unsigned") else { return };
    let image = Image::push("unsigned/app:v1");
    let told =
        guarded.namespace.create(&pod("app", &[&image.tagged])).refused("admission webhook \"pin.portcullis.dev\"");
    let words = format!(
        "[baseline] {0}: no trusted verdict is attested: run `portcullis scan --attest`; \
         fix: portcullis scan {0} --attest --key KEY",
        image.pinned
    );
    assert!(told.contains(&words), "{told}");
    // A signature by others is none.
    image.sign(&Keys::generate());
    guarded.namespace.create(&pod("app", &[&image.tagged])).refused(UNSIGNED);
    image.sign(Keys::trusted());
    guarded.namespace.create(&pod("app", &[&image.tagged])).ok();
}

#[test]
fn a_tag_that_moves_takes_no_pod_with_it() {
    let Some(guarded) = Guarded::new("moving-tag") else { return };
    let Guarded { namespace, .. } = &guarded;
    let first = Image::signed("moving/app:v1");
    namespace.create(&pod("first", &[&first.tagged])).ok();
    let moved = Image::push_to(crate::images::registry(), "moving/app:v1", "others");
    assert_eq!(moved.tagged, first.tagged);
    // The tag is asked anew, whatever is remembered of its name.
    namespace.create(&pod("second", &[&moved.tagged])).refused(UNSIGNED);
    // The running Pod stays with what was verified, and is not an open door to the tag.
    namespace.kubectl(&["label", "pod", "first", "seen=yes"]).ok();
    assert_eq!(namespace.field("pod", "first", IMAGE), first.pinned.as_str());
    namespace.kubectl(&["set", "image", "pod/first", &format!("c0={}", first.tagged)]).refused(UNSIGNED);
    namespace.create(&pod("by-digest", &[&first.pinned])).ok();
    moved.sign(Keys::trusted());
    namespace.create(&pod("second", &[&moved.tagged])).ok();
    assert_eq!(namespace.field("pod", "second", IMAGE), moved.pinned.as_str());
}

#[test]
fn every_place_of_a_pod_is_looked_at() {
    let Some(guarded) = Guarded::new("places") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, bad) = (Image::signed("places/good:v1"), Image::push("places/bad:v1"));
    let places: [(&str, Value, &str); 4] = [
        ("init", json!({"initContainers": [{"name": "x", "image": "IMAGE"}]}), "/spec/initContainers/0/image"),
        (
            "sidecar",
            json!({"initContainers": [{"name": "x", "image": "IMAGE", "restartPolicy": "Always"}]}),
            "/spec/initContainers/0/image",
        ),
        (
            "second",
            json!({"containers": [{"name": "c0", "image": good.tagged}, {"name": "x", "image": "IMAGE"}]}),
            "/spec/containers/1/image",
        ),
        (
            "volume",
            json!({"volumes": [{"name": "x", "image": {"reference": "IMAGE", "pullPolicy": "IfNotPresent"}}]}),
            "/spec/volumes/0/image/reference",
        ),
    ];
    for (name, more, place) in places {
        let with = |image: &Image| {
            let mut object = pod(name, &[&good.tagged]);
            let more: Value = serde_json::from_str(&more.to_string().replace("IMAGE", &image.tagged)).unwrap();
            object["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            object
        };
        let told = namespace.create(&with(&bad)).refused(UNSIGNED);
        assert!(told.contains(&bad.pinned) && !told.contains(&good.pinned), "{told}");
        namespace.create(&with(&good)).ok();
        assert_eq!(namespace.field("pod", name, place), good.pinned.as_str(), "{name}");
        assert_eq!(namespace.field("pod", name, IMAGE), good.pinned.as_str(), "{name}");
    }
}

#[test]
fn ephemeral_containers_come_by_the_gate() {
    let Some(guarded) = Guarded::new("ephemeral") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (app, tools) = (Image::signed("ephemeral/app:v1"), Image::signed("ephemeral/tools:v1"));
    let bad = Image::push("ephemeral/bad:v1");
    namespace.create(&pod("app", &[&app.tagged])).ok();
    let debug = |name: &str, image: &Image| {
        let (image, container) = (format!("--image={}", image.tagged), format!("--container={name}"));
        namespace.kubectl(&["debug", "app", &image, &container, "--attach=false"])
    };
    debug("bad", &bad).refused(UNSIGNED);
    debug("tools", &tools).ok();
    assert_eq!(namespace.field("pod", "app", "/spec/ephemeralContainers/0/image"), tools.pinned.as_str());
    // The subresource by hand, beside the container that is there.
    let patch = json!({"spec": {"ephemeralContainers": [{"name": "raw", "image": bad.tagged}]}}).to_string();
    namespace
        .kubectl(&["patch", "pod", "app", "--subresource=ephemeralcontainers", "--type=strategic", "-p", &patch])
        .refused(UNSIGNED);
    debug("more", &tools).ok();
    let containers = namespace.field("pod", "app", "/spec/ephemeralContainers");
    assert_eq!(containers.as_array().unwrap().len(), 2, "{containers}");
}

#[test]
fn an_image_changes_by_no_kind_of_request_unseen() {
    let Some(guarded) = Guarded::new("changes") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, better) = (Image::signed("changes/good:v1"), Image::signed("changes/better:v1"));
    let bad = Image::push("changes/bad:v1");
    namespace.create(&pod("app", &[&good.tagged])).ok();
    let strategic =
        |image: &Image| json!({"spec": {"containers": [{"name": "c0", "image": image.tagged}]}}).to_string();
    let replace = |image: &Image| json!([{"op": "replace", "path": IMAGE, "value": image.tagged}]).to_string();
    let applied = |image: &Image| {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        namespace.kubectl_with(&arguments, &pod("app", &[&image.tagged]))
    };
    let replaced = |image: &Image| {
        let mut object = namespace.get("pod", "app");
        *object.pointer_mut(IMAGE).unwrap() = image.tagged.as_str().into();
        namespace.kubectl_with(&["replace", "-f", "-"], &object)
    };
    let patched =
        |kind: &str, patch: &str| namespace.kubectl(&["patch", "pod", "app", &format!("--type={kind}"), "-p", patch]);
    for (image, is_good) in [(&bad, false), (&better, true), (&good, true)] {
        let ways = [
            ("set image", namespace.kubectl(&["set", "image", "pod/app", &format!("c0={}", image.tagged)])),
            ("strategic merge patch", patched("strategic", &strategic(image))),
            ("JSON patch", patched("json", &replace(image))),
            ("server-side apply", applied(image)),
            ("replace", replaced(image)),
        ];
        for (way, told) in ways {
            if is_good {
                told.ok();
            } else {
                let told = told.refused(UNSIGNED);
                assert!(told.contains(&bad.pinned), "{way}: {told}");
            }
            let expected = if is_good { image } else { &good };
            assert_eq!(namespace.field("pod", "app", IMAGE), expected.pinned.as_str(), "{way}");
        }
    }
    // The same manifest again: the digest that we wrote is no conflict for whoever applies a tag.
    for _ in 0..2 {
        namespace.kubectl_with(&["apply", "--server-side", "-f", "-"], &pod("applied", &[&good.tagged])).ok();
        assert_eq!(namespace.field("pod", "applied", IMAGE), good.pinned.as_str());
    }
}

#[test]
fn what_is_unsigned_from_before_can_end_and_cannot_change() {
    let bad = is_on().then(|| (Image::push("before/old:v1"), Image::push("before/other:v1")));
    let Some((old, other)) = bad else { return };
    let fill = |namespace: &Namespace<'_>| {
        let mut object = pod("held", &[&old.tagged]);
        object["metadata"]["finalizers"] = json!(["test.portcullis.dev/held"]);
        namespace.create(&object).ok();
        namespace.create(&pod("free", &[&old.tagged])).ok();
    };
    let Some(guarded) = Guarded::after("before", fill) else { return };
    let Guarded { namespace, .. } = &guarded;
    let set = |image: &Image| namespace.kubectl(&["set", "image", "pod/held", &format!("c0={}", image.tagged)]);
    namespace.kubectl(&["annotate", "pod", "held", "note=still the same images"]).ok();
    set(&other).refused(UNSIGNED);
    namespace.kubectl(&["delete", "pod", "held", "--wait=false"]).ok();
    assert!(namespace.field("pod", "held", "/metadata/deletionTimestamp").is_string());
    // That an object is on its way out opens no door.
    set(&other).refused(UNSIGNED);
    assert_eq!(namespace.field("pod", "held", IMAGE), old.tagged.as_str());
    namespace.kubectl(&["patch", "pod", "held", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]).ok();
    assert!(!namespace.kubectl(&["get", "pod", "held"]).is_ok(), "its finalizer was removed, so it is gone");
    namespace.kubectl(&["delete", "pod", "free"]).ok();
}

#[test]
fn nothing_but_the_image_is_changed() {
    let Some(guarded) = Guarded::new("kept") else { return };
    let unguarded = Namespace::new(guarded.namespace.cluster, "kept-unguarded");
    let image = Image::signed("kept/app:v1");
    let mut object = pod("app", &[&image.tagged]);
    // Fields that few clients know, and that a typed Pod of some other version would drop.
    object["spec"]["containers"][0].as_object_mut().unwrap().extend(
        json!({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
            "securityContext": {"procMount": "Default", "appArmorProfile": {"type": "RuntimeDefault"}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "stopSignal": "SIGUSR1"}})
        .as_object()
        .unwrap()
        .clone(),
    );
    object["spec"].as_object_mut().unwrap().extend(
        json!({"schedulingGates": [{"name": "test.portcullis.dev/gate"}], "os": {"name": "linux"},
            "resources": {"limits": {"memory": "64Mi"}}, "hostUsers": false, "terminationGracePeriodSeconds": 5,
            "volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle":
                {"name": "b", "path": "p", "optional": true}}]}}]})
        .as_object()
        .unwrap()
        .clone(),
    );
    let stored = |namespace: &Namespace<'_>| {
        namespace.create(&object).ok();
        let mut spec = namespace.field("pod", "app", "/spec");
        // The name of this volume is made up anew for each Pod.
        spec["volumes"].as_array_mut().unwrap().retain(|volume| volume["name"] == "v");
        spec["containers"][0]["volumeMounts"] = Value::Null;
        spec
    };
    let (expected, mut spec) = (stored(&unguarded), stored(&guarded.namespace));
    assert_eq!(spec["containers"][0]["image"], image.pinned.as_str());
    spec["containers"][0]["image"] = image.tagged.as_str().into();
    assert_eq!(spec, expected);
    assert_eq!(spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 1);
}

#[test]
fn a_dry_run_is_decided_and_leaves_nothing() {
    let Some(guarded) = Guarded::new("dry-run") else { return };
    let Guarded { namespace, .. } = &guarded;
    let (good, bad) = (Image::signed("dry/good:v1"), Image::push("dry/bad:v1"));
    let dry = |image: &Image| {
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        namespace.kubectl_with(&arguments, &pod("app", &[&image.tagged]))
    };
    dry(&bad).refused(UNSIGNED);
    assert_eq!(dry(&good).json().pointer(IMAGE).unwrap(), good.pinned.as_str());
    for kind in ["pods", "events"] {
        let list = namespace.kubectl(&["get", kind, "-o", "json"]).json();
        assert_eq!(list["items"], json!([]), "{kind}");
    }
}

#[test]
fn every_spelling_of_an_image_is_decided_alike() {
    let Some(cluster) = is_on().then(Cluster::shared).flatten() else { return };
    // A policy that trusts nobody answers without a registry, and names the image as it understood it.
    let policy = "apiVersion: portcullis.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata: {name: hub}\n\
                  spec: {images: [docker.io/library/nginx]}\n";
    let _ = cluster;
    let Some(guarded) = Guarded::with("spelling", crate::images::registry(), policy, &[]) else { return };
    let Guarded { namespace, .. } = &guarded;
    let digest = format!("sha256:{}", "a".repeat(64));
    let spellings = [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "index.docker.io/library/nginx",
        "registry-1.docker.io/library/nginx",
        "DOCKER.IO/library/nginx",
        "docker.io:443/library/nginx",
        "nginx:1.27",
        "docker.io/library/nginx:latest",
    ];
    let told = spellings.map(|spelling| {
        let told = namespace.create(&pod("app", &[&format!("{spelling}@{digest}")]));
        (spelling, told)
    });
    for (spelling, told) in told {
        let text = told.refused("pin.portcullis.dev");
        assert!(text.contains(&format!("[hub] docker.io/library/nginx@{digest}: ")), "{spelling}: {text}");
    }
    // Of none of these does the policy speak; and what is no name is refused as such.
    for other in ["nginx.io/nginx", "docker.io/nginx/nginx", "docker.io.evil.example/library/nginx", "localhost/nginx"]
    {
        namespace.create(&pod("app", &[&format!("{other}@{digest}")])).refused("no policy speaks of this image");
    }
    for wrong in ["Nginx", "nginx@sha256:abc", "https://docker.io/nginx", "nginx:", "docker.io/../nginx", " nginx"] {
        let told = namespace.create(&pod("app", &[wrong]));
        assert!(!told.is_ok() && !told.stderr.contains("[hub]"), "{wrong}: {told:?}");
    }
}
