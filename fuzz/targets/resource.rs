//! A policy or an exemption as a custom resource, and an object that a policy's rules look at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_model::Timestamp;
use portcullis_policy::{Exemption, PodSecurityLevel, Policy, WorkloadFacts, WorkloadReview, WorkloadRules};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else { return };
    let now = Timestamp::from_unix(1_790_000_000);
    _ = Policy::from_resource(&object, now);
    _ = Exemption::from_resource(&object, now);
    let facts = WorkloadFacts {
        object: &object,
        old_object: None,
        pod_spec: "/spec",
        request: None,
        namespace_object: None,
    };
    let restricted = WorkloadRules { pod_security: Some(PodSecurityLevel::Restricted), ..WorkloadRules::default() };
    let baseline = WorkloadRules { pod_security: Some(PodSecurityLevel::Baseline), ..WorkloadRules::default() };
    // What the lower level refuses, the higher one refuses, too.
    if !WorkloadReview::new(facts).judge(&baseline).is_empty() && object.pointer("/spec/os/name").is_none() {
        assert!(!WorkloadReview::new(facts).judge(&restricted).is_empty());
    }
});
