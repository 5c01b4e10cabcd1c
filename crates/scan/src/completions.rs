//! Settles what one file leaves to another, such as `go.mod` of Go 1.16 and older to `go.sum`.

use std::collections::{HashMap, HashSet};

use portcullis_model::{Completion, Reading, Warning};

/// What a file needs of another.
struct Need {
    by: String,
    /// What it says itself.
    names: HashSet<String>,
    is_met: bool,
}

/// Makes of what is offered what counts, and of what is needed a note or a gap. `files` are those that are there.
pub(crate) fn settle<'a>(files: impl Iterator<Item = (&'a str, &'a mut Vec<Reading>)>) {
    let mut files: Vec<(&str, &mut Reading)> = files
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
