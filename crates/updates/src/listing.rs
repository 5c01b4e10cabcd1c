//! The small files of OSV's export: which ecosystems there are, and which records changed when.
//!
//! ```text
//! ecosystems.txt                     one name a line; `Debian:12` is a part of `Debian`
//! <Ecosystem>/modified_id.csv        <RFC 3339>,<ID>, the newest first
//! ```
//! Layout: <https://google.github.io/osv.dev/data/#data-dumps>

use portcullis_model::Timestamp;

use crate::export::{Index, MAX_MEMBERS, is_id};

/// Ecosystems without packages: nothing that is installed can be matched with them.
const WITHOUT_PACKAGES: [&str; 2] = ["GIT", "[EMPTY]"];

/// The names of a list of ecosystems that have an archive worth having, sorted.
pub(crate) fn ecosystems(text: &str) -> Vec<String> {
    let names = text.lines().map(str::trim).filter(|name| is_ecosystem(name) && !WITHOUT_PACKAGES.contains(name));
    let mut names: Vec<String> = names.map(ToOwned::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether an ecosystem can have this name: it becomes a part of an address and a folder.
pub(crate) fn is_ecosystem(name: &str) -> bool {
    let is_refused = |character: char| character.is_control() || "/\\:".contains(character);
    (1..=100).contains(&name.len()) && !name.starts_with('.') && !name.contains(is_refused)
}

/// The records of a list, with their changes, and how many lines could not be read.
pub(crate) fn records(text: &str) -> (Index, usize) {
    let mut index = Index::new();
    let mut unread = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let fields = line.split_once(',').and_then(|(time, id)| {
            // The list of all ecosystems has their names before the ids.
            let id = id.rsplit('/').next().unwrap_or(id);
            let has_room = index.len() < MAX_MEMBERS || index.contains_key(id);
            Some((time.parse::<Timestamp>().ok()?, id)).filter(|(_, id)| is_id(id) && has_room)
        });
        match fields {
            Some((time, id)) => {
                let known = index.entry(id.to_owned()).or_insert(time);
                *known = time.max(*known);
            }
            None => unread += 1,
        }
    }
    (index, unread)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_an_ecosystem_and_what_has_no_packages_are_left_out() {
        let text = "Debian\nDebian:12\nRocky Linux\r\n\nGIT\n[EMPTY]\nnpm\n../x\nnpm\n.\n";
        assert_eq!(ecosystems(text), ["Debian", "Rocky Linux", "npm"]);
    }

    #[test]
    fn lists_of_records_are_read() {
        let text = "2026-02-01T10:00:00.123456Z,GHSA-1\r\n2026-01-01T00:00:00Z,npm/GHSA-2\n\
                    2026-03-01T00:00:00Z,GHSA-2\nmodified,id\n2026-01-01T00:00:00Z,../x y\nx\n";
        let (index, unread) = records(text);
        let shown: Vec<String> = index.iter().map(|(id, time)| format!("{id} {time}")).collect();
        assert_eq!(shown, ["GHSA-1 2026-02-01T10:00:00Z", "GHSA-2 2026-03-01T00:00:00Z"]);
        assert_eq!(unread, 3);
    }

    proptest! {
        #[test]
        fn no_list_panics(text in "\\PC*") {
            _ = records(&text);
            prop_assert!(ecosystems(&text).iter().all(|name| !name.contains('/')));
        }
    }
}
