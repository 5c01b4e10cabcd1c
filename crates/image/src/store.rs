//! Files that hold an image: a directory, or a tar archive of one. Both answer by relative path.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use portcullis_filetree::clean_path;
use rustix::fs::OFlags;

use crate::{
    ImageError,
    tar::{Kind, TarError, TarReader},
};

/// Most members of an archive taken. An image has a few files a layer.
const MAX_MEMBERS: usize = 100_000;

/// The length of a tar header.
const BLOCK: u64 = 512;

/// Most links followed from one member to another.
const MAX_LINKS: usize = 8;

/// Where an image's files lie.
#[derive(Debug)]
pub(crate) enum Store {
    Directory(PathBuf),
    Archive(Archive),
}

/// A tar archive with the places of its members.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    /// What it is called where that is not its path.
    name: Option<String>,
    /// Keeps a file without a name open; `path` leads to it.
    _spooled: Option<File>,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Old Docker archives store a layer once and link to it.
    Link(String),
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        let metadata = std::fs::metadata(path).map_err(|cause| ImageError::File { path: path.to_owned(), cause })?;
        if metadata.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        if !metadata.is_file() {
            // Already opening a pipe may wait for ever, and an archive is read more than once.
            return Err(ImageError::Pipe(path.to_owned()));
        }
        Archive::open(path, None).map(Self::Archive)
    }

    /// An archive in a file without a name, to which `path` leads as long as `file` is open.
    pub(crate) fn spooled(file: File, path: &Path, name: &str) -> Result<Self, ImageError> {
        let archive = Archive::open(path, Some(name))?;
        Ok(Self::Archive(Archive { _spooled: Some(file), ..archive }))
    }

    /// For messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Archive(Archive { name: Some(name), .. }) => name.clone(),
            Self::Directory(path) | Self::Archive(Archive { path, .. }) => path.display().to_string(),
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::Directory(path) => path.join(name).is_file(),
            Self::Archive(archive) => archive.resolve(name).is_some(),
        }
    }

    /// A whole file of at most `limit` bytes.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let (reader, size) = self.stream(name)?;
        let what = || format!("{} in {}", name, self.place());
        if size > limit {
            return Err(ImageError::TooLarge { what: what(), limit });
        }
        let mut bytes = Vec::new();
        reader
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|cause| ImageError::File { path: PathBuf::from(what()), cause })?;
        Ok(bytes)
    }

    /// A file's bytes, and how many there are.
    pub(crate) fn stream(&self, name: &str) -> Result<(Box<dyn Read + Send>, u64), ImageError> {
        let unreadable = |path: &Path, cause| ImageError::File { path: path.to_owned(), cause };
        match self {
            Self::Directory(root) => {
                // A Docker archive's manifest names its files: none may lead out of the folder.
                let mut clean = String::new();
                clean_path(name.as_bytes(), &mut clean)
                    .map_err(|why| ImageError::unsupported(self.place(), format!("it names `{name}`: {why}")))?;
                let path = root.join(clean);
                let missing = || ImageError::missing(self.place(), name);
                // A FIFO would keep whoever opens it waiting.
                let options =
                    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path);
                let file = options.map_err(|cause| match cause.kind() {
                    io::ErrorKind::NotFound => missing(),
                    _ => unreadable(&path, cause),
                })?;
                let metadata = file.metadata().map_err(|cause| unreadable(&path, cause))?;
                if !metadata.is_file() {
                    return Err(ImageError::unsupported(self.place(), format!("{name} is not a file")));
                }
                Ok((Box::new(file), metadata.len()))
            }
            Self::Archive(archive) => {
                let (offset, size) = archive.resolve(name).ok_or_else(|| ImageError::missing(self.place(), name))?;
                let open = || {
                    let mut file = File::open(&archive.path)?;
                    file.seek(SeekFrom::Start(offset))?;
                    Ok(file.take(size))
                };
                Ok((Box::new(open().map_err(|cause| unreadable(&archive.path, cause))?), size))
            }
        }
    }
}

impl Archive {
    /// Finds the members of an archive, without reading their contents. It is called `name` where that is not its path.
    fn open(path: &Path, name: Option<&str>) -> Result<Self, ImageError> {
        let unreadable = |cause| ImageError::File { path: path.to_owned(), cause };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut magic = [0; 4];
        let length = file.read(&mut magic).map_err(unreadable)?;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let place = name.map_or_else(|| path.display().to_string(), ToOwned::to_owned);
        let packed = |how: &str| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ImageError::unsupported(&place, format!("it is packed with {how}; unpack it first: {how} -d {name}"))
        };
        match &magic[..length] {
            [] => return Err(ImageError::unsupported(&place, "it is empty")),
            [0x1f, 0x8b, ..] => return Err(packed("gzip")),
            [0x28, 0xb5, 0x2f, 0xfd] => return Err(packed("zstd")),
            _ => {}
        }
        let mut members = HashMap::new();
        let mut tar = TarReader::new(SkippingFile(file));
        let broken = |error| refused(path, &place, error);
        while tar.advance().map_err(broken)? {
            if members.len() == MAX_MEMBERS {
                return Err(ImageError::unsupported(&place, format!("it has more than {MAX_MEMBERS} members")));
            }
            let entry = tar.entry();
            if entry.unsafe_path.is_some() {
                continue;
            }
            let member = match entry.kind {
                Kind::File => Member::File { offset: entry.offset, size: entry.size },
                Kind::HardLink => Member::Link(entry.link.clone()),
                Kind::Symlink => Member::Link(join(&entry.path, &entry.link)),
                _ => continue,
            };
            members.insert(entry.path.clone(), member);
            tar.seek_past_body().map_err(broken)?;
        }
        Ok(Self { path: path.to_owned(), name: name.map(ToOwned::to_owned), _spooled: None, members })
    }

    fn resolve(&self, name: &str) -> Option<(u64, u64)> {
        let mut member = self.members.get(name)?;
        for _ in 0..MAX_LINKS {
            match member {
                Member::File { offset, size } => return Some((*offset, *size)),
                Member::Link(target) => member = self.members.get(target)?,
            }
        }
        None
    }
}

/// Why the archive at `path`, which is called `place`, cannot be read.
fn refused(path: &Path, place: &str, error: TarError) -> ImageError {
    match error {
        TarError::Truncated { offset: 0..BLOCK } | TarError::Header { offset: 0, .. } => {
            ImageError::unsupported(place, "it is neither a tar archive nor a bill of materials")
        }
        TarError::Read(cause) => ImageError::File { path: path.to_owned(), cause },
        error => ImageError::Damaged { what: place.to_owned(), why: error.to_string() },
    }
}

/// A relative link's target, from the root of the archive; empty where it leads out of it.
fn join(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return String::new(),
            ".." => {}
            part => parts.push(part),
        }
    }
    let mut clean = String::new();
    match clean_path(parts.join("/").as_bytes(), &mut clean) {
        Ok(()) => clean,
        Err(_) => String::new(),
    }
}

/// A file that a tar reader may seek in.
pub(crate) struct SkippingFile(File);

impl Read for SkippingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Headers are small: what is read beyond one is mostly thrown away by the next seek.
        let length = buffer.len().min(4096);
        self.0.read(&mut buffer[..length])
    }
}

impl TarReader<SkippingFile> {
    /// Goes to the end of the current body without reading it.
    pub(crate) fn seek_past_body(&mut self) -> Result<(), crate::tar::TarError> {
        let skip = self.drop_buffered_body();
        if skip > 0 {
            let size = self.source().0.metadata().map_err(crate::tar::TarError::Read)?.len();
            let position = self.source().0.stream_position().map_err(crate::tar::TarError::Read)?;
            let target = position.saturating_add(skip);
            if target > size {
                return Err(crate::tar::TarError::Truncated { offset: size });
            }
            self.source().0.seek(SeekFrom::Start(target)).map_err(crate::tar::TarError::Read)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The archive may be whole: another copy of it would help nobody.
    #[test]
    fn a_failing_disk_is_no_damaged_archive() {
        let error = refused(Path::new("a.tar"), "a.tar", TarError::Read(io::Error::from_raw_os_error(5)));
        assert!(matches!(&error, ImageError::File { path, .. } if path == Path::new("a.tar")), "{error}");
        let error = refused(Path::new("a.tar"), "a.tar", TarError::Truncated { offset: 4096 });
        assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    }
}
