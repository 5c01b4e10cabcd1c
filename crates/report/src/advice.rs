//! What to do: the upgrade of each package that fixes the most, and the command for it.

use std::cmp::{Ordering, Reverse};

use portcullis_model::{Finding, FindingPackage, FixState, PackageType, SeverityLevel, Upgrade};
use portcullis_versions::Scheme;

use crate::{text::clean, view::Group};

/// An upgrade.
pub(crate) struct Advice<'a> {
    /// The package as it is installed.
    pub(crate) package: &'a FindingPackage,
    /// The version to upgrade to: the lowest that fixes all that can be fixed.
    pub(crate) version: &'a str,
    /// How many findings it fixes.
    pub(crate) fixes: usize,
    /// The worst of them.
    pub(crate) worst: SeverityLevel,
    /// What that version is known to have itself.
    pub(crate) remaining: Option<(u64, SeverityLevel)>,
}

impl Advice<'_> {
    /// `upgrade x from 1.0.0 to 1.2.3: fixes 2, the worst high`
    pub(crate) fn words(&self) -> String {
        let Self { package, version, fixes, worst, remaining } = self;
        // As the installed version is written.
        let v = if package.version.starts_with('v') && !version.starts_with('v') { "v" } else { "" };
        let mut words = format!(
            "upgrade {} from {} to {v}{version}: fixes {fixes}, the worst {worst}",
            package.name, package.version
        );
        if let Some((remaining, worst)) = remaining {
            words.push_str(&format!("; {remaining} without a fix, the worst {worst}"));
        }
        words
    }
}

/// The upgrades for `groups`, the one that helps most first. `known` are those that were looked up.
pub(crate) fn advise<'a>(groups: &[Group<'a>], known: &'a [Upgrade]) -> Vec<Advice<'a>> {
    let mut advice: Vec<_> = groups.iter().filter_map(|group| upgrade(group, known)).collect();
    advice.sort_by_key(|advice| (Reverse(advice.worst), Reverse(advice.fixes), advice.package));
    advice
}

fn upgrade<'a>(group: &Group<'a>, known: &'a [Upgrade]) -> Option<Advice<'a>> {
    let package = group.package;
    let fixable: Vec<_> =
        group.findings.iter().filter_map(|finding| Some((*finding, fixing_version(finding)?))).collect();
    let worst = fixable.iter().map(|(finding, _)| finding.severity.level).max()?;
    if let Some(Upgrade { version, fixes, remaining, worst_remaining, .. }) =
        known.iter().find(|upgrade| upgrade.purl == package.purl)
    {
        let fixes = usize::try_from(*fixes).ok().filter(|fixes| *fixes > 0)?;
        return Some(Advice {
            package,
            version,
            fixes,
            worst,
            remaining: worst_remaining.map(|worst| (*remaining, worst)),
        });
    }
    let mut version = None::<&str>;
    for (finding, candidate) in &fixable {
        version = Some(match version {
            None => candidate,
            // Where two cannot be compared there is no one version to advise.
            Some(best) => match scheme(finding)?.compare(candidate, best).ok()? {
                Ordering::Greater => candidate,
                Ordering::Less | Ordering::Equal => best,
            },
        });
    }
    Some(Advice { package, version: version?, fixes: fixable.len(), worst, remaining: None })
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

/// The command that upgrades a package; none where it is an edit of a file. Quoted for a POSIX shell.
pub(crate) fn upgrade_command(package: &FindingPackage, version: &str) -> Option<String> {
    let name = clean(&package.name);
    let version = clean(version);
    let at = |separator: &str| quoted(&format!("{name}{separator}{version}"));
    Some(match package.kind {
        PackageType::Deb => format!("apt-get install --only-upgrade {}", quoted(&name)),
        PackageType::Apk => format!("apk add --upgrade {}", quoted(&name)),
        PackageType::Rpm => format!("dnf upgrade {}", quoted(&name)),
        PackageType::Pypi => format!("pip install {}", at(">=")),
        PackageType::Npm => format!("npm install {}", at("@")),
        // The standard library is upgraded with the toolchain.
        PackageType::Golang if name == "stdlib" || name == "toolchain" => return None,
        PackageType::Golang => format!("go get {}", at(if version.starts_with('v') { "@" } else { "@v" })),
        PackageType::Cargo => format!("cargo update -p {} --precise {}", quoted(&name), quoted(&version)),
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
    use super::*;

    #[test]
    fn commands_quote_what_a_shell_would_read() {
        let package = |kind, name: &str| FindingPackage {
            kind,
            name: name.to_owned(),
            version: String::new(),
            purl: String::new(),
            locations: Vec::new(),
        };
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
