//! What was decided, and how it is told: to whoever was refused, in warnings, and in the audit log.

use std::collections::BTreeMap;

use portcullis_errors::printable;
use portcullis_model::{Digest, Outcome};
use portcullis_policy::Judgement;
use portcullis_registry::Reference;
use serde::Serialize;

use crate::Workload;

/// Annotations for the audit log.
pub type Annotations = BTreeMap<String, String>;

/// `kubectl` shows warnings up to this length.
const MAX_WARNING: usize = 120;
const MAX_WARNINGS: usize = 16;
const MAX_LINES_PER_IMAGE: usize = 3;
const MAX_MESSAGE: usize = 8000;
const MAX_ANNOTATION: usize = 2000;

/// One policy's answer about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// The policy's name; `portcullis` where no policy is behind it.
    pub policy: String,
    /// The policy's digest.
    pub policy_digest: Option<Digest>,
    /// Whether it only warns.
    pub audit: bool,
    /// Its answer.
    pub judgement: Judgement,
    /// What to do, where the answer is no pass.
    pub fix: Option<String>,
}

impl PolicyAnswer {
    /// Whether it lets the image in.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.audit || self.judgement.result == Outcome::Pass
    }

    /// The answer in one line without its policy and image.
    fn because(&self) -> String {
        let worst = self.judgement.reasons.iter().filter(|reason| reason.result == self.judgement.result);
        let messages: Vec<String> = worst.take(3).map(|reason| printable(&reason.message, 400)).collect();
        messages.join("; ")
    }
}

/// What was decided about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDecision {
    /// The image, as it is written.
    pub image: String,
    /// Its canonical name, held to the digest that was judged where one is known.
    pub reference: Option<Reference>,
    /// The digest that was judged.
    pub digest: Option<Digest>,
    /// The answers of all policies that speak of it; none where none does and that is allowed.
    pub answers: Vec<PolicyAnswer>,
}

impl ImageDecision {
    /// Whether every policy that enforces is met.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.answers.iter().all(PolicyAnswer::admits)
    }

    /// Whether a policy that enforces speaks of it.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.answers.iter().any(|answer| !answer.audit)
    }

    /// The worst answer, whether it is enforced or not.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.answers.iter().map(|answer| answer.judgement.result).fold(Outcome::Pass, Outcome::and)
    }

    /// The image for people: its canonical name by digest, else what was written.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.reference, self.digest) {
            (Some(reference), Some(digest)) => reference.with_digest(digest).to_string(),
            (Some(reference), None) => reference.to_string(),
            (None, _) => printable(&self.image, 200),
        }
    }

    /// `[policy] image@digest: reason; fix: command` for each answer that stands against it, three at most.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let against: Vec<_> = self.answers.iter().filter(|answer| !answer.admits()).collect();
        let mut lines: Vec<String> = against.iter().take(MAX_LINES_PER_IMAGE).map(|answer| self.line(answer)).collect();
        if let Some(last) = lines.last_mut().filter(|_| against.len() > MAX_LINES_PER_IMAGE) {
            last.push_str(&format!(" (and {} more policies)", against.len() - MAX_LINES_PER_IMAGE));
        }
        lines
    }

    fn line(&self, answer: &PolicyAnswer) -> String {
        let fix = answer.fix.as_ref().map_or_else(String::new, |fix| format!("; fix: {fix}"));
        format!("[{}] {}: {}{fix}", printable(&answer.policy, 100), self.name(), answer.because())
    }

    /// The same as a warning: what matters first, since it is cut.
    fn warning(&self, answer: &PolicyAnswer) -> String {
        let name = self.reference.as_ref().map_or_else(
            || printable(&self.image, 60),
            |reference| reference.repository().rsplit('/').next().unwrap_or_default().to_owned(),
        );
        let text = format!("[{}] {name}: {}", printable(&answer.policy, 40), answer.because());
        cut(&text, MAX_WARNING)
    }
}

/// One image to be held to its digest: a `replace` of a JSON Patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Always `replace`.
    pub op: &'static str,
    /// The field, as a JSON pointer.
    pub path: String,
    /// The image by digest.
    pub value: String,
}

/// What was decided about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be stored.
    pub allowed: bool,
    /// Fields that are to name a digest, where the object is a Pod that may run.
    pub pins: Vec<Pin>,
    /// What stands against it; none where nothing does.
    pub message: Option<String>,
    /// What does not count and ought to be known, each of at most 120 characters.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub audit_annotations: Annotations,
    /// The images that were looked at.
    pub images: Vec<ImageDecision>,
}

impl Decision {
    /// An object that is let in without looking at an image.
    pub(crate) fn untouched(why: &str) -> Self {
        Self {
            allowed: true,
            pins: Vec::new(),
            message: None,
            warnings: Vec::new(),
            audit_annotations: Annotations::from([("decision".to_owned(), format!("allow: {why}"))]),
            images: Vec::new(),
        }
    }

    /// The decision that follows from those about its images.
    pub(crate) fn of(images: Vec<ImageDecision>, pins: Vec<Pin>, workload: Workload, enforce_workloads: bool) -> Self {
        let is_enforced = workload == Workload::Pod || enforce_workloads;
        let lines: Vec<String> = images.iter().flat_map(ImageDecision::lines).collect();
        let allowed = lines.is_empty() || !is_enforced;
        let against = images.iter().flat_map(|image| image.answers.iter().map(move |answer| (image, answer)));
        let told = against.filter(|(_, answer)| {
            answer.judgement.result != Outcome::Pass && (answer.audit || (!is_enforced && !answer.admits()))
        });
        let mut warnings: Vec<String> = told.map(|(image, answer)| image.warning(answer)).collect();
        warnings.dedup();
        warnings.truncate(MAX_WARNINGS);
        let word = match (allowed, warnings.is_empty()) {
            (false, _) => "deny",
            (true, true) => "allow",
            (true, false) => "allow: with warnings",
        };
        let mut audit_annotations = Annotations::from([("decision".to_owned(), word.to_owned())]);
        audit_annotations.insert("images".to_owned(), cut(&annotation(&images), MAX_ANNOTATION));
        let message = (!allowed).then(|| cut(&lines.join("\n"), MAX_MESSAGE));
        let pins = if allowed { pins } else { Vec::new() };
        Self { allowed, pins, message, warnings, audit_annotations, images }
    }
}

/// `image@digest pass [baseline: pass]` for each image.
fn annotation(images: &[ImageDecision]) -> String {
    let shown: Vec<String> = images
        .iter()
        .map(|image| {
            let answers: Vec<String> = image
                .answers
                .iter()
                .map(|answer| {
                    let mode = if answer.audit { " (audit)" } else { "" };
                    format!("{}: {}{mode}", printable(&answer.policy, 60), answer.judgement.result)
                })
                .collect();
            format!("{} {} [{}]", image.name(), image.outcome(), answers.join(", "))
        })
        .collect();
    shown.join("; ")
}

/// At most so many characters, with a sign where something is left out.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}
