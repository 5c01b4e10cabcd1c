//! What a compiler does not check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{print, root};

/// What each of our crates may depend on, beside tests. Arrows point one way: leaves, façades, pure core, `model`.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("versions", &[]),
    ("errors", &[]),
    ("filetree", &["model"]),
    ("registry", &["model", "errors"]),
    ("embedded-registry", &["model"]),
    ("image", &["model", "filetree", "errors", "registry"]),
    ("packages", &["model", "filetree"]),
    ("advisories", &["model", "versions", "errors"]),
    ("matching", &["model", "versions"]),
    ("policy", &["model", "errors"]),
    ("report", &["model", "versions", "errors"]),
    ("attest", &["model", "errors", "registry"]),
    ("forge", &["model", "errors", "report"]),
    ("updates", &["model", "errors", "registry", "attest", "advisories"]),
    ("admission", &["model", "errors", "registry", "attest", "policy"]),
    ("scan", &["model", "errors", "filetree", "image", "packages", "matching", "policy", "vex"]),
    ("vex", &["model", "errors"]),
    ("testkit", &["model", "filetree"]),
];

/// The programs, and what depends on everything.
const LEAVES: [&str; 4] = ["cli", "webhook", "tests", "xtask"];

/// Longest file, in lines, before it must be cut up; and the length that files aim at.
const MAX_LINES: usize = 600;
const AIM_LINES: usize = 400;

/// Words that must not be left in sources.
const LEFT_OPEN: [&str; 4] = ["todo!(", "unimplemented!(", "FIXME", "/work/"];

pub(crate) fn run() -> anyhow::Result<()> {
    let mut problems = Vec::new();
    arrows(&mut problems)?;
    documented_arrows(&mut problems)?;
    documented_paths(&mut problems)?;
    links(&mut problems)?;
    families(&mut problems)?;
    sources(&mut problems)?;
    texts(&mut problems)?;
    problems.sort();
    problems.iter().for_each(|problem| print(problem));
    if problems.is_empty() {
        print("tidy");
        return Ok(());
    }
    bail!("{} things are out of place", problems.len())
}

/// Dependencies between our crates, as cargo knows them.
fn arrows(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let short = name.strip_prefix("portcullis-").unwrap_or(name);
        let is_leaf = LEAVES.contains(&short);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(target) = dependency["name"].as_str().and_then(|name| name.strip_prefix("portcullis-")) else {
                continue;
            };
            let is_for_tests = dependency["kind"] == "dev";
            let leads_to_leaf = LEAVES.contains(&target);
            let is_allowed = allowed.get(short).is_some_and(|targets| targets.contains(&target));
            if leads_to_leaf || !(is_leaf || is_for_tests || is_allowed) {
                problems.push(format!("{name} must not depend on portcullis-{target}"));
            }
        }
        if !is_leaf && !allowed.contains_key(short) {
            problems.push(format!("{name} is not in the table of arrows (crates/xtask/src/tidy.rs)"));
        }
    }
    Ok(())
}

/// The table of arrows in the architecture is the one above.
fn documented_arrows(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let page = "docs/architecture.md";
    let text = fs::read_to_string(root().join(page)).context(page)?;
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | may depend on")).skip(2);
    let mut documented = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|');
        let names = |cell: Option<&str>| {
            let words = cell.unwrap_or_default().split('`').skip(1).step_by(2);
            words.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let (crates, targets) = (names(cells.next()), names(cells.next()));
        documented.extend(crates.into_iter().map(|name| (name, targets.clone())));
    }
    LEAVES.iter().for_each(|leaf| drop(documented.remove(*leaf)));
    let owned = |targets: &[&str]| targets.iter().map(|target| (*target).to_owned()).collect::<BTreeSet<_>>();
    let held: BTreeMap<_, _> = ARROWS.iter().map(|(name, targets)| ((*name).to_owned(), owned(targets))).collect();
    for name in held.keys().chain(documented.keys()).collect::<BTreeSet<_>>() {
        if held.get(name) != documented.get(name) {
            problems.push(format!("{page} and crates/xtask/src/tidy.rs differ on the arrows of `{name}`"));
        }
    }
    Ok(())
}

/// Every file that a page links to exists.
fn links(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let mut pages = files(&root(), 1)?;
    for (folder, depth) in [("docs", 3), ("action", 1), ("gitlab-ci", 1)] {
        pages.extend(files(&root().join(folder), depth)?);
    }
    for page in pages.into_iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(&page)?;
        let folder = page.parent().unwrap_or(Path::new(""));
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            if !folder.join(target).exists() {
                problems.push(format!("{} links to {target}, which does not exist", shown(&page)));
            }
        }
    }
    Ok(())
}

/// Every path in backticks in the code map exists.
fn documented_paths(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let page = "docs/architecture.md";
    let text = fs::read_to_string(root().join(page)).context(page)?;
    let paths = text.split('`').skip(1).step_by(2).filter(|word| is_path(word));
    for path in paths.filter(|path| !root().join(path).exists()) {
        problems.push(format!("{page} names `{path}`, which does not exist"));
    }
    Ok(())
}

fn is_path(word: &str) -> bool {
    word.contains('/') && !word.contains([' ', '*', '<', ':', '@']) && !word.starts_with('/') && !word.ends_with("/v1")
}

/// Every file of a family is in its table.
fn families(problems: &mut Vec<String>) -> anyhow::Result<()> {
    for (folder, table) in [
        ("crates/packages/src/readers", "crates/packages/src/readers.rs"),
        ("crates/versions/src/schemes", "crates/versions/src/schemes.rs"),
        ("crates/report/src/formats", "crates/report/src/lib.rs"),
        ("cli/src/commands", "cli/src/commands.rs"),
    ] {
        let registry = fs::read_to_string(root().join(table)).context(table)?;
        // That the compiler sees a file does not register it.
        let registry: Vec<_> = registry.lines().filter(|line| !declares(line)).collect();
        let registry = registry.join("\n");
        for path in files(&root().join(folder), 1)? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|ending| ending == "rs")
                && !mentions(&registry, &name)
                && !is_shared(&path)?
            {
                problems.push(format!("{folder}/{name}.rs is not registered in {table}"));
            }
        }
    }
    Ok(())
}

/// Whether a line is `mod name;`.
fn declares(line: &str) -> bool {
    line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ").starts_with("mod ")
}

/// The name as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').any(|word| word == name)
}

/// A file that serves members of its family says so in its first line.
fn is_shared(path: &Path) -> anyhow::Result<bool> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().next().is_some_and(|line| line.contains("hare")))
}

fn sources(problems: &mut Vec<String>) -> anyhow::Result<()> {
    for folder in ["cli", "webhook", "crates", "tests"] {
        for path in files(&root().join(folder), 8)? {
            if path.extension().is_none_or(|ending| ending != "rs") || path.ends_with("xtask/src/tidy.rs") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let name = shown(&path);
            let lines = text.lines().count();
            // Tables of cases may be long.
            let is_test = name.contains("tests/");
            if lines > MAX_LINES && !is_test {
                problems.push(format!("{name} has {lines} lines; {MAX_LINES} are the most"));
            } else if lines > AIM_LINES && !is_test {
                print(&format!("warning: {name} has {lines} lines; {AIM_LINES} are aimed at"));
            }
            let first = text.lines().next().unwrap_or_default();
            if !first.starts_with("//!") {
                problems.push(format!("{name} does not say in its first line what it is"));
            }
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            for word in LEFT_OPEN.iter().filter(|word| code.contains(**word)) {
                problems.push(format!("{name} holds `{word}`"));
            }
        }
    }
    Ok(())
}

/// No page, script or manifest names a path of somebody's machine.
fn texts(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let mut found = files(&root(), 1)?;
    for folder in [".ci", ".cargo", ".github", "action", "docs", "gitlab-ci", "tests", "cli", "webhook", "crates"] {
        found.extend(files(&root().join(folder), 8)?);
    }
    for path in found {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if !matches!(ending.as_str(), "" | "md" | "toml" | "yaml" | "yml" | "sh" | "tsv") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for place in ["/work/", "/root/", "/home/"].iter().filter(|place| text.contains(**place)) {
            problems.push(format!("{} names {place}", shown(&path)));
        }
    }
    Ok(())
}

/// A path as people know it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The files below a folder, sorted; build output is left out.
fn files(folder: &Path, depth: usize) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            found.push(path);
        } else if path.is_dir() && depth > 1 && !path.ends_with("target") {
            found.extend(files(&path, depth - 1)?);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_arrows_has_no_cycle() {
        let order: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
        let mut done = BTreeSet::new();
        while done.len() < order.len() {
            let ready = |(name, targets): &&(&str, &[&str])| {
                !done.contains(name) && targets.iter().all(|target| done.contains(target))
            };
            let next: Vec<&str> = ARROWS.iter().filter(ready).map(|(name, _)| *name).collect();
            assert!(!next.is_empty(), "a cycle, or an unknown name, beyond {done:?}");
            done.extend(next);
        }
    }

    #[test]
    fn a_declaration_does_not_register() {
        assert!(declares("mod apk;") && declares("pub(crate) mod apk;"));
        assert!(!declares("    &apk::Apk,"));
        assert!(mentions("&apk::Apk, &dpkg::Dpkg", "apk"));
        assert!(!mentions("&apk_tools::Apk", "apk"));
    }

    #[test]
    fn paths_are_told_from_other_words() {
        assert!(is_path("cli/src/commands") && is_path("tests/"));
        assert!(!is_path("portcullis scan") && !is_path("sha256:ab/cd") && !is_path("crates/*"));
    }
}
