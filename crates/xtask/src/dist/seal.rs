//! Checksums of all that was built, what it was built of, and signatures of both.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use portcullis_model::Digest;
use serde_json::{Value, json};

use super::{CHECKSUMS, PROVENANCE, SIGNATURE, archive, git, listed, output, version, write};

/// Where the sources are.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

pub(super) fn run(folder: &Path, key: Option<&str>) -> anyhow::Result<()> {
    let mut sums = Vec::new();
    for path in listed(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != CHECKSUMS && name != PROVENANCE && !name.ends_with(SIGNATURE) {
            sums.push((name, Digest::of(&fs::read(&path)?).hex()));
        }
    }
    ensure!(!sums.is_empty(), "there is nothing in {}", folder.display());
    let text: String = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    write(&folder.join(CHECKSUMS), text.as_bytes())?;
    sums.push((CHECKSUMS.to_owned(), Digest::of(text.as_bytes()).hex()));
    write(&folder.join(PROVENANCE), format!("{:#}\n", provenance(&sums)?).as_bytes())?;
    match key {
        Some(key) => sign(folder, key),
        None => Ok(()),
    }
}

/// Signs with the released program itself, out of the archive for this machine.
fn sign(folder: &Path, key: &str) -> anyhow::Result<()> {
    let name = format!("portcullis-{}-linux-{}", version(), std::env::consts::ARCH);
    let unpacked = tempfile::tempdir()?;
    let program = unpacked.path().join("portcullis");
    let archive = folder.join(format!("{name}.tar.gz"));
    fs::write(&program, archive::member(&archive, &format!("{name}/portcullis"))?)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
    for (name, flag) in [(CHECKSUMS, None), (PROVENANCE, Some("--statement"))] {
        let bundle = folder.join(format!("{name}.{SIGNATURE}"));
        let mut command = Command::new(&program);
        command.args(["--quiet", "sign-blob", "--key", key]).args(flag).arg("--bundle").arg(&bundle);
        output(command.arg(folder.join(name))).context("cannot sign")?;
        crate::print(&bundle.display().to_string());
    }
    Ok(())
}

/// SLSA's provenance (<https://slsa.dev/spec/v1.1/provenance>): an in-toto statement.
fn provenance(sums: &[(String, String)]) -> anyhow::Result<Value> {
    let commit = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let lock = Digest::of(&fs::read(crate::root().join("Cargo.lock"))?).hex();
    let compiler = output(Command::new("rustc").arg("--version"))?.trim().to_owned();
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let source = match variable("GITHUB_REF") {
        Some(reference) => format!("git+{REPOSITORY}@{reference}"),
        None => format!("git+{REPOSITORY}"),
    };
    // The workflow that GitHub ran, by its signed name; or somebody's desk.
    let builder = match (variable("GITHUB_SERVER_URL"), variable("GITHUB_WORKFLOW_REF")) {
        (Some(server), Some(workflow)) => format!("{server}/{workflow}"),
        _ => format!("{REPOSITORY}/blob/main/docs/releases.md#on-a-desk"),
    };
    let run = match (variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY"), variable("GITHUB_RUN_ID")) {
        (Some(server), Some(repository), Some(run)) => {
            let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".to_owned());
            json!({"invocationId": format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}")})
        }
        _ => json!({}),
    };
    let subjects = sums.iter().map(|(name, sum)| json!({"name": name, "digest": {"sha256": sum}}));
    Ok(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": format!("{REPOSITORY}/blob/main/docs/releases.md#how-it-is-built"),
                "externalParameters": {"source": source, "version": version(), "sourceIsChanged": is_changed},
                "internalParameters": {"compiler": compiler},
                "resolvedDependencies": [
                    {"uri": source, "digest": {"gitCommit": commit}},
                    {"uri": format!("{REPOSITORY}/blob/{commit}/Cargo.lock"), "digest": {"sha256": lock}},
                ],
            },
            "runDetails": {"builder": {"id": builder}, "metadata": run},
        },
    }))
}
