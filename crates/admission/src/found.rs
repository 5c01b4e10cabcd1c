//! What several ways to ask gave of one image, taken together. Pure: who is asked, and how long, is in `access`.
//!
//! A tenant brings the credentials of every way but the gate's own, and can make those fail: so what the gate's own way
//! saw completely counts whatever became of the others, and only where it saw nothing may an outage of another be one.

use std::sync::Arc;

use bytes::Bytes;
use portcullis_attest::{Candidate, Discovery, Format, Problem, ProblemError};
use portcullis_model::Digest;

/// The name of a way: that of the credential; none for the gate's own.
pub(crate) type WayName = Option<Digest>;

/// What one way gave.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) name: WayName,
    /// The number of the look.
    pub(crate) began: u64,
    pub(crate) found: Arc<Discovery>,
}

/// How far one way saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// All that there is, for who shows this credential.
    Complete,
    /// The registry shows nothing to this credential.
    Refused,
    /// It could not be asked, for reasons that pass.
    Away,
    /// Something was given that cannot be read.
    Damaged,
}

/// What all ways gave together.
#[derive(Debug)]
pub(crate) struct Found {
    /// What any of them gave.
    pub(crate) candidates: Arc<[Candidate]>,
    /// The one whose problems count; none where what was seen is the whole.
    incomplete: Option<Arc<Discovery>>,
    /// The ways on which the registry is away, where what it gave before may count.
    pub(crate) away: Vec<WayName>,
    /// The way that a pass may be kept for: it has, with the gate's own, given all of it.
    pub(crate) kept_for: Option<WayName>,
    /// The ways that saw all that there is, for who shows their credential.
    pub(crate) complete: Vec<WayName>,
    /// Whether the gate's own credentials opened all of it.
    pub(crate) is_own: bool,
    /// The number of the first look of any way.
    pub(crate) began: u64,
}

impl Found {
    /// Of the Pod's credentials, the best first, and of the gate's own.
    pub(crate) fn of(named: &[Answer], own: &Answer) -> Self {
        let all: Vec<&Answer> = named.iter().chain([own]).collect();
        let candidates = union(all.iter().copied());
        let incomplete = incomplete(named, own);
        let is_damaged = all.iter().any(|answer| answer.sight() == Sight::Damaged);
        let away = match incomplete {
            Some(_) if !is_damaged => all.iter().filter(|one| one.sight() == Sight::Away).map(|one| one.name).collect(),
            _ => Vec::new(),
        };
        let gives_all = |answer: &&&Answer| {
            let is_seen = answer.sight() == Sight::Complete || own.sight() == Sight::Complete;
            is_seen && union([**answer, own].into_iter()).len() == candidates.len()
        };
        let is_own = union([own].into_iter()).len() == candidates.len();
        let kept_for = match is_own && own.sight() == Sight::Complete {
            true => Some(own.name),
            false => all.iter().find(gives_all).map(|answer| answer.name),
        };
        let complete = all.iter().filter(|one| one.sight() == Sight::Complete).map(|one| one.name).collect();
        let began = all.iter().map(|answer| answer.began).fold(own.began, u64::min);
        let incomplete = incomplete.map(|answer| Arc::clone(&answer.found));
        Self { candidates: candidates.into(), incomplete, away, kept_for, complete, is_own, began }
    }

    /// Whether any way saw something, or that there is nothing.
    pub(crate) fn has_seen(&self) -> bool {
        !self.complete.is_empty() || !self.candidates.is_empty()
    }

    /// What could not be read, and counts.
    pub(crate) fn problems(&self) -> &[Problem] {
        self.incomplete.as_ref().map_or(&[], |discovery| &discovery.problems)
    }
}

impl Answer {
    fn sight(&self) -> Sight {
        let all = |is: fn(&ProblemError) -> bool| self.found.problems.iter().all(|problem| is(&problem.error));
        if self.found.is_complete() {
            Sight::Complete
        } else if all(is_refusal) && self.found.candidates.is_empty() {
            Sight::Refused
        } else if all(is_temporary) {
            Sight::Away
        } else {
            Sight::Damaged
        }
    }

    fn has_seen_something(&self) -> bool {
        self.sight() == Sight::Complete && !self.found.candidates.is_empty()
    }
}

/// The way whose problems count; none where they do not.
fn incomplete<'a>(named: &'a [Answer], own: &'a Answer) -> Option<&'a Answer> {
    // Evidence that one credential opens completely needs no other credential.
    if own.sight() == Sight::Complete || named.iter().any(Answer::has_seen_something) {
        return None;
    }
    if own.sight() != Sight::Refused {
        return Some(own);
    }
    // The gate's own credentials open nothing: then it is for the Pod's to tell.
    let mut speaking = named.iter().filter(|answer| answer.sight() != Sight::Refused).peekable();
    if speaking.peek().is_none() {
        return Some(named.first().unwrap_or(own));
    }
    speaking.find(|answer| answer.sight() != Sight::Complete)
}

/// As a [`Discovery`] sorts them, each once.
fn union<'a>(answers: impl Iterator<Item = &'a Answer>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = answers.flat_map(|answer| answer.found.candidates.iter().cloned()).collect();
    all.sort_by(|one, other| content(one).cmp(&content(other)));
    all.dedup_by(|one, other| content(one) == content(other));
    all
}

/// What makes a piece of evidence the same. What the registry claims of it is not written to a file, and decides nothing.
pub(crate) fn content(candidate: &Candidate) -> (Digest, Format, &Bytes) {
    let Candidate { bytes, format, manifest, claimed_type: _ } = candidate;
    (*manifest, *format, bytes)
}

/// Some registries say of what may not be seen that it is not there.
fn is_refusal(error: &ProblemError) -> bool {
    matches!(error, ProblemError::Registry(error) if error.is_unauthorized() || error.is_not_found())
}

fn is_temporary(error: &ProblemError) -> bool {
    matches!(error, ProblemError::Registry(error) if error.is_temporary())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portcullis_attest::Format;
    use portcullis_registry::{Hosted, RegistryError};

    use super::*;

    const COMPLETE: &str = "";
    const REFUSED: &str = "401";
    const AWAY: &str = "429";
    const DAMAGED: &str = "broken";

    fn answer(name: &str, candidates: &[&str], problem: &str) -> Answer {
        let subject = Hosted { host: "registry.example".to_owned(), what: "referrers".to_owned() };
        let registry = |error| Some(ProblemError::Registry(Box::new(error)));
        let error = match problem {
            REFUSED => registry(RegistryError::Unauthorized {
                subject,
                status: 401,
                detail: String::new(),
                with_credentials: true,
            }),
            AWAY => registry(RegistryError::Throttled { subject, retry_after: None }),
            DAMAGED => Some(ProblemError::Manifest("no JSON".to_owned())),
            _ => None,
        };
        let candidates = candidates.iter().map(|content| Candidate {
            bytes: Bytes::copy_from_slice(content.as_bytes()),
            format: Format::Bundle,
            manifest: Digest::of(content.as_bytes()),
            claimed_type: None,
        });
        let problems = error.into_iter().map(|error| Problem { what: name.to_owned(), error });
        let found = Discovery { candidates: candidates.collect(), problems: problems.collect() };
        Answer { name: (name != "own").then(|| Digest::of(name.as_bytes())), began: 0, found: Arc::new(found) }
    }

    /// How many candidates, whose problems count, who is away, and whom a pass is kept for.
    fn check(named: &[Answer], own: &Answer, expected: (usize, &str, &[&str], &str)) {
        let found = Found::of(named, own);
        let name = |way: &WayName| match way {
            None => "own",
            Some(digest) => ["a", "b"].into_iter().find(|name| Digest::of(name.as_bytes()) == *digest).unwrap(),
        };
        let problem = found.problems().first().map_or("none", |problem| problem.what.as_str());
        let away: Vec<&str> = found.away.iter().map(name).collect();
        let kept_for = found.kept_for.as_ref().map_or("none", name);
        assert_eq!((found.candidates.len(), problem, away.as_slice(), kept_for), expected);
    }

    #[test]
    fn what_the_own_way_saw_counts_whatever_became_of_the_others() {
        let own = answer("own", &["failed"], COMPLETE);
        for problem in [REFUSED, AWAY, DAMAGED] {
            check(&[answer("a", &[], problem)], &own, (1, "none", &[], "own"));
        }
        check(&[answer("a", &["failed"], COMPLETE)], &own, (1, "none", &[], "own"));
        check(&[answer("a", &["more"], COMPLETE)], &own, (2, "none", &[], "a"));
        check(&[], &answer("own", &[], COMPLETE), (0, "none", &[], "own"));
        check(&[answer("a", &[], AWAY)], &answer("own", &[], COMPLETE), (0, "none", &[], "own"));
    }

    #[test]
    fn what_only_one_credential_opened_is_kept_for_it() {
        let own = answer("own", &[], REFUSED);
        check(&[answer("a", &["x"], COMPLETE)], &own, (1, "none", &[], "a"));
        check(&[answer("a", &[], REFUSED), answer("b", &["x"], COMPLETE)], &own, (1, "none", &[], "b"));
        // Two that see different things: nobody who shows one of them alone has seen both.
        check(&[answer("a", &["x"], COMPLETE), answer("b", &["y"], COMPLETE)], &own, (2, "none", &[], "none"));
    }

    #[test]
    fn an_outage_is_one_where_nobody_saw_anything() {
        let away = answer("own", &[], AWAY);
        check(&[], &away, (0, "own", &["own"], "none"));
        check(&[answer("a", &[], AWAY)], &away, (0, "own", &["a", "own"], "none"));
        check(&[answer("a", &[], REFUSED)], &away, (0, "own", &["own"], "none"));
        check(&[answer("a", &[], DAMAGED)], &away, (0, "own", &[], "none"));
        check(&[answer("a", &[], COMPLETE)], &away, (0, "own", &["own"], "a"));
        check(&[answer("a", &["x"], COMPLETE)], &away, (1, "none", &[], "a"));
        let refused = answer("own", &[], REFUSED);
        check(&[], &refused, (0, "own", &[], "none"));
        check(&[answer("a", &[], AWAY)], &refused, (0, "a", &["a"], "none"));
        check(&[answer("a", &[], REFUSED)], &refused, (0, "a", &[], "none"));
        check(&[answer("a", &[], COMPLETE), answer("b", &[], AWAY)], &refused, (0, "b", &["b"], "a"));
        check(&[answer("a", &[], COMPLETE)], &refused, (0, "none", &[], "a"));
        check(&[], &answer("own", &["x"], DAMAGED), (1, "own", &[], "none"));
    }
}
