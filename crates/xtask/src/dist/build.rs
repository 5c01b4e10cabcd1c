//! One architecture's programs: built, listed, packed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::{
    PROGRAMS, Program,
    archive::{self, Content, Entry},
    auditable, epoch, output, platform, version, write,
};

pub(super) fn run(folder: &Path, target: Option<&str>) -> anyhow::Result<()> {
    let host = host()?;
    let target = target.unwrap_or(&host);
    let epoch = epoch()?;
    let built = compile(target)?;
    let staged = tempfile::tempdir()?;
    for program in &PROGRAMS {
        let name = format!("{}-{}-{}", program.name, version(), platform(target)?);
        let own = staged.path().join(program.name);
        fs::create_dir(&own)?;
        let copy = own.join(program.name);
        auditable::embed(&built.join(program.name), &auditable::crates(program.package, target)?, &copy)?;
        require_static(&copy)?;
        bill(&built.join("portcullis"), staged.path(), program.name, &folder.join(&name), epoch)?;
        let entries = entries(program, &name, &built, &copy)?;
        write(&folder.join(format!("{name}.tar.gz")), &archive::pack(entries, epoch)?)?;
    }
    Ok(())
}

/// The target of this machine's compiler.
fn host() -> anyhow::Result<String> {
    let text = output(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}

/// Builds every program, and gives the folder that they are in.
fn compile(target: &str) -> anyhow::Result<PathBuf> {
    let root = fs::canonicalize(crate::root())?;
    let home = |name: &str, below: &str| {
        let home = std::env::home_dir().unwrap_or_default().join(below);
        std::env::var_os(name).map_or(home, PathBuf::from)
    };
    let cargo_home = home("CARGO_HOME", ".cargo");
    let built = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // Where it was built must not be seen in what was built. Of several that match, the last one counts.
    let places = [(root.as_path(), "/portcullis"), (&cargo_home, "/cargo"), (&built, "/target")];
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    // The C of aws-lc and zstd names its files in assertions.
    let c_flags = places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).args(["build", "--release", "--locked", "--target", target]);
    cargo.args(PROGRAMS.iter().flat_map(|program| ["--package", program.package]));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("CARGO_INCREMENTAL", "0");
    cargo.env("TARGET_CFLAGS", c_flags.collect::<Vec<_>>().join(" "));
    let status = cargo.status()?;
    ensure!(status.success(), "the build ended with {status}");
    Ok(built.join(target).join("release"))
}

/// Nothing of the machine that it runs on is loaded into it.
fn require_static(program: &Path) -> anyhow::Result<()> {
    let mut readelf = Command::new("readelf");
    let headers = output(readelf.args(["--program-headers", "--dynamic", "--wide"]).arg(program))?;
    let loads = |line: &&str| line.contains("(NEEDED)") || line.contains("INTERP");
    match headers.lines().find(loads) {
        None => Ok(()),
        Some(line) => anyhow::bail!("{} is not static: {}", program.display(), line.trim()),
    }
}

/// The bills of materials of a program, which lies alone in a folder of its own name.
fn bill(portcullis: &Path, staged: &Path, name: &str, path: &Path, epoch: u64) -> anyhow::Result<()> {
    let mut sbom = Command::new(portcullis);
    sbom.current_dir(staged).arg("sbom").arg(format!("dir:{name}"));
    for (format, ending) in [("cyclonedx-json", "cdx.json"), ("spdx-json", "spdx.json")] {
        let path = std::path::absolute(path)?
            .with_file_name(format!("{}.{ending}", path.file_name().unwrap_or_default().to_string_lossy()));
        sbom.arg("-o").arg(format!("{format}={}", path.display()));
        crate::print(&path.display().to_string());
    }
    // What a user has set must not be seen in what is released.
    sbom.env_clear().env("SOURCE_DATE_EPOCH", epoch.to_string()).env("PORTCULLIS_NO_CACHE", "true");
    output(&mut sbom).map(drop)
}

/// What an archive holds, below one folder.
fn entries(program: &Program, folder: &str, built: &Path, copy: &Path) -> anyhow::Result<Vec<Entry>> {
    let entry = |path: &str, bytes| Entry { path: format!("{folder}/{path}"), content: Content::File(bytes) };
    let content = Content::Program(fs::read(copy)?);
    let mut entries = vec![Entry { path: format!("{folder}/{}", program.name), content }];
    for file in program.files {
        let name = file.rsplit('/').next().unwrap_or(file);
        entries.push(entry(name, fs::read(crate::root().join(file))?));
    }
    if program.name == "portcullis" {
        let portcullis = built.join("portcullis");
        for shell in ["bash", "fish", "zsh"] {
            let text = output(Command::new(&portcullis).args(["completions", shell]))?;
            entries.push(entry(&format!("completions/portcullis.{shell}"), text.into_bytes()));
        }
        let manual = tempfile::tempdir()?;
        output(Command::new(&portcullis).arg("man").arg(manual.path()))?;
        for page in super::listed(manual.path())? {
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            entries.push(entry(&format!("man/{name}"), fs::read(&page)?));
        }
    }
    Ok(entries)
}
