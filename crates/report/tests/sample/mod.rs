//! A fixed report, with one of everything: what the tests of formats look at.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by tests that each use a part of it")]

use std::sync::Arc;

use portcullis_model::{
    AdvisoryCoverage, BaseEvidence, BaseImage, Coverage, DatabaseInfo, DatabaseSource, Digest, Distribution,
    DistributionCoverage, Evidence, ExecutableFile, ExploitPrediction, Finding, FixState, Inputs, Inventory, LayerInfo,
    Location, Outcome, Package, PackageType, Platform, PolicyRef, Purl, Reason, Report, SCHEMA_VERSION, Severity,
    SeverityLevel, SourcePackage, Suppression, Target, Timestamp, Tool, Uncovered, Verdict, Warning,
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn base_layer() -> Digest {
    Digest::of(b"base layer")
}

fn app_layer() -> Digest {
    Digest::of(b"application layer")
}

/// An image with packages of a distribution and of npm, PyPI and Go; findings of most states; a gap and a note.
pub(crate) fn report() -> Report {
    let packages = packages();
    let findings = findings(&packages);
    Report {
        schema_version: SCHEMA_VERSION,
        created: time("2026-11-25T12:00:00Z"),
        tool: Tool { name: "portcullis".to_owned(), version: "0.1.0".to_owned() },
        target: target(),
        distribution: Some(Distribution {
            id: "debian".to_owned(),
            version_id: "12".to_owned(),
            name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            codename: Some("bookworm".to_owned()),
            ..Distribution::default()
        }),
        advisory_coverage: Some(AdvisoryCoverage {
            distribution: DistributionCoverage::Covered,
            ecosystems: vec!["Debian:12".to_owned()],
            end_of_life: Some(time("2028-06-30T00:00:00Z")),
            uncovered: vec![Uncovered { what: "deb packages by Docker".to_owned(), packages: 1 }],
        }),
        inventory: Inventory {
            packages,
            warnings: vec![
                Warning::gap("opt/app/lib/huge.jar", "nested archives are deeper than 8"),
                Warning::note("var/lib/dpkg/status", "line 7: an unknown field"),
            ],
        },
        findings,
        upgrades: Vec::new(),
        verdict: verdict(),
        coverage: Some(Coverage {
            executable_files: 120,
            executable_bytes: 9_000_000,
            known_files: 118,
            known_bytes: 8_000_000,
            unknown: vec!["opt/app/run".to_owned(), "usr/local/bin/tool".to_owned()],
        }),
        executables: Some(vec![ExecutableFile {
            path: "usr/local/bin/tool".to_owned(),
            digest: Digest::of(b"tool"),
            size: 4,
            mode: "0755".to_owned(),
            layer: None,
            owner: None,
        }]),
        database: database(),
    }
}

/// The same image with nothing wrong, nothing unread and nothing unknown.
pub(crate) fn clean_report() -> Report {
    let mut report = report();
    report.findings.clear();
    report.inventory.warnings.clear();
    report.coverage = None;
    if let Some(coverage) = &mut report.advisory_coverage {
        coverage.uncovered.clear();
    }
    report.database.starter = false;
    report.verdict.result = Outcome::Pass;
    report.verdict.reasons = vec![reason(Outcome::Pass, "vulnerabilities", "no vulnerability was found")];
    report
}

/// The same image, matched with nothing.
pub(crate) fn inventory() -> Report {
    let mut report = clean_report();
    report.advisory_coverage = None;
    report.verdict.result = Outcome::Unknown;
    report.verdict.reasons = vec![reason(Outcome::Unknown, "inventory", "nothing was judged")];
    report
}

fn target() -> Target {
    let layer = |diff_id: Digest, created_by: &str| LayerInfo {
        digest: Some(Digest::of(created_by.as_bytes())),
        diff_id,
        created_by: Some(created_by.to_owned()),
    };
    Target {
        reference: "registry.example/team/app:1.2".to_owned(),
        digest: Some(Digest::of(b"manifest")),
        index_digest: None,
        config_digest: Some(Digest::of(b"config")),
        platform: Some(Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }),
        created: Some(time("2026-11-20T08:00:00Z")),
        layers: vec![
            layer(base_layer(), "/bin/sh -c #(nop) ADD file:abc in / "),
            layer(app_layer(), "COPY app /opt/app # buildkit"),
        ],
        base: Some(BaseImage {
            reference: Some("docker.io/library/debian:12".to_owned()),
            digest: None,
            layers: 1,
            known_by: BaseEvidence::History,
        }),
        labels: [("org.opencontainers.image.source".to_owned(), "https://git.example/team/app".to_owned())].into(),
    }
}

fn package(kind: PackageType, name: &str, version: &str, path: &str) -> Package {
    let (namespace, short) = match kind {
        PackageType::Deb => ("debian", name),
        _ => name.rsplit_once('/').unwrap_or(("", name)),
    };
    let layer = if kind == PackageType::Deb { base_layer() } else { app_layer() };
    let purl = Purl::new(kind, namespace, short, version);
    let is_deb = kind == PackageType::Deb;
    Package {
        purl: if is_deb {
            purl.qualifier("arch", "amd64").qualifier("distro", "debian-12").build()
        } else {
            purl.build()
        },
        source: is_deb.then(|| SourcePackage { name: "openssl".to_owned(), version: version.to_owned() }),
        architecture: is_deb.then(|| "amd64".to_owned()),
        vendor: is_deb.then(|| "Debian OpenSSL Team".to_owned()),
        locations: vec![Location { path: path.to_owned(), layer: Some(layer) }],
        ..Package::new(kind, name, version)
    }
}

fn packages() -> Vec<Package> {
    let mut packages = vec![
        package(PackageType::Deb, "libssl3", "3.0.11-1~deb12u2", "var/lib/dpkg/status"),
        package(PackageType::Deb, "openssl", "3.0.11-1~deb12u2", "var/lib/dpkg/status"),
        package(PackageType::Golang, "golang.org/x/net", "v0.17.0", "usr/local/bin/tool"),
        package(PackageType::Npm, "@team/widget", "1.0.0", "opt/app/node_modules/@team/widget/package.json"),
        package(PackageType::Npm, "lodash", "4.17.20", "opt/app/node_modules/lodash/package.json"),
        package(
            PackageType::Pypi,
            "urllib3",
            "1.26.5",
            "opt/venv/lib/python3.11/site-packages/urllib3-1.26.5.dist-info/METADATA",
        ),
    ];
    packages[0].depends_on = vec![packages[1].purl.clone()];
    packages[3].depends_on = vec![packages[4].purl.clone()];
    packages[3].licenses = vec!["UNLICENSED".to_owned()];
    packages[4].licenses = vec!["MIT".to_owned()];
    packages[4].locations.push(Location {
        path: "opt/app/node_modules/x/node_modules/lodash/package.json".to_owned(),
        layer: Some(app_layer()),
    });
    packages[5].licenses = vec!["MIT OR Apache-2.0".to_owned()];
    packages
}

/// A finding in `package`, affected and without a fix; tests change what they are about.
pub(crate) fn finding(package: &Package, id: &str, level: SeverityLevel, title: &str) -> Finding {
    let ecosystem = match package.kind {
        PackageType::Deb => "Debian:12",
        PackageType::Golang => "Go",
        PackageType::Npm => "npm",
        _ => "PyPI",
    };
    Finding {
        id: id.into(),
        aliases: Vec::new(),
        cve: id.starts_with("CVE-").then(|| id.into()),
        title: title.into(),
        package: Arc::new(package.into()),
        severity: Severity { level, ..Severity::default() },
        state: FixState::Affected,
        fixed_versions: Vec::new(),
        last_affected: None,
        kev: false,
        epss: None,
        published: None,
        cwes: Vec::new(),
        references: Vec::new(),
        denied: false,
        suppressed: None,
        evidence: Evidence {
            ecosystem: ecosystem.into(),
            name: package.source.as_ref().map_or(&package.name, |source| &source.name).into(),
            version: package.version.trim_start_matches('v').into(),
            range: ">= 0".to_owned(),
            sources: vec![id.into()],
        },
    }
}

fn fixed(mut finding: Finding, version: &str) -> Finding {
    finding.state = FixState::Fixed;
    finding.fixed_versions = vec![version.to_owned()];
    finding.evidence.range = format!(">= 0, < {version}");
    finding
}

fn findings(packages: &[Package]) -> Vec<Finding> {
    let [libssl, openssl, net, _, lodash, urllib3] = packages else { panic!("six packages") };
    let mut exploited = fixed(
        finding(libssl, "DEBIAN-CVE-2024-0001", SeverityLevel::Critical, "Memory is written out of bounds"),
        "3.0.13-1~deb12u1",
    );
    exploited.cve = Some("CVE-2024-0001".into());
    exploited.aliases = vec!["CVE-2024-0001".into()];
    exploited.severity.score = Some(9.8);
    exploited.severity.vector = Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into());
    exploited.severity.source = Some("advisory".into());
    exploited.kev = true;
    exploited.epss = Some(ExploitPrediction { score: 0.93, percentile: 0.99 });
    exploited.published = Some(time("2024-01-09T00:00:00Z"));
    exploited.cwes = vec!["CWE-787".into()];
    exploited.references = vec!["https://security-tracker.debian.org/tracker/CVE-2024-0001".into()];
    let mut twin = exploited.clone();
    let of_twin = Arc::make_mut(&mut twin.package);
    (of_twin.name, of_twin.purl) = (openssl.name.clone(), openssl.purl.clone());
    let mut second = fixed(
        finding(libssl, "CVE-2024-0002", SeverityLevel::High, "A certificate is not checked"),
        "3.0.15-1~deb12u1",
    );
    let mut pollution =
        fixed(finding(lodash, "GHSA-35jh-r3h4-6jhm", SeverityLevel::High, "Command injection in lodash"), "4.17.21");
    pollution.cve = Some("CVE-2021-23337".into());
    pollution.aliases = vec!["CVE-2021-23337".into()];
    pollution.severity.score = Some(7.2);
    let mut reset = fixed(finding(net, "GO-2023-2102", SeverityLevel::Unknown, "HTTP/2 rapid reset"), "0.17.1");
    reset.epss = Some(ExploitPrediction { score: 0.5, percentile: 0.9 });
    let mut unfixed = finding(openssl, "CVE-2025-0003", SeverityLevel::Low, "Timing differs by key");
    unfixed.state = FixState::WillNotFix;
    let mut accepted =
        fixed(finding(urllib3, "CVE-2023-0004", SeverityLevel::Medium, "A cookie follows a redirect"), "1.26.17");
    accepted.suppressed = Some(Box::new(Suppression {
        by: "policy-exception".to_owned(),
        reason: "no redirects are followed (team@example.com)".to_owned(),
        expires: Some(time("2027-01-01T00:00:00Z")),
    }));
    for denied in [&mut exploited, &mut twin, &mut second, &mut pollution] {
        denied.denied = true;
    }
    vec![exploited, twin, second, pollution, accepted, unfixed, reset]
}

fn reason(result: Outcome, rule: &str, message: &str) -> Reason {
    Reason { result, rule: rule.to_owned(), message: message.to_owned() }
}

fn verdict() -> Verdict {
    let policy = Digest::of(b"policy");
    Verdict {
        result: Outcome::Fail,
        policy: PolicyRef { name: "baseline".to_owned(), digest: policy, audit: false },
        reasons: vec![
            reason(
                Outcome::Fail,
                "vulnerabilities.failOn",
                "4 vulnerabilities of severity high or worse: CVE-2024-0001 in libssl3 3.0.11-1~deb12u2, CVE-2024-0001 in openssl 3.0.11-1~deb12u2, CVE-2021-23337 in lodash 4.17.20 and 1 more",
            ),
            reason(
                Outcome::Unknown,
                "inventory",
                "not everything could be read: `opt/app/lib/huge.jar`: nested archives are deeper than 8",
            ),
            reason(Outcome::Pass, "vulnerabilities.onlyFixed", "1 vulnerability without a fix, not counted"),
        ],
        inputs: Inputs {
            image: Some(Digest::of(b"manifest")),
            inventory: Digest::of(b"inventory"),
            database: Digest::of(b"database"),
            policy,
            vex: Vec::new(),
            engine: "0.1.0".to_owned(),
        },
        time: time("2026-11-25T12:00:00Z"),
    }
}

fn database() -> DatabaseInfo {
    let source = |name: &str, records| DatabaseSource {
        name: name.to_owned(),
        records,
        newest: Some(time("2026-11-22T00:00:00Z")),
    };
    DatabaseInfo {
        digest: Digest::of(b"database"),
        built: time("2026-11-22T00:00:00Z"),
        starter: true,
        sources: vec![source("kev", 12), source("osv/Debian", 3), source("osv/npm", 1)],
    }
}

/// Names that attack whatever shows them.
pub(crate) const NASTIES: &[&str] = &[
    "\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}",
    "\u{9b}31mcsi",
    "<script>alert(1)</script>",
    "<!--",
    "]]>",
    "&amp;\"'><img src=x onerror=alert(1)>",
    "a|b|c",
    "`code` ``` ~~~",
    "[link](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "@everyone #1 GH-1",
    "first\nsecond\r\nthird",
    "\n::error::injected",
    "::add-mask::x",
    "##[error]injected",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildStatus text='x']",
    "\u{202e}gnp.exe\u{202c}",
    "\u{2066}isolated\u{2069}",
    "zero\u{200b}width\u{feff}",
    "tag\u{e0041}\u{e0042}",
    "nul\0nul",
    "../../../etc/passwd",
    "$(id) `id` ; rm -rf / && true",
    "%0a%0d%00 %s %n {} {0} {{x}}",
    "\u{fffe}\u{ffff}\u{fff9}",
    "",
    " ",
    "-rf",
];

/// The sample with every nasty as the name, version, path, title and reason of something, and one of a megabyte.
pub(crate) fn hostile_report() -> Report {
    let mut report = report();
    let long = "A very long name \u{1b}[0m|<b>".repeat(40_000);
    let template = report.inventory.packages[4].clone();
    report.findings.clear();
    for (index, nasty) in NASTIES.iter().copied().chain([long.as_str()]).enumerate() {
        let mut package = template.clone();
        package.name = nasty.to_owned();
        package.version = nasty.to_owned();
        package.purl = Purl::new(PackageType::Npm, "", if nasty.is_empty() { "empty" } else { nasty }, nasty).build();
        package.licenses = vec![nasty.to_owned()];
        package.vendor = Some(nasty.to_owned());
        package.locations = vec![Location { path: nasty.to_owned(), layer: Some(app_layer()) }];
        let mut bad = fixed(finding(&package, nasty, SeverityLevel::High, nasty), nasty);
        bad.aliases = vec![nasty.into()];
        bad.references = vec![nasty.into(), format!("https://example.com/{nasty}").into()];
        bad.cwes = vec![nasty.into()];
        if index % 5 == 4 {
            let (by, reason) = (nasty.to_owned(), nasty.to_owned());
            bad.suppressed = Some(Box::new(Suppression { by, reason, expires: None }));
        }
        report.findings.push(bad);
        report.inventory.packages.push(package);
        report.inventory.warnings.push(Warning::gap(nasty, nasty));
        report.verdict.reasons.push(reason(Outcome::Fail, nasty, nasty));
        report.target.labels.insert(nasty.to_owned(), nasty.to_owned());
    }
    let nasty: String = NASTIES.concat();
    report.target.reference = nasty.clone();
    report.verdict.policy.name = nasty.clone();
    report.tool.version = nasty.clone();
    if let Some(distribution) = &mut report.distribution {
        distribution.name = nasty.clone();
        distribution.version_id = nasty;
    }
    report
}
