//! Distributions of which no bulk data is at hand: records as their sources write them, by way of a real database.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

use portcullis_advisories::{Builder, Database};
use portcullis_matching::{DistributionCoverage, Matches, explain, match_all};
use portcullis_model::{Distribution, Package, PackageType, SourcePackage};
use portcullis_testkit::AdvisoryRecord;
use serde_json::{Value, json};

fn database(records: &[AdvisoryRecord]) -> Database {
    let mut builder = Builder::new();
    for record in records {
        builder.add_record("osv/test", "a place", record.json().as_bytes());
    }
    Database::from_bytes(builder.build().unwrap().0).unwrap()
}

fn distribution(id: &str, version: &str) -> Distribution {
    Distribution {
        id: id.into(),
        version_id: version.into(),
        name: format!("{id} {version}"),
        ..Distribution::default()
    }
}

fn package(kind: PackageType, name: &str, version: &str, source: &str) -> Package {
    Package {
        purl: format!("pkg:{kind}/{name}@{version}"),
        source: (!source.is_empty()).then(|| SourcePackage { name: source.to_owned(), version: version.to_owned() }),
        ..Package::new(kind, name, version)
    }
}

fn rpm(name: &str, version: &str, source: &str) -> Package {
    package(PackageType::Rpm, name, version, source)
}

fn fixed(version: &str) -> Value {
    json!({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": version}]}]})
}

fn matched(packages: &[Package], distribution: &Distribution, records: &[AdvisoryRecord]) -> Matches {
    match_all(packages, Some(distribution), &database(records)).unwrap()
}

/// Each finding as `package cve ecosystem fixed`.
fn found(packages: &[Package], distribution: &Distribution, records: &[AdvisoryRecord]) -> Vec<String> {
    let line = |finding: &portcullis_model::Finding| {
        let cve = finding.cve.as_deref().unwrap_or("-");
        let evidence = &finding.evidence;
        format!("{} {cve} {} {}", finding.package.name, evidence.ecosystem, finding.fixed_versions.join(","))
    };
    matched(packages, distribution, records).findings.iter().map(line).collect()
}

fn update(id: &str, cve: &str) -> AdvisoryRecord {
    AdvisoryRecord::new(id).field("upstream", json!([cve])).field("summary", json!("Important: a security update"))
}

const NONE: [&str; 0] = [];

#[test]
fn red_hat_files_by_stream() {
    let rhel = distribution("rhel", "9.4");
    let record = update("RHSA-2024:2447", "CVE-2023-6237")
        .affected("Red Hat:enterprise_linux:9::baseos", "openssl-libs", fixed("1:3.0.7-27.el9"))
        .affected("Red Hat:enterprise_linux:9::appstream", "openssl-devel", fixed("1:3.0.7-27.el9"))
        .affected("Red Hat:rhel_eus:9.2::baseos", "openssl-libs", fixed("1:3.0.7-99.el9_2"));
    let records = [record];
    assert_eq!(
        found(&[rpm("openssl-libs", "1:3.0.7-24.el9", "openssl")], &rhel, &records),
        ["openssl-libs CVE-2023-6237 Red Hat:enterprise_linux:9::baseos 1:3.0.7-27.el9"]
    );
    // Fixed in the main stream: the number of an extended one does not count.
    assert_eq!(found(&[rpm("openssl-libs", "1:3.0.7-27.el9", "openssl")], &rhel, &records), NONE);
    assert_eq!(found(&[rpm("openssl-devel", "1:3.0.7-24.el9", "openssl")], &rhel, &records).len(), 1);
    // A missing epoch is 0, in the package as in the record.
    let zero = [update("RHSA-2024:1", "CVE-2024-1000").affected(
        "Red Hat:enterprise_linux:9::baseos",
        "curl",
        fixed("0:7.76.1-29.el9"),
    )];
    assert_eq!(found(&[rpm("curl", "7.76.1-28.el9", "curl")], &rhel, &zero).len(), 1);
    assert_eq!(found(&[rpm("curl", "7.76.1-29.el9", "curl")], &rhel, &zero), NONE);
    // Another release, and another product of Red Hat's, are not covered by it.
    let matches = matched(&[rpm("curl", "7.61.1-1.el8", "curl")], &distribution("rhel", "8.9"), &zero);
    assert_eq!((matches.findings.len(), matches.coverage.distribution), (0, DistributionCoverage::Uncovered));
    let mut stream = distribution("centos", "9");
    stream.name = "CentOS Stream 9".into();
    let matches = matched(&[rpm("curl", "7.76.1-1.el9", "curl")], &stream, &zero);
    assert_eq!(matches.coverage.distribution, DistributionCoverage::Uncovered);
    assert!(matches.warnings.iter().any(|warning| warning.message.contains("runs ahead")));
}

#[test]
fn module_streams_of_red_hat_and_its_relatives() {
    let alma = distribution("almalinux", "8.9");
    let of_18 = update("ALSA-2023:1", "CVE-2023-1000")
        .field("summary", json!("Important: nodejs:18 security update"))
        .affected("AlmaLinux:8", "nodejs", fixed("1:18.14.2-3.module_el8.7.0+3490+6eaa8bb2"));
    let node = |version: &str, module: &str| {
        let mut node = rpm("nodejs", version, "nodejs");
        node.module = Some(module.to_owned());
        [node]
    };
    let records = [of_18];
    assert_eq!(found(&node("1:18.12.1-2.module_el8.7.0+1+a", "nodejs:18"), &alma, &records).len(), 1);
    assert_eq!(found(&node("1:16.18.1-3.module_el8.7.0+1+a", "nodejs:16"), &alma, &records), NONE);
    assert_eq!(found(&[rpm("nodejs", "1:16.0.0-1.el8", "nodejs")], &alma, &records), NONE);
    // An update of bugs alone is no vulnerability.
    let bugs = [AdvisoryRecord::new("ALBA-2023:1").affected("AlmaLinux:8", "bash", fixed("5.0-2.el8"))];
    assert_eq!(found(&[rpm("bash", "5.0-1.el8", "bash")], &alma, &bugs), NONE);
}

#[test]
fn suse_files_by_product_and_names_sources_with_their_packages() {
    let binaries = |names: &[&str]| {
        let object: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!("1"))).collect();
        let mut entry = fixed("3.1.4-150600.5.15.1");
        entry["ecosystem_specific"] = json!({"binaries": [object]});
        entry
    };
    let record = update("SUSE-SU-2024:3766-1", "CVE-2024-41996")
        .affected(
            "SUSE:Linux Enterprise Module for Basesystem 15 SP6",
            "openssl-3",
            binaries(&["libopenssl3", "openssl-3"]),
        )
        .affected("openSUSE:Leap 15.6", "openssl-3", binaries(&["libopenssl3", "openssl-3", "openssl-3-doc"]))
        .affected("SUSE:Linux Enterprise Server 15 SP5-LTSS", "openssl-3", binaries(&["libopenssl3"]));
    let records = [record];
    let lib = [rpm("libopenssl3", "3.1.4-150600.5.10.1", "openssl-3")];
    let doc = [rpm("openssl-3-doc", "3.1.4-150600.5.10.1", "openssl-3")];
    let sles = distribution("sles", "15.6");
    assert_eq!(
        found(&lib, &sles, &records),
        ["libopenssl3 CVE-2024-41996 SUSE:Linux Enterprise Module for Basesystem 15 SP6 3.1.4-150600.5.15.1"]
    );
    assert_eq!(found(&doc, &sles, &records), NONE);
    assert_eq!(found(&doc, &distribution("opensuse-leap", "15.6"), &records).len(), 1);
    let ltss = found(&lib, &distribution("sles", "15.5"), &records);
    assert_eq!(ltss, ["libopenssl3 CVE-2024-41996 SUSE:Linux Enterprise Server 15 SP5-LTSS 3.1.4-150600.5.15.1"]);
    assert_eq!(found(&lib, &distribution("sles", "15.4"), &records), NONE);
}

#[test]
fn rocky_amazon_oracle_and_open_euler() {
    let mut euler = distribution("openeuler", "22.03");
    euler.name = "openEuler 22.03 (LTS-SP3)".into();
    for (distribution, ecosystem) in [
        (distribution("rocky", "9.3"), "Rocky Linux:9"),
        (distribution("amzn", "2023"), "Amazon Linux:2023"),
        (distribution("ol", "9.3"), "Oracle Linux:9"),
        (distribution("mageia", "9"), "Mageia:9"),
        (euler, "openEuler:22.03-LTS-SP3"),
    ] {
        let records = [update("A-1", "CVE-2024-1000").affected(ecosystem, "openssl", fixed("1:3.0.7-27"))];
        // By the source's name, which all of these use.
        let lib = [rpm("openssl-libs", "1:3.0.7-24", "openssl")];
        let expected = format!("openssl-libs CVE-2024-1000 {ecosystem} 1:3.0.7-27");
        assert_eq!(found(&lib, &distribution, &records), [expected], "{ecosystem}");
        assert_eq!(
            found(&[rpm("openssl-libs", "1:3.0.7-27", "openssl")], &distribution, &records),
            NONE,
            "{ecosystem}"
        );
        let own = matched(&lib, &distribution, &[update("A-1", "CVE-2024-1000").affected("npm", "a", fixed("1"))]);
        assert_eq!(own.coverage.distribution, DistributionCoverage::Uncovered, "{ecosystem}");
    }
}

#[test]
fn ubuntu_pro_speaks_of_its_own_packages() {
    let focal = distribution("ubuntu", "20.04");
    let open = json!({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
                      "ecosystem_specific": {"binaries": [{"binary_name": "libssl1.1", "binary_version": "1.1.1f-1"}]}});
    let records = [update("UBUNTU-CVE-2025-1000", "CVE-2025-1000")
        .affected("Ubuntu:20.04:LTS", "openssl", open)
        .affected("Ubuntu:Pro:20.04:LTS", "openssl", fixed("1.1.1f-1ubuntu2.24+esm1"))];
    let ssl = |version: &str| [package(PackageType::Deb, "libssl1.1", version, "openssl")];
    let plain = found(&ssl("1.1.1f-1ubuntu2.24"), &focal, &records);
    assert_eq!(plain, ["libssl1.1 CVE-2025-1000 Ubuntu:20.04:LTS "]);
    for (version, ecosystem) in [("1.1.1f-1", "Ubuntu:20.04:LTS"), ("1.1.1f-1+esm0", "Ubuntu:Pro:20.04:LTS")] {
        let database = database(&records);
        let [package] = ssl(version);
        let keys: Vec<_> = database.search("CVE-2025-1000").unwrap().into_iter().map(|hit| hit.key).collect();
        let explained = explain(&package, Some(&focal), &keys, &database).unwrap().explanations;
        assert_eq!(explained.iter().map(|one| &*one.ecosystem).collect::<Vec<_>>(), [ecosystem], "{version}");
    }
    assert_eq!(found(&ssl("1.1.1f-1ubuntu2.24+esm1"), &focal, &records), NONE);
    let older = found(&ssl("1.1.1f-1ubuntu2.20+esm0"), &focal, &records);
    assert_eq!(older, ["libssl1.1 CVE-2025-1000 Ubuntu:Pro:20.04:LTS 1.1.1f-1ubuntu2.24+esm1"]);
    // When the release's own support has ended, what comes later is said of Pro alone.
    let old = distribution("ubuntu", "16.04");
    let records = [
        update("UBUNTU-CVE-2020-1000", "CVE-2020-1000").affected("Ubuntu:16.04:LTS", "openssl", fixed("1.0.1")),
        update("UBUNTU-CVE-2025-1000", "CVE-2025-1000").affected(
            "Ubuntu:Pro:16.04:LTS",
            "openssl",
            fixed("1.0.2+esm1"),
        ),
    ];
    assert_eq!(found(&ssl("1.0.2"), &old, &records), ["libssl1.1 CVE-2025-1000 Ubuntu:Pro:16.04:LTS 1.0.2+esm1"]);
}

#[test]
fn records_of_azure_linux_leave_epochs_out() {
    let azure = distribution("azurelinux", "3.0");
    let records = [update("AZL-1", "CVE-2024-1000").affected("Azure Linux:3", "vim", fixed("9.1.0791-4"))];
    let expected = ["vim CVE-2024-1000 Azure Linux:3 9.1.0791-4"];
    for version in ["9.1.0791-3.azl3", "1:9.1.0791-3.azl3"] {
        assert_eq!(found(&[rpm("vim", version, "vim")], &azure, &records), expected, "{version}");
    }
    for version in ["9.1.0791-4.azl3", "1:9.1.0791-4.azl3"] {
        assert_eq!(found(&[rpm("vim", version, "vim")], &azure, &records), NONE, "{version}");
    }
}

/// `perl-Errno` has an epoch and a version of its own, and the name of its source's file tells no epoch: that of `perl` is 4.
#[test]
fn the_epoch_of_a_source_is_not_that_of_every_package() {
    let built = |name: &str, version: &str, source: &str| {
        let source = SourcePackage { name: "perl".to_owned(), version: source.to_owned() };
        Package { source: Some(source), ..rpm(name, version, "") }
    };
    let old = [
        built("perl-Errno", "1.30-480.el9", "5.32.1-480.el9"),
        built("perl-libs", "4:5.32.1-480.el9", "4:5.32.1-480.el9"),
    ];
    let new = [
        built("perl-Errno", "1.30-483.el9", "5.32.1-483.el9"),
        built("perl-libs", "4:5.32.1-483.el9", "4:5.32.1-483.el9"),
    ];
    let perl = || fixed("4:5.32.1-481.el9");
    let records = |ecosystem| [update("ALSA-2024:2228", "CVE-2023-47038").affected(ecosystem, "perl", perl())];
    for (id, ecosystem) in [("almalinux", "AlmaLinux:9"), ("rocky", "Rocky Linux:9")] {
        let found = |packages: &[Package]| found(packages, &distribution(id, "9.4"), &records(ecosystem));
        assert_eq!(found(&new), [""; 0], "{ecosystem}");
        let expected = |name| format!("{name} CVE-2023-47038 {ecosystem} 4:5.32.1-481.el9");
        assert_eq!(found(&old), [expected("perl-Errno"), expected("perl-libs")], "{ecosystem}");
    }
    // A record that names the package itself says more than by its source.
    let [record] = records("AlmaLinux:9");
    let both = [record.affected("AlmaLinux:9", "perl-Errno", fixed("1.30-482.el9"))];
    for ([errno, _], expected) in [(&old, "1.30-482.el9"), (&new, "")] {
        let found = found(std::slice::from_ref(errno), &distribution("almalinux", "9.4"), &both);
        let line = format!("perl-Errno CVE-2023-47038 AlmaLinux:9 {expected}");
        assert_eq!(found, Some(line).filter(|_| !expected.is_empty()).into_iter().collect::<Vec<_>>());
    }
    // But not if it names no version of it.
    let [record] = records("AlmaLinux:9");
    let of_git =
        json!({"ranges": [{"type": "GIT", "repo": "https://git.example/perl", "events": [{"introduced": "0"}]}]});
    let empty = [record.affected("AlmaLinux:9", "perl-Errno", of_git)];
    let [errno, _] = &old;
    assert_eq!(found(std::slice::from_ref(errno), &distribution("almalinux", "9.4"), &empty).len(), 1);
    // A bill of materials may tell the source's own epoch: it counts.
    let told = [built("perl-Errno", "1.30-483.el9", "3:5.32.1-483.el9")];
    assert_eq!(found(&told, &distribution("almalinux", "9.4"), &records("AlmaLinux:9")).len(), 1);
    // Not even a package of its source's version need have its epoch.
    let same = |release| [built("perl-meta-notation", release, release)];
    let found_of =
        |packages: &[Package]| found(packages, &distribution("rocky", "9.4"), &records("Rocky Linux:9")).len();
    assert_eq!(found_of(&same("5.32.1-481.el9")), 0);
    assert_eq!(found_of(&same("5.32.1-480.el9")), 1);
    // What is compared is what is shown.
    let database = database(&records("AlmaLinux:9"));
    let [errno, _] = &new;
    let advisories: Vec<_> = database.search("CVE-2023-47038").unwrap().into_iter().map(|hit| hit.key).collect();
    let explained = explain(errno, Some(&distribution("almalinux", "9.4")), &advisories, &database).unwrap();
    let [of_source, ..] = explained.explanations.as_slice() else { panic!("nothing is explained") };
    assert_eq!(of_source.name, "perl");
    assert_eq!(of_source.comparisons, ["5.32.1-483.el9 > 5.32.1-481.el9"]);
}

#[test]
fn cent_os_is_its_own_publisher_and_ended_earlier() {
    let mut centos = distribution("centos", "8");
    centos.name = "CentOS Linux".into();
    let records = [update("RHSA-1", "CVE-2020-1000").affected(
        "Red Hat:enterprise_linux:8::baseos",
        "curl",
        fixed("7.61.1-9.el8"),
    )];
    let mut curl = rpm("curl", "7.61.1-8.el8", "curl");
    curl.vendor = Some("CentOS".into());
    let matches = matched(&[curl.clone()], &centos, &records);
    assert_eq!((matches.findings.len(), matches.coverage.uncovered.len()), (1, 0));
    assert_eq!(matches.coverage.end_of_life.map(|day| day.date()).as_deref(), Some("2021-12-31"));
    assert!(matches.warnings.iter().any(|warning| warning.message.contains("matched with the advisories of rhel 8")));
    curl.vendor = Some("Fedora Project".into());
    assert_eq!(matched(&[curl], &centos, &records).coverage.uncovered[0].what, "rpm packages by Fedora Project");
}

#[test]
fn a_part_of_what_there_is_covers_nothing() {
    let mut hardened = distribution("debian", "13");
    hardened.name = "Docker Hardened Images/Debian GNU/Linux 13 (trixie)".into();
    let of_vendor = update("DHI-1", "CVE-2026-1").affected("Docker Hardened Images:Debian:13", "curl", fixed("9"));
    let of_debian = update("DEBIAN-CVE-2026-2", "CVE-2026-2").affected("Debian:13", "bash", fixed("9"));
    let curl = [package(PackageType::Deb, "curl", "8", "")];
    let alone = matched(&curl, &hardened, std::slice::from_ref(&of_vendor));
    assert_eq!(alone.coverage.distribution, DistributionCoverage::Uncovered);
    let both = matched(&curl, &hardened, &[of_vendor, of_debian]);
    assert_eq!((both.findings.len(), both.coverage.distribution), (1, DistributionCoverage::Covered));
    // Drupal's modules are not all of Packagist.
    let drupal =
        [AdvisoryRecord::new("DRUPAL-1").affected("Packagist:https://packages.drupal.org/8", "drupal/x", fixed("9"))];
    let monolog = [package(PackageType::Composer, "monolog/monolog", "1.0.0", "")];
    let matches = matched(&monolog, &hardened, &drupal);
    assert_eq!(matches.coverage.uncovered[0].what, "Packagist");
}

#[test]
fn derivatives_are_matched_aloud_or_not_at_all() {
    let records = [update("UBUNTU-CVE-2025-1000", "CVE-2025-1000").affected("Ubuntu:22.04:LTS", "curl", fixed("9"))];
    let curl = [package(PackageType::Deb, "curl", "7.81.0-1", "curl")];
    let mut mint = distribution("linuxmint", "21.3");
    mint.parent_codename = Some("jammy".into());
    let matches = matched(&curl, &mint, &records);
    assert_eq!((matches.findings.len(), matches.coverage.distribution), (1, DistributionCoverage::Covered));
    assert!(
        matches.warnings.iter().any(|warning| warning.message.contains("matched with the advisories of ubuntu 22.04"))
    );
    let mut other = distribution("someubuntu", "22.04");
    other.id_like = vec!["ubuntu".into(), "debian".into()];
    let matches = matched(&curl, &other, &records);
    assert_eq!((matches.findings.len(), matches.coverage.distribution), (0, DistributionCoverage::Uncovered));
    assert!(matches.warnings.iter().any(|warning| warning.message.contains("need not hold for it")));
}

#[test]
fn what_others_publish_is_not_the_distribution_s() {
    let debian = distribution("debian", "12");
    let records = [
        update("DEBIAN-CVE-2025-1000", "CVE-2025-1000").affected("Debian:12", "nodejs", fixed("18.20.4")),
        AdvisoryRecord::new("GHSA-1").affects("npm", "npm", "0", Some("99.0.0")),
    ];
    let mut node = package(PackageType::Deb, "nodejs", "18.13.0-1nodesource1", "");
    node.purl = "pkg:deb/debian/nodejs".into();
    // What its package holds is upstream's: nobody else's verdict stands above upstream's.
    let mut npm = package(PackageType::Npm, "npm", "8.0.0", "");
    npm.owned_by = Some(node.purl.clone());
    let perl = package(PackageType::Cpan, "JSON", "1", "");
    let matches = matched(&[node, npm, perl], &debian, &records);
    let names: Vec<&str> = matches.findings.iter().map(|finding| finding.package.name.as_str()).collect();
    assert_eq!(names, ["npm"]);
    assert!(matches.findings.iter().all(|finding| finding.suppressed.is_none()));
    let uncovered: Vec<String> =
        matches.coverage.uncovered.iter().map(|found| format!("{} {}", found.what, found.packages)).collect();
    assert_eq!(uncovered, ["cpan packages 1", "deb packages by NodeSource 1"]);
}

#[test]
fn every_way_to_name_a_release_leads_to_its_end() {
    let records = [update("DEBIAN-CVE-2025-1000", "CVE-2025-1000").affected("Debian:12", "curl", fixed("9"))];
    for (id, version, codename, name, expected) in [
        ("debian", "11", "", "", "2026-08-31"),
        ("debian", "", "bullseye", "", "2026-08-31"),
        ("debian", "6.0.10", "", "", "2016-02-29"),
        ("debian", "3.1r8", "", "", "2008-03-31"),
        ("debian", "", "forky", "", "none"),
        ("raspbian", "", "stretch", "", "2022-07-01"),
        ("ubuntu", "", "bionic", "", "2023-05-31"),
        ("mariner", "1.0.20230811", "", "", "2023-08-31"),
        ("mariner", "2.0", "", "", "2025-07-31"),
        ("azurelinux", "3.0.20260616", "", "", "2027-08-31"),
        ("openeuler", "22.03", "", "openEuler 22.03 (LTS-SP3)", "2025-12-31"),
        ("openeuler", "22.03", "", "openEuler 22.03", "2026-06-30"),
        ("openeuler", "23.09", "", "openEuler 23.09", "2024-03-31"),
        // A service pack that is not known is none of those that are.
        ("openeuler", "22.03", "", "openEuler 22.03 (LTS-SP9)", "none"),
    ] {
        let mut distribution = distribution(id, version);
        distribution.codename = (!codename.is_empty()).then(|| codename.to_owned());
        distribution.name = name.to_owned();
        let end = matched(&[], &distribution, &records).coverage.end_of_life;
        let end = end.map_or("none".to_owned(), |end| end.to_string());
        assert!(end.starts_with(expected), "{id} {version} {codename} {name}: {end}");
    }
}
