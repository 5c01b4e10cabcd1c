//! Facts of an ordinary image, and what a policy says of them.

use std::{fmt::Write as _, sync::Arc};

use expect_test::Expect;
use portcullis_model::{
    DatabaseInfo, DatabaseSource, Digest, Evidence, ExploitPrediction, Finding, FindingPackage, FixState, Package,
    PackageType, Severity, SeverityLevel, Text, Timestamp, Warning,
};
use portcullis_policy::{DistributionState, Facts, Judgement, Policy, judge};

pub(crate) fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

pub(crate) fn policy(spec: &str) -> Policy {
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

/// `id level state`, then any of `kev`, `epss=0.9`, `published=2026-11-20`, `package=zlib`, `last=3.0.12`.
pub(crate) fn finding(text: &str) -> Finding {
    let mut words = text.split(' ');
    let id = words.next().unwrap();
    let level: SeverityLevel = words.next().unwrap().parse().unwrap();
    let state: FixState = serde_json::from_value(words.next().unwrap().into()).unwrap();
    let mut finding = Finding {
        cve: id.starts_with("CVE-").then(|| id.into()),
        id: id.into(),
        aliases: Vec::new(),
        title: Text::default(),
        package: Arc::new(FindingPackage {
            kind: PackageType::Deb,
            name: "openssl".to_owned(),
            version: "3.0.11-1".to_owned(),
            purl: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64".to_owned(),
            locations: Vec::new(),
        }),
        severity: Severity { level, ..Severity::default() },
        state,
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
            ecosystem: "Debian:12".into(),
            name: "openssl-source".into(),
            version: "3.0.11-1".into(),
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
            Some(("package", name)) => Arc::make_mut(&mut finding.package).name = name.to_owned(),
            Some(("last", version)) => finding.last_affected = Some(version.into()),
            Some(("alias", id)) => finding.aliases.push(id.into()),
            _ => panic!("{word}"),
        }
    }
    finding
}

/// Facts of an ordinary image; tests change what they are about.
pub(crate) struct Image {
    pub(crate) findings: Vec<Finding>,
    pub(crate) packages: Vec<Package>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) distribution: DistributionState<'static>,
    pub(crate) uncovered: Vec<String>,
    pub(crate) database: DatabaseInfo,
    pub(crate) secrets: Option<u64>,
}

impl Image {
    pub(crate) fn with(findings: &[&str]) -> Self {
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

    pub(crate) fn judge(&self, policy: &Policy) -> Judgement {
        let Self { findings, packages, warnings, distribution, uncovered, database, secrets } = self;
        let facts =
            Facts { findings, packages, warnings, distribution: *distribution, uncovered, database, secrets: *secrets };
        judge(policy, &facts, now())
    }

    pub(crate) fn check(&self, spec: &str, expected: Expect) {
        let judgement = self.judge(&policy(spec));
        let mut said = format!("{}\n", judgement.result);
        for reason in &judgement.reasons {
            writeln!(said, "- {} {}: {}", reason.result, reason.rule, reason.message).unwrap();
        }
        expected.assert_eq(&said);
    }
}
