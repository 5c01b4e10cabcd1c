//! What verifying costs: the whole program at a registry on loopback, with cosign beside it, and one bundle in memory.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use portcullis_attest::{Authority, Candidate, Verifier, VerifyingKey, discover};
use portcullis_embedded_registry::{EmbeddedRegistry, Options};
use portcullis_model::{Digest, Timestamp};
use portcullis_registry::{Client, Credentials, Options as ClientOptions, PlainHttp, Reference};
use portcullis_testkit::ImageBuilder;

use crate::{
    bench::{build, machine, row},
    database::build_release,
    print, say,
};

/// Verifications in one process; memory is looked at before and after.
const MANY: usize = 10_000;

/// `cargo xtask bench evidence`.
pub(crate) fn run() -> anyhow::Result<()> {
    let portcullis = build()?;
    let folder = tempfile::tempdir()?;
    let registry = EmbeddedRegistry::start(Options::default())?;
    let image = format!("{}/bench/app:1", registry.address());
    let (key, public) = (folder.path().join("cosign.key"), folder.path().join("cosign.pub"));
    prepare(&portcullis, folder.path(), &image, &key)?;
    say(&machine());
    print("| image | what | wall s | CPU s | peak MiB | wall ÷ floor | CPU ÷ floor |\n|---|---|---|---|---|---|---|");
    let line = |program: &Path, arguments: &[&str], last: &[&Path]| -> Vec<OsString> {
        let words = std::iter::once(program.as_os_str().to_owned()).chain(arguments.iter().map(OsString::from));
        words.chain(last.iter().map(|path| path.as_os_str().to_owned())).collect()
    };
    let verify = line(&portcullis, &["verify", &image, "--plain-http", "--key"], &[&public]);
    let ours = row("three attestations", "portcullis verify: all of them, judged", &verify, &[0], None)?;
    let cosign = std::env::var_os("PORTCULLIS_COSIGN").map_or_else(|| PathBuf::from("cosign"), PathBuf::from);
    if Command::new(&cosign).arg("version").output().is_ok_and(|output| output.status.success()) {
        let flags = [
            "verify-attestation",
            "--insecure-ignore-tlog",
            "--allow-http-registry",
            "--type",
            "vuln",
            &image,
            "--key",
        ];
        row(
            "three attestations",
            "cosign verify-attestation: one of them",
            &line(&cosign, &flags, &[&public]),
            &[0],
            Some(ours),
        )?;
    }
    let memory = Command::new(build_release()?).args(["evidence", &image]).arg(&public).status()?;
    ensure!(memory.success(), "it could not be measured in memory");
    Ok(())
}

/// An image with three attestations at the registry.
fn prepare(portcullis: &Path, folder: &Path, image: &str, key: &Path) -> anyhow::Result<()> {
    let layout = folder.join("image");
    ImageBuilder::debian(12).package("base-files", "12.4").build().write_oci_dir(&layout)?;
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let output = command.env("COSIGN_PASSWORD", "").output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    run(Command::new("skopeo")
        .args(["copy", "-q", "--dest-tls-verify=false"])
        .args([format!("oci:{}:latest", layout.display()), format!("docker://{image}")]))?;
    run(Command::new(portcullis).args(["key", "generate", "--output-prefix"]).arg(key.with_extension("")))?;
    let scan = ["scan", image, "--plain-http", "--db", "starter", "--fail-on", "none", "-q", "-o", "json", "--attest"];
    run(Command::new(portcullis).args(scan).arg("--key").arg(key))
}

/// `cargo xtask evidence IMAGE KEY`: parses and verifies the same bundles again and again, in this process.
pub(crate) fn in_memory(image: &str, public: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = ClientOptions { plain_http: PlainHttp::Always, ..ClientOptions::default() };
    let client = Client::new(options, Credentials::anonymous())?;
    let reference: Reference = image.parse()?;
    let (digest, found) = runtime.block_on(async {
        let digest = client.manifest(&reference).await?.digest;
        anyhow::Ok((digest, discover(&client, &reference, &digest, &[]).await))
    })?;
    ensure!(found.candidates.len() == 3, "{} candidates", found.candidates.len());
    let key = VerifyingKey::from_pem(&std::fs::read(public)?)?;
    let verifier = Verifier::new(vec![Authority::Key { name: "key".to_owned(), key }]);
    let now = Timestamp::from_unix(i64::MAX / 2);
    let all = |count: usize| -> anyhow::Result<f64> {
        let started = Instant::now();
        for candidate in found.candidates.iter().cycle().take(count) {
            verified(&verifier, candidate, &digest, now)?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / count as f64)
    };
    all(100)?;
    let before = resident()?;
    let mean = all(MANY)?;
    print(&format!("\nOne bundle, parsed and verified: {mean:.0} µs (mean of {MANY})."));
    print(&format!("Resident memory before and after {MANY} verifications: {before} KiB, {} KiB.", resident()?));
    Ok(())
}

fn verified(verifier: &Verifier, candidate: &Candidate, digest: &Digest, now: Timestamp) -> anyhow::Result<()> {
    verifier.verify(candidate, digest, now).map(drop).context("a bundle does not verify")
}

/// In KiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
