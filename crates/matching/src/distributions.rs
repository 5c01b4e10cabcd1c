//! From `os-release` to OSV's ecosystems: one row for each distribution.
//!
//! Ecosystems: <https://ossf.github.io/osv-schema/#defined-ecosystems>; where a source writes other strings than the
//! schema says, both are tried. OSV has none for Amazon Linux, Oracle Linux and Fedora: the strings here are for
//! databases that are built from other sources, and without such data these distributions are uncovered, which is said.

use portcullis_model::{Distribution, PackageType};

use crate::end_of_life as ends;

/// How the releases of a distribution become ecosystems, and how its advisories name packages.
#[derive(Debug)]
pub struct Rule {
    /// `ID` of `os-release`; several for one distribution under several names.
    pub ids: &'static [&'static str],
    /// Its package manager.
    pub kind: PackageType,
    /// What its advisories name.
    pub names: Names,
    /// Under which ecosystems its advisories are filed.
    pub filed: Filed,
    /// Words of the vendors whose packages are its own, in lower case; empty where nothing can be told from the vendor.
    pub vendors: &'static [&'static str],
    /// Releases, each with the last day on which it gets fixes.
    pub ends: &'static [(&'static str, &'static str)],
    /// A `VERSION_ID`, and an ecosystem that it leads to: for the documentation, and checked.
    pub example: (&'static str, &'static str),
}

/// What the advisories of a distribution name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Source packages, with their versions.
    Source,
    /// Source packages, or binary ones: sources do as they like.
    Either,
}

/// Under which ecosystems advisories are filed.
#[derive(Debug)]
pub enum Filed {
    /// The first of these that the database covers; a vendor's own, who hardens another distribution, beside it.
    First(fn(&Distribution) -> Vec<String>),
    /// Those of a family whose part behind the first colon belongs to the release: a product has many.
    Family(&'static str, fn(&Distribution, &str) -> bool),
}

/// Every distribution that is known.
pub const DISTRIBUTIONS: &[Rule] = &[
    deb(&["debian"], Filed::First(debian), ends::DEBIAN, ("12", "Debian:12")),
    deb(&["ubuntu"], Filed::First(ubuntu), ends::UBUNTU, ("24.04", "Ubuntu:24.04:LTS")),
    deb(&["echo"], Filed::First(|_| one("Echo")), &[], ("", "Echo")),
    apk(&["alpine"], Filed::First(alpine), ends::ALPINE, ("3.22.1", "Alpine:v3.22")),
    apk(&["wolfi"], Filed::First(|_| one("Wolfi")), &[], ("20230201", "Wolfi")),
    apk(&["chainguard"], Filed::First(|_| one("Chainguard")), &[], ("20230214", "Chainguard")),
    apk(&["minimos"], Filed::First(|_| one("MinimOS")), &[], ("20241031", "MinimOS")),
    apk(&["cleanstart"], Filed::First(|_| one("CleanStart")), &[], ("", "CleanStart")),
    apk(&["alpaquita"], Filed::First(|d| named("Alpaquita:", &d.version_id)), &[], ("23", "Alpaquita:23")),
    apk(
        &["bellsoft-hardened-containers"],
        Filed::First(|d| named("BellSoft Hardened Containers:", &d.version_id)),
        &[],
        ("stream", "BellSoft Hardened Containers:stream"),
    ),
    rpm(
        &["rhel"],
        Filed::Family("Red Hat", red_hat),
        &["red hat"],
        ends::RHEL,
        ("9.4", "Red Hat:enterprise_linux:9::baseos"),
    ),
    // Red Hat's packages, rebuilt; CentOS Stream has none of its advisories.
    rpm(
        &["centos"],
        Filed::Family("Red Hat", red_hat),
        &["centos"],
        ends::CENTOS,
        ("7", "Red Hat:enterprise_linux:7::server"),
    ),
    rpm(
        &["almalinux"],
        Filed::First(|d| named("AlmaLinux:", major(d))),
        &["almalinux", "cloudlinux"],
        ends::ALMA_AND_ROCKY,
        ("9.4", "AlmaLinux:9"),
    ),
    rpm(
        &["rocky"],
        Filed::First(|d| named("Rocky Linux:", major(d))),
        &["rocky"],
        ends::ALMA_AND_ROCKY,
        ("9.3", "Rocky Linux:9"),
    ),
    rpm(
        &["ol"],
        Filed::First(|d| named("Oracle Linux:", major(d))),
        &["oracle america"],
        ends::ORACLE,
        ("9.4", "Oracle Linux:9"),
    ),
    rpm(&["amzn"], Filed::First(amazon), &["amazon"], ends::AMAZON, ("2023", "Amazon Linux:2023")),
    rpm(&["fedora"], Filed::First(|d| named("Fedora:", major(d))), &["fedora"], ends::FEDORA, ("43", "Fedora:43")),
    suse(
        &["sles", "sled", "sles_sap", "sle_hpc", "sle_rt", "suse-manager-server", "sle-bci"],
        Filed::Family("SUSE", enterprise),
        ends::SLES,
        ("15.5", "SUSE:Linux Enterprise Module for Basesystem 15 SP5"),
    ),
    suse(
        &["sle-micro", "sle-micro-rancher", "sl-micro", "suse-microos"],
        Filed::Family("SUSE", micro),
        ends::SUSE_MICRO,
        ("6.1", "SUSE:Linux Micro 6.1"),
    ),
    suse(
        &["opensuse-leap"],
        Filed::First(|d| named("openSUSE:Leap ", minor(d))),
        ends::LEAP,
        ("15.6", "openSUSE:Leap 15.6"),
    ),
    suse(
        &["opensuse-leap-micro"],
        Filed::First(|d| named("openSUSE:Leap Micro ", minor(d))),
        &[],
        ("6.0", "openSUSE:Leap Micro 6.0"),
    ),
    // MicroOS is made of Tumbleweed's packages: <https://en.opensuse.org/Portal:MicroOS>
    suse(
        &["opensuse-tumbleweed", "opensuse-microos"],
        Filed::First(|_| one("openSUSE:Tumbleweed")),
        &[],
        ("20250801", "openSUSE:Tumbleweed"),
    ),
    rpm(
        &["azurelinux", "mariner"],
        Filed::First(|d| named("Azure Linux:", major(d))),
        &["microsoft"],
        ends::AZURE,
        ("3.0", "Azure Linux:3"),
    ),
    rpm(&["photon"], Filed::First(photon), &["vmware", "broadcom"], ends::PHOTON, ("5.0", "Photon OS:5.0")),
    rpm(&["mageia"], Filed::First(|d| named("Mageia:", major(d))), &["mageia"], ends::MAGEIA, ("9", "Mageia:9")),
    rpm(&["openeuler"], Filed::First(open_euler), &["openeuler"], ends::OPEN_EULER, ("24.03", "openEuler:24.03-LTS")),
];

const fn deb(
    ids: &'static [&'static str],
    filed: Filed,
    ends: &'static [(&'static str, &'static str)],
    example: (&'static str, &'static str),
) -> Rule {
    Rule { ids, kind: PackageType::Deb, names: Names::Source, filed, vendors: &[], ends, example }
}

const fn apk(
    ids: &'static [&'static str],
    filed: Filed,
    ends: &'static [(&'static str, &'static str)],
    example: (&'static str, &'static str),
) -> Rule {
    Rule { ids, kind: PackageType::Apk, names: Names::Either, filed, vendors: &[], ends, example }
}

const fn rpm(
    ids: &'static [&'static str],
    filed: Filed,
    vendors: &'static [&'static str],
    ends: &'static [(&'static str, &'static str)],
    example: (&'static str, &'static str),
) -> Rule {
    Rule { ids, kind: PackageType::Rpm, names: Names::Either, filed, vendors, ends, example }
}

/// SUSE's records name source packages, and list the binary ones beside.
const fn suse(
    ids: &'static [&'static str],
    filed: Filed,
    ends: &'static [(&'static str, &'static str)],
    example: (&'static str, &'static str),
) -> Rule {
    Rule { ids, kind: PackageType::Rpm, names: Names::Source, filed, vendors: &["suse"], ends, example }
}

/// The rule of an `ID`.
pub(crate) fn rule(id: &str) -> Option<&'static Rule> {
    DISTRIBUTIONS.iter().find(|rule| rule.ids.contains(&id))
}

fn one(ecosystem: &str) -> Vec<String> {
    vec![ecosystem.to_owned()]
}

fn named(prefix: &str, release: &str) -> Vec<String> {
    if release.is_empty() { Vec::new() } else { vec![format!("{prefix}{release}")] }
}

/// `9` of `9.4`.
pub(crate) fn major(distribution: &Distribution) -> &str {
    distribution.release().split(['.', '_', ' ']).next().unwrap_or_default()
}

/// `3.18` of `3.18.4`.
pub(crate) fn minor(distribution: &Distribution) -> &str {
    let version = distribution.release();
    version.match_indices(['.', '_']).nth(1).and_then(|(at, _)| version.get(..at)).unwrap_or(version)
}

/// Docker's hardened images call themselves what they are made of: `Docker Hardened Images/Debian GNU/Linux 13`.
fn is_docker_hardened(distribution: &Distribution) -> bool {
    distribution.name.starts_with("Docker Hardened Images")
}

fn debian(distribution: &Distribution) -> Vec<String> {
    let release = debian_release(distribution);
    let mut ecosystems = Vec::new();
    if is_docker_hardened(distribution) {
        let codename = distribution.codename.as_deref().unwrap_or_default();
        ecosystems.extend(named("Docker Hardened Images:Debian:", codename));
        ecosystems.extend(named("Docker Hardened Images:Debian:", &release));
    }
    ecosystems.extend(named("Debian:", &release));
    ecosystems
}

/// `12` of `12.5`; before 7 a release was two numbers: `6.0` of `6.0.10`, `3.1` of `3.1r8`.
/// <https://wiki.debian.org/DebianReleases>
fn debian_release(distribution: &Distribution) -> String {
    let release = major(distribution);
    if !release.parse::<u32>().is_ok_and(|number| number < 7) {
        return release.to_owned();
    }
    let rest = distribution.release().get(release.len()..).unwrap_or_default().trim_start_matches('.');
    let second: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("{release}.{}", if second.is_empty() { "0" } else { &second })
}

fn ubuntu(distribution: &Distribution) -> Vec<String> {
    let release = minor(distribution);
    let mut ecosystems = named("Ubuntu:", release);
    if is_long_term(release) {
        ecosystems.insert(0, format!("Ubuntu:{release}:LTS"));
    }
    ecosystems
}

/// The ecosystem of Ubuntu Pro for the release of `ecosystem`.
pub(crate) fn ubuntu_pro(ecosystem: &str) -> Option<String> {
    ecosystem.strip_prefix("Ubuntu:").map(|release| format!("Ubuntu:Pro:{release}"))
}

/// Ubuntu's April releases of even years.
fn is_long_term(release: &str) -> bool {
    let year = release.strip_suffix(".04").and_then(|year| year.parse::<u32>().ok());
    year.is_some_and(|year| year % 2 == 0)
}

fn alpine(distribution: &Distribution) -> Vec<String> {
    let release = minor(distribution);
    if release == "edge" {
        return one("Alpine:edge");
    }
    let mut ecosystems = Vec::new();
    // A development snapshot calls itself `3.22.0_alpha…`: the release that it becomes, if edge has no data.
    if distribution.version_id.contains("_alpha") || release.is_empty() {
        ecosystems.extend(one("Alpine:edge"));
    }
    if is_docker_hardened(distribution) {
        ecosystems.extend(named("Docker Hardened Images:Alpine:", release));
    }
    ecosystems.extend(named("Alpine:v", release));
    ecosystems
}

/// Amazon Linux 1 numbered its releases by year and month: `2018.03`.
fn amazon(distribution: &Distribution) -> Vec<String> {
    let release = major(distribution);
    let is_first = distribution.version_id.contains('.') && release.starts_with("201");
    named("Amazon Linux:", if is_first { "1" } else { release })
}

fn photon(distribution: &Distribution) -> Vec<String> {
    let mut ecosystems = named("Photon OS:", minor(distribution));
    ecosystems.extend(named("Photon OS:", major(distribution)));
    ecosystems
}

/// `openEuler 22.03 (LTS-SP3)` is `openEuler:22.03-LTS-SP3`.
fn open_euler(distribution: &Distribution) -> Vec<String> {
    let release = minor(distribution);
    let mut ecosystems = Vec::new();
    if let Some(suffix) = open_euler_pack(distribution) {
        ecosystems.extend(named("openEuler:", &format!("{release}-{suffix}")));
    } else if !release.is_empty() && distribution.name.is_empty() {
        ecosystems.push(format!("openEuler:{release}-LTS"));
    }
    ecosystems.extend(named("openEuler:", release));
    ecosystems
}

/// `LTS-SP3` of `openEuler 22.03 (LTS-SP3)`: its `VERSION_ID` is `22.03`.
pub(crate) fn open_euler_pack(distribution: &Distribution) -> Option<&str> {
    let (inner, _) = distribution.name.split_once('(')?.1.split_once(')')?;
    Some(inner).filter(|pack| distribution.id == "openeuler" && pack.starts_with("LTS"))
}

/// Whether a stream of Red Hat's is one that a system of this release gets its packages from: the main streams of
/// its major release (`enterprise_linux:9::baseos`, `enterprise_linux:10.1`), its extended life, and the stream that
/// the image itself names (`rhel_eus:9.4::baseos`). Streams of other minor releases fix in other versions.
fn red_hat(distribution: &Distribution, tail: &str) -> bool {
    let mut parts = tail.split(':');
    let (product, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let release = version.split('.').next().unwrap_or_default();
    let is_main = matches!(product, "enterprise_linux" | "rhel_els") && release == major(distribution);
    let named = distribution.cpe.as_deref().and_then(|cpe| {
        let mut parts = cpe.strip_prefix("cpe:/")?.split(':').skip(1);
        (parts.next()? == "redhat").then(|| (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
    });
    !release.is_empty() && (is_main || named == Some((product, version)))
}

/// `15 SP5` of 15.5, `15` of 15.0, `16.0` of 16.0: how SUSE's product names write a release.
fn suse_release(distribution: &Distribution) -> String {
    let (major, pack) = distribution.version_id.split_once('.').unwrap_or((&distribution.version_id, ""));
    match (major.parse::<u32>(), pack) {
        (Ok(16..), _) => minor(distribution).to_owned(),
        (_, "" | "0") => major.to_owned(),
        (_, pack) => format!("{major} SP{pack}"),
    }
}

/// Whether a product of SUSE's is part of an Enterprise system of this release. Packages are filed under the module
/// that ships them (`Linux Enterprise Module for Basesystem 15 SP5`), and later under the phase of support
/// (`Linux Enterprise Server 15 SP4-LTSS`): `os-release` names neither.
fn enterprise(distribution: &Distribution, tail: &str) -> bool {
    let is_product = ["Linux Enterprise ", "Package Hub "].iter().any(|prefix| tail.starts_with(prefix))
        && !["Linux Enterprise Micro", "Linux Enterprise Live Patching"].iter().any(|other| tail.starts_with(other));
    let release = suse_release(distribution);
    let ends_with = |release: &str| {
        let rest = tail.rfind(&format!(" {release}")).and_then(|at| tail.get(at + 1 + release.len()..));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    // The modules of 12 have no service packs.
    let is_module_of_12 = major(distribution) == "12" && tail.starts_with("Linux Enterprise Module") && ends_with("12");
    !release.is_empty() && is_product && (ends_with(&release) || is_module_of_12)
}

fn micro(distribution: &Distribution, tail: &str) -> bool {
    let product = ["Linux Micro ", "Linux Enterprise Micro "].iter().find_map(|prefix| tail.strip_prefix(prefix));
    let rest = product.and_then(|rest| rest.trim_start_matches("for Rancher ").strip_prefix(minor(distribution)));
    !distribution.version_id.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests;
