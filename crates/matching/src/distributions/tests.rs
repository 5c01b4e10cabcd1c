//! Which ecosystems an `os-release` leads to.

use super::*;

/// What a distribution's advisories may be filed under.
fn ecosystems(distribution: &Distribution) -> Vec<String> {
    match rule(&distribution.id).map(|rule| &rule.filed) {
        Some(Filed::First(list)) => list(distribution),
        _ => Vec::new(),
    }
}

fn distribution(id: &str, version: &str) -> Distribution {
    Distribution { id: id.into(), version_id: version.into(), ..Distribution::default() }
}

#[test]
fn every_example_is_true_and_every_scheme_known() {
    for rule in DISTRIBUTIONS {
        let (version, expected) = rule.example;
        for id in rule.ids {
            let distribution = distribution(id, version);
            let leads = match &rule.filed {
                Filed::Family(base, accepts) => expected
                    .strip_prefix(base)
                    .and_then(|rest| rest.strip_prefix(':'))
                    .is_some_and(|tail| accepts(&distribution, tail)),
                Filed::First(list) => list(&distribution).iter().any(|name| name == expected),
            };
            assert!(leads, "{id} {version} does not lead to {expected}");
        }
        assert!(portcullis_versions::Scheme::of_ecosystem(expected).is_some(), "{expected}");
        for (release, date) in rule.ends {
            assert!(date.parse::<portcullis_model::Timestamp>().is_ok(), "{release} {date}");
        }
    }
    let mut ids: Vec<_> = DISTRIBUTIONS.iter().flat_map(|rule| rule.ids).collect();
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id has two rules");
}

#[test]
fn os_release_leads_to_the_ecosystems_of_osv() {
    for (id, version, expected) in [
        ("debian", "12", &["Debian:12"][..]),
        ("debian", "", &[]),
        ("debian", "12.5", &["Debian:12"]),
        ("debian", "6", &["Debian:6.0"]),
        ("debian", "6.0.10", &["Debian:6.0"]),
        ("debian", "3.1r8", &["Debian:3.1"]),
        ("debian", "3", &["Debian:3.0"]),
        ("ubuntu", "22.04", &["Ubuntu:22.04:LTS", "Ubuntu:22.04"]),
        ("ubuntu", "19.10", &["Ubuntu:19.10"]),
        ("ubuntu", "23.04", &["Ubuntu:23.04"]),
        ("alpine", "3.18.4", &["Alpine:v3.18"]),
        ("alpine", "3.22.0_alpha20250108", &["Alpine:edge", "Alpine:v3.22"]),
        ("alpine", "edge", &["Alpine:edge"]),
        ("mariner", "2.0.20240101", &["Azure Linux:2"]),
        ("photon", "3.0", &["Photon OS:3.0", "Photon OS:3"]),
        ("amzn", "2018.03", &["Amazon Linux:1"]),
        ("amzn", "2", &["Amazon Linux:2"]),
        ("opensuse-leap", "16.0", &["openSUSE:Leap 16.0"]),
        ("somelinux", "1", &[]),
    ] {
        assert_eq!(ecosystems(&distribution(id, version)), expected, "{id} {version}");
    }
}

#[test]
fn names_say_what_numbers_do_not() {
    let mut sid = distribution("debian", "");
    sid.codename = Some("forky".into());
    assert_eq!(ecosystems(&sid), ["Debian:14"]);
    let mut hardened = distribution("debian", "13");
    hardened.codename = Some("trixie".into());
    hardened.name = "Docker Hardened Images/Debian GNU/Linux 13 (trixie)".into();
    assert_eq!(
        ecosystems(&hardened),
        ["Docker Hardened Images:Debian:trixie", "Docker Hardened Images:Debian:13", "Debian:13"]
    );
    let mut euler = distribution("openeuler", "22.03");
    euler.name = "openEuler 22.03 (LTS-SP3)".into();
    assert_eq!(ecosystems(&euler), ["openEuler:22.03-LTS-SP3", "openEuler:22.03"]);
}

#[test]
fn products_of_suse_belong_to_their_release() {
    let sp7 = distribution("sles", "15.7");
    for (tail, expected) in [
        ("Linux Enterprise Module for Basesystem 15 SP7", true),
        ("Linux Enterprise Server 15 SP7", true),
        ("Linux Enterprise Server 15 SP7-LTSS", true),
        ("Linux Enterprise High Performance Computing 15 SP7-ESPOS", true),
        ("Package Hub 15 SP7", true),
        ("Linux Enterprise Server 16.0", false),
        ("Linux Enterprise Server 15 SP4-LTSS", false),
        ("Linux Enterprise Server 5 SP7", false),
        ("Linux Enterprise Live Patching 15 SP7", false),
        ("Linux Micro 6.2", false),
    ] {
        assert_eq!(enterprise(&sp7, tail), expected, "{tail}");
    }
    let first = distribution("sles", "15");
    assert!(enterprise(&first, "Linux Enterprise Module for Basesystem 15"));
    assert!(!enterprise(&first, "Linux Enterprise Module for Basesystem 15 SP7"));
    let twelve = distribution("sles", "12.5");
    assert!(enterprise(&twelve, "Linux Enterprise Server LTSS Extended Security 12 SP5"));
    assert!(enterprise(&twelve, "Linux Enterprise Module for Web and Scripting 12"));
    assert!(enterprise(&distribution("sles", "16.0"), "Linux Enterprise Server 16.0"));
    assert!(micro(&distribution("sle-micro", "5.5"), "Linux Enterprise Micro 5.5"));
    assert!(!micro(&distribution("sle-micro", "5.5"), "Linux Enterprise Micro 5.4"));
}

#[test]
fn streams_of_red_hat_belong_to_their_release() {
    let mut rhel = distribution("rhel", "9.4");
    for (tail, expected) in [
        ("enterprise_linux:9::baseos", true),
        ("enterprise_linux:9::appstream", true),
        ("enterprise_linux:8::baseos", false),
        ("rhel_eus:9.4::baseos", false),
        ("openshift:4.14::el9", false),
        ("", false),
    ] {
        assert_eq!(red_hat(&rhel, tail), expected, "{tail}");
    }
    rhel.cpe = Some("cpe:/o:redhat:rhel_eus:9.4::baseos".into());
    assert!(red_hat(&rhel, "rhel_eus:9.4::appstream"));
    assert!(!red_hat(&rhel, "rhel_eus:9.2::appstream"));
    assert!(red_hat(&distribution("rhel", "10.0"), "enterprise_linux:10.1"));
}
