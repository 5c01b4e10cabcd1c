//! The list of modules in build information: lines of words between tabs.
//!
//! Format: <https://pkg.go.dev/runtime/debug#BuildInfo>, as `BuildInfo.String` writes it.

use portcullis_model::{Package, PackageType, Purl, Reading, Warning};

use crate::complete::language_package;

/// The list stands between two marks of this length.
pub(super) const MARK: usize = 16;

/// The most modules of one program; the largest real ones have some two thousand.
const MAX_MODULES: usize = 50_000;

/// <https://go.dev/LICENSE>
pub(in crate::readers) const STDLIB_LICENSE: &str = "BSD-3-Clause";

/// Why Go's standard library is not all that a program was built from.
const NO_MODULES: &str = "a program of Go that does not name the modules it was built from: others may be missing";

/// The packages of one program: Go's standard library, what it was built from, and itself.
pub(super) fn reading(version: &str, modules: &[u8], path: &str) -> Reading {
    let mut reading = Reading::default();
    // A development version between two releases, `devel go1.22-bd36fd5`, has no place in the order.
    if let Some(version) = version.strip_prefix("go") {
        // `go1.21.5 X:nocoverageredesign`, `go1.19.13-fips`.
        let version = version.split([' ', '-']).next().unwrap_or(version);
        reading
            .packages
            .push(Package { licenses: vec![STDLIB_LICENSE.to_owned()], ..package("stdlib", version, path) });
    }
    let list = unmark(modules);
    let list = String::from_utf8_lossy(list);
    let mut main = None;
    let mut ldflags = "";
    // A module, until it is known that the next line does not replace it.
    let mut pending = None;
    for line in list.lines() {
        if reading.packages.len() >= MAX_MODULES {
            let message = format!("the program names more than {MAX_MODULES} modules: the others were not read");
            reading.warnings.push(Warning::gap(path, message));
            break;
        }
        let mut words = line.split('\t');
        match (words.next(), words.next(), words.next()) {
            (Some("mod"), Some(name), version) => main = Some((name, version.unwrap_or_default())),
            (Some("dep"), Some(name), Some(version)) => {
                let before = pending.replace((name, released(version)));
                reading.packages.extend(before.map(|(name, version)| package(name, version, path)));
            }
            // A local folder has no version: then the module that it stands for says the most.
            (Some("=>"), Some(name), Some(version)) if !released(version).is_empty() && pending.is_some() => {
                pending = Some((name, version));
            }
            (Some("build"), Some(setting), _) => ldflags = setting.strip_prefix("-ldflags=").unwrap_or(ldflags),
            _ => {}
        }
    }
    // Go itself is built from nothing else. Other build tools (Bazel) and Go without modules write no list at all.
    let is_go_s_own = list.lines().any(|line| line.starts_with("path\tcmd/"));
    if main.is_none() && pending.is_none() && reading.packages.len() <= 1 && !is_go_s_own {
        reading.partial = Some(NO_MODULES.to_owned());
    }
    reading.packages.extend(pending.map(|(name, version)| package(name, version, path)));
    reading.packages.extend(main.filter(|(name, _)| !name.is_empty()).map(|(name, version)| {
        let own = released(version);
        // Where no tag is known, Go makes `v0.0.0` of the commit: a version that was put in says more. Without either
        // the program is there all the same, and advisories of it are undecided.
        let has_tag = !own.is_empty() && !own.starts_with("v0.0.0-");
        let linked = if has_tag { None } else { linked_version(ldflags, name) };
        package(name, linked.as_deref().unwrap_or(own), path)
    }));
    reading
}

/// What stands between the marks; nothing if they are not there, as Go itself has it.
fn unmark(modules: &[u8]) -> &[u8] {
    let list = modules.len().checked_sub(MARK).and_then(|end| modules.get(MARK..end)).unwrap_or_default();
    if list.ends_with(b"\n") { list } else { &[] }
}

/// A version; nothing where Go says that it knows none, as of the modules of a workspace.
fn released(version: &str) -> &str {
    if version == "(devel)" { "" } else { version }
}

fn package(name: &str, version: &str, path: &str) -> Package {
    let (namespace, plain) = name.rsplit_once('/').unwrap_or(("", name));
    let purl = Purl::new(PackageType::Golang, namespace, plain, version);
    language_package(PackageType::Golang, purl, (name.to_owned(), version.to_owned()), None, path)
}

/// What a program may call its own version, in lower case.
const OWN_VERSION: [&str; 6] =
    ["appversion", "buildversion", "gitdescribe", "gitversion", "releaseversion", "versionstring"];

/// The version that a build has put in with `-X main.version=1.2.3`; that of another package only if its variable is
/// called `version` too, since `goVersion` and the like are of something else. Other names count in the program's own
/// packages, such as `github.com/hashicorp/consul/version.GitDescribe`.
fn linked_version(ldflags: &str, module: &str) -> Option<String> {
    let words = ldflags.split([' ', '"', '\'', '\\']);
    let values = words.filter_map(|word| word.split_once('=')).filter(|(_, value)| is_release(value));
    let versions = values.filter_map(|(variable, value)| {
        let (package, name) = variable.rsplit_once('.')?;
        let below = package.strip_prefix(module);
        let is_own = package == "main" || below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
        let rank = match name.to_ascii_lowercase().as_str() {
            "version" if package == "main" => 0,
            "version" => 1,
            name if is_own && OWN_VERSION.contains(&name) => 2,
            _ => return None,
        };
        Some((rank, value))
    });
    let (_, value) = versions.min_by_key(|(rank, _)| *rank)?;
    Some(format!("v{}", value.trim_start_matches('v')))
}

/// Three numbers with dots, and whatever follows.
fn is_release(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let starts_with_digit = |part: &str| part.starts_with(|character: char| character.is_ascii_digit());
    text.splitn(3, '.').filter(|part| starts_with_digit(part)).count() == 3
}
