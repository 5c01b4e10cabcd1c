//! Records that do not speak of a package although their range holds its version: other module streams, and updates
//! that mend no vulnerability.
//!
//! Modularity: <https://docs.fedoraproject.org/en-US/modularity/>. A module's packages carry `.module` in their
//! release (`.module+el8.6.0+…`, `.module_el8…`), and records name the stream in their summary alone:
//! `Important: nodejs:18 security update`.

use portcullis_model::{Advisory, Affected, Package, PackageType};

/// Whether a record is about the module stream, or the plain package, that is installed.
pub(crate) fn is_of_stream(entry: &Affected<'_>, advisory: &Advisory, package: &Package) -> bool {
    if package.kind != PackageType::Rpm {
        return true;
    }
    let bounds = entry.intervals.iter().flat_map(|interval| [interval.fixed, interval.last_affected]);
    let is_modular = |version: &str| version.contains(".module");
    let (modular, plain): (Vec<bool>, Vec<bool>) =
        bounds.flatten().chain(entry.versions.iter().copied()).map(is_modular).partition(|modular| *modular);
    if modular.is_empty() == plain.is_empty() {
        // Nothing says how its packages are built, or it speaks of both: not affected is not known.
        return true;
    }
    let of_record = plain.is_empty();
    let of_package = package.module.is_some() || is_modular(&package.version);
    match (of_record, of_package) {
        (true, true) => match (stream(&advisory.summary), &package.module) {
            (Some(stream), Some(module)) => {
                // The label may carry more: `name:stream:version:context`.
                module.split(':').take(2).eq(stream.split(':'))
            }
            _ => true,
        },
        (record, package) => record == package,
    }
}

/// `nodejs:18` of `Important: nodejs:18 security update`; none where the summary names none, or several.
fn stream(summary: &str) -> Option<&str> {
    let mut words = summary.split([' ', ',']).filter(|word| {
        let mut parts = word.split(':');
        let is_part = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic()))
        };
        is_part(parts.next()) && is_part(parts.next()) && parts.next().is_none()
    });
    words.next().filter(|_| words.next().is_none())
}

/// Whether a record is a distribution's notice of mended bugs or new features: no vulnerability is named in it.
pub(crate) fn is_mere_update(advisory: &Advisory) -> bool {
    const UPDATES: [&str; 12] = [
        "ALBA-",
        "ALEA-",
        "RHBA-",
        "RHEA-",
        "RLBA-",
        "RLEA-",
        "ELBA-",
        "ELEA-",
        "SUSE-RU-",
        "SUSE-FU-",
        "SUSE-OU-",
        "openSUSE-RU-",
    ];
    advisory.cves.is_empty() && UPDATES.iter().any(|prefix| advisory.id.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use portcullis_model::{AdvisoryKey, Interval};

    use super::*;
    use crate::testing::package;

    const PLAIN: &str = "18.1.0-1.el8";
    const MODULE: &str = "1:18.1.0-1.module_el8.7.0+3490+ab";

    fn entry<'a>(fixed: &[&'a str]) -> Affected<'a> {
        let interval = |fixed: &&'a str| Interval { fixed: Some(*fixed), ..Interval::default() };
        Affected {
            advisory: AdvisoryKey(0),
            intervals: fixed.iter().map(interval).collect(),
            versions: Vec::new(),
            severity: None,
            unfixed: None,
            binaries: Vec::new(),
        }
    }

    #[test]
    fn a_record_of_both_speaks_of_both() {
        let advisory = Advisory { summary: "nodejs security update".into(), ..Advisory::default() };
        for version in ["18.0.0-1.el8", "1:18.0.0-1.module_el8.7.0+1"] {
            let package = package(PackageType::Rpm, "nodejs", version);
            for fixed in [&[PLAIN, MODULE][..], &[MODULE, PLAIN], &[]] {
                assert!(is_of_stream(&entry(fixed), &advisory, &package), "{version} {fixed:?}");
            }
        }
    }

    #[test]
    fn records_speak_of_one_stream() {
        let of_18 = "Important: nodejs:18 security update";
        for (fixed, summary, version, module, expected) in [
            (MODULE, of_18, "1:18.0.0-1.module_el8.7.0+1", Some("nodejs:18"), true),
            (MODULE, of_18, "1:18.0.0-1.module_el8.7.0+1", Some("nodejs:18:8070:abc"), true),
            (MODULE, of_18, "1:16.0.0-1.module_el8.7.0+1", Some("nodejs:16"), false),
            (MODULE, of_18, "1:16.0.0-1.module_el8.7.0+1", None, true),
            (MODULE, "security update", "1:16.0.0-1.module_el8.7.0+1", Some("nodejs:16"), true),
            (MODULE, of_18, "18.0.0-1.el8", None, false),
            (PLAIN, "nodejs security update", "18.0.0-1.module+el8.1", Some("nodejs:18"), false),
            (PLAIN, "nodejs security update", "18.0.0-1.el8", None, true),
        ] {
            let entry = entry(&[fixed]);
            let advisory = Advisory { summary: summary.into(), ..Advisory::default() };
            let mut package = package(PackageType::Rpm, "nodejs", version);
            package.module = module.map(str::to_owned);
            assert_eq!(is_of_stream(&entry, &advisory, &package), expected, "{fixed} {summary} {version} {module:?}");
        }
    }
}
