//! Hard links whose targets passed by before anybody knew that they are wanted: a second pass reads them.

use std::collections::{BTreeMap, HashMap};

/// Links by name. Of two of one name, the later counts.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<String, Link>);

/// Where a link leads.
#[derive(Debug, Clone)]
struct Link {
    target: String,
    /// How many entries of the layer came before it: it leads to what stood at its target then.
    position: u64,
    /// Its facts are those of its target, which were known already.
    is_read: bool,
}

impl Links {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a second pass is needed.
    pub(crate) fn are_unread(&self) -> bool {
        self.0.values().any(|link| !link.is_read)
    }

    /// A link to a link leads to where that one leads.
    pub(crate) fn insert(&mut self, path: &str, target: &str, position: u64, is_read: bool) {
        let link = self.0.get(target).cloned();
        let link = link.unwrap_or_else(|| Link { target: target.to_owned(), position, is_read });
        self.0.insert(path.to_owned(), Link { is_read, ..link });
    }

    /// Something else stands at `path`.
    pub(crate) fn remove(&mut self, path: &str) {
        // Layers without such links are the rule: they are not made to hash every path.
        if !self.0.is_empty() {
            self.0.remove(path);
        }
    }

    /// For the second pass: by target.
    pub(crate) fn into_targets(self) -> LinkTargets {
        let mut targets: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        for (path, Link { target, position, is_read: _ }) in self.0.into_iter().filter(|(_, link)| !link.is_read) {
            targets.entry(target).or_default().push(Name { path, position, is_read: false });
        }
        targets.values_mut().for_each(|names| names.sort_unstable_by(|a, b| a.path.cmp(&b.path)));
        LinkTargets(targets)
    }
}

/// For each target of a link, the names under which it is wanted.
#[derive(Debug, Default)]
pub(crate) struct LinkTargets(BTreeMap<String, Vec<Name>>);

#[derive(Debug)]
struct Name {
    path: String,
    position: u64,
    is_read: bool,
}

impl LinkTargets {
    /// The names under which the file at `target` is wanted, if it is the layer's entry number `position`.
    pub(crate) fn names(&mut self, target: &str, position: u64) -> Vec<String> {
        let names = self.0.get_mut(target).into_iter().flatten().filter(|name| position < name.position);
        names
            .map(|name| {
                name.is_read = true;
                name.path.clone()
            })
            .collect()
    }

    /// Each name that was not read, with its target.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(target, names)| {
            names.iter().filter(|name| !name.is_read).map(move |name| (name.path.as_str(), target.as_str()))
        })
    }
}
