//! Packages made whole: those of a language by their reader; those of a distribution once it is known, by their purl.
//!
//! Types: <https://github.com/package-url/purl-spec/tree/main/types>. The qualifiers are those that Syft writes, so
//! that an inventory of ours and one of theirs name the same package alike.

use portcullis_model::{Distribution, Location, Package, PackageType, Purl, normalised_license};

use crate::upstreams;

/// A package that a system's package manager lists at `path`, with nothing known but its name and version.
pub(crate) fn system_package(kind: PackageType, name: String, version: String, path: &str) -> Package {
    Package { locations: vec![Location { path: path.to_owned(), layer: None }], ..Package::new(kind, name, version) }
}

/// A package of a language, found at `path`.
pub(crate) fn language_package(
    kind: PackageType,
    purl: Purl,
    (name, version): (String, String),
    license: Option<String>,
    path: &str,
) -> Package {
    Package { purl: purl.build(), licenses: license.into_iter().collect(), ..system_package(kind, name, version, path) }
}

/// The purl of a package of a language; the parts of its name become those that the registered types ask for.
pub(crate) fn language_purl(kind: PackageType, name: &str, version: &str) -> Purl {
    let (namespace, plain) = match kind {
        PackageType::Npm => match name.split_once('/') {
            Some((scope, plain)) if scope.starts_with('@') => (scope, plain),
            _ => ("", name),
        },
        PackageType::Golang | PackageType::Composer | PackageType::Swift | PackageType::Terraform => {
            name.rsplit_once('/').unwrap_or(("", name))
        }
        PackageType::Maven => name.split_once(':').unwrap_or(("", name)),
        _ => ("", name),
    };
    Purl::new(kind, namespace, plain, version)
}

/// Fills in what names a package that a distribution's package manager installed. Others have theirs already.
pub fn complete(package: &mut Package, distribution: Option<&Distribution>) {
    identify(package, distribution);
    for license in &mut package.licenses {
        *license = normalised_license(license);
    }
    if package.cpe.is_none() {
        package.cpe = upstreams::cpe(package);
    }
}

/// Fills in the purl of a distribution's package.
pub(crate) fn identify(package: &mut Package, distribution: Option<&Distribution>) {
    if !package.kind.is_operating_system() {
        return;
    }
    // rpm's purls carry the epoch as a qualifier of its own.
    let (epoch, version) = match package.version.split_once(':') {
        Some((epoch, version)) if package.kind == PackageType::Rpm => (epoch, version),
        _ => ("", package.version.as_str()),
    };
    let vendor = distribution.map_or("", |distribution| namespace(&distribution.id));
    let (namespace, name) = match package.name.rsplit_once('/') {
        // Gentoo's names have a category, whatever the distribution is called.
        Some(parts) if package.kind == PackageType::Ebuild => parts,
        _ => (vendor, package.name.as_str()),
    };
    let distro = distribution.map(release).unwrap_or_default();
    package.purl = Purl::new(package.kind, namespace, name, version)
        .qualifier("arch", package.architecture.as_deref().unwrap_or(""))
        .qualifier("distro", &distro)
        .qualifier("epoch", if epoch == "0" { "" } else { epoch })
        .qualifier("upstream", &upstream(package))
        .build();
}

/// `debian-12`; the name alone where the distribution has no releases.
fn release(distribution: &Distribution) -> String {
    match (distribution.id.as_str(), distribution.version_id.as_str()) {
        ("", version) => version.to_owned(),
        (id, "") => id.to_owned(),
        (id, version) => format!("{id}-{version}"),
    }
}

/// The namespace that the registered types name: the vendor, not the product.
fn namespace(id: &str) -> &str {
    match id {
        "rhel" => "redhat",
        id if id.starts_with("opensuse") => "opensuse",
        id => id,
    }
}

/// What the package was built from, where it is not called the same.
fn upstream(package: &Package) -> String {
    let Some(source) = &package.source else { return String::new() };
    let without_epoch = |version: &str| version.split_once(':').map_or(version, |(_, rest)| rest).to_owned();
    match package.kind {
        PackageType::Rpm if source.version.is_empty() => String::new(),
        PackageType::Rpm => format!("{}-{}.src.rpm", source.name, without_epoch(&source.version)),
        _ if source.version != package.version && !source.version.is_empty() => {
            format!("{}@{}", source.name, source.version)
        }
        _ if source.name != package.name => source.name.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::SourcePackage;

    use super::*;

    fn purl(
        kind: PackageType,
        name: &str,
        version: &str,
        source: (&str, &str),
        distribution: Option<(&str, &str)>,
    ) -> String {
        let mut package = Package {
            source: Some(SourcePackage { name: source.0.to_owned(), version: source.1.to_owned() }),
            architecture: Some("amd64".to_owned()),
            ..Package::new(kind, name, version)
        };
        let distribution = distribution.map(|(id, version_id)| Distribution {
            id: id.to_owned(),
            version_id: version_id.to_owned(),
            ..Distribution::default()
        });
        complete(&mut package, distribution.as_ref());
        package.purl
    }

    #[test]
    fn purls_name_the_distribution_and_the_source() {
        use PackageType::{Alpm, Apk, Deb, Ebuild, Opkg, Pypi, Rpm};
        for (purl, written) in [
            (
                purl(Deb, "libssl3", "3.0.11-1", ("openssl", "3.0.11-1"), Some(("debian", "12"))),
                "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl",
            ),
            (
                purl(Deb, "dash", "0.5.12-2+b1", ("dash", "0.5.12-2"), Some(("ubuntu", "22.04"))),
                "pkg:deb/ubuntu/dash@0.5.12-2%2Bb1?arch=amd64&distro=ubuntu-22.04&upstream=dash%400.5.12-2",
            ),
            (
                purl(Apk, "musl", "1.2.4-r2", ("musl", "1.2.4-r2"), Some(("wolfi", ""))),
                "pkg:apk/wolfi/musl@1.2.4-r2?arch=amd64&distro=wolfi",
            ),
            (
                purl(Rpm, "bind-libs", "32:9.11-1.el8", ("bind", "32:9.11-1.el8"), Some(("rhel", "8.9"))),
                "pkg:rpm/redhat/bind-libs@9.11-1.el8?arch=amd64&distro=rhel-8.9&epoch=32&upstream=bind-9.11-1.el8.src.rpm",
            ),
            (purl(Deb, "a", "1", ("a", "1"), None), "pkg:deb/a@1?arch=amd64"),
            (
                purl(Alpm, "containers-common", "1:0.47.4-4", ("containers-common", "1:0.47.4-4"), Some(("arch", ""))),
                "pkg:alpm/arch/containers-common@1:0.47.4-4?arch=amd64&distro=arch",
            ),
            (
                purl(Ebuild, "app-misc/jq", "1.7-r1", ("app-misc/jq", "1.7-r1"), Some(("gentoo", "2.14"))),
                "pkg:ebuild/app-misc/jq@1.7-r1?arch=amd64&distro=gentoo-2.14",
            ),
            (
                purl(Opkg, "zlib", "1.2.13-1", ("zlib", "1.2.13-1"), Some(("openwrt", "23.05.2"))),
                "pkg:opkg/openwrt/zlib@1.2.13-1?arch=amd64&distro=openwrt-23.05.2",
            ),
            (purl(Pypi, "a", "1", ("a", "1"), Some(("debian", "12"))), ""),
        ] {
            assert_eq!(purl, written);
        }
    }
}
