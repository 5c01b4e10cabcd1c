//! Policies that read, and what they mean.

use expect_test::expect;
use portcullis_policy::{ExitStatus, Policy, Vouching};

use crate::{HEAD, check_file, now};

#[test]
fn every_field_reads() {
    let text = r#"# comment
apiVersion: portcullis.dev/v1alpha1
kind: ClusterImagePolicy
metadata:
  name: baseline
  labels: {team: a}
spec:
  mode: audit
  images: ["registry.example/team/**", localhost:5000/*]
  evidence:
    authorities:
      - key: |
          -----BEGIN PUBLIC KEY-----
          AAAA
          -----END PUBLIC KEY-----
      - key: keys/ci.pub
      - identity: https://github.com/team/app/.github/workflows/*@refs/heads/main
        issuer: https://token.actions.githubusercontent.com
    require: [vulnerabilities, sbom]
    maxAge: 24h
    verifiers: [https://portcullis.dev/cli]
    policies: ["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]
  vulnerabilities: {failOn: high, onlyFixed: true, graceDays: 14, kev: deny, epssAbove: 0.5, unrated: medium, maxDatabaseAge: 7d, endOfLife: deny}
  secrets: deny
  licenses: {deny: [AGPL-3.0-only], undeclared: audit}
  unknown: audit
  exceptions:
    - {id: CVE-2026-1, package: openssl, reason: not reachable, owner: a@example.com, expires: 2026-12-01}
"#;
    check_file(
        text,
        expect![[r#"
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"evidence":{"authorities":[{"key":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},{"key":"keys/ci.pub"},{"identity":"https://github.com/team/app/.github/workflows/*@refs/heads/main","issuer":"https://token.actions.githubusercontent.com"}],"maxAge":"1d","policies":["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"],"require":["vulnerabilities","sbom"],"verifiers":["https://portcullis.dev/cli"]},"exceptions":[{"expires":"2026-12-01T00:00:00Z","id":"CVE-2026-1","owner":"a@example.com","package":"openssl","reason":"not reachable"}],"images":["registry.example/team/**","localhost:5000/*"],"licenses":{"deny":["AGPL-3.0-only"],"undeclared":"audit"},"mode":"audit","secrets":"deny","unknown":"audit","vulnerabilities":{"endOfLife":"deny","epssAbove":0.5,"failOn":"high","graceDays":14,"kev":"deny","maxDatabaseAge":"7d","onlyFixed":true,"unrated":"medium"}}}
    "#]],
    );
    let policy = Policy::parse(text, "p.yaml", now()).unwrap().remove(0);
    let evidence = policy.spec.evidence.as_ref().unwrap();
    let kinds: Vec<_> = evidence.authorities.iter().map(|authority| authority.vouching().unwrap()).collect();
    assert!(matches!(kinds[..], [Vouching::InlineKey(_), Vouching::KeyFile("keys/ci.pub"), Vouching::Identity { .. }]));
    // What is written down reads back the same.
    let again = serde_saphyr::to_string(&policy.document()).unwrap();
    assert_eq!(Policy::parse(&again, "again", now()).unwrap(), [policy]);
}

#[test]
fn order_and_layout_do_not_change_the_digest() {
    let digest = |text: &str| Policy::parse(text, "p", now()).unwrap()[0].digest();
    let short = format!("{HEAD}spec: {{vulnerabilities: {{failOn: high, onlyFixed: true}}, unknown: audit}}\n");
    let long = "spec:\n  unknown: audit # said\n  vulnerabilities:\n    onlyFixed: true\n    failOn: high\n";
    assert_eq!(digest(&short), digest(&format!("{long}{HEAD}")));
}

#[test]
fn several_documents() {
    check_file(
        &format!("---\n{HEAD}spec: {{}}\n---\n{}spec: {{unknown: audit}}\n", HEAD.replace("baseline", "b")),
        expect![[r#"
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","unknown":"deny"}}
        {"apiVersion":"portcullis.dev/v1alpha1","spec":{"mode":"enforce","unknown":"audit"}}
    "#]],
    );
    check_file(
        &format!("{HEAD}spec: {{}}\n---\n{HEAD}spec: {{}}\n"),
        expect![[r#"
        p.yaml:8: a second ImagePolicy `baseline`
        hint: rename one of them
    "#]],
    );
    check_file(
        "",
        expect![[r#"
        p.yaml: no policy in it
        hint: a policy starts with `apiVersion: portcullis.dev/v1alpha1`; see docs/policy.md
    "#]],
    );
    check_file(
        "# nothing\n",
        expect![[r#"
        p.yaml: no policy in it
        hint: a policy starts with `apiVersion: portcullis.dev/v1alpha1`; see docs/policy.md
    "#]],
    );
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes: Vec<_> = ExitStatus::ALL.iter().map(|status| status.code()).collect();
    assert_eq!(codes, [0, 1, 2, 42, 43, 44]);
}
