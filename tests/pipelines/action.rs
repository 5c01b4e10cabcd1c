//! The GitHub Action, run by `act` on this machine: releases come from a server on loopback, and are refused when
//! anything about them is not what was signed.

mod run;
mod scripts;

use std::{fs, path::Path, process::Command};

use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Options};

use self::run::{Ended, Run};
use crate::{
    stack::{Stack, WORKFLOW, token_of},
    support::{is_on, portcullis, run, skip},
    tools::{PASSWORD, Release, Server, tool, write_healthy},
};

/// The event of a fork's pull request.
const FORK: &str = r#"{"number": 7, "pull_request": {"number": 7,
    "head": {"sha": "0000000000000000000000000000000000000001", "repo": {"fork": true, "full_name": "some/fork"}},
    "base": {"repo": {"full_name": "team/app"}}}}"#;

fn release() -> Option<(&'static Release, Server)> {
    let release = is_on().then(Release::sealed).flatten()?;
    let server = Server::of_files(release.folder.parent().unwrap());
    Some((release, server))
}

#[test]
fn a_release_is_verified_and_a_healthy_image_passes() {
    let Some((release, server)) = release() else { return };
    let Some(ended) = Run::of(&server, release, ("input", "healthy.tar")).ends() else { return };
    ended.expect(0, &[&format!("portcullis {}", Release::version())]);
    let outputs = ended.outputs();
    assert_eq!((&outputs["exit-code"], &outputs["verdict"]), (&"0".into(), &"pass".into()), "{outputs}");
    assert_eq!(ended.report("json")["verdict"]["result"], "pass");
    assert_eq!(ended.report("sarif")["version"], "2.1.0");
    // The version is a part of every path that was asked for; nothing else was.
    let asked = server.asked.lock().unwrap().clone();
    assert!(asked.len() == 3 && asked.iter().all(|line| line.starts_with("GET /v0.")), "{asked:?}");
    // No state for the steps that follow.
    let variables = fs::read_to_string(ended.kept("env")).unwrap();
    assert!(!variables.contains("PORTCULLIS") && !variables.contains("INPUT_"), "{variables}");
}

#[test]
fn a_vulnerable_image_fails_the_job_once_the_reports_are_written() {
    let Some((release, server)) = release() else { return };
    let with = |name, value: &str| {
        let run = Run::of(&server, release, ("input", "vulnerable.tar")).with("publish", "summary,annotations");
        run.with(name, value).ends()
    };
    let Some(ended) = with("format", "table") else { return };
    ended.expect(1, &["::error title=Portcullis::the policy denies the image", "exit status 42", "lodash"]);
    assert_eq!(ended.outputs()["verdict"], "fail");
    assert!(!ended.report("sarif")["runs"][0]["results"].as_array().unwrap().is_empty());
    with("fail-build", "false").unwrap().expect(0, &["::warning title=Portcullis::the policy denies the image"]);
    with("exit-code", "3").unwrap().expect(1, &["exit status 3"]);
    // The names that users of other actions know.
    with("severity-cutoff", "none").unwrap().expect(0, &[]);
    with("severity", "CRITICAL").unwrap().expect(0, &[]);
    with("severity", "CRITICAL,HIGH").unwrap().expect(1, &["exit status 42"]);
}

/// Whatever an input holds, it is data: no command runs, no file is made, no output is forged.
#[test]
fn a_hostile_input_is_data() {
    let Some((release, server)) = release() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pwned");
    let shell = format!("touch {}", mark.display());
    for hostile in [
        format!("$({shell})"),
        format!("`{shell}`"),
        format!("\"; {shell}; \""),
        format!("'; {shell} #"),
        format!("--key=$({shell})"),
        format!("a\n::set-output name=verdict::pass\n{shell}"),
        format!("../../{}", mark.display()),
    ] {
        for name in ["image-ref", "scan-ref", "policy", "format", "output", "fail-on", "vex", "version", "exit-code"] {
            // One run takes a second: each input once, and the image with all of them.
            if name != "image-ref" && !hostile.starts_with("$(") {
                continue;
            }
            let input = ("input", if matches!(name, "image-ref" | "scan-ref") { "" } else { "vulnerable.tar" });
            let ended = Run::of(&server, release, input).with(name, &hostile).ends();
            let Some(ended) = ended else { return };
            ended.expect(1, &[]);
            assert!(!mark.exists(), "{name}: {hostile}\n{}", ended.log);
        }
    }
}

/// Each thing that an attacker on a mirror may change.
#[test]
fn a_release_that_was_tampered_with_never_runs() {
    let Some((release, _)) = release() else { return };
    let other = tempfile::tempdir().unwrap();
    let mut generate = portcullis();
    generate.args(["key", "generate", "--output-prefix"]).arg(other.path().join("cosign"));
    run(generate.env("COSIGN_PASSWORD", PASSWORD), &[0]);
    let version = format!("v{}", Release::version());
    let replace = |folder: &Path, name: &str, bytes: &[u8]| {
        let path = folder.join(&version).join(name);
        _ = fs::remove_file(&path);
        fs::write(path, bytes).unwrap();
    };
    type Tamper<'a> = Box<dyn Fn(&Path) + 'a>;
    let archive = Release::archive();
    let read = |name: &str| fs::read(release.folder.join(name)).unwrap();
    let cases: [(&str, Tamper<'_>); 5] = [
        (
            "is what was signed",
            Box::new(|at| {
                let mut bytes = read(&archive);
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                replace(at, &archive, &bytes);
            }),
        ),
        (
            "not signed by verification-key",
            Box::new(|at| {
                let text = String::from_utf8(read("SHA256SUMS")).unwrap();
                replace(at, "SHA256SUMS", text.replace('a', "b").as_bytes());
            }),
        ),
        (
            "not signed by verification-key",
            Box::new(|at| {
                // Signed well, by somebody else.
                let bundle = at.join(&version).join("SHA256SUMS.sigstore.json");
                fs::remove_file(&bundle).unwrap();
                let mut sign = portcullis();
                sign.args(["sign-blob", "--key"]).arg(other.path().join("cosign.key")).arg("--bundle").arg(bundle);
                run(sign.arg(at.join(&version).join("SHA256SUMS")).env("COSIGN_PASSWORD", PASSWORD), &[0]);
            }),
        ),
        ("holds no signature", Box::new(|at| replace(at, "SHA256SUMS.sigstore.json", b"{}"))),
        (
            "cannot fetch SHA256SUMS",
            Box::new(|at| {
                fs::remove_file(at.join(&version).join("SHA256SUMS")).unwrap();
            }),
        ),
    ];
    for (reason, tamper) in cases {
        let copy = release.copied();
        tamper(copy.path());
        let server = Server::of_files(copy.path());
        let Some(ended) = Run::of(&server, release, ("input", "healthy.tar")).ends() else { return };
        ended.expect(1, &[reason]);
        assert!(!ended.log.contains(&format!("portcullis {}", Release::version())), "it ran\n{}", ended.log);
    }
    // An older release under a newer name: what was signed names another file.
    let copy = release.copied();
    fs::rename(copy.path().join(&version), copy.path().join("v9.9.9")).unwrap();
    let name = archive.replace(Release::version(), "9.9.9");
    fs::rename(copy.path().join("v9.9.9").join(&archive), copy.path().join("v9.9.9").join(&name)).unwrap();
    let server = Server::of_files(copy.path());
    let ended = Run::of(&server, release, ("input", "healthy.tar")).with("version", "9.9.9").ends().unwrap();
    ended.expect(1, &["does not name portcullis-9.9.9-linux-"]);
}

/// Without a key the release workflow's identity must have signed, at the version's own tag. Cosign says so, as at
/// GitHub; only that it is told of services on loopback, and of their issuer.
#[test]
fn without_a_key_the_release_workflow_must_have_signed() {
    let Some((release, server)) = release() else { return };
    let (Some(cosign), Some(stack)) = (tool("bin/cosign"), Stack::start()) else { return };
    let bin = tempfile::tempdir().unwrap();
    let shim = format!(
        "#!/bin/bash\nexec '{}' \"${{@/#https:\\/\\/token.actions.githubusercontent.com/{}}}\" --trusted-root '{}'\n",
        cosign.display(),
        stack.issuer.replace('/', "\\/"),
        stack.trusted_root.display()
    );
    fs::write(bin.path().join("cosign"), shim).unwrap();
    run(Command::new("chmod").arg("+x").arg(bin.path().join("cosign")), &[0]);
    let ends = |server: &Server| {
        let mut run = Run::of(server, release, ("input", "healthy.tar")).with("verification-key", "");
        run.programs = Some(bin.path());
        run.ends().unwrap()
    };
    // A key's signature is not that.
    ends(&server).expect(1, &["not signed by the release workflow"]);
    let workflow = "https://github.com/portcullis-dev/portcullis/.github/workflows/release.yml@refs";
    let tag = format!("{workflow}/tags/v{}", Release::version());
    for (identity, code) in [
        (tag.as_str(), 0),
        (&format!("{workflow}/tags/v9.9.9"), 1),
        (&format!("{workflow}/heads/main"), 1),
        (&tag.replace("portcullis-dev/", "evil/"), 1),
    ] {
        let copy = release.copied();
        let folder = copy.path().join(format!("v{}", Release::version()));
        let bundle = folder.join("SHA256SUMS.sigstore.json");
        fs::remove_file(&bundle).unwrap();
        let token = copy.path().join("token");
        fs::write(&token, token_of(&stack.issuer, identity)).unwrap();
        let mut sign = Command::new(&cosign);
        sign.args(["sign-blob", "--yes", "--signing-config"]).arg(&stack.signing_config).arg("--trusted-root");
        sign.arg(&stack.trusted_root).arg("--identity-token").arg(&token).arg("--bundle").arg(&bundle);
        run(sign.env("HOME", copy.path()).arg(folder.join("SHA256SUMS")), &[0]);
        let words = if code == 0 { "Verified OK" } else { "not signed by the release workflow" };
        ends(&Server::of_files(copy.path())).expect(code, &[words]);
    }
}

/// A mistake decides nothing.
#[test]
fn what_is_neither_true_nor_false_is_refused() {
    let Some((release, server)) = release() else { return };
    for name in ["fail-build", "attest", "ignore-unfixed", "cache"] {
        let run = Run::of(&server, release, ("input", "healthy.tar")).with(name, "yes");
        let Some(ended) = run.ends() else { return };
        ended.expect(1, &["true or false holds `yes`"]);
    }
    for (one, other) in [("image-ref", "image"), ("fail-on", "severity-cutoff"), ("output", "output-file")] {
        let run = Run::of(&server, release, ("input", "healthy.tar")).with(one, "high").with(other, "critical");
        run.ends().unwrap().expect(1, &[&format!("{one} and {other} are one input")]);
    }
    let run = Run::of(&server, release, ("input", "vulnerable.tar")).with("fail-build", "");
    run.ends().unwrap().expect(1, &["exit status 42"]);
}

/// A database that is refused leaves none behind that another key, or nobody, has signed.
#[test]
fn a_database_is_kept_for_its_source_alone() {
    let Some((release, server)) = release() else { return };
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let (folder, database) = (tempfile::tempdir().unwrap(), format!("oci://{}/team/db:1", registry.address()));
    let stranger = folder.path().join("stranger");
    let mut generate = portcullis();
    run(generate.args(["key", "generate", "--output-prefix"]).arg(&stranger).env("COSIGN_PASSWORD", PASSWORD), &[0]);
    let (advisories, built) = (folder.path().join("advisories"), folder.path().join("built.db"));
    fs::create_dir(&advisories).unwrap();
    let advisory = r#"{"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm",
        "name": "left-pad"}, "versions": ["1.0.0"]}]}"#;
    fs::write(advisories.join("TEST-1.json"), advisory).unwrap();
    run(portcullis().args(["db", "build", "-q", "-o"]).arg(&built).arg("--from").arg(&advisories), &[0]);
    let mut publish = portcullis();
    publish.args(["db", "publish", &database, "--plain-http", "--db"]).arg(&built).arg("--key").arg(&release.key);
    publish.env("PORTCULLIS_CACHE_DIR", folder.path());
    run(publish.env("COSIGN_PASSWORD", PASSWORD), &[0]);
    let ends = |key: &str| {
        let run = Run::of(&server, release, ("input", "healthy.tar")).with("db", &database).with("db-key", key);
        let mut run = run.with("cache-dir", folder.path().to_str().unwrap()).with("fail-build", "false");
        run.variables.push(("PORTCULLIS_PLAIN_HTTP", "true".to_owned()));
        run.ends()
    };
    let Some(ended) = ends(&release.public_key) else { return };
    ended.expect(0, &[]);
    let stranger = fs::read_to_string(stranger.with_extension("pub")).unwrap();
    ends(&stranger).unwrap().expect(1, &["there is no database of an earlier run"]);
    // Its own is still there when the registry is not.
    drop(registry);
    ends(&release.public_key).unwrap().expect(0, &["those of an earlier run are used"]);
}

/// What a pull request of a fork may not do is said, and the verdict counts all the same.
#[test]
fn the_pull_request_of_a_fork_gets_its_verdict() {
    let Some((release, server)) = release() else { return };
    let api = Server::start(|_, _| {
        (
            403,
            br#"{"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com"}"#
                .to_vec(),
        )
    });
    for (archive, code) in [("healthy.tar", 0), ("vulnerable.tar", 1)] {
        let mut run = Run::of(&server, release, ("input", archive));
        run = run.with("publish", "summary,annotations,sarif,comment,check,status").with("github-token", "ghs_fork");
        run.variables.push(("GITHUB_API_URL", format!("http://{}", api.address)));
        run.event = ("pull_request", FORK);
        let Some(ended) = run.ends() else { return };
        ended.expect(code, &[]);
        assert_eq!(ended.outputs()["exit-code"], if code == 0 { "0" } else { "42" });
    }
    assert!(!api.asked.lock().unwrap().is_empty(), "nothing was tried");
}

/// A healthy image at a registry on loopback, which lives as long as what is given back.
fn pushed() -> Option<(Handle, String)> {
    let registry = EmbeddedRegistry::start(Options::default()).unwrap();
    let image = format!("{}/team/app:1", registry.address());
    let folder = tempfile::tempdir().unwrap();
    write_healthy(&folder.path().join("image.tar"));
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "-q", "--dest-tls-verify=false"]);
    copy.arg(format!("docker-archive:{}", folder.path().join("image.tar").display())).arg(format!("docker://{image}"));
    if !copy.output().is_ok_and(|output| output.status.success()) {
        skip("skopeo is missing, or cannot push to a registry on loopback");
        return None;
    }
    Some((registry, image))
}

#[track_caller]
fn require_attested(ended: &Ended) {
    ended.expect(0, &["attested https://slsa.dev/verification_summary/v1"]);
    let digest = ended.outputs()["attestation-digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
}

/// Evidence stands beside the image, and `verify` takes it.
#[test]
fn evidence_is_signed_and_found_again() {
    let Some((release, server)) = release() else { return };
    let Some((_registry, image)) = pushed() else { return };
    let mut run_of = Run::of(&server, release, ("image-ref", &image)).with("attest", "true");
    run_of = run_of.with("key", &fs::read_to_string(&release.key).unwrap()).with("key-password", PASSWORD);
    run_of.variables.push(("PORTCULLIS_PLAIN_HTTP", "true".to_owned()));
    // A folder of the checkout that is called as the image is does not take its place.
    run_of.files.push((format!("{image}/package.json"), "{}".to_owned()));
    let Some(ended) = run_of.ends() else { return };
    require_attested(&ended);
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("cosign.pub");
    fs::write(&public, &release.public_key).unwrap();
    let mut verify = portcullis();
    verify.args(["verify", &image, "--plain-http", "--max-age", "24h", "--key"]).arg(public);
    run(verify.env_remove("SOURCE_DATE_EPOCH"), &[0]);
}

/// With GitHub's identity, at Sigstore's own services; without one, a fork's pull request goes on, and others are told.
#[test]
fn githubs_identity_signs_where_there_is_one() {
    let Some((release, server)) = release() else { return };
    let (Some(stack), Some((_registry, image))) = (Stack::start(), pushed()) else { return };
    let keyless = || {
        let mut run_of = Run::of(&server, release, ("image-ref", &image)).with("attest", "true");
        run_of.variables.push(("PORTCULLIS_PLAIN_HTTP", "true".to_owned()));
        run_of = run_of.with("signing-config", stack.signing_config.to_str().unwrap());
        run_of.with("trusted-root", stack.trusted_root.to_str().unwrap())
    };
    let mut run_of = keyless();
    run_of.variables.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-secret".to_owned()));
    run_of.variables.push(("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2", stack.issuer)));
    let Some(ended) = run_of.ends() else { return };
    require_attested(&ended);
    let mut verify = portcullis();
    verify.args(["verify", &image, "--plain-http", "--max-age", "1h", "--certificate-identity", WORKFLOW]);
    verify.args(["--certificate-oidc-issuer", &stack.issuer, "--trusted-root"]).arg(&stack.trusted_root);
    run(verify.env_remove("SOURCE_DATE_EPOCH"), &[0]);

    keyless().ends().unwrap().expect(1, &["id-token: write"]);
    let mut fork = keyless();
    fork.event = ("pull_request", FORK);
    fork.ends().unwrap().expect(0, &["nothing is signed"]);
}
