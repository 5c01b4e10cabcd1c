//! What formats for people have in common: totals, findings by package, gaps, the verdict in words.

use std::{
    borrow::Cow,
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
};

use portcullis_errors::count_of;
use portcullis_model::{
    BaseEvidence, Coverage, Digest, DistributionCoverage, Finding, FindingPackage, FixState, Location, Outcome,
    PackageType, Report, SeverityLevel, Uncovered, Warning, WarningKind,
};

use crate::{
    advice::{Advice, Commands, advise},
    baseline::Changes,
    dockerfile::instruction,
    text::limited,
};

/// The place of gaps that are about the advisories, not about the image.
pub(crate) const ADVISORIES: &str = "advisories";

/// Follows the layer of what the base image brings.
const BASE: &str = " (base image)";

/// The longest instruction of a layer that is told.
const MAX_INSTRUCTION: usize = 80;

/// A report, arranged for people.
pub(crate) struct View<'a> {
    /// Findings that count, by package, the worst first.
    pub(crate) groups: Vec<Group<'a>>,
    /// Findings that do not count: accepted, or said not to be affected.
    pub(crate) suppressed: Vec<&'a Finding>,
    /// What could not be read, and what no advisory speaks of: of neither is anything known.
    pub(crate) gaps: Vec<Cow<'a, Warning>>,
    /// What is odd, and was read.
    pub(crate) notes: Vec<&'a Warning>,
    /// Upgrades, the one that helps most first.
    pub(crate) advice: Vec<Advice<'a>>,
    /// The commands for these, and for single findings.
    pub(crate) commands: Commands<'a>,
}

/// The findings of one package.
pub(crate) struct Group<'a> {
    pub(crate) package: &'a FindingPackage,
    pub(crate) findings: Vec<&'a Finding>,
}

impl<'a> View<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let (counting, mut suppressed): (Vec<_>, Vec<_>) =
            report.findings.iter().partition(|finding| finding.is_counting());
        suppressed.sort_by(|left, right| order(left, right));
        let groups = group(counting);
        let commands = Commands::of(report);
        let advice = advise(&groups, report, &commands);
        let warnings = |kind| report.inventory.warnings.iter().filter(move |warning| warning.kind == kind);
        let gaps = warnings(WarningKind::Gap).map(Cow::Borrowed).chain(uncovered(report).map(Cow::Owned)).collect();
        Self { groups, suppressed, gaps, notes: warnings(WarningKind::Note).collect(), advice, commands }
    }

    /// Every finding that counts, the worst first.
    pub(crate) fn worst_first(&self) -> Vec<&'a Finding> {
        let mut findings: Vec<_> = self.groups.iter().flat_map(|group| group.findings.iter().copied()).collect();
        findings.sort_by(|left, right| order(left, right));
        findings
    }

    /// How many findings count, by severity, the worst first.
    pub(crate) fn totals(&self) -> [(SeverityLevel, usize); 6] {
        SeverityLevel::WORST_FIRST.map(|level| {
            let of_level = |group: &Group<'_>| group.findings.iter().filter(|f| f.severity.level == level).count();
            (level, self.groups.iter().map(of_level).sum())
        })
    }

    /// `2 new, 1 gone`
    pub(crate) fn new_words(&self, changes: &Changes<'_>) -> String {
        let new = self.worst_first().into_iter().filter(|finding| changes.is_new(finding)).count();
        format!("{new} new, {} gone since the baseline", changes.gone().count())
    }

    /// `3 findings: 1 critical, 2 low; 1 suppressed`
    pub(crate) fn summary(&self) -> String {
        let totals = self.totals();
        let total: usize = totals.iter().map(|(_, count)| count).sum();
        let mut text = count_of(total, "finding", "findings");
        let by_level: Vec<_> =
            totals.iter().filter(|(_, count)| *count > 0).map(|(level, count)| format!("{count} {level}")).collect();
        if !by_level.is_empty() {
            text.push_str(": ");
            text.push_str(&by_level.join(", "));
        }
        if !self.suppressed.is_empty() {
            text.push_str(&format!("; {} suppressed", self.suppressed.len()));
        }
        text
    }
}

/// What no advisory of the database speaks of, as gaps: no data is not "no vulnerabilities". Of the starter it is known
/// that it lacks nearly everything.
fn uncovered(report: &Report) -> impl Iterator<Item = Warning> + '_ {
    let coverage = report.advisory_coverage.as_ref();
    let distribution = coverage.and_then(|coverage| match coverage.distribution {
        DistributionCoverage::Uncovered => {
            Some(format!("the database holds no advisories for {}", distribution_words(report)))
        }
        DistributionCoverage::Unknown => Some("nothing says which distribution its packages are from".to_owned()),
        DistributionCoverage::Absent | DistributionCoverage::Covered => None,
    });
    let rest = coverage.into_iter().filter(|_| !report.database.starter).flat_map(|coverage| &coverage.uncovered);
    let rest = rest.map(|Uncovered { what, packages }| {
        let count = count_of(usize::try_from(*packages).unwrap_or(usize::MAX), "package", "packages");
        format!("the database holds no advisories for {what}: {count}")
    });
    distribution.into_iter().chain(rest).map(|message| Warning::gap(ADVISORIES, message))
}

/// The id that people know it by.
pub(crate) fn known_id(finding: &Finding) -> &str {
    finding.cve.as_deref().unwrap_or(&finding.id)
}

/// The order of findings everywhere: the worst first, exploited ones before others, then by id and package.
pub(crate) fn order(left: &Finding, right: &Finding) -> Ordering {
    let key = |finding: &Finding| (Reverse(finding.severity.level), !finding.kev);
    key(left)
        .cmp(&key(right))
        .then_with(|| known_id(left).cmp(known_id(right)))
        .then_with(|| left.package.cmp(&right.package))
        .then_with(|| left.id.cmp(&right.id))
}

fn group(counting: Vec<&Finding>) -> Vec<Group<'_>> {
    let mut by_package: BTreeMap<&FindingPackage, Vec<&Finding>> = BTreeMap::new();
    for finding in counting {
        by_package.entry(&finding.package).or_default().push(finding);
    }
    let mut groups: Vec<_> = by_package
        .into_iter()
        .map(|(package, mut findings)| {
            findings.sort_by(|left, right| order(left, right));
            Group { package, findings }
        })
        .collect();
    // Stable: among equals the order of the packages stays.
    groups.sort_by_key(|group| {
        let worst = group.findings.first().map(|finding| (finding.severity.level, finding.kev));
        (Reverse(worst), Reverse(group.findings.len()))
    });
    groups
}

/// What a finding's state says, in a few words.
pub(crate) fn fix_words(finding: &Finding) -> String {
    match finding.state {
        FixState::Fixed if !finding.fixed_versions.is_empty() => {
            let versions = finding.fixed_versions.iter().map(|version| written(&finding.package, version));
            format!("fixed in {}", versions.collect::<Vec<_>>().join(", "))
        }
        FixState::Fixed => "fixed".to_owned(),
        FixState::Affected => match &finding.last_affected {
            Some(last) => format!("affected up to {}", written(&finding.package, last)),
            None => "no fix yet".to_owned(),
        },
        FixState::WillNotFix => "will not be fixed".to_owned(),
        FixState::Deferred => "fix deferred".to_owned(),
        FixState::EndOfLife => "end of life".to_owned(),
        FixState::NotAffected => "not affected".to_owned(),
        FixState::Unknown => "version not comparable".to_owned(),
    }
}

/// A version of a package as it is written where the package comes from: advisories leave out the `v` of Go's modules.
pub(crate) fn written<'a>(package: &FindingPackage, version: &'a str) -> Cow<'a, str> {
    let is_bare = package.kind == PackageType::Golang
        && package.version.starts_with('v')
        && version.starts_with(|first: char| first.is_ascii_digit());
    if is_bare { Cow::Owned(format!("v{version}")) } else { Cow::Borrowed(version) }
}

/// Why a finding does not count, and until when.
pub(crate) fn suppression_words(finding: &Finding) -> String {
    let Some(suppression) = &finding.suppressed else { return "not affected".to_owned() };
    let expires = suppression.expires.map_or_else(String::new, |end| format!(" (until {end})"));
    format!("{}: {}{expires}", suppression.by, suppression.reason)
}

/// The verdict as one word for people: what `result` and the policy's mode amount to.
pub(crate) fn verdict_word(report: &Report) -> &'static str {
    if !report.is_matched() {
        return "NOT JUDGED";
    }
    match (report.verdict.result, report.verdict.policy.audit) {
        (Outcome::Pass, _) => "PASS",
        (Outcome::Unknown, _) => "UNKNOWN",
        (Outcome::Fail, false) => "FAIL",
        (Outcome::Fail, true) => "WOULD FAIL",
    }
}

/// The distribution, for people.
pub(crate) fn distribution_words(report: &Report) -> String {
    match &report.distribution {
        None => "none".to_owned(),
        Some(distribution) if !distribution.name.is_empty() => distribution.name.clone(),
        Some(distribution) => format!("{} {}", distribution.id, distribution.version_id).trim().to_owned(),
    }
}

/// The database and its age, for people.
pub(crate) fn database_words(report: &Report) -> String {
    let age = report.created.seconds_since(report.database.built) / 86_400;
    let mut text = format!("of {}", report.database.built);
    if age >= 1 {
        text.push_str(&format!(", {} old", count_of(usize::try_from(age).unwrap_or(0), "day", "days")));
    }
    if report.database.starter {
        text.push_str(" (starter: knows little; run `portcullis db update`)");
    }
    text
}

/// The target with its platform, for people.
pub(crate) fn target_words(report: &Report) -> String {
    let platform = report.target.platform.as_ref();
    platform
        .map_or_else(|| report.target.reference.clone(), |platform| format!("{} ({platform})", report.target.reference))
}

/// `could not read: path: what happened`
pub(crate) fn gap_words(gap: &Warning) -> String {
    match gap.path.as_str() {
        ADVISORIES => format!("not covered: {}", gap.message),
        path => format!("could not read: {path}: {}", gap.message),
    }
}

/// Where a package was found, for people, on one line.
pub(crate) fn place_words(report: &Report, package: &FindingPackage) -> Option<String> {
    let mut places = places(report, package).into_iter();
    let first = places.next()?;
    Some(match places.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

/// Everywhere that a package was found, for people: the path and its layer. Of a package of the distribution, whose path
/// is that of its database, the layer alone, with what made it.
pub(crate) fn places(report: &Report, package: &FindingPackage) -> Vec<String> {
    let is_operating_system = package.kind.is_operating_system();
    let mut places = Vec::new();
    for Location { path, layer } in &package.locations {
        let place = match layer.map(|layer| layer_words(report, layer)) {
            Some((layer, made_by)) if is_operating_system => format!("{layer}{made_by}"),
            None if is_operating_system => continue,
            Some((layer, made_by)) if made_by == BASE => format!("{path} ({layer}, base image)"),
            Some((layer, _)) => format!("{path} ({layer})"),
            None => path.clone(),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// `layer 2 of 3`, and what made it: ` (base image)` or `: RUN make`.
fn layer_words(report: &Report, layer: Digest) -> (String, String) {
    let layers = &report.target.layers;
    let Some(index) = layers.iter().position(|known| known.diff_id == layer) else {
        return (format!("layer {:.12}", layer.hex()), String::new());
    };
    let words = format!("layer {} of {}", index + 1, layers.len());
    if index < report.target.base_layers().len() {
        return (words, BASE.to_owned());
    }
    let made_by = layers.get(index).and_then(|layer| instruction(layer.created_by.as_deref()?));
    (words, made_by.map_or_else(String::new, |made_by| format!(": {}", limited(&made_by, MAX_INSTRUCTION))))
}

/// How much of what can be run is explained; none where nothing can be run, or it was not measured.
pub(crate) fn coverage_words(report: &Report) -> Option<String> {
    let coverage = report.coverage.as_ref().filter(|coverage| coverage.executable_files > 0)?;
    let unknown = coverage.executable_files.saturating_sub(coverage.known_files);
    let files = count_of(coverage.executable_files, "executable file", "executable files");
    if unknown == 0 {
        return Some(format!("every one of {files} belongs to a known package"));
    }
    let share = unknown_share(coverage);
    let belong = if unknown == 1 { "belongs" } else { "belong" };
    Some(format!("{unknown} of {files} ({share} of the bytes) {belong} to no known package"))
}

/// The bytes that no known package owns, as a percentage of all.
fn unknown_share(coverage: &Coverage) -> String {
    let unknown = u128::from(coverage.executable_bytes.saturating_sub(coverage.known_bytes));
    let tenths = (unknown * 1000).checked_div(u128::from(coverage.executable_bytes)).unwrap_or(0);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// The base image, and how many of the findings come with it.
pub(crate) fn base_words(report: &Report, view: &View<'_>) -> Option<String> {
    let base = report.target.base.as_ref()?;
    let name = match (&base.reference, base.digest) {
        (Some(name), _) => name.clone(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => "an unnamed image".to_owned(),
    };
    if base.layers == 0 {
        return Some(name);
    }
    let known = match base.known_by {
        BaseEvidence::Layers => "by its layers",
        BaseEvidence::History => "a guess from the history",
    };
    let of_base = report.target.base_layers();
    let is_of_base = |finding: &&&Finding| {
        let locations = &finding.package.locations;
        let in_base = |layer: Option<Digest>| of_base.iter().any(|known| Some(known.diff_id) == layer);
        !locations.is_empty() && locations.iter().all(|location| in_base(location.layer))
    };
    let findings: Vec<_> = view.groups.iter().flat_map(|group| &group.findings).collect();
    let inherited = findings.iter().copied().filter(is_of_base).count();
    let layers = format!("{} of {} layers, {known}", base.layers, report.target.layers.len());
    if !report.is_matched() {
        return Some(format!("{name} ({layers})"));
    }
    Some(format!("{name} ({layers}): brings {inherited} of {}", count_of(findings.len(), "finding", "findings")))
}
