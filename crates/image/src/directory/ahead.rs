//! Directories are looked into before their turn comes: the first bytes of a hundred thousand files are a hundred
//! thousand waits for a disk that could answer several at once.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::Scope,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use portcullis_filetree::HEAD_BYTES;
use rustix::fs::{Advice, OFlags};

/// Directories looked into at a time. They wait more than they work.
const WORKERS: usize = 8;

/// Directories that may wait for their turn.
const WAITING: usize = 64;

/// Of larger directories the names alone are taken: each of their entries is looked at when its turn comes.
const LARGE: usize = 4096;

/// Bytes of files that the disk is asked for before their turn comes, and the most of one file.
pub(super) const FETCHED: u64 = 64 << 20;
pub(super) const FETCHED_OF_ONE: u64 = 8 << 20;

/// Files that may wait until the disk is asked for them.
const REQUESTED: usize = 256;

/// A name that became a link, or a FIFO, since it was listed is not opened.
const NO_FOLLOW: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// What an entry is.
pub(super) type Look = io::Result<Looked>;

/// An entry, and the first bytes of a file.
pub(super) struct Looked {
    pub(super) metadata: Metadata,
    pub(super) head: Option<io::Result<Vec<u8>>>,
}

/// The names in a directory, sorted, each with what was seen there if it was looked at.
pub(super) type Listing = io::Result<Vec<(OsString, Option<Look>)>>;

/// A directory to be read, and where its listing goes.
type Request = (PathBuf, Sender<Listing>);

/// Directories in the order in which they are walked, and those who look into them.
pub(super) struct Ahead<'a> {
    root: &'a Path,
    requests: Sender<Request>,
    /// The last is the next.
    pending: Vec<Pending>,
    waiting: usize,
}

struct Pending {
    relative: PathBuf,
    depth: usize,
    listing: Option<Receiver<Listing>>,
}

impl<'a> Ahead<'a> {
    /// Starts the workers; they end when this is dropped.
    pub(super) fn new<'scope>(scope: &'scope Scope<'scope, '_>, root: &'a Path) -> Self {
        let (requests, work) = unbounded::<Request>();
        for _ in 0..WORKERS {
            let work = work.clone();
            scope.spawn(move || {
                for (directory, answer) in work {
                    // Nobody waits any more: the walk ended early.
                    _ = answer.send(list(&directory));
                }
            });
        }
        Self { root, requests, pending: Vec::new(), waiting: 0 }
    }

    /// Adds directories that come next, in their order.
    pub(super) fn push(&mut self, directories: Vec<(PathBuf, usize)>) {
        let added = directories.into_iter().rev();
        self.pending.extend(added.map(|(relative, depth)| Pending { relative, depth, listing: None }));
        for pending in self.pending.iter_mut().rev().take(WAITING) {
            if pending.listing.is_some() {
                continue;
            }
            if self.waiting >= WAITING {
                break;
            }
            let (answer, listing) = bounded(1);
            if self.requests.send((self.root.join(&pending.relative), answer)).is_ok() {
                pending.listing = Some(listing);
                self.waiting += 1;
            }
        }
    }

    /// The next directory, its depth, and what is in it.
    pub(super) fn next(&mut self) -> Option<(PathBuf, usize, Listing)> {
        let Pending { relative, depth, listing } = self.pending.pop()?;
        self.waiting -= usize::from(listing.is_some());
        let answered = listing.and_then(|listing| listing.recv().ok());
        let listing = answered.unwrap_or_else(|| list(&self.root.join(&relative)));
        Some((relative, depth, listing))
    }
}

/// Asks the disk for files of the directory that is walked, before their turn comes: one that is read only when the one
/// before it is done keeps the disk waiting most of the time.
pub(super) struct Fetching {
    requests: Sender<(PathBuf, u64)>,
    /// The entry that is asked for next.
    next: usize,
    /// Bytes asked for of entries whose turn has not come.
    bytes: u64,
}

impl Fetching {
    /// Starts who asks; it ends when this is dropped.
    pub(super) fn new<'scope>(scope: &'scope Scope<'scope, '_>) -> Self {
        let (requests, work) = bounded::<(PathBuf, u64)>(REQUESTED);
        scope.spawn(move || {
            for (path, length) in work {
                // Whoever reads the file says what is wrong with it.
                if let Ok(file) = open_file(&path) {
                    fetch(&file, 0, length);
                }
            }
        });
        Self { requests, next: 0, bytes: 0 }
    }

    /// Bytes that the disk was asked for, of entries whose turn has not come.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Another directory begins.
    pub(super) fn begin(&mut self) {
        (self.next, self.bytes) = (0, 0);
    }

    /// The turn of the entry `at` of `directory` has come.
    pub(super) fn advance(&mut self, directory: &Path, entries: &[(OsString, Option<Look>)], at: usize) {
        if at < self.next {
            let length = entries.get(at).map_or(0, |(_, look)| length_to_fetch(look.as_ref()));
            self.bytes = self.bytes.saturating_sub(length);
        }
        // This one is read now.
        self.next = self.next.max(at + 1);
        while self.bytes < FETCHED
            && let Some((name, look)) = entries.get(self.next)
        {
            let length = length_to_fetch(look.as_ref());
            if length > 0 {
                // With too many waiting, the disk has enough to do.
                _ = self.requests.try_send((directory.join(name), length));
            }
            self.bytes += length;
            self.next += 1;
        }
    }
}

/// How much of an entry will be read, as far as its first bytes tell: programs, libraries and archives are read to their
/// end.
fn length_to_fetch(look: Option<&Look>) -> u64 {
    let Some(Ok(Looked { metadata, head: Some(Ok(head)) })) = look else { return 0 };
    let is_read = matches!(head.as_slice(), [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] | [b'P', b'K', 3, 4, ..]);
    if is_read { metadata.len().min(FETCHED_OF_ONE) } else { 0 }
}

/// Asks the disk for a part of a file. That it does not follow is no error.
pub(super) fn fetch(file: &File, offset: u64, length: u64) {
    _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), Advice::WillNeed);
}

/// The names in a directory, sorted: the order of a file system is chance.
pub(super) fn list(directory: &Path) -> Listing {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
    let mut names = names.collect::<io::Result<Vec<OsString>>>()?;
    names.sort_unstable();
    let is_large = names.len() > LARGE;
    let look = |name: OsString| {
        let look = (!is_large).then(|| look(&directory.join(&name)));
        (name, look)
    };
    Ok(names.into_iter().map(look).collect())
}

/// Looks at one entry.
pub(super) fn look(path: &Path) -> Look {
    let metadata = fs::symlink_metadata(path)?;
    let head = metadata.is_file().then(|| head(path));
    Ok(Looked { metadata, head })
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    // Most files are not read on: the disk need not fetch what follows. That it does so nevertheless is no error.
    _ = rustix::fs::fadvise(&file, 0, None, Advice::Random);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Opens what is a regular file, and nothing else.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it changed while it was read")) }
}
