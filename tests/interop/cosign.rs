//! A real registry and real cosign: what we sign, cosign verifies; and the gate's answers through `verify`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Registry, cache, images, is_on, portcullis, run, skip};

const TYPES: [&str; 3] =
    ["cyclonedx", "https://cosign.sigstore.dev/attestation/vuln/v1", "https://slsa.dev/verification_summary/v1"];

fn cosign() -> Option<PathBuf> {
    let program = cache().join("bin/cosign");
    if !program.is_file() {
        skip("cosign is missing");
        return None;
    }
    Some(program)
}

#[test]
fn cosign_verifies_what_a_scan_attests_where_referrers_are_a_tag() {
    whole_life(Registry::docker);
}

#[test]
fn cosign_verifies_what_a_scan_attests_where_referrers_are_an_interface() {
    whole_life(Registry::cue);
}

/// After a later scan the older verdict goes, with what it rests on. A stranger's evidence stays, and so does what the
/// older form holds: that is one image for all.
fn outdated_evidence_goes(image: &str, key: &Path, public: &Path) {
    let scan = |moment: Option<&str>, key: &Path| {
        let mut scan = portcullis();
        scan.env_remove("SOURCE_DATE_EPOCH").env("COSIGN_PASSWORD", "pw");
        moment.into_iter().for_each(|moment| _ = scan.env("SOURCE_DATE_EPOCH", moment));
        run(scan.args(["scan", image, "--plain-http", "-q", "--attest", "--key"]).arg(key), &[0]);
    };
    scan(Some("1790000000"), key);
    scan(Some("1790000000"), key);
    let stranger = key.with_file_name("stranger");
    let mut generate = portcullis();
    run(generate.args(["key", "generate", "--output-prefix"]).arg(&stranger).env("COSIGN_PASSWORD", "pw"), &[0]);
    scan(Some("1790000001"), &stranger.with_extension("key"));
    let bundles = || {
        let mut list = portcullis();
        let listed = run(list.args(["evidence", "list", image, "--plain-http", "--key"]).arg(public), &[0]).stdout;
        let listed = String::from_utf8(listed).unwrap();
        // What is said of a bundle stands on the line below; envelopes of the older form lie among them.
        let lines: Vec<&str> = listed.lines().collect();
        let below = lines.iter().zip(lines.iter().skip(1)).filter(|(line, _)| line.starts_with("    bundle in "));
        let bundles: Vec<&str> = below.map(|(_, below)| *below).collect();
        let verified = bundles.iter().filter(|told| told.contains("verified: key 1")).count();
        (bundles.len(), verified)
    };
    // Scanning the same moment twice added nothing.
    assert_eq!(bundles(), (9, 6));
    let mut prune = portcullis();
    let pruned = run(prune.args(["evidence", "prune", image, "--plain-http", "--key"]).arg(public), &[0]).stdout;
    assert_eq!(String::from_utf8(pruned).unwrap(), "3 removed\n");
    assert_eq!(bundles(), (6, 3));
}

fn whole_life(start: fn() -> Option<Registry>) {
    let Some(folder) = is_on().then(images).flatten() else { return };
    let (Some(registry), Some(cosign)) = (start(), cosign()) else { return };
    let image = format!("{}/team/debian:1", registry.address);
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "-q", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{}:latest", folder.join("images/oci/debian-base").display()))
        .arg(format!("docker://{image}"));
    run(&mut copy, &[0]);
    let keys = tempfile::tempdir().unwrap();
    let (key, public) = (keys.path().join("cosign.key"), keys.path().join("cosign.pub"));
    let mut generate = portcullis();
    generate.args(["key", "generate", "--output-prefix"]).arg(keys.path().join("cosign")).env("COSIGN_PASSWORD", "pw");
    run(&mut generate, &[0]);

    let verify = |code: i32| {
        let mut verify = portcullis();
        verify.args(["verify", &image, "--plain-http", "--max-age", "24h", "--key"]).arg(&public);
        String::from_utf8(run(&mut verify, &[code]).stdout).unwrap()
    };
    assert!(verify(42).contains("no trusted verdict is attested"));

    let mut scan = portcullis();
    // Freshness is counted from the clock, so this scan is of now.
    scan.env_remove("SOURCE_DATE_EPOCH").env("COSIGN_PASSWORD", "pw");
    scan.args(["scan", &image, "--plain-http", "--attest", "--legacy-att", "-o", "json", "--key"]).arg(&key);
    let report = crate::support::json(&run(&mut scan, &[0]).stdout);
    assert!(verify(0).contains("pass"));

    let at = format!("{}/team/debian@{}", registry.address, report["target"]["digest"].as_str().unwrap());
    for (older_form, kind) in [false, true].into_iter().flat_map(|form| TYPES.map(|kind| (form, kind))) {
        let mut check = Command::new(&cosign);
        check.args(["verify-attestation", "--insecure-ignore-tlog", "--allow-http-registry", "--type", kind, "--key"]);
        check.arg(&public).arg(format!("--new-bundle-format={}", !older_form)).arg(&at);
        run(&mut check, &[0]);
    }
    outdated_evidence_goes(&image, &key, &public);
    run(Command::new(&cosign).args(["tree", "--allow-http-registry", &image]), &[0]);
    assert!(verify(0).contains("pass"));
    // Another key vouches for nothing.
    let other = keys.path().join("other");
    let mut generate = portcullis();
    generate.args(["key", "generate", "--output-prefix"]).arg(&other).env("COSIGN_PASSWORD", "pw");
    run(&mut generate, &[0]);
    let mut refused = portcullis();
    refused.args(["verify", &image, "--plain-http", "--key"]).arg(other.with_extension("pub"));
    run(&mut refused, &[42]);
    drop(registry);
    let mut unreachable = portcullis();
    unreachable.args(["verify", &image, "--plain-http", "--timeout", "20s", "--key"]).arg(&public);
    run(&mut unreachable, &[44]);
}
