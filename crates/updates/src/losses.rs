//! What a new database lacks of the one in use: an old, cut or emptied copy of the export looks as good as a whole one.
//!
//! Sources lose records every day, and a little less is a note. Much less, or a step back in time, is refused.

use std::collections::BTreeMap;

use portcullis_model::{DatabaseInfo, DatabaseSource, Warning};

use crate::{Sources, UpdateError};

/// So many records fewer of one source are a note, however few it has.
const FEW: u64 = 100;
/// So are those of a source that loses no more than one in so many.
const SHARE: u64 = 4;

/// Compares a new database with the one in use; gives what is worth telling.
pub(crate) fn compare(
    offered: &DatabaseInfo,
    installed: &DatabaseInfo,
    sources: &Sources,
) -> Result<Vec<Warning>, UpdateError> {
    let new: BTreeMap<&str, &DatabaseSource> =
        offered.sources.iter().map(|source| (source.name.as_str(), source)).collect();
    let (mut lost, mut notes) = (Vec::new(), Vec::new());
    let mut newest = (None, None);
    for before in installed.sources.iter().filter(|source| is_wanted(&source.name, sources)) {
        let Some(now) = new.get(before.name.as_str()) else {
            lost.push(format!("{} with {} records is not in it", before.name, before.records));
            continue;
        };
        newest = (newest.0.max(now.newest), newest.1.max(before.newest));
        let fewer = before.records.saturating_sub(now.records);
        if fewer > FEW.max(before.records / SHARE) {
            lost.push(format!("{} has {} records, and {} before", before.name, now.records, before.records));
        } else if fewer > 0 {
            notes.push(Warning::note(before.name.clone(), format!("{fewer} records fewer than before")));
        }
        if let (Some(time), true) = (before.newest, now.newest < before.newest) {
            let what = format!("its newest change was of {time} before, and is older now");
            notes.push(Warning::note(before.name.clone(), what));
        }
    }
    if sources.allow_rollback {
        notes.extend(lost.into_iter().map(|what| Warning::note("", what)));
        return Ok(notes);
    }
    if !lost.is_empty() {
        return Err(UpdateError::Shrunk { lost });
    }
    match newest {
        (Some(offered), Some(installed)) if offered < installed => Err(UpdateError::Rollback { offered, installed }),
        _ => Ok(notes),
    }
}

/// Whether this update was to bring the source.
fn is_wanted(name: &str, sources: &Sources) -> bool {
    match name {
        "kev" => sources.kev.is_some(),
        "epss" => sources.epss.is_some(),
        _ => {
            let ecosystem = name.strip_prefix("osv/").unwrap_or(name);
            sources.ecosystems.is_empty()
                || sources.ecosystems.iter().any(|asked| asked.eq_ignore_ascii_case(ecosystem))
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::Digest;

    use super::*;

    fn info(sources: &[(&str, u64, &str)]) -> DatabaseInfo {
        let source = |&(name, records, newest): &(&str, u64, &str)| DatabaseSource {
            name: name.to_owned(),
            records,
            newest: newest.parse().ok(),
        };
        DatabaseInfo {
            digest: Digest::of(b""),
            built: portcullis_model::Timestamp::from_unix(0),
            starter: false,
            sources: sources.iter().map(source).collect(),
        }
    }

    fn wanted(ecosystems: &[&str]) -> Sources {
        Sources {
            export: "https://mirror.example/".into(),
            ecosystems: ecosystems.iter().map(|name| (*name).to_owned()).collect(),
            kev: Some("https://mirror.example/kev".into()),
            epss: None,
            allow_rollback: false,
        }
    }

    #[test]
    fn a_little_less_is_a_note_and_much_less_is_refused() {
        let before = info(&[("epss", 9, "2026-01-01"), ("kev", 1000, "2026-01-01"), ("osv/npm", 4000, "2026-01-05")]);
        let compare = |now: &[(&str, u64, &str)], sources: &Sources| compare(&info(now), &before, sources);
        let same = [("kev", 1000, "2026-01-02"), ("osv/npm", 4001, "2026-01-05")];
        assert_eq!(compare(&same, &wanted(&[])).unwrap(), []);
        let less = [("kev", 900, "2026-01-02"), ("osv/npm", 3000, "2026-01-05")];
        assert_eq!(compare(&less, &wanted(&[])).unwrap().len(), 2);
        let much = [("kev", 1000, "2026-01-02"), ("osv/npm", 2999, "2026-01-09")];
        let gone = [("osv/npm", 4000, "2026-01-09")];
        for lost in [&much[..], &gone] {
            let Err(UpdateError::Shrunk { lost: said }) = compare(lost, &wanted(&[])) else { panic!("{lost:?}") };
            assert_eq!(said.len(), 1);
            let accepted = Sources { allow_rollback: true, ..wanted(&[]) };
            assert_eq!(compare(lost, &accepted).unwrap().len(), 1);
        }
        // What was not asked for may go.
        assert_eq!(compare(&[("kev", 1000, "2026-01-01")], &wanted(&["Debian"])).unwrap(), []);
    }

    #[test]
    fn one_source_that_is_older_is_a_note_and_all_of_them_are_refused() {
        let before = info(&[("kev", 5, "2026-01-01"), ("osv/Debian", 5, "2026-01-05"), ("osv/npm", 5, "2026-01-07")]);
        let one = info(&[("kev", 5, "2026-01-01"), ("osv/Debian", 5, "2026-01-04"), ("osv/npm", 5, "2026-01-07")]);
        assert_eq!(compare(&one, &before, &wanted(&[])).unwrap().len(), 1);
        let all = info(&[("kev", 5, "2026-01-01"), ("osv/Debian", 5, "2026-01-04"), ("osv/npm", 5, "2026-01-06")]);
        assert!(matches!(compare(&all, &before, &wanted(&[])), Err(UpdateError::Rollback { .. })));
    }
}
