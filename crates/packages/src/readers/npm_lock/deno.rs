//! `deno.lock`, versions 2 to 5: the npm packages in it.
//!
//! Format: <https://docs.deno.com/runtime/fundamentals/modules/#integrity-checking-and-lock-files>. Packages of JSR and
//! modules at plain addresses have no advisories of their own: they are counted.

use std::collections::HashMap;

use super::split_version;
use crate::{
    lockfile::Listing,
    tree::{self, Node},
};

pub(super) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = tree::json(contents)?;
    let version = document.text_of("version").ok_or("its version is missing")?;
    if !matches!(version, "2" | "3" | "4" | "5") {
        return Err(format!("its version {version} is not known"));
    }
    let places = [document.get("npm").get("packages"), document.get("packages").get("npm"), document.get("npm")];
    let packages = places.into_iter().find(|node| node.is_map()).unwrap_or(&Node::Nothing);
    let mut versions: HashMap<&str, &str> = HashMap::new();
    for key in packages.keys() {
        versions.extend(name_and_version(key));
    }
    for (key, node) in packages.entries() {
        let Some((name, version)) = name_and_version(key) else {
            listing.gap(format!("{key}: no name, or no version"));
            continue;
        };
        let dependencies = node.get("dependencies");
        // A map from names to keys; since version 4 a list, of names alone where there is one version.
        let listed = dependencies.texts().chain(dependencies.entries().iter().filter_map(|(_, key)| key.text()));
        let needs = listed.filter_map(|key| {
            let (name, version) = name_and_version(key).or_else(|| Some((key, versions.get(key)?)))?;
            Some(format!("{name}@{version}"))
        });
        listing.add(name, version, needs);
    }
    let jsr = [document.get("jsr"), document.get("packages").get("jsr")];
    let others: usize = jsr.into_iter().chain([document.get("remote")]).map(|node| node.entries().len()).sum();
    for _ in 0..others {
        listing.leave_out("from JSR or a plain address, of which no advisories speak");
    }
    Ok(())
}

/// `name@1.0.0_peer@2.0.0`.
fn name_and_version(key: &str) -> Option<(&str, &str)> {
    let (name, version) = split_version(key)?;
    Some((name, version.split('_').next().unwrap_or(version)))
}
