//! What one layer says, independent of the layers below it.

use portcullis_model::{PathHash, Reading, Warning, path_hashes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{executables::Executable, symlinks::Symlink};

/// Most warnings of a layer kept.
pub(crate) const MAX_WARNINGS: usize = 100_000;

/// Paths of one chunk of [`Paths`].
const CHUNK: usize = 64 * 1024;

/// A file that was read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) path: String,
    /// The name of the reader that read it; only while the layer is read.
    #[serde(skip)]
    pub(crate) reader: &'static str,
    pub(crate) reading: Reading,
}

/// The facts of a layer. What is added here is kept in the layer cache too.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LayerFacts {
    pub(crate) facts: Vec<Fact>,
    pub(crate) executables: Vec<Executable>,
    /// What lower layers have at and below these paths is gone.
    pub(crate) removed: Paths,
    /// What lower layers have below these directories is gone.
    pub(crate) opaque: Paths,
    /// What lower layers have is gone.
    pub(crate) is_root_opaque: bool,
    /// Entries that are no directories: they hide what lower layers have at and below their path.
    pub(crate) others: Paths,
    /// Directories: they hide what lower layers have *at* their path, if that is no directory.
    pub(crate) directories: Paths,
    /// By path.
    pub(crate) symlinks: Vec<Symlink>,
    pub(crate) warnings: Vec<Warning>,
}

impl LayerFacts {
    pub(crate) fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else if self.warnings.len() == MAX_WARNINGS {
            self.warnings.push(Warning::gap("", format!("a layer has more than {MAX_WARNINGS} warnings")));
        }
    }

    /// Adds what a second pass has read.
    pub(crate) fn add_links(&mut self, second: Self) {
        self.facts.extend(second.facts);
        self.warnings.extend(second.warnings);
    }
}

/// Hashes of paths, eight bytes each, in chunks that never move: a vector that doubles would need three times that.
#[derive(Debug, Default)]
pub(crate) struct Paths(Vec<Vec<PathHash>>);

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hashes: Vec<PathHash> = self.iter().collect();
        path_hashes::serialize(&hashes, serializer)
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        path_hashes::deserialize(deserializer).map(|hashes| Self(vec![hashes]))
    }
}

impl Paths {
    pub(crate) fn push(&mut self, hash: PathHash) {
        match self.0.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(hash),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(hash);
                self.0.push(chunk);
            }
            None => self.0.push(vec![hash]),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PathHash> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// The exact hash of a path, without the merging of `/usr` that ownership needs.
pub(crate) fn exact(path: &str) -> PathHash {
    // A leading part that no path has keeps `lib/x` and `usr/lib/x` apart.
    let mut hash = PathHash::of(path).0;
    if path.starts_with("usr/") {
        hash = hash.rotate_left(17) ^ 0x5bd1_e995_9d1b_54a5;
    }
    PathHash(hash)
}
