//! Packages of Conda that a project asks for or has locked: `environment.yml`, `conda-lock.yml` and `pixi.lock`.
//!
//! Formats: <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html>,
//! <https://conda.github.io/conda-lock/output/>, <https://pixi.sh/latest/workspace/lock_file/>. All of them name Python
//! packages beside Conda's.

use std::collections::HashMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use super::python_lock::{self, requirements};
use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{self, Listing, Origin, is_archive, is_of_others, reasons},
    tree::{self, Node},
};

/// Reads them.
pub(crate) struct CondaLock;

/// How one kind of file is read.
type Parse = fn(Listing<'_>, Listing<'_>, &Node) -> Vec<Reading>;

fn parser(name: &str) -> Option<Parse> {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    match stem {
        _ if name == "pixi.lock" => Some(pixi),
        Some(stem) if stem == "conda-lock" || stem.ends_with(".conda-lock") => Some(conda_lock),
        Some(stem) if is_environment(stem) => Some(environment),
        _ => None,
    }
}

/// `environment`, `environment-dev`, `dev-environment`.
fn is_environment(stem: &str) -> bool {
    let is_end = |rest: &str, separators: &[char]| rest.is_empty() || rest.starts_with(separators);
    stem.strip_prefix("environment").is_some_and(|rest| is_end(rest, &['-', '_', '.']))
        || stem.strip_suffix("environment").is_some_and(|rest| rest.ends_with(['-', '_', '.']))
}

/// Whether a file is a template of something else.
fn is_other_template(name: &str, text: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    is_environment(stem) && lockfile::is_template(text)
}

impl PackageReader for CondaLock {
    fn name(&self) -> &'static str {
        "conda-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/environment*.yml`, `**/*-environment.yml`, `**/conda-lock.yml`, `**/*.conda-lock.yml`, each also as `.yaml`, \
         and `**/pixi.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        parser(file.file_name()).filter(|_| !is_of_others(file.path))?;
        Some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(parse) = parser(file.file_name()) else { return Reading::default() };
        let Some(text) = fields::decode(contents) else { return Listing::unreadable(file, "it is not text") };
        let document = match tree::yaml(text.as_bytes()) {
            Ok(document) => document,
            // Others call files `environment.yml`, too: templates of Helm's are no YAML.
            Err(_) if is_other_template(file.file_name(), &text) => return Reading::default(),
            Err(why) => return Listing::unreadable(file, why),
        };
        let listings = (Listing::new(PackageType::Conda, file), Listing::new(PackageType::Pypi, file));
        let mut whole = Reading::default();
        for mut reading in parse(listings.0, listings.1, &document) {
            whole.packages.append(&mut reading.packages);
            whole.warnings.append(&mut reading.warnings);
        }
        whole
    }
}

/// `dependencies`: `name=1.2.3=build`, and lists of what other programs install, of which pip's alone is known.
fn environment(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    let mut unpinned = 0_usize;
    for dependency in document.get("dependencies").items() {
        match dependency {
            Node::Text(spec) => match exact(spec) {
                Some((name, version)) => conda.add(&name, version, Vec::new()),
                None => unpinned += usize::from(!spec.is_empty()),
            },
            Node::Map(installers) => installers.iter().for_each(|(name, wanted)| installed(&mut pip, name, wanted)),
            Node::Nothing => {}
            Node::Flag(_) | Node::List(_) => conda.gap("an entry that names no package"),
        }
    }
    if unpinned > 0 {
        let packages = if unpinned == 1 { "1 package".to_owned() } else { format!("{unpinned} packages") };
        conda.note(format!("{packages} of Conda without an exact version: which one is meant is not known"));
    }
    vec![conda.finish(), pip.finish()]
}

/// `pip: [requests==2.31.0]`; a text alone is read as a list of it.
fn installed(pip: &mut Listing<'_>, installer: &str, wanted: &Node) {
    let is_known = match wanted {
        Node::Text(_) | Node::Nothing => true,
        Node::List(items) => items.iter().all(|item| matches!(item, Node::Text(_) | Node::Nothing)),
        Node::Flag(_) | Node::Map(_) => false,
    };
    if installer != "pip" || !is_known {
        pip.gap(format!("what `{installer}` installs was not read"));
    }
    let lines: Vec<&str> = wanted.texts().chain(wanted.text()).filter(|_| installer == "pip").collect();
    if !lines.is_empty()
        && let Err(why) = requirements::read(pip, lines.join("\n").as_bytes())
    {
        pip.gap(why);
    }
}

/// Name and version, where the version is one alone: `name==1.2`, `name=1.2.3`, `name=1.2=build`, `channel::name …`.
/// `name=1.2` means whatever begins so.
fn exact(spec: &str) -> Option<(String, &str)> {
    let spec = spec.rsplit_once("::").map_or(spec, |(_, spec)| spec).trim();
    let spec = spec.split('[').next().unwrap_or(spec).trim();
    let end = spec.find([' ', '=', '<', '>', '!', '~'])?;
    let (name, rest) = spec.split_at_checked(end)?;
    let rest = rest.trim();
    let (version, is_exact) = match rest.strip_prefix("==") {
        Some(version) => (version.trim(), true),
        None => {
            let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
            match rest.split_once(['=', ' ']) {
                Some((version, build)) => (version, !build.is_empty() && !build.contains('*')),
                None => (rest, rest.split('.').count() > 2),
            }
        }
    };
    let is_version = version.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !version.contains(['*', ',', '|', '<', '>', '=', '!', '~', ' ']);
    (is_exact && is_version && !name.is_empty()).then(|| (name.to_ascii_lowercase(), version))
}

/// `package`: each for one platform.
fn conda_lock(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    if !matches!(document.get("package"), Node::List(_)) {
        conda.lacks("package");
    }
    let mut names = HashMap::new();
    for package in document.get("package").items() {
        if let (Some(name), Some(version)) = (package.text_of("name"), package.text_of("version")) {
            names.insert((name, package.text_of("platform").unwrap_or_default()), version);
        }
    }
    for package in document.get("package").items() {
        let (Some(name), Some(version)) = (package.text_of("name"), package.text_of("version")) else {
            conda.gap("a package has no name or no version");
            continue;
        };
        // Only what is for development alone has a category of that name.
        if matches!(package.text_of("category"), Some("dev")) {
            conda.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let platform = package.text_of("platform").unwrap_or_default();
        let needs = package.get("dependencies").keys();
        let needs = needs.filter_map(|needed| Some(format!("{needed}@{}", names.get(&(needed, platform))?)));
        match package.text_of("manager") {
            Some("pip") => pip.add(&python_lock::normal(name), version, needs),
            _ => conda.add(name, version, needs),
        }
    }
    vec![conda.finish(), pip.finish()]
}

/// `packages`: each of Conda or PyPI, in the forms of several versions of the file.
fn pixi(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    if !matches!(document.get("packages"), Node::List(_)) {
        conda.lacks("packages");
    }
    for package in document.get("packages").items() {
        // `conda: <place>`; up to version 5 `kind: conda`, and `url` or `path`.
        let kind = package.text_of("kind");
        let old = || package.text_of("url").or_else(|| package.text_of("path"));
        let place = |form: &str| package.text_of(form).or_else(|| old().filter(|_| kind == Some(form)));
        let (name, version) = (package.text_of("name"), package.text_of("version"));
        if let Some(place) = place("conda") {
            let (name, version) = match name.zip(version).or_else(|| of_file(place)) {
                Some((name, version)) => (Some(name), Some(version)),
                None => (name, version),
            };
            of_pixi(&mut conda, pixi_origin(place), name, version);
        } else if let Some((name, place)) = package.text_of("conda_source").and_then(source) {
            of_pixi(&mut conda, pixi_origin(place), Some(name), version);
        } else if let Some(place) = place("pypi") {
            of_pixi(&mut pip, pixi_origin(place), name.map(python_lock::normal).as_deref(), version);
        } else {
            conda.gap("a package that is neither Conda's nor PyPI's");
        }
    }
    vec![conda.finish(), pip.finish()]
}

fn of_pixi(listing: &mut Listing<'_>, origin: Origin<'_>, name: Option<&str>, version: Option<&str>) {
    match (origin, name, version) {
        (_, Some(name), Some(version)) => listing.add_from(origin, name, version, []),
        // What is built from a tree may get its version then: a project's own folder needs none.
        (Origin::Local(path), _, None) if !is_archive(path) => {}
        (Origin::Repository(_), Some(name), None) => listing.add_from(origin, name, "", []),
        _ => listing.gap("a package has no name or no version"),
    }
}

/// What the place of a package says of where it comes from; that of an index's or a channel's is an address.
fn pixi_origin(place: &str) -> Origin<'_> {
    match place.strip_prefix("file:") {
        Some(path) => Origin::Local(path.strip_prefix("//").unwrap_or(path)),
        None if place.starts_with("git+") => Origin::Repository(place),
        None if place.contains("://") => Origin::Registry,
        None => Origin::Local(place),
    }
}

/// `name[1a2b3c4d] @ place`, of what is built from its source.
fn source(identifier: &str) -> Option<(&str, &str)> {
    let (name, rest) = identifier.split_once('[')?;
    let (_, place) = rest.split_once(']')?;
    Some((name, place.trim_start().strip_prefix('@')?.trim_start()))
}

/// `…/name-1.2.3-build.conda`
fn of_file(address: &str) -> Option<(&str, &str)> {
    let file = address.rsplit('/').next()?;
    let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"))?;
    let (rest, _) = stem.rsplit_once('-')?;
    rest.rsplit_once('-').filter(|(name, version)| !name.is_empty() && !version.is_empty())
}

#[cfg(test)]
mod tests;
