//! What was odd about a document's components: a few of each kind by name, the rest as a number.

use portcullis_model::Warning;

/// How many of one kind are named.
const NAMED: usize = 20;

/// The kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Purl,
    Nameless,
    Versionless,
    Versions,
    Sourceless,
    FewSourceless,
    Unidentified,
    Guessed,
    Image,
    OnlyImages,
    Excluded,
    Distribution,
    TooMany,
    Cut,
}

impl Problem {
    /// Whether a vulnerable package may go unseen.
    const fn is_gap(self) -> bool {
        match self {
            Self::Nameless
            | Self::Sourceless
            | Self::Unidentified
            | Self::OnlyImages
            | Self::Distribution
            | Self::TooMany
            | Self::Cut => true,
            Self::Purl
            | Self::Versionless
            | Self::Versions
            | Self::FewSourceless
            | Self::Guessed
            | Self::Image
            | Self::Excluded => false,
        }
    }
}

/// Warnings about one document.
pub(super) struct Problems {
    name: String,
    met: Vec<(Problem, usize)>,
    warnings: Vec<Warning>,
}

impl Problems {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), met: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn add(&mut self, problem: Problem, what: String) {
        let count = match self.met.iter_mut().find(|(met, _)| *met == problem) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.met.push((problem, 1));
                1
            }
        };
        if count <= NAMED {
            self.warnings.push(warning(problem, &self.name, what));
        }
    }

    /// Whether parts of the document were not read.
    pub(super) fn is_cut(&self) -> bool {
        self.met.iter().any(|(problem, _)| matches!(problem, Problem::Cut | Problem::TooMany))
    }

    pub(super) fn into_warnings(self) -> Vec<Warning> {
        let Self { name, met, mut warnings } = self;
        for (problem, count) in met.into_iter().filter(|(_, count)| *count > NAMED) {
            let more = count - NAMED;
            let what = match problem {
                Problem::TooMany => format!("{count} packages were left out"),
                Problem::Purl => format!("{more} more package URLs are none"),
                Problem::Nameless => format!("{more} more components have no name"),
                Problem::Versionless => format!("{more} more have no version"),
                Problem::Versions => format!("{more} more have another version than their package URLs"),
                Problem::Sourceless | Problem::FewSourceless => format!("{more} more name no source package"),
                Problem::Unidentified => format!("{more} more have no package URL"),
                Problem::Guessed => format!("{more} more are taken for Go modules by their form"),
                Problem::Image | Problem::OnlyImages => format!("{more} more are images"),
                Problem::Excluded => format!("{more} more are not installed, as the document says"),
                Problem::Cut => format!("{more} more parts of it were not read"),
                Problem::Distribution => format!("it names {more} more distributions"),
            };
            warnings.push(warning(problem, &name, what));
        }
        warnings.sort();
        warnings.dedup();
        warnings
    }
}

fn warning(problem: Problem, name: &str, what: String) -> Warning {
    if problem.is_gap() { Warning::gap(name, what) } else { Warning::note(name, what) }
}
