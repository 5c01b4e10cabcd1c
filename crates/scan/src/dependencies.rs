//! Which installed package needs which: names, as packages write them, become purls of what is installed.

use std::collections::{BTreeSet, HashMap};

use portcullis_model::{Package, PackageType, Warning, lookup_name};

/// Folders looked into in all. An honest image of a hundred thousand files needs less than a million.
const MAX_LOOKS: u64 = 4_000_000;

/// Bytes of purls written in all.
const MAX_BYTES: usize = 128 << 20;

/// Places of one package that are asked what they reach. Beyond them are copies of the same tree.
const MAX_PLACES: usize = 64;

/// The installed packages of one type and name.
#[derive(Default)]
struct Named<'a> {
    all: Vec<&'a Package>,
    /// By the folder in which others find them.
    by_home: HashMap<&'a str, Vec<&'a Package>>,
}

/// What is installed, and how much may still be looked for.
struct Resolver<'a> {
    installed: HashMap<(PackageType, String), Named<'a>>,
    looks: u64,
    bytes: usize,
}

/// Replaces the names in `depends_on` by the purls of installed packages; what is not installed is left out.
///
/// A name may be followed by `@version`, where whoever wrote it knows the one that was chosen. A note says where there
/// was more than can be followed.
pub(crate) fn resolve(packages: &mut [Package]) -> Option<Warning> {
    if packages.iter().all(|package| package.depends_on.is_empty()) {
        return None;
    }
    let mut resolver = Resolver::of(packages);
    let resolved: Vec<Vec<String>> = packages.iter().map(|package| resolver.needs(package)).collect();
    let is_over = resolver.is_over();
    for (package, resolved) in packages.iter_mut().zip(resolved) {
        package.depends_on = resolved;
    }
    is_over.then(|| Warning::note("", "the packages need so many others that not all of that is listed"))
}

impl<'a> Resolver<'a> {
    fn of(packages: &'a [Package]) -> Self {
        let mut installed: HashMap<(PackageType, String), Named<'a>> = HashMap::new();
        for package in packages {
            let named = installed.entry((package.kind, normal(package.kind, &package.name))).or_default();
            named.all.push(package);
            for location in &package.locations {
                let here = named.by_home.entry(home(package.kind, &location.path)).or_default();
                // Sorted: the copies of one package come one after the other.
                if here.last().is_none_or(|last| !std::ptr::eq(*last, package)) {
                    here.push(package);
                }
            }
        }
        Self { installed, looks: 0, bytes: 0 }
    }

    fn is_over(&self) -> bool {
        self.looks > MAX_LOOKS || self.bytes > MAX_BYTES
    }

    /// The purls of what `package` needs, sorted.
    fn needs(&mut self, package: &Package) -> Vec<String> {
        let mut purls: BTreeSet<&'a str> = BTreeSet::new();
        for name in &package.depends_on {
            if self.is_over() {
                break;
            }
            for needed in self.needed(package, name) {
                if needed.purl != package.purl && !needed.purl.is_empty() && purls.insert(&needed.purl) {
                    self.bytes += needed.purl.len();
                }
            }
        }
        purls.into_iter().map(str::to_owned).collect()
    }

    /// What `package` means by `name`.
    fn needed(&mut self, package: &Package, name: &str) -> Vec<&'a Package> {
        let find = |name: &str| self.installed.get(&(package.kind, normal(package.kind, name)));
        let Some(named) = find(name) else {
            // Scopes of npm begin with the sign that separates the version.
            let versioned = name.rsplit_once('@').filter(|(name, _)| !name.is_empty());
            let chosen = versioned.and_then(|(name, version)| Some((find(name)?, version)));
            return chosen.map_or_else(Vec::new, |(named, version)| {
                self.looks += named.all.len() as u64;
                named.all.iter().copied().filter(|candidate| candidate.version == version).collect()
            });
        };
        if let [only] = named.all.as_slice() {
            self.looks += 1;
            return vec![only];
        }
        let mut found = Vec::new();
        for place in package.locations.iter().take(MAX_PLACES) {
            for folder in reach(package.kind, &place.path) {
                self.looks += 1;
                if let Some(here) = named.by_home.get(folder) {
                    self.looks += here.len() as u64;
                    found.extend(here.iter().copied().filter(|other| other.architecture == package.architecture));
                    break;
                }
            }
        }
        // Of two environments, or two architectures, what is not beside it is better than nothing.
        if found.is_empty() && package.kind != PackageType::Npm {
            self.looks += named.all.len() as u64;
            found.clone_from(&named.all);
        }
        found
    }
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

/// The folder in which others find a package that lies at `path`: for Node the one that holds `node_modules`, for
/// others the one that holds its own, as `site-packages` holds `x.dist-info/METADATA`.
fn home(kind: PackageType, path: &str) -> &str {
    match kind {
        PackageType::Npm => path.rsplit_once("node_modules/").map_or(directory(path), |(above, _)| trimmed(above)),
        _ => directory(directory(path)),
    }
}

/// The folders in which a package at `path` looks, the nearest first. Node looks in the `node_modules` of its own
/// folder, then in those above (<https://nodejs.org/api/modules.html#loading-from-node_modules-folders>).
fn reach(kind: PackageType, path: &str) -> impl Iterator<Item = &str> {
    let nearest = if kind == PackageType::Npm { directory(path) } else { home(kind, path) };
    std::iter::successors(Some(nearest), move |&folder| {
        (kind == PackageType::Npm && !folder.is_empty()).then(|| directory(folder))
    })
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn trimmed(folder: &str) -> &str {
    folder.trim_end_matches('/')
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

    /// Two versions of each of many packages, of which every one needs every other.
    #[test]
    fn what_cannot_be_followed_to_the_end_is_said() {
        let names: Vec<String> = (0..600).map(|number| format!("p{number}")).collect();
        let needs: Vec<&str> = names.iter().map(String::as_str).collect();
        let deep = "d/".repeat(300);
        let packages = |root: fn(&str, &str) -> String| -> Vec<Package> {
            let versions = names.iter().flat_map(|name| ["1", "2"].map(|version| (name, version)));
            let place = |name: &str, version| format!("{}/{deep}node_modules/{name}/package.json", root(name, version));
            let made = versions.map(|(name, version)| (name, version, place(name, version)));
            made.map(|(name, version, path)| package(PackageType::Npm, name, version, &path, &needs)).collect()
        };
        let mut beside_one_another = packages(|_, version| version.to_owned());
        assert_eq!(resolve(&mut beside_one_another), None);
        assert_eq!(beside_one_another[0].depends_on.len(), 599);
        // Nothing lies above anything: every folder is looked into.
        let mut apart = packages(|name, version| format!("{name}-{version}"));
        let note = resolve(&mut apart).unwrap();
        assert!(note.message.contains("not all of that is listed"), "{note:?}");
    }

    /// As Java's and .NET's readers write names.
    #[test]
    fn groups_and_names_of_another_case() {
        use PackageType::{Maven, Nuget};
        let mut packages = [
            package(Maven, "g:app", "1", "srv/app.war!/WEB-INF/lib/app-1.jar", &["g:lib", "other:lib", "g:none"]),
            package(Maven, "g:lib", "1", "srv/app.war!/WEB-INF/lib/lib-1.jar", &[]),
            package(Maven, "g:lib", "2", "srv/two.war!/WEB-INF/lib/lib-2.jar", &[]),
            package(Nuget, "App.Core", "1.0.0", "app/App.deps.json", &["newtonsoft.json@13.0.1", "X@1.0.0"]),
            package(Nuget, "Newtonsoft.Json", "12.0.1", "old/App.deps.json", &[]),
            package(Nuget, "Newtonsoft.Json", "13.0.1", "app/App.deps.json", &[]),
        ];
        resolve(&mut packages);
        assert_eq!(packages[0].depends_on, ["pkg:maven/g:lib@1"]);
        assert_eq!(packages[3].depends_on, ["pkg:nuget/Newtonsoft.Json@13.0.1"]);
    }
}
