//! Severities of OSV records: CVSS vectors scored, words of distributions read.
//!
//! Vectors are scored by the `cvss` crate (FIRST's specifications v2, v3.x and v4.0). Where a record has several, v3
//! is taken before v4 and v4 before v2: v3 is what most records carry, so that findings compare with one another. A
//! vector without any impact counts last: some records carry one in the place of a rating that they have not made.

use portcullis_model::{Severity, SeverityLevel};

use crate::osv::{SeverityRecord, Specific};

/// The severity of a list of OSV severities, and what could not be read of it.
pub(crate) fn of_records(records: &[SeverityRecord], problems: &mut Vec<String>) -> Severity {
    let mut severity = Severity::default();
    let mut best_rank = (false, 0);
    for record in records {
        let rank = match record.kind.as_str() {
            "CVSS_V3" => 3,
            "CVSS_V4" => 2,
            "CVSS_V2" => 1,
            _ => {
                // Such as Ubuntu's own: a word.
                if let Ok(level) = record.score.parse() {
                    severity.level = level;
                }
                continue;
            }
        };
        match score(&record.score) {
            Some(score) if (score > 0.0, rank) > best_rank => {
                best_rank = (score > 0.0, rank);
                severity.score = Some(score);
                severity.vector = Some(record.score.as_str().into());
            }
            Some(_) => {}
            None => {
                problems.push(format!("`{}` is not a CVSS vector", record.score.chars().take(120).collect::<String>()))
            }
        }
    }
    if let (SeverityLevel::Unknown, Some(score)) = (severity.level, severity.score) {
        severity.level = SeverityLevel::from_score(score);
    }
    severity
}

/// The base score of a CVSS vector of any version.
fn score(vector: &str) -> Option<f64> {
    if vector.len() > 512 {
        return None;
    }
    let score = if vector.starts_with("CVSS:4.") {
        vector.parse::<cvss::v4::Vector>().ok()?.score().value()
    } else if vector.starts_with("CVSS:3.") {
        vector.parse::<cvss::v3::Vector>().ok()?.base_score().value()
    } else {
        vector.trim_matches(['(', ')']).parse::<cvss::v2::Vector>().ok()?.score().value()
    };
    // One decimal, as FIRST's specifications write it.
    Some((score * 10.0).round() / 10.0)
}

/// The rating that Red Hat and the distributions made from it put before an advisory's title: `Important: openssl
/// security update`. AlmaLinux's records carry no other.
/// (<https://access.redhat.com/security/updates/classification>)
pub(crate) fn titled(id: &str, summary: &str) -> Option<SeverityLevel> {
    let is_such = ["ALSA-", "RHSA-", "RLSA-", "RXSA-", "ELSA-"].iter().any(|start| id.starts_with(start));
    let (word, _) = summary.split_once(':').filter(|_| is_such)?;
    word.trim().parse().ok().filter(|&level| level != SeverityLevel::Unknown)
}

/// A word in `database_specific` or `ecosystem_specific`: GitHub's `severity`, Ubuntu's priority, Debian's urgency.
pub(crate) fn word(specific: &Specific) -> Option<SeverityLevel> {
    [&specific.severity, &specific.ubuntu_priority, &specific.urgency]
        .into_iter()
        .find_map(|word| word.0.as_ref()?.parse().ok())
        .filter(|&level| level != SeverityLevel::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_without_impact_stands_for_a_rating_where_there_is_no_other() {
        let nothing = ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N");
        let v4 = ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N");
        let rated = |records: &[(&str, &str)]| {
            let records =
                records.iter().map(|(kind, score)| SeverityRecord { kind: (*kind).into(), score: (*score).into() });
            of_records(&records.collect::<Vec<_>>(), &mut Vec::new())
        };
        for records in [[nothing, v4], [v4, nothing]] {
            assert_eq!((rated(&records).level, rated(&records).score), (SeverityLevel::High, Some(8.7)));
        }
        assert_eq!((rated(&[nothing]).level, rated(&[nothing]).score), (SeverityLevel::None, Some(0.0)));
    }

    #[test]
    fn a_title_rates_errata_and_nothing_else() {
        for (id, summary, level) in [
            ("ALSA-2026:1852", "Moderate: util-linux security update", Some(SeverityLevel::Medium)),
            ("RLSA-2024:1", "Important: kernel security update", Some(SeverityLevel::High)),
            ("ALBA-2022:2100", "util-linux bug fix and enhancement update", None),
            ("ALSA-2024:1", "python3: security update", None),
            ("GHSA-1", "Critical: not a rating of this kind", None),
        ] {
            assert_eq!(titled(id, summary), level, "{id}");
        }
    }
}
