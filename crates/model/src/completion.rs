//! What one file leaves to another: a reader sees one file alone, and some projects name their packages in two.

use serde::{Deserialize, Serialize};

/// How a file's packages and another's belong together. It is settled once it is known which files there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completion {
    /// This file names only some of the packages, and another names the others.
    Needed {
        /// The other's path.
        by: String,
        /// Packages of which this file has said enough, beside those that it lists: the other's word on them is not asked.
        settled: Vec<String>,
        /// The note where the other is there.
        note: String,
        /// The gap where it is not.
        gap: String,
    },
    /// This file's packages and warnings count where the file at `of` needs them, but for those of the names that it has
    /// itself; otherwise it is as if it were not there.
    Offered {
        /// That file's path.
        of: String,
    },
    /// This file leaves something open that others have to settle: what none does is told.
    Awaited(Vec<Awaited>),
}

/// What a file leaves to others that have to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Paths from the file's folder, one of which suffices if it is read. One that ends in `/` is a folder below which a
    /// file has packages.
    pub files: Vec<String>,
    /// Whether they may lie in a folder above, too.
    pub is_above: bool,
    /// Whether it is a gap where there is none of them, and no note.
    pub is_gap: bool,
    /// What is said then.
    pub message: String,
}

impl Completion {
    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let texts = match self {
            Self::Needed { by, settled, note, gap } => {
                let settled: usize = settled.iter().map(|name| size_of::<String>() + name.len()).sum();
                by.len() + note.len() + gap.len() + settled
            }
            Self::Offered { of } => of.len(),
            Self::Awaited(all) => all.iter().map(Awaited::bytes).sum(),
        };
        size_of::<Self>() + texts
    }
}

impl Awaited {
    fn bytes(&self) -> usize {
        let Self { files, is_above: _, is_gap: _, message } = self;
        let files: usize = files.iter().map(|file| size_of::<String>() + file.len()).sum();
        size_of::<Self>() + message.len() + files
    }
}
