//! Cases beside a policy: what it is to say of a finding, a licence, an old verdict. `docs/policy.md` describes the file.

use std::sync::Arc;

use portcullis_model::{
    DatabaseInfo, DatabaseSource, Digest, ExploitPrediction, Finding, FindingPackage, FixState, Outcome, Package,
    PackageType, Report, Severity, SeverityLevel, Text, Timestamp, VERIFIER_ID, Warning,
};
use serde::Deserialize;

use crate::{
    Age, DistributionState, EvidenceKind, Facts, Judgement, Policy, PolicyError, SummaryFacts, SummaryResult,
    apply_exceptions, judge, judge_evidence, parse, rejudge,
};

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cases {
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// What a policy is to say of one thing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// Its name, for people.
    pub name: String,
    /// The policy that is asked, where the file has several.
    #[serde(default)]
    pub policy: Option<String>,
    /// The moment; that of the report, or now.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// A report that `scan -o json` wrote, by its path from the file of cases.
    #[serde(default)]
    pub report: Option<String>,
    /// The image's repository by its canonical name, which the policy must speak of.
    #[serde(default)]
    pub image: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub findings: Vec<CaseFinding>,
    /// What is in it.
    #[serde(default)]
    pub packages: Vec<CasePackage>,
    /// Paths that could not be read.
    #[serde(default)]
    pub gaps: Vec<String>,
    /// How old the advisories are. Left out: new.
    #[serde(default)]
    pub database_age: Option<Age>,
    /// Whether no advisory speaks of its distribution.
    #[serde(default)]
    pub uncovered_distribution: bool,
    /// The verdicts that are attested. Left out: evidence is not asked for.
    #[serde(default)]
    pub evidence: Option<Vec<CaseVerdict>>,
    /// What is attested beside them. Left out: all that the policy requires.
    #[serde(default)]
    pub statements: Option<Vec<EvidenceKind>>,
    /// What the policy is to say.
    pub expect: Outcome,
    /// Rules that must be among the reasons for that.
    #[serde(default)]
    pub because: Vec<String>,
}

/// A finding, in short.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseFinding {
    /// The advisory.
    pub id: String,
    /// How bad.
    pub severity: SeverityLevel,
    /// The package's name.
    #[serde(default = "some_package")]
    pub package: String,
    /// The version that fixes it.
    #[serde(default)]
    pub fixed: Option<String>,
    /// Whether it is known to be exploited.
    #[serde(default)]
    pub kev: bool,
    /// FIRST's score, 0.0–1.0.
    #[serde(default)]
    pub epss: Option<f64>,
    /// When it was published.
    #[serde(default)]
    pub published: Option<Timestamp>,
}

/// A package, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CasePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Its ecosystem.
    #[serde(default, rename = "type")]
    pub kind: Option<PackageType>,
    /// Its licences.
    #[serde(default)]
    pub licenses: Vec<String>,
}

/// An attested verdict, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseVerdict {
    /// `PASSED` or `FAILED`.
    pub result: CaseResult,
    /// How old it is. Left out: it is of now.
    #[serde(default)]
    pub age: Option<Age>,
    /// Which of the policy's authorities signed it, from 1.
    #[serde(default = "one")]
    pub authority: usize,
    /// Who verified. Left out: Portcullis.
    #[serde(default)]
    pub verifier: Option<String>,
    /// The policy that was asked, by digest. Left out: this one.
    #[serde(default)]
    pub policy: Option<Digest>,
}

/// An attested answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CaseResult {
    /// It passed.
    Passed,
    /// It failed, or was unknown.
    Failed,
}

fn some_package() -> String {
    "package".to_owned()
}

const fn one() -> usize {
    1
}

/// Why a case cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// Its report cannot be read.
    #[error("case `{case}`: {reason}")]
    Report {
        /// The case.
        case: String,
        /// Why.
        reason: String,
    },
    /// It says something that nobody would ask for.
    #[error("case `{case}`: `{field}` {why}")]
    Unused {
        /// The case.
        case: String,
        /// What it says.
        field: &'static str,
        /// Why that would not count.
        why: &'static str,
    },
    /// It does not say which policy, or names one that is not there.
    #[error("case `{case}` names no policy of the file")]
    Policy {
        /// The case.
        case: String,
    },
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What the policy says.
    pub judgement: Judgement,
    /// What is not as the case expects; none where all is.
    pub failure: Option<String>,
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// With the line at fault, and a hint.
    pub fn parse(text: &str, file: &str) -> Result<Self, PolicyError> {
        parse::one(text, file)
    }
}

impl Case {
    /// Tries the case with one of `policies`. `report` reads the report that it names.
    ///
    /// # Errors
    /// When the case cannot be tried at all.
    pub fn try_with(
        &self,
        policies: &[Policy],
        report: impl FnOnce(&str) -> Result<Report, String>,
        now: Timestamp,
    ) -> Result<Tried, CaseError> {
        let named = |policy: &&Policy| self.policy.as_ref().is_none_or(|name| *name == policy.name);
        let mut named = policies.iter().filter(named);
        let (Some(policy), None) = (named.next(), named.next()) else {
            return Err(CaseError::Policy { case: self.name.clone() });
        };
        if let Some((field, why)) = self.unused() {
            return Err(CaseError::Unused { case: self.name.clone(), field, why });
        }
        let report = self.report.as_deref().map(report).transpose();
        let report = report.map_err(|reason| CaseError::Report { case: self.name.clone(), reason })?;
        let now = self.at.or_else(|| report.as_ref().map(|report| report.verdict.time)).unwrap_or(now);
        let mut judgement = match &report {
            Some(report) => rejudge(policy, report, now),
            None => self.judge_facts(policy, now),
        };
        if let Some(verdicts) = &self.evidence {
            judgement = judgement.and(self.judge_verdicts(policy, verdicts, now));
        }
        Ok(Tried { failure: self.failure(policy, &judgement), judgement })
    }

    /// What it says and nobody would ask for, and why.
    fn unused(&self) -> Option<(&'static str, &'static str)> {
        let beside_report = [
            ("findings", !self.findings.is_empty()),
            ("packages", !self.packages.is_empty()),
            ("gaps", !self.gaps.is_empty()),
            ("databaseAge", self.database_age.is_some()),
            ("uncoveredDistribution", self.uncovered_distribution),
        ];
        let said = beside_report.into_iter().find(|(_, is_said)| self.report.is_some() && *is_said);
        if let Some((field, _)) = said {
            return Some((field, "stands beside a `report`, which says all that there is"));
        }
        (self.statements.is_some() && self.evidence.is_none())
            .then_some(("statements", "stands without `evidence`, so that it is not asked for"))
    }

    fn judge_facts(&self, policy: &Policy, now: Timestamp) -> Judgement {
        let mut findings: Vec<Finding> = self.findings.iter().map(CaseFinding::finding).collect();
        apply_exceptions(policy, &mut findings, now);
        let packages: Vec<Package> = self.packages.iter().map(CasePackage::package).collect();
        let warnings: Vec<Warning> = self.gaps.iter().map(|path| Warning::gap(path, "could not be read")).collect();
        let age = self.database_age.map_or(0, Age::seconds);
        // It knows all that a policy may ask for: what a case does not speak of is no reason.
        let source = |name: &str| DatabaseSource { name: name.to_owned(), records: 1, newest: None };
        let database = DatabaseInfo {
            digest: Digest::of(b"cases"),
            built: Timestamp::from_unix(now.unix().saturating_sub(age)),
            starter: false,
            sources: vec![source("epss"), source("kev")],
        };
        let distribution = if self.uncovered_distribution {
            DistributionState::Uncovered("the distribution")
        } else {
            DistributionState::Covered("the distribution")
        };
        let facts = Facts {
            findings: &findings,
            packages: &packages,
            warnings: &warnings,
            distribution,
            uncovered: &[],
            database: &database,
            secrets: None,
        };
        judge(policy, &facts, now)
    }

    fn judge_verdicts(&self, policy: &Policy, verdicts: &[CaseVerdict], now: Timestamp) -> Judgement {
        let repository = self.image.as_deref().unwrap_or("registry.example/team/app");
        let summaries: Vec<SummaryFacts> = verdicts
            .iter()
            .map(|verdict| SummaryFacts {
                result: match verdict.result {
                    CaseResult::Passed => SummaryResult::Passed,
                    CaseResult::Failed => SummaryResult::Failed,
                },
                time_verified: Timestamp::from_unix(now.unix().saturating_sub(verdict.age.map_or(0, Age::seconds))),
                resource_repository: repository.to_owned(),
                verifier_id: verdict.verifier.clone().unwrap_or_else(|| VERIFIER_ID.to_owned()),
                policy_digest: Some(verdict.policy.unwrap_or_else(|| policy.digest())),
                authority: verdict.authority.wrapping_sub(1),
            })
            .collect();
        let required = policy.spec.evidence.iter().flat_map(|rules| rules.require.iter().copied());
        let statements = self.statements.clone().unwrap_or_else(|| required.collect());
        let types: Vec<String> = statements.iter().map(|kind| kind.predicate_type().to_owned()).collect();
        judge_evidence(policy, repository, &summaries, &types, now)
    }

    fn failure(&self, policy: &Policy, judgement: &Judgement) -> Option<String> {
        if let Some(image) = self.image.as_deref().filter(|image| !policy.applies_to(image)) {
            return Some(format!("the policy does not speak of {image}"));
        }
        if judgement.result != self.expect {
            return Some(format!("expected {}, is {}", self.expect, judgement.result));
        }
        let is_told = |rule: &&String| {
            judgement.reasons.iter().any(|reason| reason.result == self.expect && reason.rule == **rule)
        };
        let missing = self.because.iter().find(|rule| !is_told(rule))?;
        Some(format!("{} as expected, but not because of `{missing}`", self.expect))
    }
}

impl CaseFinding {
    fn finding(&self) -> Finding {
        let Self { id, severity, package, fixed, kev, epss, published } = self;
        let version = "1";
        Finding {
            id: id.into(),
            aliases: Vec::new(),
            cve: id.starts_with("CVE-").then(|| id.into()),
            title: Text::default(),
            package: Arc::new(FindingPackage {
                kind: PackageType::Generic,
                name: package.clone(),
                version: version.to_owned(),
                purl: format!("pkg:generic/{package}@{version}"),
                locations: Vec::new(),
            }),
            severity: Severity { level: *severity, ..Severity::default() },
            state: if fixed.is_some() { FixState::Fixed } else { FixState::Affected },
            fixed_versions: fixed.iter().cloned().collect(),
            last_affected: None,
            kev: *kev,
            epss: epss.map(|score| ExploitPrediction { score, percentile: score }),
            published: *published,
            cwes: Vec::new(),
            references: Vec::new(),
            denied: false,
            suppressed: None,
            evidence: portcullis_model::Evidence {
                ecosystem: "case".into(),
                name: package.into(),
                version: version.into(),
                range: String::new(),
                sources: Vec::new(),
            },
        }
    }
}

impl CasePackage {
    fn package(&self) -> Package {
        let Self { name, version, kind, licenses } = self;
        let kind = kind.unwrap_or(PackageType::Generic);
        let mut package = Package::new(kind, name.clone(), version.clone());
        package.purl = format!("pkg:{kind}/{name}@{version}");
        package.licenses.clone_from(licenses);
        package
    }
}

#[cfg(test)]
mod tests;
