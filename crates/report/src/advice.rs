//! What to do: the upgrade of each package that fixes the most, and the command for it.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use portcullis_model::{Finding, FindingPackage, FixState, Package, PackageType, Report, SeverityLevel, Upgrade};
use portcullis_versions::Scheme;

use crate::{
    text::clean,
    view::{Group, written},
};

/// An upgrade.
pub(crate) struct Advice<'a> {
    /// The package as it is installed.
    pub(crate) package: &'a FindingPackage,
    /// How many findings it fixes.
    pub(crate) fixes: usize,
    /// The worst of them.
    pub(crate) worst: SeverityLevel,
    /// The command for it.
    pub(crate) command: Option<String>,
    /// The version to upgrade to: the lowest that fixes all that can be fixed.
    version: &'a str,
    /// What that version is known to have itself.
    remaining: Option<(u64, SeverityLevel)>,
    /// Who brings it: a package that needs it.
    needed_by: Option<&'a Package>,
}

impl Advice<'_> {
    /// `upgrade x from 1.0.0 to 1.2.3: fixes 2, the worst high`
    pub(crate) fn words(&self) -> String {
        let Self { package, version, fixes, worst, remaining, needed_by, command: _ } = self;
        let FindingPackage { name, version: installed, .. } = package;
        let version = written(package, version);
        let mut words = format!("upgrade {name} from {installed} to {version}: fixes {fixes}, the worst {worst}");
        if let Some((remaining, worst)) = remaining {
            words.push_str(&format!("; {remaining} without a fix, the worst {worst}"));
        }
        if let Some(Package { name, version, .. }) = needed_by {
            words.push_str(&format!("; needed by {name} {version}"));
        }
        words
    }
}

/// What must be known of a report for the commands that upgrade its packages.
pub(crate) struct Commands<'a> {
    /// By purl: a package that needs it. What the project itself asks for is no other's.
    needed_by: HashMap<&'a str, &'a Package>,
    /// How many versions of a package there are.
    versions: HashMap<(PackageType, &'a str), usize>,
    /// What upgrades packages of rpm.
    rpm: &'static str,
}

impl<'a> Commands<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let (mut needed_by, mut versions) = (HashMap::new(), HashMap::new());
        let mut direct: HashSet<&str> = HashSet::new();
        for package in report.inventory.packages.iter().filter(|package| !package.kind.is_operating_system()) {
            *versions.entry((package.kind, package.name.as_str())).or_default() += 1;
            let needed = package.depends_on.iter().map(String::as_str);
            if is_project(package) {
                direct.extend(needed);
            } else {
                needed.for_each(|needed| _ = needed_by.entry(needed).or_insert(package));
            }
        }
        needed_by.retain(|purl, _| !direct.contains(purl));
        let id = report.distribution.as_ref().map_or("", |distribution| distribution.id.as_str());
        let rpm = match id {
            "azurelinux" | "mariner" | "photon" => "tdnf update",
            id if id.starts_with("opensuse") || id.starts_with("sle") => "zypper update",
            _ => "dnf upgrade",
        };
        Self { needed_by, versions, rpm }
    }

    fn needed_by(&self, package: &FindingPackage) -> Option<&'a Package> {
        self.needed_by.get(package.purl.as_str()).copied()
    }

    /// The command that upgrades a package to `version`; none where it is an edit of a file, or another package's copy.
    pub(crate) fn upgrade(&self, package: &FindingPackage, version: &str) -> Option<String> {
        let is_single = || self.versions.get(&(package.kind, &*package.name)).is_none_or(|count| *count == 1);
        match package.kind {
            PackageType::Rpm => Some(format!("{} {}", self.rpm, quoted(&clean(&package.name)))),
            // What another package brings, or is there in several versions, npm would add beside those.
            PackageType::Npm if self.needed_by(package).is_some() || !is_single() => None,
            _ => upgrade_command(package, version),
        }
    }

    /// The command that fixes a finding.
    pub(crate) fn fix(&self, finding: &Finding) -> Option<String> {
        self.upgrade(&finding.package, fixing_version(finding)?)
    }
}

/// Whether it is what the others were installed for: a project's own folder, or `app/package.json` beside
/// `app/node_modules`.
fn is_project(package: &Package) -> bool {
    let place = package.locations.first().map_or("", |location| location.path.as_str());
    let is_application = place.ends_with("package.json") && !place.contains("node_modules/");
    package.is_folder() || package.kind == PackageType::Npm && is_application
}

/// The upgrades for `groups` of `report`, the one that helps most first.
pub(crate) fn advise<'a>(groups: &[Group<'a>], report: &'a Report, commands: &Commands<'a>) -> Vec<Advice<'a>> {
    let mut advice: Vec<_> = groups.iter().filter_map(|group| upgrade(group, &report.upgrades, commands)).collect();
    advice.sort_by_key(|advice| (Reverse(advice.worst), Reverse(advice.fixes), advice.package));
    advice
}

fn upgrade<'a>(group: &Group<'a>, known: &'a [Upgrade], commands: &Commands<'a>) -> Option<Advice<'a>> {
    let package = group.package;
    let fixable: Vec<_> =
        group.findings.iter().filter_map(|finding| Some((*finding, fixing_version(finding)?))).collect();
    let worst = fixable.iter().map(|(finding, _)| finding.severity.level).max()?;
    let (version, fixes, remaining) = match known.iter().find(|upgrade| upgrade.purl == package.purl) {
        Some(Upgrade { version, fixes, remaining, worst_remaining, .. }) => {
            let fixes = usize::try_from(*fixes).ok().filter(|fixes| *fixes > 0)?;
            (version.as_str(), fixes, worst_remaining.map(|worst| (*remaining, worst)))
        }
        None => {
            let versions = fixable.iter().filter_map(|(finding, version)| Some((scheme(finding)?, *version)));
            (portcullis_versions::highest(versions)?, fixable.len(), None)
        }
    };
    let (command, needed_by) = (commands.upgrade(package, version), commands.needed_by(package));
    Some(Advice { package, fixes, worst, command, version, remaining, needed_by })
}

/// The lowest version that fixes `finding` and is newer than what is installed.
pub(crate) fn fixing_version(finding: &Finding) -> Option<&str> {
    if finding.state != FixState::Fixed {
        return None;
    }
    match scheme(finding) {
        Some(scheme) => scheme.first_after(&finding.fixed_versions, &finding.evidence.version),
        None => finding.fixed_versions.first().map(String::as_str),
    }
}

fn scheme(finding: &Finding) -> Option<Scheme> {
    Scheme::of_ecosystem(&finding.evidence.ecosystem)
}

/// The command of what manages a package where it was found. Quoted for a POSIX shell.
fn upgrade_command(package: &FindingPackage, version: &str) -> Option<String> {
    let name = clean(&package.name);
    let version = clean(version);
    let place = package.locations.first().map_or("", |location| location.path.as_str());
    let file = place.rsplit('/').next().unwrap_or(place);
    let at = |separator: &str| quoted(&format!("{name}{separator}{version}"));
    Some(match package.kind {
        PackageType::Deb => format!("apt-get install --only-upgrade {}", quoted(&name)),
        PackageType::Apk => format!("apk add --upgrade {}", quoted(&name)),
        PackageType::Pypi => match file {
            "poetry.lock" => format!("poetry update {}", quoted(&name)),
            "uv.lock" => format!("uv lock --upgrade-package {}", at("==")),
            "pdm.lock" => format!("pdm update {}", quoted(&name)),
            "Pipfile.lock" => format!("pipenv upgrade {}", at(">=")),
            _ if file.ends_with(".lock") || file.ends_with(".txt") || file.ends_with(".toml") => return None,
            _ => format!("pip install {}", at(">=")),
        },
        PackageType::Npm => match file {
            "pnpm-lock.yaml" => format!("pnpm update {}", at("@")),
            _ if file.starts_with("yarn") || file.starts_with("bun") => return None,
            _ if place.matches("node_modules/").count() > 1 => return None,
            _ => format!("npm install {}", at("@")),
        },
        // The standard library is upgraded with the toolchain.
        PackageType::Golang if name == "stdlib" || name == "toolchain" => return None,
        PackageType::Golang => format!("go get {}", at(if version.starts_with('v') { "@" } else { "@v" })),
        // What was compiled in is another's to build.
        PackageType::Cargo if file != "Cargo.lock" => return None,
        PackageType::Cargo => {
            let installed = clean(&package.version);
            format!("cargo update -p {} --precise {}", quoted(&format!("{name}@{installed}")), quoted(&version))
        }
        PackageType::Gem => format!("bundle update {}", quoted(&name)),
        PackageType::Composer => format!("composer require {}", at(":>=")),
        PackageType::Nuget => format!("dotnet add package {} --version {}", quoted(&name), quoted(&version)),
        _ => return None,
    })
}

/// A word of a POSIX shell's command.
fn quoted(word: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '%' | '_' | '+' | '=' | ':' | ',' | '.' | '/' | '-');
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('-') {
        return word.to_owned();
    }
    // A name that starts with a dash would be an option even in quotes.
    let prefix = if word.starts_with('-') { "./" } else { "" };
    format!("'{prefix}{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use portcullis_model::Location;

    use super::*;

    fn package(kind: PackageType, name: &str, place: &str) -> FindingPackage {
        FindingPackage {
            kind,
            name: name.to_owned(),
            version: "1.0".to_owned(),
            purl: String::new(),
            locations: vec![Location { path: place.to_owned(), layer: None }],
        }
    }

    #[test]
    fn commands_are_those_of_what_manages_the_package() {
        for (kind, place, command) in [
            (PackageType::Pypi, "a/poetry.lock", Some("poetry update x")),
            (PackageType::Pypi, "uv.lock", Some("uv lock --upgrade-package x==1.2")),
            (PackageType::Pypi, "requirements.txt", None),
            (PackageType::Pypi, "usr/lib/x-1.0.dist-info/METADATA", Some("pip install 'x>=1.2'")),
            (PackageType::Npm, "package-lock.json", Some("npm install x@1.2")),
            (PackageType::Npm, "pnpm-lock.yaml", Some("pnpm update x@1.2")),
            (PackageType::Npm, "yarn.lock", None),
            (PackageType::Npm, "app/node_modules/x/package.json", Some("npm install x@1.2")),
            (PackageType::Npm, "app/node_modules/a/node_modules/x/package.json", None),
            (PackageType::Cargo, "Cargo.lock", Some("cargo update -p x@1.0 --precise 1.2")),
            (PackageType::Cargo, "usr/bin/tool", None),
        ] {
            assert_eq!(upgrade_command(&package(kind, "x", place), "1.2").as_deref(), command, "{place}");
        }
    }

    #[test]
    fn commands_quote_what_a_shell_would_read() {
        let package = |kind, name: &str| package(kind, name, "");
        for (kind, name, version, command) in [
            (PackageType::Deb, "libssl3", "3.0.15-1", "apt-get install --only-upgrade libssl3"),
            (PackageType::Npm, "@a/b", "1.2.3", "npm install @a/b@1.2.3"),
            (PackageType::Pypi, "requests", "2.0", "pip install 'requests>=2.0'"),
            (PackageType::Golang, "golang.org/x/net", "0.7.0", "go get golang.org/x/net@v0.7.0"),
            (PackageType::Deb, "a;rm -rf '/'", "1", r"apt-get install --only-upgrade 'a;rm -rf '\''/'\'''"),
            (PackageType::Deb, "--help", "1", "apt-get install --only-upgrade './--help'"),
        ] {
            assert_eq!(upgrade_command(&package(kind, name), version).unwrap(), command);
        }
        assert_eq!(upgrade_command(&package(PackageType::Golang, "stdlib"), "1.22.0"), None);
    }
}
