//! `portcullis cache …`: what the layer cache holds, and emptying it.

use portcullis_policy::ExitStatus;

use crate::{
    args::CacheCommand,
    diagnostics::{Context as _, Failure, Outcome},
    output, settings,
};

pub(crate) fn run(command: &CacheCommand) -> Outcome {
    let (CacheCommand::Status { place } | CacheCommand::Clean { place }) = command;
    let cache = settings::layer_cache(place).ok_or_else(|| {
        Failure::new("there is no folder for caches: HOME is not set").with_hint("name one with --cache-dir")
    })?;
    let folder = cache.folder().display();
    let text = match command {
        CacheCommand::Status { .. } => {
            let status = cache.status();
            format!("{folder}: {} entries, {} bytes of at most {}\n", status.entries, status.bytes, place.cache_size)
        }
        CacheCommand::Clean { .. } => {
            let removed = cache.clean().context(|| format!("cannot empty {folder}"))?;
            format!("{folder}: {} entries, {} bytes removed\n", removed.entries, removed.bytes)
        }
    };
    output::print(&text)?;
    Ok(ExitStatus::Pass)
}
