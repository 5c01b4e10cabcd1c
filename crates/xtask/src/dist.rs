//! Release archives: built static and reproducibly, with bills of materials, checksums, provenance and signatures.
//!
//! `build` is done once for each architecture, on a machine of that architecture; `seal` once, over all that was built;
//! `image` makes container images of the archives. The release workflow and the desk run the same steps. docs/releases.md tells users what comes of it.

mod archive;
mod auditable;
mod build;
mod image;
mod seal;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::print;

/// What is released: the package, its program, and files that come along from the repository.
const PROGRAMS: [Program; 2] = [
    Program { package: "portcullis-cli", name: "portcullis", files: &["LICENSE", "README.md", "CHANGELOG.md"] },
    Program {
        package: "portcullis-webhook",
        name: "portcullis-webhook",
        files: &["LICENSE", "CHANGELOG.md", "docs/admission.md"],
    },
];

/// A program that is released.
struct Program {
    package: &'static str,
    name: &'static str,
    files: &'static [&'static str],
}

/// The list of checksums, which is what gets signed.
const CHECKSUMS: &str = "SHA256SUMS";
/// What was built, of what, by whom: an in-toto statement, not signed yet.
const PROVENANCE: &str = "provenance.intoto.json";
/// What a signature's file is called, behind the name of what was signed.
const SIGNATURE: &str = "sigstore.json";

const USAGE: &str = "usage: cargo xtask dist [build|seal] FOLDER [--target TRIPLE] [--key REF] | \
                     dist image FOLDER PROGRAM LAYOUT [--shell FOLDER]";

/// `dist FOLDER` does both steps, `dist build FOLDER` and `dist seal FOLDER` one of them.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (mut words, mut target, mut key, mut shell) = (Vec::new(), None, None, None);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--target" => target = Some(rest.next().context(USAGE)?.clone()),
            "--key" => key = Some(rest.next().context(USAGE)?.clone()),
            "--shell" => shell = Some(rest.next().context(USAGE)?.clone()),
            flag if flag.starts_with('-') => bail!(USAGE),
            word => words.push(word),
        }
    }
    let (builds, seals, folder) = match words.as_slice() {
        ["build", folder] => (true, false, folder),
        ["seal", folder] => (false, true, folder),
        ["image", folder, program, layout] => {
            return image::run(Path::new(folder), program, Path::new(layout), shell.as_deref().map(Path::new));
        }
        [folder] if !matches!(*folder, "build" | "seal" | "image") => (true, true, folder),
        _ => bail!(USAGE),
    };
    ensure!(seals || key.is_none(), "--key signs what `seal` makes; `build` makes nothing that is signed");
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if builds {
        build::run(folder, target.as_deref())?;
    }
    if seals {
        seal::run(folder, key.as_deref())?;
    }
    Ok(())
}

/// The version of everything that is released.
const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What stands in the names of files for an architecture: what `uname -m` says there.
fn platform(target: &str) -> anyhow::Result<String> {
    let architecture = target.split('-').next().unwrap_or_default();
    ensure!(target.contains("-linux-"), "only programs for Linux are released, and {target} is something else");
    Ok(format!("linux-{architecture}"))
}

/// The moment that everything in a release bears: that of the commit, unless `SOURCE_DATE_EPOCH` says otherwise.
fn epoch() -> anyhow::Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text,
        _ => git(&["log", "-1", "--format=%ct"])?,
    };
    text.trim().parse().with_context(|| format!("`{text}` is not a number of seconds"))
}

/// What git says in the repository.
fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new("git");
    output(command.current_dir(crate::root()).args(arguments))
}

/// Runs a command, whose stderr is shown, and gives what it wrote.
fn output(command: &mut std::process::Command) -> anyhow::Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout).context("not UTF-8")
}

/// Writes a file of the release, and names it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    print(&path.display().to_string());
    Ok(())
}

/// The files of a folder, by name.
fn listed(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}
