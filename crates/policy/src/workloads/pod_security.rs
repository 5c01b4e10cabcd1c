//! The Pod Security Standards, by the checks and under the names of Kubernetes' own admission plugin.
//!
//! Standard: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, as of [`POD_SECURITY_VERSION`].
//! A test sets every check against the plugin's own fixtures.

mod baseline;
mod restricted;

use portcullis_model::Outcome;

use super::{PodSecurityLevel, Violation, WorkloadFacts, pod::Pod};
use crate::judge::shown;

/// The version of the standards: that of this Kubernetes release.
pub const POD_SECURITY_VERSION: &str = "v1.37";

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct PodSecurityCheck {
    /// The name that Kubernetes gives it.
    pub id: &'static str,
    /// The lowest level that makes it.
    pub level: PodSecurityLevel,
    /// The check of a lower level that it stands in for.
    overrides: Option<&'static str>,
    run: fn(&Pod<'_>, &mut Vec<Finding>),
}

/// What a check finds.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The field.
    field: String,
    /// What it is, or what it lacks.
    message: String,
    fix: String,
}

impl Finding {
    fn new(field: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), fix: fix.into() }
    }
}

/// All checks.
pub const CHECKS: &[PodSecurityCheck] = &[
    baseline::APP_ARMOR_PROFILE,
    baseline::CAPABILITIES,
    baseline::HOST_NAMESPACES,
    baseline::HOST_PATH_VOLUMES,
    baseline::HOST_PORTS,
    baseline::HOST_PROBES,
    baseline::PRIVILEGED,
    baseline::PROC_MOUNT,
    baseline::SECCOMP_PROFILE,
    baseline::SE_LINUX_OPTIONS,
    baseline::SYSCTLS,
    baseline::WINDOWS_HOST_PROCESS,
    restricted::ALLOW_PRIVILEGE_ESCALATION,
    restricted::CAPABILITIES,
    restricted::PROC_MOUNT,
    restricted::RESTRICTED_VOLUMES,
    restricted::RUN_AS_NON_ROOT,
    restricted::RUN_AS_USER,
    restricted::SECCOMP_PROFILE,
];

/// Makes every check of a level but those of `except`.
pub(super) fn judge(
    level: PodSecurityLevel,
    except: &[String],
    facts: &WorkloadFacts<'_>,
    violations: &mut Vec<Violation>,
) {
    let pod = Pod::of(facts);
    let is_made = |check: &&PodSecurityCheck| check.level <= level && !except.iter().any(|name| name == check.id);
    let made: Vec<&PodSecurityCheck> = CHECKS.iter().filter(is_made).collect();
    for check in &made {
        if made.iter().any(|other| other.overrides == Some(check.id)) {
            continue;
        }
        let mut found = Vec::new();
        (check.run)(&pod, &mut found);
        violations.extend(found.into_iter().map(|Finding { field, message, fix }| Violation {
            result: Outcome::Fail,
            rule: format!("podSecurity.{}", check.id),
            message: format!(
                "{field} {}: {} of the Pod Security Standards, {} {POD_SECURITY_VERSION}",
                shown(&message),
                check.id,
                check.level.as_str()
            ),
            fix: Some(fix),
        }));
    }
}
