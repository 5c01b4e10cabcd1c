//! `portcullis db update`: fetches what is new, and changes the database at one stroke.

use std::path::PathBuf;

use portcullis_errors::printable;
use portcullis_policy::ExitStatus;
use portcullis_updates::{Change, Event, FetchOptions, Fetcher, Installed, Sources, Synced, Update, UpdateError};

use super::tell_warnings;
use crate::{
    args::{DbUpdateArgs, Global, NetworkArgs},
    diagnostics::{Failure, Outcome, say},
    output, places as folders, settings,
};

pub(super) fn run(args: &DbUpdateArgs, global: &Global) -> Outcome {
    let update = places(args.db.as_ref(), &args.network)?;
    let installed = update_from(args, &update, global).map_err(|error| kept(error, &update))?;
    conclude(&update, &installed)
}

fn update_from(args: &DbUpdateArgs, update: &Update, global: &Global) -> Result<Installed, UpdateError> {
    let DbUpdateArgs { from, ecosystem, kev, epss, db: _, offline, jobs, network } = args;
    let named = |place: &String| Some(place.clone()).filter(|place| place != "none");
    let sources = Sources { export: from.clone(), ecosystems: ecosystem.clone(), kev: named(kev), epss: named(epss) };
    let tell = |event: Event| tell(&event, global);
    let runtime = runtime()?;
    if *offline {
        return runtime.block_on(update.from_cache(&sources, &tell));
    }
    let mut options =
        FetchOptions { plain_http: network.plain_http, ca_file: network.ca_file.clone(), ..FetchOptions::default() };
    options.jobs = jobs.map_or(options.jobs, usize::from);
    runtime.block_on(update.from_export(&Fetcher::new(options)?, &sources, &tell))
}

/// What keeps the requests running.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, UpdateError> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| UpdateError::Thread(error.to_string()))
}

/// The places of an update.
pub(super) fn places(db: Option<&PathBuf>, network: &NetworkArgs) -> Result<Update, Failure> {
    let homeless = |what: &str, hint: &str| Failure::new(format!("there is no place for {what}")).with_hint(hint);
    let path = db.cloned().or_else(folders::database);
    let path = path.ok_or_else(|| homeless("the database", "set HOME or XDG_DATA_HOME, or name a file with --db"))?;
    if settings::is_starter(&path) {
        return Err(Failure::usage("the starter is compiled in, and cannot be updated"));
    }
    let cache = folders::cache();
    let cache = cache.ok_or_else(|| homeless("downloads", "set HOME, XDG_CACHE_HOME or PORTCULLIS_CACHE_DIR"))?;
    Ok(Update { path, cache, now: settings::now()?, timeout: network.timeout })
}

/// An update that failed leaves the old database, and says so.
pub(super) fn kept(error: UpdateError, update: &Update) -> Failure {
    let failure = Failure::from(error);
    if update.path.exists() {
        failure.with_note(format!("the database in use stays as it is: {}", update.path.display()))
    } else {
        failure.with_note("no database was written".to_owned())
    }
}

/// Says what is in use now.
pub(super) fn conclude(update: &Update, installed: &Installed) -> Outcome {
    let Installed { digest, built, advisories, has_changed, warnings } = installed;
    tell_warnings(warnings);
    let state = if *has_changed { "updated" } else { "is up to date" };
    let place = printable(&update.path.display().to_string(), 300);
    output::print(&format!("{place} {state}: {advisories} advisories, the newest of {built}\n{digest}\n"))?;
    Ok(ExitStatus::Pass)
}

/// Says what happens, on stderr.
pub(super) fn tell(event: &Event, global: &Global) {
    let text = match event {
        Event::Warning(text) => return say(&format!("warning: {}", printable(text, 500))),
        Event::Waiting => "another update is running; waiting for it to end".to_owned(),
        Event::Synced(synced) => return tell_synced(synced, global),
        Event::Catalogue { from, has_changed } => {
            format!("{}: {}", printable(from, 200), if *has_changed { "fetched" } else { "unchanged" })
        }
        Event::Verified { by } => format!("the signature of {} is good", printable(by, 200)),
        Event::Downloading { bytes } => format!("downloading {bytes} bytes"),
        Event::Building => "building the database".to_owned(),
    };
    if !global.quiet {
        say(&text);
    }
}

fn tell_synced(synced: &Synced, global: &Global) {
    let Synced { ecosystem, change, records, warnings } = synced;
    for warning in warnings {
        say(&format!("warning: {}", printable(warning, 300)));
    }
    let done = match change {
        Change::None => "unchanged".to_owned(),
        Change::Whole => "fetched".to_owned(),
        Change::Records { fetched, removed } => format!("{fetched} changed, {removed} removed"),
    };
    if !global.quiet {
        say(&format!("{}: {records} records, {done}", printable(ecosystem, 60)));
    }
}
