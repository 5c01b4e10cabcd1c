//! Archives whose bytes depend on what is in them, and on nothing else: order, owners, modes and times are fixed.
//!
//! See <https://reproducible-builds.org/docs/archives/>.

use std::{
    io::{Read as _, Write},
    path::Path,
};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder, read::GzDecoder};
use tar::EntryType;

/// A file of an archive.
pub(super) struct Entry {
    /// Where it lies.
    pub(super) path: String,
    pub(super) content: Content,
}

/// What lies there.
pub(super) enum Content {
    Program(Vec<u8>),
    File(Vec<u8>),
    /// Where it leads to.
    Link(String),
    /// A folder, with its mode.
    Folder(u32),
}

/// A tar archive of the entries, packed by gzip.
pub(super) fn pack(entries: Vec<Entry>, epoch: u64) -> anyhow::Result<Vec<u8>> {
    gzip(&tar(Vec::new(), entries, epoch)?)
}

/// Packs by gzip; the header bears neither a time nor a name.
pub(super) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

/// A tar archive of the entries, in the order of their paths.
pub(super) fn tar<W: Write>(to: W, mut entries: Vec<Entry>, epoch: u64) -> anyhow::Result<W> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut archive = tar::Builder::new(to);
    for Entry { path, content } in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        let (kind, mode, bytes) = match &content {
            Content::Program(bytes) => (EntryType::Regular, 0o755, bytes.as_slice()),
            Content::File(bytes) => (EntryType::Regular, 0o644, bytes.as_slice()),
            Content::Folder(mode) => (EntryType::Directory, *mode, [].as_slice()),
            Content::Link(_) => (EntryType::Symlink, 0o777, [].as_slice()),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        match &content {
            Content::Link(target) => archive.append_link(&mut header, path, target)?,
            _ => archive.append_data(&mut header, path, bytes)?,
        }
    }
    Ok(archive.into_inner()?)
}

/// One file of an archive.
pub(super) fn member(archive: &Path, path: &str) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        if entry.path()?.as_ref() == Path::new(path) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    anyhow::bail!("{} has no {path}", archive.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn entry(path: &str, text: &str, is_program: bool) -> Entry {
        let bytes = text.as_bytes().to_vec();
        let content = if is_program { Content::Program(bytes) } else { Content::File(bytes) };
        Entry { path: path.to_owned(), content }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let one = pack(vec![entry("b", "two", false), entry("a", "one", true)], 1_790_000_000).unwrap();
        let other = pack(vec![entry("a", "one", true), entry("b", "two", false)], 1_790_000_000).unwrap();
        assert_eq!(one, other);
        assert_ne!(one, pack(vec![entry("a", "one", true), entry("b", "two", true)], 1_790_000_000).unwrap());
    }

    #[test]
    fn a_member_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        std::fs::write(&path, pack(vec![entry("a-1/x/y", "text", true)], 5).unwrap()).unwrap();
        assert_eq!(member(&path, "a-1/x/y").unwrap(), b"text");
        member(&path, "a-1/x").unwrap_err();
        let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(&path).unwrap()));
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let header = entry.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o755, 5));
        assert_eq!((header.uid().unwrap(), header.username().unwrap()), (0, Some("root")));
    }
}
