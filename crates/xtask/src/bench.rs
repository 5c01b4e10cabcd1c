//! Whole-process figures on big images: wall time, processor time and peak memory, medians of five runs with a warm
//! page cache. What unpacks the same layers stands beside them, and peers where they are on PATH.
//!
//! The folder holds `oci/<image>` and `<image>.tar`, or `images/` with them in it, as the benchmark recipe makes it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::{print, root, say};

/// Runs of each command that count; one before them warms the page cache.
const RUNS: usize = 5;

/// Pass, deny, incomplete: a scan that was carried out.
const JUDGED: &[i32] = &[0, 42, 44];

/// Everything read, or some of it: an inventory that was taken.
const LISTED: &[i32] = &[0, 44];

/// What runs cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
    /// Peak resident memory of the largest process, in MiB.
    pub(crate) memory: f64,
}

/// `cargo xtask bench FOLDER [DATABASE]`.
pub(crate) fn run(folder: &Path, database: Option<&Path>) -> anyhow::Result<()> {
    let portcullis = build()?;
    let folder = if folder.join("oci").is_dir() { folder.to_owned() } else { folder.join("images") };
    say(&machine());
    print("| image | what | wall s | CPU s | peak MiB | wall ÷ floor | CPU ÷ floor |\n|---|---|---|---|---|---|---|");
    let version = command(&portcullis, &["--version"]);
    row("–", "portcullis --version", &version, &[0], None)?;
    if let Some(database) = database {
        let open = command(&portcullis, &["db", "status", "--db", &text(database)]);
        row("–", "portcullis db status: opening the database", &open, &[0], None)?;
    }
    let mut images: Vec<PathBuf> = std::fs::read_dir(folder.join("oci"))
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    images.sort();
    ensure!(!images.is_empty(), "{} holds no images", folder.display());
    let memory = tempfile::tempdir()?;
    for layout in images {
        let name = text(Path::new(layout.file_name().unwrap_or_default()));
        let archive = folder.join(format!("{name}.tar"));
        let floor = row(&name, "floor: pigz -dc, two at a time", &unpack(&layout)?, &[0], None)?;
        let mut sources = vec![("OCI layout", format!("oci-dir:{}", layout.display()))];
        if archive.is_file() {
            sources.push(("archive", format!("docker-archive:{}", archive.display())));
        }
        for (form, source) in &sources {
            // What is run before the runs that count has filled the cache.
            let cache = format!("--cache-dir={}", memory.path().display());
            for (state, flag) in [("cold", "--no-cache"), ("layers known", cache.as_str())] {
                let inventory = command(&portcullis, &["sbom", "-q", "-o", "json", flag, source]);
                row(&name, &format!("portcullis sbom, {form}, {state}"), &inventory, LISTED, Some(floor))?;
                if let Some(database) = database {
                    let database = text(database);
                    let scan = command(&portcullis, &["scan", "-q", "-o", "json", flag, "--db", &database, source]);
                    row(&name, &format!("portcullis scan, {form}, {state}"), &scan, JUDGED, Some(floor))?;
                }
            }
        }
        for (peer, line) in peers(&layout).into_iter().filter(|(peer, _)| is_there(peer)) {
            row(&name, peer, &line, &[0], Some(floor))?;
        }
    }
    Ok(())
}

/// The release build of the program.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "-p", "portcullis-cli"])
        .current_dir(root())
        .status()?;
    ensure!(build.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/portcullis"))
}

/// What figures mean something on.
pub(crate) fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    format!("{processors} processors, load {load} before; leave the machine alone meanwhile")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A program and its arguments.
fn command(program: &Path, arguments: &[&str]) -> Vec<OsString> {
    std::iter::once(program.into()).chain(arguments.iter().map(OsString::from)).collect()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Unpacks the layers of a layout and throws the bytes away, two layers at a time.
fn unpack(layout: &Path) -> anyhow::Result<Vec<OsString>> {
    let read = |path: &Path| -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(path).with_context(|| path.display().to_string())?)?)
    };
    let blob = |descriptor: &Value| -> anyhow::Result<PathBuf> {
        let digest = descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        Ok(layout.join("blobs/sha256").join(digest.context("a descriptor without a digest")?))
    };
    let index = read(&layout.join("index.json"))?;
    let manifest = read(&blob(&index["manifests"][0])?)?;
    let layers = manifest["layers"].as_array().context("no layers")?;
    let zstd = layers.iter().any(|layer| layer["mediaType"].as_str().is_some_and(|kind| kind.ends_with("+zstd")));
    let unpacker = if zstd { "zstd -dcq" } else { "pigz -dc" };
    let script = format!(r#"printf '%s\0' "$@" | xargs -0 -n 1 -P 2 sh -c 'exec {unpacker} "$1" >/dev/null' -"#);
    let mut line = command(Path::new("sh"), &["-c", &script, "-"]);
    for layer in layers {
        line.push(blob(layer)?.into());
    }
    Ok(line)
}

/// What peers do for an inventory, without a network.
fn peers(layout: &Path) -> [(&'static str, Vec<OsString>); 3] {
    let source = format!("oci-dir:{}", layout.display());
    let input = text(layout);
    let env = |line: &[&str]| command(Path::new("env"), line);
    let syft = ["SYFT_CHECK_FOR_APP_UPDATE=false", "syft", "scan", "-q", &source, "-o", "cyclonedx-json"];
    let trivy = [
        "TRIVY_SKIP_VERSION_CHECK=true",
        "TRIVY_DISABLE_TELEMETRY=true",
        "TRIVY_SKIP_DB_UPDATE=true",
        "TRIVY_SKIP_JAVA_DB_UPDATE=true",
        // Its memory of layers seen before would make a second run another thing.
        "sh",
        "-c",
        "cache=$(mktemp -d); trivy image -q --input \"$1\" --format cyclonedx --offline-scan --cache-dir \"$cache\"; \
         code=$?; rm -rf \"$cache\"; exit $code",
        "-",
        &input,
    ];
    let grype = ["GRYPE_DB_AUTO_UPDATE=false", "GRYPE_DB_VALIDATE_AGE=false", "grype", "-q", &source, "-o", "json"];
    [("syft", env(&syft)), ("trivy", env(&trivy)), ("grype", env(&grype))]
}

/// Runs a command, prints its medians and gives them back.
pub(crate) fn row(
    image: &str,
    what: &str,
    line: &[OsString],
    codes: &[i32],
    floor: Option<Cost>,
) -> anyhow::Result<Cost> {
    let once = || measured(line, codes).with_context(|| what.to_owned());
    once()?;
    let costs = (0..RUNS).map(|_| once()).collect::<anyhow::Result<Vec<_>>>()?;
    let median = |figure: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(RUNS / 2).copied().unwrap_or(f64::NAN)
    };
    let cost = Cost { wall: median(|c| c.wall), processor: median(|c| c.processor), memory: median(|c| c.memory) };
    let Cost { wall, processor, memory } = cost;
    let ratios = floor.map_or_else(
        || "– | –".to_owned(),
        |floor| format!("{:.2} | {:.2}", wall / floor.wall, processor / floor.processor),
    );
    print(&format!("| {image} | {what} | {wall:.3} | {processor:.3} | {memory:.0} | {ratios} |"));
    Ok(cost)
}

/// Measures one run in a process of its own: the kernel sums what ended children used, and keeps their highest peak.
pub(crate) fn measured(line: &[OsString], codes: &[i32]) -> anyhow::Result<Cost> {
    let output = Command::new(std::env::current_exe()?).arg("measure").args(line).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "it could not be measured");
    let text = String::from_utf8(output.stdout)?;
    let [code, wall, processor, memory] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        bail!("it could not be measured: {text}");
    };
    ensure!(codes.contains(&code.parse()?), "it ended with {code}");
    Ok(Cost { wall: wall.parse()?, processor: processor.parse()?, memory: memory.parse()? })
}

/// `cargo xtask measure COMMAND…`: exit code, wall seconds, processor seconds, peak MiB.
pub(crate) fn measure(line: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = line.split_first().context("measure what?")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| program.clone())?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let processor = seconds(usage.user_time()) + seconds(usage.system_time());
    // Linux counts in KiB: <https://man7.org/linux/man-pages/man2/getrusage.2.html>.
    let memory = usage.max_rss() as f64 / 1024.0;
    let code = status.code().context("killed by a signal")?;
    print(&format!("{code} {wall} {processor} {memory}"));
    Ok(())
}
