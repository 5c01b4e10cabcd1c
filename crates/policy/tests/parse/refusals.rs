//! Fields, values, exceptions and patterns that are refused, with place and hint.

use expect_test::expect;

use crate::{HEAD, check, check_file};

#[test]
fn unknown_fields_and_values() {
    check(
        "spec:\n  vulnerabilities:\n    failon: high\n",
        expect![[r#"
        p.yaml:6: unknown field `failon`
        hint: did you mean `failOn`?
    "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    failOn: higher\n",
        expect![[r#"
        p.yaml:6: unknown value `higher`
        hint: did you mean `high`?
    "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    failOn: unknown\n",
        expect![[r#"
        p.yaml:6: unknown value `unknown`
        hint: there are `none`, `low`, `medium`, `high` and `critical`
    "#]],
    );
    check(
        "spec:\n  frobnicate: 1\n",
        expect![[r#"
            p.yaml:5: unknown field `frobnicate`
            hint: there are `mode`, `images`, `namespaceSelector`, `evidence`, `vulnerabilities`, `secrets`, `licenses`, `workloads`, `unknown`, `exceptions` and `rules`
        "#]],
    );
    check(
        "spec:\n  mode: [enforce]\n",
        expect![[r#"
            p.yaml:5: one word is expected here
        "#]],
    );
    check(
        "spec:\n  exceptions: [{id: CVE-1, owner: me}]\n",
        expect![[r#"
        p.yaml:5: `reason` is missing
    "#]],
    );
    check(
        "spec: {unknown: deny, unknown: audit}\n",
        expect![[r#"
        p.yaml:4: duplicate mapping key `unknown` is not allowed here
    "#]],
    );
    check(
        "spec: {}\nspec: {}\n",
        expect![[r#"
        p.yaml:5: duplicate mapping key `spec` is not allowed here
    "#]],
    );
    check(
        "",
        expect![[r#"
        p.yaml:3: `spec` is missing
    "#]],
    );
    check_file(
        "apiVersion: v1\nkind: ConfigMap\n",
        expect![[r#"
        p.yaml:1: unknown value `v1`
        hint: there is only `portcullis.dev/v1alpha1`
    "#]],
    );
    check_file(
        &HEAD.replace("ImagePolicy", "ImagePolice"),
        expect![[r#"
        p.yaml:2: unknown value `ImagePolice`
        hint: did you mean `ImagePolicy`?
    "#]],
    );
    check_file(
        &HEAD.replace("v1alpha1", "v1"),
        expect![[r#"
        p.yaml:1: unknown value `portcullis.dev/v1`
        hint: there is only `portcullis.dev/v1alpha1`
    "#]],
    );
    check_file(
        "[]",
        expect![[r#"
            p.yaml:1: fields are expected here (`name: value`)
        "#]],
    );
    check_file(
        "a: b: c",
        expect![[r#"
        p.yaml:1: unknown field `a`
        hint: there are `apiVersion`, `kind`, `metadata` and `spec`
    "#]],
    );
    check_file(
        "{",
        expect![[r#"
        p.yaml:1: unclosed bracket '{'
    "#]],
    );
}

#[test]
fn expired_exceptions_are_refused_with_their_line() {
    let spec = "spec:
  exceptions:
    - {id: CVE-1, reason: r, owner: o, expires: 2027-01-01}
    - id: CVE-2
      reason: r
      owner: o
      expires: 2026-11-25
";
    check(
        spec,
        expect![[r#"
        p.yaml:10: the exception for CVE-2 has expired: 2026-11-25T00:00:00Z
        hint: remove it, or look at it again and give it a new date
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-2, reason: r, owner: o, expires: soon}\n",
        expect![[r#"
        p.yaml:6: `soon` is not a time as RFC 3339 writes it, such as 2026-11-25T12:00:00Z
    "#]],
    );
}

#[test]
fn exceptions_name_one_thing_and_say_why() {
    check(
        "spec:\n  exceptions:\n  - {id: '*', reason: r, owner: o}\n",
        expect![[r#"
        p.yaml:6: `*` is not an id
        hint: name one vulnerability, such as CVE-2026-1234: an exception is for what somebody looked at
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, package: '', reason: r, owner: o}\n",
        expect![[r#"
        p.yaml:6: a package without a name
        hint: name a package (`openssl`, `pkg:deb/debian/openssl`), or leave `package` out for any
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, reason: ' ', owner: o}\n",
        expect![[r#"
        p.yaml:6: an exception without a reason
        hint: say why it is accepted: whoever reads the report will ask
    "#]],
    );
    check(
        "spec:\n  exceptions:\n  - {id: CVE-1, reason: r, owner: ''}\n",
        expect![[r#"
        p.yaml:6: an exception without an owner
        hint: say who accepted it
    "#]],
    );
}

#[test]
fn patterns_that_match_nothing() {
    for (pattern, expected) in [
        (
            "nginx",
            expect![[r#"
            p.yaml:7: `nginx` names no registry
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "team/app",
            expect![[r#"
            p.yaml:7: `team/app` names no registry
            hint: write `docker.io/team/app`
        "#]],
        ),
        (
            "docker.io/nginx",
            expect![[r#"
            p.yaml:7: `docker.io/nginx` matches nothing: official images are under `library/`
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "index.docker.io/library/nginx",
            expect![[r#"
            p.yaml:7: `index.docker.io` is not the canonical name
            hint: write `docker.io/library/nginx`
        "#]],
        ),
        (
            "registry.example/team/app:1.2",
            expect![[r#"
            p.yaml:7: `registry.example/team/app:1.2` names a tag or digest: patterns are of repositories
            hint: write `registry.example/team/app`
        "#]],
        ),
        (
            "registry.example:5000/app@sha256:00",
            expect![[r#"
            p.yaml:7: `registry.example:5000/app@sha256:00` names a tag or digest: patterns are of repositories
            hint: write `registry.example:5000/app`
        "#]],
        ),
        (
            "registry.example/Team/*",
            expect![[r#"
            p.yaml:7: `registry.example/Team/*` matches nothing: names are in lower case
            hint: write `registry.example/team/*`
        "#]],
        ),
        (
            "registry.example/team/",
            expect![[r#"
            p.yaml:7: `registry.example/team/` holds an empty segment
            hint: write `registry.example/team/**` for all that is under `team`
        "#]],
        ),
        (
            "registry.example/a b",
            expect![[r#"
            p.yaml:7: `registry.example/a b` is not a pattern: it holds a space or a control character
        "#]],
        ),
        (
            "a***",
            expect![[r#"
            p.yaml:7: `a***` is not a pattern: `***` means nothing: `*` stays inside a segment, `**` crosses slashes
        "#]],
        ),
    ] {
        check(&format!("spec:\n  images:\n  - '**'\n  - '{pattern}'\n"), expected);
    }
    check(
        "spec:\n  images: []\n",
        expect![[r#"
        p.yaml:5: an empty list speaks of no image at all
        hint: leave `images` out to speak of every image, or name some: ["registry.example/team/**"]
    "#]],
    );
}

#[test]
fn other_refusals() {
    check(
        "spec:\n  vulnerabilities: {epssAbove: 50}\n",
        expect![[r#"
        p.yaml:5: 50 is not an EPSS score
        hint: EPSS scores are probabilities from 0.0 to 1.0: write 0.5 for 50 %
    "#]],
    );
    check(
        "spec:\n  vulnerabilities: {epssAbove: .nan}\n",
        expect![[r#"
            p.yaml:5: NaN is not an EPSS score
            hint: EPSS scores are probabilities from 0.0 to 1.0: write 0.5 for 50 %
        "#]],
    );
    check(
        "spec:\n  vulnerabilities: {graceDays: -1}\n",
        expect![[r#"
            p.yaml:5: not a value of the right kind
        "#]],
    );
    check(
        "spec:\n  vulnerabilities:\n    maxDatabaseAge: 7 days\n",
        expect![[r#"
        p.yaml:6: `7 days` is not a length of time such as 30m, 24h, 7d or 1d12h
    "#]],
    );
    check(
        "spec:\n  licenses: {deny: ['GPL v3']}\n",
        expect![[r#"
        p.yaml:5: `GPL v3` is not an SPDX id
        hint: name one SPDX id an entry, such as AGPL-3.0-only
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: []}\n",
        expect![[r#"
        p.yaml:5: nobody may vouch: the list is empty
        hint: name a `key`, or an `identity` with its `issuer`
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{identity: a@b.c}]}\n",
        expect![[r#"
        p.yaml:5: an identity without the issuer that vouches for it
        hint: add `issuer`, such as https://token.actions.githubusercontent.com
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{issuer: 'https://a'}]}\n",
        expect![[r#"
        p.yaml:5: an issuer without an identity would trust everyone it knows
        hint: add `identity`
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{key: k, issuer: 'https://a'}]}\n",
        expect![[r#"
        p.yaml:5: both a key and an identity
        hint: make two authorities of it: one of them is enough
    "#]],
    );
    check(
        "spec:\n  evidence: {authorities: [{}]}\n",
        expect![[r#"
        p.yaml:5: an authority that names nobody
        hint: name a `key`, or an `identity` with its `issuer`
    "#]],
    );
}
