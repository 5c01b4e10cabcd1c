//! The files of a cache: read if they are ours, written whole or not at all, removed by age.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::OFlags;

/// What was begun this long ago is not being written any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What files that are being written are called.
const UNFINISHED: &str = ".tmp";

/// A link, or a FIFO, in the place of an entry is not opened.
const NO_FOLLOW: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// Bits of a mode that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// An entry.
#[derive(Debug)]
pub(super) struct CacheFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    used: SystemTime,
}

/// An entry's bytes and the moment of its last use; none if there is none.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Option<(Vec<u8>, SystemTime)>> {
    let file = match File::options().read(true).custom_flags(NO_FOLLOW.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > limit || !is_ours(&metadata) {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some((bytes, metadata.modified()?)))
}

/// Whether nobody else can have written it. What the administrator wrote is believed as well.
fn is_ours(metadata: &fs::Metadata) -> bool {
    let owner = metadata.uid();
    (owner == rustix::process::geteuid().as_raw() || owner == 0) && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// Writes an entry beside its place, and moves it there.
pub(super) fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(folder);
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    for directory in [folder, parent] {
        if !is_ours(&fs::metadata(directory)?) {
            let why = format!("{} belongs to another user, or others may write to it", directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    // Made with mode 0600, and removed again unless it was moved.
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Tells that an entry was used. Where that cannot be told, it is removed earlier.
pub(super) fn touch(path: &Path, now: SystemTime) {
    if let Ok(file) = File::open(path) {
        _ = file.set_modified(now);
    }
}

/// Every entry.
pub(super) fn list(folder: &Path) -> Vec<CacheFile> {
    files(folder).filter(|file| !is_unfinished(&file.path)).collect()
}

fn files(folder: &Path) -> impl Iterator<Item = CacheFile> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries(folder).map(|entry| entry.path()).filter(|path| is_shard(path));
    folders.flat_map(move |shard| entries(&shard)).filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let used = metadata.modified().ok()?;
        let file = CacheFile { path: entry.path(), bytes: metadata.len(), used };
        (is_unfinished(&file.path) || is_entry_name(&file.path)).then_some(file)
    })
}

/// Two hexadecimal digits: nothing else in the folder is ours to look into.
fn is_shard(path: &Path) -> bool {
    is_hexadecimal(path, 2) && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn is_entry_name(path: &Path) -> bool {
    is_hexadecimal(path, 64)
}

fn is_hexadecimal(path: &Path, length: usize) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.len() == length && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED))
}

/// Removes what was not used for longest, until at most `limit` bytes are left; and what was never finished.
pub(super) fn trim(folder: &Path, limit: u64) {
    let (unfinished, mut entries): (Vec<_>, Vec<_>) = files(folder).partition(|file| is_unfinished(&file.path));
    for file in unfinished.iter().filter(|file| file.used.elapsed().is_ok_and(|age| age > ABANDONED)) {
        _ = fs::remove_file(&file.path);
    }
    let mut total: u64 = entries.iter().map(|file| file.bytes).sum();
    if total <= limit {
        return;
    }
    entries.sort_by_key(|file| file.used);
    for file in entries {
        if total <= limit {
            return;
        }
        // Gone already: another process does the same.
        _ = fs::remove_file(&file.path);
        total = total.saturating_sub(file.bytes);
    }
}

/// Removes every entry.
pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    for file in files(folder) {
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
