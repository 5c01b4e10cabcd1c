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
