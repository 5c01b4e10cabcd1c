//! `yarn.lock`: that of yarn 1, a form of its own, and that of later yarns, which is YAML.
//!
//! Formats: <https://classic.yarnpkg.com/lang/en/docs/yarn-lock/>,
//! <https://yarnpkg.com/advanced/lexicon#lockfile>. Neither says which packages are for development alone.

use std::collections::HashMap;

use super::{origin, split_version};
use crate::{
    lockfile::{Listing, Origin},
    tree::{self, Node},
};

pub(super) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    if memchr::memmem::find(contents, b"__metadata:").is_some() {
        return berry(listing, &tree::yaml(contents)?);
    }
    let text = std::str::from_utf8(contents).map_err(|error| error.to_string())?;
    classic(listing, text);
    Ok(())
}

/// Most entries of a file; the largest real ones have some ten thousand.
const MAX_BLOCKS: usize = 200_000;

/// A block of yarn 1.
#[derive(Default)]
struct Block<'a> {
    /// `name@range`, each.
    patterns: Vec<&'a str>,
    /// The package's own name, where that is not the one that the patterns begin with.
    name: &'a str,
    version: &'a str,
    resolved: &'a str,
    /// Name and range.
    needs: Vec<(&'a str, &'a str)>,
}

fn classic<'a>(listing: &mut Listing<'_>, text: &'a str) {
    let mut blocks = blocks(text);
    if blocks.len() > MAX_BLOCKS {
        listing.gap(format!("it has more than {MAX_BLOCKS} entries: the others were not read"));
        blocks.truncate(MAX_BLOCKS);
    }
    let own = |block: &Block<'a>, name: &'a str| if block.name.is_empty() { name } else { block.name };
    let mut chosen: HashMap<&str, (&str, &str)> = HashMap::new();
    for block in &blocks {
        for pattern in &block.patterns {
            if let Some((name, _)) = real(pattern) {
                let name = own(block, name);
                chosen.insert(pattern, (name, block.version));
            }
        }
    }
    for block in &blocks {
        let Some((name, reference)) = block.patterns.first().and_then(|pattern| real(pattern)) else {
            listing.gap("a package without a name");
            continue;
        };
        let name = own(block, name);
        if block.version.is_empty() {
            listing.gap(format!("{name} has no version"));
            continue;
        }
        let origin = match origin(reference) {
            Origin::Registry => origin(block.resolved),
            elsewhere => elsewhere,
        };
        let needs = block.needs.iter().filter_map(|(name, range)| {
            let (name, version) = chosen.get(format!("{name}@{range}").as_str())?;
            Some(format!("{name}@{version}"))
        });
        listing.add_from(origin, name, block.version, needs);
    }
}

/// The real name that a pattern stands for, and its range: `alias@npm:real@^1` is `real`, and so is `alias@npm:real`.
/// `name@npm:^1` has no other name.
fn real(pattern: &str) -> Option<(&str, &str)> {
    let (name, range) = split_version(pattern)?;
    let Some(target) = range.strip_prefix("npm:") else { return Some((name, range)) };
    let is_range = target.starts_with(|first: char| first.is_ascii_digit() || "^~<>=*|".contains(first));
    match split_version(target) {
        Some(real) => Some(real),
        None if is_range || target.is_empty() => Some((name, target)),
        None => Some((target, "")),
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_in_needs = false;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if indent == 0 && blocks.len() > MAX_BLOCKS {
            break;
        }
        if indent == 0 {
            let patterns = trimmed.trim_end_matches(':').split(", ").map(unquote).collect();
            blocks.push(Block { patterns, ..Block::default() });
            is_in_needs = false;
            continue;
        }
        let Some(block) = blocks.last_mut() else { continue };
        if indent <= 2 {
            is_in_needs = matches!(trimmed, "dependencies:" | "optionalDependencies:");
        }
        let (key, value) = pair(trimmed);
        match key {
            "name" if indent <= 2 => block.name = value,
            "version" if indent <= 2 => block.version = value,
            "resolved" if indent <= 2 => block.resolved = value,
            _ if indent > 2 && is_in_needs => block.needs.push((key, value)),
            _ => {}
        }
    }
    blocks
}

/// Splits `"name" "value"`, where either may stand without its quotes.
fn pair(line: &str) -> (&str, &str) {
    let end = match line.strip_prefix('"') {
        Some(rest) => rest.find('"').map_or(line.len(), |at| at + 2),
        None => line.find(' ').unwrap_or(line.len()),
    };
    let (key, value) = line.split_at_checked(end).unwrap_or((line, ""));
    (unquote(key), unquote(value.trim()))
}

fn unquote(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn berry(listing: &mut Listing<'_>, document: &Node) -> Result<(), String> {
    if !document.is_map() {
        return Err("it is no map".to_owned());
    }
    let entries = || document.entries().iter().filter(|(key, _)| key != "__metadata");
    let mut chosen: HashMap<&str, (&str, &str)> = HashMap::new();
    for (key, node) in entries() {
        if let (Some((name, _)), Some(version)) = (resolution(key, node), node.text_of("version")) {
            chosen.extend(key.split(',').map(|pattern| (pattern.trim(), (name, version))));
        }
    }
    for (key, node) in entries() {
        let (Some((name, reference)), Some(version)) = (resolution(key, node), node.text_of("version")) else {
            listing.gap(format!("{key}: no name, or no version"));
            continue;
        };
        let needs = node.get("dependencies").entries().iter().filter_map(|(name, range)| {
            let range = range.text()?;
            let whole = chosen.get(format!("{name}@{range}").as_str());
            let (name, version) = whole.or_else(|| chosen.get(format!("{name}@npm:{range}").as_str()))?;
            Some(format!("{name}@{version}"))
        });
        listing.add_from(origin(reference), name, version, needs);
    }
    Ok(())
}

/// Name and place of what was chosen: `name@npm:1.0.0`, `name@workspace:packages/name`.
fn resolution<'a>(key: &'a str, node: &'a Node) -> Option<(&'a str, &'a str)> {
    split_version(node.text_of("resolution").unwrap_or(key))
}
