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
        };
        size_of::<Self>() + texts
    }
}
