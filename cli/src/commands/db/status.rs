//! `portcullis db status`: what a database is, how old, and where it came from.

use std::{fmt::Write as _, path::PathBuf};

use portcullis_errors::printable;
use portcullis_policy::ExitStatus;
use portcullis_updates::{ArtifactOrigin, origin};

use crate::{
    diagnostics::Outcome,
    output,
    settings::{self, clock},
};

/// Seconds of a day and of an hour.
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

pub(super) fn run(db: Option<&PathBuf>) -> Outcome {
    let path = settings::database_path(db);
    let database = settings::database(db)?;
    let info = database.info();
    let mut text = String::new();
    // Writing to a String cannot fail.
    match &path {
        Some(path) => _ = writeln!(text, "path        {}", printable(&path.display().to_string(), 300)),
        None => _ = writeln!(text, "path        none: the starter that is compiled in"),
    }
    _ = writeln!(text, "digest      {}", info.digest);
    _ = writeln!(text, "built       {} ({} old)", info.built, age(clock().seconds_since(info.built)));
    _ = writeln!(text, "advisories  {}", database.advisory_count());
    let known = path.as_ref().and_then(|path| origin(path, info.digest));
    match &known {
        Some(known) => {
            _ = writeln!(text, "from        {}", printable(&known.from, 300));
            _ = writeln!(text, "installed   {}", known.installed);
        }
        None if path.is_some() => _ = writeln!(text, "from        unknown: no update has put it there"),
        None => {}
    }
    if path.is_some() {
        let signature = known.as_ref().and_then(|known| known.artifact.as_ref()).and_then(signer);
        _ = writeln!(text, "signature   {}", signature.unwrap_or_else(|| "none was checked".to_owned()));
    }
    for source in &info.sources {
        let newest = source.newest.map_or_else(|| "unknown".to_owned(), |time| time.date());
        _ = writeln!(
            text,
            "source      {:<30} {:>8} records, newest {newest}",
            printable(&source.name, 30),
            source.records
        );
    }
    output::print(&text)?;
    Ok(ExitStatus::Pass)
}

fn signer(artifact: &ArtifactOrigin) -> Option<String> {
    let signature = artifact.signature.as_ref()?;
    let when = signature.signed.map_or_else(String::new, |time| format!(" at {time}"));
    Some(format!("checked: by {}{when}", printable(&signature.by, 200)))
}

fn age(seconds: i64) -> String {
    let (number, unit) = if seconds >= 2 * DAY { (seconds / DAY, "days") } else { (seconds.max(0) / HOUR, "hours") };
    format!("{number} {unit}")
}
