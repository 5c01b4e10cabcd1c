//! What could not be read, and what no advisory speaks of.

use expect_test::expect;
use portcullis_model::{Outcome, Warning};
use portcullis_policy::DistributionState;

use crate::support::{Image, policy};

#[test]
fn gaps_and_notes() {
    let mut image = Image::with(&[]);
    image.warnings = vec![
        Warning::note("etc/odd", "odd"),
        Warning::gap("var/lib/dpkg/status", "cut off"),
        Warning::gap("app/a.jar", "too deep"),
    ];
    image.check(
        "vulnerabilities: {failOn: high}",
        expect![[r#"
        unknown
        - unknown inventory: not everything could be read: `app/a.jar`: too deep, `var/lib/dpkg/status`: cut off
    "#]],
    );
    image.check(
        "",
        expect![[r#"
        unknown
        - unknown inventory: not everything could be read: `app/a.jar`: too deep, `var/lib/dpkg/status`: cut off
        - pass policy: the policy has no rule: it accepts what could be read
    "#]],
    );
    image.check("vulnerabilities: {failOn: high}, unknown: audit", expect![[r#"
        pass
        - pass inventory: not everything could be read: `app/a.jar`: too deep, `var/lib/dpkg/status`: cut off (accepted: `unknown: audit`)
        - pass vulnerabilities: no vulnerability was found
    "#]]);
    image.warnings.truncate(1);
    image.check(
        "vulnerabilities: {failOn: high}",
        expect![[r#"
        pass
        - pass vulnerabilities: no vulnerability was found
    "#]],
    );
}

#[test]
fn distribution_without_data() {
    let mut image = Image::with(&[]);
    for (state, expected) in [
        (
            DistributionState::Absent,
            expect![[r#"
            pass
            - pass vulnerabilities: no vulnerability was found
        "#]],
        ),
        (
            DistributionState::Unknown,
            expect![[r#"
            unknown
            - unknown distribution: nothing says which distribution its packages are from
        "#]],
        ),
        (
            DistributionState::Uncovered("Plan 9"),
            expect![[r#"
            unknown
            - unknown distribution: the database holds no advisories for Plan 9
        "#]],
        ),
        (
            DistributionState::EndOfLife { name: "Debian 8", since: "2020-06-30".parse().unwrap() },
            expect![[r#"
            pass
            - pass vulnerabilities: no vulnerability was found
            - pass vulnerabilities.endOfLife: Debian 8 gets no fixes any more: end of life since 2020-06-30
        "#]],
        ),
    ] {
        image.distribution = state;
        image.check("vulnerabilities: {failOn: high}", expected);
    }
    image.check(
        "vulnerabilities: {failOn: high, endOfLife: deny}",
        expect![[r#"
        fail
        - fail vulnerabilities.endOfLife: Debian 8 gets no fixes any more: end of life since 2020-06-30
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, endOfLife: audit}",
        expect![[r#"
        pass
        - pass vulnerabilities: no vulnerability was found
        - pass vulnerabilities.endOfLife: Debian 8 gets no fixes any more: end of life since 2020-06-30
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: none}",
        expect![[r#"
            pass
            - pass vulnerabilities: the policy lets every vulnerability pass
            - pass vulnerabilities.endOfLife: Debian 8 gets no fixes any more: end of life since 2020-06-30
        "#]],
    );
    let mut image = Image::with(&[]);
    image.uncovered = vec!["npm".to_owned(), "PyPI".to_owned()];
    image.check(
        "vulnerabilities: {failOn: high}",
        expect![[r#"
        unknown
        - unknown database: the database holds no advisories for PyPI, npm
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, uncovered: audit}",
        expect![[r#"
        pass
        - pass vulnerabilities: no vulnerability was found
        - pass vulnerabilities.uncovered: the database holds no advisories for PyPI, npm
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, uncovered: deny}",
        expect![[r#"
        fail
        - fail vulnerabilities.uncovered: the database holds no advisories for PyPI, npm
    "#]],
    );
    // What the starter lacks is not listed, unless the policy asks for it.
    image.database.starter = true;
    image.check(
        "vulnerabilities: {failOn: high}",
        expect![[r#"
        pass
        - pass database: judged by the starter database, which knows little: run `portcullis db update`
        - pass vulnerabilities: no vulnerability was found
    "#]],
    );
    image.check(
        "vulnerabilities: {failOn: high, uncovered: deny}",
        expect![[r#"
        fail
        - fail vulnerabilities.uncovered: the database holds no advisories for PyPI, npm
        - pass database: judged by the starter database, which knows little: run `portcullis db update`
    "#]],
    );
}

#[test]
fn what_cannot_be_told_of_a_release_that_is_asked_about() {
    let mut image = Image::with(&[]);
    for spec in ["endOfLife: deny", "uncovered: deny"] {
        for state in [DistributionState::Unknown, DistributionState::Uncovered("Plan 9")] {
            image.distribution = state;
            let judgement = image.judge(&policy(&format!("vulnerabilities: {{{spec}}}")));
            assert_eq!(judgement.result, Outcome::Unknown, "{spec} {state:?}");
        }
        image.distribution = DistributionState::Covered("Debian 12");
        assert_eq!(image.judge(&policy(&format!("vulnerabilities: {{{spec}}}"))).result, Outcome::Pass, "{spec}");
    }
}

#[test]
fn database_age() {
    let mut image = Image::with(&[]);
    image.check("vulnerabilities: {failOn: high, maxDatabaseAge: 23h}", expect![[r#"
        unknown
        - unknown vulnerabilities.maxDatabaseAge: the advisory database is of 2026-11-24T12:00:00Z, 1 day old; the limit is 23h: run `portcullis db update`
    "#]]);
    image.check(
        "vulnerabilities: {failOn: high, maxDatabaseAge: 24h}",
        expect![[r#"
        pass
        - pass vulnerabilities: no vulnerability was found
    "#]],
    );
    // A day ahead is what clocks and time zones make; beyond, its age cannot be told.
    for (built, expected) in [
        ("2026-11-26T12:00:00Z", Outcome::Pass),
        ("2026-11-26T12:00:01Z", Outcome::Unknown),
        ("2099-01-01T00:00:00Z", Outcome::Unknown),
    ] {
        image.database.built = built.parse().unwrap();
        let judgement = image.judge(&policy("vulnerabilities: {failOn: high, maxDatabaseAge: 24h}"));
        assert_eq!(judgement.result, expected, "{built}");
    }
    image.check("vulnerabilities: {failOn: high, maxDatabaseAge: 24h}", expect![[r#"
        unknown
        - unknown vulnerabilities.maxDatabaseAge: the advisory database is of 2099-01-01T00:00:00Z, which is after 2026-11-25T12:00:00Z, the moment of this judgement: a clock is wrong, or SOURCE_DATE_EPOCH
    "#]]);
    image.database.built = "2026-01-01".parse().unwrap();
    image.database.starter = true;
    image.check(
        "vulnerabilities: {failOn: high}",
        expect![[r#"
        pass
        - pass database: judged by the starter database, which knows little: run `portcullis db update`
        - pass vulnerabilities: no vulnerability was found
        - pass vulnerabilities.maxDatabaseAge: the advisory database is 328 days old; the policy sets no limit
    "#]],
    );
}
