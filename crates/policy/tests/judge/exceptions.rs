//! Findings that an exception of the policy sets aside.

use portcullis_model::{Outcome, Timestamp};
use portcullis_policy::apply_exceptions;

use crate::support::{Image, now, policy};

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
fn a_package_is_named_as_its_ecosystem_does() {
    let mut image = Image::with(&["CVE-1 high fixed package=django", "CVE-2 high fixed package=Lodash"]);
    image.findings[0].evidence.ecosystem = "PyPI".into();
    image.findings[1].evidence.ecosystem = "npm".into();
    let policy = policy(
        "vulnerabilities: {failOn: high}, exceptions: [
            {id: CVE-1, package: Django, reason: r, owner: o}, {id: CVE-2, package: lodash, reason: r, owner: o}]",
    );
    apply_exceptions(&policy, &mut image.findings, now());
    let suppressed: Vec<bool> = image.findings.iter().map(|finding| finding.suppressed.is_some()).collect();
    assert_eq!(suppressed, [true, false], "npm tells upper and lower case apart");
}

#[test]
fn an_exception_that_misses_its_package_is_told() {
    let texts = [
        "CVE-1 high fixed package=lodash",
        "CVE-2 high fixed package=com.fasterxml:jackson alias=GHSA-2",
        "CVE-3 high fixed",
    ];
    let image = Image::with(&texts);
    let policy = policy(
        "exceptions: [
            {id: CVE-1, package: lodash@4.17.15, reason: r, owner: o},
            {id: ghsa-2, package: jackson, reason: r, owner: o},
            {id: CVE-3, package: 'pkg:deb/debian/zlib', reason: r, owner: o},
            {id: CVE-3, package: openssl, reason: r, owner: o},
            {id: CVE-4, package: zlib, reason: another image has it, owner: o}]",
    );
    let judgement = image.judge(&policy);
    let told: Vec<&str> = judgement
        .reasons
        .iter()
        .filter(|reason| reason.rule == "exceptions" && reason.result == Outcome::Pass)
        .map(|reason| reason.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "the exception for CVE-1 in lodash@4.17.15 matches nothing here: it was found in lodash",
            "the exception for CVE-3 in pkg:deb/debian/zlib matches nothing here: it was found in \
             pkg:deb/debian/openssl@3.0.11-1?arch=amd64",
            "the exception for ghsa-2 in jackson matches nothing here: it was found in com.fasterxml:jackson",
        ]
    );
}
