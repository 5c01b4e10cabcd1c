//! Archives that come as a stream, from standard input or an engine: kept in a file without a name until they are
//! read. That file holds the archive as it came; nothing of the image is unpacked to disk.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::fd::AsRawFd as _,
    path::PathBuf,
};

use portcullis_model::Platform;

use crate::{Image, ImageError, OpenOptions, docker_archive, gzip::Gzip, layout, sbom, store::Store};

/// As much as tells an archive from a document.
const HEAD: u64 = 512;

/// A file that is gone when it is closed, whatever happens to this process.
pub(crate) fn create(options: &OpenOptions) -> Result<File, ImageError> {
    let folder = options.spool.clone().filter(|folder| std::fs::create_dir_all(folder).is_ok());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    tempfile::tempfile_in(&folder).map_err(|cause| ImageError::File { path: folder, cause })
}

/// Reads an archive or a bill of materials from `source`, plain or packed with gzip or zstd, and opens what it holds.
pub(crate) fn open_stream(
    source: impl Read,
    place: &str,
    name: Option<&str>,
    options: &OpenOptions,
) -> Result<Image, ImageError> {
    let unreadable = |cause| ImageError::File { path: PathBuf::from(place), cause };
    let mut source = BufReader::with_capacity(128 * 1024, source);
    let limit = options.spool_limit;
    let start = io::BufRead::fill_buf(&mut source).map_err(unreadable)?;
    let mut plain: Box<dyn Read + '_> = match start {
        [] => return Err(ImageError::unsupported(place, "it is empty")),
        [0x1f, 0x8b, ..] => Box::new(Gzip::new(source)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(source).map_err(unreadable)?),
        _ => Box::new(source),
    };
    let mut head = Vec::new();
    plain.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if sbom::starts(&head) {
        return sbom::read(place.to_owned(), &mut head.as_slice().chain(plain));
    }
    let mut file = create(options)?;
    let written = io::copy(&mut head.as_slice().chain(plain).take(limit + 1), &mut file);
    if written.map_err(unreadable)? > limit {
        return Err(ImageError::TooLarge { what: place.to_owned(), limit });
    }
    open(file, place, name, options.platform.as_ref())
}

/// Opens the image in an archive that was kept.
pub(crate) fn open(
    file: File,
    place: &str,
    name: Option<&str>,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    // Each layer is read through an open file of its own.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let store = Store::spooled(file, &path, place)?;
    if store.contains("manifest.json") {
        return docker_archive::open(store, name);
    }
    if store.contains("index.json") {
        return layout::open(store, name, platform);
    }
    let why = "it is a tar archive, but neither an OCI nor a Docker one (no index.json, no manifest.json)";
    Err(ImageError::unsupported(place, why))
}
