//! Registries that are slow, that refuse, that lie or that are gone: *unknown* never passes, and what was verified goes on.

use std::net::TcpListener;

use portcullis_embedded_registry::EmbeddedRegistry;
use portcullis_testkit::{Fault, HttpServer};
use portcullis_tests::{Registry, is_on};

use crate::{
    gate::Guarded,
    images::{Image, Keys, policy, registry},
    kubectl::pod,
};

#[test]
fn a_registry_that_never_answers_is_unknown_in_time() {
    if !is_on() {
        return;
    }
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let Some(guarded) = Guarded::with("slow", at, &policy(at, ""), &["--timeout", "2s"]) else { return };
    let told = guarded.namespace.create(&pod("app", &[&format!("{at}/slow/app:v1")]));
    // The answer is the webhook's, not the API server's when it waited too long.
    told.refused("admission webhook \"pin.portcullis.dev\" denied the request: [baseline]");
}

#[test]
fn a_registry_that_throttles_is_unknown_and_not_a_registry_without_evidence() {
    if !is_on() {
        return;
    }
    let front = HttpServer::in_front_of(registry());
    let at = front.address();
    let (good, kept) = (Image::push_to(at, "throttle/good:v1", "good"), Image::push_to(at, "throttle/kept:v1", "kept"));
    good.sign(Keys::trusted());
    kept.sign(Keys::trusted());
    let Some(guarded) = Guarded::with("throttle", at, &policy(at, ""), &["--timeout", "3s"]) else { return };
    let Guarded { namespace, .. } = &guarded;
    namespace.create(&pod("kept", &[&kept.pinned])).ok();
    for status in [429, 503, 401, 403] {
        for path in ["/manifests/", "/referrers/", "/blobs/"] {
            front.fail(path, std::iter::repeat_n(Fault::Status(status, Vec::new()), 50));
            let told = namespace.create(&pod("app", &[&good.tagged])).refused("[baseline]");
            // It says what was in the way, beside what is missing.
            assert!(told.contains(&format!("at {at}: ")), "{status} at {path}: {told}");
            // What was verified and is fresh goes on: nothing is asked for it.
            namespace.kubectl(&["delete", "pod", "kept"]).ok();
            namespace.create(&pod("kept", &[&kept.pinned])).ok();
            front.heal();
        }
    }
    namespace.create(&pod("app", &[&good.tagged])).ok();
}

#[test]
fn a_registry_that_lies_is_not_believed() {
    if !is_on() {
        return;
    }
    let front = HttpServer::in_front_of(registry());
    let at = front.address();
    let (good, bad) = (Image::push_to(at, "lie/app:v1", "good"), Image::push_to(at, "lie/bad:v1", "bad"));
    good.sign(Keys::trusted());
    let Some(guarded) = Guarded::with("lie", at, &policy(at, ""), &["--timeout", "3s"]) else { return };
    let Guarded { namespace, .. } = &guarded;
    let digest = good.pinned.split_once('@').unwrap().1;
    // Other bytes under the digest that was asked for.
    front.fail(&format!("/manifests/{digest}"), vec![Fault::Body(b"{}".to_vec()); 50]);
    front.fail("/blobs/", vec![Fault::Body(b"{}".to_vec()); 50]);
    namespace.create(&pod("app", &[&good.pinned])).refused("[baseline]");
    front.heal();
    // A digest in the header that is not that of the body: the bytes count.
    let bad_manifest = reqwest::blocking::Client::new();
    let url = format!("http://{at}/v2/lie/bad/manifests/v1");
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let body = bad_manifest.get(&url).header("accept", accept).send().unwrap().bytes().unwrap().to_vec();
    front.fail("/lie/app/manifests/v1", vec![Fault::Body(body); 50]);
    let told = namespace.create(&pod("app", &[&good.tagged]));
    assert!(!told.is_ok(), "another image's bytes under a signed image's tag: {told:?}");
    front.heal();
    namespace.create(&pod("app", &[&good.tagged])).ok();
    // Evidence of another image, under this one's name.
    let referrers = format!("http://{at}/v2/lie/app/referrers/{digest}");
    let theirs = bad_manifest.get(referrers).send().unwrap().bytes().unwrap().to_vec();
    front.fail("/lie/bad/referrers/", vec![Fault::Body(theirs); 50]);
    namespace.create(&pod("bad", &[&bad.tagged])).refused("[baseline]");
}

#[test]
fn what_was_verified_outlives_its_registry() {
    if !is_on() {
        return;
    }
    let own = EmbeddedRegistry::start(Default::default()).unwrap();
    let at = own.address();
    let (good, never) = (Image::push_to(at, "gone/app:v1", "good"), Image::push_to(at, "gone/never:v1", "never"));
    good.sign(Keys::trusted());
    never.sign(Keys::trusted());
    let Some(guarded) = Guarded::with("gone", at, &policy(at, ""), &["--timeout", "3s"]) else { return };
    let Guarded { namespace, .. } = &guarded;
    namespace.create(&pod("app", &[&good.tagged])).ok();
    drop(own);
    namespace.create(&pod("again", &[&good.pinned])).ok();
    namespace.create(&pod("never", &[&never.pinned])).refused("[baseline]");
    // Where a tag leads now nobody can say.
    namespace.create(&pod("by-tag", &[&good.tagged])).refused("[baseline]");
}

#[test]
fn a_registry_of_before_referrers_serves_as_well() {
    if !is_on() {
        return;
    }
    let Some(docker) = Registry::docker() else { return };
    let image = Image::push_to(docker.address, "older/app:v1", "older");
    let Some(guarded) = Guarded::with("older", docker.address, &policy(docker.address, ""), &[]) else { return };
    guarded.namespace.create(&pod("app", &[&image.tagged])).refused("no trusted verdict is attested");
    image.sign(Keys::trusted());
    guarded.namespace.create(&pod("app", &[&image.tagged])).ok();
    assert_eq!(guarded.namespace.field("pod", "app", "/spec/containers/0/image"), image.pinned.as_str());
}
