//! What was decided, and how it is told: to whoever was refused, in warnings, and in the audit log.

use std::collections::BTreeMap;

use portcullis_errors::printable;
use portcullis_model::{Digest, Outcome, Timestamp};
use portcullis_policy::{Exemption, ExemptionSpec, Judgement};
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
    /// The exemption that lets it in all the same, where the answer is no pass.
    pub granted: Option<Granted>,
}

/// An exemption that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Its name.
    pub exemption: String,
    /// Who granted it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The first moment at which it no longer holds.
    pub expires: Timestamp,
    /// Whether it is an emergency's.
    pub break_glass: bool,
}

impl Granted {
    pub(crate) fn of(exemption: &Exemption) -> Self {
        let ExemptionSpec { reason, owner, expires, break_glass, .. } = exemption.spec.clone();
        Self { exemption: exemption.name.clone(), owner, reason, expires, break_glass }
    }

    fn shortly(&self) -> String {
        format!("exempt by {} until {}: ", printable(&self.exemption, 40), self.expires)
    }
}

impl PolicyAnswer {
    /// Whether it lets the image in.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.audit || self.judgement.result == Outcome::Pass || self.granted.is_some()
    }

    /// Whether it could refuse: it does not only warn, and nothing is granted against it.
    #[must_use]
    pub fn enforces(&self) -> bool {
        !self.audit && self.granted.is_none()
    }

    /// Why it does not refuse, where it is not met.
    fn mode(&self) -> String {
        match (&self.granted, self.audit) {
            (Some(granted), _) => format!(" (exempt by {})", printable(&granted.exemption, 60)),
            (None, true) => " (audit)".to_owned(),
            (None, false) => String::new(),
        }
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
        self.answers.iter().any(PolicyAnswer::enforces)
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
        let granted = answer.granted.as_ref().map_or_else(String::new, Granted::shortly);
        let text = format!("[{}] {name}: {granted}{}", printable(&answer.policy, 40), answer.because());
        cut(&text, MAX_WARNING)
    }
}

/// What rules about workloads say of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectDecision {
    /// The object for people: `Pod team/app`.
    pub name: String,
    /// The policies whose rules were asked.
    pub asked: Vec<String>,
    /// What stands against it: one answer for each rule that is not met.
    pub answers: Vec<PolicyAnswer>,
}

impl ObjectDecision {
    /// `[policy] object: reason; fix: what to do` for each answer that stands against it, three at most of a policy.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for policy in &self.asked {
            let against: Vec<_> =
                self.answers.iter().filter(|answer| answer.policy == *policy && !answer.admits()).collect();
            let shown = against.iter().take(MAX_LINES_PER_IMAGE).map(|answer| {
                let fix = answer.fix.as_ref().map_or_else(String::new, |fix| format!("; fix: {fix}"));
                format!("[{}] {}: {}{fix}", printable(&answer.policy, 100), self.name, answer.because())
            });
            lines.extend(shown);
            if let Some(last) = lines.last_mut().filter(|_| against.len() > MAX_LINES_PER_IMAGE) {
                last.push_str(&format!(" (and {} more of this policy)", against.len() - MAX_LINES_PER_IMAGE));
            }
        }
        lines
    }

    /// The same as a warning, which is cut.
    fn warning(answer: &PolicyAnswer) -> String {
        let granted = answer.granted.as_ref().map_or_else(String::new, Granted::shortly);
        cut(&format!("[{}] {granted}{}", printable(&answer.policy, 40), answer.because()), MAX_WARNING)
    }

    /// `baseline: pass; strict: fail podSecurity.privileged (audit)`.
    fn annotation(&self) -> String {
        let shown = self.asked.iter().map(|policy| {
            let answers: Vec<String> = self
                .answers
                .iter()
                .filter(|answer| answer.policy == *policy)
                .map(|answer| {
                    let rule = answer.judgement.reasons.first().map_or("", |reason| reason.rule.as_str());
                    let rule = rule.strip_prefix("workloads.").unwrap_or(rule);
                    format!("{} {rule}{}", answer.judgement.result, answer.mode())
                })
                .collect();
            let answers = if answers.is_empty() { "pass".to_owned() } else { answers.join(", ") };
            format!("{}: {answers}", printable(policy, 60))
        });
        shown.collect::<Vec<_>>().join("; ")
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
    /// What rules about workloads say.
    pub object: ObjectDecision,
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
            object: ObjectDecision::default(),
        }
    }

    /// The worst answer about its images and about itself, whether it is enforced or not; what is exempt passes.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let answers = self.images.iter().flat_map(|image| &image.answers).chain(&self.object.answers);
        let counting = answers.filter(|answer| answer.granted.is_none());
        counting.map(|answer| answer.judgement.result).fold(Outcome::Pass, Outcome::and)
    }

    /// The decision that follows from those about its images.
    pub(crate) fn of(
        images: Vec<ImageDecision>,
        object: ObjectDecision,
        pins: Vec<Pin>,
        workload: Workload,
        enforce_workloads: bool,
    ) -> Self {
        let is_enforced = workload == Workload::Pod || enforce_workloads;
        let mut lines: Vec<String> = images.iter().flat_map(ImageDecision::lines).collect();
        lines.extend(object.lines());
        let allowed = lines.is_empty() || !is_enforced;
        let is_told =
            |answer: &&PolicyAnswer| answer.judgement.result != Outcome::Pass && (!answer.enforces() || !is_enforced);
        let of_images = images.iter().flat_map(|image| {
            image.answers.iter().filter(is_told).map(move |answer| image.warning(answer)).collect::<Vec<_>>()
        });
        let of_object = object.answers.iter().filter(is_told).map(ObjectDecision::warning);
        let mut warnings: Vec<String> = of_images.chain(of_object).collect();
        warnings.dedup();
        warnings.truncate(MAX_WARNINGS);
        let word = match (allowed, warnings.is_empty()) {
            (false, _) => "deny",
            (true, true) => "allow",
            (true, false) => "allow: with warnings",
        };
        let mut audit_annotations = Annotations::from([("decision".to_owned(), word.to_owned())]);
        audit_annotations.insert("images".to_owned(), cut(&annotation(&images), MAX_ANNOTATION));
        if !object.asked.is_empty() {
            audit_annotations.insert("workload".to_owned(), cut(&object.annotation(), MAX_ANNOTATION));
        }
        let granted = granted(images.iter().flat_map(|image| &image.answers).chain(&object.answers));
        if !granted.is_empty() {
            audit_annotations.insert("exemptions".to_owned(), cut(&granted, MAX_ANNOTATION));
        }
        let message = (!allowed).then(|| cut(&lines.join("\n"), MAX_MESSAGE));
        let pins = if allowed { pins } else { Vec::new() };
        Self { allowed, pins, message, warnings, audit_annotations, images, object }
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
                    format!("{}: {}{}", printable(&answer.policy, 60), answer.judgement.result, answer.mode())
                })
                .collect();
            format!("{} {} [{}]", image.name(), image.outcome(), answers.join(", "))
        })
        .collect();
    shown.join("; ")
}

/// `name by owner until then: reason` for each exemption that was used.
fn granted<'a>(answers: impl Iterator<Item = &'a PolicyAnswer>) -> String {
    let used = answers.filter_map(|answer| answer.granted.as_ref());
    let mut shown: Vec<String> = used
        .map(|granted| {
            let Granted { exemption, owner, reason, expires, break_glass } = granted;
            let glass = if *break_glass { " (break-glass)" } else { "" };
            let [exemption, owner, reason] = [exemption, owner, reason].map(|text| printable(text, 200));
            format!("{exemption}{glass} by {owner} until {expires}: {reason}")
        })
        .collect();
    shown.sort();
    shown.dedup();
    shown.join("; ")
}

/// At most so many characters, with a sign where something is left out.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}
