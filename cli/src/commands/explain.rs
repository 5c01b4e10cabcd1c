//! `portcullis explain`: why an advisory does, or does not, apply to a package.

use std::fmt::Write as _;

use portcullis_errors::printable;
use portcullis_matching::{Explanation, Match, explain};
use portcullis_model::{AdvisoryKey, Distribution, Package, Report};
use portcullis_policy::ExitStatus;

use super::evidence::read_report;
use crate::{
    args::ExplainArgs,
    diagnostics::{Failure, Outcome},
    output, settings,
};

pub(crate) fn run(args: &ExplainArgs) -> Outcome {
    let ExplainArgs { id, package, report, db } = args;
    let database = settings::database(db.as_ref())?;
    let Some(path) = report else {
        return Err(Failure::usage("explain needs the report that holds the package")
            .with_hint("write one with `portcullis scan … -o json=report.json`, then add --report report.json"));
    };
    let report = read_report(path)?;
    let packages = find(&report, package);
    if packages.is_empty() {
        return Err(Failure::new(format!("the report has no package `{package}`")));
    }
    let keys: Vec<AdvisoryKey> =
        database.search(id).map_err(portcullis_scan::ScanError::from)?.into_iter().map(|hit| hit.key).collect();
    let mut text = String::new();
    if keys.is_empty() {
        _ = writeln!(text, "{id}: the database knows no such advisory, so nothing can be said of it.");
    }
    for package in packages {
        let distribution: Option<&Distribution> = report.distribution.as_ref();
        let explanations =
            explain(package, distribution, &keys, &database).map_err(portcullis_scan::ScanError::from)?;
        write_package(&mut text, package, &explanations);
    }
    output::print(&text)?;
    Ok(ExitStatus::Pass)
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

fn write_package(text: &mut String, package: &Package, explanations: &[Explanation]) {
    // Writing to a String cannot fail.
    _ = writeln!(text, "{} {} ({})", printable(&package.name, 100), printable(&package.version, 60), package.kind);
    for location in &package.locations {
        _ = writeln!(text, "  at {}", printable(&location.path, 200));
    }
    if let Some(owner) = &package.owned_by {
        _ = writeln!(text, "  its files belong to {}: the distribution's advisories decide", printable(owner, 200));
    }
    for Explanation { advisory, ecosystem, name, version, affected, decision } in explanations {
        _ = writeln!(text, "\n  {}  {}", printable(&advisory.id, 60), printable(&advisory.summary, 120));
        _ = writeln!(text, "    asked     {ecosystem} for {name}, version {}", printable(version, 60));
        match affected {
            None => _ = writeln!(text, "    record    does not name this package"),
            Some(affected) => {
                for interval in affected.intervals.iter() {
                    _ = writeln!(text, "    record    affected: {interval}");
                }
                if !affected.versions.is_empty() {
                    _ = writeln!(text, "    record    affected: {} listed versions", affected.versions.len());
                }
            }
        }
        let decision = match decision {
            None => "not affected".to_owned(),
            Some(Match::Interval(interval)) => format!("affected: {version} lies in {interval}"),
            Some(Match::Listed) => format!("affected: {version} is listed"),
            Some(Match::Undecided(interval)) => format!("unknown: {version} cannot be compared with {interval}"),
        };
        _ = writeln!(text, "    decision  {}", printable(&decision, 200));
    }
    if explanations.is_empty() {
        _ = writeln!(text, "  no advisory in the database speaks of packages of this kind here");
    }
}
