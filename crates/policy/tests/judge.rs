//! Each rule against hand-made facts, and what must hold for all of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use portcullis_model::{
    DatabaseInfo, DatabaseSource, Digest, Evidence, ExploitPrediction, Finding, FindingPackage, FixState, Inputs,
    Outcome, Package, PackageType, Severity, SeverityLevel, Timestamp, Warning,
};
use portcullis_policy::{
    DistributionState, ExitStatus, Facts, Judgement, Policy, UnknownAction, apply_exceptions, judge,
};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn policy(spec: &str) -> Policy {
    let text =
        format!("apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: test}}\nspec: {{{spec}}}\n");
    Policy::parse(&text, "test", now()).unwrap().remove(0)
}

fn database() -> DatabaseInfo {
    let source = |name: &str| DatabaseSource { name: name.to_owned(), records: 1, newest: None };
    DatabaseInfo {
        digest: Digest::of(b"database"),
        built: "2026-11-24T12:00:00Z".parse().unwrap(),
        starter: false,
        sources: vec![source("epss"), source("kev"), source("osv/Debian")],
    }
}

/// `id level state`, then any of `kev`, `epss=0.9`, `published=2026-11-20`, `package=zlib`.
fn finding(text: &str) -> Finding {
    let mut words = text.split(' ');
    let id = words.next().unwrap().to_owned();
    let level: SeverityLevel = words.next().unwrap().parse().unwrap();
    let state: FixState = serde_json::from_value(words.next().unwrap().into()).unwrap();
    let mut finding = Finding {
        cve: id.starts_with("CVE-").then(|| id.clone()),
        id,
        aliases: Vec::new(),
        title: String::new(),
        package: FindingPackage {
            kind: PackageType::Deb,
            name: "openssl".to_owned(),
            version: "3.0.11-1".to_owned(),
            purl: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64".to_owned(),
            locations: Vec::new(),
        },
        severity: Severity { level, ..Severity::default() },
        state,
        fixed_versions: Vec::new(),
        kev: false,
        epss: None,
        published: None,
        cwes: Vec::new(),
        references: Vec::new(),
        suppressed: None,
        evidence: Evidence {
            ecosystem: "Debian:12".to_owned(),
            name: "openssl-source".to_owned(),
            version: "3.0.11-1".to_owned(),
            range: String::new(),
            sources: Vec::new(),
        },
    };
    for word in words {
        match word.split_once('=') {
            None if word == "kev" => finding.kev = true,
            Some(("epss", score)) => {
                finding.epss = Some(ExploitPrediction { score: score.parse().unwrap(), percentile: 0.5 });
            }
            Some(("published", time)) => finding.published = Some(time.parse().unwrap()),
            Some(("package", name)) => finding.package.name = name.to_owned(),
            Some(("alias", id)) => finding.aliases.push(id.to_owned()),
            _ => panic!("{word}"),
        }
    }
    finding
}

/// Facts of an ordinary image; tests change what they are about.
struct Image {
    findings: Vec<Finding>,
    packages: Vec<Package>,
    warnings: Vec<Warning>,
    distribution: DistributionState<'static>,
    uncovered: Vec<String>,
    database: DatabaseInfo,
    secrets: Option<u64>,
}

impl Image {
    fn with(findings: &[&str]) -> Self {
        Self {
            findings: findings.iter().map(|text| finding(text)).collect(),
            packages: Vec::new(),
            warnings: Vec::new(),
            distribution: DistributionState::Covered("Debian 12"),
            uncovered: Vec::new(),
            database: database(),
            secrets: None,
        }
    }

    fn judge(&self, policy: &Policy) -> Judgement {
        let Self { findings, packages, warnings, distribution, uncovered, database, secrets } = self;
        let facts =
            Facts { findings, packages, warnings, distribution: *distribution, uncovered, database, secrets: *secrets };
        judge(policy, &facts, now())
    }

    fn check(&self, spec: &str, expected: Expect) {
        let judgement = self.judge(&policy(spec));
        let mut said = format!("{}\n", judgement.result);
        for reason in &judgement.reasons {
            writeln!(said, "- {} {}: {}", reason.result, reason.rule, reason.message).unwrap();
        }
        expected.assert_eq(&said);
    }
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

#[test]
fn secrets_that_nobody_looked_for() {
    let mut image = Image::with(&[]);
    image.check(
        "secrets: deny",
        expect![[r#"
        unknown
        - unknown secrets: the image was not searched for secrets
    "#]],
    );
    image.check(
        "secrets: audit",
        expect![[r#"
        pass
        - pass secrets: the image was not searched for secrets
    "#]],
    );
    image.secrets = Some(0);
    image.check(
        "secrets: deny",
        expect![[r#"
        pass
        - pass secrets: no secret was found
    "#]],
    );
    image.secrets = Some(2);
    image.check(
        "secrets: deny",
        expect![[r#"
            fail
            - fail secrets: secrets that were found: 2
        "#]],
    );
    image.check(
        "secrets: audit",
        expect![[r#"
            pass
            - pass secrets: secrets that were found: 2
        "#]],
    );
}

#[test]
fn licences() {
    let mut image = Image::with(&[]);
    let package = |name: &str, licenses: &[&str]| Package {
        purl: format!("pkg:npm/{name}@1"),
        licenses: licenses.iter().map(|text| (*text).to_owned()).collect(),
        ..Package::new(PackageType::Npm, name, "1")
    };
    image.packages = vec![package("b", &["AGPL-3.0-only"]), package("a", &["MIT", "agpl-3.0-only"]), package("c", &[])];
    image.check(
        "licenses: {deny: [AGPL-3.0-only]}",
        expect![[r#"
            fail
            - fail licenses.deny: 2 packages under a licence that is not accepted: a 1 (agpl-3.0-only), b 1 (AGPL-3.0-only)
            - pass licenses.undeclared: 1 package without a declared licence
        "#]],
    );
    image.check(
        "licenses: {undeclared: deny}",
        expect![[r#"
            fail
            - fail licenses.undeclared: 1 package without a declared licence
        "#]],
    );
}

#[test]
fn exceptions_keep_the_finding_and_its_reason() {
    let texts =
        ["GHSA-1 high fixed alias=CVE-9", "CVE-2 high fixed package=zlib", "CVE-3 high fixed", "CVE-4 high fixed"];
    let mut image = Image::with(&texts);
    let mut policy = policy(
        "vulnerabilities: {failOn: high}, exceptions: [
            {id: cve-9, package: openssl, reason: not reachable, owner: a@example.com, expires: 2026-11-26},
            {id: CVE-2, package: openssl, reason: other package, owner: o},
            {id: CVE-3, package: 'pkg:deb/debian/openssl', reason: r, owner: o},
            {id: CVE-4, package: openssl-source, reason: r, owner: o}]",
    );
    apply_exceptions(&policy, &mut image.findings, now());
    let suppressed: Vec<_> = image.findings.iter().map(|f| f.suppressed.clone().map(|s| s.reason)).collect();
    assert_eq!(
        suppressed,
        [Some("not reachable (a@example.com)".to_owned()), None, Some("r (o)".to_owned()), Some("r (o)".to_owned())]
    );
    assert_eq!(image.judge(&policy).result, Outcome::Fail);
    policy.spec.exceptions[1].package = Some("zlib".to_owned());
    apply_exceptions(&policy, &mut image.findings, now());
    assert_eq!(image.judge(&policy).result, Outcome::Pass);
    // Two days later the first no longer holds.
    let mut again = Image::with(&texts);
    apply_exceptions(&policy, &mut again.findings, Timestamp::from_unix(now().unix() + 2 * 86_400));
    assert!(again.findings[0].suppressed.is_none());
    // The start of a package URL is not a package.
    policy.spec.exceptions[2].package = Some("pkg:deb/debian/open".to_owned());
    let mut again = Image::with(&texts);
    apply_exceptions(&policy, &mut again.findings, now());
    assert!(again.findings[2].suppressed.is_none());
}

#[test]
fn expressions() {
    let image = Image::with(&["CVE-1 high fixed kev package=zlib", "CVE-2 low affected epss=0.3 alias=GHSA-1"]);
    let check = |expression: &str, expected: Expect| {
        let message = "message: 'not so'";
        image.check(&format!("rules: [{{name: mine, expression: \"{expression}\", {message}}}]"), expected);
    };
    check(
        "!findings.exists(f, f.kev)",
        expect![[r#"
        fail
        - fail rules.mine: not so
    "#]],
    );
    check(
        "findings.all(f, f.severity != 'critical' && f.epss < 0.5)",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "size(findings.filter(f, f.package.name == 'zlib')) == 1",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "findings.exists(f, f.aliases.exists(a, a == 'GHSA-1')) ? gaps > 0 : true",
        expect![[r#"
        fail
        - fail rules.mine: not so
    "#]],
    );
    check(
        "findings.exists(f, 'GHSA-1' in f.aliases)",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "size(findings)",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: it gives a int in place of true or false
    "#]],
    );
    check(
        "findings.all(f, f.nonsense == 1)",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: No such key: nonsense
    "#]],
    );
    check(
        "packages.all(p, p.name.startsWith('x')) && !starterDatabase",
        expect![[r#"
        pass
    "#]],
    );
    check(
        "1 / 0 == 1",
        expect![[r#"
        unknown
        - unknown rules.mine: the rule could not be evaluated: Division by zero of Int(1)
    "#]],
    );
}

#[test]
fn expressions_take_linear_time() {
    let mut image = Image::with(&[]);
    image.findings = (0..20_000).map(|number| finding(&format!("CVE-{number} high fixed"))).collect();
    let started = std::time::Instant::now();
    let walks = ["findings.all(f, f.severity == 'high' && !f.kev)"; 8].join(" && ");
    let judgement = image.judge(&policy(&format!("rules: [{{name: mine, expression: \"{walks}\"}}]")));
    assert_eq!(judgement.result, Outcome::Pass);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

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
    fn any_expression_that_is_taken_can_be_evaluated(
        expression in "(!|size\\(|\\()?(findings|packages|gaps|starterDatabase|1|'a'|\\[1, 2\\])(\\.(exists|all|map|filter)\\(x, (x\\.kev|x\\.name|x|x == 1|x\\.epss > 0\\.1|x / 0 == 1)\\)|\\[0\\]|\\[-9\\])?( (\\+|-|\\*|/|%|==|<|in|&&|\\|\\|) (1|0|gaps|findings|'b'|9223372036854775807|\\{'a': 1\\}))?\\)?"
    ) {
        let spec = serde_json::json!({"rules": [{"name": "r", "expression": expression}]}).to_string();
        let text = format!("apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: t}}\nspec: {spec}\n");
        if let Ok(policies) = Policy::parse(&text, "t", now()) {
            Image::with(&["CVE-1 high fixed kev", "CVE-2 low affected epss=0.3"]).judge(&policies[0]);
        }
    }

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
