//! Where the advisories of one package are looked up: ecosystem, name and version.

use std::collections::HashSet;

use portcullis_model::{AdvisoryKey, AdvisoryLookup, Affected, Distribution, LookupError, Package, PackageType};

use crate::{distributions::Names, plan::Plan, third_parties::publisher};

/// One lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) ecosystem: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    /// Whether the version's epoch is not known: then those of bounds do not count either.
    pub(crate) any_epoch: bool,
    /// Whether the package's own name is asked beside its source's.
    pub(crate) turn: Turn,
}

/// Where both the name of a package and that of its source are asked, in this order: a record that names the package
/// itself says more of it than by its source, whose version is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// One name is asked.
    Only,
    /// The package's own, before its source's.
    Own,
    /// Its source's, in the ecosystem that was asked for its own.
    Source,
}

impl<'a> Place<'a> {
    /// The one name that is asked, by a version that is known whole.
    pub(crate) const fn only(ecosystem: &'a str, name: &'a str, version: &'a str) -> Self {
        Self { ecosystem, name, version, any_epoch: false, turn: Turn::Only }
    }

    /// A bound of a record as it is compared with the version.
    pub(crate) fn bound<'b>(&self, bound: &'b str) -> &'b str {
        if self.any_epoch { without_epoch(bound) } else { bound }
    }
}

/// What the places that were asked have said of a package. Of Ubuntu's release and Ubuntu Pro, what the first that is asked
/// says of a vulnerability stands; and what names the package itself, before what names its source.
#[derive(Debug)]
pub(crate) struct Spoken<'a> {
    first: Option<&'a str>,
    decided: HashSet<AdvisoryKey>,
    named: HashSet<AdvisoryKey>,
}

impl<'a> Spoken<'a> {
    /// Nothing yet.
    pub(crate) fn new(places: &[Place<'a>], has_pro: bool) -> Self {
        let first = places.first().filter(|_| has_pro).map(|place| place.ecosystem);
        Self { first, decided: HashSet::new(), named: HashSet::new() }
    }

    /// Whether another place has said what `advisory` means for the package.
    pub(crate) fn has(&self, advisory: AdvisoryKey, place: &Place<'_>) -> bool {
        (self.first != Some(place.ecosystem) && self.decided.contains(&advisory))
            || (place.turn == Turn::Source && self.named.contains(&advisory))
    }

    /// Takes what `place` says of the package. An entry without a version says nothing.
    pub(crate) fn add<'e, 'd: 'e>(&mut self, place: &Place<'_>, entries: impl Iterator<Item = &'e Affected<'d>>) {
        if place.turn == Turn::Own {
            // Of the ecosystem that was asked before.
            self.named.clear();
        }
        for entry in entries.filter(|entry| !entry.intervals.is_empty() || !entry.versions.is_empty()) {
            if self.first == Some(place.ecosystem) {
                self.decided.insert(entry.advisory);
            }
            if place.turn == Turn::Own {
                self.named.insert(entry.advisory);
            }
        }
    }
}

/// What to do with a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Ask here.
    Ask(Vec<Place<'a>>),
    /// No advisory in the database can speak of it; the text says of what kind it is.
    Uncovered(String),
    /// It is the distribution's, and the database has nothing for that: said once for the whole image.
    OfUncoveredDistribution,
    /// It is a folder of the project's own: nobody publishes it.
    Own,
}

/// Where to look `package` up.
pub(crate) fn route<'a>(
    package: &'a Package,
    distribution: Option<&Distribution>,
    plan: &'a Plan,
    languages: &'a Languages,
    lookup: &dyn AdvisoryLookup,
) -> Result<Route<'a>, LookupError> {
    if package.kind.is_operating_system() {
        return Ok(of_distribution(package, distribution, plan));
    }
    if package.kind == PackageType::Generic {
        return generic(package, lookup);
    }
    let Some(base) = ecosystem_of(package.kind) else {
        return Ok(Route::Uncovered(format!("{} packages", package.kind)));
    };
    match origin(package) {
        Origin::Registry => {}
        Origin::Folder => return Ok(Route::Own),
        Origin::Elsewhere => return Ok(Route::Uncovered(format!("{} packages from outside of {base}", package.kind))),
    }
    let covered = languages.covered(base);
    if covered.is_empty() {
        return Ok(Route::Uncovered(base.to_owned()));
    }
    // Go's records write versions without the `v` that modules carry.
    let version = match package.kind {
        PackageType::Golang => package.version.strip_prefix('v').unwrap_or(&package.version),
        _ => &package.version,
    };
    Ok(Route::Ask(covered.iter().map(|ecosystem| Place::only(ecosystem, &package.name, version)).collect()))
}

/// Where a package of a language comes from.
enum Origin {
    /// The registry of its ecosystem, whose advisories speak of it.
    Registry,
    /// A folder of the project.
    Folder,
    /// A repository or another registry: a package of that name there need not be the one here.
    Elsewhere,
}

/// A purl says if its package is a folder of the project's own. Cargo tells a registry's crate from a repository's, too;
/// inventories of other tools name the repository of any package.
fn origin(package: &Package) -> Origin {
    let is_at = |place: &str| package.purl.split(['?', '&']).skip(1).any(|qualifier| qualifier.starts_with(place));
    match package.kind {
        _ if package.is_folder() => Origin::Folder,
        PackageType::Cargo if is_at("vcs_url=") || is_at("repository_url=") => Origin::Elsewhere,
        _ => Origin::Registry,
    }
}

fn of_distribution<'a>(package: &'a Package, distribution: Option<&Distribution>, plan: &'a Plan) -> Route<'a> {
    let Some(rule) = plan.rule.filter(|_| distribution.is_some()) else { return Route::OfUncoveredDistribution };
    if package.kind != rule.kind {
        return Route::Uncovered(format!("{} packages", package.kind));
    }
    if let Some(publisher) = publisher(package, rule) {
        return Route::Uncovered(format!("{} packages by {publisher}", package.kind));
    }
    if plan.ecosystems.is_empty() {
        return Route::OfUncoveredDistribution;
    }
    let own = (package.name.as_str(), package.version.as_str());
    let source = package.source.as_ref().map_or(own, |source| match package.kind {
        // An apk's version is its origin's: all packages of one build share it.
        PackageType::Apk => (source.name.as_str(), own.1),
        _ if source.version.is_empty() => (source.name.as_str(), own.1),
        _ => (source.name.as_str(), source.version.as_str()),
    });
    let any_epoch = package.kind == PackageType::Rpm && is_epoch_unknown(own, source);
    let names = if rule.names == Names::Either && own.0 != source.0 {
        vec![(own, false, Turn::Own), (source, any_epoch, Turn::Source)]
    } else {
        vec![(source, any_epoch, Turn::Only)]
    };
    // What Ubuntu Pro built is fixed where its own records say so. Of other packages the release's say more, but when
    // its support has ended they say nothing of what came later: that is in Pro's alone.
    let pro = plan.pro.as_ref();
    let is_of_pro = package.version.contains("esm");
    let before = pro.filter(|_| is_of_pro).into_iter();
    let ecosystems = before.chain(&plan.ecosystems).chain(pro.filter(|_| !is_of_pro));
    let places = ecosystems.flat_map(|ecosystem| {
        names.iter().map(move |&((name, version), any_epoch, turn)| {
            let version = if any_epoch { without_epoch(version) } else { as_written(ecosystem, version) };
            Place { ecosystem, name, version, any_epoch, turn }
        })
    });
    Route::Ask(places.collect())
}

/// Whether the epoch of a source is not known. The name of its file has none, so that its package's was taken; but a
/// package may have an epoch of its own: `perl-Errno-1.30`, `perl-meta-notation-5.32.1` and `perl-libs-4:5.32.1` are all
/// built from `perl-5.32.1`, whose advisories are about `4:5.32.1`.
fn is_epoch_unknown(own: (&str, &str), source: (&str, &str)) -> bool {
    let epoch = |version: &str| version.len() - without_epoch(version).len();
    own.0 != source.0 && own.1.get(..epoch(own.1)) == source.1.get(..epoch(source.1))
}

/// `1.2-3` of `4:1.2-3`.
fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

/// A version as the records of `ecosystem` write it: those of Azure Linux leave epochs out, and would seem to be older
/// than any package that has one.
pub(crate) fn as_written<'a>(ecosystem: &str, version: &'a str) -> &'a str {
    let is_without_epoch = ecosystem.starts_with("Azure Linux:");
    if is_without_epoch { without_epoch(version) } else { version }
}

/// Binaries outside of any package manager, as Bitnami's advisories name them: those are about upstream's releases.
fn generic<'a>(package: &'a Package, lookup: &dyn AdvisoryLookup) -> Result<Route<'a>, LookupError> {
    const ECOSYSTEM: &str = "Bitnami";
    let name = match package.name.as_str() {
        "nodejs" => "node",
        "redis-server" => "redis",
        "httpd" => "apache",
        "postgres" => "postgresql",
        "python3" => "python",
        "go" => "golang",
        "openjdk" => "java",
        other => other,
    };
    if lookup.covers(ECOSYSTEM) && !lookup.affected(ECOSYSTEM, name)?.is_empty() {
        return Ok(Route::Ask(vec![Place::only(ECOSYSTEM, name, &package.version)]));
    }
    Ok(Route::Uncovered(format!("{} packages", package.kind)))
}

/// Which ecosystems of languages the database covers, resolved once.
#[derive(Debug, Default)]
pub(crate) struct Languages(Vec<(&'static str, Vec<String>)>);

impl Languages {
    pub(crate) fn of(packages: &[Package], lookup: &dyn AdvisoryLookup) -> Self {
        let mut languages: Vec<(&str, Vec<String>)> = Vec::new();
        for base in packages.iter().filter_map(|package| ecosystem_of(package.kind)) {
            if languages.iter().any(|(known, _)| *known == base) {
                continue;
            }
            let ecosystems = match base {
                _ if !lookup.covers(base) => Vec::new(),
                // Other repositories have names of their own: `Packagist:https://packages.drupal.org/8`.
                "Packagist" | "Maven" => lookup.family(base),
                _ => vec![base.to_owned()],
            };
            languages.push((base, ecosystems));
        }
        Self(languages)
    }

    fn covered(&self, base: &str) -> &[String] {
        self.0.iter().find(|(known, _)| *known == base).map_or(&[], |(_, ecosystems)| ecosystems)
    }
}

/// The ecosystem of a language's packages; none where OSV has none. Conda's names are no names of PyPI, and CocoaPods'
/// are none of Swift's package manager.
pub(crate) const fn ecosystem_of(kind: PackageType) -> Option<&'static str> {
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
        PackageType::Opam => "opam",
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
        | PackageType::Terraform
        | PackageType::WordpressPlugin
        | PackageType::Pear
        | PackageType::Brew
        | PackageType::Generic => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::package;

    #[test]
    fn what_comes_from_elsewhere_is_not_the_registry_s_package_of_that_name() {
        use PackageType::{Cargo, Npm};
        for (kind, purl, expected) in [
            (Cargo, "pkg:cargo/time@0.1.0", "registry"),
            (Cargo, "pkg:cargo/time@0.1.0?repository_url=file:.", "folder"),
            (Cargo, "pkg:cargo/time@0.1.0?a=b&vcs_url=git%2Bhttps:%2F%2Fgit.example%2Ftime", "elsewhere"),
            (Npm, "pkg:npm/time@0.1.0?repository_url=file:packages%2Ftime", "folder"),
            // Inventories of other tools say so of npm's own packages.
            (Npm, "pkg:npm/time@0.1.0?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Ftime", "registry"),
        ] {
            let mut package = package(kind, "time", "0.1.0");
            package.purl = purl.to_owned();
            let found = match origin(&package) {
                Origin::Registry => "registry",
                Origin::Folder => "folder",
                Origin::Elsewhere => "elsewhere",
            };
            assert_eq!(found, expected, "{purl}");
        }
    }
}
