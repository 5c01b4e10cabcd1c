//! Who signs, as users say it; and programs that keep keys badly.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use portcullis_testkit::{ImageBuilder, Layer};

use crate::{outcome, portcullis};

/// Signs a file in a folder that has `cosign.key`.
fn sign(folder: &Path) -> Command {
    let mut sign = portcullis();
    sign.current_dir(folder).env("COSIGN_PASSWORD", "pw").args(["sign-blob", "file", "--bundle", "bundle.json"]);
    sign
}

fn with_key() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    let mut generate = portcullis();
    outcome(generate.current_dir(folder.path()).env("COSIGN_PASSWORD", "pw").args(["key", "generate"]), 0);
    folder
}

#[test]
fn what_is_typed_counts_before_the_environment() {
    let folder = with_key();
    let folder = folder.path();
    let needs_token = "this environment gives no identity token";
    let (_, told) = outcome(sign(folder).arg("--keyless").env("PORTCULLIS_KEY", "cosign.key"), 1);
    assert!(told.contains(needs_token), "{told}");
    let key = ["--key", "cosign.key"];
    let (_, told) = outcome(sign(folder).args(key).env("PORTCULLIS_KEYLESS", "true"), 0);
    assert!(told.contains("wrote bundle.json, signed by key "), "{told}");
    outcome(sign(folder).env("PORTCULLIS_KEY", "cosign.key").env("PORTCULLIS_KEYLESS", "false"), 0);
    let (_, told) = outcome(sign(folder).env("PORTCULLIS_KEYLESS", "true"), 1);
    assert!(told.contains(needs_token), "{told}");
    let (_, told) = outcome(sign(folder).args(key).arg("--keyless"), 2);
    assert!(told.contains("'--key <REF>' cannot be used with '--keyless'"), "{told}");
    let mut by_both = sign(folder);
    let (_, told) = outcome(by_both.env("PORTCULLIS_KEY", "cosign.key").env("PORTCULLIS_KEYLESS", "true"), 2);
    assert!(told.contains("tip: PORTCULLIS_KEY and PORTCULLIS_KEYLESS are set in the environment"), "{told}");
    let (_, told) = outcome(&mut sign(folder), 2);
    assert!(told.contains("nothing to sign with") && told.contains("--keyless"), "{told}");
    let (_, told) = outcome(portcullis().args(["scan", "oci-dir:missing", "--attest"]), 2);
    assert!(told.contains("nothing to sign with"), "{told}");
    // Whoever types a key means to sign; a variable may say whether.
    let scan = ["scan", "oci-dir:missing", "--key", "cosign.key"];
    let (_, told) = outcome(portcullis().current_dir(folder).args(scan), 2);
    assert!(told.contains("--key signs nothing without --attest"), "{told}");
    outcome(portcullis().current_dir(folder).args(scan).env("PORTCULLIS_ATTEST", "false"), 1);
    outcome(portcullis().args(["scan", "oci-dir:missing"]).env("PORTCULLIS_KEY", "cosign.key"), 1);
}

/// What a whole pipeline sets does not keep one job from saying something else.
#[test]
fn what_excludes_a_typed_flag_is_not_taken_from_the_environment() {
    let folder = with_key();
    let run = |arguments: &[&str], variables: &[(&str, &str)], code| {
        let mut command = portcullis();
        command.current_dir(folder.path()).args(arguments).envs(variables.iter().copied());
        outcome(&mut command, code).1
    };
    let missing = |told: &str, name: &str| assert!(told.contains(name) && told.contains("No such file"), "{told}");
    let judged = [("PORTCULLIS_FAIL_ON", "low"), ("PORTCULLIS_IGNORE_UNFIXED", "false")];
    missing(&run(&["scan", ".", "--policy", "none.yaml"], &judged, 1), "none.yaml");
    let trusted = [
        ("PORTCULLIS_KEY", "none.pub"),
        ("PORTCULLIS_CERTIFICATE_IDENTITY", "a@example.org"),
        ("PORTCULLIS_CERTIFICATE_OIDC_ISSUER", "https://example.org"),
        ("PORTCULLIS_MAX_AGE", "1h"),
    ];
    missing(&run(&["verify", "127.0.0.1:1/app", "--policy", "none.yaml"], &trusted, 1), "none.yaml");
    let by_policy = [
        ("PORTCULLIS_POLICY", "none.yaml"),
        ("PORTCULLIS_CERTIFICATE_IDENTITY", "a@example.org"),
        ("PORTCULLIS_CERTIFICATE_OIDC_ISSUER", "https://example.org"),
    ];
    let told = run(&["verify", "127.0.0.1:1/app", "--key", "none.pub"], &by_policy, 1);
    missing(&told, "none.pub");
    assert!(told.starts_with("note: PORTCULLIS_CERTIFICATE_IDENTITY does not count: --key was typed\n"), "{told}");
    assert!(told.contains("\nnote: PORTCULLIS_POLICY does not count: --key was typed\n"), "{told}");
    // What is no alternative to a policy does not do away with that of the whole pipeline.
    let policy = [("PORTCULLIS_POLICY", "none.yaml")];
    for flag in ["--ignore-unfixed", "--fail-on=low"] {
        let told = run(&["scan", ".", flag], &policy, 2);
        assert!(told.contains("tip: PORTCULLIS_POLICY is set in the environment"), "{told}");
    }
    let told = run(&["verify", "127.0.0.1:1/app", "--max-age=1h"], &policy, 2);
    assert!(told.contains("tip: PORTCULLIS_POLICY is set in the environment"), "{told}");
    let update = ["db", "update", "--from", "oci://127.0.0.1:1/db", "--allow-unsigned"];
    let told = run(&update, &[("PORTCULLIS_KEY", "none.pub")], 2);
    assert!(told.contains("tip: PORTCULLIS_KEY is set in the environment"), "{told}");
    let told = run(&["scan", "."], &[("PORTCULLIS_POLICY", "none.yaml"), ("PORTCULLIS_FAIL_ON", "low")], 2);
    assert!(told.contains("tip: PORTCULLIS_POLICY and PORTCULLIS_FAIL_ON are set in the environment"), "{told}");
    let told = run(&["scan", ".", "--policy", "none.yaml", "--fail-on", "low"], &judged, 2);
    assert!(told.contains("'--policy <FILE>' cannot be used with '--fail-on") && !told.contains("tip:"), "{told}");
}

/// A report was judged before: what is typed beside it would change nothing, and a pass would be signed.
#[test]
fn a_report_is_attested_as_it_was_judged() {
    let folder = with_key();
    let folder = folder.path();
    let image =
        |file: &str| ImageBuilder::debian(12).package("base-files", "12").layer(Layer::new().file(file, "")).build();
    image("one").write_oci_dir(&folder.join("layout")).unwrap();
    image("two").write_oci_dir(&folder.join("other")).unwrap();
    let run = |arguments: &[&str], variables: &[(&str, &str)], code| {
        let mut command = portcullis();
        command.current_dir(folder).env("COSIGN_PASSWORD", "pw").args(arguments).envs(variables.iter().copied());
        outcome(&mut command, code).1
    };
    run(&["scan", "layout", "-q", "--db", "starter", "--fail-on", "none", "-o", "json=report.json"], &[], 0);
    let attest = ["attest", "layout", "--key", "cosign.key", "--report", "report.json"];
    for judging in [&["--policy", "strict.yaml"][..], &["--fail-on", "low"], &["--vex", "a.json"], &["--db", "starter"]]
    {
        let told = run(&[&attest[..], judging].concat(), &[], 2);
        assert!(told.contains("'--report <FILE>' cannot be used with"), "{told}");
    }
    let variables = [("PORTCULLIS_POLICY", "strict.yaml"), ("PORTCULLIS_IGNORE_UNFIXED", "true")];
    let told = run(&attest, &variables, 0);
    assert!(told.contains("note: PORTCULLIS_POLICY does not count: --report was typed\n"), "{told}");
    let told = run(&["attest", "other", "--key", "cosign.key", "--report", "report.json"], &[], 1);
    let digests = ["one", "two"].map(|file| image(file).digest().to_string());
    assert!(digests.iter().all(|digest| told.contains(digest)) && told.contains("by its digest"), "{told}");
    // An inventory passes nothing.
    run(&["sbom", "layout", "-o", "json=inventory.json"], &[], 0);
    let told = run(&["attest", "layout", "--key", "cosign.key", "--report", "inventory.json"], &[], 1);
    assert!(told.contains("inventory.json is an inventory") && !told.contains("signed by"), "{told}");
}

/// A severity is one of five words, and nothing that a distribution says.
#[test]
fn a_severity_to_deny_from_is_one_of_five() {
    for word in ["unimportant", "unknown", "", "negligible", "important"] {
        for told in [
            outcome(portcullis().args(["scan", ".", "--fail-on", word]), 2).1,
            outcome(portcullis().args(["scan", "."]).env("PORTCULLIS_FAIL_ON", word), 2).1,
        ] {
            assert!(told.contains("none, low, medium, high"), "{told}");
        }
    }
    outcome(portcullis().args(["scan", "oci-dir:missing", "--fail-on", "HIGH"]), 1);
}

/// Evidence is looked for at registries.
#[test]
fn what_is_verified_is_in_a_registry() {
    let folder = with_key();
    let verify = |target: &str, code| {
        let verify = ["verify", target, "--key", "cosign.pub", "--plain-http", "--timeout", "2s"];
        outcome(portcullis().current_dir(folder.path()).args(verify), code)
    };
    for (target, hint) in [
        ("docker:24", "registry:docker:24"),
        ("podman:app", "registry.example/team/app:v1"),
        ("oci-dir:layout", "evidence list"),
        ("./layout", "registry.example/team/app:v1"),
        ("app.tar", "registry.example/team/app:v1"),
        ("-", "registry.example/team/app:v1"),
    ] {
        let (_, told) = verify(target, 2);
        assert!(told.contains("is no image in a registry") && told.contains(hint), "{told}");
    }
    for target in ["registry:127.0.0.1:1/team/app:v1", "docker://127.0.0.1:1/team/app:v1"] {
        let (stdout, _) = verify(target, 44);
        assert!(stdout.starts_with("127.0.0.1:1/team/app:v1\n"), "{stdout}");
    }
}

/// An identity would be shown to services whose signatures nobody here verifies.
#[test]
fn services_and_their_root_are_named_together() {
    let folder = with_key();
    for flag in ["--trusted-root", "--signing-config"] {
        let mut sign = sign(folder.path());
        sign.env("SIGSTORE_ID_TOKEN", "e30.e30.e30");
        let (_, told) = outcome(sign.args(["--keyless", flag, "file"]), 2);
        assert!(told.contains("give both"), "{told}");
    }
}

#[test]
fn a_program_that_keeps_keys_badly_is_told() {
    let folder = with_key();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let of = |script: &str| {
        let program = bin.join("sigstore-kms-bad");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut sign = sign(folder.path());
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let (_, told) = outcome(sign.args(["--key", "bad://key"]).env("PATH", path), 1);
        assert!(!folder.path().join("bundle.json").exists());
        told
    };
    let (private, public) = (folder.path().join("cosign.key"), folder.path().join("cosign.pub"));
    assert!(of("yes | head -c 2000000").contains("it is too long"));
    assert!(of("echo '{\"errorMessage\": \"no token is there\"}'").contains("refuses: no token is there"));
    assert!(of("exit 3").contains("cannot be read"));
    assert!(of("echo '{}'").contains("it names no public key"));
    assert!(of("echo '{\"publicKey\": {\"publicKeyPEM\": \"eA==\"}}'").contains("cannot be used"));
    // It has a key, and signs with another; what it may know is no password of ours.
    let pem = format!("$(base64 -w0 '{}')", public.display());
    let script = format!(
        "test -z \"$COSIGN_PASSWORD\" || exit 9\ncase \"$2\" in *'\"methodName\":\"publicKey\"'*) \
         printf '{{\"publicKey\": {{\"publicKeyPEM\": \"%s\"}}}}' \"{pem}\";; *) \
         printf '{{\"signMessage\": {{\"signature\": \"AAAA\"}}}}';; esac"
    );
    let told = of(&script);
    assert!(told.contains("the signature that sigstore-kms-bad made is not that of its key"), "{told}");
    assert!(private.exists());
}

/// Keys and policies of others are not replaced.
#[test]
fn the_demo_takes_a_folder_of_its_own() {
    let folder = with_key();
    let key = fs::read(folder.path().join("cosign.key")).unwrap();
    let (_, told) = outcome(portcullis().current_dir(folder.path()).args(["demo", "--output", "."]), 2);
    assert!(told.contains("holds files that are not of a demo") && told.contains("--output"), "{told}");
    assert_eq!(fs::read(folder.path().join("cosign.key")).unwrap(), key);
}
