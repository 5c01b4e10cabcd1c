//! The table, as a terminal shows it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use expect_test::{Expect, expect};
use portcullis_model::Report;
use portcullis_report::{RenderOptions, format_named};

fn check(report: &Report, options: &RenderOptions, expected: Expect) {
    let mut out = Vec::new();
    format_named("table").unwrap().write(report, options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    if !options.color {
        for line in text.lines() {
            assert!(line.chars().count() <= options.width, "{line}");
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn everything_on_one_page() {
    check(
        &sample::report(),
        &RenderOptions { show_suppressed: true, ..RenderOptions::default() },
        expect![[r#"
            registry.example/team/app:1.2 (linux/amd64)
              digest        sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
              base          docker.io/library/debian:12 (1 of 2 layers, a guess from the history): brings 4 of 6
                            findings
              distribution  Debian GNU/Linux 12 (bookworm)
              packages      6
              database      of 2026-11-22T00:00:00Z, 3 days old (starter: knows little; run `portcullis db
                            update`)

            libssl3 3.0.11-1~deb12u2 (deb)
              in layer 1 of 2 (base image)
              CRITICAL  CVE-2024-0001  fixed in 3.0.13-1~deb12u1  [exploited] Memory is written out of bounds
              HIGH      CVE-2024-0002  fixed in 3.0.15-1~deb12u1  A certificate is not checked

            openssl 3.0.11-1~deb12u2 (deb)
              in layer 1 of 2 (base image)
              CRITICAL  CVE-2024-0001  fixed in 3.0.13-1~deb12u1  [exploited] Memory is written out of bounds
              LOW       CVE-2025-0003  will not be fixed          Timing differs by key

            lodash 4.17.20 (npm)
              in opt/app/node_modules/lodash/package.json (layer 2 of 2) and 1 more
              HIGH      CVE-2021-23337  fixed in 4.17.21  Command injection in lodash

            golang.org/x/net v0.17.0 (golang)
              in usr/local/bin/tool (layer 2 of 2)
              UNKNOWN   GO-2023-2102  fixed in v0.17.1  HTTP/2 rapid reset

            suppressed: CVE-2023-0004 in urllib3 1.26.5: policy-exception: no redirects are followed
                (team@example.com) (until 2027-01-01T00:00:00Z)
            6 findings: 2 critical, 2 high, 1 low, 1 unknown; 1 suppressed
            could not read: opt/app/lib/huge.jar: nested archives are deeper than 8
            note: var/lib/dpkg/status: line 7: an unknown field
            coverage: 2 of 120 executable files (11.1% of the bytes) belong to no known package

            FAIL policy baseline
              fail vulnerabilities.failOn: 4 vulnerabilities of severity high or worse: CVE-2024-0001 in
                  libssl3 3.0.11-1~deb12u2, CVE-2024-0001 in openssl 3.0.11-1~deb12u2, CVE-2021-23337 in lodash
                  4.17.20 and 1 more
              unknown inventory: not everything could be read: `opt/app/lib/huge.jar`: nested archives are
                  deeper than 8
              pass vulnerabilities.onlyFixed: 1 vulnerability without a fix, not counted

            what to do
              upgrade libssl3 from 3.0.11-1~deb12u2 to 3.0.15-1~deb12u1: fixes 2, the worst critical
                apt-get install --only-upgrade libssl3
              upgrade openssl from 3.0.11-1~deb12u2 to 3.0.13-1~deb12u1: fixes 1, the worst critical
                apt-get install --only-upgrade openssl
              upgrade lodash from 4.17.20 to 4.17.21: fixes 1, the worst high; needed by @team/widget 1.0.0
              upgrade golang.org/x/net from v0.17.0 to v0.17.1: fixes 1, the worst unknown
                go get golang.org/x/net@v0.17.1
        "#]],
    );
}

#[test]
fn ids_and_versions_are_whole_however_long() {
    let mut report = sample::report();
    let id = "x_RUBYSEC-nokogiri-GHSA-2qc6-mcvw-92cw";
    let version = "0.0.0-20201216223049-8b5274cf687f";
    let mut other = report.findings[3].clone();
    (other.id, other.cve) = (id.into(), None);
    report.findings[3].fixed_versions = vec![version.to_owned()];
    let mut both = report.findings[3].clone();
    (both.id, both.cve) = (format!("{id}-{}", "x".repeat(100)).into(), None);
    both.fixed_versions = (1..20).map(|minor| format!("1.{minor}.10-rc.1")).collect();
    report.findings.extend([other, both]);
    for width in [40, 60, 100] {
        let mut out = Vec::new();
        let options = RenderOptions { width, ..RenderOptions::default() };
        format_named("table").unwrap().write(&report, &options, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= width && line.trim_end() == line), "{text}");
        let joined: String = text.split_whitespace().collect();
        for whole in [id, version, "1.19.10-rc.1"] {
            assert!(joined.contains(whole), "{whole} at {width}: {text}");
        }
        if width == 100 {
            let group = &text[text.find("lodash 4.17.20 (npm)").unwrap()..];
            let (group, _) = group.split_once("\n\n").unwrap();
            expect![[r#"
                lodash 4.17.20 (npm)
                  in opt/app/node_modules/lodash/package.json (layer 2 of 2) and 1 more
                  HIGH      CVE-2021-23337  fixed in 0.0.0-20201216223049-8b5274cf687f
                            Command injection in lodash
                  HIGH      x_RUBYSEC-nokogiri-GHSA-2qc6-mcvw-92cw
                            fixed in 4.17.21  Command injection in lodash
                  HIGH      x_RUBYSEC-nokogiri-GHSA-2qc6-mcvw-92cw-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                            fixed in 1.1.10-rc.1, 1.2.10-rc.1, 1.3.10-rc.1, 1.4.10-rc.1, 1.5.10-rc.1, 1.6.10-rc.1,
                            1.7.10-rc.1, 1.8.10-rc.1, 1.9.10-rc.1, 1.10.10-rc.1, 1.11.10-rc.1, 1.12.10-rc.1,
                            1.13.10-rc.1, 1.14.10-rc.1, 1.15.10-rc.1, 1.16.10-rc.1, 1.17.10-rc.1, 1.18.10-rc.1,
                            1.19.10-rc.1
                            Command injection in lodash"#]]
            .assert_eq(group);
        }
    }
}

#[test]
fn narrow_terminal() {
    check(
        &sample::report(),
        &RenderOptions { width: 60, ..RenderOptions::default() },
        expect![[r#"
            registry.example/team/app:1.2 (linux/amd64)
              digest        sha256:05b3abf2579a5eb66403cd78be557fd860633
                            a1fe2103c7642030defe32c657f
              base          docker.io/library/debian:12 (1 of 2 layers,
                            a guess from the history): brings 4 of 6
                            findings
              distribution  Debian GNU/Linux 12 (bookworm)
              packages      6
              database      of 2026-11-22T00:00:00Z, 3 days old
                            (starter: knows little; run `portcullis db
                            update`)

            libssl3 3.0.11-1~deb12u2 (deb)
              in layer 1 of 2 (base image)
              CRITICAL  CVE-2024-0001  fixed in 3.0.13-1~deb12u1
                        [exploited] Memory is written out of bounds
              HIGH      CVE-2024-0002  fixed in 3.0.15-1~deb12u1
                        A certificate is not checked

            openssl 3.0.11-1~deb12u2 (deb)
              in layer 1 of 2 (base image)
              CRITICAL  CVE-2024-0001  fixed in 3.0.13-1~deb12u1
                        [exploited] Memory is written out of bounds
              LOW       CVE-2025-0003  will not be fixed  Timing differ…

            lodash 4.17.20 (npm)
              in opt/app/node_modules/lodash/package.json (layer 2 of …
              HIGH      CVE-2021-23337  fixed in 4.17.21  Command injec…

            golang.org/x/net v0.17.0 (golang)
              in usr/local/bin/tool (layer 2 of 2)
              UNKNOWN   GO-2023-2102  fixed in v0.17.1  HTTP/2 rapid re…

            6 findings: 2 critical, 2 high, 1 low, 1 unknown; 1
                suppressed
            could not read: opt/app/lib/huge.jar: nested archives
                are deeper than 8
            note: var/lib/dpkg/status: line 7: an unknown field
            coverage: 2 of 120 executable files (11.1% of the bytes)
                belong to no known package

            FAIL policy baseline
              fail vulnerabilities.failOn: 4 vulnerabilities of
                  severity high or worse: CVE-2024-0001 in libssl3
                  3.0.11-1~deb12u2, CVE-2024-0001 in openssl
                  3.0.11-1~deb12u2, CVE-2021-23337 in lodash 4.17.20 and
                  1 more
              unknown inventory: not everything could be read:
                  `opt/app/lib/huge.jar`: nested archives are deeper
                  than 8
              pass vulnerabilities.onlyFixed: 1 vulnerability
                  without a fix, not counted

            what to do
              upgrade libssl3 from 3.0.11-1~deb12u2 to
                  3.0.15-1~deb12u1: fixes 2, the worst critical
                apt-get install --only-upgrade libssl3
              upgrade openssl from 3.0.11-1~deb12u2 to
                  3.0.13-1~deb12u1: fixes 1, the worst critical
                apt-get install --only-upgrade openssl
              upgrade lodash from 4.17.20 to 4.17.21: fixes 1, the
                  worst high; needed by @team/widget 1.0.0
              upgrade golang.org/x/net from v0.17.0 to v0.17.1:
                  fixes 1, the worst unknown
                go get golang.org/x/net@v0.17.1
        "#]],
    );
}

#[test]
fn nothing_found() {
    check(
        &sample::clean_report(),
        &RenderOptions::default(),
        expect![[r#"
            registry.example/team/app:1.2 (linux/amd64)
              digest        sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
              base          docker.io/library/debian:12 (1 of 2 layers, a guess from the history): brings 0 of 0
                            findings
              distribution  Debian GNU/Linux 12 (bookworm)
              packages      6
              database      of 2026-11-22T00:00:00Z, 3 days old

            0 findings

            PASS policy baseline
              pass vulnerabilities: no vulnerability was found
        "#]],
    );
}

#[test]
fn colours() {
    let mut report = sample::report();
    report.findings.truncate(1);
    check(
        &report,
        &RenderOptions { color: true, ..RenderOptions::default() },
        expect![[r#"
            [1mregistry.example/team/app:1.2 (linux/amd64)[0m
              digest        sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
              base          docker.io/library/debian:12 (1 of 2 layers, a guess from the history): brings 1 of 1
                            finding
              distribution  Debian GNU/Linux 12 (bookworm)
              packages      6
              database      of 2026-11-22T00:00:00Z, 3 days old (starter: knows little; run `portcullis db
                            update`)

            [1mlibssl3 3.0.11-1~deb12u2 (deb)[0m
              [2min layer 1 of 2 (base image)[0m
              [1m[31mCRITICAL[0m  CVE-2024-0001  fixed in 3.0.13-1~deb12u1  [exploited] Memory is written out of bounds

            [1m1 finding: 1 critical[0m
            [33mcould not read: opt/app/lib/huge.jar: nested archives are deeper than 8[0m
            [2mnote: var/lib/dpkg/status: line 7: an unknown field[0m
            [2mcoverage: 2 of 120 executable files (11.1% of the bytes) belong to no known package[0m

            [1m[31mFAIL policy baseline[0m
              fail vulnerabilities.failOn: 4 vulnerabilities of severity high or worse: CVE-2024-0001 in
                  libssl3 3.0.11-1~deb12u2, CVE-2024-0001 in openssl 3.0.11-1~deb12u2, CVE-2021-23337 in lodash
                  4.17.20 and 1 more
              unknown inventory: not everything could be read: `opt/app/lib/huge.jar`: nested archives are
                  deeper than 8
              pass vulnerabilities.onlyFixed: 1 vulnerability without a fix, not counted

            [1mwhat to do[0m
              upgrade libssl3 from 3.0.11-1~deb12u2 to 3.0.13-1~deb12u1: fixes 1, the worst critical
                [2mapt-get install --only-upgrade libssl3[0m
        "#]],
    );
}

#[test]
fn an_inventory_is_its_packages_and_no_verdict() {
    let report = sample::inventory();
    check(
        &report,
        &RenderOptions { width: 70, ..RenderOptions::default() },
        expect![[r#"
            registry.example/team/app:1.2 (linux/amd64)
              digest        sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7
                            642030defe32c657f
              base          docker.io/library/debian:12 (1 of 2 layers, a guess
                            from the history)
              distribution  Debian GNU/Linux 12 (bookworm)
              packages      6

            deb     libssl3           3.0.11-1~deb12u2
            deb     openssl           3.0.11-1~deb12u2
            golang  golang.org/x/net  v0.17.0           usr/local/bin/tool
            npm     @team/widget      1.0.0             opt/app/node_modules/@tea…
            npm     lodash            4.17.20           opt/app/node_modules/loda…
            pypi    urllib3           1.26.5            opt/venv/lib/python3.11/s…

            NOT JUDGED
              unknown inventory: nothing was judged
        "#]],
    );
    // Whoever converts it into a format of packages finds each of them, and nothing that looks like a pass.
    for format in portcullis_report::FORMATS.iter().filter(|format| format.lists_packages()) {
        let mut out = Vec::new();
        format.write(&report, &RenderOptions::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let names = report.inventory.packages.iter().map(|package| &*package.name);
        let missing: Vec<_> = names.filter(|name| !text.contains(name.rsplit('/').next().unwrap())).collect();
        assert!(format.needs_executables() || missing.is_empty(), "{}: {missing:?}", format.name());
        assert!(!text.contains("PASS") && !text.contains("\"pass\""), "{}: {text}", format.name());
    }
    assert!(portcullis_report::headline(&report, None).starts_with("NOT JUDGED"));
}
