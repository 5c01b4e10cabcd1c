//! `bun.lock`: JSON with comments and trailing commas. `bun.lockb`, its older form, is binary, and refused.
//!
//! Format: <https://bun.com/docs/pm/lockfile>. Packages are named by their place: `parent/name` where the parent has a
//! copy of its own. What is for development is found by following what the project needs.

use std::collections::HashMap;

use super::{origin, package_lock::MAX_PLACE, reach, split_version};
use crate::{
    lockfile::{Listing, Origin, reasons},
    tree::{self, Node},
};

/// Needs that are there at run time; what a peer asks for is installed too.
const RUNTIME: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];

pub(super) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = tree::relaxed_json(contents)?;
    if !document.get("packages").is_map() {
        return Err("`packages` is missing".to_owned());
    }
    let packages: HashMap<&str, &Node> =
        document.get("packages").entries().iter().map(|(key, node)| (key.as_str(), node)).collect();
    let mut starts = Vec::new();
    for (_, workspace) in document.get("workspaces").entries() {
        let from = workspace.text_of("name").filter(|name| name.len() <= MAX_PLACE).unwrap_or_default();
        starts.extend(names(workspace).filter_map(|name| nearest(&packages, from, name)));
    }
    let reached = reach(starts, |key, pending| {
        let needs = packages.get(key).map(|node| details(node));
        if key.len() > MAX_PLACE {
            return;
        }
        pending.extend(needs.into_iter().flat_map(names).filter_map(|name| nearest(&packages, key, name)));
    });
    for (key, node) in document.get("packages").entries() {
        if key.len() > MAX_PLACE {
            listing.gap(format!("a package at a place of more than {MAX_PLACE} bytes"));
            continue;
        }
        let Some((name, reference)) = node.at(0).text().and_then(split_version) else {
            listing.gap(format!("{key}: no name, or no version"));
            continue;
        };
        let is_own = reference.starts_with("workspace:") || reference.starts_with("root:");
        if !is_own && !reached.contains(key) {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let (origin, version) = match origin(reference) {
            _ if reference.starts_with("root:") => (Origin::Local(""), ""),
            Origin::Local(path) => (Origin::Local(path), own_version(&document, path)),
            Origin::Registry if reference.contains(':') => (Origin::Repository(reference), ""),
            Origin::Registry => (Origin::Registry, reference),
            elsewhere => (elsewhere, ""),
        };
        if is_own && version.is_empty() {
            continue;
        }
        let chosen = names(details(node)).filter_map(|need| packages.get(nearest(&packages, key, need)?.as_str()));
        let needs = chosen.filter_map(|node| node.at(0).text()).map(str::to_owned);
        listing.add_from(origin, name, version, needs);
    }
    Ok(())
}

/// The older form.
pub(super) fn refuse(_: &mut Listing<'_>, _: &[u8]) -> Result<(), String> {
    Err("it has the older, binary form. hint: `bun install --save-text-lockfile` writes bun.lock".to_owned())
}

/// The version of a part of the project.
fn own_version<'a>(document: &'a Node, path: &str) -> &'a str {
    document.get("workspaces").get(path).text_of("version").unwrap_or_default()
}

/// The part of an entry that says what it needs: the first map in it.
fn details(node: &Node) -> &Node {
    node.items().iter().find(|item| item.is_map()).unwrap_or(&Node::Nothing)
}

fn names(node: &Node) -> impl Iterator<Item = &str> {
    RUNTIME.into_iter().flat_map(|field| node.get(field).keys())
}

/// The key of the `name` that the package at `key` finds: its own, or that of a parent, or the common one.
fn nearest(packages: &HashMap<&str, &Node>, key: &str, name: &str) -> Option<String> {
    let mut above = key;
    while !above.is_empty() {
        let candidate = format!("{above}/{name}");
        if packages.contains_key(candidate.as_str()) {
            return Some(candidate);
        }
        above = parent(above);
    }
    packages.contains_key(name).then(|| name.to_owned())
}

/// `a/@s/b` → `a`; a scope and its name are one part.
fn parent(key: &str) -> &str {
    let above = key.rsplit_once('/').map_or("", |(above, _)| above);
    match above.rsplit_once('/') {
        Some((rest, scope)) if scope.starts_with('@') => rest,
        None if above.starts_with('@') => "",
        _ => above,
    }
}
