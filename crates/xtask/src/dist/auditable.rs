//! The list of crates that a program holds inside, for every scanner that reads it, our own among them.
//!
//! Format: <https://github.com/rust-secure-code/cargo-auditable/blob/master/cargo-auditable.schema.json>: JSON, packed
//! by zlib, in the section `.dep-v0`. cargo itself says what was linked: the tree of this very build.

use std::{collections::BTreeMap, io::Write as _, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use flate2::{Compression, write::ZlibEncoder};
use serde_json::{Value, json};

/// Writes a copy of a program that names its crates, and no symbols.
pub(super) fn embed(program: &Path, crates: &[u8], copy: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let section = folder.path().join("dep-v0");
    std::fs::write(&section, crates)?;
    let mut objcopy = Command::new("objcopy");
    objcopy.arg("--strip-all").arg("--add-section").arg(format!(".dep-v0={}", section.display()));
    objcopy.arg("--set-section-flags").arg(".dep-v0=noload,readonly").arg(program).arg(copy);
    super::output(&mut objcopy).context("objcopy is a part of binutils").map(drop)
}

/// The packed list of a package's crates.
pub(super) fn crates(package: &str, target: &str) -> anyhow::Result<Vec<u8>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(crate::root()).args(["tree", "--locked", "--edges", "normal,no-proc-macro"]);
    tree.args(["--prefix", "depth", "--format", "|{p}", "--package", package, "--target", target]);
    let list = list(&super::output(&mut tree)?)?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(list.to_string().as_bytes())?;
    Ok(packed.finish()?)
}

/// Reads `0|name v1.2.3 (/path) (*)`, one line for each edge: the depth, and the crate.
fn list(tree: &str) -> anyhow::Result<Value> {
    // By name, version and source, which is how they are sorted; with the crates that each needs.
    let mut needs: BTreeMap<Crate, Vec<Crate>> = BTreeMap::new();
    let mut path: Vec<Crate> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, named) = line.split_once('|').with_context(|| format!("`{line}` has no depth"))?;
        let depth: usize = depth.parse().with_context(|| format!("`{line}` has no depth"))?;
        ensure!(depth <= path.len(), "`{line}` hangs on nothing");
        path.truncate(depth);
        let found = Crate::parse(named)?;
        if let Some(parent) = path.last() {
            needs.entry(parent.clone()).or_default().push(found.clone());
        }
        needs.entry(found.clone()).or_default();
        path.push(found);
    }
    let root = path.first().context("cargo lists nothing")?.clone();
    let place: BTreeMap<&Crate, usize> = needs.keys().zip(0..).collect();
    let packages = needs.iter().map(|(one, needed)| {
        let mut needed: Vec<usize> = needed.iter().filter_map(|other| place.get(other).copied()).collect();
        needed.sort_unstable();
        needed.dedup();
        let mut package = json!({"name": one.name, "version": one.version, "source": one.source});
        if !needed.is_empty() {
            package["dependencies"] = json!(needed);
        }
        if *one == root {
            package["root"] = json!(true);
        }
        package
    });
    Ok(json!({"packages": packages.collect::<Vec<_>>()}))
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    source: &'static str,
}

impl Crate {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let version = version.strip_prefix('v').with_context(|| format!("`{text}` has no version"))?;
        // What stands in brackets is a path, or the address of a repository; `(*)` was listed before.
        let source = match words.next() {
            Some(place) if place.starts_with("(http") => "git",
            Some(place) if place.starts_with("(/") => "local",
            _ => "crates.io",
        };
        Ok(Self { name: name.to_owned(), version: version.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_tree_becomes_a_list() {
        let tree = "0|app v0.1.0 (/src/app)\n1|serde v1.0.0\n2|serde_core v1.0.0\n1|tar v0.4.1\n2|serde v1.0.0 (*)\n";
        let expected = json!({"packages": [
            {"name": "app", "version": "0.1.0", "source": "local", "dependencies": [1, 3], "root": true},
            {"name": "serde", "version": "1.0.0", "source": "crates.io", "dependencies": [2]},
            {"name": "serde_core", "version": "1.0.0", "source": "crates.io"},
            {"name": "tar", "version": "0.4.1", "source": "crates.io", "dependencies": [1]},
        ]});
        assert_eq!(list(tree).unwrap(), expected);
        list("").unwrap_err();
        list("2|app v0.1.0\n").unwrap_err();
    }
}
