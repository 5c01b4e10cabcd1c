//! What changed between two verdicts of the same image.

use portcullis_model::{Inputs, Verdict};

/// An input of a verdict that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which: `image`, `inventory`, `database`, `policy`, `vex`, `engine`.
    pub input: &'static str,
    /// As recorded.
    pub recorded: String,
    /// As it is now.
    pub current: String,
}

/// The inputs that differ; empty when the verdict was recomputed from the same ones.
#[must_use]
pub fn compare_verdicts(recorded: &Verdict, current: &Verdict) -> Vec<Change> {
    let texts = |Inputs { image, inventory, database, policy, vex, engine }: &Inputs| {
        [
            ("image", image.map_or_else(|| "none".to_owned(), |digest| digest.to_string())),
            ("inventory", inventory.to_string()),
            ("database", database.to_string()),
            ("policy", policy.to_string()),
            ("vex", vex.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            ("engine", engine.clone()),
        ]
    };
    let pairs = texts(&recorded.inputs).into_iter().zip(texts(&current.inputs));
    pairs
        .filter(|((_, recorded), (_, current))| recorded != current)
        .map(|((input, recorded), (_, current))| Change { input, recorded, current })
        .collect()
}
