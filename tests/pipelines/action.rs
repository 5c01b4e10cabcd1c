//! The GitHub Action, run by `act` on this machine: releases come from a server on loopback, and are refused when
//! anything about them is not what was signed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Options};

use crate::{
    stack::{Stack, WORKFLOW},
    support::{is_on, json, portcullis, run, skip},
    tools::{PASSWORD, Release, Server, repository, root, tool, write_healthy},
};

/// The event of a fork's pull request.
const FORK: &str = r#"{"number": 7, "pull_request": {"number": 7,
    "head": {"sha": "0000000000000000000000000000000000000001", "repo": {"fork": true, "full_name": "some/fork"}},
    "base": {"repo": {"full_name": "team/app"}}}}"#;

/// What stands for actions of others, which `act` would clone. Their pins are read from our own action.
fn stubs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: stub\ndescription: stub\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      \
                run: 'true'\n";
    fs::write(folder.path().join("action.yml"), text).unwrap();
    folder
}

/// The actions of others that our action uses, each as `owner/name@commit`.
fn nested() -> Vec<String> {
    let text = fs::read_to_string(root().join("action/action.yml")).unwrap();
    let uses = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
    uses.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// A run of the action: its inputs, and what of the event and the environment matters.
struct Run<'a> {
    inputs: Vec<(&'a str, String)>,
    variables: Vec<(&'a str, String)>,
    event: (&'a str, &'a str),
}

struct Ended {
    code: i32,
    log: String,
    repository: tempfile::TempDir,
}

impl<'a> Run<'a> {
    /// With the released program from a server.
    fn of(server: &Server, release: &Release, input: (&'a str, &str)) -> Self {
        let inputs = vec![
            ("download-url", format!("http://{}", server.address)),
            ("verification-key", release.public_key.clone()),
            ("db", "starter".to_owned()),
            ("publish", "none".to_owned()),
            (input.0, input.1.to_owned()),
        ];
        Self { inputs, variables: Vec::new(), event: ("push", "{}") }
    }

    fn with(mut self, name: &'a str, value: &str) -> Self {
        self.inputs.retain(|(other, _)| *other != name);
        self.inputs.push((name, value.to_owned()));
        self
    }

    fn ends(self) -> Option<Ended> {
        let act = tool("venv/bin/act")?;
        let inputs =
            self.inputs.iter().map(|(name, value)| format!("          {name}: {}\n", serde_json::json!(value)));
        let workflow = format!(
            "on: [push, pull_request]\npermissions: {{}}\njobs:\n  scan:\n    runs-on: ubuntu-latest\n    steps:\n      \
             - uses: actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803\n      - id: it\n        \
             uses: ./action\n        with:\n{}      - if: always()\n        shell: bash\n        env:\n          \
             ALL: ${{{{ toJSON(steps.it.outputs) }}}}\n        \
             run: jq -c . <<<\"$ALL\" >\"$KEPT/outputs.json\"; env >\"$KEPT/env\"; cp -r \"$RUNNER_TEMP\" \"$KEPT\"\n",
            inputs.collect::<String>()
        );
        let event = self.event.1.to_owned();
        let files = BTreeMap::from([(".github/workflows/scan.yml", workflow), ("event.json", event)]);
        let repository = repository("github.com", &["action"], &files);
        let (at, stub, home) = (repository.path(), stubs(), tempfile::tempdir().unwrap());
        let kept = at.join("kept");
        fs::create_dir(&kept).unwrap();
        let mut command = Command::new(act);
        command.current_dir(at).args([self.event.0, "-W", ".github/workflows/scan.yml", "-e", "event.json"]);
        command.args(["-P", "ubuntu-latest=-self-hosted", "--action-offline-mode", "--env"]);
        command.arg(format!("KEPT={}", kept.display()));
        for action in nested() {
            command.arg("--local-repository").arg(format!("{action}={}", stub.path().display()));
        }
        for (name, value) in &self.variables {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let output = command.env_clear().env("PATH", path).env("HOME", home.path()).output().unwrap();
        let log = [output.stdout, output.stderr].concat();
        let log = String::from_utf8_lossy(&log).into_owned();
        Some(Ended { code: output.status.code().unwrap_or(-1), log, repository })
    }
}

impl Ended {
    #[track_caller]
    fn expect(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.log);
        words.iter().for_each(|word| assert!(self.log.contains(word), "no `{word}` in\n{}", self.log));
        self
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.repository.path().join("kept").join(name)
    }

    fn outputs(&self) -> serde_json::Value {
        json(&fs::read(self.kept("outputs.json")).unwrap())
    }

    /// A report that the run left, by its path on the runner.
    fn report(&self, output: &str) -> serde_json::Value {
        let outputs = self.outputs();
        let path = Path::new(outputs[output].as_str().unwrap());
        let name = |path: &Path| path.file_name().unwrap().to_owned();
        let temp = fs::read_dir(self.kept(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|entry| entry.is_dir())
            .unwrap();
        json(&fs::read(temp.join(name(path.parent().unwrap())).join(name(path))).unwrap())
    }
}

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

/// Without a key the release workflow's identity must have signed, by cosign; a key's signature is not that.
#[test]
fn a_release_of_nobody_in_particular_is_refused_without_a_key() {
    let Some((release, server)) = release() else { return };
    if tool("bin/cosign").is_none() {
        return;
    }
    let run = Run::of(&server, release, ("input", "healthy.tar")).with("verification-key", "");
    let Some(ended) = run.ends() else { return };
    ended.expect(1, &["not signed by the release workflow"]);
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
