//! The checks of the level `baseline`.

use serde_json::Value;

use super::{Finding, PodSecurityCheck};
use crate::workloads::{
    PodSecurityLevel::Baseline,
    pod::{Pod, is_on, set},
};

const fn check(id: &'static str, run: fn(&Pod<'_>, &mut Vec<Finding>)) -> PodSecurityCheck {
    PodSecurityCheck { id, level: Baseline, overrides: None, run }
}

/// A value as a message shows it.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("`{text}`"))
}

pub(super) const APP_ARMOR_PROFILE: PodSecurityCheck = check("appArmorProfile", |pod, found| {
    let fix = "write RuntimeDefault or Localhost, or leave it out";
    for context in pod.security_contexts() {
        let Some(profile) = set(context.value, "/appArmorProfile") else { continue };
        let kind = profile.get("type").unwrap_or(&Value::Null);
        if !matches!(kind.as_str(), Some("RuntimeDefault" | "Localhost")) {
            let field = format!("{}.appArmorProfile.type", context.field);
            found.push(Finding::new(field, format!("is {}", shown(kind)), fix));
        }
    }
    for (name, value) in pod.annotations.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let is_profile = name.starts_with("container.apparmor.security.beta.kubernetes.io/");
        if is_profile && !(value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")) {
            let field = format!("{}.annotations[{name}]", pod.metadata_field);
            found.push(Finding::new(field, format!("is `{value}`"), "write runtime/default, or leave it out"));
        }
    }
});

/// What a container may add: the capabilities that it has without asking.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) const CAPABILITIES: PodSecurityCheck =
    check("capabilities_baseline", |pod, found| added_capabilities(pod, &DEFAULT_CAPABILITIES, found));

/// Containers that add other capabilities than `allowed`.
pub(super) fn added_capabilities(pod: &Pod<'_>, allowed: &[&str], found: &mut Vec<Finding>) {
    for container in pod.containers() {
        let added = container.value.pointer("/securityContext/capabilities/add").and_then(Value::as_array);
        for (index, name) in added.into_iter().flatten().enumerate() {
            if !name.as_str().is_some_and(|name| allowed.contains(&name)) {
                let field = format!("{}.securityContext.capabilities.add[{index}]", container.field);
                found.push(Finding::new(field, format!("is {}", shown(name)), format!("add {}", allowed.join(", "))));
            }
        }
    }
}

pub(super) const HOST_NAMESPACES: PodSecurityCheck = check("hostNamespaces", |pod, found| {
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_on(pod.spec.get(name)) {
            found.push(Finding::new(format!("{}.{name}", pod.field), "is true", "leave it out"));
        }
    }
});

pub(super) const HOST_PATH_VOLUMES: PodSecurityCheck = check("hostPathVolumes", |pod, found| {
    for volume in pod.volumes() {
        if set(volume.value, "/hostPath").is_some() {
            let fix = "use a persistentVolumeClaim, an emptyDir or a configMap";
            found.push(Finding::new(format!("{}.hostPath", volume.field), "is there", fix));
        }
    }
});

pub(super) const HOST_PORTS: PodSecurityCheck = check("hostPorts", |pod, found| {
    for container in pod.containers() {
        let ports = container.value.get("ports").and_then(Value::as_array);
        for (index, port) in ports.into_iter().flatten().enumerate() {
            if let Some(number) = set(port, "/hostPort").filter(|number| number.as_i64() != Some(0)) {
                let field = format!("{}.ports[{index}].hostPort", container.field);
                found.push(Finding::new(field, format!("is {number}"), "leave it out, and use a Service"));
            }
        }
    }
});

pub(super) const HOST_PROBES: PodSecurityCheck = check("hostProbesAndHostLifecycle", |pod, found| {
    let owners = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"];
    for container in pod.containers() {
        for (owner, handler) in owners.iter().flat_map(|owner| ["httpGet", "tcpSocket"].map(|way| (owner, way))) {
            let host = set(container.value, &format!("/{owner}/{handler}/host"));
            if let Some(host) = host.filter(|host| host.as_str() != Some("")) {
                let field = format!("{}.{}.{handler}.host", container.field, owner.replace('/', "."));
                found.push(Finding::new(field, format!("is {}", shown(host)), "leave it out: the Pod is asked then"));
            }
        }
    }
});

pub(super) const PRIVILEGED: PodSecurityCheck = check("privileged", |pod, found| {
    for container in pod.containers() {
        if is_on(container.value.pointer("/securityContext/privileged")) {
            let field = format!("{}.securityContext.privileged", container.field);
            found.push(Finding::new(field, "is true", "leave it out"));
        }
    }
});

pub(super) const PROC_MOUNT: PodSecurityCheck = check("procMount", |pod, found| {
    if !pod.has_own_users() {
        unmasked_proc(pod, found);
    }
});

pub(super) fn unmasked_proc(pod: &Pod<'_>, found: &mut Vec<Finding>) {
    for container in pod.containers() {
        let mount = set(container.value, "/securityContext/procMount");
        if let Some(mount) = mount.filter(|mount| mount.as_str() != Some("Default")) {
            let field = format!("{}.securityContext.procMount", container.field);
            found.push(Finding::new(field, format!("is {}", shown(mount)), "leave it out"));
        }
    }
}

pub(super) const SECCOMP_PROFILE: PodSecurityCheck = check("seccompProfile_baseline", forbidden_seccomp);

/// Profiles that are named and are none of those that confine.
pub(super) fn forbidden_seccomp(pod: &Pod<'_>, found: &mut Vec<Finding>) {
    for context in pod.security_contexts() {
        let Some(profile) = set(context.value, "/seccompProfile") else { continue };
        let kind = profile.get("type").unwrap_or(&Value::Null);
        if !matches!(kind.as_str(), Some("RuntimeDefault" | "Localhost")) {
            let field = format!("{}.seccompProfile.type", context.field);
            found.push(Finding::new(field, format!("is {}", shown(kind)), "write RuntimeDefault or Localhost"));
        }
    }
}

const SE_LINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) const SE_LINUX_OPTIONS: PodSecurityCheck = check("seLinuxOptions", |pod, found| {
    for context in pod.security_contexts() {
        let Some(options) = set(context.value, "/seLinuxOptions") else { continue };
        let field = format!("{}.seLinuxOptions", context.field);
        let kind = set(options, "/type");
        if let Some(kind) = kind.filter(|kind| !kind.as_str().is_some_and(|kind| SE_LINUX_TYPES.contains(&kind))) {
            let fix = "write container_t, container_init_t, container_kvm_t or container_engine_t, or leave it out";
            found.push(Finding::new(format!("{field}.type"), format!("is {}", shown(kind)), fix));
        }
        for name in ["user", "role"] {
            let value = set(options, &format!("/{name}"));
            if let Some(value) = value.filter(|value| value.as_str() != Some("")) {
                found.push(Finding::new(format!("{field}.{name}"), format!("is {}", shown(value)), "leave it out"));
            }
        }
    }
});

/// Parameters of the kernel that hold for the Pod alone.
const SAFE_SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

pub(super) const SYSCTLS: PodSecurityCheck = check("sysctls", |pod, found| {
    let sysctls = pod.spec.pointer("/securityContext/sysctls").and_then(Value::as_array);
    for (index, sysctl) in sysctls.into_iter().flatten().enumerate() {
        let name = sysctl.get("name").unwrap_or(&Value::Null);
        if !name.as_str().is_some_and(|name| SAFE_SYSCTLS.contains(&name)) {
            let field = format!("{}.securityContext.sysctls[{index}].name", pod.field);
            found.push(Finding::new(field, format!("is {}", shown(name)), "leave it out: it is set on the node"));
        }
    }
});

pub(super) const WINDOWS_HOST_PROCESS: PodSecurityCheck = check("windowsHostProcess", |pod, found| {
    for context in pod.security_contexts() {
        if is_on(context.value.pointer("/windowsOptions/hostProcess")) {
            let field = format!("{}.windowsOptions.hostProcess", context.field);
            found.push(Finding::new(field, "is true", "leave it out"));
        }
    }
});
