//! From a component with a package URL to a package, and from several of the same to one.

use portcullis_model::{Location, Package, PackageType, PackageUrl, SourcePackage, is_cpe};

use super::{Found, MAX_PLACES, problems::Problem, types};
use crate::rpm_names::{module_stream, source_rpm};

/// A package by its package URL.
pub(super) fn identified(found: &Found<'_>, url: &PackageUrl<'_>) -> Option<Package> {
    let kind = url.package_type().unwrap_or(PackageType::Generic);
    let mut version = if url.version.is_empty() { found.version.to_string() } else { url.version.to_string() };
    let epoch = match url.qualifier("epoch") {
        "" => &*found.epoch,
        epoch => epoch,
    };
    if matches!(kind, PackageType::Rpm | PackageType::Deb) && !matches!(epoch, "" | "0") && !version.contains(':') {
        version = format!("{epoch}:{version}");
    }
    // Types of older tools are written as they are called today.
    let is_old = kind.is_operating_system() && url.kind != kind.as_str();
    let purl = if is_old { String::new() } else { found.purl.trim().to_owned() };
    Some(Package { purl, ..Package::new(kind, url.ecosystem_name(), version) })
}

/// Whether the version of a component is that of its package URL, as tools write them: with or without an epoch, a `v`
/// in front, build metadata, or a distribution's revision; encoded once too often.
pub(super) fn is_same_version(version: &str, url: &PackageUrl<'_>) -> bool {
    // A repository's tag is not the version of what is built from it.
    let Some(kind) = url.package_type().filter(|kind| *kind != PackageType::Github) else { return true };
    let is_of_system = kind.is_operating_system();
    let plain = |text: &str| {
        let text = PackageUrl::decoded(text.trim()).to_ascii_lowercase();
        let text = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => &text,
        };
        // Go's own library is of `go1.25.3`.
        let text = text.strip_prefix("go").filter(|_| kind == PackageType::Golang).unwrap_or(text);
        let text = text.strip_prefix('v').unwrap_or(text);
        // Of a distribution's versions it is a part like any other.
        let metadata = text.find('+').filter(|_| !is_of_system);
        metadata.and_then(|at| text.get(..at)).unwrap_or(text).to_owned()
    };
    let (version, other) = (plain(version), plain(&url.version));
    let (short, long) = if version.len() < other.len() { (&version, &other) } else { (&other, &version) };
    short.is_empty()
        || short == long
        || (is_of_system && long.strip_prefix(&**short).is_some_and(|rest| rest.starts_with('-')))
}

/// Whether a document says what the packages of dpkg and apk were built from. Advisories of Debian, Ubuntu and Alpine
/// name sources: without them all that has another name than its source seems to be free of vulnerabilities.
#[derive(Default)]
pub(super) struct SourceNames {
    is_known: bool,
}

impl SourceNames {
    /// From so many packages on, one has a source of another name in any real image.
    const MANY: usize = 10;

    pub(super) fn met(&mut self, found: &Found<'_>, url: Option<&PackageUrl<'_>>) {
        self.is_known |= !found.source_name.is_empty() || url.is_some_and(|url| !url.qualifier("upstream").is_empty());
    }

    /// What is to be said where no package names its source.
    pub(super) fn missing(&self, packages: &[Package]) -> Option<(Problem, String)> {
        let concerned = packages.iter().filter(|package| matches!(package.kind, PackageType::Deb | PackageType::Apk));
        let is_other = |package: &Package| package.source.as_ref().is_some_and(|source| source.name != package.name);
        if self.is_known || concerned.clone().any(is_other) {
            return None;
        }
        let (count, first) = (concerned.clone().count(), concerned.map(|package| &package.name).next()?);
        let problem = if count < Self::MANY { Problem::FewSourceless } else { Problem::Sourceless };
        let what = format!(
            "none of its {count} packages of dpkg or apk, such as `{first}`, says which source package it was built \
             from: advisories that name sources are found only where both have the same name"
        );
        Some((problem, what))
    }
}

/// All but the identity.
pub(super) fn fill(package: &mut Package, found: &Found<'_>, url: Option<&PackageUrl<'_>>) {
    let qualifier = |key: &str| url.map_or("", |url| url.qualifier(key));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let first = |a: &str, b: &str| text(if a.is_empty() { b } else { a });
    package.architecture = first(&found.architecture, qualifier("arch"));
    package.module = first(&found.module, qualifier("modularitylabel")).or_else(|| text(qualifier("rpmmod")));
    package.module = package.module.take().map(|module| module_stream(&module).to_owned());
    if package.vendor.is_none() {
        package.vendor = text(&found.vendor);
    }
    package.owned_by = text(&found.owned_by);
    package.cpe = text(&found.cpe).filter(|cpe| is_cpe(cpe));
    package.evidence = text(&found.evidence);
    package.licenses =
        found.licenses.iter().filter(|text| !matches!(text.as_str(), "NOASSERTION" | "NONE")).cloned().collect();
    package.locations = found
        .places
        .iter()
        .take(MAX_PLACES)
        .map(|(path, layer)| Location { path: path.trim_start_matches('/').to_owned(), layer: layer.or(found.layer) })
        .collect();
    if package.kind.is_operating_system() && package.locations.iter().any(|place| types::is_database(&place.path)) {
        // Licence texts and lists of files are no place of the package itself.
        package.locations.retain(|place| types::is_database(&place.path));
    }
    package.locations.sort();
    package.locations.dedup();
    package.source = source(package, found, qualifier("upstream"));
}

/// What it was built from: advisories of Debian and Alpine speak of sources, so there is always one.
fn source(package: &Package, found: &Found<'_>, upstream: &str) -> Option<SourcePackage> {
    if !package.kind.is_operating_system() {
        return None;
    }
    let own = |name: &str, version: &str| SourcePackage {
        name: name.to_owned(),
        version: if version.is_empty() { package.version.clone() } else { version.to_owned() },
    };
    if !found.source_name.is_empty() {
        return Some(own(&found.source_name, &found.source_version));
    }
    let from_file = [&*found.source_rpm, upstream].into_iter().find_map(source_rpm);
    match (package.kind, from_file, upstream) {
        (PackageType::Rpm, Some((name, version)), _) => {
            // The file's name has no epoch; the source's is the package's.
            let epoch = package.version.split_once(':').map_or("", |(epoch, _)| epoch);
            let version = if epoch.is_empty() { version.to_owned() } else { format!("{epoch}:{version}") };
            Some(SourcePackage { name: name.to_owned(), version })
        }
        (PackageType::Rpm, None, "") => None,
        (_, _, "") => Some(own(&package.name, "")),
        (_, _, upstream) => {
            let (name, version) = upstream.split_once('@').unwrap_or((upstream, ""));
            Some(own(name, version))
        }
    }
}

/// The same package listed twice is one package, in all places of both.
pub(super) fn merge_equal(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort();
    packages.dedup_by(|next, kept| {
        let same = kept.kind == next.kind
            && kept.name == next.name
            && kept.version == next.version
            && kept.purl == next.purl
            && kept.module == next.module;
        if same {
            // What one of them has by itself, no owner answers for.
            kept.owned_by = kept.owned_by.take().filter(|owner| next.owned_by.as_ref() == Some(owner));
            kept.locations.append(&mut next.locations);
            kept.depends_on.append(&mut next.depends_on);
            if kept.source.is_none() {
                kept.source = next.source.take();
            }
            for license in next.licenses.drain(..) {
                if !kept.licenses.contains(&license) {
                    kept.licenses.push(license);
                }
            }
        }
        same
    });
    for package in &mut packages {
        package.locations.sort();
        package.locations.dedup();
        package.depends_on.sort();
        package.depends_on.dedup();
    }
    packages
}

#[cfg(test)]
mod tests {
    use crate::sbom::read_sbom;

    /// The warnings of a document with these components.
    fn warnings_of(components: &[String]) -> Vec<String> {
        let components = components.join(", ");
        let document = format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{components}]}}"#);
        let sbom = read_sbom("sbom", document.as_bytes()).unwrap();
        sbom.reading.warnings.iter().map(|warning| format!("{:?}: {}", warning.kind, warning.message)).collect()
    }

    #[test]
    fn packages_that_name_no_source_are_told() {
        let of = |count: usize, first: &str| {
            let names = (0..count).map(|index| format!("lib{index}"));
            let mut components: Vec<String> = names
                .map(|name| {
                    format!(
                        r#"{{"name": "{name}", "version": "1", "purl": "pkg:deb/debian/{name}@1?distro=debian-12"}}"#
                    )
                })
                .collect();
            components.push(format!(
                r#"{{"name": "a", "version": "1", "purl": "pkg:deb/debian/a@1?{first}distro=debian-12"}}"#
            ));
            warnings_of(&components)
        };
        let many = of(9, "");
        assert!(
            matches!(&*many, [only] if only.starts_with("Gap: none of its 10 packages of dpkg or apk")),
            "{many:?}"
        );
        // So few may well be called as their sources are.
        let few = of(8, "");
        assert!(matches!(&*few, [only] if only.starts_with("Note: none of its 9 packages of dpkg or apk")), "{few:?}");
        assert!(of(9, "upstream=openssl&").is_empty());
        assert!(of(9, "upstream=a&").is_empty());
        assert!(warnings_of(&[r#"{"name": "a", "version": "1", "purl": "pkg:npm/a@1"}"#.to_owned()]).is_empty());
    }

    #[test]
    fn a_version_other_than_that_of_the_package_url_is_told() {
        for (version, purl, is_told) in [
            ("4.17.21", "pkg:npm/lodash@4.17.20", true),
            ("4.17.20-beta", "pkg:npm/lodash@4.17.20", true),
            ("1.1.1-1+deb11u2", "pkg:deb/debian/a@1.1.1-1%2Bdeb11u1?distro=debian-11&upstream=a", true),
            ("v1.2.3", "pkg:golang/example.com/a@1.2.3", false),
            ("1.2.3", "pkg:golang/example.com/a@v1.2.3%2Bincompatible", false),
            ("go1.25.3", "pkg:golang/stdlib@1.25.3", false),
            ("1.2.3+build", "pkg:npm/a@1.2.3", false),
            ("32:9.11-1.el8", "pkg:rpm/redhat/a@9.11-1.el8?distro=rhel-8", false),
            ("9.11", "pkg:rpm/redhat/a@9.11-1.el8?distro=rhel-8", false),
            ("1.1%2Bdfsg-1", "pkg:deb/debian/a@1.1%252Bdfsg-1?distro=debian-11&upstream=a", false),
            ("3.1", "pkg:github/openssl/openssl@openssl-3.1", false),
            ("", "pkg:npm/a@1", false),
            ("1", "pkg:npm/a", false),
        ] {
            let warnings = warnings_of(&[format!(r#"{{"name": "a", "version": "{version}", "purl": "{purl}"}}"#)]);
            let told =
                warnings.iter().any(|text| text.starts_with("Note: `a` has the version") && text.contains(version));
            assert_eq!((told, warnings.len()), (is_told, usize::from(is_told)), "{version} {purl}: {warnings:?}");
        }
    }
}
