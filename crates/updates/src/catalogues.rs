//! What stands beside the advisories: CISA's catalogue of what is exploited, and FIRST's scores.
//!
//! <https://www.cisa.gov/known-exploited-vulnerabilities-catalog>, <https://www.first.org/epss/data_stats>

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use reqwest::Url;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    UpdateError,
    ecosystem::off_thread,
    fetch::{Download, Downloaded, FetchError, Fetcher, Validator, shown},
    files::{beside, read_bounded, write_atomically},
};

/// Largest file taken, in bytes. CISA's has 2 MB, FIRST's 3.
const MAX_FILE: u64 = 64 << 20;
/// Largest unpacked file of scores, in bytes; today's has 15 MB.
const MAX_UNPACKED: u64 = 512 << 20;
/// Largest state, in bytes.
const MAX_STATE: u64 = 64 << 10;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Catalogue {
    Exploited,
    Predicted,
}

impl Catalogue {
    /// Its place in the cache; the builder knows what it is by its name.
    pub(crate) fn path(self, cache: &Path) -> PathBuf {
        cache.join(match self {
            Self::Exploited => "kev/known_exploited_vulnerabilities.json",
            Self::Predicted => "epss/epss_scores-current.csv.gz",
        })
    }

    /// Brings it up to date. An outage at its server leaves the copy that is at hand, and a warning.
    pub(crate) async fn sync(
        self,
        fetcher: &Fetcher,
        url: &Url,
        cache: &Path,
    ) -> Result<(bool, Option<String>), UpdateError> {
        let path = self.path(cache);
        let is_there = path.is_file();
        match self.fetch(fetcher, url, &path).await {
            Ok(has_changed) => Ok((has_changed, None)),
            Err(error @ (UpdateError::Fetch(FetchError::Write { .. }) | UpdateError::File { .. })) => Err(error),
            Err(error) if is_there => {
                let text = portcullis_errors::chain(&error);
                Ok((false, Some(format!("{text}; the copy that was fetched before is used"))))
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch(self, fetcher: &Fetcher, url: &Url, path: &Path) -> Result<bool, UpdateError> {
        #[derive(serde::Serialize, Deserialize)]
        struct State {
            from: String,
            validator: Validator,
        }
        let state = beside(path, ".state");
        let known: Option<State> =
            read_bounded(&state, MAX_STATE).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let known = known.filter(|known| known.from == shown(url) && path.is_file()).map(|known| known.validator);
        let download = Download { url, known: known.as_ref(), to: path, limit: MAX_FILE };
        let Downloaded::File { part, validator } = fetcher.download(&download).await? else { return Ok(false) };
        let checked = part.clone();
        let outcome = off_thread(move || self.check(&checked)).await?;
        if let Err(error) = outcome {
            download.forget();
            return Err(UpdateError::Export { url: shown(url), reason: error.to_string() });
        }
        // A crash in between must not leave a state that speaks of another file.
        _ = fs::remove_file(&state);
        fs::rename(&part, path).map_err(UpdateError::writing(path))?;
        download.forget();
        let text = serde_json::to_vec(&State { from: shown(url), validator }).map_err(io::Error::from);
        text.and_then(|text| write_atomically(&state, &text)).map_err(UpdateError::writing(&state))?;
        Ok(true)
    }

    fn check(self, path: &Path) -> io::Result<()> {
        #[derive(Deserialize)]
        struct Exploited {
            vulnerabilities: Vec<IgnoredAny>,
        }
        let is_empty = match self {
            Self::Exploited => {
                let Exploited { vulnerabilities } = serde_json::from_slice(&read_bounded(path, MAX_FILE)?)?;
                vulnerabilities.is_empty()
            }
            Self::Predicted => {
                let mut unpacked = MultiGzDecoder::new(BufReader::new(File::open(path)?)).take(MAX_UNPACKED);
                let mut first = [0; 4];
                unpacked.read_exact(&mut first)?;
                io::copy(&mut unpacked, &mut io::sink())?;
                // A line of metadata, or the header where there is none.
                !(first.starts_with(b"#") || first == *b"cve,")
            }
        };
        if is_empty { Err(io::Error::other("it is something else than was asked for")) } else { Ok(()) }
    }
}
