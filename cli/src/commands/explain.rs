//! `portcullis explain`: why an advisory does, or does not, apply to a package.

mod named;

use std::fmt::Write as _;

use portcullis_errors::{count_of, printable};
use portcullis_matching::{Explained, Explanation, Judged, Match, explain, explain_in, match_all};
use portcullis_model::{AdvisoryKey, Affected, Distribution, Finding, Package, Report};
use portcullis_policy::ExitStatus;
use portcullis_scan::ScanError;

use super::attest::read_report;
use crate::{
    args::ExplainArgs,
    diagnostics::{Failure, Outcome},
    output, settings,
};

/// Most packages of like names, and most records that say nothing, that are listed.
const NEAR: usize = 5;

pub(crate) fn run(args: &ExplainArgs) -> Outcome {
    let ExplainArgs { id, package, report, ecosystem, db } = args;
    let database = settings::database(db.as_ref())?;
    let hits = super::db::find(&database, id)?;
    let keys: Vec<AdvisoryKey> = hits.into_iter().map(|hit| hit.key).collect();
    let mut text = String::new();
    if keys.is_empty() {
        _ = writeln!(text, "{id}: the database knows no such advisory, so nothing can be said of it.");
    }
    match (report, ecosystem) {
        (Some(path), _) => {
            let report = read_report(path)?;
            let packages = find(&report, package);
            if packages.is_empty() {
                return Err(not_there(&report, package));
            }
            for package in packages {
                let explained =
                    explain(package, report.distribution.as_ref(), &keys, &database).map_err(ScanError::from)?;
                write_package(&mut text, package, &explained, &report.findings);
            }
        }
        (None, Some(ecosystem)) => {
            let ecosystem = named::ecosystem(ecosystem, &database)?;
            let package = named::of_ecosystem(package, &ecosystem)?;
            let explained = explain_in(&ecosystem, &package, &keys, &database).map_err(ScanError::from)?;
            write_package(&mut text, &package, &explained, &[]);
            if !database.ecosystems().contains_key(&ecosystem) {
                let known = named::ecosystems(&database).join(", ");
                _ = writeln!(text, "  it holds advisories for {}", printable(&known, 2_000));
            }
        }
        (None, None) if package.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("pkg:")) => {
            let (package, distribution) = named::of_purl(package)?;
            explain_alone(&mut text, &package, distribution.as_ref(), &keys, &database)?;
        }
        (None, None) => {
            return Err(Failure::usage(format!("`{package}` does not say which package it is")).with_hint(
                "give a package URL (pkg:npm/lodash@4.17.20), or NAME@VERSION with --ecosystem, or a report that \
                 holds it: `portcullis scan … -o json=report.json`, then --report report.json",
            ));
        }
    }
    output::print(&text)?;
    Ok(ExitStatus::Pass)
}

/// A package without an image around it.
fn explain_alone(
    text: &mut String,
    package: &Package,
    distribution: Option<&Distribution>,
    keys: &[AdvisoryKey],
    database: &portcullis_advisories::Database,
) -> Result<(), Failure> {
    if package.kind.is_operating_system() && distribution.is_none() {
        return Err(Failure::usage("the package URL does not say of which distribution the package is")
            .with_hint("add it as ?distro=debian-12"));
    }
    let explained = explain(package, distribution, keys, database).map_err(ScanError::from)?;
    let alone = std::slice::from_ref(package);
    let matches = match_all(alone, distribution, database).map_err(ScanError::from)?;
    write_package(text, package, &explained, &matches.findings);
    Ok(())
}

/// By name, purl, or `name@version`.
fn find<'a>(report: &'a Report, wanted: &str) -> Vec<&'a Package> {
    let (name, version) = match wanted.rfind('@').filter(|&at| at > 0) {
        Some(at) => (&wanted[..at], Some(&wanted[at + 1..])),
        None => (wanted, None),
    };
    let is_wanted = |package: &&Package| {
        package.purl == wanted
            || package.name == wanted
            || (package.name == name && version.is_none_or(|version| package.version == version))
    };
    report.inventory.packages.iter().filter(is_wanted).collect()
}

/// A package that a report has not, with those that may have been meant.
fn not_there(report: &Report, wanted: &str) -> Failure {
    let name = wanted.rfind('@').filter(|&at| at > 0).map_or(wanted, |at| &wanted[..at]).to_lowercase();
    let is_near = |package: &&Package| {
        let other = package.name.to_lowercase();
        other.contains(&name) || (other.len() > 2 && name.contains(&other))
    };
    let near = report.inventory.packages.iter().filter(is_near);
    let mut near: Vec<String> = near.map(|package| format!("{}@{}", package.name, package.version)).collect();
    near.dedup();
    let more = near.len().saturating_sub(NEAR);
    near.truncate(NEAR);
    let failure = Failure::new(format!("the report has no package `{wanted}`"));
    match (near.is_empty(), more) {
        (true, _) => failure.with_hint("`portcullis sbom … -o table` lists what an image has"),
        (false, 0) => failure.with_hint(format!("it has {}", near.join(", "))),
        (false, more) => failure.with_hint(format!("it has {}, and {more} more of such names", near.join(", "))),
    }
}

fn write_package(text: &mut String, package: &Package, explained: &Explained<'_>, findings: &[Finding]) {
    // Writing to a String cannot fail.
    _ = writeln!(text, "{} {} ({})", printable(&package.name, 100), printable(&package.version, 60), package.kind);
    for location in &package.locations {
        _ = writeln!(text, "  at {}", printable(&location.path, 200));
    }
    if let Some(owner) = &package.owned_by {
        _ = writeln!(text, "  its files belong to {}: the distribution's advisories decide", printable(owner, 200));
    }
    for note in &explained.notes {
        _ = writeln!(text, "  note: {}", printable(note, 300));
    }
    let (unnamed, named): (Vec<_>, Vec<_>) =
        explained.explanations.iter().partition(|explanation| explanation.judged == Judged::NotNamed);
    for explanation in &named {
        write_explanation(text, explanation);
        let id = &explanation.advisory.id;
        let of_this = |finding: &&Finding| {
            finding.package.purl == package.purl
                && finding.package.version == package.version
                && finding.evidence.sources.contains(id)
        };
        for finding in findings.iter().filter(of_this) {
            write_finding(text, finding);
        }
    }
    match &explained.uncovered {
        Some(why) => _ = writeln!(text, "  unknown: {}", printable(why, 300)),
        None if explained.explanations.is_empty() => {
            _ = writeln!(text, "  no advisory of that id is about this package");
        }
        None => write_unnamed(text, &unnamed, named.is_empty()),
    }
}

/// Records that do not name the package. That none does is no decision: nobody has said that it is not affected.
fn write_unnamed(text: &mut String, unnamed: &[&Explanation<'_>], are_all: bool) {
    let Some(first) = unnamed.first() else { return };
    let ids: Vec<&str> = unnamed.iter().map(|explanation| &*explanation.advisory.id).take(NEAR).collect();
    let ids = match unnamed.len().saturating_sub(NEAR) {
        0 => ids.join(", "),
        more => format!("{} and {more} more", ids.join(", ")),
    };
    let ids = printable(&ids, 400);
    if !are_all {
        let records = count_of(unnamed.len(), "more record", "more records");
        let do_not = if unnamed.len() == 1 { "does" } else { "do" };
        _ = writeln!(text, "\n  {records} of that id {do_not} not name this package: {ids}");
        return;
    }
    let mut asked: Vec<&str> = unnamed.iter().map(|explanation| &*explanation.ecosystem).collect();
    asked.dedup();
    _ = writeln!(text, "    asked     {} for {}", asked.join(", "), printable(&first.name, 100));
    _ = writeln!(text, "    record    {}: {ids}", count_of(unnamed.len(), "record of that id", "records of that id"));
    _ = writeln!(text, "    decision  unknown: no record of {} speaks of this package", asked.join(" or "));
}

fn write_explanation(text: &mut String, explanation: &Explanation<'_>) {
    let Explanation { advisory, ecosystem, name, version, order, affected, comparisons, judged } = explanation;
    let version = printable(version, 60);
    _ = writeln!(text, "\n  {}  {}", printable(&advisory.id, 60), printable(&advisory.summary, 120));
    _ = writeln!(text, "    asked     {ecosystem} for {}, version {version}", printable(name, 100));
    if let Some(affected) = affected {
        write_record(text, affected);
        for comparison in comparisons {
            _ = writeln!(text, "    compared  {} ({order})", printable(comparison, 200));
        }
    }
    let decision = match judged {
        Judged::NotNamed => "unknown: the record does not name this package".to_owned(),
        Judged::OtherBinaries => "not affected: the record names other packages of the same source".to_owned(),
        Judged::NotAffected => format!("not affected: {version} lies in no affected range"),
        Judged::OtherStream => "not affected: the record is about another module stream".to_owned(),
        Judged::MereUpdate => "no vulnerability: the record names none that it mends".to_owned(),
        Judged::Applies(Match::Interval(interval)) => format!("affected: {version} lies in {interval}"),
        Judged::Applies(Match::Listed) => format!("affected: {version} is listed"),
        Judged::Applies(Match::Undecided(interval)) => {
            format!("unknown: {version} cannot be compared with {interval}")
        }
    };
    _ = writeln!(text, "    decision  {}", printable(&decision, 200));
}

fn write_record(text: &mut String, affected: &Affected<'_>) {
    for interval in affected.intervals.iter() {
        _ = writeln!(text, "    record    affected: {}", printable(&interval.to_string(), 200));
    }
    if !affected.versions.is_empty() {
        _ = writeln!(text, "    record    affected: {} listed versions", affected.versions.len());
    }
    if !affected.binaries.is_empty() {
        let names: Vec<&str> = affected.binaries.iter().copied().take(20).collect();
        _ = writeln!(text, "    record    of its packages: {}", printable(&names.join(", "), 300));
    }
    if let Some(state) = affected.unfixed {
        _ = writeln!(text, "    record    {}", state.as_str());
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    let name = finding.cve.as_ref().unwrap_or(&finding.id);
    let level = finding.severity.level;
    _ = write!(text, "    finding   {} {level}, {}", printable(name, 60), finding.state.as_str());
    if !finding.fixed_versions.is_empty() {
        _ = write!(text, ": {}", printable(&finding.fixed_versions.join(", "), 200));
    }
    match &finding.suppressed {
        None => _ = writeln!(text, "; it counts"),
        Some(suppression) => {
            let until = suppression.expires.map(|end| format!(", until {end}")).unwrap_or_default();
            let reason = printable(&suppression.reason, 300);
            _ = writeln!(
                text,
                "; it does not count\n    suppressed by {}: {reason}{until}",
                printable(&suppression.by, 200)
            );
        }
    }
}
