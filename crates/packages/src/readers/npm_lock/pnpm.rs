//! `pnpm-lock.yaml`, versions 5 to 9.
//!
//! Format: <https://github.com/pnpm/spec/tree/master/lockfile>. Up to 8 each package says whether it is for development
//! alone; 9 leaves that to whoever follows what the project needs.

use std::collections::{HashMap, HashSet};

use super::{origin, reach, split_version};
use crate::{
    lockfile::{Listing, Origin, reasons},
    tree::{self, Node},
};

pub(super) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = tree::yaml(contents)?;
    let version = document.text_of("lockfileVersion").ok_or("lockfileVersion is missing")?;
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if !(5..=9).contains(&major) {
        return Err(format!("its version {version} is not known"));
    }
    let reached = if major >= 9 { reached(&document) } else { None };
    let snapshots: HashMap<&str, &Node> = by_package(document.get("snapshots"), major);
    for (key, node) in document.get("packages").entries() {
        let package = without_peers(key, major);
        let is_development = reached.as_ref().is_some_and(|reached| !reached.contains(package));
        if is_development || node.get("dev").is_true() {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let Some((name, version)) = name_and_version(package, node, major) else {
            listing.gap(format!("{key}: no name, or no version"));
            continue;
        };
        let needs = snapshots.get(package).copied().unwrap_or(node);
        listing.add_from(place(package, node), name, version, needs_of(needs, major));
    }
    Ok(())
}

/// The first snapshot of each package: packages that differ in their peers alone are one.
fn by_package(snapshots: &Node, major: u32) -> HashMap<&str, &Node> {
    let entries = snapshots.entries().iter().rev();
    entries.map(|(key, node)| (without_peers(key, major), node)).collect()
}

/// The packages that the project needs to run; none if the file does not say what it needs.
fn reached(document: &Node) -> Option<HashSet<String>> {
    let snapshots: HashMap<&str, &Node> =
        document.get("snapshots").entries().iter().map(|(key, node)| (key.as_str(), node)).collect();
    let importers = document.get("importers");
    // A file without snapshots does not say what its packages need.
    if !importers.is_map() || snapshots.is_empty() {
        return None;
    }
    let mut starts = Vec::new();
    for (_, importer) in importers.entries() {
        for (name, chosen) in runtime(importer) {
            starts.extend(chosen.text_of("version").or(chosen.text()).map(|version| snapshot_key(name, version)));
        }
    }
    let reached = reach(starts, |key, pending| {
        let Some(snapshot) = snapshots.get(key) else { return };
        let needs = runtime(snapshot).filter_map(|(name, version)| Some(snapshot_key(name, version.text()?)));
        pending.extend(needs);
    });
    Some(reached.iter().map(|key| without_peers(key, 9).to_owned()).collect())
}

fn runtime(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let fields = ["dependencies", "optionalDependencies"].into_iter();
    fields.flat_map(|field| node.get(field).entries()).map(|(name, chosen)| (name.as_str(), chosen))
}

/// The key of what was chosen for `name`: an alias, or what comes from elsewhere, is written out.
fn snapshot_key(name: &str, version: &str) -> String {
    let plain = without_peers(version, 9);
    if split_version(plain).is_some_and(|(name, _)| !name.contains(':')) {
        version.to_owned()
    } else {
        format!("{name}@{version}")
    }
}

/// What follows the version names the peers: `1.0.0(react@18.2.0)`, before version 6 `1.0.0_react@18.2.0`.
fn without_peers(key: &str, major: u32) -> &str {
    let end = if major >= 6 {
        key.find('(')
    } else {
        let last = key.rfind('/').map_or(0, |at| at + 1);
        key.get(last..).and_then(|version| version.find('_')).map(|at| at + last)
    };
    end.and_then(|end| key.get(..end)).unwrap_or(key)
}

fn name_and_version<'a>(package: &'a str, node: &'a Node, major: u32) -> Option<(&'a str, &'a str)> {
    // Without a leading slash, version 5 names the registry first: `registry.example/name/1.0.0`.
    let plain = match package.strip_prefix('/') {
        Some(plain) => plain,
        None if major < 6 => package.split_once('/').map_or(package, |(_, plain)| plain),
        None => package,
    };
    let of_key = if major >= 6 { split_version(plain) } else { plain.rsplit_once('/') };
    let name = node.text_of("name").or_else(|| of_key.map(|(name, _)| name))?;
    let version = node.text_of("version").or_else(|| of_key.map(|(_, version)| version))?;
    // `name@file:packages/name` has no version.
    Some((name, if version.contains(':') { "" } else { version })).filter(|(name, _)| !name.is_empty())
}

fn place<'a>(package: &'a str, node: &'a Node) -> Origin<'a> {
    let resolution = node.get("resolution");
    if let Some(folder) = resolution.text_of("directory") {
        return Origin::Local(folder);
    }
    if let (Some(repository), "git") = (resolution.text_of("repo"), resolution.text_of("type").unwrap_or_default()) {
        return Origin::Repository(repository);
    }
    let reference = split_version(package).map_or(package, |(_, reference)| reference);
    match resolution.text_of("tarball").map_or(Origin::Registry, origin) {
        Origin::Registry => origin(reference),
        elsewhere => elsewhere,
    }
}

fn needs_of(node: &Node, major: u32) -> impl Iterator<Item = String> + '_ {
    runtime(node).filter_map(move |(name, chosen)| {
        let version = without_peers(chosen.text()?, major);
        // An alias: `real@1.0.0`, `/real@1.0.0`, `/real/1.0.0`.
        let aliased = match version.strip_prefix('/') {
            Some(version) if major < 6 => version.rsplit_once('/'),
            Some(version) => split_version(version),
            None if major >= 9 => split_version(version),
            None => None,
        };
        let (name, version) = aliased.unwrap_or((name, version));
        (!version.contains(':')).then(|| format!("{name}@{version}"))
    })
}
