//! `deno.lock`, versions 2 to 5: the packages of npm and JSR in it.
//!
//! Format: <https://docs.deno.com/runtime/fundamentals/modules/#integrity-checking-and-lock-files>. Packages of JSR have
//! the names that JSR's registry for npm gives them (<https://jsr.io/docs/npm-compatibility>). Modules at plain addresses
//! have no version: they are counted.

use std::collections::HashMap;

use super::split_version;
use crate::{
    lockfile::{Listing, Origin},
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
    jsr(listing, &document);
    for _ in document.get("remote").entries() {
        listing.leave_out("modules at plain addresses, which have no version");
    }
    Ok(())
}

/// `name@1.0.0_peer@2.0.0`.
fn name_and_version(key: &str) -> Option<(&str, &str)> {
    let (name, version) = split_version(key)?;
    Some((name, version.split('_').next().unwrap_or(version)))
}

fn jsr(listing: &mut Listing<'_>, document: &Node) {
    let places = [document.get("packages").get("jsr"), document.get("jsr")];
    let packages = places.into_iter().find(|node| node.is_map()).unwrap_or(&Node::Nothing);
    let places = [document.get("packages").get("specifiers"), document.get("specifiers")];
    let specifiers = places.into_iter().find(|node| node.is_map()).unwrap_or(&Node::Nothing);
    // `jsr:@std/bytes@^1` means `1.0.2`; up to version 3, `jsr:@std/bytes@1.0.2`.
    let meant: HashMap<&str, &str> = specifiers
        .entries()
        .iter()
        .filter_map(|(key, node)| {
            let version = node.text()?;
            let version =
                version.split_once(':').and_then(|(_, whole)| split_version(whole)).map_or(version, |(_, it)| it);
            Some((key.as_str(), version))
        })
        .collect();
    let only: HashMap<&str, &str> = packages.keys().filter_map(split_version).collect();
    for (key, node) in packages.entries() {
        let Some((name, version)) = split_version(key).and_then(|(name, version)| Some((npm_name(name)?, version)))
        else {
            listing.gap(format!("{key}: no name, or no version"));
            continue;
        };
        let needs = node.get("dependencies").texts().filter_map(|specifier| {
            let (kind, rest) = specifier.split_once(':')?;
            // Since version 4, the name alone where there is one version.
            let version = meant.get(specifier).or_else(|| only.get(rest))?;
            let name = split_version(rest).map_or(rest, |(name, _)| name);
            let name = if kind == "jsr" { npm_name(name)? } else { name.to_owned() };
            Some(format!("{name}@{}", version.split('_').next().unwrap_or(version)))
        });
        listing.add_from(Origin::OtherRegistry("https://npm.jsr.io"), &name, version, needs);
    }
}

/// `@std/bytes` of JSR is `@jsr/std__bytes` for npm.
fn npm_name(name: &str) -> Option<String> {
    let (scope, plain) = name.strip_prefix('@')?.split_once('/')?;
    Some(format!("@jsr/{scope}__{plain}"))
}
