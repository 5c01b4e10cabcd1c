//! `all.zip`, an ecosystem's records in one archive: checked before it is used, and brought up to date by changing
//! single records in it.
//!
//! Layout: <https://google.github.io/osv.dev/data/#data-dumps>

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::Path,
};

use portcullis_errors::printable;
use portcullis_model::Timestamp;
use serde::Deserialize;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Most records of one ecosystem.
pub(crate) const MAX_MEMBERS: usize = 5_000_000;
/// Largest record taken, in bytes. The largest real one has some 5 MB.
pub(crate) const MAX_RECORD: u64 = 32 << 20;
/// Most bytes of one ecosystem when unpacked.
const MAX_UNPACKED: u64 = 64 << 30;

/// Records of an archive, with the moment of their last change.
pub(crate) type Index = BTreeMap<String, Timestamp>;

/// The moment of a record that does not say it: older than all.
pub(crate) fn unknown_time() -> Timestamp {
    Timestamp::from_unix(i64::MIN)
}

/// Reads every record of an archive against its checksum, and gives what is in it.
pub(crate) fn check(path: &Path) -> Result<Index, String> {
    let wrong = |error: &dyn std::error::Error| printable(&error.to_string(), 200);
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| wrong(&error))?;
    if archive.len() > MAX_MEMBERS {
        return Err(format!("it has {} records; {MAX_MEMBERS} are the most taken", archive.len()));
    }
    let mut index = Index::new();
    let mut left = MAX_UNPACKED;
    let mut record = Vec::new();
    for number in 0..archive.len() {
        let mut member = archive.by_index(number).map_err(|error| wrong(&error))?;
        if member.is_dir() {
            continue;
        }
        let name = member.name().map_err(|error| wrong(&error))?.into_owned();
        record.clear();
        // Reading to the end compares the checksum.
        let limit = left.min(MAX_RECORD);
        let length = member.by_ref().take(limit + 1).read_to_end(&mut record);
        let length = length.map_err(|error| format!("{}: {error}", printable(&name, 100)))? as u64;
        if length > limit {
            return Err(format!("{} is larger than {limit} bytes", printable(&name, 100)));
        }
        left -= length;
        let Some(id) = name.strip_suffix(".json").filter(|id| is_id(id)) else { continue };
        index.insert(id.to_owned(), modified(&record).unwrap_or_else(unknown_time));
    }
    if index.is_empty() {
        return Err("it holds no records".into());
    }
    Ok(index)
}

/// When a record says that it was changed last; none for what is no record.
pub(crate) fn modified(record: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Dated {
        #[serde(default)]
        modified: Option<String>,
    }
    let Dated { modified } = serde_json::from_slice(record).ok()?;
    Some(modified.and_then(|text| text.parse().ok()).unwrap_or_else(unknown_time))
}

/// Whether a record can have this id: it becomes a part of an address and the name of an archive's member.
pub(crate) fn is_id(text: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+~@".contains(&byte);
    (1..=200).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_usual)
}

/// Writes the archive anew with other records in it: at once, by a file that takes its place.
pub(crate) fn change(path: &Path, changed: &BTreeMap<String, Vec<u8>>, gone: &BTreeSet<String>) -> io::Result<()> {
    let next = crate::files::beside(path, ".next");
    let mut old = ZipArchive::new(BufReader::new(File::open(path)?))?;
    let mut new = ZipWriter::new(BufWriter::new(File::create(&next)?));
    for number in 0..old.len() {
        let member = old.by_index_raw(number)?;
        let name = member.name()?.into_owned();
        let id = name.strip_suffix(".json").unwrap_or(&name);
        if !changed.contains_key(id) && !gone.contains(id) {
            new.raw_copy_file(member)?;
        }
    }
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (id, record) in changed {
        new.start_file(format!("{id}.json"), options)?;
        new.write_all(record)?;
    }
    let file = new.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(folder: &Path, records: &[(&str, &str)]) -> std::path::PathBuf {
        let path = folder.join("all.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in records {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn records_are_changed_added_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = r#"{"id":"A","modified":"2026-01-01T00:00:00.5Z"}"#;
        let path = archive(folder.path(), &[("A.json", old), ("B.json", "{}"), ("C.json", "odd"), ("x/D.json", "{}")]);
        let none = unknown_time();
        let found =
            |pairs: &[(&str, Timestamp)]| pairs.iter().map(|(id, time)| ((*id).to_owned(), *time)).collect::<Index>();
        assert_eq!(check(&path).unwrap(), found(&[("A", at("2026-01-01")), ("B", none), ("C", none)]));
        let new = br#"{"id":"A","modified":"2026-02-01T00:00:00Z"}"#.to_vec();
        let changed = BTreeMap::from([("A".to_owned(), new), ("E".to_owned(), b"{}".to_vec())]);
        change(&path, &changed, &BTreeSet::from(["B".to_owned()])).unwrap();
        assert_eq!(check(&path).unwrap(), found(&[("A", at("2026-02-01")), ("C", none), ("E", none)]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_changed_byte_or_a_cut_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &[("A.json", r#"{"id":"A","summary":"a long enough summary"}"#)]);
        let whole = fs::read(&path).unwrap();
        check(&path).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(check(&path).is_err(), "{cut}");
        }
        let mut other = whole.clone();
        other[45] ^= 1;
        fs::write(&path, other).unwrap();
        assert!(check(&path).is_err());
    }

    #[test]
    fn ids_are_no_paths() {
        for id in ["GHSA-2c2j-9gv5-cj73", "openSUSE-SU-2024:10001-1", "CVE-2026-1", "DRUPAL-CONTRIB-2024-001"] {
            assert!(is_id(id), "{id}");
        }
        for text in ["", "..", ".a", "a/b", "a b", "a\n", "ä", "a%2f", "a?b", "a#b", &"a".repeat(201)] {
            assert!(!is_id(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_archive_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("all.zip");
            fs::write(&path, &bytes).unwrap();
            prop_assert!(check(&path).is_err());
        }

        #[test]
        fn no_record_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            _ = modified(&bytes);
        }
    }
}
