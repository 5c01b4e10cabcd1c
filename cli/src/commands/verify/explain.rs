//! The chain behind an answer, for people: who said what of the image, when and with what, and why that suffices or not.

use std::collections::BTreeMap;

use portcullis_admission::{GateError, ImageDecision, PolicyAnswer, verifier_of};
use portcullis_attest::{
    Candidate, Discovery, Statement, SummaryResult, TrustRoot, VerificationSummary, Verified, Verifier,
    VulnerabilityScan, predicate_type,
};
use portcullis_errors::{chain, printable};
use portcullis_model::{Digest, SeverityLevel, Timestamp};
use portcullis_policy::Policy;
use portcullis_report::{escape_markdown, escape_markup};

use crate::args::Shape;

/// What is told.
pub(super) struct Explanation {
    image: String,
    pieces: Vec<Piece>,
    /// What could not be read.
    gaps: Vec<String>,
    answers: Vec<PolicyAnswer>,
}

/// One piece of evidence.
struct Piece {
    /// Of its bundle: what verdicts name it by.
    bundle: Digest,
    title: String,
    details: Vec<String>,
    /// The bundles that it rests on.
    rests_on: Vec<String>,
    /// By policy: who vouches, or why nobody does.
    vouching: Vec<(String, Result<String, String>)>,
}

impl Explanation {
    /// Puts together what was found and what was decided.
    ///
    /// # Errors
    /// When a policy's key or identity cannot be used.
    pub(super) fn new(
        decision: &ImageDecision,
        discovery: &Discovery,
        policies: &[Policy],
        root: Option<&TrustRoot>,
        now: Timestamp,
    ) -> Result<Self, GateError> {
        let mut verifiers = Vec::new();
        let decides = |policy: &&Policy| {
            decision.answers.iter().any(|answer| answer.policy_digest.as_ref() == Some(&policy.digest()))
        };
        for policy in policies.iter().filter(decides) {
            verifiers.push((policy.name.clone(), verifier_of(policy, root)?));
        }
        let digest = decision.digest.unwrap_or_else(|| Digest::of(b""));
        let pieces = discovery.candidates.iter().map(|candidate| piece(candidate, &digest, &verifiers, now));
        let mut pieces: Vec<Piece> = pieces.collect();
        // What vouches for something comes first, and of that what rests on the others.
        pieces.sort_by_key(|piece| (piece.details.is_empty(), piece.rests_on.is_empty(), piece.bundle));
        let gaps = discovery.problems.iter();
        Ok(Self {
            image: decision.reference.as_ref().map_or_else(|| decision.image.clone(), ToString::to_string),
            pieces,
            gaps: gaps.map(|problem| format!("{}: {}", problem.what, chain(&problem.error))).collect(),
            answers: decision.answers.clone(),
        })
    }

    /// In the shape that is asked for.
    pub(super) fn render(&self, shape: Shape) -> String {
        let lines = self.lines();
        match shape {
            Shape::Text => lines.iter().map(Line::text).collect(),
            Shape::Markdown => lines.iter().map(Line::markdown).collect(),
            Shape::Html => {
                let body: String = lines.iter().map(Line::html).collect();
                format!("{HEAD}{body}</body></html>\n")
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::title(&self.image), Line::heading("What is attested")];
        let numbers: BTreeMap<String, usize> =
            self.pieces.iter().enumerate().map(|(index, piece)| (piece.bundle.hex(), index + 1)).collect();
        for (index, piece) in self.pieces.iter().enumerate() {
            lines.push(Line::item(&format!("{}. {}", index + 1, piece.title)));
            piece.details.iter().for_each(|detail| lines.push(Line::detail(detail)));
            if !piece.rests_on.is_empty() {
                let named: Vec<String> = piece.rests_on.iter().map(|bundle| named(bundle, &numbers)).collect();
                lines.push(Line::detail(&format!("rests on {}", named.join(", "))));
            }
            for (policy, vouching) in &piece.vouching {
                lines.push(Line::detail(&match vouching {
                    Ok(by) => format!("policy {policy}: vouched for by {by}"),
                    Err(why) => format!("policy {policy}: proves nothing: {why}"),
                }));
            }
        }
        if self.pieces.is_empty() {
            lines.push(Line::item("nothing"));
        }
        if !self.gaps.is_empty() {
            lines.push(Line::heading("What could not be read, so that nobody knows what else there is"));
            self.gaps.iter().for_each(|gap| lines.push(Line::item(gap)));
        }
        lines.push(Line::heading("What follows"));
        for answer in &self.answers {
            let mode = if answer.audit { " (audit: it only warns)" } else { "" };
            lines.push(Line::item(&format!("{}: policy {}{mode}", answer.judgement.result, answer.policy)));
            for reason in &answer.judgement.reasons {
                lines.push(Line::detail(&format!("{} {}: {}", reason.result, reason.rule, reason.message)));
            }
            answer.fix.iter().for_each(|fix| lines.push(Line::detail(&format!("fix: {fix}"))));
        }
        lines
    }
}

fn named(bundle: &str, numbers: &BTreeMap<String, usize>) -> String {
    let short: String = bundle.chars().take(12).collect();
    numbers.get(bundle).map_or_else(|| format!("sha256:{short}…, which is not here"), |number| format!("no. {number}"))
}

fn piece(candidate: &Candidate, image: &Digest, verifiers: &[(String, Option<Verifier>)], now: Timestamp) -> Piece {
    let claimed = candidate.claimed_type.as_deref().unwrap_or("of a type that is not told");
    let mut piece = Piece {
        bundle: Digest::of(&candidate.bytes),
        title: format!("something that calls itself {claimed}"),
        details: Vec::new(),
        rests_on: Vec::new(),
        vouching: Vec::new(),
    };
    for (policy, verifier) in verifiers {
        let Some(verifier) = verifier else {
            piece.vouching.push((policy.clone(), Err("the policy trusts nobody".into())));
            continue;
        };
        let vouching = match verifier.verify(candidate, image, now) {
            Ok(statement) => {
                let time = statement.signed_at().map_or_else(String::new, |time| format!(", signed at {time}"));
                let by = format!("{}{time}", statement.authority());
                piece.tell(&statement);
                Ok(by)
            }
            Err(refusal) => Err(refusal.to_string()),
        };
        piece.vouching.push((policy.clone(), vouching));
    }
    piece
}

impl Piece {
    /// What a statement says that somebody trusted has signed.
    fn tell(&mut self, statement: &Verified<Statement>) {
        let kind = statement.predicate_type();
        self.title = format!("{} ({kind})", title(kind));
        self.details = vec![format!("bundle {}", self.bundle)];
        match kind {
            predicate_type::VERIFICATION_SUMMARY => {
                if let Ok(summary) = statement.clone().summary() {
                    self.tell_verdict(&summary);
                }
            }
            predicate_type::VULNERABILITIES => {
                if let Ok(scan) = statement.clone().vulnerability_scan() {
                    self.details.extend(tell_scan(&scan));
                }
            }
            _ => {}
        }
    }

    fn tell_verdict(&mut self, summary: &VerificationSummary) {
        let result = if summary.verification_result == SummaryResult::Passed { "PASSED" } else { "FAILED" };
        let version: Vec<&str> = summary.verifier.version.values().map(String::as_str).collect();
        let policy = summary.policy_digest().map_or_else(|| "without a digest".to_owned(), |digest| digest.to_string());
        self.details.extend([
            format!("{result} at {}", summary.time_verified),
            format!("of {}", summary.resource_uri),
            format!("by {} ({})", summary.verifier.id, version.join(", ")),
            format!("asked the policy {}, {policy}", summary.policy.uri),
        ]);
        let inputs = summary.input_attestations.iter();
        self.rests_on = inputs.filter_map(|input| input.digest.get("sha256").cloned()).collect();
    }
}

fn tell_scan(scan: &VulnerabilityScan) -> Vec<String> {
    let mut told = vec![
        format!("by {}", scan.scanner.uri),
        format!("with the advisories {} {}", scan.scanner.db.uri, scan.scanner.db.version),
    ];
    if let Some(time) = scan.metadata.scan_finished_on {
        told.push(format!("at {time}"));
    }
    if let Ok(report) = scan.report() {
        let counts = SeverityLevel::WORST_FIRST.iter().filter_map(|level| {
            let is_counted =
                |finding: &&portcullis_model::Finding| finding.suppressed.is_none() && finding.severity.level == *level;
            let count = report.findings.iter().filter(is_counted).count();
            (count > 0).then(|| format!("{count} {level}"))
        });
        let counts: Vec<String> = counts.collect();
        let gaps = report.inventory.warnings.iter();
        let gaps = gaps.filter(|warning| warning.kind == portcullis_model::WarningKind::Gap).count();
        told.push(format!("findings: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }));
        if gaps > 0 {
            told.push(format!("{gaps} things could not be read"));
        }
    }
    told
}

fn title(predicate_type: &str) -> &'static str {
    match predicate_type {
        predicate_type::VERIFICATION_SUMMARY => "the verdict",
        predicate_type::VULNERABILITIES | predicate_type::IN_TOTO_VULNERABILITIES => "the findings",
        predicate_type::CYCLONEDX | predicate_type::SPDX => "the inventory",
        predicate_type::OPENVEX => "what affects it and what not",
        predicate_type::EXECUTABLES => "what can be executed",
        _ => "a statement of another kind",
    }
}

/// A line of the explanation, whatever its shape.
struct Line {
    level: Level,
    text: String,
}

#[derive(Clone, Copy)]
enum Level {
    Title,
    Heading,
    Item,
    Detail,
}

impl Line {
    fn new(level: Level, text: &str) -> Self {
        // Much of it is the words of others.
        Self { level, text: printable(text, 600) }
    }

    fn title(text: &str) -> Self {
        Self::new(Level::Title, text)
    }

    fn heading(text: &str) -> Self {
        Self::new(Level::Heading, text)
    }

    fn item(text: &str) -> Self {
        Self::new(Level::Item, text)
    }

    fn detail(text: &str) -> Self {
        Self::new(Level::Detail, text)
    }

    fn text(&self) -> String {
        let Self { level, text } = self;
        match level {
            Level::Title => format!("{text}\n"),
            Level::Heading => format!("\n{text}\n"),
            Level::Item => format!("  {text}\n"),
            Level::Detail => format!("     {text}\n"),
        }
    }

    fn markdown(&self) -> String {
        let text = escape_markdown(&self.text);
        match self.level {
            Level::Title => format!("# {text}\n"),
            Level::Heading => format!("\n## {text}\n\n"),
            Level::Item => format!("- {text}\n"),
            Level::Detail => format!("  - {text}\n"),
        }
    }

    fn html(&self) -> String {
        let text = escape_markup(&self.text);
        match self.level {
            Level::Title => format!("<h1>{text}</h1>\n"),
            Level::Heading => format!("<h2>{text}</h2>\n"),
            Level::Item => format!("<h3>{text}</h3>\n"),
            Level::Detail => format!("<p>{text}</p>\n"),
        }
    }
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Evidence</title><style>\
:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem}h2{font-size:1.1rem;margin-top:2rem}h3{font-size:1rem;margin:1rem 0 0}h1,h3,p{overflow-wrap:anywhere}\
p{margin:0 0 0 1.5rem}</style></head><body>\n";
