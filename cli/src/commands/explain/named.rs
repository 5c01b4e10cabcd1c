//! A package that is named on the command line: by a package URL, or by name and version.

use portcullis_advisories::Database;
use portcullis_matching::DISTRIBUTIONS;
use portcullis_model::{Distribution, Package, PackageType, PackageUrl, SourcePackage};

use crate::diagnostics::Failure;

/// The package of a purl, and the distribution that it names.
pub(super) fn of_purl(text: &str) -> Result<(Package, Option<Distribution>), Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("`{text}` is not a package URL: {why}"))
            .with_hint("write it as pkg:deb/debian/openssl@3.0.11-1?distro=debian-12 or pkg:npm/lodash@4.17.20")
    };
    let purl = PackageUrl::parse(text).map_err(|error| wrong(error.to_string()))?;
    let kind = purl.package_type().ok_or_else(|| wrong(format!("packages of type {} are not known", purl.kind)))?;
    if purl.version.is_empty() {
        return Err(wrong("without a version there is nothing to compare".into()));
    }
    let version = match purl.qualifier("epoch") {
        "" | "0" => purl.version.to_string(),
        epoch => format!("{epoch}:{}", purl.version),
    };
    let mut package = Package::new(kind, purl.ecosystem_name(), version.clone());
    package.purl = text.to_owned();
    package.source = source(kind, purl.qualifier("upstream"), &version);
    let module = ["rpmmod", "modularitylabel"].map(|key| purl.qualifier(key)).into_iter().find(|text| !text.is_empty());
    package.module = module.map(str::to_owned);
    let is_of_system = kind.is_operating_system();
    let distribution = is_of_system.then(|| distribution(&purl)).flatten();
    Ok((package, distribution))
}

/// An ecosystem as the database writes it: `PyPI` for `pypi`. Unknown ones stay as they are; of a distribution that has
/// releases, one must be named.
pub(super) fn ecosystem(text: &str, database: &Database) -> Result<String, Failure> {
    let known = || database.ecosystems().keys();
    if database.ecosystems().contains_key(text) {
        return Ok(text.to_owned());
    }
    if let Some(found) = known().find(|known| known.eq_ignore_ascii_case(text)) {
        return Ok(found.clone());
    }
    let base = |ecosystem: &str| ecosystem.split(':').next().unwrap_or_default().to_owned();
    let family: Vec<&str> =
        known().filter(|known| base(known).eq_ignore_ascii_case(&base(text))).map(String::as_str).collect();
    if family.is_empty() {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("the database has no ecosystem `{text}`"))
        .with_hint(format!("one of {}", family.join(", "))))
}

/// The ecosystems that a database speaks of, without their releases.
pub(super) fn ecosystems(database: &Database) -> Vec<&str> {
    let bases = database.ecosystems().keys().map(|known| known.split(':').next().unwrap_or(known));
    let mut bases: Vec<&str> = bases.collect();
    bases.dedup();
    bases
}

/// `NAME@VERSION` of an ecosystem.
pub(super) fn of_ecosystem(text: &str, ecosystem: &str) -> Result<Package, Failure> {
    let at = text.rfind('@').filter(|at| *at > 0);
    let Some((name, version)) = at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) else {
        return Err(Failure::usage(format!("`{text}` has no version")).with_hint("write it as NAME@VERSION"));
    };
    let base = |ecosystem: &str| ecosystem.split(':').next().unwrap_or_default().to_owned();
    let rule = DISTRIBUTIONS.iter().find(|rule| base(rule.example.1) == base(ecosystem));
    Ok(Package::new(rule.map_or(PackageType::Generic, |rule| rule.kind), name, version))
}

/// The qualifier `upstream`: `openssl`, `dash@0.5.12-2`, `bind-9.11-1.el8.src.rpm`.
fn source(kind: PackageType, upstream: &str, version: &str) -> Option<SourcePackage> {
    let of = |name: &str, version: &str| Some(SourcePackage { name: name.into(), version: version.into() });
    if upstream.is_empty() {
        return None;
    }
    if kind == PackageType::Rpm {
        // name-version-release.src.rpm; a source's version is its binary's as a rule, with the epoch that it lacks.
        let mut parts = upstream.strip_suffix(".src.rpm")?.rsplitn(3, '-');
        let (release, number, name) = (parts.next()?, parts.next()?, parts.next()?);
        let epoch = version.split_once(':').map_or(String::new(), |(epoch, _)| format!("{epoch}:"));
        return of(name, &format!("{epoch}{number}-{release}"));
    }
    match upstream.split_once('@') {
        Some((name, version)) => of(name, version),
        None => of(upstream, version),
    }
}

/// The distribution that the package URL names, called by what it is.
fn distribution(purl: &PackageUrl<'_>) -> Option<Distribution> {
    let found = Distribution::of_purl(&purl.namespace, &purl.distro())?;
    let name = format!("{} {}", found.id, found.version_id).trim_end().to_owned();
    Some(Distribution { name, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_name_package_source_and_distribution() {
        for (text, name, version, upstream, distro) in [
            (
                "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl",
                "libssl3",
                "3.0.11-1",
                "openssl 3.0.11-1",
                "debian 12",
            ),
            ("pkg:deb/ubuntu/dash@1?distro=jammy&upstream=dash%400.5", "dash", "1", "dash 0.5", "ubuntu 22.04"),
            (
                "pkg:rpm/redhat/bind-libs@9.11-1.el8?epoch=32&distro=rhel-8.9&upstream=bind-9.11-1.el8.src.rpm",
                "bind-libs",
                "32:9.11-1.el8",
                "bind 32:9.11-1.el8",
                "rhel 8.9",
            ),
            ("pkg:rpm/opensuse/curl@8?distro=opensuse-leap-15.6", "curl", "8", "", "opensuse-leap 15.6"),
            ("pkg:apk/wolfi/curl@8-r1?distro=wolfi", "curl", "8-r1", "", "wolfi "),
            ("pkg:apk/alpine/curl@8-r1?distro=alpine-edge", "curl", "8-r1", "", "alpine edge"),
            ("pkg:npm/%40a/b@1", "@a/b", "1", "", ""),
            ("pkg:maven/org.a/b@1", "org.a:b", "1", "", ""),
        ] {
            let (package, distribution) = of_purl(text).unwrap();
            let source = package.source.map(|source| format!("{} {}", source.name, source.version)).unwrap_or_default();
            let distro_found = distribution.map(|d| format!("{} {}", d.id, d.version_id)).unwrap_or_default();
            assert_eq!(
                (&*package.name, &*package.version, &*source, &*distro_found),
                (name, version, upstream, distro),
                "{text}"
            );
        }
        assert!(of_purl("pkg:npm/a").is_err());
        assert!(of_purl("lodash").is_err());
        assert!(of_purl("pkg:deb/debian/a@1").unwrap().1.is_none());
        assert!(of_purl("pkg:apk/wolfi/a@1").unwrap().1.is_some());
    }
}
