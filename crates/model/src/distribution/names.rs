//! From the many ways in which tools name a distribution to what its own `os-release` says.

use std::borrow::Cow;

use super::Distribution;
use crate::PackageUrl;

/// Distributions that have no releases: their name is enough.
const ROLLING: &[&str] =
    &["wolfi", "chainguard", "minimos", "cleanstart", "echo", "opensuse-tumbleweed", "opensuse-microos"];

/// Releases of Debian by name: <https://wiki.debian.org/DebianReleases>.
const DEBIAN: &[(&str, &str)] = &[
    ("woody", "3.0"),
    ("sarge", "3.1"),
    ("etch", "4.0"),
    ("lenny", "5.0"),
    ("squeeze", "6.0"),
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
    ("sid", "sid"),
];

/// Releases of Ubuntu by name: <https://wiki.ubuntu.com/Releases>.
const UBUNTU: &[(&str, &str)] = &[
    ("hardy", "8.04"),
    ("intrepid", "8.10"),
    ("jaunty", "9.04"),
    ("karmic", "9.10"),
    ("lucid", "10.04"),
    ("maverick", "10.10"),
    ("natty", "11.04"),
    ("oneiric", "11.10"),
    ("precise", "12.04"),
    ("quantal", "12.10"),
    ("raring", "13.04"),
    ("saucy", "13.10"),
    ("trusty", "14.04"),
    ("utopic", "14.10"),
    ("vivid", "15.04"),
    ("wily", "15.10"),
    ("xenial", "16.04"),
    ("yakkety", "16.10"),
    ("zesty", "17.04"),
    ("artful", "17.10"),
    ("bionic", "18.04"),
    ("cosmic", "18.10"),
    ("disco", "19.04"),
    ("eoan", "19.10"),
    ("focal", "20.04"),
    ("groovy", "20.10"),
    ("hirsute", "21.04"),
    ("impish", "21.10"),
    ("jammy", "22.04"),
    ("kinetic", "22.10"),
    ("lunar", "23.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
    ("resolute", "26.04"),
];

impl Distribution {
    /// The distribution that a component's name and version stand for. Trivy writes families of its own
    /// (<https://github.com/aquasecurity/trivy/blob/main/pkg/fanal/types/const.go>), OSV names of its own in package
    /// URLs, others what `os-release` says.
    #[must_use]
    pub fn named(name: &str, version: &str) -> Self {
        let lower = name.trim().to_ascii_lowercase();
        let id = match lower.replace(['-', '_', '.'], " ").as_str() {
            "redhat" | "red hat" | "red hat enterprise linux" | "red hat enterprise linux server" => "rhel",
            "alma" | "alma linux" => "almalinux",
            "oracle" | "oraclelinux" | "oracle linux" | "oracle linux server" => "ol",
            "amazon" | "amazon linux" | "amazonlinux" => "amzn",
            "cbl mariner" => "mariner",
            "azure" | "azure linux" => "azurelinux",
            "opensuse leap" => "opensuse-leap",
            "opensuse tumbleweed" => "opensuse-tumbleweed",
            "suse linux enterprise server" | "suse" => "sles",
            "suse linux enterprise micro" | "slem" => "sle-micro",
            "debian gnu/linux" => "debian",
            "alpine linux" => "alpine",
            "rocky linux" => "rocky",
            "photon os" => "photon",
            _ => &lower,
        };
        // `2 (Karoo)`, `12 (bookworm)`
        let version = version.split_whitespace().next().unwrap_or_default();
        let version = release_of(id, version).unwrap_or(version);
        Self { id: id.to_owned(), version_id: version.to_owned(), ..Self::default() }
    }

    /// The distribution that a package URL's namespace and [`PackageUrl::distro`] name: `debian-12`, `debian-bookworm`,
    /// `12`, `bookworm`, `alpine-edge`, `el8`; without the latter, one that has no releases.
    #[must_use]
    pub fn of_purl(namespace: &str, distro: &str) -> Option<Self> {
        let namespace = Self::named(namespace, "").id;
        let is_rolling = |id: &str| ROLLING.contains(&id);
        if distro.is_empty() {
            return is_rolling(&namespace).then(|| Self::named(&namespace, ""));
        }
        if begins_with_a_digit(distro) {
            return (!namespace.is_empty()).then(|| Self::named(&namespace, distro));
        }
        if let Some(version) = distro.strip_prefix("el").filter(|version| begins_with_a_digit(version)) {
            return Some(Self::named(if namespace.is_empty() { "rhel" } else { &namespace }, version));
        }
        let alone =
            if namespace.is_empty() { ["debian", "ubuntu", "alpine"].as_slice() } else { &[namespace.as_str()] };
        if let Some(id) = alone.iter().find(|id| is_release_name(id, distro)) {
            return Some(Self::named(id, distro));
        }
        for (at, _) in distro.match_indices('-') {
            let (id, version) = (distro.get(..at)?, distro.get(at + 1..)?);
            if !id.is_empty() && (begins_with_a_digit(version) || is_release_name(&Self::named(id, "").id, version)) {
                return Some(Self::named(id, version));
            }
        }
        let found = Self::named(distro, "");
        (namespace.is_empty() || found.id == namespace || is_rolling(&found.id)).then_some(found)
    }

    /// `VERSION_ID`, or the number of the release that `VERSION_CODENAME` names; empty where neither is known.
    #[must_use]
    pub fn release(&self) -> &str {
        let named = || release_of(&self.id, self.codename.as_deref()?);
        if self.version_id.is_empty() { named().unwrap_or_default() } else { &self.version_id }
    }

    /// The distribution and the number of the release that `UBUNTU_CODENAME` or `DEBIAN_CODENAME` names.
    #[must_use]
    pub fn parent(&self) -> Option<(&'static str, &'static str)> {
        let codename = self.parent_codename.as_deref()?;
        ["ubuntu", "debian"].into_iter().find_map(|id| Some((id, release_of(id, codename)?)))
    }
}

impl PackageUrl<'_> {
    /// Which distribution its qualifiers name: `distro`, or what Docker Scout writes as `os_name`, with `os_version` or
    /// `os_distro`. Empty where they name none.
    #[must_use]
    pub fn distro(&self) -> Cow<'_, str> {
        let release = || ["os_version", "os_distro"].into_iter().find(|key| !self.qualifier(key).is_empty());
        match (self.qualifier("distro"), self.qualifier("os_name")) {
            ("", "") => self.qualifier("os_distro").into(),
            ("", name) => release().map_or(name.into(), |key| format!("{name}-{}", self.qualifier(key)).into()),
            (distro, _) => distro.into(),
        }
    }
}

fn begins_with_a_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether `name` is a release of `id` that has a name in place of a number.
fn is_release_name(id: &str, name: &str) -> bool {
    release_of(id, name).is_some()
}

/// The release behind a name. Debian's testing calls itself `forky/sid` in `debian_version`.
fn release_of(id: &str, codename: &str) -> Option<&'static str> {
    let table = match id {
        "debian" => DEBIAN,
        "ubuntu" => UBUNTU,
        "alpine" => &[("edge", "edge")],
        _ => return None,
    };
    let codename = codename.split('/').next().unwrap_or_default();
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(codename)).map(|(_, release)| *release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_name_distributions() {
        for (purl, expected) in [
            ("pkg:deb/debian/a@1?distro=debian-12", "debian 12"),
            ("pkg:deb/debian/a@1?distro=stretch", "debian 9"),
            ("pkg:deb/debian/a@1?distro=debian-bullseye", "debian 11"),
            ("pkg:deb/debian/a@1?distro=squeeze", "debian 6.0"),
            ("pkg:deb/a@1?distro=bullseye", "debian 11"),
            ("pkg:deb/debian/a@1?os_distro=bullseye&os_name=debian&os_version=11", "debian 11"),
            ("pkg:deb/debian/a@1?os_distro=bullseye&os_name=debian", "debian 11"),
            ("pkg:deb/debian/a@1?os_distro=bullseye", "debian 11"),
            ("pkg:deb/ubuntu/a@1?distro=resolute", "ubuntu 26.04"),
            ("pkg:deb/ubuntu/a@1?distro=precise", "ubuntu 12.04"),
            ("pkg:deb/ubuntu/a@1?distro=ubuntu-trusty", "ubuntu 14.04"),
            ("pkg:apk/alpine/a@1?distro=3.16.0", "alpine 3.16.0"),
            ("pkg:apk/alpine/a@1?distro=alpine-edge", "alpine edge"),
            ("pkg:apk/alpine/a@1?distro=edge", "alpine edge"),
            ("pkg:rpm/redhat/a@1?distro=rhel-9.6", "rhel 9.6"),
            ("pkg:rpm/redhat/a@1?distro=el8", "rhel 8"),
            ("pkg:rpm/rocky-linux/a@1?distro=rocky-linux-9", "rocky 9"),
            ("pkg:rpm/rocky-linux/a@1?distro=9.3", "rocky 9.3"),
            ("pkg:rpm/azure-linux/a@1?distro=azurelinux-3.0", "azurelinux 3.0"),
            ("pkg:rpm/opensuse/a@1?distro=opensuse-leap-15.5", "opensuse-leap 15.5"),
            ("pkg:rpm/opensuse/a@1?distro=opensuse-tumbleweed", "opensuse-tumbleweed "),
            ("pkg:rpm/openeuler/a@1?distro=openeuler-22.03-LTS-SP3", "openeuler 22.03-LTS-SP3"),
            ("pkg:apk/wolfi/a@1?distro=wolfi", "wolfi "),
            ("pkg:apk/wolfi/a@1?distro=wolfi-20230201", "wolfi 20230201"),
            ("pkg:apk/wolfi/a@1", "wolfi "),
            ("pkg:deb/ubuntu/a@1", "none"),
            ("pkg:deb/ubuntu/a@1?distro=somename", "none"),
            ("pkg:deb/a@1?distro=12", "none"),
        ] {
            let url = PackageUrl::parse(purl).unwrap();
            let found = Distribution::of_purl(&url.namespace, &url.distro());
            let found = found.map_or("none".to_owned(), |found| format!("{} {}", found.id, found.version_id));
            assert_eq!(found, expected, "{purl}");
        }
    }

    #[test]
    fn families_have_the_ids_of_os_release() {
        for (name, version, id, version_id) in [
            ("redhat", "8.9", "rhel", "8.9"),
            ("amazon", "2 (Karoo)", "amzn", "2"),
            ("Debian GNU/Linux", "12 (bookworm)", "debian", "12"),
            ("debian", "forky/sid", "debian", "14"),
            ("opensuse.leap", "15.5", "opensuse-leap", "15.5"),
            ("centos", "7.6.1810", "centos", "7.6.1810"),
        ] {
            let found = Distribution::named(name, version);
            assert_eq!((found.id.as_str(), found.version_id.as_str()), (id, version_id));
        }
    }

    #[test]
    fn a_codename_is_a_release_where_no_number_is_given() {
        let of = |id: &str, version: &str, codename: &str| Distribution {
            codename: Some(codename.to_owned()),
            ..Distribution::named(id, version)
        };
        assert_eq!(of("debian", "", "bullseye").release(), "11");
        assert_eq!(of("ubuntu", "", "bionic").release(), "18.04");
        assert_eq!(of("debian", "12", "bullseye").release(), "12");
        assert_eq!(of("somelinux", "", "bullseye").release(), "");
    }
}
