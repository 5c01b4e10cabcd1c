//! What holds of every policy and every image.

use portcullis_model::{Digest, ExploitPrediction, Finding, Inputs, Outcome, Timestamp, Warning};
use portcullis_policy::{ExitStatus, Policy, UnknownAction};
use proptest::prelude::*;

use crate::support::{Image, finding, now, policy};

#[test]
fn exit_codes_follow_the_verdict() {
    for (spec, findings, warnings, status) in [
        ("vulnerabilities: {failOn: high}", &[][..], vec![], ExitStatus::Pass),
        ("vulnerabilities: {failOn: high}", &["CVE-1 high fixed"][..], vec![], ExitStatus::Deny),
        ("vulnerabilities: {failOn: high}, mode: audit", &["CVE-1 high fixed"][..], vec![], ExitStatus::Audit),
        ("vulnerabilities: {failOn: high}", &[][..], vec![Warning::gap("a", "b")], ExitStatus::Incomplete),
        ("vulnerabilities: {failOn: high}, mode: audit", &[][..], vec![Warning::gap("a", "b")], ExitStatus::Incomplete),
        ("vulnerabilities: {failOn: high}", &["CVE-1 high fixed"][..], vec![Warning::gap("a", "b")], ExitStatus::Deny),
    ] {
        let mut image = Image::with(findings);
        image.warnings = warnings;
        let policy = policy(spec);
        let digest = Digest::of(b"");
        let inputs = Inputs {
            image: None,
            inventory: digest,
            database: digest,
            policy: policy.digest(),
            vex: Vec::new(),
            engine: "1".to_owned(),
        };
        let verdict = image.judge(&policy).into_verdict(&policy, inputs, now());
        assert_eq!(ExitStatus::from(&verdict), status, "{spec}");
    }
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let levels = prop::sample::select(vec!["unknown", "none", "low", "medium", "high", "critical"]);
    let states = prop::sample::select(vec![
        "fixed",
        "affected",
        "will-not-fix",
        "deferred",
        "end-of-life",
        "not-affected",
        "unknown",
    ]);
    (0..20_u8, levels, states, any::<bool>(), prop::option::of(0.0..1.0_f64), prop::option::of(0..60_i64)).prop_map(
        |(number, level, state, kev, epss, age)| {
            let mut finding = finding(&format!("CVE-{number} {level} {state}"));
            finding.kev = kev;
            finding.epss = epss.map(|score| ExploitPrediction { score, percentile: score });
            finding.published = age.map(|days| Timestamp::from_unix(now().unix() - days * 86_400));
            finding
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(vec![
        "",
        "vulnerabilities: {failOn: none}",
        "vulnerabilities: {failOn: low}",
        "vulnerabilities: {failOn: high, onlyFixed: true}",
        "vulnerabilities: {failOn: critical, graceDays: 30, unrated: low}",
        "vulnerabilities: {failOn: high, kev: deny, epssAbove: 0.5, graceDays: 14}",
        "vulnerabilities: {kev: audit, endOfLife: deny, maxDatabaseAge: 1h}",
        "vulnerabilities: {failOn: medium}, secrets: deny, licenses: {deny: [MIT]}",
    ])
    .prop_map(policy)
}

proptest! {
    #[test]
    fn one_more_finding_never_makes_it_better(
        policy in any_policy(), findings in prop::collection::vec(any_finding(), 0..6), one_more in any_finding(), at in any::<prop::sample::Index>()
    ) {
        let mut image = Image::with(&[]);
        image.findings = findings;
        let before = image.judge(&policy).result;
        image.findings.insert(at.index(image.findings.len() + 1), one_more);
        prop_assert!(image.judge(&policy).result >= before);
    }

    #[test]
    fn a_gap_never_passes(policy in any_policy(), findings in prop::collection::vec(any_finding(), 0..6)) {
        let mut image = Image::with(&[]);
        image.findings = findings;
        let before = image.judge(&policy).result;
        image.warnings = vec![Warning::gap("var/lib/dpkg/status", "cut off")];
        prop_assert_eq!(image.judge(&policy).result, before.and(Outcome::Unknown));
    }

    #[test]
    fn audit_of_the_unknown_says_so(policy in any_policy(), findings in prop::collection::vec(any_finding(), 0..6)) {
        let mut audit = policy.clone();
        audit.spec.unknown = UnknownAction::Audit;
        let mut image = Image::with(&[]);
        image.findings = findings;
        let (strict, lenient) = (image.judge(&policy), image.judge(&audit));
        prop_assert_ne!(lenient.result, Outcome::Unknown);
        prop_assert_eq!(strict.result == Outcome::Fail, lenient.result == Outcome::Fail);
        let unknown = strict.reasons.iter().filter(|reason| reason.result == Outcome::Unknown).count();
        let told = lenient.reasons.iter().filter(|reason| reason.message.ends_with("(accepted: `unknown: audit`)")).count();
        prop_assert_eq!(unknown, told);
    }

    #[test]
    fn order_does_not_matter(
        policy in any_policy(),
        (findings, shuffled) in prop::collection::vec(any_finding(), 0..8)
            .prop_flat_map(|findings| (Just(findings.clone()), Just(findings).prop_shuffle()))
    ) {
        let mut image = Image::with(&[]);
        image.findings = findings;
        let before = image.judge(&policy);
        image.findings = shuffled;
        prop_assert_eq!(image.judge(&policy), before);
    }

    #[test]
    fn result_is_the_worst_reason(policy in any_policy(), findings in prop::collection::vec(any_finding(), 0..8)) {
        let mut image = Image::with(&[]);
        image.findings = findings;
        let judgement = image.judge(&policy);
        prop_assert!(!judgement.reasons.is_empty());
        prop_assert_eq!(judgement.reasons[0].result, judgement.result);
        prop_assert!(judgement.reasons.is_sorted_by_key(|reason| std::cmp::Reverse(reason.result)));
    }
}
