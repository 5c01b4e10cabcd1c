//! What a decision about a running Pod says, as the results of a Report.
//!
//! The words are those of `ReportResult` in
//! <https://github.com/openreports/reports-api/blob/v0.2.1/apis/openreports.io/v1alpha1/report_types.go>.

use std::collections::BTreeSet;

use portcullis_admission::{Decision, Granted, ImageDecision, ObjectDecision, ObjectError, PolicyAnswer};
use portcullis_errors::printable;
use portcullis_model::{Outcome, Reason};
use serde_json::{Value, json};

/// Results of one Report. Of more than these, the best are left out.
pub(super) const MAX_RESULTS: usize = 50;
/// Characters of a message.
const MAX_MESSAGE: usize = 800;
/// Characters of a name: of a policy, a rule, an image.
const MAX_NAME: usize = 300;
/// Reasons that are told of a pass.
const MAX_NOTES: usize = 3;
/// In whose name the gate itself answers.
const GATE: &str = "portcullis";

/// What became of a rule, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// It is not met, and the Pod would be refused.
    Fail,
    /// It is not known whether it is met.
    Error,
    /// It is not met, and only told of.
    Warn,
    /// It was not asked, or an exemption holds.
    Skip,
    /// It is met.
    Pass,
}

impl Word {
    pub(super) const ALL: [Self; 5] = [Self::Fail, Self::Error, Self::Warn, Self::Skip, Self::Pass];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Pass => "pass",
        }
    }
}

/// One result. The order is that of the Report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) word: Word,
    policy: String,
    policy_digest: Option<String>,
    rule: Option<String>,
    /// The image that it is about; none where it is about the object.
    image: Option<String>,
    /// Whether it could refuse.
    is_scored: bool,
    exemption: Option<String>,
    message: String,
}

impl Found {
    /// As it stands in a Report, found at a moment.
    pub(super) fn document(&self, seconds: i64) -> Value {
        let Self { word, policy, policy_digest, rule, image, is_scored, exemption, message } = self;
        let properties = [("image", image), ("policyDigest", policy_digest), ("exemption", exemption)];
        let properties =
            properties.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        let mut document = json!({
            "source": GATE, "policy": policy, "result": word.as_str(), "scored": is_scored, "message": message,
            "severity": self.severity(), "category": if image.is_some() { "images" } else { "workloads" },
            "timestamp": {"seconds": seconds, "nanos": 0},
            "properties": properties.collect::<serde_json::Map<_, _>>(),
        });
        if let Some(rule) = rule {
            document["rule"] = rule.as_str().into();
        }
        document
    }

    /// How bad what was found is, whether it is enforced or not.
    fn severity(&self) -> &'static str {
        match self.word {
            Word::Fail | Word::Warn if self.rule.as_deref() == Some("vulnerabilities.kev") => "critical",
            Word::Fail | Word::Warn => "high",
            Word::Error => "medium",
            Word::Skip | Word::Pass => "info",
        }
    }

    fn of_reason(answer: &PolicyAnswer, image: Option<&str>, reason: &Reason) -> Self {
        let PolicyAnswer { policy, policy_digest, audit, judgement: _, fix, granted } = answer;
        let word = match (granted, reason.result, audit) {
            (_, Outcome::Pass, _) => Word::Pass,
            (Some(_), ..) => Word::Skip,
            (None, Outcome::Unknown, _) => Word::Error,
            (None, Outcome::Fail, true) => Word::Warn,
            (None, Outcome::Fail, false) => Word::Fail,
        };
        let fix = fix.as_ref().map_or_else(String::new, |fix| format!("; fix: {fix}"));
        let exempt = granted.as_ref().map_or_else(String::new, |Granted { exemption, expires, reason, .. }| {
            format!("exempt by {exemption} until {expires}: {reason}; ")
        });
        Self {
            word,
            policy: printable(policy, MAX_NAME),
            policy_digest: policy_digest.map(|digest| digest.to_string()),
            rule: Some(printable(&reason.rule, MAX_NAME)),
            image: image.map(|image| printable(image, MAX_NAME)),
            is_scored: !audit,
            exemption: granted.as_ref().map(|granted| printable(&granted.exemption, MAX_NAME)),
            message: printable(&format!("{exempt}{}{fix}", reason.message), MAX_MESSAGE),
        }
    }

    fn of_pass(answer: &PolicyAnswer, image: Option<&str>) -> Self {
        let notes: Vec<String> =
            answer.judgement.reasons.iter().take(MAX_NOTES).map(|one| one.message.clone()).collect();
        let reason = Reason { result: Outcome::Pass, rule: String::new(), message: notes.join("; ") };
        Self { rule: None, ..Self::of_reason(answer, image, &reason) }
    }

    /// What the gate itself has to say.
    fn of_gate(word: Word, rule: &str, image: Option<&str>, message: &str) -> Self {
        Self {
            word,
            policy: GATE.to_owned(),
            policy_digest: None,
            rule: Some(rule.to_owned()),
            image: image.map(|image| printable(image, MAX_NAME)),
            is_scored: word == Word::Error,
            exemption: None,
            message: printable(message, MAX_MESSAGE),
        }
    }

    /// That there is more than a Report holds.
    pub(super) fn of_more() -> Self {
        let message = format!("there are more than {MAX_RESULTS} results: the best are left out");
        Self::of_gate(Word::Skip, "results", None, &message)
    }
}

/// The results of one Report, the worst first, and no more than it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) found: BTreeSet<Found>,
    /// Whether some are left out.
    pub(super) is_cut: bool,
}

impl Results {
    /// What was found of one Pod.
    pub(super) fn of(looked: &Result<Decision, ObjectError>) -> Self {
        let mut results = Self::default();
        match looked {
            Err(error) => results.add(Found::of_gate(Word::Error, "images", None, &error.to_string())),
            Ok(Decision { images, object, .. }) => {
                images.iter().for_each(|image| results.add_image(image));
                results.add_object(object);
            }
        }
        results
    }

    fn add_image(&mut self, image: &ImageDecision) {
        let name = image.name();
        if image.answers.is_empty() {
            let message = "no policy speaks of this image, and such images are let in";
            self.add(Found::of_gate(Word::Skip, "images", Some(&name), message));
        }
        image.answers.iter().for_each(|answer| self.add_answer(answer, Some(&name)));
    }

    fn add_object(&mut self, object: &ObjectDecision) {
        object.answers.iter().for_each(|answer| self.add_answer(answer, None));
        for policy in &object.asked {
            if object.answers.iter().all(|answer| answer.policy != *policy) {
                let found = Found::of_gate(Word::Pass, "workloads", None, "its rules about workloads are met");
                self.add(Found { policy: printable(policy, MAX_NAME), ..found });
            }
        }
    }

    fn add_answer(&mut self, answer: &PolicyAnswer, image: Option<&str>) {
        if answer.judgement.result == Outcome::Pass {
            return self.add(Found::of_pass(answer, image));
        }
        let against = answer.judgement.reasons.iter().filter(|reason| reason.result != Outcome::Pass);
        against.for_each(|reason| self.add(Found::of_reason(answer, image, reason)));
    }

    fn add(&mut self, found: Found) {
        self.found.insert(found);
        if self.found.len() > MAX_RESULTS {
            self.found.pop_last();
            self.is_cut = true;
        }
    }

    /// What another Pod of the same owner says is said of the owner, too.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { found, is_cut } = other;
        self.is_cut |= is_cut;
        found.into_iter().for_each(|found| self.add(found));
    }

    /// Whether nothing stands against it.
    pub(super) fn is_clean(&self) -> bool {
        self.found.first().is_none_or(|found| found.word >= Word::Skip)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use portcullis_model::Timestamp;
    use portcullis_policy::Judgement;

    use super::*;

    pub(in crate::cluster::reports) fn answer(
        policy: &str,
        audit: bool,
        reasons: &[(Outcome, &str, &str)],
    ) -> PolicyAnswer {
        let reason = |(result, rule, message): &(Outcome, &str, &str)| Reason {
            result: *result,
            rule: (*rule).to_owned(),
            message: (*message).to_owned(),
        };
        let reasons: Vec<Reason> = reasons.iter().map(reason).collect();
        let result = reasons.iter().map(|reason| reason.result).fold(Outcome::Pass, Outcome::and);
        let judgement = Judgement { result, reasons };
        PolicyAnswer { policy: policy.to_owned(), policy_digest: None, audit, judgement, fix: None, granted: None }
    }

    pub(in crate::cluster::reports) fn of_image(answers: Vec<PolicyAnswer>) -> Results {
        let image = ImageDecision { image: "registry.example/app".to_owned(), reference: None, digest: None, answers };
        let mut results = Results::default();
        results.add_image(&image);
        results
    }

    fn words(results: &Results) -> Vec<(&'static str, &str, bool)> {
        results.found.iter().map(|found| (found.word.as_str(), found.policy.as_str(), found.is_scored)).collect()
    }

    #[test]
    fn the_worst_comes_first_and_what_only_warns_is_not_scored() {
        let granted = Granted {
            exemption: "for-now".to_owned(),
            owner: "ops".to_owned(),
            reason: "a test".to_owned(),
            expires: Timestamp::from_unix(1_900_000_000),
            break_glass: false,
        };
        let fails = [(Outcome::Fail, "vulnerabilities.kev", "bad"), (Outcome::Pass, "evidence", "a note")];
        let results = of_image(vec![
            answer("good", false, &[(Outcome::Pass, "evidence", "PASSED")]),
            PolicyAnswer { granted: Some(granted), ..answer("exempt", false, &fails) },
            answer("audit", true, &fails),
            answer("strict", false, &fails),
            answer("unknown", true, &[(Outcome::Unknown, "registry", "away")]),
        ]);
        let expected = [
            ("fail", "strict", true),
            ("error", "unknown", false),
            ("warn", "audit", false),
            ("skip", "exempt", true),
            ("pass", "good", true),
        ];
        assert_eq!(words(&results), expected);
        let documents: Vec<Value> = results.found.iter().map(|found| found.document(7)).collect();
        assert_eq!((&documents[0]["severity"], &documents[2]["severity"]), (&json!("critical"), &json!("critical")));
        assert_eq!(documents[3]["properties"]["exemption"], "for-now");
        assert!(documents[3]["message"].as_str().unwrap().starts_with("exempt by for-now until 2030-"));
        assert!(documents[4].get("rule").is_none() && documents[4]["message"] == "PASSED", "{}", documents[4]);
        assert!(!results.is_clean());
    }

    #[test]
    fn an_image_that_nobody_speaks_of_is_skipped_and_one_that_cannot_be_told_is_an_error() {
        assert_eq!(words(&of_image(Vec::new())), [("skip", "portcullis", false)]);
        assert!(of_image(Vec::new()).is_clean());
        let looked = Err(ObjectError::TooMany);
        assert_eq!(words(&Results::of(&looked)), [("error", "portcullis", true)]);
    }

    #[test]
    fn what_is_left_out_is_the_best_and_messages_have_an_end() {
        let long = "\u{1F6A8}".repeat(5000);
        let names: Vec<String> = (0..200).map(|index| format!("p{index:03}")).collect();
        let mut results = Results::default();
        for name in &names {
            let (result, message) = if name == "p150" { (Outcome::Fail, long.as_str()) } else { (Outcome::Pass, "") };
            results.merge(of_image(vec![answer(name, false, &[(result, "rule", message)])]));
        }
        assert!(results.is_cut && results.found.len() == MAX_RESULTS);
        let first = results.found.first().unwrap();
        assert_eq!((first.word, first.policy.as_str()), (Word::Fail, "p150"));
        assert_eq!(first.message.chars().count(), MAX_MESSAGE + 1);
    }
}
