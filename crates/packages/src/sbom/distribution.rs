//! Which distribution a document speaks of, from the many ways in which tools name one.

use portcullis_model::Distribution;

/// The distribution that a component's name and version stand for. Trivy writes families of its own
/// (<https://github.com/aquasecurity/trivy/blob/main/pkg/fanal/types/const.go>), others what `os-release` says.
pub(super) fn identify(name: &str, version: &str) -> Distribution {
    let lower = name.trim().to_ascii_lowercase();
    let id = match lower.as_str() {
        "redhat" | "red hat" | "red hat enterprise linux" | "red hat enterprise linux server" => "rhel",
        "alma" => "almalinux",
        "oracle" | "oraclelinux" | "oracle linux server" => "ol",
        "amazon" | "amazon linux" | "amazonlinux" => "amzn",
        "cbl-mariner" => "mariner",
        "azure" => "azurelinux",
        "opensuse.leap" | "opensuse leap" => "opensuse-leap",
        "opensuse.tumbleweed" | "opensuse tumbleweed" => "opensuse-tumbleweed",
        "suse linux enterprise server" | "suse" => "sles",
        "suse linux enterprise micro" | "slem" => "sle-micro",
        "debian gnu/linux" => "debian",
        "alpine linux" => "alpine",
        "rocky linux" => "rocky",
        other => other,
    };
    // `2 (Karoo)`, `12 (bookworm)`
    let version = version.split_whitespace().next().unwrap_or_default();
    let version = codename_release(id, version).unwrap_or(version);
    Distribution { id: id.to_owned(), version_id: version.to_owned(), ..Distribution::default() }
}

/// The distribution that a package URL's namespace and `distro` qualifier name: `debian-12`, `12`, `bookworm`, `el8`.
pub(super) fn from_qualifier(namespace: &str, distro: &str) -> Option<Distribution> {
    if distro.is_empty() {
        return None;
    }
    let namespace = identify(namespace, "").id;
    let release = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    if let Some((id, version)) = distro.rsplit_once('-').filter(|(id, version)| !id.is_empty() && release(version)) {
        return Some(identify(id, version));
    }
    if release(distro) {
        return (!namespace.is_empty()).then(|| identify(&namespace, distro));
    }
    if let Some(version) = distro.strip_prefix("el").filter(|version| release(version)) {
        let id = if namespace.is_empty() { "rhel" } else { &namespace };
        return Some(identify(id, version));
    }
    if let Some(version) = codename_release(&namespace, distro) {
        return Some(identify(&namespace, version));
    }
    // A rolling distribution names itself.
    (distro == namespace || namespace.is_empty()).then(|| identify(distro, ""))
}

/// The release behind a codename: <https://wiki.debian.org/DebianReleases>, <https://wiki.ubuntu.com/Releases>.
fn codename_release(id: &str, codename: &str) -> Option<&'static str> {
    Some(match (id, codename) {
        ("debian", "wheezy") => "7",
        ("debian", "jessie") => "8",
        ("debian", "stretch") => "9",
        ("debian", "buster") => "10",
        ("debian", "bullseye") => "11",
        ("debian", "bookworm") => "12",
        ("debian", "trixie") => "13",
        ("debian", "forky") => "14",
        ("ubuntu", "trusty") => "14.04",
        ("ubuntu", "xenial") => "16.04",
        ("ubuntu", "bionic") => "18.04",
        ("ubuntu", "focal") => "20.04",
        ("ubuntu", "jammy") => "22.04",
        ("ubuntu", "noble") => "24.04",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifiers_name_distributions() {
        for (namespace, distro, expected) in [
            ("debian", "debian-12", Some(("debian", "12"))),
            ("alpine", "3.16.0", Some(("alpine", "3.16.0"))),
            ("debian", "stretch", Some(("debian", "9"))),
            ("redhat", "rhel-9.6", Some(("rhel", "9.6"))),
            ("redhat", "el8", Some(("rhel", "8"))),
            ("opensuse", "opensuse-leap-15.5", Some(("opensuse-leap", "15.5"))),
            ("wolfi", "wolfi", Some(("wolfi", ""))),
            ("wolfi", "wolfi-20230201", Some(("wolfi", "20230201"))),
            ("ubuntu", "", None),
            ("", "12", None),
        ] {
            let found = from_qualifier(namespace, distro);
            let found = found.as_ref().map(|found| (found.id.as_str(), found.version_id.as_str()));
            assert_eq!(found, expected, "{namespace} {distro}");
        }
    }

    #[test]
    fn families_have_the_ids_of_os_release() {
        for (name, version, id, version_id) in [
            ("redhat", "8.9", "rhel", "8.9"),
            ("amazon", "2 (Karoo)", "amzn", "2"),
            ("Debian GNU/Linux", "12 (bookworm)", "debian", "12"),
            ("opensuse.leap", "15.5", "opensuse-leap", "15.5"),
            ("centos", "7.6.1810", "centos", "7.6.1810"),
        ] {
            let found = identify(name, version);
            assert_eq!((found.id.as_str(), found.version_id.as_str()), (id, version_id));
        }
    }
}
