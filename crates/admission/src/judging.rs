//! The decision about one image: which policies speak of it, what its registry gives, and what they say of that.

use std::sync::Arc;

use portcullis_attest::Candidate;
use portcullis_errors::{Hint as _, chain};
use portcullis_model::{Digest, Outcome, Timestamp};
use portcullis_policy::Judgement;
use portcullis_registry::{Reference, ReferenceError};
use tracing::Instrument as _;

use crate::{
    Gate, ImageDecision, PolicyAnswer, Unmatched,
    access::Ways,
    authorities::ReadyPolicy,
    decision::Granted,
    evidence::{alone, judged, verified},
    found::{Found, WayName},
    gate::{AnswerKey, KEEP, Rooms, Stage},
    memory::{Remembered, weight},
    set::{Asked, Place, uncertain},
    spans,
};

/// What a policy says of one digest.
pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    /// What to do about one that is no pass.
    pub(crate) fix: Option<String>,
    /// Whether nobody trusted has said anything of it.
    is_silent: bool,
    /// Where the registry is away: the judgement knows nothing of it then.
    away: Vec<WayName>,
    /// The way that has given all of it.
    kept_for: Option<WayName>,
    /// What was found, as it came.
    found: Arc<[Candidate]>,
    /// The number of the look that found it.
    began: u64,
}

impl Judged {
    fn of(judgement: Judgement, fix: Option<String>) -> Self {
        Self { judgement, fix, is_silent: false, away: Vec::new(), kept_for: None, found: Arc::default(), began: 0 }
    }
}

impl Gate {
    pub(crate) async fn decide_image(&self, image: &str, place: &Place, stage: Stage) -> ImageDecision {
        let span = spans::image();
        let decision = self.decided_image(image, place, stage).instrument(span.clone()).await;
        spans::decided(&span, &decision);
        decision
    }

    async fn decided_image(&self, image: &str, place: &Place, stage: Stage) -> ImageDecision {
        let now = self.now();
        let reference: Reference = match image.parse() {
            Ok(reference) => reference,
            Err(error) => {
                let answers = vec![self.nameless(image, &error, place, now)];
                return ImageDecision { image: image.to_owned(), reference: None, digest: None, answers };
            }
        };
        let name = reference.name();
        let asked = self.set.asked(&name, place, now);
        let mut answers = self.set.of_broken(place, Some(&name), now);
        let (digest, judged) = match asked.is_empty() {
            true => (reference.digest(), Vec::new()),
            false => self.asked_answers(&reference, &asked, place, stage).await,
        };
        answers.extend(judged);
        // What cannot be read, or may not even speak here, has not spoken of it.
        let is_spoken_of = asked.iter().any(|asked| asked.is_certain);
        let is_denied = !is_spoken_of && self.options.unmatched == Unmatched::Deny;
        if is_denied && answers.iter().all(PolicyAnswer::admits) {
            let exemption = self.set.exemption(place, Some(&name), None, now);
            answers.push(PolicyAnswer { granted: exemption.map(Granted::of), ..unmatched(&name) });
        }
        ImageDecision { image: image.to_owned(), reference: Some(reference), digest, answers }
    }

    /// The digest where it is known, and what those who speak of an image, or may, say of it.
    async fn asked_answers(
        &self,
        reference: &Reference,
        asked: &[Asked<'_>],
        place: &Place,
        stage: Stage,
    ) -> (Option<Digest>, Vec<PolicyAnswer>) {
        let is_enforced = asked.iter().any(|asked| !asked.ready.reference.audit && asked.exemption.is_none());
        if stage == Stage::Validate && is_enforced && reference.digest().is_none() {
            return (None, vec![unpinned()]);
        }
        if !self.may_ask(reference) {
            let message = format!("the registry {} is not one of those that may be asked", reference.registry());
            let judgement = alone(Outcome::Fail, "registry", message);
            let fix = Some("use an image of another registry, or name it with `--allow-registry`".to_owned());
            let answers = asked.iter().map(|asked| asked.answer(judgement.clone(), fix.clone()));
            return (reference.digest(), answers.collect());
        }
        let ways = self.ways(reference, &place.secrets);
        let answering = self.answers(reference, asked, place, &ways);
        let answered = match tokio::time::timeout(self.options.time_limit, answering).await {
            Ok(answered) => answered,
            Err(_elapsed) => (reference.digest(), self.without_answer(asked)),
        };
        spans::known(answered.0.is_some() && !ways.asked.is_set());
        answered
    }

    /// Whether anything is asked of an image's registry there.
    pub(crate) fn needs_registry(&self, image: &str, place: &Place) -> bool {
        let reference = image.parse::<Reference>().ok().filter(|reference| self.may_ask(reference));
        reference.is_some_and(|reference| !self.set.asked(&reference.name(), place, self.now()).is_empty())
    }

    /// Whether the registry of an image may be asked.
    fn may_ask(&self, reference: &Reference) -> bool {
        let allowed = &self.options.allowed_registries;
        allowed.is_empty() || allowed.iter().any(|pattern| pattern.matches(reference.registry()))
    }

    /// What is answered where there was no time for a complete answer. Each way to ask has a limit of its own, so that a
    /// registry which is away is told as that: nothing is known of it here, and what it gave before does not count.
    fn without_answer(&self, asked: &[Asked<'_>]) -> Vec<PolicyAnswer> {
        let limit = self.options.time_limit.as_secs_f32();
        let message = format!("the registry gave no complete answer within {limit} s");
        let fix = "try again; if it lasts, look at the registry".to_owned();
        let unknown = alone(Outcome::Unknown, "registry", message);
        asked.iter().map(|asked| asked.answer(unknown.clone(), Some(fix.clone()))).collect()
    }

    /// The digest, and the answers of `asked` about it.
    async fn answers(
        &self,
        reference: &Reference,
        asked: &[Asked<'_>],
        place: &Place,
        ways: &Ways,
    ) -> (Option<Digest>, Vec<PolicyAnswer>) {
        let digest = match self.resolve(reference, ways).await {
            Ok(digest) => digest,
            Err(error) => {
                let result = if error.is_not_found() { Outcome::Fail } else { Outcome::Unknown };
                let secrets = ways.problems.iter().fold(String::new(), |text, problem| text + "; " + problem);
                let judgement = alone(result, "registry", chain(error.as_ref()) + &secrets);
                let answers = asked.iter().map(|asked| asked.answer(judgement.clone(), error.hint()));
                return (None, answers.collect());
            }
        };
        let image = reference.with_digest(digest);
        let answers = asked.iter().map(|asked| self.answer(asked, &image, digest, place, ways));
        (Some(digest), futures_util::future::join_all(answers).await)
    }

    async fn answer(
        &self,
        asked: &Asked<'_>,
        image: &Reference,
        digest: Digest,
        place: &Place,
        ways: &Ways,
    ) -> PolicyAnswer {
        if !asked.is_certain {
            let fix = "start the webhook with `--policies-from-cluster`, or try again in a moment".to_owned();
            return asked.answer(uncertain(place), Some(fix));
        }
        let (judgement, fix) = self.judgement(asked.ready, image, digest, ways).await;
        asked.answer(judgement, fix)
    }

    /// What a policy says of an image, or of all images of an index.
    async fn judgement(
        &self,
        ready: &ReadyPolicy,
        image: &Reference,
        digest: Digest,
        ways: &Ways,
    ) -> (Judgement, Option<String>) {
        let (Rooms { indexes, silent, .. }, now) = (self.work.rooms(ready), self.now());
        let key = |way: WayName| self.answer_key(ready, digest, image, way);
        // As long as evidence is kept that was enough, so is that there was none about the index itself.
        if ways.iter().any(|way| silent.get(&key(way.name)).is_some())
            && let Some((judgement, fix)) = self.by_platforms(ready, image, digest, ways).await
            && judgement.result == Outcome::Pass
        {
            return (judgement, fix);
        }
        let judged = self.judgement_of(ready, digest, image, ways).await;
        let Judged { judgement, fix, is_silent, away, kept_for, found, began } = judged;
        if is_silent && let Some((judgement, fix)) = self.by_platforms(ready, image, digest, ways).await {
            // Looking at its images takes time, in which somebody else may have seen more.
            let (looks, ordered) = (&self.work.looks, self.work.looks.ordered());
            if judgement.result == Outcome::Pass
                && let Some(way) = kept_for
                && looks.is_last(&(image.name(), digest), began, &ordered)
            {
                let weight = weight(&found);
                indexes.keep(key(way), Remembered::of(found, now), self.options.evidence_lifetime, weight);
                silent.keep(key(way), (), KEEP, 1);
            }
            return (judgement, fix);
        }
        // An index of which nobody said anything, as this very policy knows, is what its images are.
        let was_silent = |old: Remembered| old.is_silent(ready, &digest, now);
        if away.iter().any(|way| indexes.get(&key(*way)).is_some_and(was_silent))
            && let Some((judgement, fix)) = self.by_platforms(ready, image, digest, ways).await
            && judgement.result == Outcome::Pass
        {
            return (judgement, fix);
        }
        (judgement, fix)
    }

    fn answer_key(&self, ready: &ReadyPolicy, digest: Digest, image: &Reference, way: WayName) -> AnswerKey {
        (((image.name(), digest), way), ready.reference.digest, ready.authorities)
    }

    /// What a policy says of what has this very digest.
    pub(crate) async fn judgement_of(
        &self,
        ready: &ReadyPolicy,
        digest: Digest,
        image: &Reference,
        ways: &Ways,
    ) -> Judged {
        let image = &image.with_digest(digest);
        let Some(verifier) = &ready.verifier else {
            let message = "the policy trusts nobody, so that nothing can be known of an image";
            let fix = "name who may vouch for it in `spec.evidence.authorities`".to_owned();
            return Judged::of(alone(Outcome::Unknown, "evidence.authorities", message.to_owned()), Some(fix));
        };
        let now = self.now();
        let key = |way: WayName| self.answer_key(ready, digest, image, way);
        let rooms = self.work.rooms(ready);
        for evidence in ways.iter().filter_map(|way| rooms.passed.get(&key(way.name))) {
            let (judgement, fix) = judged(ready, image, &evidence, now);
            if judgement.result == Outcome::Pass {
                return Judged::of(judgement, fix);
            }
            // There may be newer evidence.
        }
        let found = self.discover(image, digest, ways).await;
        let evidence = verified(&found.candidates, found.problems(), verifier, &digest, now);
        let is_silent = evidence.is_silent();
        let (judgement, fix) = judged(ready, image, &evidence, now);
        let ordered = self.work.looks.ordered();
        let is_newest = found.has_seen() && self.work.looks.end((image.name(), digest), found.began, &ordered);
        self.renew(image, digest, &found, is_newest);
        let is_of_it =
            |((of, _), _, trusted): &AnswerKey| *trusted == ready.authorities && of.1 == digest && of.0 == image.name();
        if evidence.is_spoken() {
            self.work.all_rooms().iter().for_each(|rooms| rooms.silent.forget(is_of_it));
        }
        if judgement.result == Outcome::Fail {
            // What another way had seen of it before is older.
            rooms.passed.forget(|key| is_of_it(key) && key.1 == ready.reference.digest);
        }
        let kept_for = found.kept_for.filter(|_| is_newest);
        if let Some(way) = kept_for.filter(|_| judgement.result == Outcome::Pass) {
            rooms.passed.keep(key(way), Arc::new(evidence), KEEP, weight(&found.candidates));
            self.remember(ready, image, digest, way, Arc::clone(&found.candidates));
        }
        drop(ordered);
        if judgement.result == Outcome::Unknown
            && let Some(judgement) = self.by_memory(ready, image, digest, &found.away)
        {
            return Judged::of(judgement, None);
        }
        let Found { candidates, away, began, .. } = found;
        Judged { judgement, fix, is_silent, away, kept_for, found: candidates, began }
    }

    /// Nobody can tell which policies speak of what names no image; so it is enforced if any policy is.
    fn nameless(&self, image: &str, error: &ReferenceError, place: &Place, now: Timestamp) -> PolicyAnswer {
        let (message, fix) = if image.is_empty() {
            ("no image is named".to_owned(), Some("name an image".to_owned()))
        } else {
            (error.to_string(), error.hint())
        };
        let audit = self.set.is_audit() && self.options.unmatched == Unmatched::Allow;
        let granted = self.set.exemption(place, None, None, now).map(Granted::of);
        PolicyAnswer { audit, fix, granted, ..own(alone(Outcome::Fail, "image", message)) }
    }
}

impl Asked<'_> {
    /// The policy's answer. An exemption counts where it is no pass.
    fn answer(&self, judgement: Judgement, fix: Option<String>) -> PolicyAnswer {
        let reference = &self.ready.reference;
        let granted = self.exemption.filter(|_| judgement.result != Outcome::Pass).map(Granted::of);
        PolicyAnswer {
            policy: reference.name.clone(),
            policy_digest: Some(reference.digest),
            audit: reference.audit,
            judgement,
            fix,
            granted,
        }
    }
}

/// An answer of the gate itself.
fn own(judgement: Judgement) -> PolicyAnswer {
    PolicyAnswer {
        policy: "portcullis".to_owned(),
        policy_digest: None,
        audit: false,
        judgement,
        fix: None,
        granted: None,
    }
}

fn unmatched(name: &str) -> PolicyAnswer {
    let judgement = alone(Outcome::Fail, "images", "no policy speaks of this image".to_owned());
    PolicyAnswer { fix: Some(format!("name `{name}` in `spec.images` of a policy")), ..own(judgement) }
}

fn unpinned() -> PolicyAnswer {
    let message = "it is named by a tag, which can move, and not by a digest".to_owned();
    let fix = "name it by digest, or let Portcullis' mutating webhook do so".to_owned();
    PolicyAnswer { fix: Some(fix), ..own(alone(Outcome::Fail, "image", message)) }
}
