//! When releases of distributions stop getting fixes: facts, as their makers announced them, collected at
//! <https://endoflife.date>. Support that is paid for (Ubuntu Pro, LTSS, ELS, Extended LTS) is not counted; Debian's
//! LTS is, since its updates are for everybody.

use portcullis_model::{Distribution, Timestamp};

use crate::distributions::{Rule, major, minor, open_euler_pack};

type Ends = &'static [(&'static str, &'static str)];

/// The last day on which the release of `distribution` gets fixes; none where that is not known.
pub(crate) fn end_of_life(rule: &Rule, distribution: &Distribution) -> Option<Timestamp> {
    let find = |release: &str| rule.ends.iter().find(|(known, _)| *known == release);
    let known = match open_euler_pack(distribution) {
        // The service packs of a release end one after the other.
        Some(pack) => find(&format!("{}-{pack}", minor(distribution))),
        None => [distribution.release(), minor(distribution), major(distribution)].into_iter().find_map(find),
    };
    known.and_then(|(_, date)| date.parse().ok())
}

/// Debian, LTS included: <https://wiki.debian.org/LTS>
pub(crate) const DEBIAN: Ends = &[
    ("13", "2030-06-30"),
    ("12", "2028-06-30"),
    ("11", "2026-08-31"),
    ("10", "2024-06-30"),
    ("9", "2022-07-01"),
    ("8", "2020-06-30"),
    ("7", "2018-05-31"),
    ("6", "2016-02-29"),
    ("5", "2012-02-06"),
    ("4", "2010-02-15"),
    ("3.0", "2006-06-30"),
    ("3", "2008-03-31"),
];

/// Ubuntu, without Pro: <https://ubuntu.com/about/release-cycle>
pub(crate) const UBUNTU: Ends = &[
    ("26.04", "2031-04-30"),
    ("25.10", "2026-07-01"),
    ("25.04", "2026-01-17"),
    ("24.10", "2025-07-10"),
    ("24.04", "2029-05-31"),
    ("23.10", "2024-07-12"),
    ("23.04", "2024-01-20"),
    ("22.10", "2023-07-20"),
    ("22.04", "2027-04-01"),
    ("21.10", "2022-07-14"),
    ("21.04", "2022-01-20"),
    ("20.10", "2021-07-22"),
    ("20.04", "2025-05-31"),
    ("19.10", "2020-07-06"),
    ("19.04", "2020-01-23"),
    ("18.10", "2019-07-18"),
    ("18.04", "2023-05-31"),
    ("17.10", "2018-07-19"),
    ("17.04", "2018-01-13"),
    ("16.10", "2017-07-20"),
    ("16.04", "2021-04-02"),
    ("15.10", "2016-07-28"),
    ("15.04", "2016-02-04"),
    ("14.10", "2015-07-23"),
    ("14.04", "2019-04-02"),
    ("13.10", "2014-07-17"),
    ("13.04", "2014-01-27"),
    ("12.10", "2014-05-16"),
    ("12.04", "2017-04-28"),
    ("11.10", "2013-05-09"),
    ("11.04", "2012-10-28"),
    ("10.10", "2012-04-10"),
    ("10.04", "2015-04-30"),
    ("9.10", "2011-04-30"),
    ("9.04", "2010-10-23"),
    ("8.10", "2010-04-30"),
    ("8.04", "2013-05-09"),
];

/// Alpine: <https://alpinelinux.org/releases/>
pub(crate) const ALPINE: Ends = &[
    ("3.24", "2028-06-01"),
    ("3.23", "2027-11-01"),
    ("3.22", "2027-05-01"),
    ("3.21", "2026-11-01"),
    ("3.20", "2026-04-01"),
    ("3.19", "2025-11-01"),
    ("3.18", "2025-05-09"),
    ("3.17", "2024-11-22"),
    ("3.16", "2024-05-23"),
    ("3.15", "2023-11-01"),
    ("3.14", "2023-05-01"),
    ("3.13", "2022-11-01"),
    ("3.12", "2022-05-01"),
    ("3.11", "2021-11-01"),
    ("3.10", "2021-05-01"),
    ("3.9", "2020-11-01"),
    ("3.8", "2020-05-01"),
    ("3.7", "2019-11-01"),
    ("3.6", "2019-05-01"),
    ("3.5", "2018-11-01"),
    ("3.4", "2018-05-01"),
    ("3.3", "2017-11-01"),
    ("3.2", "2017-05-01"),
    ("3.1", "2016-11-01"),
    ("3.0", "2016-05-01"),
];

/// Red Hat Enterprise Linux, maintenance: <https://access.redhat.com/support/policy/updates/errata>
pub(crate) const RHEL: Ends = &[
    ("10", "2035-05-31"),
    ("9", "2032-05-31"),
    ("8", "2029-05-31"),
    ("7", "2024-06-30"),
    ("6", "2020-11-30"),
    ("5", "2017-03-31"),
    ("4", "2012-02-29"),
];

/// CentOS Linux, which ended before the releases it was built from: <https://www.centos.org/centos-linux-eol/>
pub(crate) const CENTOS: Ends = &[("8", "2021-12-31"), ("7", "2024-06-30"), ("6", "2020-11-30"), ("5", "2017-03-31")];

/// AlmaLinux and Rocky Linux: <https://wiki.almalinux.org/release-notes/>, <https://wiki.rockylinux.org/rocky/version/>
pub(crate) const ALMA_AND_ROCKY: Ends = &[("10", "2035-05-31"), ("9", "2032-05-31"), ("8", "2029-05-31")];

/// Oracle Linux, premier support: <https://www.oracle.com/a/ocom/docs/elsp-lifetime-069338.pdf>
pub(crate) const ORACLE: Ends = &[("9", "2032-06-30"), ("8", "2029-07-31"), ("7", "2024-12-31"), ("6", "2021-03-31")];

/// Amazon Linux: <https://aws.amazon.com/amazon-linux-2/faqs/>
pub(crate) const AMAZON: Ends = &[
    ("2023", "2029-06-30"),
    ("2", "2026-06-30"),
    ("2018.03", "2023-12-31"),
    ("2017.09", "2023-12-31"),
    ("2017.03", "2023-12-31"),
    ("2016.09", "2023-12-31"),
];

/// Fedora: <https://docs.fedoraproject.org/en-US/releases/lifecycle/>
pub(crate) const FEDORA: Ends = &[
    ("44", "2027-06-02"),
    ("43", "2026-12-09"),
    ("42", "2026-05-27"),
    ("41", "2025-12-15"),
    ("40", "2025-05-13"),
    ("39", "2024-11-26"),
    ("38", "2024-05-21"),
    ("37", "2023-12-05"),
    ("36", "2023-05-16"),
    ("35", "2022-12-13"),
    ("34", "2022-06-07"),
    ("33", "2021-11-30"),
    ("32", "2021-05-25"),
    ("31", "2020-11-24"),
    ("30", "2020-05-26"),
];

/// SUSE Linux Enterprise, general support: <https://www.suse.com/lifecycle>
pub(crate) const SLES: Ends = &[
    ("16.0", "2027-11-30"),
    ("15.7", "2031-07-31"),
    ("15.6", "2025-12-31"),
    ("15.5", "2024-12-31"),
    ("15.4", "2023-12-31"),
    ("15.3", "2022-12-31"),
    ("15.2", "2021-12-31"),
    ("12.5", "2024-10-31"),
    ("15.1", "2021-01-31"),
    ("12.4", "2020-06-30"),
    ("12.3", "2019-06-30"),
    ("12.2", "2018-03-31"),
    ("12.1", "2017-05-31"),
    ("11.4", "2019-03-31"),
    ("11.3", "2016-01-31"),
    ("11.2", "2014-01-31"),
    ("11.1", "2012-08-31"),
    ("11.0", "2010-12-31"),
    ("15", "2019-12-31"),
    ("12", "2016-06-30"),
];

/// SUSE Linux Micro: <https://www.suse.com/lifecycle>
pub(crate) const SUSE_MICRO: Ends = &[
    ("6.2", "2029-11-30"),
    ("6.1", "2028-11-30"),
    ("6.0", "2028-06-30"),
    ("5.5", "2027-10-31"),
    ("5.4", "2027-04-30"),
    ("5.3", "2026-10-30"),
    ("5.2", "2026-04-30"),
    ("5.1", "2025-10-31"),
    ("5.0", "2022-03-31"),
];

/// openSUSE Leap: <https://en.opensuse.org/Lifetime>
pub(crate) const LEAP: Ends = &[
    ("16.0", "2027-10-31"),
    ("15.6", "2026-04-30"),
    ("15.5", "2024-12-31"),
    ("15.4", "2023-12-07"),
    ("15.3", "2022-12-31"),
    ("15.2", "2022-01-04"),
    ("15.1", "2021-02-02"),
    ("15.0", "2019-12-03"),
    ("42.3", "2019-07-01"),
    ("42.2", "2018-01-26"),
    ("42.1", "2017-05-17"),
];

/// Photon OS: <https://blogs.vmware.com/photon>
pub(crate) const PHOTON: Ends =
    &[("4.0", "2027-10-11"), ("3.0", "2025-10-02"), ("2.0", "2022-12-01"), ("1.0", "2022-02-28")];

/// Mageia: <https://www.mageia.org/en/support/>
pub(crate) const MAGEIA: Ends = &[
    ("10", "2028-03-31"),
    ("9", "2026-09-29"),
    ("8", "2023-11-30"),
    ("7", "2021-06-30"),
    ("6", "2019-09-30"),
    ("5", "2017-12-31"),
];

/// Azure Linux, before 3 CBL-Mariner: <https://learn.microsoft.com/azure/azure-linux/release-cadence-lifecycle>
pub(crate) const AZURE: Ends = &[("3", "2027-08-31"), ("2", "2025-07-31"), ("1", "2023-08-31")];

/// openEuler, by service pack; where none is told, the last of those of the release:
/// <https://www.openeuler.org/en/other/lifecycle/>
pub(crate) const OPEN_EULER: Ends = &[
    ("26.09", "2027-03-31"),
    ("25.09", "2026-03-31"),
    ("25.03", "2025-09-30"),
    ("24.09", "2025-03-31"),
    ("24.03-LTS-SP4", "2027-03-31"),
    ("24.03-LTS-SP3", "2027-12-31"),
    ("24.03-LTS-SP2", "2026-03-31"),
    ("24.03-LTS-SP1", "2026-12-31"),
    ("24.03-LTS", "2026-05-31"),
    ("24.03", "2027-12-31"),
    ("23.09", "2024-03-31"),
    ("23.03", "2023-09-30"),
    ("22.03-LTS-SP4", "2026-06-30"),
    ("22.03-LTS-SP3", "2025-12-31"),
    ("22.03-LTS-SP2", "2024-03-31"),
    ("22.03-LTS-SP1", "2024-12-31"),
    ("22.03-LTS", "2024-03-31"),
    ("22.03", "2026-06-30"),
    ("20.03-LTS-SP4", "2025-11-30"),
    ("20.03-LTS-SP3", "2023-12-31"),
    ("20.03-LTS-SP2", "2022-04-30"),
    ("20.03-LTS-SP1", "2022-12-31"),
    ("20.03-LTS", "2021-03-31"),
    ("20.03", "2025-11-30"),
];
