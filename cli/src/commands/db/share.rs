//! `portcullis db publish`, `export` and `import`: one database for many machines.

use std::{path::PathBuf, time::Duration};

use portcullis_errors::printable;
use portcullis_policy::ExitStatus;
use portcullis_registry::Reference;
use portcullis_updates::{Event, Exported, Published, Update, UpdateError};

use super::update::{PATIENCE, client, conclude, kept, places, runtime, tell, trust};
use crate::{
    args::{DbExportArgs, DbImportArgs, DbPublishArgs, Global},
    diagnostics::{Failure, Outcome},
    output, settings, signing,
};

pub(super) fn publish(args: &DbPublishArgs, global: &Global) -> Outcome {
    let DbPublishArgs { to, unsigned, signer, db, network } = args;
    let address = to.strip_prefix("oci://").unwrap_or(to);
    let reference: Reference = address.parse()?;
    let update = existing(db.db.as_ref(), network.timeout)?;
    let signer = if *unsigned { None } else { Some(signing::signer(signer, network.ca_file.as_deref())?) };
    let client = client(network)?;
    let tell = |event: Event| tell(&event, global);
    let Published { manifest, database, size } =
        runtime()?.block_on(portcullis_updates::publish(&update, &client, &reference, signer.as_ref(), &tell))?;
    let signed = if signer.is_some() { "signed" } else { "unsigned" };
    output::print(&format!("oci://{reference}: {size} bytes, {signed}\nmanifest {manifest}\ndatabase {database}\n"))?;
    Ok(ExitStatus::Pass)
}

pub(super) fn export(args: &DbExportArgs, global: &Global) -> Outcome {
    let DbExportArgs { file, key, db } = args;
    let update = existing(db.db.as_ref(), PATIENCE)?;
    let signer = key.as_deref().map(signing::of_key).transpose()?;
    let tell = |event: Event| tell(&event, global);
    let export = portcullis_updates::export(&update, file, signer.as_ref(), &tell);
    let Exported { manifest, database, signed_by } = signing::runtime()?.block_on(export)?;
    let signed = signed_by.map_or_else(|| "unsigned".to_owned(), |by| format!("signed by {}", printable(&by, 200)));
    let place = printable(&file.display().to_string(), 300);
    output::print(&format!("{place}: {signed}\nmanifest {manifest}\ndatabase {database}\n"))?;
    Ok(ExitStatus::Pass)
}

pub(super) fn import(args: &DbImportArgs, global: &Global) -> Outcome {
    let DbImportArgs { file, db, trust: trusted } = args;
    let update = places(db.as_ref(), PATIENCE)?;
    let trust = trust(trusted)?;
    let tell = |event: Event| tell(&event, global);
    let imported: Result<_, UpdateError> =
        runtime().and_then(|runtime| runtime.block_on(update.from_archive(file, &trust, &tell)));
    let installed = imported.map_err(|error| kept(error, &update))?;
    conclude(&update, &installed)
}

/// The places of a database that must be there.
fn existing(db: Option<&PathBuf>, timeout: Duration) -> Result<Update, Failure> {
    let Some(path) = settings::database_path(db) else {
        return Err(Failure::new("there is no database but the starter that is compiled in")
            .with_hint("fetch one with `portcullis db update`, or name one with --db"));
    };
    places(Some(&path), timeout)
}
