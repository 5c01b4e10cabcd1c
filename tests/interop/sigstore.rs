//! Signing without a key of one's own, with Sigstore's own services: certificate authority, logs, timestamp authority.
//! And with keys that another program keeps.

mod stack;

use std::{
    path::Path,
    process::{Command, Output},
};

use portcullis_testkit::ImageBuilder;
use stack::{Log, Stack, WORKFLOW, holds, job_token, program};

use crate::support::{Registry, cache, is_on, json, portcullis, run, skip};

/// A small image in a repository of a registry; the name that it has there.
fn pushed(registry: &Registry, repository: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    ImageBuilder::debian(12).package("base-files", "12.4").build().write_oci_dir(folder.path()).unwrap();
    let image = format!("{}/team/{repository}:1", registry.address);
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "-q", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{}:latest", folder.path().display())).arg(format!("docker://{image}"));
    run(&mut copy, &[0]);
    image
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A scan of now that attests, as a job of GitHub's would run it.
fn job(stack: &Stack, image: &str) -> Command {
    job_with_root(stack, image, &stack.trusted_root)
}

fn job_with_root(stack: &Stack, image: &str, root: &Path) -> Command {
    let mut scan = portcullis();
    scan.env_remove("SOURCE_DATE_EPOCH").args(["scan", image, "--plain-http", "--fail-on", "none", "--attest", "-v"]);
    scan.args(["--keyless", "--no-cache", "--signing-config"]).arg(&stack.signing_config);
    scan.arg("--trusted-root").arg(root);
    scan.env("GITHUB_ACTIONS", "true").env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-secret");
    scan.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2", stack.issuer));
    scan
}

fn verify(stack: &Stack, image: &str, identity: &str, issuer: &str, code: i32) -> String {
    let mut verify = portcullis();
    verify.args(["verify", image, "--plain-http", "--max-age", "1h", "--certificate-identity", identity]);
    verify.args(["--certificate-oidc-issuer", issuer, "--trusted-root"]).arg(&stack.trusted_root);
    text(&run(&mut verify, &[code]))
}

fn cosign_verifies(stack: &Stack, image: &str) {
    for kind in ["cyclonedx", "vuln", "https://slsa.dev/verification_summary/v1"] {
        let mut check = Command::new(program("cosign"));
        check.args(["verify-attestation", "--new-bundle-format", "--allow-http-registry", "--type", kind]);
        check.args(["--certificate-identity", WORKFLOW, "--certificate-oidc-issuer", &stack.issuer, "--trusted-root"]);
        run(check.arg(&stack.trusted_root).arg(image), &[0]);
    }
}

#[test]
fn a_job_signs_as_itself_and_everyone_can_verify_it() {
    if !is_on() {
        return;
    }
    let (Some(mut stack), Some(registry)) = (Stack::start(), Registry::cue()) else { return };
    let image = pushed(&registry, "app");
    let told = text(&run(&mut job(&stack, &image), &[0]));
    assert!(told.contains("attested https://slsa.dev/verification_summary/v1"), "{told}");
    assert!(!told.contains("runner-secret") && !told.contains("eyJ"), "a token is in: {told}");

    assert!(verify(&stack, &image, WORKFLOW, &stack.issuer, 0).contains("PASSED"));
    verify(&stack, &image, "https://github.com/team/app/.github/workflows/*@refs/heads/main", &stack.issuer, 0);
    for (identity, issuer) in [
        ("https://github.com/team/app/.github/workflows/build.yml@refs/heads/other", stack.issuer.as_str()),
        ("https://github.com/evil/**", &stack.issuer),
        (WORKFLOW, "https://token.actions.githubusercontent.com"),
    ] {
        let refused = verify(&stack, &image, identity, issuer, 42);
        assert!(refused.contains("is not trusted"), "{identity} {issuer}: {refused}");
    }
    // With another root nothing of it holds.
    let mut public = portcullis();
    public.args(["verify", &image, "--plain-http", "--certificate-identity", WORKFLOW]);
    public.args(["--certificate-oidc-issuer", &stack.issuer]);
    run(&mut public, &[42]);

    cosign_verifies(&stack, &image);
    of_gitlab(&stack, &registry);
    files(&stack);
    witnessed(&stack, &registry);
    what_fails_stores_nothing(&mut stack, &registry);
}

/// The public Sigstore has Rekor 1: whoever names no services signs with one.
#[test]
fn a_job_signs_with_a_log_as_the_public_one_is() {
    if !is_on() {
        return;
    }
    let (Some(stack), Some(registry)) = (Stack::with(Log::Trillian), Registry::cue()) else { return };
    let image = pushed(&registry, "app");
    let told = text(&run(&mut job(&stack, &image), &[0]));
    assert!(told.contains("attested https://slsa.dev/verification_summary/v1"), "{told}");
    assert!(verify(&stack, &image, WORKFLOW, &stack.issuer, 0).contains("PASSED"));
    let other = WORKFLOW.replace("main", "other");
    assert!(verify(&stack, &image, &other, &stack.issuer, 42).contains("is not trusted"));
    cosign_verifies(&stack, &image);
    let [signer, stranger] = [WORKFLOW, &other].map(|identity| format!("{identity},{}", stack.issuer));
    others_read(&image, &signer, &stranger, &stack.trusted_root);
    files(&stack);
}

/// Sigstore's library for JavaScript verifies every bundle, and with another signer none; in-toto's for Python reads
/// every statement. A signer is a key's file, or an identity and its issuer, for which the log must be Rekor 1: the
/// newest version of the former for this Node.js does not know how Rekor 2.3 logs envelopes.
fn others_read(image: &str, signer: &str, stranger: &str, root: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut download = portcullis();
    run(download.args(["evidence", "download", image, "--plain-http", "--output-dir"]).arg(folder.path()), &[0]);
    let bundles = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let bundles: Vec<_> = bundles.collect();
    assert_eq!(bundles.len(), 3);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    let modules = cache().join("npm-sigstore/node_modules");
    if modules.is_dir() {
        for (signer, code) in [(signer, 0), (stranger, 1)] {
            let mut verify = Command::new("node");
            verify.arg(here.join("verify-bundle.cjs")).arg(&modules).arg(signer).arg(root).args(&bundles);
            run(&mut verify, &[code]);
        }
    } else {
        skip("@sigstore/verify is missing");
    }
    let python = cache().join("venv/bin/python");
    let mut check = Command::new(python);
    let read = run(check.arg(here.join("check-statements.py")).args(&bundles), &[0]).stdout;
    assert!(String::from_utf8(read).unwrap().contains("https://slsa.dev/verification_summary/v1"));
}

/// A job of GitLab's has its token in a variable.
fn of_gitlab(stack: &Stack, registry: &Registry) {
    let image = pushed(registry, "of-gitlab");
    let mut scan = job(stack, &image);
    scan.env_remove("GITHUB_ACTIONS").env("SIGSTORE_ID_TOKEN", job_token(&stack.issuer));
    run(&mut scan, &[0]);
    verify(stack, &image, WORKFLOW, &stack.issuer, 0);
}

/// Sigstore's library for Python verifies a bundle, as far as its `verify identity` goes.
fn in_python(stack: &Stack, bundle: &Path, content: &Path, identity: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &Path| json(&std::fs::read(path).unwrap());
    let mut root = read(&stack.trusted_root);
    // For people alone, and asked for: Fulcio's authority for tests has none.
    for list in ["certificateAuthorities", "timestampAuthorities"] {
        for authority in root[list].as_array_mut().unwrap() {
            authority["subject"]["commonName"] = "test".into();
        }
    }
    let config = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": read(&stack.signing_config),
    });
    let path = folder.path().join("trust.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut verify = Command::new(cache().join("venv/bin/sigstore"));
    verify.arg("--trust-config").arg(&path).args(["verify", "identity", "--offline", "--bundle"]).arg(bundle);
    verify.args(["--cert-identity", identity, "--cert-oidc-issuer", &stack.issuer]).arg(content);
    run(verify.env("HOME", folder.path()), &[code]);
}

/// Files are signed for an identity, too, and cosign verifies them.
fn files(stack: &Stack) {
    let folder = tempfile::tempdir().unwrap();
    let (file, bundle) = (folder.path().join("SHA256SUMS"), folder.path().join("bundle.json"));
    std::fs::write(&file, "content").unwrap();
    let mut sign = portcullis();
    sign.args(["sign-blob", "--keyless", "--signing-config"]).arg(&stack.signing_config).arg("--trusted-root");
    sign.arg(&stack.trusted_root).arg("--bundle").arg(&bundle).arg(&file);
    let told = text(&run(sign.env("SIGSTORE_ID_TOKEN", job_token(&stack.issuer)), &[0]));
    // Who the certificate names, and not what the token calls its subject.
    assert!(told.contains(&format!("signed by {WORKFLOW} by {}", stack.issuer)), "{told}");
    let check = |identity: &str, code: i32| {
        let mut ours = portcullis();
        ours.arg("verify-bundle");
        let mut theirs = Command::new(program("cosign"));
        theirs.arg("verify-blob");
        for mut verify in [ours, theirs] {
            verify.args(["--certificate-identity", identity, "--certificate-oidc-issuer", &stack.issuer]);
            verify.arg("--trusted-root").arg(&stack.trusted_root).arg("--bundle").arg(&bundle);
            run(verify.env_remove("SOURCE_DATE_EPOCH").arg(&file), &[code]);
        }
    };
    check(WORKFLOW, 0);
    in_python(stack, &bundle, &file, WORKFLOW, 0);
    in_python(stack, &bundle, &file, "https://github.com/evil/app/.github/workflows/build.yml@refs/heads/main", 1);
    check("https://github.com/evil/app/.github/workflows/build.yml@refs/heads/main", 1);
    std::fs::write(&file, "Content").unwrap();
    check(WORKFLOW, 1);
}

fn what_fails_stores_nothing(stack: &mut Stack, registry: &Registry) {
    let image = pushed(registry, "other");
    let nothing = |stack: &Stack| {
        let told = verify(stack, &image, WORKFLOW, &stack.issuer, 42);
        assert!(told.contains("no trusted verdict is attested"), "{told}");
        assert!(!told.contains("proves nothing"), "{told}");
    };
    // The runner gives no token.
    let told = text(&run(job(stack, &image).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong"), &[1]));
    assert!(told.contains("hint: in GitHub's workflows give the job `permissions: {id-token: write}`"), "{told}");
    nothing(stack);
    // A token that the authority refuses is not repeated.
    let forged = format!("{}AA", job_token(&stack.issuer));
    let told = text(&run(job(stack, &image).env("SIGSTORE_ID_TOKEN", &forged), &[1]));
    assert!(told.contains("signing without a key failed"), "{told}");
    assert!(!told.contains(forged.split('.').nth(1).unwrap()), "{told}");
    nothing(stack);
    // What was signed does not verify with the root that is named: services and root do not belong together.
    let other = tempfile::NamedTempFile::new().unwrap();
    let mut root = json(&std::fs::read(&stack.trusted_root).unwrap());
    root["tlogs"] = serde_json::json!([]);
    std::fs::write(other.path(), root.to_string()).unwrap();
    let told = text(&run(&mut job_with_root(stack, &image, other.path()), &[1]));
    assert!(told.contains("what was signed does not verify"), "{told}");
    nothing(stack);
    // A service is gone.
    stack.lose_timestamps();
    let told = text(&run(&mut job(stack, &image), &[1]));
    assert!(told.contains("signing without a key failed"), "{told}");
    nothing(stack);
}

/// A timestamp authority witnesses when a key signed.
fn witnessed(stack: &Stack, registry: &Registry) {
    let image = pushed(registry, "witnessed");
    let keys = tempfile::tempdir().unwrap();
    let prefix = keys.path().join("cosign");
    let mut generate = portcullis();
    run(generate.env("COSIGN_PASSWORD", "").args(["key", "generate", "--output-prefix"]).arg(&prefix), &[0]);
    let mut scan = portcullis();
    scan.env_remove("SOURCE_DATE_EPOCH").env("COSIGN_PASSWORD", "");
    scan.args(["scan", &image, "--plain-http", "--fail-on", "none", "--attest", "--timestamp-url", &stack.timestamps]);
    run(scan.arg("--key").arg(prefix.with_extension("key")), &[0]);
    let mut ours = portcullis();
    run(ours.args(["verify", &image, "--plain-http", "--key"]).arg(prefix.with_extension("pub")), &[0]);
    let stranger = keys.path().join("stranger");
    let mut generate = portcullis();
    run(generate.env("COSIGN_PASSWORD", "").args(["key", "generate", "--output-prefix"]).arg(&stranger), &[0]);
    let [key, stranger] = [&prefix, &stranger].map(|path| path.with_extension("pub").display().to_string());
    others_read(&image, &key, &stranger, &stack.trusted_root);
    let mut check = Command::new(program("cosign"));
    check.args(["verify-attestation", "--new-bundle-format", "--allow-http-registry", "--insecure-ignore-tlog"]);
    check.args(["--use-signed-timestamps", "--type", "vuln", "--trusted-root"]).arg(&stack.trusted_root);
    run(check.arg("--key").arg(prefix.with_extension("pub")).arg(&image), &[0]);
}

/// The program keeps keys as files: what stands for a key management service speaks Sigstore's own protocol.
#[test]
fn a_program_that_keeps_the_key_signs() {
    if !is_on() {
        return;
    }
    if !program("sigstore-kms-files").is_file() {
        skip("sigstore-kms-files (tests/interop/kmsplugin) is missing");
        return;
    }
    let Some(registry) = Registry::docker() else { return };
    let image = pushed(&registry, "app");
    let path = format!("{}:{}", cache().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    for algorithm in ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"] {
        let folder = tempfile::tempdir().unwrap();
        let reference = format!("files://{}", folder.path().join(algorithm).display());
        let with = |mut command: Command| {
            command.env("PATH", &path).env_remove("SOURCE_DATE_EPOCH");
            command
        };
        let mut public = with(portcullis());
        let public = run(public.args(["key", "public", "--key", &reference]), &[0]).stdout;
        let key = folder.path().join("key.pub");
        std::fs::write(&key, public).unwrap();
        let mut scan = with(portcullis());
        scan.args(["scan", &image, "--plain-http", "--fail-on", "none", "--attest", "--key", &reference]);
        run(&mut scan, &[0]);
        let mut ours = portcullis();
        run(ours.args(["verify", &image, "--plain-http", "--key"]).arg(&key), &[0]);
        // Cosign 3.0.6 signs by P-384 with SHA-384, as we do, and verifies with SHA-256: not even what it signed itself.
        if algorithm != "ecdsa-p384" {
            let mut check = Command::new(program("cosign"));
            check.args(["verify-attestation", "--insecure-ignore-tlog", "--allow-http-registry", "--type", "vuln"]);
            run(check.arg("--key").arg(&key).arg(&image), &[0]);
        }
        assert!(holds(folder.path(), "PRIVATE KEY"), "the program keeps the key");
    }
    let mut refused = portcullis();
    refused.env("PATH", &path).args(["scan", &image, "--plain-http", "--attest", "--key", "files:///refuse"]);
    let told = text(&run(&mut refused, &[1]));
    assert!(told.contains("sigstore-kms-files refuses: there is no such key"), "{told}");
}
