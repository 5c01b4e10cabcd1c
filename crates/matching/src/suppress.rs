//! Findings that do not count, and why. They stay in the report.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{Finding, LookupError, Package, PackageType, Suppression, Text, Timestamp};

/// A kernel's vulnerabilities are in the kernel that runs: its headers, documentation, build files and tools are built
/// from the same source, and hold none of it.
pub(crate) fn kernel_files(finding: &mut Finding, package: &Package) {
    if !is_of_kernel(finding, package) || !is_no_kernel(&package.name) {
        return;
    }
    finding.references.clear();
    finding.suppressed = Some(Box::new(Suppression {
        by: "not-a-kernel".into(),
        reason: format!("{} is built with the kernel and is none: a container runs its host's", package.name),
        expires: None,
    }));
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
/// `decides` says whether advisories have ever spoken of the package that installed one, or whether it is the own package
/// of a distribution whose records name what is unfixed, too: silence about a package that the distribution does not
/// know, such as one that somebody built for an own image, says nothing. Nor does its silence about what was published after its `end_of_life`.
pub(crate) fn owned(
    findings: &mut [Finding],
    packages: &[Package],
    end_of_life: Option<Timestamp>,
    decides: impl Fn(&Package) -> Result<bool, LookupError>,
) -> Result<(), LookupError> {
    let owners: HashMap<&str, &str> =
        packages.iter().filter_map(|package| Some((package.purl.as_str(), package.owned_by.as_deref()?))).collect();
    if owners.is_empty() {
        return Ok(());
    }
    let of_system = packages.iter().filter(|package| package.kind.is_operating_system());
    let of_system: HashMap<&str, &Package> = of_system.map(|package| (package.purl.as_str(), package)).collect();
    // What the distribution says of its own packages, by vulnerability.
    let listed: BTreeSet<(String, Text)> = findings
        .iter()
        .filter(|finding| finding.package.kind.is_operating_system())
        .map(|finding| (finding.package.purl.clone(), key(finding)))
        .collect();
    let mut deciding: HashMap<&str, bool> = HashMap::new();
    for finding in findings {
        let Some(&owner) = owners.get(finding.package.purl.as_str()) else { continue };
        let Some(package) = of_system.get(owner).filter(|_| finding.suppressed.is_none()) else { continue };
        let is_deciding = match deciding.get(owner) {
            Some(&known) => known,
            None => *deciding.entry(owner).or_insert(decides(package)?),
        };
        if !is_deciding {
            continue;
        }
        let is_too_new = || end_of_life.is_some_and(|end| finding.published.is_none_or(|published| published > end));
        let reason = if listed.contains(&(owner.to_owned(), key(finding))) {
            format!("its files belong to {owner}, which has this finding itself")
        } else if finding.cve.is_none() || is_too_new() {
            // Of what has no CVE they never speak: their lists are of those.
            continue;
        } else {
            format!("its files belong to {owner}, which the distribution's own advisories do not list as affected")
        };
        finding.suppressed = Some(Box::new(Suppression { by: "distribution".into(), reason, expires: None }));
    }
    Ok(())
}

fn key(finding: &Finding) -> Text {
    finding.cve.as_ref().unwrap_or(&finding.id).clone()
}
