//! `portcullis db update`: fetches what is new, and changes the database at one stroke.

use std::{path::PathBuf, time::Duration};

use portcullis_attest::{Authority, Identity, TrustRoot};
use portcullis_errors::printable;
use portcullis_policy::ExitStatus;
use portcullis_registry::{Client, Credentials, Options, PlainHttp, Reference};
use portcullis_updates::{
    Change, Event, FetchOptions, Fetcher, Installed, Sources, Synced, Trust, Update, UpdateError,
};

use super::tell_warnings;
use crate::{
    args::{DbUpdateArgs, Global, NetworkArgs, TrustArgs},
    diagnostics::{Context as _, Failure, Outcome, say},
    output, places as folders, settings,
};

/// How long an import or export waits for another update to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn run(args: &DbUpdateArgs, global: &Global) -> Outcome {
    let update = places(args.db.as_ref(), args.network.timeout)?;
    let installed = match args.from.strip_prefix("oci://") {
        Some(name) => from_registry(args, name, &update, global)?,
        None => from_export(args, &update, global).map_err(|error| kept(error, &update))?,
    };
    conclude(&update, &installed)
}

fn from_export(args: &DbUpdateArgs, update: &Update, global: &Global) -> Result<Installed, UpdateError> {
    let DbUpdateArgs { from, ecosystem, kev, epss, db: _, offline, jobs, trust, network } = args;
    let named = |place: &String| Some(place.clone()).filter(|place| place != "none");
    let sources = Sources {
        export: from.clone(),
        ecosystems: ecosystem.clone(),
        kev: named(kev),
        epss: named(epss),
        allow_rollback: trust.allow_rollback,
    };
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

fn from_registry(args: &DbUpdateArgs, name: &str, update: &Update, global: &Global) -> Result<Installed, Failure> {
    if args.offline {
        return Err(Failure::usage("a registry is in the network, and this run is offline")
            .with_hint("carry the database over with `portcullis db export` and `portcullis db import`"));
    }
    let reference: Reference = name.parse()?;
    let trust = trust(&args.trust)?;
    let client = client(&args.network)?;
    let pulled = runtime()?.block_on(update.from_registry(&client, &reference, &trust, &|event| tell(&event, global)));
    pulled.map_err(|error| kept(error, update))
}

/// A client for registries.
pub(super) fn client(network: &NetworkArgs) -> Result<Client, Failure> {
    let NetworkArgs { plain_http, ca_file, timeout } = network;
    let options = Options {
        plain_http: if *plain_http { PlainHttp::Always } else { PlainHttp::Never },
        ca_file: ca_file.clone(),
        timeout: (*timeout).min(Options::default().timeout),
        ..Options::default()
    };
    Ok(Client::new(options, Credentials::from_environment()?)?)
}

/// Whom to believe.
pub(super) fn trust(args: &TrustArgs) -> Result<Trust, Failure> {
    let TrustArgs { key, certificate_identity, certificate_oidc_issuer, trusted_root, allow_unsigned, allow_rollback } =
        args;
    let mut authorities = Vec::new();
    if let Some(key) = key {
        let key = settings::verifying_key(key)?;
        authorities.push(Authority::Key { name: format!("key {}", key.id()), key });
    }
    if let (Some(identity), Some(issuer)) = (certificate_identity, certificate_oidc_issuer) {
        let root = match trusted_root {
            Some(path) => TrustRoot::from_json(&settings::read_file(path)?),
            None => TrustRoot::public(),
        };
        let root = root.context(|| "cannot verify certificates".to_owned())?;
        let (name, identity) = (format!("{identity} by {issuer}"), Identity::Exact(identity.clone()));
        authorities.push(Authority::Certificate { name, identity, issuer: issuer.clone(), root });
    }
    if authorities.is_empty() && !allow_unsigned {
        return Err(Failure::usage("say whom to believe that the database is what it says")
            .with_hint("--key PUBLIC, or --certificate-identity with --certificate-oidc-issuer, or --allow-unsigned"));
    }
    Ok(Trust { authorities, allow_unsigned: *allow_unsigned, allow_rollback: *allow_rollback })
}

/// What keeps the requests running.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, UpdateError> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| UpdateError::Thread(error.to_string()))
}

/// The places of an update.
pub(super) fn places(db: Option<&PathBuf>, timeout: Duration) -> Result<Update, Failure> {
    let homeless = |what: &str, hint: &str| Failure::new(format!("there is no place for {what}")).with_hint(hint);
    let path = db.cloned().or_else(folders::database);
    let path = path.ok_or_else(|| homeless("the database", "set HOME or XDG_DATA_HOME, or name a file with --db"))?;
    if settings::is_starter(&path) {
        return Err(Failure::usage("the starter is compiled in, and cannot be updated"));
    }
    let cache = folders::downloads();
    let cache = cache.ok_or_else(|| homeless("downloads", "set HOME, XDG_CACHE_HOME or PORTCULLIS_CACHE_DIR"))?;
    Ok(Update { path, cache, now: settings::now()?, timeout })
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
        Event::Unsigned => return say("warning: nobody vouches for this database"),
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
