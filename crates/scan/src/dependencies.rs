//! Which installed package needs which: names, as packages write them, become purls of what is installed.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{Package, PackageType, lookup_name};

/// Installed packages by type and normalised name.
type Installed<'a> = HashMap<(PackageType, String), Vec<&'a Package>>;

/// Replaces the names in `depends_on` by the purls of installed packages; what is not installed is left out.
///
/// A name may be followed by `@version`, where whoever wrote it knows the one that was chosen.
pub(crate) fn resolve(packages: &mut [Package]) {
    if packages.iter().all(|package| package.depends_on.is_empty()) {
        return;
    }
    let mut installed = Installed::new();
    for package in packages.iter() {
        installed.entry((package.kind, normal(package.kind, &package.name))).or_default().push(package);
    }
    let resolved: Vec<Vec<String>> = packages
        .iter()
        .map(|package| {
            let needed = package.depends_on.iter().flat_map(|name| needed(package, name, &installed));
            let purls: BTreeSet<&str> = needed.map(|other| other.purl.as_str()).collect();
            purls.into_iter().filter(|purl| *purl != package.purl && !purl.is_empty()).map(str::to_owned).collect()
        })
        .collect();
    for (package, resolved) in packages.iter_mut().zip(resolved) {
        package.depends_on = resolved;
    }
}

/// What `package` means by `name`.
fn needed<'a>(package: &Package, name: &str, installed: &Installed<'a>) -> Vec<&'a Package> {
    let find = |name: &str| installed.get(&(package.kind, normal(package.kind, name))).map_or(&[][..], Vec::as_slice);
    let candidates = find(name);
    if candidates.is_empty() {
        // Scopes of npm begin with the sign that separates the version.
        let versioned = name.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        return versioned.map_or_else(Vec::new, |(name, version)| {
            find(name).iter().copied().filter(|candidate| candidate.version == version).collect()
        });
    }
    if let [only] = candidates {
        return vec![only];
    }
    if package.kind == PackageType::Npm {
        return nearest(package, candidates);
    }
    // Two environments, or two architectures: those beside it, or else any.
    let beside: Vec<&Package> = candidates.iter().copied().filter(|other| are_beside(package, other)).collect();
    if beside.is_empty() { candidates.to_vec() } else { beside }
}

/// Names that mean the same are the same.
fn normal(kind: PackageType, name: &str) -> String {
    let ecosystem = match kind {
        PackageType::Pypi => "PyPI",
        PackageType::Nuget => "NuGet",
        PackageType::Composer => "Packagist",
        PackageType::Hex => "Hex",
        _ => "",
    };
    lookup_name(ecosystem, name).into_owned()
}

/// Node looks in the `node_modules` of the package itself, then in those of the directories above.
/// (<https://nodejs.org/api/modules.html#loading-from-node_modules-folders>)
fn nearest<'a>(package: &Package, candidates: &[&'a Package]) -> Vec<&'a Package> {
    let mut found = Vec::new();
    for place in &package.locations {
        let from = directory(&place.path);
        let reach = |other: &Package| {
            let shared =
                |folder: &str| from == folder || from.starts_with(folder) && from[folder.len()..].starts_with('/');
            let above = other.locations.iter().filter_map(|location| location.path.rsplit_once("node_modules/"));
            above
                .map(|(above, _)| above.trim_end_matches('/'))
                .filter(|above| above.is_empty() || shared(above))
                .map(str::len)
                .max()
        };
        found.extend(
            candidates
                .iter()
                .filter_map(|other| Some((reach(other)?, *other)))
                .max_by_key(|(length, _)| *length)
                .map(|(_, other)| other),
        );
    }
    found
}

fn are_beside(package: &Package, other: &Package) -> bool {
    // `site-packages/x.dist-info/METADATA`: two up from the file.
    let home = |path: &str| directory(directory(path)).to_owned();
    package.locations.iter().any(|a| other.locations.iter().any(|b| home(&a.path) == home(&b.path)))
        && package.architecture == other.architecture
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use portcullis_model::Location;

    use super::*;

    fn package(kind: PackageType, name: &str, version: &str, path: &str, needs: &[&str]) -> Package {
        Package {
            purl: format!("pkg:{kind}/{name}@{version}"),
            depends_on: needs.iter().map(|&name| name.to_owned()).collect(),
            locations: vec![Location { path: path.into(), layer: None }],
            ..Package::new(kind, name, version)
        }
    }

    #[test]
    fn node_takes_the_nearest_copy() {
        use PackageType::Npm;
        let mut packages = [
            package(Npm, "a", "1", "app/node_modules/a/package.json", &["b", "missing", "@s/c"]),
            package(Npm, "b", "1", "app/node_modules/b/package.json", &["a"]),
            package(Npm, "b", "2", "app/node_modules/a/node_modules/b/package.json", &["@s/c"]),
            package(Npm, "@s/c", "1", "app/node_modules/@s/c/package.json", &["b"]),
            package(Npm, "b", "3", "other/node_modules/b/package.json", &[]),
        ];
        resolve(&mut packages);
        let needs: Vec<_> = packages.iter().map(|package| package.depends_on.join(" ")).collect();
        assert_eq!(needs, ["pkg:npm/@s/c@1 pkg:npm/b@2", "pkg:npm/a@1", "pkg:npm/@s/c@1", "pkg:npm/b@1", ""]);
    }

    #[test]
    fn names_versions_and_environments() {
        use PackageType::{Cargo, Pypi};
        let mut packages = [
            package(Pypi, "Flask", "1", "a/site-packages/flask.dist-info/METADATA", &["zope_interface", "Flask"]),
            package(Pypi, "zope.interface", "1", "a/site-packages/zope.dist-info/METADATA", &[]),
            package(Pypi, "zope.interface", "2", "b/site-packages/zope.dist-info/METADATA", &[]),
            package(Cargo, "x", "1", "Cargo.lock", &["y@2.0", "z@9"]),
            package(Cargo, "y", "1.0", "Cargo.lock", &[]),
            package(Cargo, "y", "2.0", "Cargo.lock", &[]),
        ];
        resolve(&mut packages);
        assert_eq!(packages[0].depends_on, ["pkg:pypi/zope.interface@1"]);
        assert_eq!(packages[3].depends_on, ["pkg:cargo/y@2.0"]);
    }
}
