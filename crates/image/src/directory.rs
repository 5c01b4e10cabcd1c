//! A directory on this host, walked as if it were one layer: an unpacked file system, or a layer of overlayfs.
//!
//! Links are never followed: what they lead to is either in the tree, and met there, or not part of it.
//!
//! overlayfs: <https://docs.kernel.org/filesystems/overlayfs.html>, "whiteouts and opaque directories".

mod ahead;
mod mounts;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Instant,
};

use portcullis_filetree::{Contents, ContentsError, FileHeader, LayerVisitor, OtherEntry, clean_path};
use portcullis_model::Warning;

use self::ahead::{Ahead, Fetching, Look, Looked, open_file};
use crate::{ImageError, layer::Limits};

/// Deepest directory entered.
const MAX_DEPTH: usize = 256;

/// Most files with several names remembered. Beyond them a second name is read as a file of its own.
const MAX_LINKS: usize = 500_000;

/// In steps of so many bytes the disk is asked for what comes next of a large file.
const FETCH_STEP: u64 = 2 << 20;

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An unpacked file system.
    RootFs,
    /// Any folder.
    Sources,
    /// One layer of overlayfs, with its whiteouts.
    Overlay,
}

/// Shows every entry below `root` to `visitor`, in the order of names.
pub(crate) fn visit(root: &Path, form: Form, limits: Limits, visitor: &mut dyn LayerVisitor) -> Result<(), ImageError> {
    // The root itself must be there; below it, what cannot be read is a gap.
    let unreadable = |cause| ImageError::File { path: root.to_owned(), cause };
    let device = std::fs::metadata(root).map_err(unreadable)?.dev();
    std::fs::read_dir(root).map_err(unreadable)?;
    std::thread::scope(|scope| {
        let ahead = Ahead::new(scope, root);
        let walk = Walk {
            root,
            form,
            device,
            limits,
            entries: 0,
            buffer: vec![0; 128 * 1024],
            path: String::new(),
            links: HashMap::new(),
        };
        walk.run(ahead, Fetching::new(scope), visitor);
    });
    Ok(())
}

/// Why the walk ended early.
struct Stop(&'static str);

struct Walk<'a> {
    root: &'a Path,
    form: Form,
    /// The file system that the root is on.
    device: u64,
    limits: Limits,
    entries: u64,
    buffer: Vec<u8>,
    path: String,
    /// In a layer of overlayfs: the first name of each file that has several.
    links: HashMap<u64, String>,
}

impl Walk<'_> {
    fn run(mut self, mut ahead: Ahead<'_>, mut fetching: Fetching, visitor: &mut dyn LayerVisitor) {
        ahead.push(vec![(PathBuf::new(), 0)]);
        while let Some((relative, depth, listed)) = ahead.next() {
            let mut entries = match listed {
                Ok(entries) => entries,
                Err(error) => {
                    visitor.warning(Warning::gap(relative.to_string_lossy(), format!("cannot be listed: {error}")));
                    continue;
                }
            };
            let mut directories = Vec::new();
            let directory = self.root.join(&relative);
            fetching.begin();
            for at in 0..entries.len() {
                fetching.advance(&directory, &entries, at);
                let Some((name, look)) = entries.get_mut(at) else { break };
                let (relative, look) = (relative.join(name), look.take());
                match self.entry(&relative, look, visitor) {
                    Ok(true) if depth < MAX_DEPTH => directories.push((relative, depth + 1)),
                    Ok(true) => visitor.warning(Warning::gap(relative.to_string_lossy(), "nested too deep")),
                    Ok(false) => {}
                    Err(Stop(why)) => {
                        let what = format!("the rest was not read: {why}");
                        visitor.warning(Warning::gap(relative.to_string_lossy(), what));
                        return;
                    }
                }
            }
            ahead.push(directories);
        }
    }

    /// Shows one entry; true if it is a directory to enter.
    fn entry(&mut self, relative: &Path, look: Option<Look>, visitor: &mut dyn LayerVisitor) -> Result<bool, Stop> {
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
        let Looked { metadata, head } = match look.unwrap_or_else(|| ahead::look(&host_path)) {
            Ok(looked) => looked,
            Err(error) => {
                visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}")));
                return Ok(false);
            }
        };
        if self.form == Form::Overlay && self.whiteout(&host_path, &metadata, visitor) {
            return Ok(false);
        }
        if metadata.is_dir() {
            visitor.other(&self.path, OtherEntry::Directory);
            return Ok(self.is_entered(&host_path, &metadata, visitor));
        }
        if metadata.is_symlink() {
            let target = std::fs::read_link(&host_path).unwrap_or_default();
            visitor.other(&self.path, OtherEntry::Symlink(&target.to_string_lossy()));
        } else if !metadata.is_file() {
            visitor.other(&self.path, OtherEntry::Special);
        } else if let Some(first) = self.first_name(&metadata) {
            visitor.other(&self.path, OtherEntry::HardLink(&first));
        } else {
            match head {
                Some(Ok(head)) => self.file(&host_path, &metadata, &head, visitor),
                Some(Err(error)) => {
                    visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}")));
                }
                None => {}
            }
        }
        Ok(false)
    }

    /// Shows what overlayfs says of lower layers; true if that is all that there is.
    fn whiteout(&self, host_path: &Path, metadata: &Metadata, visitor: &mut dyn LayerVisitor) -> bool {
        let name = host_path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        if let Some(removed) = name.strip_prefix(b".wh.") {
            // fuse-overlayfs, where it may not make devices: the names of layers' tars.
            let (parent, _) = self.path.rsplit_once('/').unwrap_or(("", ""));
            match removed {
                b".wh..opq" => visitor.other(parent, OtherEntry::Opaque),
                b"" => {}
                removed if removed.starts_with(b".wh.") => {}
                _ => visitor.other(&self.path.replacen(".wh.", "", 1), OtherEntry::Removed),
            }
            return true;
        }
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            visitor.other(&self.path, OtherEntry::Removed);
            return true;
        }
        if metadata.is_dir() && mounts::is_opaque(host_path) {
            visitor.other(&self.path, OtherEntry::Opaque);
        }
        if let Some(what) = mounts::redirection(host_path, metadata) {
            visitor.warning(Warning::gap(&*self.path, format!("its content lies in another layer ({what})")));
        }
        false
    }

    /// Whether a directory is part of the tree.
    fn is_entered(&self, host_path: &Path, metadata: &Metadata, visitor: &mut dyn LayerVisitor) -> bool {
        if metadata.dev() == self.device || self.form == Form::Overlay {
            // There the running system shows itself; only of an unpacked file system is that known by the name.
            return self.form != Form::RootFs || !matches!(self.path.as_str(), "proc" | "sys" | "dev");
        }
        visitor.warning(mounts::left_out(&self.path, host_path));
        false
    }

    /// The first name of a file that was met under another name. In a layer's tar it is a link, too.
    fn first_name(&mut self, metadata: &Metadata) -> Option<String> {
        if self.form != Form::Overlay || metadata.nlink() < 2 {
            return None;
        }
        let known = self.links.get(&metadata.ino()).cloned();
        if known.is_none() && self.links.len() < MAX_LINKS {
            self.links.insert(metadata.ino(), self.path.clone());
        }
        known
    }

    fn file(&mut self, host_path: &Path, metadata: &Metadata, head: &[u8], visitor: &mut dyn LayerVisitor) {
        let mode = metadata.permissions().mode();
        let header = FileHeader { path: &self.path, size: metadata.len(), mode, head };
        let mut contents =
            FileContents { host_path, skip: head.len(), file: None, read: 0, buffer: &mut self.buffer, failure: None };
        let outcome = visitor.file(&header, &mut contents);
        if let (Err(ContentsError), Some(error)) = (outcome, contents.failure) {
            visitor.warning(Warning::gap(&*self.path, format!("cannot be read: {error}")));
        }
    }
}

/// A file that is opened when somebody wants more than its first bytes.
struct FileContents<'a> {
    host_path: &'a Path,
    /// How much was shown already: a file that became shorter since is no file to go on with.
    skip: usize,
    file: Option<File>,
    /// Bytes read.
    read: u64,
    buffer: &'a mut [u8],
    failure: Option<io::Error>,
}

impl FileContents<'_> {
    fn read(&mut self) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = open_file(self.host_path)?;
                if file.metadata()?.len() < self.skip as u64 {
                    return Err(io::Error::other("it changed while it was read"));
                }
                self.file.insert(file)
            }
        };
        let length = file.read(self.buffer)?;
        // What comes two steps later is on its way while this one is looked at.
        let (before, after) = (self.read / FETCH_STEP, (self.read + length as u64) / FETCH_STEP);
        if after > before {
            ahead::fetch(file, (after + 1) * FETCH_STEP, (after - before) * FETCH_STEP);
        }
        self.read += length as u64;
        Ok(length)
    }
}

impl Contents for FileContents<'_> {
    fn next_piece(&mut self) -> Result<&[u8], ContentsError> {
        match self.read() {
            Ok(length) => Ok(self.buffer.get(..length).unwrap_or_default()),
            Err(error) => {
                self.failure = Some(error);
                Err(ContentsError)
            }
        }
    }
}
