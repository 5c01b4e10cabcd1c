//! One scan for the sensor, in a process of its own: it can be ended when its time is over, and what an image does to it
//! does nothing to the others.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use portcullis_errors::printable;
use portcullis_model::Report;

use crate::args::{CacheArgs, CachePlaceArgs, CiScanArgs, JudgeArgs};

/// Largest report taken, in bytes.
const MAX_REPORT: u64 = 256 << 20;
/// Of what a scan says, as much as is kept.
const MAX_MESSAGE: u64 = 16 << 10;
/// How long a scan may take beyond its deadline: it keeps it itself, and says what it did not read.
const GRACE: Duration = Duration::from_secs(2);

/// The one variable of ours that a scan sees: where the cache lies, with the database that is kept there. What judges is
/// passed as flags, and what was meant for other commands does not speak to it.
const VARIABLE: &str = "PORTCULLIS_CACHE_DIR";

/// How a scan ended.
pub(super) enum Scanned {
    /// With a report, and its bytes.
    Report(Box<Report>, Vec<u8>),
    /// Its time was over.
    TimedOut,
    /// Something went wrong.
    Failed(String),
}

/// The flags of `scan` that a sensor passes on.
pub(super) fn flags(args: &CiScanArgs, jobs: usize) -> Vec<OsString> {
    let CiScanArgs { judge, java_index, cache } = args;
    let JudgeArgs { db, policy, fail_on, ignore_unfixed, vex } = judge;
    let CacheArgs { no_cache, place } = cache;
    let CachePlaceArgs { cache_dir, cache_size } = place;
    let mut flags: Vec<OsString> = vec!["--jobs".into(), jobs.to_string().into()];
    let mut flag = |name: &str, value: OsString| flags.extend([name.into(), value]);
    flag("--cache-size", cache_size.to_string().into());
    db.iter().for_each(|path| flag("--db", path.into()));
    policy.iter().for_each(|path| flag("--policy", path.into()));
    fail_on.iter().for_each(|level| flag("--fail-on", level.to_string().into()));
    vex.iter().for_each(|path| flag("--vex", path.into()));
    java_index.iter().for_each(|path| flag("--java-index", path.into()));
    cache_dir.iter().for_each(|path| flag("--cache-dir", path.into()));
    if *ignore_unfixed {
        flags.push("--ignore-unfixed".into());
    }
    if *no_cache {
        flags.push("--no-cache".into());
    }
    flags
}

/// Scans `target`, within `left`.
pub(super) fn scan(target: &str, flags: &[OsString], left: Duration) -> Scanned {
    match run(target, flags, left) {
        Ok(scanned) => scanned,
        Err(error) => Scanned::Failed(format!("the scan cannot be run: {error}")),
    }
}

fn run(target: &str, flags: &[OsString], left: Duration) -> io::Result<Scanned> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["scan", target, "-o", "json", "--color", "never", "--timeout"]);
    command.arg(format!("{}s", left.as_secs().max(1))).args(flags);
    let is_ours = |name: &OsString| name.as_encoded_bytes().starts_with(b"PORTCULLIS_");
    let names = std::env::vars_os().map(|(name, _)| name).filter(is_ours);
    for name in names.filter(|name| name != VARIABLE) {
        command.env_remove(name);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (reader(child.stdout.take(), MAX_REPORT + 1), reader(child.stderr.take(), MAX_MESSAGE));
    let status = wait(&mut child, Instant::now() + left + GRACE)?;
    let Some(status) = status else { return Ok(Scanned::TimedOut) };
    let joined = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    let (report, message) = (joined(stdout), joined(stderr));
    if matches!(status.code(), Some(0 | 42 | 43 | 44))
        && report.len() as u64 <= MAX_REPORT
        && let Ok(read) = serde_json::from_slice::<Report>(&report)
    {
        return Ok(Scanned::Report(Box::new(read), report));
    }
    let message = String::from_utf8_lossy(&message);
    let said = message.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or(message.trim());
    Ok(Scanned::Failed(if said.is_empty() { format!("it ended with {status}") } else { printable(said, 1_000) }))
}

/// Waits until the child ends; none if it had to be ended.
fn wait(child: &mut Child, until: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Reads a pipe to its end, and keeps its first bytes: a pipe that is full would stop the child.
fn reader(pipe: Option<impl Read + Send + 'static>, limit: u64) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            // What cannot be read is missing from the report, which is then none.
            drop(pipe.by_ref().take(limit).read_to_end(&mut kept));
            drop(io::copy(&mut pipe, &mut io::sink()));
        }
        kept
    })
}
