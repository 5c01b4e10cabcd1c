//! Laying layers over one another, against the plainest model there is: a map of paths, changed as an overlay file
//! system would change it.

#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::collections::BTreeMap;

use portcullis_testkit::{ImageBuilder, Layer};
use proptest::prelude::*;
use support::{lines, npm, taken};

/// Places of packages.
const PLACES: [&str; 5] =
    ["node_modules/x", "node_modules/y", "a/node_modules/x", "node_modules/x/node_modules/y", "usr/a/node_modules/x"];

#[derive(Debug, Clone)]
enum Change {
    Package {
        place: usize,
        version: u8,
    },
    /// Under a name that no reader wants, and linked from where one does.
    Stored {
        place: usize,
        version: u8,
    },
    Link {
        from: usize,
        to: usize,
    },
    File {
        path: String,
    },
    Symlink {
        path: String,
    },
    Directory {
        path: String,
    },
    Whiteout {
        path: String,
    },
    Opaque {
        path: String,
    },
}

/// What lies at a path; a package file has its version and the layer that brought it.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Directory,
    Package { name: String, version: u8, layer: usize },
    Other,
}

type Tree = BTreeMap<String, Node>;

fn file(place: usize) -> String {
    format!("{}/package.json", PLACES[place])
}

fn name(place: usize) -> String {
    PLACES[place].rsplit('/').next().unwrap().to_owned()
}

/// A place's file, or one of the directories above it.
fn any_path() -> impl Strategy<Value = String> {
    (0..PLACES.len(), 0..5_usize).prop_map(|(place, up)| {
        let mut path = file(place);
        for _ in 0..up {
            path.truncate(path.rfind('/').unwrap_or(path.len()));
        }
        path
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let places = 0..PLACES.len();
    prop_oneof![
        6 => (places.clone(), 1..3_u8).prop_map(|(place, version)| Change::Package { place, version }),
        1 => (places.clone(), 1..3_u8).prop_map(|(place, version)| Change::Stored { place, version }),
        1 => (places.clone(), places).prop_map(|(from, to)| Change::Link { from, to }),
        1 => any_path().prop_map(|path| Change::File { path }),
        1 => any_path().prop_map(|path| Change::Symlink { path }),
        1 => any_path().prop_map(|path| Change::Directory { path }),
        2 => any_path().prop_map(|path| Change::Whiteout { path }),
        1 => prop_oneof![any_path(), Just(String::new())].prop_map(|path| Change::Opaque { path }),
    ]
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at])
}

fn is_below(path: &str, directory: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// One layer: its tar, and what it says.
struct Writer {
    layer: Layer,
    tree: Tree,
    whiteouts: Vec<String>,
    opaque: Vec<String>,
    index: usize,
}

impl Writer {
    /// Makes room for `path`; false where an earlier entry of this layer stands in the way, which no engine writes.
    fn make_room(&mut self, path: &str) -> bool {
        let blocked =
            ancestors(path).any(|ancestor| self.tree.get(ancestor).is_some_and(|node| *node != Node::Directory));
        if blocked || self.tree.get(path) == Some(&Node::Directory) {
            return false;
        }
        for ancestor in ancestors(path) {
            if self.tree.insert(ancestor.to_owned(), Node::Directory).is_none() {
                self.layer = std::mem::take(&mut self.layer).directory(ancestor);
            }
        }
        true
    }

    fn put(&mut self, path: &str, node: Node, add: impl FnOnce(Layer) -> Layer) {
        // A directory after a file of the same layer: engines differ in whether lower contents show through.
        let is_odd = node == Node::Directory && self.tree.contains_key(path);
        if !is_odd && self.make_room(path) {
            self.layer = add(std::mem::take(&mut self.layer));
            self.tree.insert(path.to_owned(), node);
        }
    }

    fn apply(&mut self, change: &Change) {
        let layer = self.index;
        match change {
            Change::Package { place, version } => {
                let (path, name) = (file(*place), name(*place));
                let json = npm(&name, &format!("{version}.0.0"));
                self.put(&path, Node::Package { name, version: *version, layer }, |layer| layer.file(&path, json));
            }
            Change::Stored { place, version } => {
                let (path, name) = (file(*place), name(*place));
                let json = npm(&name, &format!("{version}.0.0"));
                let stored = format!("store-{name}-{version}-{}", self.tree.len());
                self.put(&stored, Node::Other, |layer| layer.file(&stored, json));
                let node = Node::Package { name, version: *version, layer };
                self.put(&path, node, |layer| layer.hard_link(&path, &stored));
            }
            Change::Link { from, to } => {
                if let Some(node @ Node::Package { .. }) = self.tree.get(&file(*to)).cloned()
                    && from != to
                {
                    self.put(&file(*from), node, |layer| layer.hard_link(&file(*from), &file(*to)));
                }
            }
            Change::File { path } => self.put(path, Node::Other, |layer| layer.file(path, "{}")),
            Change::Symlink { path } => self.put(path, Node::Other, |layer| layer.symlink(path, "usr")),
            Change::Directory { path } => self.put(path, Node::Directory, |layer| layer.directory(path)),
            Change::Whiteout { path } => {
                self.layer = std::mem::take(&mut self.layer).whiteout(path);
                self.whiteouts.push(path.clone());
            }
            Change::Opaque { path } => {
                self.layer = std::mem::take(&mut self.layer).opaque(path);
                self.opaque.push(path.clone());
            }
        }
    }

    /// Lays this layer over `lower`.
    fn over(self, lower: &Tree) -> Tree {
        let Self { tree, whiteouts, opaque, .. } = self;
        let is_gone = |path: &str| {
            whiteouts.iter().any(|gone| path == gone || is_below(path, gone))
                || opaque.iter().any(|directory| is_below(path, directory))
        };
        let mut merged: Tree =
            lower.iter().filter(|(path, _)| !is_gone(path)).map(|(path, node)| (path.clone(), node.clone())).collect();
        for (path, mut node) in tree {
            let both_directories = node == Node::Directory && merged.get(&path) == Some(&Node::Directory);
            if !both_directories {
                merged.retain(|other, _| *other != path && !is_below(other, &path));
            }
            // The same package at the same place, in the same directory: it belongs to who brought it first.
            let is_kept = !opaque.iter().any(|directory| is_below(&path, directory))
                && !whiteouts.iter().any(|gone| is_below(&path, gone));
            if let (Node::Package { name, version, layer }, Some(Node::Package { name: n, version: v, layer: first })) =
                (&mut node, lower.get(&path))
                && is_kept
                && (&*name, &*version) == (n, v)
            {
                *layer = *first;
            }
            merged.insert(path, node);
        }
        merged
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_merge_as_an_overlay_file_system_does(
        layers in proptest::collection::vec(proptest::collection::vec(any_change(), 0..7), 1..5)
    ) {
        let mut tree = Tree::new();
        let mut builder = ImageBuilder::new();
        for (index, changes) in layers.iter().enumerate() {
            let mut writer = Writer {
                // No two layers alike: they are told apart by their digests.
                layer: Layer::new().file(&format!("marker-{index}"), ""),
                tree: Tree::new(),
                whiteouts: Vec::new(),
                opaque: Vec::new(),
                index,
            };
            changes.iter().for_each(|change| writer.apply(change));
            builder = builder.layer(writer.layer.clone());
            tree = writer.over(&tree);
        }
        let mut expected: Vec<String> = tree
            .iter()
            .filter_map(|(path, node)| match node {
                Node::Package { name, version, layer } => Some(format!("{name} {version}.0.0 {path} @{layer}")),
                _ => None,
            })
            .collect();
        expected.sort();
        let image = builder.build();
        let taken = taken(&image);
        prop_assert_eq!(&lines(&image, &taken), &expected);
        prop_assert_eq!(&taken.inventory.warnings, &[]);
    }
}
