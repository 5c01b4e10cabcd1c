//! Which vulnerabilities count.

use expect_test::expect;

use portcullis_model::Outcome;

use crate::support::{Image, now, policy};

#[test]
fn what_names_a_last_affected_version_may_have_a_fix() {
    let image = Image::with(&["CVE-1 high affected last=3.0.12"]);
    image.check(
        "vulnerabilities: {failOn: high, onlyFixed: true}",
        expect![[r#"
        fail
        - fail vulnerabilities.failOn: 1 vulnerability of severity high or worse: CVE-1 in openssl 3.0.11-1
    "#]],
    );
}

#[test]
fn each_finding_tells_whether_the_policy_fails_for_it() {
    let denied = |spec: &str, findings: &[&str]| {
        let mut image = Image::with(findings);
        portcullis_policy::mark_denied(&policy(spec), &mut image.findings, now());
        let denied: Vec<String> =
            image.findings.iter().filter(|finding| finding.denied).map(|finding| finding.id.to_string()).collect();
        // They are those that the verdict counts.
        let told = image.judge(&policy(spec)).reasons.into_iter().filter(|reason| reason.result == Outcome::Fail);
        let counted: usize =
            told.map(|reason| reason.message.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(denied.len(), counted, "{spec}");
        denied
    };
    let old = [
        "CVE-1 high fixed published=2025-01-01",
        "CVE-2 high fixed published=2026-11-24",
        "CVE-3 unknown fixed published=2025-01-01",
    ];
    let spec = "vulnerabilities: {failOn: high, unrated: high, graceDays: 30}";
    assert_eq!(denied(spec, &old), ["CVE-1", "CVE-3"]);
    assert_eq!(denied("vulnerabilities: {failOn: high, graceDays: 30}", &old), ["CVE-1"]);
    let other =
        ["CVE-1 low fixed kev", "CVE-2 low affected epss=0.9", "CVE-3 critical affected", "CVE-4 critical unknown"];
    assert_eq!(denied("vulnerabilities: {failOn: high}", &other), ["CVE-3"]);
    assert_eq!(denied("vulnerabilities: {failOn: high, onlyFixed: true}", &other), [""; 0]);
    assert_eq!(denied("vulnerabilities: {kev: deny, epssAbove: 0.5}", &other), ["CVE-1", "CVE-2"]);
    assert_eq!(denied("vulnerabilities: {kev: audit}", &other), [""; 0]);
    assert_eq!(denied("licenses: {deny: [MIT]}", &other), [""; 0]);
}

#[test]
fn severity_and_fixes() {
    let image = Image::with(&["CVE-3 low fixed", "CVE-1 high affected", "CVE-2 critical fixed package=zlib"]);
    image.check("vulnerabilities: {failOn: high}", expect![[r#"
        fail
        - fail vulnerabilities.failOn: 2 vulnerabilities of severity high or worse: CVE-2 in zlib 3.0.11-1, CVE-1 in openssl 3.0.11-1
    "#]]);
    image.check(
        "vulnerabilities: {failOn: high, onlyFixed: true}",
        expect![[r#"
            fail
            - fail vulnerabilities.failOn: 1 vulnerability of severity high or worse: CVE-2 in zlib 3.0.11-1
            - pass vulnerabilities.onlyFixed: 1 vulnerability without a fix, not counted
        "#]],
    );
    image.check(
        "vulnerabilities: {failOn: critical, onlyFixed: true}",
        expect![[r#"
            fail
            - fail vulnerabilities.failOn: 1 vulnerability of severity critical: CVE-2 in zlib 3.0.11-1
        "#]],
    );
    image.check(
        "vulnerabilities: {failOn: none}",
        expect![[r#"
            pass
            - pass vulnerabilities: the policy lets every vulnerability pass
        "#]],
    );
    image.check(
        "vulnerabilities: {}",
        expect![[r#"
            pass
            - pass vulnerabilities: the policy lets every vulnerability pass
        "#]],
    );
    image.check(
        "",
        expect![[r#"
        pass
        - pass policy: the policy has no rule: it accepts what could be read
    "#]],
    );
    Image::with(&["CVE-1 low affected"]).check(
        "vulnerabilities: {failOn: medium}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 1 finding
        "#]],
    );
    Image::with(&[]).check(
        "vulnerabilities: {failOn: medium}",
        expect![[r#"
        pass
        - pass vulnerabilities: no vulnerability was found
    "#]],
    );
    Image::with(&["CVE-1 critical not-affected"]).check(
        "vulnerabilities: {failOn: low}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 1 finding
        "#]],
    );
    Image::with(&["A-1 high fixed", "A-2 high fixed", "A-3 high fixed", "A-4 critical fixed", "A-5 high fixed"])
        .check("vulnerabilities: {failOn: high}", expect![[r#"
            fail
            - fail vulnerabilities.failOn: 5 vulnerabilities of severity high or worse: A-4 in openssl 3.0.11-1, A-1 in openssl 3.0.11-1, A-2 in openssl 3.0.11-1 and 2 more
        "#]]);
}

#[test]
fn unrated_is_unknown_unless_the_policy_says_what_it_counts_as() {
    let image = Image::with(&["CVE-1 unknown affected"]);
    image.check(
        "vulnerabilities: {failOn: critical}",
        expect![[r#"
        unknown
        - unknown vulnerabilities.unrated: 1 vulnerability that nobody has rated: CVE-1 in openssl 3.0.11-1
    "#]],
    );
    image.check("vulnerabilities: {failOn: critical}, unknown: audit", expect![[r#"
        pass
        - pass vulnerabilities: none counts of 1 finding
        - pass vulnerabilities.unrated: 1 vulnerability that nobody has rated: CVE-1 in openssl 3.0.11-1 (accepted: `unknown: audit`)
    "#]]);
    image.check(
        "vulnerabilities: {failOn: high, unrated: medium}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 1 finding
        "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, unrated: high}",
        expect![[r#"
            fail
            - fail vulnerabilities.failOn: 1 vulnerability of severity high or worse: CVE-1 in openssl 3.0.11-1
        "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, onlyFixed: true}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 1 finding
            - pass vulnerabilities.onlyFixed: 1 vulnerability without a fix, not counted
        "#]],
    );
    image.check(
        "vulnerabilities: {failOn: none}",
        expect![[r#"
            pass
            - pass vulnerabilities: the policy lets every vulnerability pass
        "#]],
    );
}

#[test]
fn version_that_could_not_be_compared() {
    let image = Image::with(&["CVE-1 high unknown"]);
    image.check(
        "vulnerabilities: {failOn: high, onlyFixed: true}",
        expect![[r#"
        unknown
        - unknown vulnerabilities: 1 vulnerability whose version could not be compared: CVE-1 in openssl 3.0.11-1
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: critical}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 1 finding
        "#]],
    );
    Image::with(&["CVE-1 low unknown kev"]).check(
        "vulnerabilities: {failOn: critical, kev: deny}",
        expect![[r#"
        unknown
        - unknown vulnerabilities: 1 vulnerability whose version could not be compared: CVE-1 in openssl 3.0.11-1
    "#]],
    );
}

#[test]
fn grace_is_counted_from_publication() {
    let image = Image::with(&[
        "CVE-1 high fixed published=2026-11-20",
        "CVE-2 high fixed published=2026-11-11T12:00:00Z",
        "CVE-3 high fixed",
        "CVE-4 unknown fixed published=2026-11-25",
    ]);
    image.check("vulnerabilities: {failOn: high, graceDays: 14}", expect![[r#"
        fail
        - fail vulnerabilities.failOn: 2 vulnerabilities of severity high or worse: CVE-2 in openssl 3.0.11-1, CVE-3 in openssl 3.0.11-1
        - pass vulnerabilities.graceDays: 2 vulnerabilities in grace, the first until 2026-12-04T00:00:00Z
    "#]]);
    image.check("vulnerabilities: {failOn: high, graceDays: 5}", expect![[r#"
        fail
        - fail vulnerabilities.failOn: 3 vulnerabilities of severity high or worse: CVE-1 in openssl 3.0.11-1, CVE-2 in openssl 3.0.11-1, CVE-3 in openssl 3.0.11-1
        - pass vulnerabilities.graceDays: 1 vulnerability in grace, the first until 2026-11-30T00:00:00Z
    "#]]);
    // From a day that has not come yet no grace is counted; clocks differ.
    let image = Image::with(&[
        "CVE-1 high fixed published=2026-11-25T12:05:00Z",
        "CVE-2 high fixed published=2026-11-25T12:05:01Z",
        "CVE-3 high fixed published=2099-01-01",
    ]);
    image.check("vulnerabilities: {failOn: high, graceDays: 14}", expect![[r#"
        fail
        - fail vulnerabilities.failOn: 2 vulnerabilities of severity high or worse: CVE-2 in openssl 3.0.11-1, CVE-3 in openssl 3.0.11-1
        - pass vulnerabilities.graceDays: 1 vulnerability in grace, the first until 2026-12-09T12:05:00Z
    "#]]);
}

#[test]
fn exploited_and_likely_count_whatever_else() {
    let image = Image::with(&["CVE-1 low affected kev published=2026-11-25", "CVE-2 medium fixed epss=0.6"]);
    image.check(
        "vulnerabilities: {failOn: critical, onlyFixed: true, graceDays: 30, kev: deny}",
        expect![[r#"
        fail
        - fail vulnerabilities.kev: 1 vulnerability known to be exploited: CVE-1 in openssl 3.0.11-1
    "#]],
    );
    image.check(
        "vulnerabilities: {kev: audit}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 2 findings
            - pass vulnerabilities.kev: 1 vulnerability known to be exploited: CVE-1 in openssl 3.0.11-1
        "#]],
    );
    image.check(
        "vulnerabilities: {epssAbove: 0.5}",
        expect![[r#"
        fail
        - fail vulnerabilities.epssAbove: 1 vulnerability with an EPSS score above 0.5: CVE-2 in openssl 3.0.11-1
    "#]],
    );
    image.check(
        "vulnerabilities: {epssAbove: 0.6}",
        expect![[r#"
            pass
            - pass vulnerabilities: none counts of 2 findings
        "#]],
    );
    let mut image = Image::with(&[]);
    image.database.sources.clear();
    image.check(
        "vulnerabilities: {kev: deny, epssAbove: 0.6}",
        expect![[r#"
        unknown
        - unknown vulnerabilities.epssAbove: the database does not hold EPSS scores
        - unknown vulnerabilities.kev: the database does not hold CISA's catalogue of exploited vulnerabilities
    "#]],
    );
}
