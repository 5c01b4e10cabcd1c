//! An unpacked file system, walked as if it were one layer.
//!
//! Links are never followed: what they lead to is either in the tree, and met there, or not part of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

use portcullis_filetree::{Contents, ContentsError, FileHeader, HEAD_BYTES, LayerVisitor, OtherEntry, clean_path};
use portcullis_model::Warning;

use crate::{ImageError, layer::Limits};

/// A name that became a link, or a FIFO, since it was listed is not opened.
const NO_FOLLOW: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// Deepest directory entered.
const MAX_DEPTH: usize = 256;

/// Shows every entry below `root` to `visitor`, in the order of names.
pub(crate) fn visit(root: &Path, limits: Limits, visitor: &mut dyn LayerVisitor) -> Result<(), ImageError> {
    let mut walk = Walk { root, limits, entries: 0, buffer: vec![0; 128 * 1024], path: String::new() };
    let mut pending = vec![(PathBuf::new(), 0)];
    // The root itself must be there; below it, what cannot be read is a gap.
    list(root).map_err(|cause| ImageError::File { path: root.to_owned(), cause })?;
    while let Some((relative, depth)) = pending.pop() {
        let entries = match list(&root.join(&relative)) {
            Ok(entries) => entries,
            Err(error) => {
                visitor.warning(Warning::gap(relative.to_string_lossy(), format!("cannot be listed: {error}")));
                continue;
            }
        };
        let mut directories = Vec::new();
        for name in entries {
            let relative = relative.join(name);
            match walk.entry(&relative, visitor) {
                Ok(true) if depth < MAX_DEPTH => directories.push((relative, depth + 1)),
                Ok(true) => visitor.warning(Warning::gap(relative.to_string_lossy(), "nested too deep")),
                Ok(false) => {}
                Err(Stop(why)) => {
                    visitor.warning(Warning::gap(relative.to_string_lossy(), format!("the rest was not read: {why}")));
                    return Ok(());
                }
            }
        }
        pending.extend(directories.into_iter().rev());
    }
    Ok(())
}

/// The names in a directory, sorted: the order of a file system is chance.
fn list(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Why the walk ended early.
struct Stop(&'static str);

struct Walk<'a> {
    root: &'a Path,
    limits: Limits,
    entries: u64,
    buffer: Vec<u8>,
    path: String,
}

impl Walk<'_> {
    /// Shows one entry; true if it is a directory to enter.
    fn entry(&mut self, relative: &Path, visitor: &mut dyn LayerVisitor) -> Result<bool, Stop> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Stop("too many entries"));
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Stop("the time for this scan is over"));
        }
        if let Err(why) = clean_path(relative.as_os_str().as_bytes(), &mut self.path) {
            visitor.warning(Warning::gap(relative.to_string_lossy(), why.to_string()));
            return Ok(false);
        }
        let host_path = self.root.join(relative);
        let metadata = match fs::symlink_metadata(&host_path) {
            Ok(metadata) => metadata,
            Err(error) => {
                visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}")));
                return Ok(false);
            }
        };
        if metadata.is_dir() {
            visitor.other(&self.path, OtherEntry::Directory);
            // Another file system below this one's `proc` and `sys` is the running system, not the image.
            return Ok(!matches!(self.path.as_str(), "proc" | "sys" | "dev"));
        }
        if metadata.is_symlink() {
            let target = fs::read_link(&host_path).unwrap_or_default();
            visitor.other(&self.path, OtherEntry::Symlink(&target.to_string_lossy()));
        } else if metadata.is_file() {
            self.file(&host_path, &metadata, visitor);
        } else {
            visitor.other(&self.path, OtherEntry::Special);
        }
        Ok(false)
    }

    fn file(&mut self, host_path: &Path, metadata: &fs::Metadata, visitor: &mut dyn LayerVisitor) {
        let opened = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(host_path);
        let read_head = |mut file: File| {
            let mut head = [0; HEAD_BYTES];
            let length = file.read(&mut head)?;
            Ok::<_, io::Error>((file, head, length))
        };
        match opened.and_then(read_head) {
            Ok((file, head, length)) => {
                let mode = metadata.permissions().mode();
                let header = FileHeader { path: &self.path, size: metadata.len(), mode, head: &head[..length] };
                let mut contents =
                    FileContents { file, head: Some((head, length)), buffer: &mut self.buffer, failure: None };
                let outcome = visitor.file(&header, &mut contents);
                if let (Err(ContentsError), Some(error)) = (outcome, contents.failure) {
                    visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}")));
                }
            }
            Err(error) => visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}"))),
        }
    }
}

struct FileContents<'a> {
    file: File,
    /// The bytes that were read to be shown first.
    head: Option<([u8; HEAD_BYTES], usize)>,
    buffer: &'a mut [u8],
    failure: Option<io::Error>,
}

impl Contents for FileContents<'_> {
    fn next_piece(&mut self) -> Result<&[u8], ContentsError> {
        if let Some((head, length)) = self.head.take() {
            self.buffer[..length].copy_from_slice(&head[..length]);
            return Ok(&self.buffer[..length]);
        }
        match self.file.read(self.buffer) {
            Ok(length) => Ok(&self.buffer[..length]),
            Err(error) => {
                self.failure = Some(error);
                Err(ContentsError)
            }
        }
    }
}
