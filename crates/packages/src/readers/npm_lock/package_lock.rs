//! `package-lock.json` and `npm-shrinkwrap.json`, versions 1 to 3.
//!
//! Format: <https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json>.

use std::collections::HashMap;

use super::{super::npm::licenses_of, origin};
use crate::{
    lockfile::{Listing, Origin, reasons},
    tree::{self, Node},
};

/// A package by the place that it is installed at.
struct Entry<'a> {
    place: String,
    name: &'a str,
    version: &'a str,
    origin: Origin<'a>,
    node: &'a Node,
    /// The fields that say what it needs.
    needs: &'static [&'static str],
}

/// Longest place of a package, in bytes: no system has longer paths, and every folder of one is looked at.
pub(super) const MAX_PLACE: usize = 4096;

const NEEDS: &[&str] = &["dependencies", "optionalDependencies", "peerDependencies"];
const OLD_NEEDS: &[&str] = &["requires"];

pub(super) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = tree::json(contents)?;
    let mut entries = Vec::new();
    if document.get("packages").is_map() {
        packages(listing, document.get("packages"), &mut entries);
    } else if document.get("dependencies").is_map() || document.get("lockfileVersion").text().is_some() {
        old_packages(listing, document.get("dependencies"), "", &mut entries);
    } else {
        return Err("neither `packages` nor `dependencies` are in it".to_owned());
    }
    let all = entries.len();
    entries.retain(|entry| entry.place.len() <= MAX_PLACE);
    if entries.len() < all {
        listing.gap(format!("{} of its packages lie at places of more than {MAX_PLACE} bytes", all - entries.len()));
    }
    let versions: HashMap<&str, (&str, &str)> =
        entries.iter().map(|entry| (entry.place.as_str(), (entry.name, entry.version))).collect();
    for entry in &entries {
        let names = entry.needs.iter().flat_map(|field| entry.node.get(field).keys());
        let needs = names.filter_map(|name| nearest(&versions, &entry.place, name));
        let licenses = licenses_of(entry.node.get("license"));
        let licenses = if licenses.is_empty() { licenses_of(entry.node.get("licenses")) } else { licenses };
        listing.add_licensed(entry.origin, entry.name, entry.version, licenses, needs);
    }
    Ok(())
}

/// Versions 2 and 3: a flat map by place.
fn packages<'a>(listing: &mut Listing<'_>, packages: &'a Node, entries: &mut Vec<Entry<'a>>) {
    for (place, node) in packages.entries() {
        if node.get("link").is_true() {
            continue;
        }
        if node.get("dev").is_true() {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let installed = place.rsplit_once("node_modules/").map(|(_, name)| name);
        let Some(name) = node.text_of("name").or(installed).filter(|name| !name.is_empty()) else { continue };
        let Some(version) = node.text_of("version") else {
            // The project and its parts need no version; what is installed has one.
            if installed.is_some() {
                listing.gap(format!("{name} has no version"));
            }
            continue;
        };
        let origin = match installed {
            Some(_) => origin(node.text_of("resolved").unwrap_or_default()),
            None => Origin::Local(place),
        };
        entries.push(Entry { place: place.clone(), name, version, origin, node, needs: NEEDS });
    }
}

/// Version 1: maps inside maps, as deep as the folders are. The reader of JSON bounds the depth.
fn old_packages<'a>(listing: &mut Listing<'_>, packages: &'a Node, above: &str, entries: &mut Vec<Entry<'a>>) {
    for (name, node) in packages.entries() {
        let place = format!("{above}node_modules/{name}");
        old_packages(listing, node.get("dependencies"), &format!("{place}/"), entries);
        if node.get("dev").is_true() {
            listing.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let Some(version) = node.text_of("version") else {
            listing.gap(format!("{name} has no version"));
            continue;
        };
        // An alias: `npm:real@1.0.0`.
        let aliased = version.strip_prefix("npm:").and_then(super::split_version);
        let (name, version) = aliased.unwrap_or((name, version));
        let (origin, version) = match origin(version) {
            Origin::Registry => (Origin::Registry, version),
            // The place stands where the version would: that is not known.
            elsewhere => (elsewhere, ""),
        };
        entries.push(Entry { place, name, version, origin, node, needs: OLD_NEEDS });
    }
}

/// Which `name` Node finds from `place`: the one in its own `node_modules`, or in that of a folder above.
fn nearest(versions: &HashMap<&str, (&str, &str)>, place: &str, name: &str) -> Option<String> {
    let mut folder = place;
    loop {
        let separator = if folder.is_empty() { "" } else { "/" };
        if let Some((name, version)) = versions.get(format!("{folder}{separator}node_modules/{name}").as_str()) {
            return Some(format!("{name}@{version}"));
        }
        if folder.is_empty() {
            return None;
        }
        let above = folder.rfind("node_modules/").filter(|&at| at > 0).map_or(0, |at| at - 1);
        folder = folder.get(..above).unwrap_or_default();
    }
}
