//! Symbolic links to directories: a package's list of files may name what it installed by a path that leads through one.
//!
//! How Linux follows them: <https://man7.org/linux/man-pages/man7/path_resolution.7.html>

use std::{
    collections::{BTreeMap, HashMap},
    iter,
};

use serde::{Deserialize, Serialize};

use crate::merge::ancestors;

/// Most bytes of a layer's links kept. Their names take some fifty bytes each in images of ten thousand links.
const MAX_BYTES: usize = 8 << 20;

/// Longest target of a link that is kept, and longest directory that is asked about, in bytes.
const MAX_PATH: usize = 1024;

/// Most links that a path may lead through, as in Linux.
const MAX_FOLLOWED: usize = 40;

/// Most parts of a path looked at, those of the links that it leads through included.
const MAX_PARTS: usize = 256;

/// Most parts looked at of all links of an image: ten thousand links have some hundred thousand.
const MAX_ALL_PARTS: usize = 2_000_000;

/// Most names that one directory has here, its own included.
const MAX_NAMES: usize = 16;

/// A symbolic link, as a layer has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Symlink {
    pub(crate) path: String,
    /// As it is written: absolute, or from the link's own directory.
    pub(crate) target: String,
}

impl Symlink {
    /// The link, if there is room for it among those that take `bytes` so far.
    pub(crate) fn within(path: &str, target: &str, bytes: &mut usize) -> Option<Self> {
        *bytes = bytes.saturating_add(size_of::<Self>() + path.len() + target.len());
        (*bytes <= MAX_BYTES && target.len() <= MAX_PATH)
            .then(|| Self { path: path.to_owned(), target: target.to_owned() })
    }
}

/// Where a link leads, and the layer that brought it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) target: String,
    pub(crate) brought: usize,
}

/// Another name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) path: String,
    /// The layer from which on it leads there.
    pub(crate) since: usize,
}

/// The links that an image holds.
#[derive(Debug, Default)]
pub(crate) struct Symlinks {
    /// By the directories that they lead to.
    by_target: HashMap<String, Vec<Alias>>,
    /// Whether there were too many to follow them all.
    pub(crate) is_cut: bool,
}

impl Symlinks {
    /// From the links by their paths.
    pub(crate) fn of(links: &BTreeMap<String, Standing>) -> Self {
        let mut by_target: HashMap<String, Vec<Alias>> = HashMap::new();
        let mut left = MAX_ALL_PARTS;
        for path in links.keys() {
            if left == 0 {
                break;
            }
            if let Some(Alias { path: target, since }) = resolve(path, links, &mut left) {
                let aliases = by_target.entry(target).or_default();
                if aliases.len() < MAX_NAMES {
                    aliases.push(Alias { path: path.clone(), since });
                }
            }
        }
        Self { by_target, is_cut: left == 0 }
    }

    /// The other names of the directory at `path`.
    pub(crate) fn aliases(&self, path: &str) -> Vec<Alias> {
        if self.by_target.is_empty() || path.len() > MAX_PATH {
            return Vec::new();
        }
        let mut names = vec![Alias { path: path.to_owned(), since: 0 }];
        // A name may have other names, too: those found on the way are asked about in their turn.
        let mut asked = 0;
        while let Some(Alias { path, since }) = names.get(asked).cloned() {
            asked += 1;
            for place in iter::once(path.as_str()).chain(ancestors(&path)) {
                for link in self.by_target.get(place).into_iter().flatten() {
                    if names.len() == MAX_NAMES {
                        return names.split_off(1);
                    }
                    let other = format!("{}{}", link.path, &path[place.len()..]);
                    if other.len() <= MAX_PATH && names.iter().all(|known| known.path != other) {
                        names.push(Alias { path: other, since: since.max(link.since) });
                    }
                }
            }
        }
        names.split_off(1)
    }
}

/// Where the link at `path` leads to in the end, and from which layer on. None for what leads to the root, around in
/// circles or to above itself: nothing is listed by such a name. `budget` is how many parts may still be looked at.
fn resolve(path: &str, links: &BTreeMap<String, Standing>, budget: &mut usize) -> Option<Alias> {
    let (mut followed, mut parts, mut since) = (0, 0, 0);
    let mut reached = String::new();
    // What is still to be gone through, the next part last.
    let mut left: Vec<&str> = path.rsplit('/').collect();
    while let Some(part) = left.pop() {
        parts += 1;
        if parts > MAX_PARTS {
            return None;
        }
        match part {
            "" | "." => continue,
            // Above the root is the root.
            ".." => {
                reached.truncate(reached.rfind('/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let parent = reached.len();
        if parent > 0 {
            reached.push('/');
        }
        reached.push_str(part);
        *budget = budget.checked_sub(1)?;
        if let Some(Standing { target, brought }) = links.get(&reached) {
            followed += 1;
            if followed > MAX_FOLLOWED {
                return None;
            }
            since = since.max(*brought);
            reached.truncate(if target.starts_with('/') { 0 } else { parent });
            left.extend(target.rsplit('/'));
            *budget = budget.saturating_sub(target.len() / 2);
        }
    }
    let is_above = path.strip_prefix(&reached).is_some_and(|below| below.starts_with('/'));
    (!reached.is_empty() && !is_above).then_some(Alias { path: reached, since })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn links(links: &[(&str, &str)]) -> BTreeMap<String, Standing> {
        let each = links.iter().enumerate();
        each.map(|(brought, (path, target))| ((*path).to_owned(), Standing { target: (*target).to_owned(), brought }))
            .collect()
    }

    fn aliases(pairs: &[(&str, &str)], path: &str) -> Vec<(String, usize)> {
        let aliases = Symlinks::of(&links(pairs)).aliases(path);
        aliases.into_iter().map(|alias| (alias.path, alias.since)).collect()
    }

    #[test]
    fn a_directory_has_the_names_that_lead_to_it() {
        let name = |path: &str, since| (path.to_owned(), since);
        assert_eq!(aliases(&[("usr/lib64", "lib")], "usr/lib/perl5"), [name("usr/lib64/perl5", 0)]);
        assert_eq!(aliases(&[("usr/lib64", "/usr/lib")], "usr/lib"), [name("usr/lib64", 0)]);
        assert_eq!(aliases(&[("usr/sbin", "bin")], "usr/binary"), []);
        assert_eq!(aliases(&[("opt/a/current", "../b/./v1/")], "opt/b/v1/lib"), [name("opt/a/current/lib", 0)]);
        // Above the root is the root.
        assert_eq!(aliases(&[("a", "../../b")], "b"), [name("a", 0)]);
    }

    #[test]
    fn a_name_leads_through_several_links_from_the_last_of_them_on() {
        let name = |path: &str, since| (path.to_owned(), since);
        // A link to a link, and a link in a directory that has another name.
        assert_eq!(aliases(&[("b", "/c"), ("a", "b")], "c"), [name("a", 1), name("b", 0)]);
        assert_eq!(aliases(&[("a", "b"), ("b/c", "/d")], "d/x"), [name("b/c/x", 1), name("a/c/x", 1)]);
        // `..` goes up from where the link leads to.
        assert_eq!(aliases(&[("a", "/v/w"), ("b", "a/../x")], "v/x"), [name("b", 1)]);
    }

    #[test]
    fn circles_and_ladders_come_to_an_end() {
        assert_eq!(aliases(&[("a", "b"), ("b", "a")], "a/x"), []);
        assert_eq!(aliases(&[("a", "a/a/a")], "a"), []);
        assert_eq!(aliases(&[("usr/bin/X11", "."), ("usr/root", "/"), ("usr/up", "..")], "usr/bin"), []);
        assert!(aliases(&[("d/l", "/e"), ("e/m", "/d")], "d").len() < MAX_NAMES);
        let long = "../".repeat(MAX_PARTS) + "b";
        assert_eq!(aliases(&[("a", &long)], "b"), []);
    }

    #[test]
    fn a_crowd_of_links_costs_no_more_than_its_share() {
        // As many that lead to one directory, and as many through a chain of long ones.
        let crowd: Vec<(String, String)> =
            (0..50_000).map(|link| (format!("l{link}"), "/usr/lib".to_owned())).collect();
        let chain = (0..42).map(|link| (format!("c{link}"), format!("/c{}{}", link + 1, "/a/..".repeat(200))));
        let ends = (0..50_000).map(|link| (format!("e{link}"), "/c0".to_owned()));
        let chain: Vec<(String, String)> = chain.chain(ends).collect();
        for (pairs, is_cut) in [(crowd, false), (chain, true)] {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(path, target)| (&**path, &**target)).collect();
            let symlinks = Symlinks::of(&links(&pairs));
            assert_eq!(symlinks.is_cut, is_cut);
            assert!(symlinks.by_target.values().all(|aliases| aliases.len() <= MAX_NAMES));
            for directory in 0..3_000 {
                assert!(symlinks.aliases(&format!("usr/lib/d{directory}")).len() < MAX_NAMES);
            }
        }
    }

    /// Where `path` leads to, and how many links it led through, by recursion: none in circles.
    fn walked(path: &str, links: &BTreeMap<String, Standing>, depth: usize) -> Option<(String, BTreeSet<String>)> {
        let (mut real, mut through) = (String::new(), BTreeSet::new());
        for part in path.split('/') {
            let here = if real.is_empty() { part.to_owned() } else { format!("{real}/{part}") };
            let Some(link) = links.get(&here) else {
                real = here;
                continue;
            };
            let target = match link.target.strip_prefix('/') {
                Some(target) => target.to_owned(),
                None => format!("{real}/{}", link.target).trim_start_matches('/').to_owned(),
            };
            let (reached, more) = walked(&target, links, depth.checked_sub(1)?)?;
            real = reached;
            through.insert(here);
            through.extend(more);
        }
        Some((real, through))
    }

    /// Links among a few directories, none of them below another.
    fn any_links() -> impl Strategy<Value = BTreeMap<String, Standing>> {
        let target = prop_oneof!["[ab](/[abc]){0,2}", "/[ab](/[abc]){0,2}"];
        let link = ("[ab](/[abc]){0,2}", target, 0..4_usize);
        proptest::collection::vec(link, 0..6).prop_map(|links| {
            let mut all = BTreeMap::new();
            for (path, target, brought) in links {
                let is_apart = |other: &String| !is_below(other, &path) && !is_below(&path, other);
                if all.keys().all(is_apart) {
                    all.insert(path, Standing { target, brought });
                }
            }
            all
        })
    }

    fn is_below(path: &str, directory: &str) -> bool {
        path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_name_is_known_as_such_when_it_leads_there(links in any_links(), name in "[ab](/[abc]){0,3}") {
            let symlinks = Symlinks::of(&links);
            for alias in symlinks.aliases(&name).iter().filter(|_| walked(&name, &links, 9).unwrap_or_default().0 == name) {
                let (reached, through) = walked(&alias.path, &links, 9).unwrap();
                prop_assert_eq!(&reached, &name, "{}", alias.path);
                prop_assert_eq!(Some(alias.since), through.iter().map(|link| links[link].brought).max(), "{}", alias.path);
            }
            if let Some((real, through)) = walked(&name, &links, 9)
                && !through.iter().any(|link| walked(link, &links, 9).is_some_and(|(to, _)| is_below(link, &to)))
            {
                let aliases = symlinks.aliases(&real);
                let is_known = real == name || aliases.iter().any(|alias| alias.path == name);
                prop_assert!(is_known || aliases.len() == MAX_NAMES - 1, "{name} leads to {real}: {aliases:?}");
            }
        }
    }
}
