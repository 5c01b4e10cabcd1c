//! Findings that do not count, and why. They stay in the report.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{Finding, Package, PackageType, Suppression};

use crate::{plan::Plan, third_parties::publisher};

/// A kernel's vulnerabilities are in the kernel that runs: its headers, documentation, build files and tools are built
/// from the same source, and hold none of it.
pub(crate) fn kernel_files(finding: &mut Finding, package: &Package) {
    if !is_of_kernel(finding, package) || !is_no_kernel(&package.name) {
        return;
    }
    finding.references.clear();
    finding.suppressed = Some(Suppression {
        by: "not-a-kernel".into(),
        reason: format!("{} is built with the kernel and is none: a container runs its host's", package.name),
        expires: None,
    });
}

fn is_of_kernel(finding: &Finding, package: &Package) -> bool {
    let source = package.source.as_ref().map_or(package.name.as_str(), |source| &source.name);
    let is_kernel = |name: &str| {
        matches!(name, "linux" | "kernel" | "kernel-rt" | "kernel-headers" | "kernel-uek" | "kernel-default")
            || ["linux-", "kernel-"].iter().any(|prefix| name.starts_with(prefix))
    };
    let is_of_system = matches!(package.kind, PackageType::Deb | PackageType::Rpm | PackageType::Apk);
    is_of_system && (is_kernel(source) || is_kernel(&finding.evidence.name))
}

/// What kernels' sources build besides kernels, on any distribution.
fn is_no_kernel(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "linux-libc-dev",
        "linux-headers",
        "linux-doc",
        "linux-perf",
        "linux-cpupower",
        "linux-glibc-devel",
        "bpftool",
        "libcpupower1",
        "libcpupower-dev",
        "usbip",
        "hyperv-daemons",
        "rtla",
        "rv",
        "perf",
        "python3-perf",
        "kernel-headers",
        "kernel-docs",
    ];
    const PREFIXES: [&str; 17] = [
        "linux-headers-",
        "linux-kbuild-",
        "linux-doc-",
        "linux-source-",
        "linux-tools-",
        "linux-cloud-tools-",
        "linux-perf-",
        "linux-compiler-",
        "linux-config-",
        "linux-support-",
        "linux-buildinfo-",
        "kernel-tools",
        "kernel-devel",
        "kernel-doc",
        "kernel-srpm-macros",
        "kernel-abi-",
        "kernel-macros",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.ends_with("-headers")
}

/// Packages of a language that the distribution installed: it mends them without changing their version, so its own
/// advisories say what affects them. Not so for what a third party, or a distribution without advisories, installed.
pub(crate) fn owned(findings: &mut [Finding], packages: &[Package], plan: &Plan) {
    let (Some(rule), false) = (plan.rule, plan.ecosystems.is_empty()) else { return };
    let owners: HashMap<&str, &str> =
        packages.iter().filter_map(|package| Some((package.purl.as_str(), package.owned_by.as_deref()?))).collect();
    if owners.is_empty() {
        return;
    }
    let others: BTreeSet<&str> = packages
        .iter()
        .filter(|package| package.kind.is_operating_system())
        .filter(|package| package.kind != rule.kind || publisher(package, rule).is_some())
        .map(|package| package.purl.as_str())
        .collect();
    // What the distribution says of its own packages, by vulnerability.
    let listed: BTreeSet<(String, String)> = findings
        .iter()
        .filter(|finding| finding.package.kind.is_operating_system())
        .map(|finding| (finding.package.purl.clone(), key(finding)))
        .collect();
    for finding in findings {
        let Some(&owner) = owners.get(finding.package.purl.as_str()) else { continue };
        if others.contains(owner) || finding.suppressed.is_some() {
            continue;
        }
        let reason = if listed.contains(&(owner.to_owned(), key(finding))) {
            format!("its files belong to {owner}, which has this finding itself")
        } else {
            format!("its files belong to {owner}, which the distribution's own advisories do not list as affected")
        };
        finding.suppressed = Some(Suppression { by: "distribution".into(), reason, expires: None });
    }
}

fn key(finding: &Finding) -> String {
    finding.cve.clone().unwrap_or_else(|| finding.id.clone())
}
