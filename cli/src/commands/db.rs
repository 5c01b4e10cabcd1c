//! `portcullis db …`: databases are updated, built, shared, checked and asked.

mod share;
mod status;
mod update;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use portcullis_advisories::{BuildSummary, Builder, Database, SearchHit, add_directory};
use portcullis_errors::printable;
use portcullis_model::{Warning, WarningKind};
use portcullis_policy::ExitStatus;

use crate::{
    args::{DbCommand, Global},
    diagnostics::{Context as _, Failure, Outcome, say},
    output, settings,
};

/// Most warnings of a build shown.
const SHOWN: usize = 20;

pub(crate) fn run(command: &DbCommand, global: &Global) -> Outcome {
    match command {
        DbCommand::Update(args) => update::run(args, global),
        DbCommand::Publish(args) => share::publish(args, global),
        DbCommand::Export(args) => share::export(args, global),
        DbCommand::Import(args) => share::import(args, global),
        DbCommand::Build { from, output } => build(from, output),
        DbCommand::Status { db } => status::run(db.db.as_ref()),
        DbCommand::Verify { db } => {
            settings::database(db.db.as_ref())?.verify()?;
            output::print("every page matches its digest\n")?;
            Ok(ExitStatus::Pass)
        }
        DbCommand::Search { id, db } => search(id, db.db.as_ref()),
    }
}

fn build(from: &[PathBuf], output: &Path) -> Outcome {
    // What a build puts aside goes where the database goes: the system's place for temporary files may be memory.
    let beside = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = Builder::new().as_of(settings::now()?).temporary_files_in(beside);
    for directory in from {
        add_directory(&mut builder, directory).context(|| "cannot build the database".to_owned())?;
    }
    let summary = builder.write(output).context(|| "cannot build the database".to_owned())?;
    let BuildSummary { digest, bytes, advisories, packages, withdrawn, without_packages, duplicates, warnings } =
        summary;
    tell_warnings(&warnings);
    let place = output.display();
    output::print(&format!(
        "{place}: {advisories} advisories for {packages} packages, {bytes} bytes\nleft out: {withdrawn} withdrawn, \
         {without_packages} that name no package, {duplicates} that another of the same id replaces\n{digest}\n"
    ))?;
    // A source that could not be read at all leaves a hole that nobody would see later.
    let lost = warnings.iter().filter(|warning| warning.kind == WarningKind::Gap).count();
    if lost > 0 {
        return Err(Failure::new(format!("{lost} sources could not be read; the database lacks them")));
    }
    Ok(ExitStatus::Pass)
}

/// Says what of the sources could not be used.
fn tell_warnings(warnings: &[Warning]) {
    for warning in warnings.iter().take(SHOWN) {
        say(&format!("warning: {}: {}", printable(&warning.path, 100), printable(&warning.message, 300)));
    }
    if warnings.len() > SHOWN {
        say(&format!("warning: {} more", warnings.len() - SHOWN));
    }
}

/// The records of an advisory or CVE, by its id as it was typed, else as such ids are written: `CVE-…` in capitals, of
/// `GHSA-…` the prefix alone.
pub(super) fn find(database: &Database, id: &str) -> Result<Vec<SearchHit>, Failure> {
    let capitals = id.to_ascii_uppercase();
    let prefixed = id
        .split_once('-')
        .map(|(prefix, rest)| format!("{}-{}", prefix.to_ascii_uppercase(), rest.to_ascii_lowercase()));
    for spelling in [Some(id.to_owned()), Some(capitals), prefixed].into_iter().flatten() {
        let hits = database.search(&spelling).map_err(portcullis_scan::ScanError::from)?;
        if !hits.is_empty() {
            return Ok(hits);
        }
    }
    Ok(Vec::new())
}

fn search(id: &str, db: Option<&PathBuf>) -> Outcome {
    let database = settings::database(db)?;
    let hits = find(&database, id)?;
    if hits.is_empty() {
        return Err(Failure::new(format!("the database knows no advisory `{id}`")));
    }
    let mut text = String::new();
    for hit in hits {
        let advisory = hit.advisory;
        let score = advisory.severity.score.map_or_else(String::new, |score| format!(" {score:.1}"));
        // Writing to a String cannot fail.
        _ = writeln!(
            text,
            "{}  {}{score}  {}",
            advisory.id,
            advisory.severity.level,
            printable(&advisory.summary, 120)
        );
        if !advisory.aliases.is_empty() {
            _ = writeln!(text, "  also {}", printable(&advisory.aliases.join(", "), 400));
        }
    }
    output::print(&text)?;
    Ok(ExitStatus::Pass)
}
