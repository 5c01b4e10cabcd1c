//! Comparisons that others wrote: the vectors of osv-scalibr, claircore, apk-tools, go-deb-version and Grype.
//!
//! A line is `A OP B`; tables of constraints are `version, constraint, satisfied`. Every line must hold, in both
//! directions, but for the ones listed in [`NATIVE`] with the native tool's own answer.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and say what they skip")]

use std::{cmp::Ordering, path::PathBuf};

use portcullis_versions::Scheme;

/// Lines that the ecosystem's own tool contradicts: file, first version, operator and second version, and what the
/// tool says.
const NATIVE: &[(&str, &str, &str, &str, Ordering)] = &[
    // Grype ignores epochs where one is missing; to `rpm.vercmp` (4.18) a missing epoch is 0.
    ("grype-constraints/rpm.tsv", "1:0", "<", "1", Ordering::Greater),
    ("grype-constraints/rpm.tsv", "1.0", "<", "2:1.0", Ordering::Less),
    ("grype-constraints/rpm.tsv", "2:4.19.01-1.el7_5", "<=", "4.19.1-1.el7_5", Ordering::Greater),
    ("grype-constraints/rpm.tsv", "4.19.01-1.el7_5", "<", "2:4.19.1-1.el7_5", Ordering::Less),
    ("grype-constraints/rpm.tsv", "4.19.0-1.el7_5", "<", "12:4.19.0-1.el7", Ordering::Less),
    ("grype-constraints/rpm.tsv", "4.19.0-1.el7_5", "<=", "12:4.19.0-1.el7", Ordering::Less),
    ("grype-constraints/rpm.tsv", "3:4.19.0-1.el7_5", "<", "4.21.0-1.el7", Ordering::Greater),
    // Grype takes minor releases of a distribution for the same; RPM does not.
    ("grype-constraints/rpm.tsv", "8.3.1-5.el8", "<", "0:8.3.1-5.el8.0.0", Ordering::Less),
    ("grype-constraints/rpm.tsv", "8.3.1-5.el8.0.0", ">", "0:8.3.1-5.el8", Ordering::Greater),
    // To `ComparableVersion` of Maven 3.8, 3.9 and 4.0, a dot before a qualifier is as good as a hyphen.
    ("osv-scalibr/maven-versions-generated.txt", "1.0.0-RC16", "<", "1.0.0.RC8-beta", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.0.0-gradle-rework-beta3", "<", "1.0.0.RC7-3", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "2.9.0-1", "<", "2.9.0.RC1", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "6.1.12.rc5", "<", "6.1.12rc1", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.1.31.sec10", "<", "1.1.31_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.1.34.sec10", "<", "1.1.34_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.1.46.sec10", "<", "1.1.46_noneautotype", Ordering::Greater),
    (
        "osv-scalibr/maven-versions-generated.txt",
        "1.2.8.sec10_noneautotype",
        "<",
        "1.2.8_noneautotype",
        Ordering::Greater,
    ),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.31.sec10", "<", "1.2.31_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.48.sec10", "<", "1.2.48_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.50.sec10", "<", "1.2.50_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.54.sec10", "<", "1.2.54_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.57.sec10", "<", "1.2.57_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.60.sec10", "<", "1.2.60_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.2.67.sec10", "<", "1.2.67_noneautotype", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.0.0rc0", "<", "1.0.beta8", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.5.9.RC1", "<", "1.5.9-RC0", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.1.0-01-glassfish", "<", "1.1.0.Beta1", Ordering::Greater),
    // To that of Maven 4.0, a number belongs to the qualifier before it, unless a dot stands between them.
    ("osv-scalibr/maven-versions-generated.txt", "3.2.0rc2", "<", "3.2.0-rc.1", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "1.0.0-beta11", "<", "1.0.0-beta.6", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "v3.7.0rc2", "<", "v3.7.0-rc.3", Ordering::Greater),
    ("osv-scalibr/maven-versions-generated.txt", "3.5.0-CR-2", "<", "3.5.0.Beta-1", Ordering::Greater),
    // To all three, zeros before a qualifier do not count.
    ("claircore/maven-compare.txt", "2.0.a", "<", "2.0.0.a", Ordering::Equal),
    // To PHP's `version_compare`, `#` separates like any other sign.
    ("osv-scalibr/packagist-versions.txt", "1.2.3.#", "=", "1.2.3.1", Ordering::Less),
    // Grype turns every dot into a hyphen there; to Semantic Versioning it separates identifiers.
    ("grype-constraints/semantic.tsv", "1.0.0.alpha.beta", "=", "1.0.0-alpha-beta", Ordering::Less),
    ("grype-constraints/semantic.tsv", "1.0.0.rc.alpha", "=", "1.0.0-rc-alpha", Ordering::Less),
    // Composer turns words to lower case before it asks PHP (`VersionParser::normalize`).
    ("osv-scalibr/packagist-versions-generated.txt", "v1.9.0-ALPHA.1", "=", "v1.9.0-BETA.1", Ordering::Less),
    ("osv-scalibr/packagist-versions-generated.txt", "v1.9.0-BETA.1", "<", "v1.9.0-ALPHA.2", Ordering::Greater),
    ("osv-scalibr/packagist-versions-generated.txt", "v1.9.0-ALPHA.2", "=", "v1.9.0-BETA.2", Ordering::Less),
];

fn data(file: &str) -> Option<String> {
    let root = std::env::var_os("PORTCULLIS_TEST_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    let path = root.join("versions").join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{}: {error}", path.display()),
        Err(_) => {
            println!("skipped: {} is not there", path.display());
            None
        }
    }
}

fn holds(order: Ordering, operator: &str) -> bool {
    match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "=" | "==" => order.is_eq(),
        other => panic!("`{other}` is no operator"),
    }
}

fn expected(file: &str, a: &str, operator: &str, b: &str, said: bool) -> bool {
    let native = NATIVE.iter().find(|(f, x, o, y, _)| (*f, *x, *o, *y) == (file, a, operator, b));
    native.map_or(said, |(.., order)| holds(*order, operator))
}

/// Checks every line `A OP B` of `file`.
fn check_lines(scheme: Scheme, file: &str) {
    let Some(text) = data(file) else { return };
    let mut failures = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        // apk-tools explains one line after a tab.
        let line = line.split_once("\t").map_or(line, |(line, _)| line);
        if line.trim().is_empty() || line.starts_with("# ") || line.starts_with("// ") || line == "#" {
            continue;
        }
        let parts: Vec<&str> = line.split_whitespace().collect();
        let &[a, operator, b] = parts.as_slice() else { panic!("{file}: `{line}` is not `A OP B`") };
        count += 1;
        let said = expected(file, a, operator, b, true);
        let order = scheme.compare(a, b);
        let reverse = scheme.compare(b, a).map(Ordering::reverse);
        if order != reverse || order.as_ref().ok().map(|order| holds(*order, operator)) != Some(said) {
            failures.push(format!("{line}: {order:?}, reversed {reverse:?}"));
        }
    }
    report(file, count, &failures);
}

fn report(file: &str, count: usize, failures: &[String]) {
    assert!(count > 0, "{file} has no line");
    let shown = failures.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{file}: {} of {count} lines fail:\n{shown}", failures.len());
    println!("{file}: {count} lines hold");
}

/// Checks every row `version, constraint, satisfied` of `file`.
fn check_constraints(scheme: Scheme, file: &str) {
    let Some(text) = data(file) else { return };
    let (mut failures, mut count) = (Vec::new(), 0);
    for row in text.lines().skip(1).filter(|row| !row.is_empty()) {
        let columns: Vec<&str> = row.split('\t').collect();
        let &[version, constraint, satisfied] = columns.as_slice() else { panic!("{file}: `{row}`") };
        count += 1;
        let said = satisfied == "true";
        // A constraint of one term may have an entry in NATIVE.
        let (operator, bound) = split_term(constraint);
        let said = expected(file, version, operator, bound, said);
        if satisfies(scheme, version, constraint) != Ok(said) {
            failures.push(format!("{row}: {:?}", satisfies(scheme, version, constraint)));
        }
    }
    report(file, count, &failures);
}

fn split_term(term: &str) -> (&str, &str) {
    let term = term.trim();
    let end = term.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(0);
    let (operator, bound) = term.split_at(end);
    let bound = bound.trim().trim_matches(['\'', '"', '\\']);
    (if operator.is_empty() { "=" } else { operator }, bound)
}

fn satisfies(scheme: Scheme, version: &str, constraint: &str) -> Result<bool, String> {
    if constraint.trim().is_empty() {
        return Ok(true);
    }
    for alternative in constraint.split("||") {
        let mut all = true;
        for term in alternative.split(',') {
            let (operator, bound) = split_term(term);
            let order = scheme.compare_to_bound(version, bound).map_err(|error| error.to_string())?;
            all &= holds(order, operator);
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn deb() {
    check_lines(Scheme::Deb, "osv-scalibr/debian-versions.txt");
    check_lines(Scheme::Deb, "osv-scalibr/debian-versions-generated.txt");
    check_constraints(Scheme::Deb, "grype-constraints/deb.tsv");
    let Some(text) = data("go-deb-version/compare.tsv") else { return };
    for row in text.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let &[a, operator, b, said] = columns.as_slice() else { panic!("`{row}`") };
        assert_eq!(holds(Scheme::Deb.compare(a, b).unwrap(), operator).to_string(), said, "{row}");
    }
}

#[test]
fn apk() {
    check_lines(Scheme::Apk, "osv-scalibr/alpine-versions.txt");
    check_lines(Scheme::Apk, "osv-scalibr/alpine-versions-generated.txt");
    check_lines(Scheme::Apk, "apk-tools/version.data");
    check_constraints(Scheme::Apk, "grype-constraints/apk.tsv");
    // The list comes from apk 2, which let a number follow the letter, and a dot stand before the revision.
    let apk_2_only = |line: &str| (line.contains("p1-r") && !line.contains("_p1-r")) || line.contains(".r");
    for (file, valid) in [("osv.dev/alpine-valid.txt", true), ("osv.dev/alpine-invalid.txt", false)] {
        for line in data(file).unwrap_or_default().lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            assert_eq!(Scheme::Apk.accepts(line), valid && !apk_2_only(line), "{line}");
            assert_eq!(Scheme::Apk.compare(line, line), Ok(Ordering::Equal), "{line}");
        }
    }
}

#[test]
fn rpm() {
    check_lines(Scheme::Rpm, "osv-scalibr/redhat-versions.txt");
    check_lines(Scheme::Rpm, "claircore/rpmvercmp.txt");
    check_constraints(Scheme::Rpm, "grype-constraints/rpm.tsv");
}

#[test]
fn pep440() {
    check_lines(Scheme::Pep440, "osv-scalibr/pypi-versions.txt");
    check_lines(Scheme::Pep440, "osv-scalibr/pypi-versions-generated.txt");
    check_constraints(Scheme::Pep440, "grype-constraints/pep440.tsv");
}

#[test]
fn semver_npm_and_go() {
    for scheme in [Scheme::Semver, Scheme::Npm, Scheme::Go] {
        check_lines(scheme, "osv-scalibr/semver-versions.txt");
    }
    check_constraints(Scheme::Go, "grype-constraints/golang.tsv");
    check_constraints(Scheme::Npm, "grype-constraints/semantic.tsv");
}

#[test]
fn maven() {
    check_lines(Scheme::Maven, "osv-scalibr/maven-versions.txt");
    check_lines(Scheme::Maven, "osv-scalibr/maven-versions-generated.txt");
    check_lines(Scheme::Maven, "claircore/maven-compare.txt");
    check_constraints(Scheme::Maven, "grype-constraints/maven.tsv");
}

#[test]
fn rubygems() {
    check_lines(Scheme::Rubygems, "osv-scalibr/rubygems-versions.txt");
    check_lines(Scheme::Rubygems, "osv-scalibr/rubygems-versions-generated.txt");
    check_constraints(Scheme::Rubygems, "grype-constraints/gem.tsv");
}

#[test]
fn packagist() {
    check_lines(Scheme::Packagist, "osv-scalibr/packagist-versions.txt");
    check_lines(Scheme::Packagist, "osv-scalibr/packagist-versions-generated.txt");
}

#[test]
fn nuget() {
    check_lines(Scheme::Nuget, "osv-scalibr/nuget-versions.txt");
}

#[test]
fn dart() {
    check_lines(Scheme::Dart, "osv-scalibr/pub-versions.txt");
}

#[test]
fn bitnami() {
    check_lines(Scheme::Bitnami, "osv-scalibr/semver-versions.txt");
    check_constraints(Scheme::Bitnami, "grype-constraints/bitnami.tsv");
}

#[test]
fn cran_and_hackage() {
    check_lines(Scheme::Cran, "osv-scalibr/cran-versions.txt");
    check_lines(Scheme::Cran, "osv-scalibr/cran-versions-generated.txt");
    check_lines(Scheme::Hackage, "osv-scalibr/hackage-versions.txt");
}
