//! Large files: downloaded beside their place, taken up where they broke off, even by a later run.
//!
//! `FILE.part` holds what has arrived, `FILE.part-of` which version of the file it belongs to. The rest is asked for
//! with `Range` and `If-Range` (<https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5>): a server with another
//! version sends all of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use reqwest::{Response, StatusCode, Url, header};
use serde::{Deserialize, Serialize};

use super::{FetchError, Fetcher, Validator, shown};
use crate::files::beside;

/// A download that got on by so much starts to count its repetitions again.
const PROGRESS: u64 = 64 << 10;

/// A file to download.
pub(crate) struct Download<'a> {
    pub(crate) url: &'a Url,
    /// What is at hand, if it is to be kept where nothing has changed.
    pub(crate) known: Option<&'a Validator>,
    /// Where the file is to lie in the end.
    pub(crate) to: &'a Path,
    /// The most bytes taken.
    pub(crate) limit: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Downloaded {
    Unchanged,
    /// All of it, in a file beside its place, to be looked at before it is put there.
    File {
        part: PathBuf,
        validator: Validator,
    },
}

/// What is kept of a download that is not done.
#[derive(Debug, Serialize, Deserialize)]
struct PartOf {
    url: String,
    etag: String,
}

impl Download<'_> {
    fn part(&self) -> PathBuf {
        beside(self.to, ".part")
    }

    fn part_of(&self) -> PathBuf {
        beside(self.to, ".part-of")
    }

    /// How much is there of which version.
    fn begun(&self) -> Option<(u64, String)> {
        let PartOf { url, etag } = serde_json::from_slice(&fs::read(self.part_of()).ok()?).ok()?;
        let length = fs::metadata(self.part()).ok()?.len();
        (url == shown(self.url) && length > 0).then_some((length, etag))
    }

    /// Throws away what has arrived.
    pub(crate) fn forget(&self) {
        // What is not there needs no removal; what cannot be removed is overwritten.
        _ = fs::remove_file(self.part_of());
        _ = fs::remove_file(self.part());
    }

    fn unwritable(&self) -> impl Fn(io::Error) -> FetchError {
        let path = self.part();
        move |source| FetchError::Write { path: path.clone(), source }
    }
}

impl Fetcher {
    /// Downloads a file, from where an earlier attempt ended.
    pub(crate) async fn download(&self, download: &Download<'_>) -> Result<Downloaded, FetchError> {
        let _place = self.place().await?;
        let mut repetitions = 0;
        loop {
            let before = download.begun().map_or(0, |(length, _)| length);
            let error = match self.download_once(download).await {
                Ok(done) => return Ok(done),
                Err(error @ FetchError::Write { .. }) => {
                    // On a full disk the half of a file is in everyone's way.
                    download.forget();
                    return Err(error);
                }
                Err(error) => error,
            };
            if download.begun().is_some_and(|(length, _)| length >= before + PROGRESS) {
                repetitions = 0;
            }
            self.pause(error, repetitions).await?;
            repetitions += 1;
        }
    }

    async fn download_once(&self, download: &Download<'_>) -> Result<Downloaded, FetchError> {
        let Download { url, known, to: _, limit } = *download;
        let mut request = self.request(url)?;
        if let Some(known) = known {
            request = known.condition(request);
        }
        let begun = download.begun();
        if let Some((length, etag)) = &begun {
            request = request.header(header::RANGE, format!("bytes={length}-")).header(header::IF_RANGE, etag);
        }
        let response = self.send(url, request).await?;
        let offset = match (response.status(), begun) {
            (StatusCode::NOT_MODIFIED, _) => return Ok(Downloaded::Unchanged),
            (StatusCode::PARTIAL_CONTENT, Some((length, etag))) => {
                require_rest(url, &response, length, &etag).inspect_err(|_error| download.forget())?;
                length
            }
            (StatusCode::OK, _) => 0,
            (status, _) => {
                download.forget();
                let source = format!("the rest of the file is refused ({status})").into();
                return Err(FetchError::Interrupted { url: shown(url), source });
            }
        };
        if response.content_length().is_some_and(|length| length.saturating_add(offset) > limit) {
            return Err(FetchError::TooLarge { url: shown(url), limit });
        }
        let validator = Validator::of(&response);
        self.receive(download, response, offset, &validator).await?;
        Ok(Downloaded::File { part: download.part(), validator })
    }

    /// Writes what arrives behind the first `offset` bytes, and makes sure that it is on the disk.
    async fn receive(
        &self,
        download: &Download<'_>,
        mut response: Response,
        offset: u64,
        validator: &Validator,
    ) -> Result<(), FetchError> {
        let unwritable = download.unwritable();
        let mut file = open(download, offset, validator).map_err(&unwritable)?;
        let mut length = offset;
        while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::interrupted(download.url, error))? {
            length += chunk.len() as u64;
            if length > download.limit {
                download.forget();
                return Err(FetchError::TooLarge { url: shown(download.url), limit: download.limit });
            }
            file.write_all(&chunk).map_err(&unwritable)?;
        }
        file.sync_all().map_err(&unwritable)
    }
}

/// The file that takes what arrives; a new one is told apart from an older version's first.
fn open(download: &Download<'_>, offset: u64, validator: &Validator) -> io::Result<File> {
    if offset > 0 {
        return OpenOptions::new().append(true).open(download.part());
    }
    download.forget();
    if let Some(folder) = download.to.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(download.part())?;
    if let Some(etag) = validator.strong() {
        let part_of = PartOf { url: shown(download.url), etag: etag.to_owned() };
        fs::write(download.part_of(), serde_json::to_vec(&part_of).map_err(io::Error::other)?)?;
    }
    Ok(file)
}

/// Whether an answer is the rest of the version that was begun.
fn require_rest(url: &Url, response: &Response, offset: u64, etag: &str) -> Result<(), FetchError> {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let starts = range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")));
    let is_same = Validator::of(response).etag.is_none_or(|found| found == etag);
    if starts && is_same {
        return Ok(());
    }
    let source = "the server sends another part of the file than was asked for".into();
    Err(FetchError::Interrupted { url: shown(url), source })
}
