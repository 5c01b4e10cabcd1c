//! Hard links whose targets passed by before anybody knew that they are wanted: a second pass reads them.

use std::collections::BTreeMap;

/// A hard link whose target must be read under the link's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) target: String,
    pub(crate) path: String,
}

/// For each target of a link, the names under which it is wanted.
#[derive(Debug, Default)]
pub(crate) struct LinkTargets(BTreeMap<String, Vec<String>>);

impl LinkTargets {
    pub(crate) fn of(links: &[Link]) -> Self {
        let mut targets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Link { target, path } in links {
            targets.entry(target.clone()).or_default().push(path.clone());
        }
        Self(targets)
    }

    /// The names under which `target` is wanted; they are wanted no more.
    pub(crate) fn take(&mut self, target: &str) -> Vec<String> {
        self.0.remove(target).unwrap_or_default()
    }

    /// Each name that is still wanted, with its target.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(target, names)| names.iter().map(move |name| (name.as_str(), target.as_str())))
    }
}
