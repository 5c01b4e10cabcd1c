//! Settles what one file leaves to another, such as `go.mod` of Go 1.16 and older to `go.sum`, and a manifest to a lockfile.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use portcullis_model::{Awaited, Completion, Reading, Warning};

use crate::merge::ancestors;

/// How many folders above a file's own are looked into. What lies further up does not count.
const MAX_ABOVE: usize = 64;

/// What a file needs of another.
struct Need {
    by: String,
    /// What it says itself.
    names: HashSet<String>,
    is_met: bool,
}

/// Makes of what is offered what counts, and of what is needed a note or a gap. `files` are those that are there.
pub(crate) fn settle<'a>(files: impl Iterator<Item = (&'a str, &'a mut Vec<Reading>)>) {
    let mut files: Vec<(&str, &mut Vec<Reading>)> = files.collect();
    settle_awaited(&mut files);
    let mut files: Vec<(&str, &mut Reading)> = files
        .into_iter()
        .flat_map(|(path, readings)| readings.iter_mut().map(move |reading| (path, reading)))
        .filter(|(_, reading)| reading.completion.is_some())
        .collect();
    let mut needs: HashMap<&str, Need> = HashMap::new();
    for (path, reading) in &mut files {
        if let Some(Completion::Needed { by, settled, .. }) = reading.completion.as_deref_mut() {
            let own = reading.packages.iter().map(|package| package.name.clone());
            let names = own.chain(std::mem::take(settled)).collect();
            needs.insert(path, Need { by: std::mem::take(by), names, is_met: false });
        }
    }
    for (path, reading) in &mut files {
        if let Some(Completion::Offered { of }) = reading.completion.as_deref() {
            match needs.get_mut(of.as_str()).filter(|need| need.by == *path) {
                Some(need) => {
                    need.is_met = true;
                    reading.packages.retain(|package| !need.names.contains(&package.name));
                }
                None => **reading = Reading::default(),
            }
        }
    }
    for (path, reading) in files {
        if let Some(Completion::Needed { note, gap, .. }) = reading.completion.take().map(|completion| *completion) {
            let is_met = needs.get(path).is_some_and(|need| need.is_met);
            reading.warnings.push(if is_met { Warning::note(path, note) } else { Warning::gap(path, gap) });
        }
    }
}

/// Tells what is awaited and is not there.
fn settle_awaited(files: &mut [(&str, &mut Vec<Reading>)]) {
    let is_awaiting = |reading: &Reading| matches!(reading.completion.as_deref(), Some(Completion::Awaited(_)));
    if !files.iter().any(|(_, readings)| readings.iter().any(is_awaiting)) {
        return;
    }
    let there = There::of(files);
    for (path, readings) in files {
        for reading in readings.iter_mut().filter(|reading| is_awaiting(reading)) {
            let Some(Completion::Awaited(all)) = reading.completion.take().map(|completion| *completion) else {
                continue;
            };
            for awaited in all.into_iter().filter(|awaited| !there.has(path, awaited)) {
                let Awaited { is_gap, message, .. } = awaited;
                let warning = if is_gap { Warning::gap(*path, message) } else { Warning::note(*path, message) };
                reading.warnings.push(warning);
            }
        }
    }
}

/// The files that are read.
struct There<'a> {
    files: HashSet<&'a str>,
    /// Those of them that have packages.
    with_packages: BTreeSet<&'a str>,
}

impl<'a> There<'a> {
    fn of(files: &[(&'a str, &mut Vec<Reading>)]) -> Self {
        let has_packages = |readings: &[Reading]| readings.iter().any(|reading| !reading.packages.is_empty());
        let with_packages = files.iter().filter(|(_, readings)| has_packages(readings));
        Self {
            files: files.iter().map(|(path, _)| *path).collect(),
            with_packages: with_packages.map(|(path, _)| *path).collect(),
        }
    }

    /// Whether one of the files is there that the file at `path` awaits.
    fn has(&self, path: &str, awaited: &Awaited) -> bool {
        let above = if awaited.is_above { MAX_ABOVE } else { 0 };
        let folders = || ancestors(path).chain([""]).take(above + 1);
        awaited.files.iter().any(|file| folders().any(|folder| self.is_there(folder, file)))
    }

    fn is_there(&self, folder: &str, file: &str) -> bool {
        let Some(path) = join(folder, file) else { return false };
        if !file.ends_with('/') {
            return self.files.contains(path.as_str());
        }
        let below = format!("{path}/");
        let mut found = self.with_packages.range::<str, _>((Bound::Excluded(below.as_str()), Bound::Unbounded));
        found.next().is_some_and(|found| found.starts_with(&below))
    }
}

/// The path of a file as a folder names it; none if it lies outside the tree.
fn join(folder: &str, file: &str) -> Option<String> {
    if file.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use portcullis_model::{Package, PackageType, WarningKind};

    use super::*;

    fn reading(names: &[&str], completion: Completion) -> Reading {
        let packages = names.iter().map(|name| Package::new(PackageType::Golang, *name, "v1.0.0")).collect();
        Reading { packages, completion: Some(Box::new(completion)), ..Reading::default() }
    }

    fn needed() -> Reading {
        let (by, settled) = ("a/go.sum".to_owned(), vec!["replaced".to_owned()]);
        reading(&["own"], Completion::Needed { by, settled, note: "n".to_owned(), gap: "g".to_owned() })
    }

    fn offered(of: &str) -> Reading {
        let mut reading = reading(&["own", "replaced", "other"], Completion::Offered { of: of.to_owned() });
        reading.warnings.push(Warning::gap("a/go.sum", "a line"));
        reading
    }

    /// Names and warnings of each file.
    fn settled(mut files: Vec<(&str, Vec<Reading>)>) -> Vec<String> {
        settle(files.iter_mut().map(|(path, readings)| (*path, readings)));
        let told = files.iter().flat_map(|(_, readings)| readings).map(|reading| {
            let names = reading.packages.iter().map(|package| package.name.as_str());
            let kind = |warning: &Warning| if warning.kind == WarningKind::Gap { "gap" } else { "note" };
            names.chain(reading.warnings.iter().map(kind)).collect::<Vec<_>>().join(" ")
        });
        told.collect()
    }

    #[test]
    fn what_is_offered_counts_where_it_is_needed_but_for_what_is_said_already() {
        let both = vec![("a/go.mod", vec![needed()]), ("a/go.sum", vec![offered("a/go.mod")])];
        assert_eq!(settled(both), ["own note", "other gap"]);
    }

    fn awaiting(files: &[&str], is_above: bool) -> Reading {
        let files = files.iter().map(|&file| file.to_owned()).collect();
        reading(&[], Completion::Awaited(vec![Awaited { files, is_above, is_gap: true, message: "m".to_owned() }]))
    }

    /// What is told of a file that awaits others, with those that are there: of the last part of a line whether it has
    /// packages.
    fn told(path: &str, awaiting: Reading, there: &[(&str, bool)]) -> bool {
        let packages = |has: bool| has.then(|| Package::new(PackageType::Npm, "a", "1")).into_iter().collect();
        let mut files: Vec<(&str, Vec<Reading>)> = there
            .iter()
            .map(|&(path, has)| (path, vec![Reading { packages: packages(has), ..Reading::default() }]))
            .collect();
        files.push((path, vec![awaiting]));
        let forwards = settled(files.clone()).concat();
        files.reverse();
        assert_eq!(settled(files).concat().contains("gap"), forwards.contains("gap"));
        forwards.contains("gap")
    }

    #[test]
    fn what_is_awaited_and_not_there_is_told() {
        let beside = || awaiting(&["x.lock", "y.lock", "modules/"], false);
        for path in ["m.json", "a/m.json", "a/b/m.json"] {
            let at = |name: &str| path.replace("m.json", name);
            assert!(told(path, beside(), &[]), "{path}");
            assert!(told(path, beside(), &[("a/other/x.lock", true), ("x.lockx", true)]), "{path}");
            for lock in ["x.lock", "y.lock"] {
                assert!(!told(path, beside(), &[(&at(lock), false)]), "{path} {lock}");
            }
            // A folder without packages is none.
            assert!(told(path, beside(), &[(&at("modules/a"), false), (&at("modulesx/a"), true)]), "{path}");
            assert!(!told(path, beside(), &[(&at("modules/a/b"), true)]), "{path}");
        }
        assert!(told("a/m.json", beside(), &[("x.lock", true)]));
        let above = || awaiting(&["x.lock", "modules/"], true);
        for root in ["x.lock", "a/x.lock", "a/b/x.lock", "modules/c"] {
            assert!(!told("a/b/m.json", above(), &[(root, true)]), "{root}");
        }
        assert!(told("a/b/m.json", above(), &[("c/x.lock", true), ("a/b/c/x.lock", true)]));
    }

    #[test]
    fn what_is_awaited_is_named_from_the_folder_and_lies_within_the_tree() {
        for (name, there) in [("../p.txt", "p.txt"), ("./b/../p.txt", "a/p.txt"), ("c/p.txt", "a/c/p.txt")] {
            assert!(!told("a/m.txt", awaiting(&[name], false), &[(there, false)]), "{name}");
        }
        for outside in ["../../a/p.txt", "/a/p.txt", "", "https://a/p.txt"] {
            assert!(told("a/m.txt", awaiting(&[outside], false), &[("a/p.txt", true)]), "{outside}");
        }
    }

    #[test]
    fn what_is_needed_and_not_there_is_a_gap_and_what_nobody_needs_is_not_there() {
        assert_eq!(settled(vec![("a/go.mod", vec![needed()])]), ["own gap"]);
        assert_eq!(settled(vec![("a/go.sum", vec![offered("a/go.mod")])]), [""]);
        let elsewhere = vec![("a/go.mod", vec![needed()]), ("b/go.sum", vec![offered("a/go.mod")])];
        assert_eq!(settled(elsewhere), ["own gap", ""]);
        let whole = vec![("a/go.mod", vec![Reading::default()]), ("a/go.sum", vec![offered("a/go.mod")])];
        assert_eq!(settled(whole), ["", ""]);
    }
}
