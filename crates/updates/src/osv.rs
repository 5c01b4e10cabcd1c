//! OSV's public export, and the two catalogues, brought into the cache.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use portcullis_model::Digest;
use reqwest::Url;

use crate::{
    Event, UpdateError,
    catalogues::Catalogue,
    ecosystem::{Ecosystem, below},
    export,
    fetch::{Answer, FetchError, Fetcher, shown},
    listing,
};

/// OSV's public export.
pub const DEFAULT_EXPORT: &str = "https://storage.googleapis.com/osv-vulnerabilities";
/// CISA's catalogue of known exploited vulnerabilities.
pub const DEFAULT_KEV: &str = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json";
/// FIRST's scores.
pub const DEFAULT_EPSS: &str = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz";

/// Largest list of ecosystems taken, in bytes.
const MAX_LIST: u64 = 1 << 20;
/// Most ecosystems taken.
const MAX_ECOSYSTEMS: usize = 500;
/// Ecosystems brought up to date at a time. Each may hold a list of records in memory.
const AT_ONCE: usize = 3;

/// Where advisories come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// OSV's export, or a copy of it.
    pub export: String,
    /// The ecosystems; all where none is named.
    pub ecosystems: Vec<String>,
    /// CISA's catalogue.
    pub kev: Option<String>,
    /// FIRST's scores.
    pub epss: Option<String>,
    /// Takes what is older, or has much less, than the database in use.
    pub allow_rollback: bool,
}

/// What the cache holds of the sources.
pub(crate) struct Gathered {
    pub(crate) ecosystems: Vec<PathBuf>,
    pub(crate) catalogues: Vec<PathBuf>,
}

impl Gathered {
    /// What tells this from any other state of the cache: names, lengths and times of its files.
    pub(crate) fn fingerprint(&self) -> Digest {
        let mut text = concat!("portcullis ", env!("CARGO_PKG_VERSION")).to_owned();
        let archives = self.ecosystems.iter().map(|folder| folder.join("all.zip"));
        for path in archives.chain(self.catalogues.iter().cloned()) {
            let metadata = std::fs::metadata(&path).ok();
            let stamp = metadata.and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?)));
            text.push_str(&format!("\n{} {stamp:?}", path.display()));
        }
        Digest::of(text.as_bytes())
    }
}

/// Brings everything that is wanted into the cache.
pub(crate) async fn gather(
    fetcher: &Fetcher,
    sources: &Sources,
    cache: &Path,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Gathered, UpdateError> {
    let Sources { export, ecosystems, kev, epss, allow_rollback: _ } = sources;
    let base = address(export)?;
    let names = wanted(fetcher, &base, ecosystems).await?;
    let folder = |name: &str| cache.join("osv").join(name);
    let sync = |name: String| {
        let (base, folder) = (&base, folder(&name));
        async move { Ecosystem { name: &name, base, folder, fetcher }.sync().await }
    };
    let mut syncing = stream::iter(names.clone()).map(sync).buffer_unordered(AT_ONCE);
    while let Some(synced) = syncing.try_next().await? {
        tell(Event::Synced(synced));
    }
    let mut catalogues = Vec::new();
    for (catalogue, place) in [(Catalogue::Exploited, kev), (Catalogue::Predicted, epss)] {
        let Some(place) = place else { continue };
        let place = address(place)?;
        let (has_changed, warning) = catalogue.sync(fetcher, &place, cache).await?;
        if let Some(warning) = warning {
            tell(Event::Warning(warning));
        }
        tell(Event::Catalogue { from: shown(&place), has_changed });
        catalogues.push(catalogue.path(cache));
    }
    Ok(Gathered { ecosystems: names.iter().map(|name| folder(name)).collect(), catalogues })
}

/// What the cache holds already.
pub(crate) fn gathered_before(
    sources: &Sources,
    cache: &Path,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Gathered, UpdateError> {
    let Sources { export: _, ecosystems, kev, epss, allow_rollback: _ } = sources;
    let root = cache.join("osv");
    let mut found: Vec<PathBuf> = if ecosystems.is_empty() {
        let folders = std::fs::read_dir(&root).into_iter().flatten().flatten();
        folders.map(|entry| entry.path()).filter(|folder| folder.join("all.zip").is_file()).collect()
    } else {
        ecosystems.iter().map(|name| root.join(name)).collect()
    };
    found.sort();
    if found.is_empty() || found.iter().any(|folder| !folder.join("all.zip").is_file()) {
        return Err(UpdateError::NothingCached { path: cache.to_owned() });
    }
    for folder in &found {
        let path = folder.join("all.zip");
        export::check(&path).map_err(|reason| UpdateError::Export { url: path.display().to_string(), reason })?;
    }
    let catalogues = [(Catalogue::Exploited, kev), (Catalogue::Predicted, epss)];
    let wanted =
        catalogues.into_iter().filter(|(_, place)| place.is_some()).map(|(catalogue, _)| catalogue.path(cache));
    let (catalogues, missing): (Vec<_>, Vec<_>) = wanted.partition(|path| path.is_file());
    for path in missing {
        tell(Event::Warning(format!("{} was never fetched; the database lacks it", path.display())));
    }
    Ok(Gathered { ecosystems: found, catalogues })
}

pub(crate) fn address(text: &str) -> Result<Url, UpdateError> {
    let refused = |text: String| UpdateError::Address { text };
    let url: Url = text.parse().map_err(|_error| refused(portcullis_errors::printable(text, 200)))?;
    if matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(refused(shown(&url))) }
}

/// The ecosystems to bring up to date.
async fn wanted(fetcher: &Fetcher, base: &Url, asked: &[String]) -> Result<Vec<String>, UpdateError> {
    let list = below(base, &["ecosystems.txt"])?;
    let known = match fetcher.get(&list, None, MAX_LIST).await {
        Ok(Answer::Body(text, _)) => listing::ecosystems(&String::from_utf8_lossy(&text)),
        Ok(Answer::Unchanged) => Vec::new(),
        // A copy of some ecosystems may have no list.
        Err(FetchError::NotFound { .. }) if !asked.is_empty() => asked.to_vec(),
        Err(error) => return Err(error.into()),
    };
    if known.is_empty() || known.len() > MAX_ECOSYSTEMS {
        let reason = format!("it lists {} ecosystems", known.len());
        return Err(UpdateError::Export { url: shown(&list), reason });
    }
    if asked.is_empty() {
        return Ok(known);
    }
    let mut names = Vec::new();
    for name in asked {
        let found = known.iter().find(|known| known.eq_ignore_ascii_case(name));
        match found {
            Some(found) => names.push(found.clone()),
            None => return Err(UpdateError::Ecosystem { name: name.clone(), known }),
        }
    }
    if let Some(name) = names.iter().find(|name| !listing::is_ecosystem(name)) {
        return Err(UpdateError::Ecosystem { name: name.clone(), known });
    }
    names.sort();
    names.dedup();
    Ok(names)
}
