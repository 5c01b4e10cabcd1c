//! From a component with a package URL to a package, and from several of the same to one.

use portcullis_model::{Location, Package, PackageType, PackageUrl, SourcePackage, is_cpe};

use super::{Found, MAX_PLACES, types};
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
