//! The checks that the level `restricted` adds.

use serde_json::Value;

use super::{
    Finding, PodSecurityCheck,
    baseline::{added_capabilities, forbidden_seccomp, unmasked_proc},
};
use crate::workloads::{
    PodSecurityLevel::Restricted,
    pod::{Pod, set},
};

const fn check(
    id: &'static str,
    overrides: Option<&'static str>,
    run: fn(&Pod<'_>, &mut Vec<Finding>),
) -> PodSecurityCheck {
    PodSecurityCheck { id, level: Restricted, overrides, run }
}

pub(super) const ALLOW_PRIVILEGE_ESCALATION: PodSecurityCheck =
    check("allowPrivilegeEscalation", None, |pod, found| {
        // Windows has no such thing, and its Pods cannot say so.
        for container in pod.containers().into_iter().filter(|_| !pod.is_windows()) {
            if container.value.pointer("/securityContext/allowPrivilegeEscalation") != Some(&Value::Bool(false)) {
                let field = format!("{}.securityContext.allowPrivilegeEscalation", container.field);
                found.push(Finding::new(field, "is not false", "set it to false"));
            }
        }
    });

pub(super) const CAPABILITIES: PodSecurityCheck =
    check("capabilities_restricted", Some("capabilities_baseline"), |pod, found| {
        if pod.is_windows() {
            return;
        }
        for container in pod.containers() {
            let dropped = container.value.pointer("/securityContext/capabilities/drop").and_then(Value::as_array);
            if !dropped.is_some_and(|names| names.iter().any(|name| name == "ALL")) {
                let field = format!("{}.securityContext.capabilities.drop", container.field);
                found.push(Finding::new(field, "does not hold ALL", "set it to [ALL]"));
            }
        }
        added_capabilities(pod, &["NET_BIND_SERVICE"], found);
    });

pub(super) const PROC_MOUNT: PodSecurityCheck = check("procMount_restricted", Some("procMount"), unmasked_proc);

/// What a Pod may mount: what is its own, or given to it by name.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) const RESTRICTED_VOLUMES: PodSecurityCheck =
    check("restrictedVolumes", Some("hostPathVolumes"), |pod, found| {
        for volume in pod.volumes() {
            let fields = volume.value.as_object().into_iter().flatten();
            let kinds: Vec<&str> = fields
                .filter(|(name, value)| *name != "name" && !value.is_null())
                .map(|(name, _)| name.as_str())
                .collect();
            // The API server takes one of no kind for an emptyDir.
            let Some(kind) = kinds.first() else { continue };
            if !kinds.iter().any(|kind| VOLUMES.contains(kind)) {
                let fix = format!("use one of {}", VOLUMES.join(", "));
                found.push(Finding::new(&volume.field, format!("is {kind}"), fix));
            }
        }
    });

pub(super) const RUN_AS_NON_ROOT: PodSecurityCheck = check("runAsNonRoot", None, |pod, found| {
    if pod.has_own_users() {
        return;
    }
    let field = |owner: &str| format!("{owner}.securityContext.runAsNonRoot");
    let of_pod = set(pod.spec, "/securityContext/runAsNonRoot");
    let is_default = of_pod == Some(&Value::Bool(true));
    if of_pod.is_some() && !is_default {
        found.push(Finding::new(field(&pod.field), "is false", "set it to true"));
    }
    for container in pod.containers() {
        match set(container.value, "/securityContext/runAsNonRoot") {
            Some(Value::Bool(true)) => {}
            Some(_) => found.push(Finding::new(field(&container.field), "is false", "set it to true")),
            None if is_default => {}
            None => {
                let fix = format!("set it, or {}, to true", field(&pod.field));
                found.push(Finding::new(field(&container.field), "is not true", fix));
            }
        }
    }
});

pub(super) const RUN_AS_USER: PodSecurityCheck = check("runAsUser", None, |pod, found| {
    if pod.has_own_users() {
        return;
    }
    for context in pod.security_contexts() {
        if context.value.get("runAsUser").is_some_and(|user| user.as_i64() == Some(0)) {
            let field = format!("{}.runAsUser", context.field);
            found.push(Finding::new(field, "is 0, which is root", "name another user, or leave it out"));
        }
    }
});

pub(super) const SECCOMP_PROFILE: PodSecurityCheck =
    check("seccompProfile_restricted", Some("seccompProfile_baseline"), |pod, found| {
        if pod.is_windows() {
            return;
        }
        forbidden_seccomp(pod, found);
        if set(pod.spec, "/securityContext/seccompProfile/type").is_some() {
            return;
        }
        let field = |owner: &str| format!("{owner}.securityContext.seccompProfile.type");
        for container in pod.containers() {
            if set(container.value, "/securityContext/seccompProfile/type").is_none() {
                let fix = format!("set it, or {}, to RuntimeDefault", field(&pod.field));
                found.push(Finding::new(field(&container.field), "is not set", fix));
            }
        }
    });
