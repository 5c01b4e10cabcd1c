//! The whole of an update: lock, fetch, build, check, change.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use portcullis_advisories::{Builder, Database, add_directory};
use portcullis_model::{Digest, Timestamp, Warning, WarningKind};

use crate::{
    Sources, Synced, UpdateError,
    ecosystem::{Waited, off_thread_waited},
    fetch::{Fetcher, shown},
    files::Lock,
    install::{Origin, Place, origin},
    losses,
    osv::{self, Gathered},
};

/// What an update tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Another update is running; this one waits for it.
    Waiting,
    /// An ecosystem is up to date.
    Synced(Synced),
    /// A catalogue is up to date.
    Catalogue {
        /// Its address.
        from: String,
        /// Whether it had changed.
        has_changed: bool,
    },
    /// The signature of an artifact was checked.
    Verified {
        /// Whose it is.
        by: String,
    },
    /// An artifact is taken that nobody vouches for.
    Unsigned,
    /// So much is about to be downloaded.
    Downloading {
        /// In bytes.
        bytes: u64,
    },
    /// The database is built.
    Building,
    /// Something that does not stop the update.
    Warning(String),
}

/// What an update is about.
#[derive(Debug, Clone)]
pub struct Update {
    /// The database in use, or to be.
    pub path: PathBuf,
    /// Where downloads are kept.
    pub cache: PathBuf,
    /// The moment of the update.
    pub now: Timestamp,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// The database after an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its digest.
    pub digest: Digest,
    /// The moment that it speaks of.
    pub built: Timestamp,
    /// How many advisories it holds.
    pub advisories: usize,
    /// Whether it is another one than before.
    pub has_changed: bool,
    /// What could not be used of the sources.
    pub warnings: Vec<Warning>,
}

impl Installed {
    pub(crate) fn of(database: &Database, has_changed: bool) -> Self {
        let info = database.info();
        Self {
            digest: info.digest,
            built: info.built,
            advisories: database.advisory_count(),
            has_changed,
            warnings: Vec::new(),
        }
    }
}

impl Update {
    /// Fetches what has changed at the sources, builds a database of it, and puts it in place.
    ///
    /// # Errors
    /// Whatever keeps the new database from being made; the one in use then stays as it is.
    pub async fn from_export(
        &self,
        fetcher: &Fetcher,
        sources: &Sources,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Installed, UpdateError> {
        self.within_time(async {
            let _cache = self.hold_cache(tell)?;
            let gathered = osv::gather(fetcher, sources, &self.cache, tell).await?;
            self.rebuild(gathered, sources, shown(&osv::address(&sources.export)?), tell).await
        })
        .await
    }

    /// Builds the database of what earlier updates have fetched, without a network.
    ///
    /// # Errors
    /// As [`Self::from_export`].
    pub async fn from_cache(&self, sources: &Sources, tell: &(dyn Fn(Event) + Sync)) -> Result<Installed, UpdateError> {
        let _cache = self.hold_cache(tell)?;
        let gathered = osv::gathered_before(sources, &self.cache, tell)?;
        self.rebuild(gathered, sources, "the cache of earlier updates".to_owned(), tell).await
    }

    async fn rebuild(
        &self,
        gathered: Gathered,
        sources: &Sources,
        from: String,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Installed, UpdateError> {
        let place = self.hold_place(tell)?;
        let inputs = gathered.fingerprint();
        if let Some(current) = place.current()
            && origin(&self.path, current.digest()).is_some_and(|origin| origin.inputs == Some(inputs))
        {
            return Ok(Installed::of(&current, false));
        }
        tell(Event::Building);
        let (now, sources) = (self.now, sources.clone());
        let origin = move |digest| Origin { digest, from, installed: now, inputs: Some(inputs), artifact: None };
        off_thread_waited(move |waited| build(place, &gathered, &sources, now, origin, &waited)).await?
    }

    pub(crate) async fn within_time<T>(
        &self,
        work: impl Future<Output = Result<T, UpdateError>>,
    ) -> Result<T, UpdateError> {
        let late = |_elapsed| UpdateError::TimedOut { seconds: self.timeout.as_secs() };
        tokio::time::timeout(self.timeout, work).await.map_err(late)?
    }

    fn until(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.timeout).unwrap_or(now)
    }

    /// Takes the right to change the cache.
    pub(crate) fn hold_cache(&self, tell: &(dyn Fn(Event) + Sync)) -> Result<Lock, UpdateError> {
        Lock::take(&self.cache.join("lock"), self.until(), &|| tell(Event::Waiting))
    }

    /// Takes the right to change the database.
    pub(crate) fn hold_place(&self, tell: &(dyn Fn(Event) + Sync)) -> Result<Place, UpdateError> {
        Place::hold(&self.path, self.until(), &|| tell(Event::Waiting))
    }
}

/// Builds and installs; a source that could not be read leaves a hole that nobody would see later.
fn build(
    place: Place,
    gathered: &Gathered,
    wanted: &Sources,
    now: Timestamp,
    origin: impl FnOnce(Digest) -> Origin,
    waited: &Waited,
) -> Result<Installed, UpdateError> {
    // Beside the new database there must be room anyway, and what is left there is removed.
    let staged = place.staged();
    let mut builder = Builder::new().as_of(now).temporary_files_in(staged.parent().unwrap_or(&staged));
    let sources = gathered.ecosystems.iter().chain(&gathered.catalogues);
    for source in sources.map(PathBuf::as_path) {
        add_directory(&mut builder, source_folder(source))?;
    }
    let summary = builder.write(&staged)?;
    let mut lost = summary.warnings.iter().filter(|warning| warning.kind == WarningKind::Gap);
    if let Some(first) = lost.next() {
        let first = portcullis_errors::printable(&format!("{}: {}", first.path, first.message), 300);
        return Err(UpdateError::Lost { count: lost.count() + 1, first });
    }
    let mut warnings = summary.warnings;
    let before = place.current().map(|database| database.info());
    if let Some(before) = &before {
        warnings.extend(losses::compare(&Database::open(&staged)?.info(), before, wanted)?);
    }
    let database = place.install(origin(summary.digest), waited)?;
    let has_changed = before.is_none_or(|before| before.digest != database.digest());
    Ok(Installed { warnings, ..Installed::of(&database, has_changed) })
}

/// The folder that the builder reads: an ecosystem's, or a catalogue's.
fn source_folder(source: &Path) -> &Path {
    if source.is_dir() { source } else { source.parent().unwrap_or(source) }
}
