//! Whole-process figures on big images: wall time, processor time and peak memory, medians of five runs with a warm
//! page cache. What unpacks the same layers stands beside them, and peers where they are on PATH.
//!
//! The folder holds `oci/<image>` and `<image>.tar`, as the benchmark recipe makes them.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};

use crate::{print, root};

/// Runs of each command.
const RUNS: usize = 5;

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    processor: f64,
    /// Peak resident memory in MiB.
    memory: f64,
}

pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "-p", "portcullis-cli"])
        .current_dir(root())
        .status()?;
    ensure!(build.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let portcullis = target.join("release/portcullis");
    print("| image | what | wall s | CPU s | peak MiB |\n|---|---|---|---|---|");
    row("–", "portcullis --version", &mut || {
        Command::new(&portcullis).arg("--version").stdout(Stdio::null()).spawn()
    })?;
    let mut images: Vec<_> = std::fs::read_dir(folder.join("oci"))
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    images.sort();
    for image in images {
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let layout = format!("oci-dir:{}", image.display());
        let archive = format!("docker-archive:{}", folder.join(format!("{name}.tar")).display());
        for (what, source) in [("portcullis sbom, OCI layout", &layout), ("portcullis sbom, archive", &archive)] {
            row(&name, what, &mut || {
                Command::new(&portcullis).args(["sbom", "-q", source]).stdout(Stdio::null()).spawn()
            })?;
        }
        let unpack = "ls -S blobs/sha256/* | xargs -P2 -I{} sh -c 'pigz -dc {} 2>/dev/null | cat >/dev/null || true'";
        row(&name, "pigz -dc, two at a time", &mut || {
            Command::new("sh").args(["-c", unpack]).current_dir(&image).stdout(Stdio::null()).spawn()
        })?;
        for (peer, source) in [("syft", format!("oci-dir:{}", image.display()))] {
            if Command::new(peer).arg("--version").output().is_ok() {
                row(&name, peer, &mut || Command::new(peer).args(["-q", &source]).stdout(Stdio::null()).spawn())?;
            }
        }
    }
    Ok(())
}

/// Runs a command and prints its medians.
fn row(
    image: &str,
    what: &str,
    command: &mut dyn FnMut() -> std::io::Result<std::process::Child>,
) -> anyhow::Result<()> {
    // The first run warms the page cache.
    measure(command).with_context(|| what.to_owned())?;
    let costs = (0..RUNS).map(|_| measure(command)).collect::<anyhow::Result<Vec<_>>>()?;
    let median = |figure: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[RUNS / 2]
    };
    let (wall, processor, memory) = (median(|c| c.wall), median(|c| c.processor), median(|c| c.memory));
    print(&format!("| {image} | {what} | {wall:.3} | {processor:.3} | {memory:.0} |"));
    Ok(())
}

/// Waits for a child with its resource usage, children included.
fn measure(command: &mut dyn FnMut() -> std::io::Result<std::process::Child>) -> anyhow::Result<Cost> {
    let started = Instant::now();
    let child = command()?;
    let usage = wait(child)?;
    Ok(Cost { wall: started.elapsed().as_secs_f64(), ..usage })
}

fn wait(mut child: std::process::Child) -> anyhow::Result<Cost> {
    // The usage of a process can be read as long as it is not yet waited for; /proc has it without unsafe code.
    let id = child.id();
    let mut last = Cost { wall: 0.0, processor: 0.0, memory: 0.0 };
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.signal().is_none(), "killed by a signal");
            return Ok(last);
        }
        if let Some(cost) = usage(id) {
            last = Cost { memory: last.memory.max(cost.memory), ..cost };
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Processor time of a process and its ended children, and its peak memory, from /proc.
fn usage(id: u32) -> Option<Cost> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14 to 17; the state is field 3.
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    // Linux counts in hundredths of a second on every platform that this runs on.
    Some(Cost { wall: 0.0, processor: ticks / 100.0, memory: peak / 1024.0 })
}
