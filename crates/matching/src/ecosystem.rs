//! Which advisories speak of a package: from its type and the image's `os-release` to OSV's ecosystem strings.
//!
//! Ecosystems: <https://ossf.github.io/osv-schema/#defined-ecosystems>

use portcullis_model::{Distribution, Package, PackageType};

/// Where advisories of a package are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// OSV's ecosystem, the first that the database covers of several spellings.
    pub(crate) ecosystems: Vec<String>,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
}

/// Where to look `package` up; none where no advisories of its kind exist.
pub(crate) fn place<'a>(package: &'a Package, distribution: Option<&Distribution>) -> Option<Place<'a>> {
    let by_source = |package: &'a Package| match &package.source {
        Some(source) => (source.name.as_str(), source.version.as_str()),
        None => (package.name.as_str(), package.version.as_str()),
    };
    if package.kind.is_operating_system() {
        let ecosystems = distribution.map(distribution_ecosystems).unwrap_or_default();
        let (name, version) = match package.kind {
            PackageType::Deb => by_source(package),
            // An apk's version is its origin's: all packages of one build share it.
            PackageType::Apk => (by_source(package).0, package.version.as_str()),
            _ if distribution.is_some_and(names_sources) => by_source(package),
            _ => (package.name.as_str(), package.version.as_str()),
        };
        return Some(Place { ecosystems, name, version });
    }
    let ecosystem = language_ecosystem(package.kind).filter(|_| is_of_registry(package))?;
    // Go's records write versions without the `v` that modules carry.
    let version = match package.kind {
        PackageType::Golang => package.version.strip_prefix('v').unwrap_or(&package.version),
        _ => &package.version,
    };
    Some(Place { ecosystems: vec![ecosystem.to_owned()], name: &package.name, version })
}

/// Whether a package of a language is the one that its ecosystem's registry knows by that name: its purl says if it is
/// a folder of the project's own. Cargo tells a registry's crate from a repository's too, and its advisories speak of
/// the former alone.
fn is_of_registry(package: &Package) -> bool {
    let is_at = |place: &str| package.purl.split(['?', '&']).skip(1).any(|qualifier| qualifier.starts_with(place));
    !(is_at("repository_url=file:")
        || package.kind == PackageType::Cargo && (is_at("vcs_url=") || is_at("repository_url=")))
}

const fn language_ecosystem(kind: PackageType) -> Option<&'static str> {
    Some(match kind {
        PackageType::Cargo => "crates.io",
        PackageType::Composer => "Packagist",
        PackageType::Gem => "RubyGems",
        PackageType::Github => "GitHub Actions",
        PackageType::Golang => "Go",
        PackageType::Hackage => "Hackage",
        PackageType::Hex => "Hex",
        PackageType::Julia => "Julia",
        PackageType::Maven => "Maven",
        PackageType::Npm => "npm",
        PackageType::Nuget => "NuGet",
        PackageType::Cran => "CRAN",
        PackageType::Conan => "ConanCenter",
        PackageType::Pub => "Pub",
        PackageType::Pypi => "PyPI",
        PackageType::Swift => "SwiftURL",
        PackageType::Bitnami => "Bitnami",
        PackageType::Apk
        | PackageType::Deb
        | PackageType::Rpm
        | PackageType::Alpm
        | PackageType::Opkg
        | PackageType::Ebuild
        | PackageType::Nix
        | PackageType::Snap
        | PackageType::Conda
        | PackageType::Cocoapods
        | PackageType::Cpan
        | PackageType::Luarocks
        | PackageType::Opam
        | PackageType::Terraform
        | PackageType::WordpressPlugin
        | PackageType::Generic => return None,
    })
}

/// SUSE's records name source packages, as Debian's do; the others' name binary ones.
fn names_sources(distribution: &Distribution) -> bool {
    distribution.id.starts_with("opensuse") || distribution.id.starts_with("sle")
}

/// The spellings of a distribution's ecosystem, the likelier first; empty where it has none.
pub(crate) fn distribution_ecosystems(distribution: &Distribution) -> Vec<String> {
    let version = distribution.version_id.as_str();
    let major = version.split('.').next().unwrap_or_default();
    let minor = version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at]);
    let one = |text: String| vec![text];
    match distribution.id.as_str() {
        "debian" if !major.is_empty() => one(format!("Debian:{major}")),
        "ubuntu" if !version.is_empty() => {
            let long = format!("Ubuntu:{minor}:LTS");
            if is_long_term(minor) { vec![long, format!("Ubuntu:{minor}")] } else { one(format!("Ubuntu:{minor}")) }
        }
        // A development snapshot calls itself `3.22.0_alpha…`.
        "alpine" if version.contains("_alpha") || version.is_empty() => one("Alpine:edge".into()),
        "alpine" => one(format!("Alpine:v{minor}")),
        "wolfi" => one("Wolfi".into()),
        "chainguard" => one("Chainguard".into()),
        "minimos" => one("MinimOS".into()),
        "echo" => one("Echo".into()),
        "almalinux" => one(format!("AlmaLinux:{major}")),
        "rocky" => one(format!("Rocky Linux:{major}")),
        "azurelinux" | "mariner" => one(format!("Azure Linux:{major}")),
        "photon" => one(format!("Photon OS:{minor}")),
        "mageia" => one(format!("Mageia:{major}")),
        "opensuse-leap" => one(format!("openSUSE:Leap {minor}")),
        "opensuse-tumbleweed" => one("openSUSE:Tumbleweed".into()),
        "sles" => one(match version.split_once('.') {
            Some((release, pack)) => format!("SUSE:Linux Enterprise Server {release} SP{pack}"),
            None => format!("SUSE:Linux Enterprise Server {version}"),
        }),
        _ => Vec::new(),
    }
}

/// Ubuntu's April releases of even years.
fn is_long_term(version: &str) -> bool {
    let year = version.strip_suffix(".04").and_then(|year| year.parse::<u32>().ok());
    year.is_some_and(|year| year % 2 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_not_the_registry_s_package_of_that_name() {
        let looked_up = |kind, purl: &str| {
            let package = Package {
                kind,
                name: "time".into(),
                version: "0.1.0".into(),
                purl: purl.into(),
                source: None,
                architecture: None,
                vendor: None,
                module: None,
                depends_on: Vec::new(),
                licenses: Vec::new(),
                owned_by: None,
                locations: Vec::new(),
            };
            place(&package, None).is_some()
        };
        use PackageType::{Cargo, Npm};
        assert!(looked_up(Cargo, "pkg:cargo/time@0.1.0"));
        assert!(!looked_up(Cargo, "pkg:cargo/time@0.1.0?repository_url=file:."));
        assert!(!looked_up(Cargo, "pkg:cargo/time@0.1.0?a=b&vcs_url=git%2Bhttps:%2F%2Fgit.example%2Ftime"));
        assert!(!looked_up(Npm, "pkg:npm/time@0.1.0?repository_url=file:packages%2Ftime"));
        // Inventories of other tools say so of npm's own packages.
        assert!(looked_up(Npm, "pkg:npm/time@0.1.0?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Ftime"));
    }

    #[test]
    fn os_release_leads_to_the_ecosystems_of_osv() {
        for (id, version, expected) in [
            ("debian", "12", &["Debian:12"][..]),
            ("debian", "", &[]),
            ("ubuntu", "22.04", &["Ubuntu:22.04:LTS", "Ubuntu:22.04"]),
            ("ubuntu", "19.10", &["Ubuntu:19.10"]),
            ("ubuntu", "23.04", &["Ubuntu:23.04"]),
            ("alpine", "3.18.4", &["Alpine:v3.18"]),
            ("alpine", "3.22.0_alpha20250108", &["Alpine:edge"]),
            ("wolfi", "20230201", &["Wolfi"]),
            ("almalinux", "9.4", &["AlmaLinux:9"]),
            ("mariner", "2.0.20240101", &["Azure Linux:2"]),
            ("photon", "3.0", &["Photon OS:3.0"]),
            ("sles", "15.3", &["SUSE:Linux Enterprise Server 15 SP3"]),
            ("opensuse-leap", "15.5", &["openSUSE:Leap 15.5"]),
            ("somelinux", "1", &[]),
        ] {
            let distribution = Distribution { id: id.into(), version_id: version.into(), ..Distribution::default() };
            assert_eq!(distribution_ecosystems(&distribution), expected, "{id} {version}");
        }
    }
}
