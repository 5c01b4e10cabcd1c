//! One ecosystem's records in the cache: all of them at first, afterwards what has changed.
//!
//! ```text
//! CACHE/osv/<Ecosystem>/all.zip     as in OSV's export, brought up to date
//! CACHE/osv/<Ecosystem>/state       which archive this speaks of, what the server calls it, and its records' times
//! ```
//! The state is believed only for the very archive that it was written for; without it the archive is read again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::UNIX_EPOCH,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{
    UpdateError,
    export::{self, Index, MAX_RECORD},
    fetch::{Answer, Download, Downloaded, FetchError, Fetcher, Validator, shown},
    files::{read_bounded, write_atomically},
    listing,
};

/// Largest archive taken, in bytes.
const MAX_ARCHIVE: u64 = 8 << 30;
/// Largest list of changes taken, in bytes.
const MAX_LIST: u64 = 512 << 20;
/// Largest state read, in bytes.
const MAX_STATE: u64 = 512 << 20;
/// So many changes are fetched one by one, whatever the archive's size; or a twentieth of it.
const FEW: usize = 200;
/// The most records that are fetched one by one where even a new archive lacks them.
const MAX_SINGLE: usize = 20_000;
/// Records fetched at a time, of one ecosystem.
const AT_ONCE: usize = 8;

/// What came of bringing an ecosystem up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// Its name.
    pub ecosystem: String,
    /// How it was done.
    pub change: Change,
    /// Records in the cache.
    pub records: usize,
    /// What is worth telling.
    pub warnings: Vec<String>,
}

/// How an ecosystem was brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing had changed.
    None,
    /// The whole archive was downloaded.
    Whole,
    /// Single records.
    Records {
        /// So many were fetched.
        fetched: usize,
        /// So many are no longer listed.
        removed: usize,
    },
}

/// An ecosystem at a server, and its place in the cache.
pub(crate) struct Ecosystem<'a> {
    pub(crate) name: &'a str,
    pub(crate) base: &'a Url,
    pub(crate) folder: PathBuf,
    pub(crate) fetcher: &'a Fetcher,
}

/// Which archive a state speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    length: u64,
    /// Nanoseconds since 1970.
    changed: u64,
}

/// The first line of the state; the records follow, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Heading {
    from: String,
    #[serde(default)]
    stamp: Option<Stamp>,
    #[serde(default)]
    archive: Validator,
    #[serde(default)]
    list: Validator,
}

/// What lies in the cache.
#[derive(Debug, Default)]
struct Local {
    heading: Heading,
    index: Index,
}

/// What is to be done, going by the server's list.
struct Plan {
    fetch: Vec<String>,
    gone: BTreeSet<String>,
}

impl Ecosystem<'_> {
    pub(crate) async fn sync(&self) -> Result<Synced, UpdateError> {
        let mut local = self.load().await?;
        let known = local.as_ref().map(|local| local.heading.list.clone());
        let listed = match self.fetcher.get(&self.url("modified_id.csv")?, known.as_ref(), MAX_LIST).await {
            Ok(Answer::Unchanged) => return Ok(self.synced(Change::None, &local.unwrap_or_default(), Vec::new())),
            Ok(Answer::Body(text, validator)) => Some((listing::records(&String::from_utf8_lossy(&text)), validator)),
            // A mirror may have the archives alone.
            Err(FetchError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut change = Change::None;
        let few = local.as_ref().map_or(0, |local| FEW.max(local.index.len() / 20));
        let is_much = match (&local, &listed) {
            (Some(local), Some(((list, _), _))) => {
                let plan = Plan::new(&local.index, list);
                plan.fetch.len() + plan.gone.len() > few
            }
            _ => true,
        };
        if is_much && let Some(new) = self.archive(local.as_ref()).await? {
            local = Some(new);
            change = Change::Whole;
        }
        let mut local = local.unwrap_or_default();
        let mut warnings = Vec::new();
        if let Some(((list, unread), validator)) = listed {
            let mut plan = Plan::new(&local.index, &list);
            if unread > 0 {
                warnings.push(format!("{}: {unread} lines of its list cannot be read; nothing is removed", self.name));
            }
            // What an archive made just now does not list is newer than the list; what it still has may have gone. And
            // a line that cannot be read may be about what seems to have gone.
            if change == Change::Whole || unread > 0 {
                plan.gone.clear();
            }
            let (fetched, removed) = self.singles(&mut local, &list, plan, &mut warnings).await?;
            if change == Change::None && fetched + removed > 0 {
                change = Change::Records { fetched, removed };
            }
            // A list that promises more than there is must be read again.
            let is_kept = list.iter().all(|(id, time)| local.index.get(id).is_some_and(|known| known >= time));
            local.heading.list = if is_kept { validator } else { Validator::default() };
        }
        self.save(&mut local)?;
        Ok(self.synced(change, &local, warnings))
    }

    fn synced(&self, change: Change, local: &Local, warnings: Vec<String>) -> Synced {
        Synced { ecosystem: self.name.to_owned(), change, records: local.index.len(), warnings }
    }

    fn url(&self, file: &str) -> Result<Url, UpdateError> {
        below(self.base, &[self.name, file])
    }

    fn path(&self) -> PathBuf {
        self.folder.join("all.zip")
    }

    /// What the cache holds. A damaged archive is as good as none.
    async fn load(&self) -> Result<Option<Local>, UpdateError> {
        let path = self.path();
        let Some(stamp) = stamp(&path) else { return Ok(None) };
        let from = shown(self.base);
        if let Some(local) = read_state(&self.folder.join("state"))
            && local.heading.stamp.as_ref() == Some(&stamp)
        {
            // Another server names its versions in its own way.
            let heading =
                if local.heading.from == from { local.heading } else { Heading { from, ..Heading::default() } };
            return Ok(Some(Local { heading, ..local }));
        }
        let checked = off_thread(move || export::check(&path)).await?;
        match checked {
            Ok(index) => Ok(Some(Local { heading: Heading { from, ..Heading::default() }, index })),
            Err(reason) => {
                tracing::debug!(ecosystem = self.name, reason, "the archive in the cache is damaged");
                Ok(None)
            }
        }
    }

    /// Downloads the archive, unless the server still has the version that the one in the cache was made from.
    async fn archive(&self, local: Option<&Local>) -> Result<Option<Local>, UpdateError> {
        let (url, path) = (self.url("all.zip")?, self.path());
        let known = local.map(|local| &local.heading.archive);
        let mut download = Download { url: &url, known, to: &path, limit: MAX_ARCHIVE };
        let mut reason = String::new();
        // A second time from the start: what was taken up may have been damaged on the disk.
        for _ in 0..2 {
            let (part, validator) = match self.fetcher.download(&download).await? {
                Downloaded::File { part, validator } => (part, validator),
                Downloaded::Unchanged if download.known.is_some() => return Ok(None),
                Downloaded::Unchanged => {
                    reason = "the server says that it has not changed, and there is no earlier one".into();
                    continue;
                }
            };
            let checked = part.clone();
            match off_thread(move || export::check(&checked)).await? {
                Ok(index) => {
                    fs::rename(&part, &path).map_err(UpdateError::writing(&path))?;
                    download.forget();
                    let heading = Heading { from: shown(self.base), archive: validator, ..Heading::default() };
                    return Ok(Some(Local { heading, index }));
                }
                Err(found) => reason = found,
            }
            download.forget();
            download.known = None;
        }
        Err(UpdateError::Export { url: shown(&url), reason })
    }

    /// Fetches single records, and writes the archive anew with them.
    async fn singles(
        &self,
        local: &mut Local,
        list: &Index,
        plan: Plan,
        warnings: &mut Vec<String>,
    ) -> Result<(usize, usize), UpdateError> {
        let Plan { fetch, gone } = plan;
        if fetch.len() > MAX_SINGLE {
            let reason = format!("it lacks {} of the records that are listed", fetch.len());
            return Err(UpdateError::Export { url: shown(&self.url("all.zip")?), reason });
        }
        let fetched: Vec<(String, Option<Vec<u8>>)> =
            stream::iter(fetch).map(|id| self.single(id)).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut changed = BTreeMap::new();
        let mut missing = Vec::new();
        for (id, record) in fetched {
            let Some(record) = record else {
                missing.push(id);
                continue;
            };
            let promised = list.get(&id).copied().unwrap_or_else(export::unknown_time);
            let time = match export::modified(&record) {
                // A copy between the server and us is older than the list: it is asked for again the next time.
                Some(time) if time < promised => time,
                Some(_) => promised,
                None => {
                    warnings.push(format!("{}: {id} is no record", self.name));
                    promised
                }
            };
            local.index.insert(id.clone(), time);
            changed.insert(id, record);
        }
        if let Some(first) = missing.first() {
            let count = missing.len();
            let what = "listed records are not there; what was fetched of them before is used";
            warnings.push(format!("{}: {count} {what}, such as of {first}", self.name));
        }
        local.index.retain(|id, _| !gone.contains(id));
        let counts = (changed.len(), gone.len());
        if counts != (0, 0) {
            let path = self.path();
            off_thread(move || export::change(&path, &changed, &gone).map_err(UpdateError::writing(&path))).await??;
        }
        Ok(counts)
    }

    /// One record; none where the server does not have what it lists.
    async fn single(&self, id: String) -> Result<(String, Option<Vec<u8>>), UpdateError> {
        match self.fetcher.get(&self.url(&format!("{id}.json"))?, None, MAX_RECORD).await {
            Ok(Answer::Body(record, _)) => Ok((id, Some(record.to_vec()))),
            Err(FetchError::NotFound { .. }) | Ok(Answer::Unchanged) => Ok((id, None)),
            Err(error) => Err(error.into()),
        }
    }

    fn save(&self, local: &mut Local) -> Result<(), UpdateError> {
        let path = self.folder.join("state");
        local.heading.stamp = stamp(&self.path());
        let heading = serde_json::to_string(&local.heading).map_err(io::Error::from);
        let mut text = heading.map_err(UpdateError::writing(&path))?;
        for (id, time) in &local.index {
            // Writing to a String cannot fail.
            _ = write!(text, "\n{} {id}", time.unix());
        }
        write_atomically(&path, text.as_bytes()).map_err(UpdateError::writing(&path))
    }
}

impl Plan {
    fn new(index: &Index, list: &Index) -> Self {
        let is_newer =
            |(id, time): &(&String, &portcullis_model::Timestamp)| index.get(*id).is_none_or(|known| known < time);
        let fetch = list.iter().filter(is_newer).map(|(id, _)| id.clone()).collect();
        let gone = index.keys().filter(|id| !list.contains_key(*id)).cloned().collect();
        Self { fetch, gone }
    }
}

/// The address of a file below `base`; what a name holds that an address cannot is escaped.
pub(crate) fn below(base: &Url, parts: &[&str]) -> Result<Url, UpdateError> {
    let mut url = base.clone();
    let refused = || UpdateError::Address { text: shown(base) };
    url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().extend(parts);
    Ok(url)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(Stamp { length: metadata.len(), changed: u64::try_from(changed).ok()? })
}

fn read_state(path: &Path) -> Option<Local> {
    let text = String::from_utf8(read_bounded(path, MAX_STATE).ok()?).ok()?;
    let mut lines = text.lines();
    let heading = serde_json::from_str(lines.next()?).ok()?;
    let record = |line: &str| {
        let (time, id) = line.split_once(' ')?;
        Some((id.to_owned(), portcullis_model::Timestamp::from_unix(time.parse().ok()?)))
    };
    let index = lines.map(record).collect::<Option<Index>>()?;
    Some(Local { heading, index })
}

/// Runs what takes long, or waits for the disk, where it holds up nobody.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, UpdateError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| UpdateError::Thread(error.to_string()))
}

/// Whether somebody still waits for what a thread does.
pub(crate) struct Waited(Weak<()>);

impl Waited {
    /// # Errors
    /// When the time is up, and it was said that nothing changes.
    pub(crate) fn require(&self) -> Result<(), UpdateError> {
        let late = || UpdateError::Thread("nobody waits for it any more".into());
        self.0.upgrade().map(|_waiting| ()).ok_or_else(late)
    }
}

/// As [`off_thread`], for what must not change anything once its caller has given up: a thread cannot be stopped.
pub(crate) async fn off_thread_waited<T: Send + 'static>(
    work: impl FnOnce(Waited) -> T + Send + 'static,
) -> Result<T, UpdateError> {
    let waiting = Arc::new(());
    let waited = Waited(Arc::downgrade(&waiting));
    let outcome = off_thread(move || work(waited)).await;
    drop(waiting);
    outcome
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn a_thread_knows_that_nobody_waits_any_more() {
        let (say, heard) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let work = off_thread_waited(move |waited| {
            _ = heard.recv();
            tell.send(waited.require().is_ok()).unwrap();
        });
        tokio::time::timeout(Duration::from_millis(20), work).await.unwrap_err();
        say.send(()).unwrap();
        assert!(!told.recv().unwrap());
        assert!(off_thread_waited(|waited| waited.require()).await.unwrap().is_ok());
    }

    #[test]
    fn names_are_escaped_in_addresses() {
        let base: Url = "https://mirror.example/osv/".parse().unwrap();
        let url = below(&base, &["Rocky Linux", "RLSA-2022:1.json"]).unwrap();
        assert_eq!(url.as_str(), "https://mirror.example/osv/Rocky%20Linux/RLSA-2022:1.json");
        let bucket: Url = "https://storage.example".parse().unwrap();
        assert_eq!(below(&bucket, &["ecosystems.txt"]).unwrap().as_str(), "https://storage.example/ecosystems.txt");
        assert!(below(&"data:x".parse().unwrap(), &["x"]).is_err());
    }

    #[test]
    fn a_state_is_what_was_saved_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let heading = r#"{"from":"https://a/","list":{"etag":"\"x\""}}"#;
        fs::write(&path, format!("{heading}\n5 A\n-62167219200 B")).unwrap();
        let local = read_state(&path).unwrap();
        assert_eq!((local.index.len(), local.heading.list.etag.as_deref()), (2, Some("\"x\"")));
        for damaged in [format!("{heading}\n5 A\n-6216"), format!("{heading}\nx A"), String::new(), "{}".into()] {
            fs::write(&path, &damaged).unwrap();
            assert!(read_state(&path).is_none(), "{damaged}");
        }
    }
}
