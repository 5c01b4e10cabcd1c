//! Figures of the advisory database: what building costs, how large the file is, how fast it opens and answers, each
//! for the records of a folder and for ten times as many.
//!
//! What is measured in process runs in a release build of this program that the command makes first.

mod inventory;
mod multiply;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use portcullis_advisories::{Builder, Database, add_directory};
use portcullis_model::{AdvisoryLookup as _, Distribution, Package};
use serde::{Deserialize, Serialize};

use crate::{
    bench::{Cost, machine, measured},
    print, root,
};

/// Runs that count for each figure.
const RUNS: usize = 5;

/// Packages in the inventory that is matched.
const PACKAGES: usize = 5000;

/// Records of the large database for each record of the folder.
const FACTOR: usize = 10;

/// What matching is given.
#[derive(Serialize, Deserialize)]
struct Inventory {
    distribution: Distribution,
    packages: Vec<Package>,
}

/// `cargo xtask bench database FOLDER [WORK]`: every figure as a table.
pub(crate) fn bench(data: &Path, work: Option<&Path>) -> anyhow::Result<()> {
    let program = build_release()?;
    let temporary = tempfile::tempdir()?;
    let work = work.unwrap_or(temporary.path());
    std::fs::create_dir_all(work)?;
    crate::say(&machine());
    let inventory = work.join("inventory.json");
    run(&program, &["inventory".as_ref(), data.as_os_str(), inventory.as_os_str()])?;
    let large = work.join("tenfold");
    if !large.is_dir() {
        run(&program, &["multiply".as_ref(), data.as_os_str(), large.as_os_str(), FACTOR.to_string().as_ref()])?;
    }
    print("| records | what | figure |\n|---|---|---|");
    for (name, from, runs) in [("all", data, RUNS), ("tenfold", large.as_path(), 1)] {
        let file = work.join(format!("{name}.db"));
        let line = command(&program, &["build".as_ref(), from.as_os_str(), file.as_os_str()]);
        let mut costs = (0..runs).map(|_| measured(&line, &[0])).collect::<anyhow::Result<Vec<_>>>()?;
        costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
        let Cost { wall, processor, memory } = *costs.get(runs / 2).context("no run")?;
        let bytes = std::fs::metadata(&file)?.len();
        print(&format!("| {name} | build | {wall:.1} s wall, {processor:.1} s CPU, {memory:.0} MiB peak |"));
        print(&format!("| {name} | file | {:.1} MB |", bytes as f64 / 1e6));
        for (what, arguments) in
            [("open", vec![file.as_os_str()]), ("match", vec![file.as_os_str(), inventory.as_os_str()])]
        {
            let mut line = vec![what.as_ref()];
            line.extend(arguments);
            let text = run(&program, &line)?;
            text.lines().for_each(|line| print(&format!("| {name} | {line} |")));
        }
    }
    Ok(())
}

/// `cargo xtask database …`: the single steps.
pub(crate) fn step(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["build", from, output] => build(from.as_ref(), output.as_ref()),
        ["multiply", from, output, factor] => multiply::run(from.as_ref(), output.as_ref(), factor.parse()?),
        ["inventory", from, output] => inventory::run(from.as_ref(), output.as_ref(), PACKAGES),
        ["open", database] => open(database.as_ref()),
        ["match", database, inventory] => matching(database.as_ref(), inventory.as_ref()),
        _ => anyhow::bail!(
            "usage: cargo xtask database build FOLDER FILE | multiply FOLDER FOLDER FACTOR | inventory FOLDER FILE | \
             open FILE | match FILE INVENTORY"
        ),
    }
}

pub(crate) fn build_release() -> anyhow::Result<PathBuf> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "-p", "xtask"])
        .current_dir(root())
        .status()?;
    ensure!(build.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/xtask"))
}

fn command(program: &Path, arguments: &[&std::ffi::OsStr]) -> Vec<OsString> {
    let mut line = vec![program.into(), "database".into()];
    line.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    line
}

fn run(program: &Path, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<String> {
    let output =
        Command::new(program).arg("database").args(arguments).stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

fn build(from: &Path, output: &Path) -> anyhow::Result<()> {
    let mut builder = Builder::new();
    add_directory(&mut builder, from)?;
    let summary = builder.write(output)?;
    print(&format!("{} advisories, {} packages, {} bytes", summary.advisories, summary.packages, summary.bytes));
    Ok(())
}

/// Opening and first lookups, with the file's pages out of the cache and in it.
fn open(path: &Path) -> anyhow::Result<()> {
    for cached in [false, true] {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            if !cached {
                forget(path)?;
            }
            let started = Instant::now();
            let database = Database::open(path)?;
            let opened = started.elapsed();
            for (ecosystem, name) in [("PyPI", "django"), ("Go", "stdlib"), ("Debian:11", "openssl")] {
                for entry in database.affected(ecosystem, name)?.into_iter().take(3) {
                    std::hint::black_box(database.advisory(entry.advisory, false)?);
                }
            }
            times.push((started.elapsed(), opened));
        }
        times.sort();
        let (all, opened) = times.get(RUNS / 2).copied().unwrap_or_default();
        let state = if cached { "in the page cache" } else { "not in the page cache" };
        print(&format!(
            "open; then three packages and nine advisories, file {state} | {:.2} ms; {:.2} ms in all",
            opened.as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3
        ));
    }
    Ok(())
}

/// Drops a file's pages from the page cache.
fn forget(path: &Path) -> anyhow::Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}

/// Processor seconds of this process.
fn processor_time() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Matching an inventory in a database just opened, and what that adds to the process's memory.
fn matching(path: &Path, inventory: &Path) -> anyhow::Result<()> {
    let inventory: Inventory = serde_json::from_slice(&std::fs::read(inventory)?)?;
    let before = getrusage(UsageWho::RUSAGE_SELF)?.max_rss();
    let mut times = Vec::new();
    let mut grown = 0;
    let mut found = 0;
    for _ in 0..RUNS {
        let database = Database::open(path)?;
        let started = Instant::now();
        let processor = processor_time()?;
        let matches = portcullis_matching::match_all(&inventory.packages, Some(&inventory.distribution), &database)?;
        times.push((started.elapsed(), processor_time()? - processor));
        if grown == 0 {
            grown = getrusage(UsageWho::RUSAGE_SELF)?.max_rss() - before;
        }
        found = matches.findings.len();
    }
    times.sort_by_key(|(wall, _)| *wall);
    let (wall, processor) = times.get(RUNS / 2).copied().unwrap_or_default();
    let packages = inventory.packages.len();
    print(&format!(
        "matching of {packages} packages, {found} findings | {:.1} ms wall, {:.1} ms CPU",
        wall.as_secs_f64() * 1e3,
        processor * 1e3
    ));
    print(&format!("memory that matching adds | {:.1} MiB", grown as f64 / 1024.0));
    Ok(())
}
